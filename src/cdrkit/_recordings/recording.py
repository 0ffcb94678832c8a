"""Recordings of calls: what each one holds, its bytes, and the answer to a browser that plays it."""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, Final, Literal, TypeAlias

from cdrkit._files import Files, is_url, open_files, split_url
from cdrkit._model import CallRecord
from cdrkit._recordings.audio import content_type_of, format_of, sound_of
from cdrkit._recordings.audio.sound import Sound
from cdrkit._recordings.http_range import RangeResponse, wanted_range
from cdrkit._text import html_facts
from cdrkit.errors import (
    ConfigError,
    NotFoundError,
    QueryError,
    RecordingNotFoundError,
    ScopeError,
    StorageError,
    missing_extra,
)

__all__ = ["Recording", "RecordingState", "outside"]

#: How a recording is found: ``incomplete`` is cut off, damaged or still being written.
RecordingState: TypeAlias = Literal["missing", "empty", "incomplete", "complete"]

_HEAD_BYTES: Final = 4_096
_BLOCK: Final = 65_536
_ODD: Final = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)


class Recording:
    """The recording of one call: whether it is there, what it holds, and its bytes.

    `Store.recording` makes it; nothing is read before it is asked for. What was learnt of the file's head is
    kept, so ask the store anew for a recording that is still being written.

    .. code-block:: python

        recording = store.recording(call)
        if recording.exists:
            recording.duration              # 12.48
            recording.download("call.wav")
    """

    def __init__(
        self,
        record: CallRecord,
        files: Files,
        paths: tuple[str, ...],
        allow: Callable[[str], None] | None = None,
    ) -> None:
        self._call_id = record.call_id
        self._start = record.start
        self._files = files
        self._paths = paths
        self._known_path = paths[0] if len(paths) == 1 else None
        self._allow = allow
        self._known_head: bytes | None = None

    def __repr__(self) -> str:
        return f"<Recording of call {self._call_id!r}>"

    def _repr_html_(self) -> str:
        # Without the sound: whoever shares a notebook should have asked for a voice in it, by play().
        if not self.exists:
            return html_facts("Recording", {"Call ID": self._call_id}, note="Its file is not there.")
        facts = {"Call ID": self._call_id, "Format": self.format or "not known", "Bytes": self.size_bytes}
        if self.duration is not None:
            facts["Duration"] = f"{self.duration:.1f} s"
        return html_facts("Recording", facts, note="play() gives a player with the sound in it.")

    @property
    def _path(self) -> str:
        """The first path that leads to a file; else the first."""
        if self._known_path is None:
            found = next((path for path in self._paths if self._size_of(path) is not None), None)
            if found is None:
                return self._paths[0]
            self._known_path = found
        return self._known_path

    @property
    def call_id(self) -> str:
        """The call it belongs to."""
        return self._call_id

    @property
    def location(self) -> str:
        """Where it lies, as a path or URL: for logs and administrators, not for customers.

        Raises:
            ScopeError: When it was found within a scope.
        """
        if self._allow is not None:
            raise ScopeError(
                f"Where the recording of call {self._call_id!r} lies is not told within a scope."
            )
        return self._location

    @property
    def exists(self) -> bool:
        """Whether its file is there.

        Raises:
            ScopeError: When a symbolic link leads out of the recordings' root.
        """
        return self._size() is not None

    @property
    def size_bytes(self) -> int:
        """The size of the file.

        Raises:
            RecordingNotFoundError: When it is not there.
            ScopeError: When a symbolic link leads out of the recordings' root.
        """
        size = self._size()
        if size is None:
            raise self._missing()
        return size

    @property
    def format(self) -> str | None:
        """What it is (``wav``, ``mp3``, ``gsm`` …) by its content, else by its suffix; None when neither tells."""
        suffix = posixpath.splitext(self._path)[1][1:]
        try:
            return format_of(self._head(), suffix)
        except RecordingNotFoundError:
            return format_of(b"", suffix)

    @property
    def content_type(self) -> str:
        """The media type to serve it with; ``application/octet-stream`` when its format is not known."""
        return content_type_of(self.format)

    @property
    def duration(self) -> float | None:
        """How long it plays, in seconds, by what is really in the file; None for formats that do not tell.

        WAV of any coding tells, finished or not, and so do MP3, Ogg and the raw formats of telephony.

        Raises:
            RecordingNotFoundError: When it is not there.
            ScopeError: When a symbolic link leads out of the recordings' root.
        """
        return self._sound().seconds

    @property
    def channels(self) -> int | None:
        """How many channels it has; None for formats that do not tell.

        Raises:
            RecordingNotFoundError: When it is not there.
            ScopeError: When a symbolic link leads out of the recordings' root.
        """
        return self._sound().channels

    @property
    def sample_rate(self) -> int | None:
        """How many samples a second each channel has; None for formats that do not tell.

        Raises:
            RecordingNotFoundError: When it is not there.
            ScopeError: When a symbolic link leads out of the recordings' root.
        """
        return self._sound().rate

    @property
    def state(self) -> RecordingState:
        """Whether it is ``missing``, ``empty`` (no bytes), ``incomplete`` or ``complete``.

        A file is ``incomplete`` when less is there than its headers promise: it was cut off, or is being written.
        Formats that promise nothing are taken to be complete.

        Raises:
            ScopeError: When a symbolic link leads out of the recordings' root.
        """
        size = self._size()
        if not size:
            return "missing" if size is None else "empty"
        return "complete" if self._sound().is_whole else "incomplete"

    @property
    def file_name(self) -> str:
        """A name for a copy of it, made of the call's start in UTC and its id; it says nothing of the server."""
        stem = _ODD.sub("_", self._call_id).strip("._")[:80] or "call"
        suffix = posixpath.splitext(self._path)[1].lower()
        ending = suffix if suffix and not _ODD.search(suffix) and len(suffix) <= 8 else ""
        return f"{self._start:%Y-%m-%dT%H%M%SZ}_{stem}{ending}"

    def open(self) -> IO[bytes]:
        """Open it for reading; the result can seek and must be closed.

        Raises:
            RecordingNotFoundError: When it is not there.
            ScopeError: When a symbolic link leads out of the recordings' root, or the scope has no right to it.
            StorageError: When it cannot be read.
        """
        self._allowed("play")
        return self._opened()

    def _opened(self) -> IO[bytes]:
        if not self.exists:
            raise self._missing()
        with self._reading():
            return self._files.open(self._path)

    def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """Return its bytes from *start* up to and without *stop*, as HTTP Range needs them.

        Args:
            start: The first byte, counted from 0; past the end there is nothing.
            stop: The byte to stop before; None: the end.

        Raises:
            QueryError: When *start* is negative or *stop* lies before it.
            RecordingNotFoundError: When it is not there.
            ScopeError: When a symbolic link leads out of the recordings' root, or the scope has no right to it.
            StorageError: When it cannot be read.
        """
        _check_number("start", start, at_least=0)
        if stop is not None:
            _check_number("stop", stop, at_least=start)
        self._allowed("play")
        return self._bytes(start, stop)

    def _bytes(self, start: int, stop: int | None) -> bytes:
        size = self.size_bytes
        stop = size if stop is None else min(stop, size)
        if start >= stop:  # object stores answer with an error
            return b""
        with self._reading():
            return self._files.read(self._path, start, stop)

    def respond(self, range_header: str | None = None, *, download: bool = False) -> RangeResponse:
        """Return the answer to a browser, which asks for ranges of bytes and will not seek without (RFC 9110).

        A single range is answered by 206, one behind the end by 416; a header that is malformed, in another unit or
        of several ranges is ignored, and answered by 200 with all of it. Memory is bounded by a block.

        Example:
            >>> import cdrkit
            >>> from cdrkit.samples import write_office
            >>> office = write_office("office-of-ranges", calls=200)
            >>> store = cdrkit.open_store("memory://ranges", recordings=f"{office.recordings}/{{recording}}")
            >>> _ = store.ingest(
            ...     office.master, format="asterisk-csv", timezone="Europe/London", recording_column="userfield"
            ... )
            >>> call = next(iter(store.run(cdrkit.Query().has_recording().connected())))
            >>> answer = store.recording(call).respond("bytes=0-3")
            >>> answer.status, answer.headers["Content-Length"], b"".join(answer.body)
            (206, '4', b'RIFF')

        Args:
            range_header: The request's header ``Range``, or None.
            download: Whether the browser is to save it, under `file_name`, rather than to play it.

        Raises:
            RecordingNotFoundError: When it is not there.
            ScopeError: When a symbolic link leads out of the recordings' root, or the scope has no right to it.
            StorageError: When it cannot be read.
        """
        self._allowed("download" if download else "play")
        size = self.size_bytes
        wanted = wanted_range(range_header, size)
        headers = {
            "Accept-Ranges": "bytes",
            "Cache-Control": "private",
            "Content-Type": self.content_type,
            "X-Content-Type-Options": "nosniff",
        }
        if download:
            headers["Content-Disposition"] = f'attachment; filename="{self.file_name}"'
        if wanted is None:
            return RangeResponse(
                status=200, headers=headers | {"Content-Length": str(size)}, body=self._blocks(0, size)
            )
        if not wanted:
            gone = {"Content-Length": "0", "Content-Range": f"bytes */{size}"}
            return RangeResponse(status=416, headers=headers | gone, body=iter(()))
        part = {
            "Content-Length": str(len(wanted)),
            "Content-Range": f"bytes {wanted.start}-{wanted.stop - 1}/{size}",
        }
        return RangeResponse(status=206, headers=headers | part, body=self._blocks(wanted.start, wanted.stop))

    def _blocks(self, start: int, stop: int) -> Iterator[bytes]:
        if start == stop:
            return
        with self._opened() as file:
            file.seek(start)
            while start < stop and (block := file.read(min(_BLOCK, stop - start))):
                yield block
                start += len(block)

    def download(
        self,
        dest: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        storage_options: Mapping[str, object] | None = None,
    ) -> str:
        """Copy it to *dest*, which appears whole or not at all, and return where it went.

        Args:
            dest: A path or URL. An existing folder, or one that ends in ``/``, gets the recording under its own
                file name.
            overwrite: Whether a file that is there already is replaced. It is not by default: recordings of
                different days often share a name.
            storage_options: Options for the filesystem of a URL (credentials, endpoint).

        Raises:
            RecordingNotFoundError: When it is not there.
            ScopeError: When a symbolic link leads out of the recordings' root, or the scope has no right to it.
            StorageError: When *dest* exists and *overwrite* is off, or cannot be written.
        """
        if not isinstance(dest, (str, os.PathLike)):
            raise ConfigError(f"{dest!r} is no path or URL to download to.")
        target = os.fspath(dest)
        if target.endswith("/") or (not is_url(target) and os.path.isdir(target)):
            own = self.file_name if self._allow is not None else posixpath.basename(self._path)
            target = f"{target.removesuffix('/')}/{own}"
        folder, name = split_url(target)
        files = open_files(folder, storage_options)
        self._allowed("download")
        with self._opened() as source:
            if not overwrite and files.size(name) is not None:
                raise StorageError(f"{target!r} exists; pass overwrite=True to replace it.", url=target)
            with files.writer(name) as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
        return target

    def play(self) -> Any:
        """Return a player for a notebook, with the sound inside it: no path of the server leaves.

        Returns:
            An ``IPython.display.Audio``.

        Raises:
            MissingExtraError: When IPython is not installed.
            RecordingNotFoundError: When it is not there.
            ScopeError: When a symbolic link leads out of the recordings' root, or the scope has no right to it.
        """
        try:
            from IPython.display import Audio  # type: ignore[import-not-found,unused-ignore]  # an optional package
        except ImportError as exc:
            raise missing_extra("Playing a recording", "notebook") from exc
        self._allowed("play")
        player = Audio(data=self._bytes(0, None))
        player.mimetype = self.content_type
        return player

    def url(self, *, expires: int = 3_600) -> str:
        """Return a URL that plays it for *expires* seconds without credentials.

        Raises:
            ScopeError: When the scope has no right to download: the URL works outside of it.
            ConfigError: When its filesystem cannot sign URLs, as the local disk cannot; stream it instead.
            QueryError: When *expires* is not a whole number of seconds above 0.
        """
        _check_number("expires", expires, at_least=1)
        self._allowed("url")
        return self._files.sign(self._path, expires)

    def _allowed(self, action: str) -> None:
        if self._allow is not None:
            self._allow(action)

    @property
    def _location(self) -> str:
        return self._files.url_of(self._path)

    def _size(self) -> int | None:
        return self._size_of(self._path)

    def _size_of(self, path: str) -> int | None:
        local = self._files.local_path(path)
        if local is not None:
            root = os.path.realpath(local.removesuffix(path))
            if os.path.commonpath([root, os.path.realpath(local)]) != root:
                raise outside(self._call_id)
            if not os.path.isfile(local):  # a folder, a pipe or a device is no recording
                return None
        return self._files.size(path)

    def _missing(self) -> RecordingNotFoundError:
        return RecordingNotFoundError(
            f"The recording of call {self._call_id!r} is not there.",
            url=self._location if self._allow is None else None,  # a scope does not tell
            call_id=self._call_id,
        )

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except NotFoundError as exc:
            raise self._missing() from exc

    def _head(self) -> bytes:
        if self._known_head is None:
            self._known_head = self._bytes(0, _HEAD_BYTES)
        return self._known_head

    def _sound(self) -> Sound:
        return sound_of(self.format, self._piece, self.size_bytes)

    def _piece(self, start: int, stop: int) -> bytes:
        return self._head()[start:stop] if stop <= _HEAD_BYTES else self._bytes(start, stop)


def _check_number(name: str, value: object, *, at_least: int) -> None:
    if not isinstance(value, int) or value < at_least:
        raise QueryError(f"{name} cannot be {value!r}; give a whole number from {at_least}.", parameter=name)


def outside(call_id: str) -> ScopeError:
    """Return the error for a recording that does not lie below the root; it names no path."""
    return ScopeError(
        f"The recording of call {call_id!r} does not lie below the recordings' root; it is refused."
    )
