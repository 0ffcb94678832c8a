"""ZIP streams: the recordings of many calls, with a manifest."""

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

__all__ = ["stream_zip"]

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
_NO_EARLIER: Final = (1980, 1, 1, 0, 0, 0)  # the earliest time of the ZIP format
_LARGE: Final = 1 << 31


def stream_zip(records: Iterable[CallRecord], find: Callable[[CallRecord], Recording]) -> Iterator[bytes]:
    """Yield the blocks of a ZIP file that contains the recordings of *records*.

    The ZIP contains the recordings without compression, in one folder per UTC day. Its last file is ``manifest.csv``,
    which has one line per recording with state, size, duration and SHA-256. A recording that is missing or outside the
    root has a line but no file. Empty or incomplete recordings are included unchanged. A call without a recording has
    no line. Only one block of a recording and the manifest lines are in memory.

    Args:
        records: The calls.
        find: The function that returns the recording of a call.
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
            line["file"] = _unique_name(f"{record.start:%Y-%m-%d}/{recording.file_name}", names)
            about = zipfile.ZipInfo(line["file"], _stamp(record.start))
            about.external_attr = 0o600 << 16
            digest, size = hashlib.sha256(), 0
            with archive.open(about, "w", force_zip64=recording.size_bytes >= _LARGE) as entry:
                for block in answer.body:
                    digest.update(block)
                    size += len(block)
                    entry.write(block)
                    yield sink.take()
            line |= {"size_bytes": size, "sha256": digest.hexdigest()}
            yield sink.take()
        archive.writestr(zipfile.ZipInfo(_MANIFEST, _NO_EARLIER), _manifest(lines))
    yield sink.take()


def _unique_name(name: str, names: set[str]) -> str:
    """Return a name that is not in *names*, and add it to *names*.

    The result is *name*, with a number added if *names* already contains *name*.
    """
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
