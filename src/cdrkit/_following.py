"""Following a file that grows: new rows as they come, through rotation and restarts, each of them once.

How far a file was taken is kept in the commit that stored its rows. It says so by content, not by name or inode: how
many bytes, and a digest of some of them. So a file is known again after it was renamed, truncated or compressed.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from typing import IO, Any, Final

import attrs

from ._ingest import IngestReport, Tally
from ._tables import empty_frame
from .errors import ConfigError, SchemaError, StorageError
from .sources import JoiningSource, Reject, Source, SourceBatch, SourceInput, decompressed
from .storage import Append, is_url

__all__ = ["Position", "follow"]

_log: Final = logging.getLogger("cdrkit")
#: How much of the file goes into one commit.
_CHUNK_BYTES: Final = 8 << 20
_MARK_BYTES: Final = 1024
_PACKED: Final = (".gz", ".zst", ".xz", ".bz2")
_ROTATED: Final = re.compile(r"[.\-_]?\d.*", re.ASCII)


@attrs.frozen(kw_only=True)
class Position:
    """How far a file was taken.

    Attributes:
        offset: Bytes, of the file as it was written.
        lines: Lines in them.
        mark: A digest of the file's first bytes and of those before the offset; it tells the file.
        header: The line of names on top, where the rows are read by it.
    """

    offset: int = 0
    lines: int = 0
    mark: str = ""
    header: str = ""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Position:
        """Return the position whose attributes *data* has."""
        return cls(**{a.name: data[a.name] for a in attrs.fields(cls) if a.name in data})


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
        poll: Seconds between two looks.
        wait: Whether to go on for ever.

    Raises:
        ConfigError: When the file or the wait cannot be.
        SchemaError: When nothing of the file was taken yet, and it is not of this format.
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
    follower = _Follower(text, key, source, append, format, Position.from_dict(known), bool(known))
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
    format: str
    place: Position
    known: bool  # whether something of it was ever taken
    lost: Position | None = None  # of which nothing more was found
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
        self.place, self.waiting = Position(), 0
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
        ahead = b""
        while True:
            data = _read(file.stream, _CHUNK_BYTES - len(ahead))
            chunk = ahead + data
            at_end = len(chunk) < _CHUNK_BYTES
            lines = chunk if is_whole and at_end else chunk[: chunk.rfind(b"\n") + 1]
            if not lines:
                if not at_end:
                    raise SchemaError(f"{file.name}: a line is longer than {_CHUNK_BYTES >> 20} MiB.")
                return
            if at_end and len(lines) == self.waiting and not is_whole:
                return  # looked at already
            taken, report = self._stored(file, lines, is_last=at_end and not is_whole, is_whole=is_whole)
            if report is not None:
                yield report
            self.waiting = len(lines) - taken
            if not taken:
                return
            ahead = chunk[taken:]
            if at_end and (taken == len(lines) or not is_whole):
                return

    def _stored(
        self, file: _File, lines: bytes, *, is_last: bool, is_whole: bool
    ) -> tuple[int, IngestReport | None]:
        """Store the calls of *lines*; return how many bytes of them need not be read again, and the report."""
        try:
            batches = list(self._read(lines))
        except SchemaError as exc:
            if is_last and (self.known or exc.row is None):
                return 0, None  # the next lines may tell what these are
            if not self.known:
                raise SchemaError(f"{file.name}: {exc}", field=exc.field, row=exc.row) from exc
            batches = [self._refused(lines, exc)]
        taken = len(lines)
        if is_last:
            batches, taken = _without_last(batches, lines)
        open_row = min((call.row for batch in batches for call in batch.held_back), default=None)
        if open_row is not None and not is_whole:
            before = _offset_of(lines, open_row - self.place.lines)
            if before or is_last:
                taken = min(taken, before)
            else:
                _log.warning("%s: a call that is open at line %d is not waited for.", file.name, open_row)
        if not any(batch.read for batch in batches) and is_last:
            return 0, None
        return taken, self._committed(file, lines[:taken], batches)

    def _refused(self, lines: bytes, exc: SchemaError) -> SourceBatch:
        """Return *lines*, of which not one can be taken, as rejects."""
        rows = enumerate(lines.removesuffix(b"\n").split(b"\n"), self.place.lines + 1)
        rejects = (
            Reject(row, str(exc), raw.decode("utf-8", "surrogateescape")) for row, raw in rows if raw.strip()
        )
        return SourceBatch(frame=empty_frame(("call_id", "start")), rejects=tuple(rejects))

    def _read(self, lines: bytes) -> Iterator[SourceBatch]:
        """Yield what the source reads in *lines*, its rows counted from the beginning of the file."""
        header = self.place.header.encode("utf-8", "surrogateescape") + b"\n" if self.place.header else b""
        stream = io.BytesIO(header + lines)
        shift = self._shift()
        if isinstance(self.source, JoiningSource):
            batches = self.source.read_all([SourceInput(name="", stream=stream)])
        else:
            batches = self.source(stream)
        for batch in batches:
            yield attrs.evolve(
                batch,
                rejects=tuple(attrs.evolve(reject, row=reject.row + shift) for reject in batch.rejects),
                held_back=tuple(attrs.evolve(call, row=call.row + shift) for call in batch.held_back),
            )

    def _shift(self) -> int:
        return self.place.lines - bool(self.place.header)

    def _committed(self, file: _File, taken: bytes, batches: list[SourceBatch]) -> IngestReport:
        tally = Tally(file.name, self.format, "report")
        file.advance(taken)
        with self.append() as append:
            for batch in batches:
                append.add(tally.count(batch))
            place = Position(
                offset=self.place.offset + len(taken),
                lines=self.place.lines + taken.count(b"\n"),
                mark=file.mark,
                header=self.place.header or next((batch.header for batch in batches if batch.header), ""),
            )
            facts = {"positions": {self.key: attrs.asdict(place)}} if taken else {}
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


def _offset_of(lines: bytes, row: int) -> int:
    """Return where line *row* of *lines* begins; the first is 1."""
    at = 0
    for _ in range(row - 1):
        at = lines.find(b"\n", at) + 1
        if not at:
            return len(lines)
    return at


def _read(stream: IO[bytes], size: int) -> bytes:
    parts: list[bytes] = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
