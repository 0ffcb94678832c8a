"""The call record: its fields, its frames and its times."""

from __future__ import annotations

__all__: list[str] = []
