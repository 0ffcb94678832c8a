"""CSV output: RFC 4180, UTF-8, instants in UTC, and a guard against formulas.

A formula is text that a spreadsheet would run.

The input is data frames. The writer holds a few slices of a frame in memory, however many rows the CSV has.
"""

from __future__ import annotations

import io
import itertools
import os
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Any, Final, Literal, TypeAlias, cast

import polars as pl
import pyarrow as pa

from cdrkit._model import find_field
from cdrkit.errors import ConfigError, StorageError

__all__ = [
    "Collector",
    "Compression",
    "Headers",
    "check_csv_suffix",
    "compression_of",
    "guard_formulas",
    "iter_csv_frames",
    "write_frames",
]

#: How a CSV is compressed.
Compression: TypeAlias = Literal["gzip", "zstd"]
#: The kind of names in the first line: field names, or the labels that portals show.
Headers: TypeAlias = Literal["names", "labels"]

_ROWS_AT_ONCE: Final = 16_384
_WORKERS: Final = min(os.cpu_count() or 1, 4)
_AHEAD: Final = 2 * _WORKERS  # slices in memory beyond the one that the caller has
_INSTANT: Final = "%Y-%m-%dT%H:%M:%S%.fZ"
_SUFFIXES: Final[dict[str, Compression]] = {".gz": "gzip", ".zst": "zstd"}
_CSV_NAMES: Final = ".csv, .csv.gz or .csv.zst"
#: A suffix that looks like a format; digits, as in ``calls-2026.11.22``, do not.
_FORMAT_SUFFIX: Final = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,9}", re.ASCII)
# OWASP's list of characters that start a formula; spreadsheets read the full-width forms as the plain ones. A plus
# starts a formula unless 1 to 15 digits and nothing else follow. A text with the guard's apostrophe in front of such
# a start gets one more apostrophe, so that removing one restores every text. The pattern is a single one, because
# two passes over every text would take as long as writing it.
_FORMULA: Final = r"^'*(?:[=\-@\t\r\n\x00＝＋－＠]|\+(?:$|[0-9]{0,15}[^0-9]|[0-9]{16}))"


def write_frames(
    frames: Iterable[pl.DataFrame],
    columns: Sequence[str],
    sink: IO[bytes],
    *,
    guard: bool = True,
    headers: Headers = "names",
    compression: Compression | None = None,
    header: bool = True,
) -> int:
    """Write *frames* as one CSV to *sink*, and return the number of rows.

    *sink* stays open.

    Args:
        frames: Tables that have *columns*. The CSV has instants in UTC, whatever their column's time zone.
        columns: The columns, in the order to write them.
        sink: A file opened for binary writing, or another object with such a ``write`` method.
        guard: Put ``'`` in front of text that a spreadsheet would run as a formula (see `guard_formulas`).
        headers: ``names`` or ``labels`` of the columns for the first line. This line is written even if the CSV has no
            rows.
        compression: ``gzip``, ``zstd``, or None for plain text.
        header: Write the first line of names. Set it to False for a part that is appended to another CSV.

    Raises:
        ConfigError: When *sink* is a text file, or *headers* or *compression* is unknown.
        UnknownFieldError: When *headers* is ``labels`` and a column is not a field.
        StorageError: When *sink* accepts none of the bytes written to it.
    """
    # A text file of `tempfile` is wrapped in an object that is not a TextIOBase, but has its attributes.
    if isinstance(sink, io.TextIOBase) or (hasattr(sink, "encoding") and hasattr(sink, "errors")):
        raise ConfigError("A CSV is written as bytes, but this is a text file. Open it with mode 'wb'.")
    written = _RowCount()
    chunks = _encode(frames, list(columns), guard, _header(columns, headers) if header else b"", written)
    for data in _compress(chunks, compression):
        while data:  # an unbuffered file may accept only a part
            accepted: int | None = cast(Any, sink).write(data)  # web responses return None for all bytes
            if accepted == 0 or (accepted is None and isinstance(sink, io.RawIOBase)):
                raise StorageError(
                    f"{sink!r} accepts no more bytes, so the CSV is incomplete. The file may be non-blocking. "
                    "Give a file that blocks until it can accept more bytes."
                )
            data = b"" if accepted is None else data[accepted:]
    return written.rows


def iter_csv_frames(
    frames: Iterable[pl.DataFrame],
    columns: Sequence[str],
    *,
    guard: bool = True,
    headers: Headers = "names",
    compression: Compression | None = None,
) -> Iterator[bytes]:
    """Return the bytes of a CSV in pieces, for a web response.

    The pieces contain the same bytes that `write_frames` writes. Reading starts when the caller requests the first
    piece. The caller may stop the iteration at any point.

    Raises:
        ConfigError: When *headers* or *compression* is unknown.
        UnknownFieldError: When *headers* is ``labels`` and a column is not a field.
    """
    return _compress(
        _encode(frames, list(columns), guard, _header(columns, headers), _RowCount()), compression
    )


def compression_of(path: str | os.PathLike[str]) -> Compression | None:
    """Return the compression for the suffix of *path*, or None.

    The suffix ``.gz`` stands for gzip, and ``.zst`` stands for zstd.
    """
    return _SUFFIXES.get(os.path.splitext(os.fspath(path))[1].lower())


