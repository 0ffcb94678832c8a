"""The suite for authors of tiers: a tier of public names alone passes it, and each kind of broken tier fails it."""

from __future__ import annotations

import hashlib
import inspect
import io
import itertools
import secrets
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import attrs
import polars as pl
import pytest

from cdrkit import FIELDS, SCHEMA
from cdrkit._files import Files, open_files
from cdrkit._numbers import KeySearch
from cdrkit.errors import CorruptDataError
from cdrkit.storage.indexes.rollups import Totals
from cdrkit.storage.log.segment import Segment
from cdrkit.storage.tiers.segment_file import SegmentFile
from cdrkit.storage.tiers.tier import Hits, Rows, Tier
from cdrkit.testing.tier_tests import TierTests

_numbers = itertools.count()
_EMPTY = pl.from_arrow(SCHEMA.empty_table())
assert isinstance(_EMPTY, pl.DataFrame)
TYPES = _EMPTY.schema


class ForeignTier:
    """A tier from nothing but what is public: one Polars file a segment, its checksum in its name."""

    name = "foreign"

    def __init__(self, files: Files) -> None:
        self.files = files

    def write(self, frame: pl.DataFrame, region: str | None) -> Segment:
        sink = io.BytesIO()
        frame.write_ipc(sink)
        data = sink.getvalue()
        identity = f"{secrets.token_hex(6)}-{hashlib.blake2b(data, digest_size=16).hexdigest()}"
        path = f"foreign/{identity}.ipc"
        self.files.put(path, data)
        return self.described(identity, path, data)

    def described(self, identity: str, path: str, data: bytes) -> Segment:
        """Return the segment whose file holds *data*."""
        frame = pl.read_ipc(io.BytesIO(data))
        return Segment(
            id=identity,
            tier=self.name,
            path=path,
            rows=frame.height,
            size_bytes=len(data),
            first=frame["start"][0].astimezone(UTC),
            last=frame["start"][-1].astimezone(UTC),
            checksum=identity.partition("-")[2],
            columns=dict.fromkeys(frame.columns, 0),
        )

    def whole(self, segment: Segment | SegmentFile) -> bytes:
        """Return the file of *segment*, checked."""
        data = self.files.read(segment.path)
        if hashlib.blake2b(data, digest_size=16).hexdigest() != segment.id.partition("-")[2]:
            url = self.files.url_of(segment.path)
            raise CorruptDataError(f"{url} is damaged: its checksum does not hold.", url=url)
        return data

    def read(self, segment: Segment, columns: Sequence[str], rows: Rows | None = None) -> pl.DataFrame:
        frame = pl.read_ipc(io.BytesIO(self.whole(segment)))
        if rows is not None:
            frame = frame[rows.start : rows.stop] if isinstance(rows, range) else frame[rows]
        absent = [name for name in columns if name not in frame.columns]
        return frame.with_columns(pl.lit(None, TYPES[name]).alias(name) for name in absent).select(columns)

    def gather(self, picks: Sequence[tuple[Segment, pl.Series]], columns: Sequence[str]) -> pl.DataFrame:
        return pl.concat([self.read(segment, columns, rows) for segment, rows in picks])

    def find(
        self, segment: Segment, search: KeySearch, fields: Sequence[str], region: str | None
    ) -> Hits | None:
        return None

    def rows_with(self, segment: Segment, name: str, values: Sequence[str], rows: range) -> pl.Series | None:
        return None

    def totals(self, segment: Segment) -> Totals | None:
        return None

    def remove(self, segment: Segment) -> None:
        self.files.remove(segment.path)

    def check(self, segment: Segment) -> None:
        self.whole(segment)

    def list_segments(self) -> Iterable[SegmentFile]:
        for entry in self.files.list("foreign"):
            yield SegmentFile(entry.path.rpartition("/")[2].removesuffix(".ipc"), entry.path, entry.modified)

    def delete_orphan(self, found: SegmentFile) -> None:
        self.files.remove(found.path)

    def remove_temporary(self, before: datetime) -> int:
        return self.files.remove_temporary(before)

    def load(self, found: SegmentFile, region: str | None) -> Segment:
        return self.described(found.id, found.path, self.whole(found))


