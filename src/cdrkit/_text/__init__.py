"""Text made safe for terminals and HTML, and HTML tables."""

from __future__ import annotations

__all__: list[str] = []
