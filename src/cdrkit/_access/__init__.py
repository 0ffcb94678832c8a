"""Access: scopes of tenants, masks of numbers, signatures of tokens."""

from __future__ import annotations

__all__: list[str] = []
