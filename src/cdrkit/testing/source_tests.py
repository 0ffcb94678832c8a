"""The test suite that every source must pass; subclass it to test a source."""

from __future__ import annotations

import io
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import IO, Any, Final, cast

import attrs
import polars as pl
from polars.testing import assert_frame_equal

from cdrkit._model import conform_frame, empty_frame
from cdrkit.errors import CdrError
from cdrkit.sources import JoiningSource, PendingCall, Reject, Source, SourceBatch, SourceInput

__all__ = ["SourceTests"]

#: How much of a file `Sniff` receives, in bytes.
_HEAD_BYTES: Final = 64 << 10
_CUTS: Final = 25
_FLIPS: Final = 40


class SourceTests:
    """A test suite for a source; subclass it and run it with pytest.

    Override ``make_source`` and ``sample``. If the number of calls is known, override ``expected_calls`` too, so that
    the suite detects lost rows.

    The suite checks that the frames fit the catalogue of fields, that every row is accounted for, and that equal bytes
    give equal results, however slowly they arrive. Empty, cut-off, damaged and random inputs may be rejected with a
    `cdrkit.errors.CdrError`, and must not raise any other exception.

    Example:
        >>> from cdrkit.sources import make_source
        >>> from cdrkit.testing import SourceTests
        >>> class TestGeneric(SourceTests):
        ...     def make_source(self):
        ...         mapping = {"call_id": "id", "start": {"columns": "begin", "formats": ["epoch"]}}
        ...         return make_source("generic", {"mapping": {"fields": mapping}})
        ...
        ...     def sample(self):
        ...         return b"id,begin\\n17,1795341600\\n18,1795341660\\n"
        ...
        ...     def expected_calls(self):
        ...         return 2
        >>> TestGeneric().test_calls_fit_the_catalogue()
    """

    def make_source(self) -> Source:
        """Return a new source, with the options that the sample needs.

        Raises:
            NotImplementedError: When a subclass does not override this method.
        """
        raise NotImplementedError("Override make_source() in the subclass; it must return a source.")

    def sample(self) -> bytes:
        """Return the bytes of a sample file that contains at least one call.

        A few rows are enough.

        Raises:
            NotImplementedError: When a subclass does not override this method.
        """
        raise NotImplementedError("Override sample() in the subclass; it must return the bytes of a file.")

    def expected_calls(self) -> int | None:
        """Return the number of calls in the sample, or None if it is unknown."""
        return None

    # -- the sample -----------------------------------------------------------------------------------------------

    def test_calls_fit_the_catalogue(self) -> None:
        """Calls have only fields of the catalogue, with values of the right types.

        Each call has a ``call_id`` and a ``start``.
        """
        reading = self._read(io.BytesIO(self.sample()))
        assert reading.frame.height, "the sample gives no call"
        for name in ("call_id", "start"):
            assert reading.frame[name].null_count() == 0, f"{name} is absent in some calls"

    def test_every_row_is_accounted_for(self) -> None:
        """Every row counts once: as a call, a reject, a merged row or a pending row."""
        reading = self._read(io.BytesIO(self.sample()))
        expected = self.expected_calls()
        if expected is not None:
            assert reading.frame.height == expected
        parts = (
            reading.frame.height,
            reading.merged,
            len(reading.rejects),
            sum(call.rows for call in reading.pending),
        )
        assert min(reading.merged, reading.repeated_hour, reading.missing_hour) >= 0
        assert reading.read == sum(parts)
        rows = [(reject.input, reject.row) for reject in reading.rejects]
        assert len(set(rows)) == len(rows), "two rejects are the same row"
        for reject in reading.rejects:
            assert reject.row >= 1, "rows are counted from 1"
            assert reject.reason.strip(), "a reject has no reason"
            reject.text.encode("utf-8", "surrogateescape")
        for call in reading.pending:
            assert call.row >= 1, "rows are counted from 1"
            assert call.rows >= 1, "a pending call has no rows"

    def test_a_damaged_row_is_not_lost(self) -> None:
        """An invalid line after the sample causes no loss of the sample's rows."""
        sample = self.sample()
        whole = self._read(io.BytesIO(sample))
        end = b"" if sample.endswith(b"\n") else b"\n"
        reading = self._try(io.BytesIO(sample + end + b"\x01 this is not a call \xff\n"))
        if reading is not None:
            assert reading.read >= whole.read, "rows of the sample disappeared"

    def test_bytes_read(self) -> None:
        """``bytes_read`` never decreases, and never exceeds the size of the sample."""
        sample = self.sample()
        positions = [batch.bytes_read for batch in self.make_source()(io.BytesIO(sample))]
        assert positions == sorted(positions)
        assert all(0 <= position <= len(sample) for position in positions)

    def test_reading_twice(self) -> None:
        """The same bytes give the same results again, even with a new source object."""
        source = self.make_source()
        first = self._read(io.BytesIO(self.sample()), source)
        first.check_equal(self._read(io.BytesIO(self.sample()), source))
        first.check_equal(self._read(io.BytesIO(self.sample())))

    def test_slow_streams(self) -> None:
        """A stream that returns only a few bytes at a time gives the same results."""
        sample = self.sample()
        whole = self._read(io.BytesIO(sample))
        for size in (1, 7, 4096):
            whole.check_equal(self._read(_slow_stream(sample, size)))

    def test_reading_all_inputs(self) -> None:
        """With `read_all`, a joining source returns the same calls as without it."""
        source = self.make_source()
        if isinstance(source, JoiningSource):
            whole = self._read(io.BytesIO(self.sample()))
            inputs = iter([SourceInput(name="sample", stream=io.BytesIO(self.sample()))])
            alone = _Content.of(source.read_all(inputs))
            assert_frame_equal(alone.frame, whole.frame)
            assert alone.read == whole.read

    # -- other inputs ---------------------------------------------------------------------------------------------

    def test_an_empty_stream(self) -> None:
        """Reading an empty stream returns no rows, or raises a `CdrError`."""
        reading = self._try(io.BytesIO(b""))
        assert reading is None or reading.read == 0

    def test_a_cut_off_sample(self) -> None:
        """Reading a truncated sample gives calls and rejected rows, or a `CdrError`."""
        sample = self.sample()
        for number in range(_CUTS):
            self._try(io.BytesIO(sample[: number * len(sample) // _CUTS]))

    def test_a_damaged_sample(self) -> None:
        """Reading a damaged sample gives calls and rejected rows, or a `CdrError`."""
        sample = self.sample()
        for number in range(_FLIPS):
            damaged = bytearray(sample)
            damaged[number * (len(sample) - 1) // _FLIPS] ^= 0x55
            self._try(io.BytesIO(bytes(damaged)))

    def test_garbage(self) -> None:
        """For another format or random bytes, a source gives rejects or a `CdrError`."""
        for garbage in _garbage():
            self._try(io.BytesIO(garbage))

    def test_sniff(self) -> None:
        """Format detection accepts the sample and refuses an empty file."""
        sniff = getattr(self.make_source(), "sniff", None)
        if sniff is None:
            return
        head = self.sample()[:_HEAD_BYTES]
        reason = sniff(head, "sample")
        assert isinstance(reason, str), "sniff does not detect the sample"
        assert reason.strip(), "sniff gives an empty reason"
        assert sniff(b"", "sample") is None, "sniff detects an empty file"
        for other in [*(head[: number * len(head) // _CUTS] for number in range(_CUTS)), *_garbage()]:
            assert isinstance(sniff(other[:_HEAD_BYTES], "other"), str | None)

    def _read(self, stream: IO[bytes], source: Source | None = None) -> _Content:
        return _Content.of((source or self.make_source())(stream))

    def _try(self, stream: IO[bytes]) -> _Content | None:
        """Read a stream; return None if the source raises a `CdrError`."""
        try:
            return self._read(stream)
        except CdrError:
            return None


@attrs.frozen(eq=False)
class _Content:
    """The combined content of all batches from one pass over the input."""

    frame: pl.DataFrame
    rejects: tuple[Reject, ...]
    pending: tuple[PendingCall, ...]
    contradictions: Counter[str]
    merged: int
    repeated_hour: int
    missing_hour: int
    read: int
    header: str

    @classmethod
    def of(cls, batches: Iterable[SourceBatch]) -> _Content:
        """Return the combined content of *batches*.

        Raises:
            SchemaError: When a frame does not fit the catalogue of fields.
        """
        batches = list(batches)
        assert all(isinstance(batch, SourceBatch) for batch in batches), "a batch is not a SourceBatch"
        contradictions = Counter[str]()
        for batch in batches:
            contradictions.update(batch.contradictions)
        return cls(
            frame=pl.concat([empty_frame(), *(_fit(batch.frame) for batch in batches)], how="diagonal"),
            rejects=tuple(reject for batch in batches for reject in batch.rejects),
            pending=tuple(call for batch in batches for call in batch.pending),
            contradictions=contradictions,
            merged=sum(batch.merged for batch in batches),
            repeated_hour=sum(batch.repeated_hour for batch in batches),
            missing_hour=sum(batch.missing_hour for batch in batches),
            read=sum(batch.read for batch in batches),
            header=next((batch.header for batch in batches if batch.header), ""),
        )

    def check_equal(self, other: _Content) -> None:
        """Check that *other* has the same content as this object.

        Raises:
            AssertionError: When the readings differ.
        """
        assert_frame_equal(self.frame, other.frame)
        for name in attrs.fields_dict(_Content):
            if name != "frame":
                assert getattr(self, name) == getattr(other, name), f"{name} differs"


def _fit(frame: pl.DataFrame) -> pl.DataFrame:
    try:
        return conform_frame(frame)
    except CdrError as exc:
        raise AssertionError(f"a frame does not fit the catalogue: {exc}") from exc


class _SlowStream(io.RawIOBase):
    """A stream that returns only a few bytes per read."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data = data
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._data[self._at : self._at + min(self._size, len(buffer))]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)


def _slow_stream(data: bytes, size: int) -> IO[bytes]:
    return cast("IO[bytes]", _SlowStream(data, size))


def _garbage() -> Iterator[bytes]:
    """Yield test inputs in foreign formats, and random bytes."""
    chance = random.Random(1)
    yield b"\n"
    yield b"\r\n" * 100
    yield bytes(5_000)
    yield b"\xef\xbb\xbf"
    yield b'"' + b"x" * 100_000
    yield b"," * 50_000 + b"\n"
    yield b"{" * 2_000
    yield b'{"calls": [{}]}\n[]\n17\nnull\n'
    yield b"<cdr><variables/></cdr>"
    yield "call_id,start\n17,2026-11-22T09:00:00Z\n".encode("utf-16")
    for size in (1, 100, 10_000):
        yield chance.randbytes(size)
        yield bytes(chance.randrange(32, 127) for _ in range(size))
