"""Sources for call records of Cisco CUCM, 3CX and ConnexCS."""

from __future__ import annotations

__all__: list[str] = []
