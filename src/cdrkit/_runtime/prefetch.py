"""Making the next of many things while the one before is in use: two cores then do what one would."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["prefetch_items"]

_T = TypeVar("_T")


def prefetch_items(items: Generator[_T]) -> Generator[_T]:
    """Yield *items*, of which another thread makes the next one meanwhile: one more than asked for, at most.

    When the consumer stops early, what is being made is waited for, and *items* are closed.
    """
    end = object()
    pool = ThreadPoolExecutor(1)
    try:
        item = next(items, end)
        while item is not end:
            try:
                waiting = pool.submit(next, items, end)
            except RuntimeError:
                # The interpreter ends, and no thread begins any more: this one goes on alone.
                yield item  # type: ignore[misc]  # it is no end
                yield from items
                return
            yield item  # type: ignore[misc]  # it is no end
            item = waiting.result()
    finally:
        pool.shutdown()
        items.close()
