"""The CSV writer: written bytes, values read back, and cells that a spreadsheet must not run."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, cast

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cdrkit._output.csv import Compression, compression_of, guard_formulas, iter_csv_frames, write_frames
from cdrkit.errors import ConfigError, StorageError, UnknownFieldError

STARTERS = "=-@\t\r\n\0＝＋－＠"

SCHEMA: dict[str, Any] = {
    "call_id": pl.String(),
    "switch": pl.Categorical(),
    "start": pl.Datetime("us", "UTC"),
    "duration": pl.Int32(),
    "pdd": pl.Float64(),
    "charge": pl.Decimal(18, 6),
}

PARSERS: dict[str, Callable[[str], Any]] = {
    "start": datetime.fromisoformat,
    "duration": int,
    "pdd": float,
    "charge": Decimal,
}

text = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.text(st.sampled_from(STARTERS + "+'\",; a1"), max_size=6),
    st.from_regex(r"\+[0-9]{1,17}", fullmatch=True),
)
instants = st.datetimes(timezones=st.just(UTC))
rows = st.fixed_dictionaries(
    {
        "call_id": st.none() | text,
        "switch": st.none() | text,
        "start": st.none() | instants,
        "duration": st.none() | st.integers(-(2**31), 2**31 - 1),
        "pdd": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "charge": st.none() | st.decimals(-(10**11), 10**11, places=6, allow_nan=False),
    }
)


def frame_of(values: list[dict[str, Any]]) -> pl.DataFrame:
    """Return *values* as a frame of `SCHEMA`."""
    return pl.DataFrame(values, schema=SCHEMA, orient="row")


def texts(*values: str | None) -> pl.DataFrame:
    """Return a frame of one text column."""
    return pl.DataFrame({"source": list(values)}, schema={"source": pl.String})


def written(frames: list[pl.DataFrame], columns: list[str], **options: Any) -> bytes:
    """Return the CSV of *frames*."""
    sink = io.BytesIO()
    count = write_frames(frames, columns, sink, **options)
    assert count == sum(frame.height for frame in frames)
    return sink.getvalue()


def read_back(data: bytes) -> list[list[str]]:
    """Return the cells that the standard library's reader sees; a blank line is one empty cell."""
    return [row or [""] for row in csv.reader(io.StringIO(data.decode("utf-8"), newline=""))]


def is_risky(value: str) -> bool:
    """Say in plain Python whether a spreadsheet could take *value* for a formula."""
    return value[:1] != "" and value[0] in STARTERS + "+" and not re.fullmatch(r"\+[0-9]{1,15}", value)


def raw_cells(data: bytes) -> list[str]:
    """Return the cells of a one-column CSV as they stand, quotes included, without the header."""
    return data.decode("utf-8").removesuffix("\r\n").split("\r\n")[1:]


class TestRoundTrip:
    """Law: a CSV read back equals what was written; null is nothing, an empty text is a pair of quotes."""

    @given(st.lists(rows, max_size=5), st.integers(1, 3))
    @example([{**dict.fromkeys(SCHEMA), "start": datetime.max.replace(tzinfo=UTC)}], 1)
    @example([{**dict.fromkeys(SCHEMA), "start": datetime.min.replace(tzinfo=UTC)}], 1)
    def test_every_cell(self, values: list[dict[str, Any]], pieces: int) -> None:
        """Text, instants, whole numbers, fractions and money all come back equal, in however many frames."""
        frame = frame_of(values)
        parts = [frame[i::pieces] for i in range(pieces)]
        header, *got = read_back(written(parts, list(SCHEMA), guard=False))
        assert header == list(SCHEMA)
        expected = [row for i in range(pieces) for row in values[i::pieces]]
        assert len(got) == len(expected)
        for cells, row in zip(got, expected, strict=True):
            found = dict(zip(SCHEMA, cells, strict=True))
            assert found["call_id"] == (row["call_id"] or "")
            assert found["switch"] == (row["switch"] or "")
            for name, parse in PARSERS.items():
                if row[name] is None:
                    assert found[name] == ""
                else:
                    assert parse(found[name]) == row[name]

    @given(st.lists(st.sampled_from([None, "", "x"]), max_size=6), st.booleans())
    def test_null_is_not_empty(self, values: list[str | None], guard: bool) -> None:
        """A null leaves nothing between the commas; an empty text leaves two quotes."""
        expected = [{None: "", "": '""', "x": "x"}[value] for value in values]
        data = written([texts(*values)], ["source"], guard=guard)
        assert raw_cells(data) == expected