@pytest.fixture
def files() -> Files:
    """Return a place that nobody uses yet."""
    return open_files(f"memory://conformance-{next(_numbers)}")


class TestForeign(TierTests):
    """A tier that knows no index and no totals."""

    def make_tier(self, files: Files) -> Tier:
        return ForeignTier(files)


def failures(make: Callable[[Files], Tier]) -> set[str]:
    """Return the names of the tests that the tier which *make* makes does not pass."""

    class Suite(TierTests):
        def make_tier(self, files: Files) -> Tier:
            return make(files)

    failed: set[str] = set()
    for name, test in inspect.getmembers(Suite(), inspect.ismethod):
        if name.startswith("test_"):
            try:
                test(open_files(f"memory://conformance-{next(_numbers)}"))
            except (Exception, pytest.fail.Exception):  # noqa: BLE001  # a broken tier may raise anything
                failed.add(name)
    return failed


class LosesARow(ForeignTier):
    """Its last call is lost, and it says so of nobody."""

    def write(self, frame: pl.DataFrame, region: str | None) -> Segment:
        return attrs.evolve(super().write(frame.head(max(frame.height - 1, 1)), region), rows=frame.height)


class TurnsThemRound(ForeignTier):
    """Its calls come in another order."""

    def read(self, segment: Segment, columns: Sequence[str], rows: Rows | None = None) -> pl.DataFrame:
        return super().read(segment, columns, rows).reverse()


class IgnoresColumns(ForeignTier):
    """All columns come, whichever are asked for."""

    def read(self, segment: Segment, columns: Sequence[str], rows: Rows | None = None) -> pl.DataFrame:
        return super().read(segment, list(FIELDS), rows)


class SortsColumns(ForeignTier):
    """The columns come in the order of the catalogue."""

    def read(self, segment: Segment, columns: Sequence[str], rows: Rows | None = None) -> pl.DataFrame:
        return super().read(segment, [name for name in FIELDS if name in columns], rows)


class IgnoresRows(ForeignTier):
    """All rows come, whichever are asked for."""

    def read(self, segment: Segment, columns: Sequence[str], rows: Rows | None = None) -> pl.DataFrame:
        return super().read(segment, columns)


class ForgetsAtTheEnd(ForeignTier):
    """It writes nothing down."""

    def __init__(self, files: Files) -> None:
        super().__init__(open_files(f"memory://conformance-{next(_numbers)}"))


class ListsWhatIsGone(ForeignTier):
    """It remembers what it wrote, and finds that for ever."""

    def __init__(self, files: Files) -> None:
        super().__init__(files)
        self.written: dict[str, SegmentFile] = {}

    def list_segments(self) -> Iterable[SegmentFile]:
        self.written |= {found.id: found for found in super().list_segments()}
        return list(self.written.values())


class GivesAnother(ForeignTier):
    """It reads whichever segment it wrote last."""

    last: Segment | None = None

    def write(self, frame: pl.DataFrame, region: str | None) -> Segment:
        self.last = super().write(frame, region)
        return self.last

    def read(self, segment: Segment, columns: Sequence[str], rows: Rows | None = None) -> pl.DataFrame:
        return super().read(self.last or segment, columns, rows)


class NamesByContent(ForeignTier):
    """The same calls are the same segment to it."""

    def write(self, frame: pl.DataFrame, region: str | None) -> Segment:
        made = super().write(frame, region)
        same = f"{'0' * 12}-{made.checksum}"
        path = f"foreign/{same}.ipc"
        self.files.put(path, self.files.read(made.path))
        self.files.remove(made.path)
        return attrs.evolve(made, id=same, path=path)


class BelievesItsFiles(ForeignTier):
    """It reads without a look at the checksum."""

    def whole(self, segment: Segment | SegmentFile) -> bytes:
        return self.files.read(segment.path)


class ChecksNothing(ForeignTier):
    """All is well, it says."""

    def check(self, segment: Segment) -> None:
        pass


