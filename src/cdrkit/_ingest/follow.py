"""Following a file that grows: new rows as they come, through rotation and restarts, each of them once.

How far a file was taken is kept in the commit that stored its rows. It says so by content, not by name or inode: how
many bytes, and a digest of some of them. So a file is known again after it was renamed, truncated or compressed.
Rows of calls that are still open are kept there, too, and read again with what comes later, of whichever file.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import json
import logging
import os
import re
import time
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from typing import IO, Any, Final

import attrs

from cdrkit._files import is_url
from cdrkit._ingest.ingest import IngestReport, Tally
from cdrkit._model import empty_frame
from cdrkit.errors import ConfigError, SchemaError, StorageError
from cdrkit.sources import JoiningSource, Reject, Source, SourceBatch, SourceInput, decompressed
from cdrkit.storage.append import Append

__all__ = ["Position", "follow"]

_log: Final = logging.getLogger("cdrkit")
#: How much of the file goes into one commit; but what is read as a whole or not at all may be longer.
_CHUNK_BYTES: Final = 8 << 20
_WHOLE_BYTES: Final = 256 << 20
#: How much of open calls is kept; each commit has it.
_OPEN_BYTES: Final = 1 << 20
_KEPT: Final = "kept"
_MARK_BYTES: Final = 1024
_PACKED: Final = (".gz", ".zst", ".xz", ".bz2")
_ROTATED: Final = re.compile(r"[.\-_]?\d.*", re.ASCII)


@attrs.frozen
class Open:
    """Calls that wait for rows that come later.

    Attributes:
        header: The lines on top that their rows are read by.
        calls: Of each, the line that it began on, how many rows it has, and those.
    """

    header: str = ""
    calls: tuple[tuple[int, int, str], ...] = ()

    @property
    def rows(self) -> int:
        """How many rows they have."""
        return sum(rows for _, rows, _ in self.calls)

    @property
    def lines(self) -> bytes:
        """All rows, below the lines on top."""
        texts = [*([self.header] if self.header else []), *(text for _, _, text in self.calls), ""]
        return _raw("\n".join(texts))

    def began(self, line: int) -> int:
        """Return on which line of its file the call began that is on *line* of `lines`."""
        starts = [_height(self.header) + 1]
        for _, _, text in self.calls:
            starts.append(starts[-1] + _height(text))
        return self.calls[bisect_right(starts, line) - 1][0]

    @classmethod
    def from_text(cls, text: str) -> Open:
        """Return what `to_text` wrote."""
        header, calls = json.loads(zlib.decompress(base64.b64decode(text)))
        return cls(header, tuple((row, rows, text) for row, rows, text in calls))

    def to_text(self) -> str:
        """Return it as a short text."""
        return base64.b64encode(zlib.compress(json.dumps([self.header, self.calls]).encode())).decode()


@attrs.frozen(kw_only=True)
class Position:
    """How far a file was taken.

    Attributes:
        offset: Bytes, of the file as it was written.
        lines: Lines in them.
        mark: A digest of the file's first bytes and of those before the offset; it tells the file.
        header: The lines on top that the rows are read by, such as the one of names, without the last one's end.
        open: Calls that wait for more rows.
    """

    offset: int = 0
    lines: int = 0
    mark: str = ""
    header: str = ""
    open: Open = Open()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Position:
        """Return the position that `to_dict` wrote."""
        known = {a.name: data[a.name] for a in attrs.fields(cls) if a.name in data}
        if "header_hex" in data:
            known["header"] = bytes.fromhex(data["header_hex"]).decode("utf-8", "surrogateescape")
        if "open" in data:
            known["open"] = Open.from_text(data["open"])
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the lines on top as hexadecimal digits, where they are no UTF-8."""
        data: dict[str, Any] = {"offset": self.offset, "lines": self.lines, "mark": self.mark}
        raw = _raw(self.header)
        try:
            data["header"] = raw.decode()
        except UnicodeDecodeError:
            data["header_hex"] = raw.hex()
        return data | ({"open": self.open.to_text()} if self.open.calls else {})


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _height(text: str) -> int:
    """Return how many lines *text* is; nothing is none."""
    return text.count("\n") + 1 if text else 0


