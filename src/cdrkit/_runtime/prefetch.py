"""Prefetch: compute the next item while the caller uses the current item.

A thread computes the next item.
"""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["prefetch_items"]

_T = TypeVar("_T")


def prefetch_items(items: Generator[_T]) -> Generator[_T]:
    """Yield *items* while another thread computes the next item.

    At most one item is computed in advance. If the caller stops early, this function waits for the item in progress
    and closes *items*.
    """
    end = object()
    pool = ThreadPoolExecutor(1)
    try:
        item = next(items, end)
        while item is not end:
            try:
                following = pool.submit(next, items, end)
            except RuntimeError:
                # The interpreter is shutting down and starts no more threads: compute the rest in this one.
                yield item  # type: ignore[misc]  # it is not the end
                yield from items
                return
            yield item  # type: ignore[misc]  # it is not the end
            item = following.result()
    finally:
        pool.shutdown()
        items.close()
