"""Output: CSV, display text and display settings."""

from __future__ import annotations

__all__: list[str] = []
