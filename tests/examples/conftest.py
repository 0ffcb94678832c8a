"""Fixtures of the example portals: a store for all of them, each portal in turn, and a count of its reads."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs
import pytest

from cdrkit import Store
from cdrkit._engine.plan import Plan
from cdrkit.storage.log.segment import Segment
from cdrkit.storage.tiers.hot import HotTier
from tests.examples.portal_servers import SERVERS, Portal, filled_store, served

# The dependency group of that name brings all that they need, and the session of that name runs them.
collect_ignore_glob = ["test_*.py"] if importlib.util.find_spec("fastapi") is None else []


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a store of two tenants' calls."""
    return filled_store(tmp_path_factory.mktemp("portal"))


@pytest.fixture(scope="session", params=SERVERS)
def portal(
    request: pytest.FixtureRequest, store: Store, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Portal]:
    """Run each of the example portals in turn."""
    with served(request.param, store, tmp_path_factory.mktemp("display")) as running:
        yield running


@attrs.define
class Work:
    """What answers have cost so far.

    Attributes:
        segments: The segments of which rows were read.
        reads: How often.
        ended: How many answers were made to their end, or given up.
    """

    segments: set[str] = attrs.field(factory=set)
    reads: int = 0
    ended: int = 0

    def settled(self) -> int:
        """Wait until nothing is read any more, and return of how many segments rows were read."""
        before = -1
        while before != self.reads:
            before = self.reads
            time.sleep(0.3)
        return len(self.segments)

    def wait_for_the_end(self) -> None:
        """Wait until an answer has ended."""
        for _ in range(200):
            if self.ended:
                return
            time.sleep(0.05)
        raise AssertionError("nobody has given up the answer")


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Return what counts the work from now on; all of it is done as ever."""
    found = Work()
    read, gather, frames = HotTier.read, HotTier.gather, Plan.frames

    def counted(segments: Iterable[Segment], columns: Sequence[str]) -> None:
        if len(columns) > 2:  # fewer are for finding out which rows are wanted
            found.segments.update(segment.id for segment in segments)
            found.reads += 1

    def counted_read(self: HotTier, segment: Segment, columns: Sequence[str], *rows: Any) -> Any:
        counted([segment], columns)
        return read(self, segment, columns, *rows)

    def counted_gather(self: HotTier, picks: Sequence[tuple[Segment, Any]], columns: Sequence[str]) -> Any:
        counted([segment for segment, _ in picks], columns)
        return gather(self, picks, columns)

    def counted_frames(self: Plan, *args: Any, **options: Any) -> Iterator[Any]:
        try:
            yield from frames(self, *args, **options)
        finally:
            found.ended += 1

    monkeypatch.setattr(HotTier, "read", counted_read)
    monkeypatch.setattr(HotTier, "gather", counted_gather)
    monkeypatch.setattr(Plan, "frames", counted_frames)
    return found
