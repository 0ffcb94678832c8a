"""The running process: prefetching, entry points, forks and elapsed time."""

from __future__ import annotations

__all__: list[str] = []
