"""Telephone numbers: normalization, dial plans and number searches."""

from __future__ import annotations

__all__: list[str] = []
