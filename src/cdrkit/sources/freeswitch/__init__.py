"""Sources for call records of FreeSWITCH."""

from __future__ import annotations

__all__: list[str] = []
