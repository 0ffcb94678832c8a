"""Reports: totals of calls."""

from __future__ import annotations

__all__: list[str] = []
