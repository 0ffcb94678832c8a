"""The suite for authors of sources: built-in sources pass it, and each kind of broken source fails it."""

from __future__ import annotations

import inspect
import io
import itertools
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import IO, Any

import attrs
import polars as pl
import pytest

from cdrkit.errors import SchemaError
from cdrkit.samples import asterisk_lines
from cdrkit.sources import PendingCall, Reject, Source, SourceBatch, make_source
from cdrkit.testing import SourceTests
from tests.property.test_damaged_sources import PAGES, SAMPLES

SAMPLE = b"id,start,seconds\n17,2026-11-22T09:00:00,34\n18,2026-11-22T09:01:00,5\n19,yesterday,2\n"
FREESWITCH = {
    "core-uuid": "c1",
    "variables": {
        "uuid": "u1",
        "start_epoch": "1795341600",
        "answer_epoch": "1795341604",
        "end_epoch": "1795341638",
        "duration": "38",
        "billsec": "34",
        "hangup_cause": "NORMAL_CLEARING",
    },
    "callflow": [{"caller_profile": {"caller_id_number": "2041", "destination_number": "2042"}}],
}


class TestAsterisk(SourceTests):
    """Asterisk's Master.csv."""

    def make_source(self) -> Source:
        return make_source("asterisk-csv", {"timezone": "Europe/London"})

    def sample(self) -> bytes:
        return b"".join(itertools.islice(asterisk_lines(30), 30)) + b"not,a,call\n"


class TestFreeSwitch(SourceTests):
    """FreeSWITCH's JSON documents, one a line."""

    def make_source(self) -> Source:
        return make_source("freeswitch-json", {})

    def sample(self) -> bytes:
        return json.dumps(FREESWITCH).encode() + b"\n"

    def expected_calls(self) -> int:
        return 1


def failures(make: Callable[[], Source], sample: bytes, calls: int | None = None) -> set[str]:
    """Return the names of the tests that a source fails with a sample."""

    class Suite(SourceTests):
        def make_source(self) -> Source:
            return make()

        def sample(self) -> bytes:
            return sample

        def expected_calls(self) -> int | None:
            return calls

    failed: set[str] = set()
    for name, test in inspect.getmembers(Suite(), inspect.ismethod):
        if name.startswith("test_"):
            try:
                test()
            except (Exception, pytest.fail.Exception):  # noqa: BLE001  # a broken source may raise anything
                failed.add(name)
    return failed


BUILT_IN: dict[str, tuple[Source, bytes]] = {
    **{name: (sample.source, sample.data) for name, sample in SAMPLES.items()},
    **{name: (source, json.dumps(document).encode()) for name, (source, document) in PAGES.items()},
}


@pytest.mark.parametrize("name", sorted(BUILT_IN.keys() - {"cucm-cmr"}))  # a file without calls of its own
def test_built_in_sources_pass(name: str) -> None:
    """Every source of the package whose sample is at hand passes."""
    source, sample = BUILT_IN[name]
    assert failures(lambda: source, sample) == set()


class SoundSource:
    """A source that keeps the contract; each broken one differs in one point."""

    @staticmethod
    def sniff(head: bytes, name: str, /) -> str | None:
        return "its header" if head.startswith(b"id,start,seconds") else None

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        content = b"".join(iter(lambda: stream.read(1000), b""))
        if self.sniff(content, "") is None:
            raise SchemaError("It is not a file of this format.")
        rows, rejects, end = [], [], 0
        for number, line in enumerate(content.splitlines(keepends=True), 1):
            end += len(line)
            text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
            if number > 1:
                try:
                    rows.append(self.parse(text))
                except (ValueError, OverflowError):
                    rejects.append(Reject(number, "The line is not a call.", text))
        yield self.batch(rows, rejects, end)

    def parse(self, text: str) -> dict[str, Any]:
        """Return the call in a line.

        Raises:
            ValueError: When the line is not a call.
        """
        call_id, start, seconds = text.encode("utf-8").decode().split(",")
        moment = datetime.fromisoformat(start).replace(tzinfo=UTC)
        if not call_id or not 0 <= int(seconds) < 2**31:
            raise ValueError(text)
        return {"call_id": call_id, "start": moment, "duration": int(seconds)}

    def batch(self, rows: list[dict[str, Any]], rejects: list[Reject], end: int) -> SourceBatch:
        """Return the batch of a reading."""
        kinds: dict[str, Any] = {
            "call_id": pl.String,
            "start": pl.Datetime("us", "UTC"),
            "duration": pl.Int64,
        }
        frame = pl.DataFrame(rows, schema=kinds, orient="row")
        return SourceBatch(frame=frame, rejects=tuple(rejects), bytes_read=end)


