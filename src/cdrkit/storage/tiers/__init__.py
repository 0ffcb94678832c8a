"""Tiers: how hot and warm segments are written and read."""

from __future__ import annotations

__all__: list[str] = []
