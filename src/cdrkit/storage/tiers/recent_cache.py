"""A cache of recently used values, limited by their total weight."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

__all__ = ["RecentCache"]

_T = TypeVar("_T")


class RecentCache(Generic[_T]):
    """A cache of values by key; the least recently used values are dropped first.

    Threads may share a cache.

    Args:
        limit: The largest total weight of the values.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._weight = 0
        self._values: OrderedDict[tuple[str, ...], tuple[_T, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, *key: str) -> _T | None:
        """Return the value at *key*, or None if *key* is not cached."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, value: _T, weight: int, *key: str) -> None:
        """Store *value* at *key*; drop old values while the weight is above the limit."""
        with self._lock:
            self._drop(key)
            self._values[key] = (value, weight)
            self._weight += weight
            while self._weight > self._limit:
                self._drop(next(iter(self._values)))

    def pop(self, *key: str) -> None:
        """Drop the value at *key*."""
        with self._lock:
            self._drop(key)

    def pop_all(self, first: str) -> None:
        """Drop all values whose key has *first* as its first element."""
        with self._lock:
            for key in [key for key in self._values if key[0] == first]:
                self._drop(key)

    def _drop(self, key: tuple[str, ...]) -> None:
        _, weight = self._values.pop(key, (None, 0))
        self._weight -= weight
