"""Sources for the tables of the SIP proxies Kamailio and OpenSIPS."""

from __future__ import annotations

__all__: list[str] = []
