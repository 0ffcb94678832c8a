"""Growing files: store each new row once, despite log rotation and restarts.

Each commit stores rows of a file together with the position in that file. The position identifies the file by content,
not by name or inode: it contains the number of bytes and a digest of some of these bytes. So cdrkit recognises a file
that was renamed, truncated or compressed. The commit also contains the rows of pending calls. cdrkit reads those rows
again together with later rows, even with rows of another file.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from typing import IO, Any, Final

import attrs

from cdrkit._files import is_url
from cdrkit._ingest.position import PendingCalls, Position, count_lines, to_bytes
from cdrkit._ingest.region_check import RegionCheck
from cdrkit._ingest.report import IngestReport
from cdrkit._ingest.tally import Tally
from cdrkit._model import empty_frame
from cdrkit.errors import ConfigError, SchemaError, StorageError
from cdrkit.sources import JoiningSource, Reject, Source, SourceBatch, SourceInput, decompress
from cdrkit.storage.append import Append

__all__ = ["FollowOptions", "follow_file"]

_log: Final = logging.getLogger("cdrkit")
#: Bytes of the file in one commit. Input that only makes sense as a whole may be longer, up to _WHOLE_BYTES.
_CHUNK_BYTES: Final = 8 << 20
_WHOLE_BYTES: Final = 256 << 20
#: Bytes of pending calls in one commit.
_PENDING_BYTES: Final = 1 << 20
_PENDING_INPUT: Final = "pending"
_FINGERPRINT_BYTES: Final = 1024
_COMPRESSED: Final = (".gz", ".zst", ".xz", ".bz2")
_ROTATED: Final = re.compile(r"[.\-_]?\d.*", re.ASCII)


@attrs.define
class _File:
    """An open file, and the bytes from which its fingerprint is computed."""

    name: str
    stream: IO[bytes]
    head: bytes
    tail: bytes

    def advance(self, data: bytes) -> None:
        """Add *data*, the next bytes of the file, to the fingerprint."""
        self.head = (self.head + data[:_FINGERPRINT_BYTES])[:_FINGERPRINT_BYTES]
        self.tail = (self.tail + data[-_FINGERPRINT_BYTES:])[-_FINGERPRINT_BYTES:]

    @property
    def fingerprint(self) -> str:
        """A digest of the file's first bytes and of the bytes that were read last."""
        return blake2b(self.head + b"|" + self.tail, digest_size=16).hexdigest()


@attrs.frozen(kw_only=True)
class FollowOptions:
    """The options for following a file.

    Attributes:
        format: Name of the source.
        on_reject: ``report`` lists rejects in the report; ``raise`` raises an error for the first reject.
        poll: Seconds between two reads of the file.
        wait: True: continue until interrupted; False: store the current content and stop.
        region_check: The check of numbers in national form, or None.
    """

    format: str
    on_reject: str
    poll: float
    wait: bool
    region_check: RegionCheck | None = None


def follow_file(
    path: str | os.PathLike[str],
    source: Source,
    start: Callable[[str], tuple[str, Mapping[str, Any]]],
    append: Callable[[], Append],
    options: FollowOptions,
) -> Iterator[IngestReport]:
    """Store a growing file, and yield a report for each stored part.

    Args:
        path: The file, on the local disk.
        source: The source that reads the file's format.
        start: A function that returns a file's key in the log and stored position for a path.
        append: A function that begins an append.
        options: The options.

    Raises:
        ConfigError: When *path* is not a local file, or an option is invalid.
        SchemaError: When the file has another format and no part of the file is stored yet, or when a row is rejected
            and *on_reject* is ``raise``.
        StorageError: When the file cannot be read, or the calls cannot be stored.
    """
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
    if not isinstance(text, str) or is_url(text):
        raise ConfigError(
            f"{path!r} cannot be followed: it is not a local file. Ingest it repeatedly instead."
        )
    poll = options.poll
    if isinstance(poll, bool) or not isinstance(poll, (int, float)) or not 0 < poll < 3600:
        raise ConfigError(
            f"poll={poll!r} is not valid. Give a number of seconds between 0 and 3600, such as 1.0."
        )
    text = os.path.abspath(text)
    key, stored = start(text)
    tally = functools.partial(
        Tally,
        format=options.format,
        on_reject=options.on_reject,
        refused="None of these rows was stored.",
        region_check=options.region_check,
    )
    tally(text)  # checks the options before the file is read
    follower = _Follower(text, key, source, append, tally, Position.from_dict(stored), bool(stored))
    while True:
        before = follower.position
        yield from follower.store_new_rows()
        if follower.position == before:
            if not options.wait:
                return
            time.sleep(poll)