class TestGuard:
    """Law: with the guard on, no text cell starts a formula, and taking the quote away gives the original."""

    @given(
        st.lists(st.none() | text, min_size=1, max_size=8), st.sampled_from([pl.String(), pl.Categorical()])
    )
    def test_no_cell_starts_a_formula(self, values: list[str | None], kind: pl.DataType) -> None:
        """The fast expression agrees with plain Python, cell by cell, for text and dictionary columns."""
        frame = pl.DataFrame({"source": pl.Series(values, dtype=kind)})
        cells = [row[0] for row in read_back(written([frame], ["source"]))[1:]]
        for cell, value in zip(cells, values, strict=True):
            original = value or ""
            assert not is_risky(cell)
            assert cell == ("'" + original if is_risky(original.lstrip("'")) else original)
            assert original == (cell[1:] if cell[:1] == "'" and is_risky(cell.lstrip("'")) else cell)

    @pytest.mark.parametrize("start", list(STARTERS))
    def test_each_starter(self, start: str) -> None:
        """Each character that starts a formula is disarmed, alone and before anything."""
        got = read_back(written([texts(start, start + "1+1")], ["source"]))[1:]
        assert got == [["'" + start], ["'" + start + "1+1"]]

    @pytest.mark.parametrize("value", ["'=1", "''-1", "'+", "'＋44"])
    def test_one_more_mark(self, value: str) -> None:
        """A text that looks disarmed already gets another mark, so that one can always be taken away."""
        assert read_back(written([texts(value)], ["source"]))[1] == ["'" + value]

    @pytest.mark.parametrize(
        ("value", "safe"),
        [
            ("'", True),
            ("'a", True),
            ("'+442079460018", True),
            ("+442079460018", True),
            ("+1", True),
            ("+123456789012345", True),
            ("+1234567890123456", False),
            ("+1-1", False),
            ("+", False),
            ("+1\n", False),
            ("+١٢٣", False),
            ("＋44", False),
            ("+44 20", False),
        ],
    )
    def test_plus(self, value: str, safe: bool) -> None:
        """A plus passes only before 1 to 15 plain digits: `+1-1` is arithmetic."""
        assert read_back(written([texts(value)], ["source"]))[1] == [value if safe else "'" + value]

    def test_numbers_are_not_text(self) -> None:
        """Negative numbers stay numbers."""
        values = {
            "call_id": "a",
            "duration": -5,
            "pdd": -0.5,
            "charge": Decimal("-1.5"),
            "start": None,
            "switch": None,
        }
        assert read_back(written([frame_of([values])], ["duration", "pdd", "charge"]))[1] == [
            "-5",
            "-0.5",
            "-1.500000",
        ]

    def test_off(self) -> None:
        """Without the guard, text is written as it is."""
        assert read_back(written([texts("=1+1")], ["source"], guard=False))[1] == ["=1+1"]

    def test_null_stays_null(self) -> None:
        """What is absent is left alone, in words as in texts."""
        for kind in (pl.String(), pl.Categorical()):
            assert guard_formulas(pl.Series([None, "=1"], dtype=kind)).to_list() == [None, "'=1"]


