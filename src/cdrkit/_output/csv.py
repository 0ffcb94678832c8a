"""The CSV writer: RFC 4180, UTF-8, instants in UTC, safe to open in a spreadsheet.

It takes frames and knows nothing of queries. Memory is bounded by one slice of a frame, however many rows
there are.
"""

from __future__ import annotations

import io
import itertools
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Any, Final, Literal, TypeAlias, cast

import polars as pl
import pyarrow as pa

from cdrkit._model import known_field
from cdrkit.errors import ConfigError, StorageError

__all__ = [
    "Collector",
    "Compression",
    "Headers",
    "compression_of",
    "guarded",
    "iter_csv_frames",
    "write_frames",
]

#: How a CSV is compressed.
Compression: TypeAlias = Literal["gzip", "zstd"]
#: What stands in the first line: field names, or the labels that portals show.
Headers: TypeAlias = Literal["names", "labels"]

_ROWS_AT_ONCE: Final = 16_384
_WORKERS: Final = min(os.cpu_count() or 1, 4)
_AHEAD: Final = 2 * _WORKERS  # slices that are held in memory beyond the one that is handed out
_INSTANT: Final = "%Y-%m-%dT%H:%M:%S%.fZ"
_SUFFIXES: Final[dict[str, Compression]] = {".gz": "gzip", ".zst": "zstd"}
# OWASP's list of what starts a formula; spreadsheets read the full-width forms as the plain ones. Behind a plus, all
# but 1 to 15 digits. A text that has the guard's mark before that gets one more: so that whoever takes one away has
# each text as it was. In one pattern: two passes over every text would take as long as writing it.
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
    """Write *frames* as one CSV into *sink*, which stays open, and return how many rows were written.

    Args:
        frames: Tables that hold *columns*. Instants are written in UTC, whatever the zone of their column.
        columns: The columns, in the order to write them.
        sink: A file opened for binary writing, or anything with such a ``write``.
        guard: Whether text that a spreadsheet would run as a formula is disarmed (see `guarded`).
        headers: What stands in the first line, which is written even when there are no rows.
        compression: How to compress; None: not at all.
        header: Whether there is a first line of names; a part that goes behind another has none.

    Raises:
        ConfigError: When *sink* takes text, or *headers* or *compression* is unknown.
        UnknownFieldError: When labels are asked for and a column is no field.
        StorageError: When *sink* takes nothing of what is written.
    """
    # A text file of `tempfile` is wrapped in what is no TextIOBase, but tells of its encoding.
    if isinstance(sink, io.TextIOBase) or (hasattr(sink, "encoding") and hasattr(sink, "errors")):
        raise ConfigError("A CSV is written as bytes, and this file takes text; open it with mode 'wb'.")
    written = _Count()
    chunks = _encoded(frames, list(columns), guard, _header(columns, headers) if header else b"", written)
    for data in _compressed(chunks, compression):
        while data:  # an unbuffered file may take a part only
            taken: int | None = cast(Any, sink).write(data)  # None from web responses: all of it
            if taken == 0 or (taken is None and isinstance(sink, io.RawIOBase)):
                raise StorageError(
                    f"{sink!r} takes nothing of what is written, so the CSV in it is cut off. Is it non-blocking? "
                    "Give a file that waits until it can take more."
                )
            data = b"" if taken is None else data[taken:]
    return written.rows


def iter_csv_frames(
    frames: Iterable[pl.DataFrame],
    columns: Sequence[str],
    *,
    guard: bool = True,
    headers: Headers = "names",
    compression: Compression | None = None,
) -> Iterator[bytes]:
    """Return the bytes that `write_frames` would write, in pieces, as a web response wants them.

    Nothing is read from *frames* before the first piece is asked for. It may be abandoned at any point.

    Raises:
        ConfigError: When *headers* or *compression* is unknown.
        UnknownFieldError: When labels are asked for and a column is no field.
    """
    return _compressed(
        _encoded(frames, list(columns), guard, _header(columns, headers), _Count()), compression
    )


def compression_of(path: str | os.PathLike[str]) -> Compression | None:
    """Return the compression that the suffix of *path* asks for: ``.gz``, ``.zst``, or none."""
    return _SUFFIXES.get(os.path.splitext(os.fspath(path))[1].lower())


