"""The commit log: segments, commits, snapshots and checkpoints."""

from __future__ import annotations

__all__: list[str] = []
