"""Sources for call records of Asterisk and FreePBX."""

from __future__ import annotations

__all__: list[str] = []