def guarded(texts: pl.Series) -> pl.Series:
    """Return *texts* with ``'`` in front of each value that a spreadsheet could take for a formula (CWE-1236).

    That is what starts with ``=``, ``+``, ``-``, ``@`` (full-width forms too), a tab, CR, LF or NUL; but not
    ``+`` and 1 to 15 digits, which is how a telephone number is written. A text that has ``'`` in front of such a start
    already gets another one: taking one away gives every text back.
    """
    if texts.dtype != pl.String():
        if not texts.unique().cast(pl.String).str.contains(_FORMULA).any():
            return texts
        texts = texts.cast(pl.String)
    rows = texts.str.contains(_FORMULA).arg_true()
    return texts.clone().scatter(rows, "'" + texts.gather(rows)) if len(rows) else texts


class _Count:
    """How many rows went out: what a generator cannot return to who only takes its pieces."""

    rows = 0


def _encoded(
    frames: Iterable[pl.DataFrame], columns: list[str], guard: bool, header: bytes, written: _Count
) -> Iterator[bytes]:
    parts = (part for frame in frames for part in frame.select(columns).iter_slices(_ROWS_AT_ONCE))
    for part, text in _at_once((part for part in parts if part.height), lambda part: _text(part, guard)):
        yield header + text
        header = b""
        written.rows += part.height
    if header:
        yield header


def _text(part: pl.DataFrame, guard: bool) -> bytes:
    return _rows(pl.DataFrame([_cells(column, guard) for column in part]), header=False)


def _at_once(
    parts: Iterator[pl.DataFrame], work: Callable[[pl.DataFrame], bytes]
) -> Iterator[tuple[pl.DataFrame, bytes]]:
    """Yield each of *parts* with what *work* makes of it, in their order; a few are worked on at the same time."""
    first = next(parts, None)
    if first is None:
        return
    yield first, work(first)  # at once, before anything is read ahead
    second = next(parts, None)
    third = next(parts, None)
    if second is None or third is None:  # threads would cost more than they save
        yield from ((part, work(part)) for part in (second,) if part is not None)
        return
    under_way: deque[tuple[pl.DataFrame, Future[bytes]]] = deque()
    pool = ThreadPoolExecutor(_WORKERS)  # made for each CSV: one that is kept would not survive a fork
    try:
        for part in itertools.chain((second, third), parts):
            under_way.append((part, pool.submit(work, part)))
            if len(under_way) > _AHEAD:
                ready, text = under_way.popleft()
                yield ready, text.result()
        for ready, text in under_way:
            yield ready, text.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _header(columns: Sequence[str], headers: Headers) -> bytes:
    if headers == "labels":
        columns = [known_field(name).label for name in columns]
    elif headers != "names":
        raise ConfigError(f"headers cannot be {headers!r}; give 'names' or 'labels'.")
    return _rows(pl.DataFrame(schema=dict.fromkeys(columns, pl.String)), header=True)


def _rows(frame: pl.DataFrame, *, header: bool) -> bytes:
    buffer = io.BytesIO()
    frame.write_csv(buffer, include_header=header, line_terminator="\r\n", datetime_format=_INSTANT)
    return buffer.getvalue()


def _cells(column: pl.Series, guard: bool) -> pl.Series:
    if isinstance(column.dtype, pl.Datetime):
        # Without its zone, which the format says: writing is a fifth quicker than where Polars looks it up.
        return column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if guard and isinstance(column.dtype, (pl.String, pl.Categorical, pl.Enum)):
        return guarded(column)
    return column


def _compressed(chunks: Iterator[bytes], compression: Compression | None) -> Iterator[bytes]:
    if compression is None:
        return chunks
    if compression == "gzip":
        return _gzip(chunks)
    if compression == "zstd":
        return _zstd(chunks)
    raise ConfigError(f"compression cannot be {compression!r}; give 'gzip', 'zstd' or None.")


def _gzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    # Arrow's gzip is fixed at level 9: five times slower than level 6 for 4 % less. Its header holds no time.
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
    """A file that cannot seek, and hands on what was written into it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)