class TestShape:
    """The form of the file: RFC 4180, in UTC."""

    def test_instants(self) -> None:
        """Instants end in Z, with a fraction only when there is one, whatever the zone of the column."""
        start = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
        instants = [start, start + timedelta(milliseconds=5), start + timedelta(hours=1, microseconds=1)]
        frame = pl.DataFrame({"start": pl.Series(instants, dtype=pl.Datetime("us", "UTC"))})
        expected = ["2026-10-25T00:30:00Z", "2026-10-25T00:30:00.005Z", "2026-10-25T01:30:00.000001Z"]
        for zone in ("UTC", "Europe/London", "Asia/Kathmandu"):
            shown = frame.with_columns(pl.col("start").dt.convert_time_zone(zone))
            assert raw_cells(written([shown], ["start"])) == expected

    def test_bytes(self) -> None:
        """Lines end in CR LF, quotes are doubled, text is UTF-8 and there is no byte order mark."""
        data = written([texts('a"b', "c,d", "e\r\nf", "é")], ["source"])
        assert data == 'source\r\n"a""b"\r\n"c,d"\r\n"e\r\nf"\r\né\r\n'.encode()

    @pytest.mark.parametrize("frames", [[], [frame_of([])]])
    def test_no_rows(self, frames: list[pl.DataFrame]) -> None:
        """The header is there when nothing else is."""
        assert written(frames, ["call_id", "start"]) == b"call_id,start\r\n"

    def test_labels(self) -> None:
        """On request the header shows the labels of the portal, in the order of the columns."""
        data = written([frame_of([])], ["start", "call_id"], headers="labels")
        assert data == b"Call Time,Call ID\r\n"

    def test_unknown_label(self) -> None:
        """A column that is no field has no label."""
        with pytest.raises(UnknownFieldError, match="duratoin"):
            written([], ["duratoin"], headers="labels")

    def test_unknown_headers(self) -> None:
        """Any other word is refused before anything is written."""
        with pytest.raises(ConfigError, match="'none'"):
            written([], ["start"], headers="none")

    def test_text_file(self) -> None:
        """A file opened for text is refused with what to do."""
        with pytest.raises(ConfigError, match="'wb'"):
            write_frames([], ["start"], io.StringIO())  # type: ignore[arg-type]

    @pytest.mark.parametrize("wrapper", [tempfile.NamedTemporaryFile, tempfile.SpooledTemporaryFile])
    def test_wrapped_text_file(self, wrapper: Callable[..., Any]) -> None:
        """A text file in a wrapper of `tempfile` is refused; a binary file in one accepts a CSV."""
        with wrapper(mode="w") as sink, pytest.raises(ConfigError, match="mode 'wb'"):
            write_frames([texts("a")], ["source"], sink)
        with wrapper() as sink:
            assert write_frames([texts("a")], ["source"], sink) == 1
            sink.seek(0)
            assert sink.read() == b"source\r\na\r\n"

    def test_full_pipe_that_does_not_wait(self) -> None:
        """A raw file that takes nothing, as a pipe does that is full and does not block, is an error, not a count."""
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        with (
            open(reading, "rb", buffering=0),
            open(writing, "wb", buffering=0) as sink,
            pytest.raises(StorageError, match="accepts no more bytes.*non-blocking"),
        ):
            write_frames([texts("a" * 100_000, "b" * 100_000)], ["source"], cast(Any, sink))

    def test_sink_that_takes_nothing(self) -> None:
        """One that says so by a zero is not asked for ever."""

        class Stopped(io.RawIOBase):
            def writable(self) -> bool:
                return True

            def write(self, data: Any, /) -> int:
                return 0

        with pytest.raises(StorageError, match="accepts no more bytes"):
            write_frames([texts("a")], ["source"], cast(Any, Stopped()))

    def test_unbuffered_file(self) -> None:
        """A file that takes only a part of each write gets everything."""

        class Slow(io.RawIOBase):
            taken = b""

            def writable(self) -> bool:
                return True

            def write(self, data: Any, /) -> int:
                self.taken += bytes(data[:3])
                return len(data[:3])

        sink: Any = Slow()
        write_frames([texts("abcdef")], ["source"], sink)
        assert sink.taken == b"source\r\nabcdef\r\n"

    def test_sink_without_a_count(self) -> None:
        """A sink whose write returns None, as web responses do, gets everything once."""

        class Response:
            def __init__(self) -> None:
                self.taken = b""

            def write(self, data: bytes) -> None:
                self.taken += data

        sink: Any = Response()
        assert write_frames([texts("a", "b")], ["source"], sink) == 2
        assert sink.taken == b"source\r\na\r\nb\r\n"