@attrs.define
class _File:
    """A file that is read from a position on."""

    name: str
    stream: IO[bytes]
    head: bytes
    tail: bytes

    def advance(self, taken: bytes) -> None:
        """Note that *taken* was read."""
        self.head = (self.head + taken[:_MARK_BYTES])[:_MARK_BYTES]
        self.tail = (self.tail + taken[-_MARK_BYTES:])[-_MARK_BYTES:]

    @property
    def mark(self) -> str:
        return blake2b(self.head + b"|" + self.tail, digest_size=16).hexdigest()


def follow(
    path: str | os.PathLike[str],
    source: Source,
    start: Callable[[str], tuple[str, Mapping[str, Any]]],
    append: Callable[[], Append],
    *,
    format: str,
    on_reject: str,
    poll: float,
    wait: bool,
) -> Iterator[IngestReport]:
    """Yield a report for each piece of *path* that was stored.

    Args:
        path: The file, on the local disk.
        source: What reads it.
        start: Returns the key of a file, and how far it was taken.
        append: Begins an append.
        format: The source's name.
        on_reject: ``report`` rows that cannot be taken, or ``raise`` at the first one.
        poll: Seconds between two looks.
        wait: Whether to go on for ever.

    Raises:
        ConfigError: When the file or the wait cannot be.
        SchemaError: When nothing of the file was taken yet, and it is not of this format; or a row is rejected and
            that is to be raised.
        StorageError: When it cannot be read, or nothing can be stored.
    """
    text = os.fspath(path)
    if not isinstance(text, str) or is_url(text):
        raise ConfigError(
            f"{path!r} cannot be followed: only files of this machine grow. Ingest it again instead."
        )
    if isinstance(poll, bool) or not isinstance(poll, (int, float)) or not 0 < poll < 3600:
        raise ConfigError(f"poll cannot be {poll!r}; give seconds, such as 1.0.")
    text = os.path.abspath(text)
    key, known = start(text)
    tally = functools.partial(
        Tally, format=format, on_reject=on_reject, refused="None of these rows was stored."
    )
    tally(text)  # refuses an option that cannot work, before anything is read
    follower = _Follower(text, key, source, append, tally, Position.from_dict(known), bool(known))
    while True:
        before = follower.place
        yield from follower.look()
        if follower.place == before:
            if not wait:
                return
            time.sleep(poll)


