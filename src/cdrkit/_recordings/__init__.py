"""Recordings: where they lie, what they hold, and how they are served."""

from __future__ import annotations

__all__: list[str] = []