@attrs.define
class _Follower:
    """The state of one file that is being followed.

    Attributes:
        path: Absolute path of the file.
        key: Key of the file's position in the log.
        source: The source that reads the file's format.
        append: A function that begins an append.
        tally: A function that returns a new tally for the name of an input.
        position: The stored position.
        is_known: Whether any part of the file was ever stored.
        lost_position: The position whose file disappeared, after a warning about it.
        last_warning: The text of the last warning about an unreadable start of a file.
        unread_bytes: Bytes after the position that were read but cannot be stored without later rows.
    """

    path: str
    key: str
    source: Source
    append: Callable[[], Append]
    tally: Callable[[str], Tally]
    position: Position
    is_known: bool
    lost_position: Position | None = None
    last_warning: str = ""
    unread_bytes: int = 0

    def store_new_rows(self) -> Iterator[IngestReport]:
        """Store the rows that are not stored yet; yield a report for each commit."""
        with contextlib.ExitStack() as stack:
            try:
                stream = stack.enter_context(open(self.path, "rb"))
            except FileNotFoundError:
                return  # log rotation has not created the new file yet
            except OSError as exc:
                raise StorageError(f"Cannot read {self.path}: {exc.strerror}.", url=self.path) from exc
            current = self._resume(stream, self.path)
            if current is None:
                yield from self._store_rotated()
                stream.seek(0)
                yield from self._store_from_start(_File(self.path, stream, b"", b""), is_whole=False)
            else:
                yield from self._store_rest(current, is_whole=False)

    def _store_from_start(self, file: _File, *, is_whole: bool) -> Iterator[IngestReport]:
        """Store the rows of *file* from the beginning of the file.

        If *file* has no row to store, the position stays in the previous file.
        """
        before = self.position
        self.position, self.unread_bytes = Position(pending=before.pending), 0
        yield from self._store_rest(file, is_whole=is_whole)
        if not self.position.offset:
            self.position = before

    def _resume(self, stream: IO[bytes], name: str) -> _File | None:
        """Read *stream* up to the stored position; return None if fingerprints differ.

        The fingerprints of *stream* and of the position differ if the position belongs to another file.
        """
        position = self.position
        try:
            head = _read(stream, min(position.offset, _FINGERPRINT_BYTES))
            tail = b""
            if position.offset > 0:
                begin = max(position.offset - _FINGERPRINT_BYTES, 0)
                if stream.seekable():
                    stream.seek(begin)
                else:
                    for at in range(len(head), begin, _CHUNK_BYTES):
                        _read(stream, min(_CHUNK_BYTES, begin - at))
                tail = (
                    _read(stream, position.offset - begin)
                    if stream.seekable()
                    else self._read_tail(stream, head, begin)
                )
        except OSError as exc:
            raise StorageError(f"Cannot read {name}: {exc.strerror or exc}.", url=name) from exc
        file = _File(name, stream, head, tail)
        return file if not position.offset or file.fingerprint == position.fingerprint else None

    def _read_tail(self, stream: IO[bytes], head: bytes, begin: int) -> bytes:
        """Return the last bytes before the stored position, from a non-seekable stream.

        *head* is the bytes that were already read from the stream.
        """
        overlap = head[begin:]
        return overlap + _read(stream, self.position.offset - begin - len(overlap))

    def _store_rotated(self) -> Iterator[IngestReport]:
        """Store the rest of the rotated file, and all files that were rotated later."""
        candidates = sorted(self._siblings())
        # A compressed file may still be in progress while the uncompressed one exists: try uncompressed files first.
        for modified, name in sorted(candidates, key=lambda one: (one[1].endswith(_COMPRESSED), -one[0])):
            with contextlib.ExitStack() as stack:
                file = self._open_rotated(name, stack)
                resumed = None if file is None else self._resume(file, name)
                if resumed is None:
                    continue
                yield from self._store_rest(resumed, is_whole=True)
            for later, other in candidates:
                if later > modified and _ROTATED.fullmatch(other.removeprefix(self.path)):
                    with contextlib.ExitStack() as stack:
                        file = self._open_rotated(other, stack)
                        if file is not None:
                            yield from self._store_from_start(_File(other, file, b"", b""), is_whole=True)
            return
        if self.position != self.lost_position:
            self.lost_position = self.position
            _log.warning(
                "%s was replaced, and its earlier content is not in the same folder: rows after byte %d may be "
                "missing. Ingest the old file once, if it exists elsewhere.",
                self.path,
                self.position.offset,
            )

    def _siblings(self) -> Iterator[tuple[int, str]]:
        folder, base = os.path.split(self.path)
        stem = base.partition(".")[0]
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name != base and entry.name.startswith(stem):
                    with contextlib.suppress(OSError):  # deleted since the listing
                        if entry.is_file():
                            yield entry.stat().st_mtime_ns, entry.path

    @staticmethod
    def _open_rotated(name: str, stack: contextlib.ExitStack) -> IO[bytes] | None:
        try:
            file = stack.enter_context(open(name, "rb"))  # noqa: SIM115  # the stack closes it
        except OSError:
            return None  # deleted since the listing, or not readable
        return decompress(file, name)

    def _store_rest(self, file: _File, *, is_whole: bool) -> Iterator[IngestReport]:
        """Store the part of *file* that is not stored yet.

        *is_whole* means that the file no longer grows.
        """
        ahead, size = b"", _CHUNK_BYTES
        while True:
            chunk = ahead + _read(file.stream, size - len(ahead))
            at_end = len(chunk) < size
            lines = chunk if is_whole and at_end else chunk[: chunk.rfind(b"\n") + 1]
            if not lines:
                if not at_end:
                    raise SchemaError(
                        f"{file.name}: a line is longer than {size >> 20} MiB. Check that you gave the right file."
                    )
                return
            if at_end and len(lines) == self.unread_bytes and not is_whole:
                return  # read already, and nothing was added
            taken, report = self._store_lines(file, lines, at_end=at_end, is_last=at_end and not is_whole)
            if report is not None:
                yield report
            if not taken and not at_end:
                ahead, size = chunk, size * 2
                continue
            self.unread_bytes = len(lines) - taken
            if not taken:
                return
            ahead, size = chunk[taken:], _CHUNK_BYTES
            if at_end and (taken == len(lines) or not is_whole):
                return

    def _store_lines(
        self, file: _File, lines: bytes, *, at_end: bool, is_last: bool
    ) -> tuple[int, IngestReport | None]:
        """Store the calls that *lines* contain.

        Return the number of processed bytes, and the commit's report, if any.

        Args:
            file: The file.
            lines: The lines read from it.
            at_end: Whether the lines reach the current end of the file.
            is_last: Whether the lines reach the end of a file that may still grow.
        """
        try:
            batches = list(self._read(lines))
        except SchemaError as exc:
            goes_on = is_last or (not at_end and len(lines) < _WHOLE_BYTES)
            if (exc.row is None and goes_on) or (is_last and self.is_known):
                self._warn_once(file, exc)
                return 0, None  # later lines may decide the format
            if not self.is_known:
                raise SchemaError(f"{file.name}: {exc}", field=exc.field, row=exc.row) from exc
            batches = [self._reject_all(lines, exc)]
        taken = len(lines)
        if is_last:
            batches, taken = _drop_last_reject(batches, lines)
            if sum(batch.read for batch in batches) <= self.position.pending.rows:
                return 0, None  # header lines only
        return taken, self._commit(file, lines[:taken], batches)

    def _warn_once(self, file: _File, exc: SchemaError) -> None:
        """Warn once that the start of *file* cannot be read.

        The warning concerns a file that follows a rotated file.
        """
        if (
            self.is_known
            and not self.position.offset
            and exc.row is not None
            and self.last_warning != str(exc)
        ):
            self.last_warning = str(exc)
            _log.warning("%s: %s cdrkit will read the file again when it has grown.", file.name, exc)

    def _reject_all(self, lines: bytes, exc: SchemaError) -> SourceBatch:
        """Return a batch with one reject for each non-blank line in *lines*."""
        rows = enumerate(lines.removesuffix(b"\n").split(b"\n"), self.position.line_count + 1)
        rejects = (
            Reject(row, str(exc), raw.decode("utf-8", "surrogateescape")) for row, raw in rows if raw.strip()
        )
        return SourceBatch(frame=empty_frame(("call_id", "start")), rejects=tuple(rejects))

    def _read(self, lines: bytes) -> Iterator[SourceBatch]:
        """Yield batches of *lines*; the row numbers count from the start of the file."""
        position = self.position
        stream = io.BytesIO((to_bytes(position.header) + b"\n" if position.header else b"") + lines)
        shift = position.line_count - count_lines(position.header)
        if isinstance(self.source, JoiningSource):
            inputs = [SourceInput(name="", stream=stream)]
            if position.pending.calls:
                inputs.insert(0, SourceInput(name=_PENDING_INPUT, stream=io.BytesIO(position.pending.data)))
            batches = self.source.read_all(inputs)
        else:
            batches = self.source(stream)
        for batch in batches:
            yield attrs.evolve(
                batch,
                rejects=tuple(attrs.evolve(reject, row=reject.row + shift) for reject in batch.rejects),
                pending=tuple(
                    attrs.evolve(
                        call,
                        row=position.pending.first_line(call.row)
                        if call.input == _PENDING_INPUT
                        else call.row + shift,
                    )
                    for call in batch.pending
                ),
            )

    def _pending_calls(self, file: _File, batches: list[SourceBatch], header: str) -> PendingCalls:
        """Combine *header* and the pending calls of *batches* in one object.

        The oldest call comes first. If the calls are too large, the oldest calls are abandoned.
        """
        pending = [call for batch in batches for call in batch.pending if call.text]
        pending.sort(key=lambda call: call.input != _PENDING_INPUT)
        retained = [
            call for call in pending if call.input != _PENDING_INPUT or header == self.position.pending.header
        ]
        size = sum(len(call.text) for call in retained)
        while size > _PENDING_BYTES:
            size -= len(retained.pop(0).text)
        if len(retained) < len(pending):
            first = next(call for call in pending if call not in retained)
            _log.warning(
                "%s: %d pending calls were abandoned, the first of them %s from row %d on. "
                "Ingest the files with their rows once, together.",
                file.name,
                len(pending) - len(retained),
                first.call,
                first.row,
            )
        return PendingCalls(header, tuple((call.row, call.rows, call.text) for call in retained))

    def _commit(self, file: _File, taken: bytes, batches: list[SourceBatch]) -> IngestReport:
        tally = self.tally(file.name)
        file.advance(taken)
        header = self.position.header or next((batch.header for batch in batches[::-1] if batch.header), "")
        pending = self._pending_calls(file, batches, header)
        with self.append() as append:
            for batch in batches:
                unnamed = tuple(attrs.evolve(call, input="") for call in batch.pending)
                append.add(tally.count(attrs.evolve(batch, pending=unnamed)))
            position = Position(
                offset=self.position.offset + len(taken),
                line_count=self.position.line_count + taken.count(b"\n"),
                fingerprint=file.fingerprint,
                header=header,
                pending=pending,
            )
            facts = {"positions": {self.key: position.to_dict()}} if taken else {}
            done = append.commit({**tally.facts(), **facts})
        self.position, self.is_known = position, True
        return tally.report(done)


def _drop_last_reject(batches: list[SourceBatch], lines: bytes) -> tuple[list[SourceBatch], int]:
    """Drop the last line if it was rejected.

    Return the batches without this reject, and the length of the other lines. The last line may have been rejected
    because it is still incomplete.
    """
    last = max(
        (reject for batch in batches for reject in batch.rejects), key=lambda one: one.row, default=None
    )
    if last is None:
        return batches, len(lines)
    text = last.text.encode("utf-8", "surrogateescape")
    for end in (b"\n", b"\r\n"):
        if text and lines.endswith(text + end):
            remaining = [
                attrs.evolve(batch, rejects=tuple(reject for reject in batch.rejects if reject is not last))
                for batch in batches
            ]
            return remaining, len(lines) - len(text) - len(end)
    return batches, len(lines)


def _read(stream: IO[bytes], size: int) -> bytes:
    parts: list[bytes] = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