class TestStreaming:
    """Pieces for a web response."""

    def big(self) -> pl.DataFrame:
        """Return a frame of more rows than one piece holds, which does not compress well."""
        return texts(*(hashlib.sha256(b"%d" % number).hexdigest() for number in range(20_000)))

    @pytest.mark.parametrize("compression", [None, "gzip", "zstd"])
    def test_same_bytes(self, compression: Compression | None) -> None:
        """The pieces together are what `write_frames` writes, and no piece holds a big frame whole."""
        frames = [self.big(), self.big().head(0), self.big().head(3)]
        pieces = list(iter_csv_frames(frames, ["source"], compression=compression))
        assert b"".join(pieces) == written(frames, ["source"], compression=compression)
        assert len(pieces) > 1
        assert all(pieces)

    @pytest.mark.parametrize("compression", [None, "gzip", "zstd"])
    def test_abandoned(self, compression: Compression | None) -> None:
        """Closing early closes what it reads from, and asks for no further frame."""
        events: list[str] = []
        frame = self.big()

        def frames() -> Iterator[pl.DataFrame]:
            try:
                for number in range(1_000):
                    events.append(str(number))
                    yield frame
            finally:
                events.append("closed")

        pieces = iter_csv_frames(frames(), ["source"], compression=compression)
        assert next(pieces)
        pieces.close()  # type: ignore[attr-defined]  # it is a generator
        assert events == ["0", "closed"]

    def test_nothing_is_read_early(self) -> None:
        """Bad options are refused at once; frames wait for the first piece."""

        def frames() -> Iterator[pl.DataFrame]:
            raise AssertionError("read too early")
            yield

        iter_csv_frames(frames(), ["source"])
        with pytest.raises(ConfigError, match="'brotli'"):
            iter_csv_frames(frames(), ["source"], compression="brotli")  # type: ignore[arg-type]


class TestCompression:
    """gzip and zstd."""

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("a.csv", None),
            ("a.csv.gz", "gzip"),
            ("s3://b/A.CSV.ZST", "zstd"),
            (Path("x/a.gz"), "gzip"),
            ("gz", None),
        ],
    )
    def test_by_suffix(self, path: Any, expected: Compression | None) -> None:
        """The suffix of the path decides."""
        assert compression_of(path) == expected

    @pytest.mark.parametrize("count", [0, 20_000])
    def test_gzip(self, count: int) -> None:
        """The standard library unpacks it, and the same rows always give the same bytes: there is no time in it."""
        frame = texts(*map(str, range(count)))
        packed = written([frame], ["source"], compression="gzip")
        assert gzip.decompress(packed) == written([frame], ["source"])
        assert packed[4:8] == bytes(4)
        assert packed == written([frame], ["source"], compression="gzip")

    @pytest.mark.parametrize("count", [0, 20_000])
    def test_zstd(self, count: int) -> None:
        """Arrow unpacks it."""
        frame = texts(*map(str, range(count)))
        packed = written([frame], ["source"], compression="zstd")
        with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as stream:
            assert stream.read() == written([frame], ["source"])

    @pytest.mark.parametrize("compression", [None, "gzip", "zstd"])
    def test_sink_stays_open(self, compression: Compression | None) -> None:
        """The sink belongs to the caller, who may go on writing."""
        sink: IO[bytes] = io.BytesIO()
        write_frames([texts("a")], ["source"], sink, compression=compression)
        assert not sink.closed

    @pytest.mark.parametrize("compression", ["gzip", "zstd"])
    def test_failure_leaves_no_whole_file(self, compression: Compression) -> None:
        """When a frame fails, the compressed file has no proper end, so nobody takes it for whole."""

        def frames() -> Iterator[pl.DataFrame]:
            yield texts(*map(str, range(100_000)))
            raise OSError("gone")

        sink = io.BytesIO()
        with pytest.raises(OSError, match="gone"):
            write_frames(frames(), ["source"], sink, compression=compression)
        with (
            pytest.raises((OSError, EOFError)),
            pa.CompressedInputStream(pa.BufferReader(sink.getvalue()), compression) as stream,
        ):
            stream.read()
