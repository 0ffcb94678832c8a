"""Stores and segments for the tests of maintenance."""

from __future__ import annotations

import itertools
from datetime import timedelta
from pathlib import Path

from cdrkit import Store, open_store
from tests.months import inside

HOUR, TICK = timedelta(hours=1), timedelta(microseconds=1)
_names = itertools.count()


def new_store() -> Store:
    """Return an empty store in memory."""
    return open_store(f"memory://keeping-{next(_names)}", region="GB")


def lying(store: Store) -> set[str]:
    """Return the ids of all segments that lie in the tiers."""
    return {found.id for tier in inside(store).tiers.values() for found in tier.list_segments()}


def live(store: Store) -> set[str]:
    """Return the ids of the segments of the newest version."""
    return set(inside(store).log.snapshot().segments)


def flip_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0x10
    path.write_bytes(data)