class LosesRows(SoundSource):
    """It passes over the lines that it cannot read, and the last call."""

    def batch(self, rows: list[dict[str, Any]], rejects: list[Reject], end: int) -> SourceBatch:
        return super().batch(rows[:-1], [], end)


class RaisesAnything(SoundSource):
    """It raises an error of its own where a line is not a call."""

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        for batch in super().__call__(stream):
            if len(batch.rejects) > 1:
                raise LookupError(batch.rejects[0].text)
            yield batch


class InventsIds(SoundSource):
    """A call gets another id at each reading."""

    numbers = itertools.count()

    def parse(self, text: str) -> dict[str, Any]:
        return super().parse(text) | {"call_id": f"{next(self.numbers)}"}


class ReadsOnce(SoundSource):
    """It takes the first piece of a stream for all of it."""

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        return super().__call__(io.BytesIO(stream.read(100_000)))


class NamesFieldsItself(SoundSource):
    """Its frames have a column that is not a field."""

    def batch(self, rows: list[dict[str, Any]], rejects: list[Reject], end: int) -> SourceBatch:
        batch = super().batch(rows, rejects, end)
        return attrs.evolve(batch, frame=batch.frame.with_columns(trunk=pl.lit("T1")))


class LacksStarts(SoundSource):
    """Its calls have no start."""

    def batch(self, rows: list[dict[str, Any]], rejects: list[Reject], end: int) -> SourceBatch:
        batch = super().batch(rows, rejects, end)
        return attrs.evolve(batch, frame=batch.frame.drop("start"))


class RemembersCalls(SoundSource):
    """It takes a call that it has read before for a repetition."""

    def __init__(self) -> None:
        self.known: set[str] = set()

    def batch(self, rows: list[dict[str, Any]], rejects: list[Reject], end: int) -> SourceBatch:
        fresh = [row for row in rows if row["call_id"] not in self.known]
        self.known |= {row["call_id"] for row in rows}
        return super().batch(fresh, rejects, end)


class DetectsNothing(SoundSource):
    """It does not detect its own format."""

    @staticmethod
    def sniff(head: bytes, name: str, /) -> str | None:
        return "its name" if name.endswith(".acme") else None


class DetectsEverything(SoundSource):
    """It detects its format in an empty file."""

    @staticmethod
    def sniff(head: bytes, name: str, /) -> str | None:
        return "bytes"


class CountsPositionsWrongly(SoundSource):
    """It claims to have read more bytes than the stream has."""

    def batch(self, rows: list[dict[str, Any]], rejects: list[Reject], end: int) -> SourceBatch:
        return super().batch(rows, rejects, 2 * end)


class RejectsWithoutReason(SoundSource):
    """Its rejects have no reason."""

    def batch(self, rows: list[dict[str, Any]], rejects: list[Reject], end: int) -> SourceBatch:
        return super().batch(rows, [attrs.evolve(reject, reason="") for reject in rejects], end)


class InventsCalls(SoundSource):
    """It gives a call where there is no row."""

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        yield from super().__call__(io.BytesIO(stream.read() or SAMPLE))


class CountsPendingRowsWrongly(SoundSource):
    """It reports a pending call without a row."""

    def batch(self, rows: list[dict[str, Any]], rejects: list[Reject], end: int) -> SourceBatch:
        pending = (PendingCall("20", "The end is missing.", 4, 0),)
        return attrs.evolve(super().batch(rows, rejects, end), pending=pending)


class ShiftsTimes(SoundSource):
    """Each object of it reads other times than the one before."""

    offsets = itertools.count()

    def __init__(self) -> None:
        self.offset = timedelta(hours=next(self.offsets))

    def parse(self, text: str) -> dict[str, Any]:
        row = super().parse(text)
        return row | {"start": row["start"] + self.offset}


def test_a_sound_source_passes() -> None:
    """The source that the broken ones are made of passes: those fail for what is broken in them."""
    assert failures(SoundSource, SAMPLE, 2) == set()


@pytest.mark.parametrize("source", SoundSource.__subclasses__())
def test_broken_sources_fail(source: type[SoundSource]) -> None:
    """A test of the suite fails for every source that breaks a rule of the contract."""
    assert failures(source, SAMPLE, 2)


def test_the_number_of_calls_shows_lost_rows() -> None:
    """A wrong number of calls fails, and an unknown one does not."""
    assert failures(SoundSource, SAMPLE, 3) == {"test_every_row_is_accounted_for"}
    assert failures(SoundSource, SAMPLE) == set()


def test_what_the_author_must_give() -> None:
    """The suite itself names the methods to override."""
    with pytest.raises(NotImplementedError, match="make_source"):
        SourceTests().make_source()
    with pytest.raises(NotImplementedError, match="sample"):
        SourceTests().sample()