@attrs.define
class _Follower:
    path: str
    key: str
    source: Source
    append: Callable[[], Append]
    tally: Callable[[str], Tally]
    place: Position
    known: bool  # whether something of it was ever taken
    lost: Position | None = None  # of which nothing more was found
    noted: str = ""  # why the beginning of a file cannot be read
    waiting: int = 0  # bytes that were looked at, and wait for more

    def look(self) -> Iterator[IngestReport]:
        """Take what there is."""
        with contextlib.ExitStack() as stack:
            try:
                stream = stack.enter_context(open(self.path, "rb"))
            except FileNotFoundError:
                return  # between two files
            except OSError as exc:
                raise StorageError(f"Cannot read {self.path}: {exc.strerror}.", url=self.path) from exc
            current = self._resumed(stream, self.path)
            if current is None:
                yield from self._rotated()
                stream.seek(0)
                yield from self._begun(_File(self.path, stream, b"", b""), is_whole=False)
            else:
                yield from self._take(current, is_whole=False)

    def _begun(self, file: _File, *, is_whole: bool) -> Iterator[IngestReport]:
        """Take *file* from its beginning; where nothing can be taken yet, the file before is what was followed."""
        before = self.place
        self.place, self.waiting = Position(open=before.open), 0
        yield from self._take(file, is_whole=is_whole)
        if not self.place.offset:
            self.place = before

    def _resumed(self, stream: IO[bytes], name: str) -> _File | None:
        """Return *stream* as the file of the position, read up to there; None when it is another file."""
        place = self.place
        try:
            head = _read(stream, min(place.offset, _MARK_BYTES))
            tail = b""
            if place.offset > 0:
                begin = max(place.offset - _MARK_BYTES, 0)
                if stream.seekable():
                    stream.seek(begin)
                else:
                    for at in range(len(head), begin, _CHUNK_BYTES):
                        _read(stream, min(_CHUNK_BYTES, begin - at))
                tail = (
                    _read(stream, place.offset - begin)
                    if stream.seekable()
                    else self._rest(stream, head, begin)
                )
        except OSError as exc:
            raise StorageError(f"Cannot read {name}: {exc.strerror or exc}.", url=name) from exc
        found = _File(name, stream, head, tail)
        return found if not place.offset or found.mark == place.mark else None

    def _rest(self, stream: IO[bytes], head: bytes, begin: int) -> bytes:
        """Return what is before the position, of a stream that cannot seek and gave *head* already."""
        overlap = head[begin:]
        return overlap + _read(stream, self.place.offset - begin - len(overlap))

    def _rotated(self) -> Iterator[IngestReport]:
        """Take what is left of the file that was followed, wherever it is now, and the files between it and ours."""
        candidates = sorted(self._siblings())
        # A compressed one may be in the making as long as the plain one is there.
        for modified, name in sorted(candidates, key=lambda found: (found[1].endswith(_PACKED), -found[0])):
            with contextlib.ExitStack() as stack:
                file = self._reopened(name, stack)
                found = None if file is None else self._resumed(file, name)
                if found is None:
                    continue
                yield from self._take(found, is_whole=True)
            for later, other in candidates:
                if later > modified and _ROTATED.fullmatch(other.removeprefix(self.path)):
                    with contextlib.ExitStack() as stack:
                        file = self._reopened(other, stack)
                        if file is not None:
                            yield from self._begun(_File(other, file, b"", b""), is_whole=True)
            return
        if self.place != self.lost:
            self.lost = self.place
            _log.warning(
                "%s was replaced, and what it was before is nowhere beside it: rows after byte %d may be missing. "
                "Ingest the old file once, if it is somewhere.",
                self.path,
                self.place.offset,
            )

    def _siblings(self) -> Iterator[tuple[int, str]]:
        folder, base = os.path.split(self.path)
        stem = base.partition(".")[0]
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name != base and entry.name.startswith(stem):
                    with contextlib.suppress(OSError):  # gone meanwhile
                        if entry.is_file():
                            yield entry.stat().st_mtime_ns, entry.path

    @staticmethod
    def _reopened(name: str, stack: contextlib.ExitStack) -> IO[bytes] | None:
        try:
            file = stack.enter_context(open(name, "rb"))  # noqa: SIM115  # the stack closes it
        except OSError:
            return None  # gone meanwhile, or not ours
        return decompressed(file, name)

    # -- taking -------------------------------------------------------------------------------------------------

    def _take(self, file: _File, *, is_whole: bool) -> Iterator[IngestReport]:
        """Take *file* from the position on; *is_whole*: nothing will be added to it any more."""
        ahead, size = b"", _CHUNK_BYTES
        while True:
            chunk = ahead + _read(file.stream, size - len(ahead))
            at_end = len(chunk) < size
            lines = chunk if is_whole and at_end else chunk[: chunk.rfind(b"\n") + 1]
            if not lines:
                if not at_end:
                    raise SchemaError(f"{file.name}: a line is longer than {size >> 20} MiB.")
                return
            if at_end and len(lines) == self.waiting and not is_whole:
                return  # looked at already
            taken, report = self._stored(file, lines, at_end=at_end, is_last=at_end and not is_whole)
            if report is not None:
                yield report
            if not taken and not at_end:
                ahead, size = chunk, size * 2
                continue
            self.waiting = len(lines) - taken
            if not taken:
                return
            ahead, size = chunk[taken:], _CHUNK_BYTES
            if at_end and (taken == len(lines) or not is_whole):
                return

    def _stored(
        self, file: _File, lines: bytes, *, at_end: bool, is_last: bool
    ) -> tuple[int, IngestReport | None]:
        """Store the calls of *lines*; return how many bytes of them need not be read again, and the report.

        Args:
            file: The file.
            lines: What was read of it.
            at_end: Whether it has no more.
            is_last: Whether it has no more, and may yet get more.
        """
        try:
            batches = list(self._read(lines))
        except SchemaError as exc:
            goes_on = is_last or (not at_end and len(lines) < _WHOLE_BYTES)
            if (exc.row is None and goes_on) or (is_last and self.known):
                self._note(file, exc)
                return 0, None  # the next lines may tell what these are
            if not self.known:
                raise SchemaError(f"{file.name}: {exc}", field=exc.field, row=exc.row) from exc
            batches = [self._refused(lines, exc)]
        taken = len(lines)
        if is_last:
            batches, taken = _without_last(batches, lines)
            if sum(batch.read for batch in batches) <= self.place.open.rows:
                return 0, None  # lines on top
        return taken, self._committed(file, lines[:taken], batches)

    def _note(self, file: _File, exc: SchemaError) -> None:
        """Say once that the beginning of *file*, which came after another one, cannot be read."""
        if self.known and not self.place.offset and exc.row is not None and self.noted != str(exc):
            self.noted = str(exc)
            _log.warning("%s: %s It is looked at again when there is more of it.", file.name, exc)

    def _refused(self, lines: bytes, exc: SchemaError) -> SourceBatch:
        """Return *lines*, of which not one can be taken, as rejects."""
        rows = enumerate(lines.removesuffix(b"\n").split(b"\n"), self.place.lines + 1)
        rejects = (
            Reject(row, str(exc), raw.decode("utf-8", "surrogateescape")) for row, raw in rows if raw.strip()
        )
        return SourceBatch(frame=empty_frame(("call_id", "start")), rejects=tuple(rejects))

    def _read(self, lines: bytes) -> Iterator[SourceBatch]:
        """Yield what the source reads in *lines*, its rows counted from the beginning of the file."""
        place = self.place
        stream = io.BytesIO((_raw(place.header) + b"\n" if place.header else b"") + lines)
        shift = place.lines - _height(place.header)
        if isinstance(self.source, JoiningSource):
            inputs = [SourceInput(name="", stream=stream)]
            if place.open.calls:
                inputs.insert(0, SourceInput(name=_KEPT, stream=io.BytesIO(place.open.lines)))
            batches = self.source.read_all(inputs)
        else:
            batches = self.source(stream)
        for batch in batches:
            yield attrs.evolve(
                batch,
                rejects=tuple(attrs.evolve(reject, row=reject.row + shift) for reject in batch.rejects),
                held_back=tuple(
                    attrs.evolve(
                        call, row=place.open.began(call.row) if call.input == _KEPT else call.row + shift
                    )
                    for call in batch.held_back
                ),
            )

    def _open(self, file: _File, batches: list[SourceBatch], header: str) -> Open:
        """Return the calls of *batches* that wait for more rows, which *header* is above; the oldest are first."""
        held = [call for batch in batches for call in batch.held_back if call.text]
        held.sort(key=lambda call: call.input != _KEPT)
        kept = [call for call in held if call.input != _KEPT or header == self.place.open.header]
        size = sum(len(call.text) for call in kept)
        while size > _OPEN_BYTES:
            size -= len(kept.pop(0).text)
        if len(kept) < len(held):
            first = next(call for call in held if call not in kept)
            _log.warning(
                "%s: %d calls are not waited for any longer, the first of them %s from row %d on. "
                "Ingest the files that have their rows once, together.",
                file.name,
                len(held) - len(kept),
                first.call,
                first.row,
            )
        return Open(header, tuple((call.row, call.rows, call.text) for call in kept))

    def _committed(self, file: _File, taken: bytes, batches: list[SourceBatch]) -> IngestReport:
        tally = self.tally(file.name)
        file.advance(taken)
        header = self.place.header or next((batch.header for batch in batches[::-1] if batch.header), "")
        waiting = self._open(file, batches, header)
        with self.append() as append:
            for batch in batches:
                held = tuple(attrs.evolve(call, input="") for call in batch.held_back)
                append.add(tally.count(attrs.evolve(batch, held_back=held)))
            place = Position(
                offset=self.place.offset + len(taken),
                lines=self.place.lines + taken.count(b"\n"),
                mark=file.mark,
                header=header,
                open=waiting,
            )
            facts = {"positions": {self.key: place.to_dict()}} if taken else {}
            done = append.commit({**tally.facts(), **facts})
        self.place, self.known = place, True
        return tally.report(done)


def _without_last(batches: list[SourceBatch], lines: bytes) -> tuple[list[SourceBatch], int]:
    """Return *batches* and how much of *lines* they are, without a reject at their end: it may not be all there."""
    last = max(
        (reject for batch in batches for reject in batch.rejects), key=lambda one: one.row, default=None
    )
    if last is None:
        return batches, len(lines)
    text = last.text.encode("utf-8", "surrogateescape")
    for end in (b"\n", b"\r\n"):
        if text and lines.endswith(text + end):
            kept = [
                attrs.evolve(batch, rejects=tuple(reject for reject in batch.rejects if reject is not last))
                for batch in batches
            ]
            return kept, len(lines) - len(text) - len(end)
    return batches, len(lines)


def _read(stream: IO[bytes], size: int) -> bytes:
    parts: list[bytes] = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