class AdoptsDamage(ForeignTier):
    """It takes whatever lies there for a segment."""

    def load(self, found: SegmentFile, region: str | None) -> Segment:
        return self.described(found.id, found.path, self.files.read(found.path))


class KeepsEverything(ForeignTier):
    """It removes nothing."""

    def remove(self, segment: Segment) -> None:
        pass


class RemovesOnce(ForeignTier):
    """It fails when what it is to remove is gone."""

    def remove(self, segment: Segment) -> None:
        self.files.read(segment.path)
        super().remove(segment)


class DeletesAll(ForeignTier):
    """It takes whole segments for leftovers of interrupted writes."""

    def remove_temporary(self, before: datetime) -> int:
        for found in [*self.list_segments()]:
            self.delete_orphan(found)
        return 0


class FindsTooLittle(ForeignTier):
    """Its index does not have every row."""

    def find(
        self, segment: Segment, search: KeySearch, fields: Sequence[str], region: str | None
    ) -> Hits | None:
        return Hits(pl.Series([], dtype=pl.UInt32), exact=False)


class ClaimsExactHits(ForeignTier):
    """It claims exact hits for rows that have another number."""

    def find(
        self, segment: Segment, search: KeySearch, fields: Sequence[str], region: str | None
    ) -> Hits | None:
        return Hits(pl.Series(range(segment.rows), dtype=pl.UInt32), exact=True)


class CountsWrongly(ForeignTier):
    """Its totals are of no calls."""

    def totals(self, segment: Segment) -> Totals | None:
        return Totals(pl.DataFrame())


class PicksWrongly(ForeignTier):
    """Every row has every value, it says."""

    def rows_with(self, segment: Segment, name: str, values: Sequence[str], rows: range) -> pl.Series | None:
        return pl.Series(list(rows), dtype=pl.UInt32)


class GathersWrongly(ForeignTier):
    """What it gathers comes in another order of segments."""

    def gather(self, picks: Sequence[tuple[Segment, pl.Series]], columns: Sequence[str]) -> pl.DataFrame:
        return super().gather(picks[::-1], columns)


class MisstatesItsRange(ForeignTier):
    """The range of its calls ends before the last one: a query would pass that over."""

    def write(self, frame: pl.DataFrame, region: str | None) -> Segment:
        made = super().write(frame, region)
        return attrs.evolve(made, last=made.first)


class IsSomebodyElse(ForeignTier):
    """Its segments are marked with another name."""

    def write(self, frame: pl.DataFrame, region: str | None) -> Segment:
        return attrs.evolve(super().write(frame, region), tier="hot")


class MixesThreads(ForeignTier):
    """Threads that read at the same time get each other's segment."""

    wanted: Segment
    meeting = threading.Barrier(8)

    def read(self, segment: Segment, columns: Sequence[str], rows: Rows | None = None) -> pl.DataFrame:
        self.wanted = segment
        if threading.current_thread() is not threading.main_thread():
            self.meeting.wait(10)
        return super().read(self.wanted, columns, rows)


class LeavesHalves(ForeignTier):
    """A write that fails leaves its first file in sight."""

    def write(self, frame: pl.DataFrame, region: str | None) -> Segment:
        self.files.put("foreign/half", b"half")
        made = super().write(frame, region)
        self.files.remove("foreign/half")
        return made


class LoadsOtherwise(ForeignTier):
    """The segment that it loads differs from the segment written."""

    def load(self, found: SegmentFile, region: str | None) -> Segment:
        return attrs.evolve(super().load(found, region), facts={"loaded": 1})


@pytest.mark.parametrize("tier", ForeignTier.__subclasses__())
def test_a_broken_tier_fails(tier: type[ForeignTier]) -> None:
    """Whatever a tier owes and does not do, a test of the suite fails for it."""
    assert failures(tier)


def test_a_sound_tier_fails_nothing() -> None:
    """The tier that the broken ones are made of passes everything: they fail for what is broken."""
    assert failures(ForeignTier) == set()