def check_csv_suffix(path: str | os.PathLike[str]) -> None:
    """Raise an error if *path* has the suffix of a format other than CSV.

    Raises:
        ConfigError: When the name ends like a file of another format, such as ``.parquet`` or ``.csv.zip``.
    """
    name = os.path.basename(os.fspath(path))
    stem, suffix = os.path.splitext(name)
    if suffix.lower() in _SUFFIXES:
        suffix = os.path.splitext(stem)[1]
    if suffix.lower() != ".csv" and _FORMAT_SUFFIX.fullmatch(suffix):
        raise ConfigError(
            f"{name!r} is not the name of a CSV file. Use the suffix {_CSV_NAMES}, or no suffix."
        )


def guard_formulas(texts: pl.Series) -> pl.Series:
    """Return *texts* with ``'`` before each text that may be a formula (CWE-1236).

    A spreadsheet could run such a value. A value is a possible formula if it starts with ``=``, ``+``, ``-``, ``@``
    (or their full-width forms), a tab, CR, LF or NUL. A plus with 1 to 15 digits is a telephone number and stays
    unchanged. A possible formula that already has ``'`` in front gets one more, so that removing one apostrophe
    restores the original value.
    """
    if texts.dtype != pl.String():
        if not texts.unique().cast(pl.String).str.contains(_FORMULA).any():
            return texts
        texts = texts.cast(pl.String)
    rows = texts.str.contains(_FORMULA).arg_true()
    return texts.clone().scatter(rows, "'" + texts.gather(rows)) if len(rows) else texts


class _RowCount:
    """A counter of written rows, shared by a generator and its caller."""

    def __init__(self) -> None:
        self.rows = 0


def _encode(
    frames: Iterable[pl.DataFrame], columns: list[str], guard: bool, header: bytes, written: _RowCount
) -> Iterator[bytes]:
    parts = (part for frame in frames for part in frame.select(columns).iter_slices(_ROWS_AT_ONCE))
    for part, text in _map_in_order((part for part in parts if part.height), lambda part: _text(part, guard)):
        yield header + text
        header = b""
        written.rows += part.height
    if header:
        yield header


def _text(part: pl.DataFrame, guard: bool) -> bytes:
    return _rows(pl.DataFrame([_cells(column, guard) for column in part]), header=False)


def _map_in_order(
    parts: Iterator[pl.DataFrame], work: Callable[[pl.DataFrame], bytes]
) -> Iterator[tuple[pl.DataFrame, bytes]]:
    """Yield each part and the result of *work(part)*, in the order of *parts*.

    Parallel threads compute a few results ahead.
    """
    first = next(parts, None)
    if first is None:
        return
    yield first, work(first)  # before any other part is read
    second = next(parts, None)
    third = next(parts, None)
    if second is None or third is None:  # threads would cost more than they save
        yield from ((part, work(part)) for part in (second,) if part is not None)
        return
    pending: deque[tuple[pl.DataFrame, Future[bytes]]] = deque()
    pool = ThreadPoolExecutor(_WORKERS)  # one for each CSV: threads do not survive a fork
    try:
        for part in itertools.chain((second, third), parts):
            pending.append((part, pool.submit(work, part)))
            if len(pending) > _AHEAD:
                ready, text = pending.popleft()
                yield ready, text.result()
        for ready, text in pending:
            yield ready, text.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _header(columns: Sequence[str], headers: Headers) -> bytes:
    if headers == "labels":
        columns = [find_field(name).label for name in columns]
    elif headers != "names":
        raise ConfigError(f"headers={headers!r} is not supported. Give 'names' or 'labels'.")
    return _rows(pl.DataFrame(schema=dict.fromkeys(columns, pl.String)), header=True)


def _rows(frame: pl.DataFrame, *, header: bool) -> bytes:
    buffer = io.BytesIO()
    frame.write_csv(buffer, include_header=header, line_terminator="\r\n", datetime_format=_INSTANT)
    return buffer.getvalue()


def _cells(column: pl.Series, guard: bool) -> pl.Series:
    if isinstance(column.dtype, pl.Datetime):
        # The format itself writes Z. Without a zone in the type, Polars writes a fifth faster.
        return column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if guard and isinstance(column.dtype, (pl.String, pl.Categorical, pl.Enum)):
        return guard_formulas(column)
    return column


def _compress(chunks: Iterator[bytes], compression: Compression | None) -> Iterator[bytes]:
    if compression is None:
        return chunks
    if compression == "gzip":
        return _gzip(chunks)
    if compression == "zstd":
        return _zstd(chunks)
    raise ConfigError(f"compression={compression!r} is not supported. Give 'gzip', 'zstd' or None.")


def _gzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    # Arrow's gzip uses level 9: five times slower than level 6, and 4 % smaller. The gzip header has no time.
    packer = zlib.compressobj(6, wbits=31)
    for chunk in chunks:
        if packed := packer.compress(chunk):
            yield packed
    yield packer.flush()


def _zstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    collected = Collector()
    packer = pa.CompressedOutputStream(pa.PythonFile(collected, mode="w"), "zstd")
    for chunk in chunks:
        packer.write(chunk)
        if packed := collected.take():
            yield packed
    packer.close()
    yield collected.take()


class Collector(io.RawIOBase):
    """A write-only file in memory.

    `take` returns the content written so far, and clears the file.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def take(self) -> bytes:
        """Return the content written so far, and clear the file."""
        parts, self._parts = self._parts, []
        return b"".join(parts)
