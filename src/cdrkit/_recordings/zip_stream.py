"""Recordings of many calls as one ZIP that streams, with a manifest of what is in it and what is not."""

from __future__ import annotations

import hashlib
import io
import posixpath
import zipfile
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, Final

import polars as pl

from cdrkit._model import CallRecord
from cdrkit._output import Collector, write_frames
from cdrkit._recordings.recording import Recording
from cdrkit.errors import RecordingNotFoundError, ScopeError

__all__ = ["zipped"]

_MANIFEST: Final = "manifest.csv"
_COLUMNS: Final[dict[str, pl.DataType]] = {
    "file": pl.String(),
    "call_id": pl.String(),
    "start": pl.Datetime("us", "UTC"),
    "state": pl.String(),
    "size_bytes": pl.Int64(),
    "duration": pl.Float64(),
    "sha256": pl.String(),
}
_NO_EARLIER: Final = (1980, 1, 1, 0, 0, 0)  # what a ZIP can say
_LARGE: Final = 1 << 31


def zipped(records: Iterable[CallRecord], find: Callable[[CallRecord], Recording]) -> Iterator[bytes]:
    """Yield a ZIP of the recordings that *find* finds, uncompressed, in folders by UTC day, piece by piece.

    The last file in it is ``manifest.csv``: a line for each recording, with its state, its length and the SHA-256 of
    its bytes. What is missing, or lies outside of the root, has a line and no file; what is empty or incomplete is
    there as it is. A call that names none is left out. Memory holds a block of a recording, and a line for each.
    """
    sink = Collector()
    lines: list[dict[str, Any]] = []
    names: set[str] = set()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for record in records:
            line: dict[str, Any] = {"call_id": record.call_id, "start": record.start}
            try:
                recording = find(record)
            except RecordingNotFoundError:
                continue
            except ScopeError:
                lines.append(line | {"state": "refused"})
                continue
            lines.append(line)
            try:
                line["state"] = recording.state
                answer = recording.respond(download=True)
            except RecordingNotFoundError:
                continue
            except ScopeError:
                line["state"] = "refused"
                continue
            line["duration"] = recording.duration
            line["file"] = _free(f"{record.start:%Y-%m-%d}/{recording.file_name}", names)
            about = zipfile.ZipInfo(line["file"], _stamp(record.start))
            about.external_attr = 0o600 << 16
            summed, size = hashlib.sha256(), 0
            with archive.open(about, "w", force_zip64=recording.size_bytes >= _LARGE) as entry:
                for block in answer.body:
                    summed.update(block)
                    size += len(block)
                    entry.write(block)
                    yield sink.take()
            line |= {"size_bytes": size, "sha256": summed.hexdigest()}
            yield sink.take()
        archive.writestr(zipfile.ZipInfo(_MANIFEST, _NO_EARLIER), _manifest(lines))
    yield sink.take()


def _free(name: str, names: set[str]) -> str:
    """Return *name*, or with a number where another call has it already."""
    stem, suffix = posixpath.splitext(name)
    number = 1
    while name in names:
        number += 1
        name = f"{stem}-{number}{suffix}"
    names.add(name)
    return name


def _stamp(start: datetime) -> tuple[int, int, int, int, int, int]:
    stamp = (start.year, start.month, start.day, start.hour, start.minute, start.second)
    return min(max(stamp, _NO_EARLIER), (2107, 12, 31, 23, 59, 58))


def _manifest(lines: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    write_frames([pl.DataFrame(lines, schema=_COLUMNS)], list(_COLUMNS), buffer)
    return buffer.getvalue()
