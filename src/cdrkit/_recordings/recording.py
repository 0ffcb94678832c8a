"""The recording of one call: its properties, bytes and HTTP response."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
from collections.abc import Callable, Mapping
from typing import IO, Any, Final, Literal

from cdrkit._files import Files, is_url, open_files, split_url
from cdrkit._model import CallRecord
from cdrkit._recordings.audio import media_type
from cdrkit._recordings.file import RecordingFile
from cdrkit._recordings.http_range import RangeResponse, parse_range
from cdrkit._text import html_facts
from cdrkit.errors import ConfigError, QueryError, ScopeError, StorageError, missing_extra

__all__ = ["Recording"]

_ODD: Final = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)


class Recording:
    """The recording of one call: its existence, its properties and its bytes.

    `Store.recording` returns a `Recording`. Its file is read on first use. The first bytes of the file are cached, so
    call `Store.recording` again for a recording that is still being written.

    Example:
        >>> import cdrkit
        >>> from cdrkit.samples import write_office
        >>> office = write_office("office-of-recordings", calls=200)
        >>> store = cdrkit.open_store("memory://rec", recordings=f"{office.recordings}/{{recording}}")
        >>> _ = store.ingest(
        ...     office.master, format="asterisk-csv", timezone="Europe/London", recording_column="userfield"
        ... )
        >>> call = next(iter(store.run(cdrkit.Query().has_recording().connected())))
        >>> recording = store.recording(call)
        >>> recording.exists, recording.format, recording.channels
        (True, 'wav', 1)
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
        self._allow = allow
        self._file = RecordingFile(record.call_id, files, paths, hide_url=allow is not None)

    def __repr__(self) -> str:
        return f"<Recording of call {self._call_id!r}>"

    def _repr_html_(self) -> str:
        # Without the audio: a shared notebook contains a voice only where its author called play().
        if not self.exists:
            return html_facts("Recording", {"Call ID": self._call_id}, note="The file does not exist.")
        facts = {"Call ID": self._call_id, "Format": self.format or "unknown", "Bytes": self.size_bytes}
        if self.duration is not None:
            facts["Duration"] = f"{self.duration:.1f} s"
        return html_facts("Recording", facts, note="play() returns a player with the audio.")

    @property
    def call_id(self) -> str:
        """The id of the recorded call.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://id", recordings="memory://rec-id/{call_id}.wav")
            >>> call = cdrkit.CallRecord.from_dict({"call_id": "17", "start": "2026-11-22T09:30:00Z"})
            >>> store.recording(call).call_id
            '17'
        """
        return self._call_id

    @property
    def location(self) -> str:
        """The path or URL of the file, for logs and administrators.

        Raises:
            ScopeError: When the recording comes from a `ScopedStore`, because tenants must not see paths.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://location", recordings="memory://rec-location/{call_id}.wav")
            >>> call = cdrkit.CallRecord.from_dict({"call_id": "17", "start": "2026-11-22T09:30:00Z"})
            >>> store.recording(call).location
            'memory://rec-location/17.wav'
        """
        if self._allow is not None:
            raise ScopeError(
                f"A scoped store does not show where the recording of call {self._call_id!r} is."
            )
        return self._file.url

    @property
    def exists(self) -> bool:
        """Return whether the file exists.

        Raises:
            ScopeError: When a symbolic link leads out of the recordings' root.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://exists", recordings="memory://rec-exists/{call_id}.wav")
            >>> call = cdrkit.CallRecord.from_dict({"call_id": "17", "start": "2026-11-22T09:30:00Z"})
            >>> store.recording(call).exists
            False
        """
        return self._file.size is not None

    @property
    def size_bytes(self) -> int:
        """The size of the file in bytes.

        Raises:
            RecordingNotFoundError: When the file does not exist.
            ScopeError: When a symbolic link leads out of the recordings' root.

        Example:
            >>> import cdrkit, fsspec, wave
            >>> with fsspec.open("memory://rec-bytes/17.wav", "wb") as file, wave.open(file, "wb") as audio:
            ...     audio.setparams((1, 2, 8_000, 0, "NONE", None))
            ...     audio.writeframes(bytes(32_000))
            >>> store = cdrkit.open_store("memory://bytes", recordings="memory://rec-bytes/{call_id}.wav")
            >>> call = cdrkit.CallRecord.from_dict({"call_id": "17", "start": "2026-11-22T09:30:00Z"})
            >>> store.recording(call).size_bytes
            32044
        """
        return self._file.existing_size()

    @property
    def format(self) -> str | None:
        """The audio format, such as ``wav`` or ``gsm``; None if it is unknown.

        The content of the file decides. If the content is inconclusive, the suffix decides.

        Raises:
            ScopeError: When a symbolic link leads out of the recordings' root.
            StorageError: When the file cannot be read.

        Example:
            >>> import cdrkit, fsspec, wave
            >>> with fsspec.open("memory://rec-format/17.wav", "wb") as file, wave.open(file, "wb") as audio:
            ...     audio.setparams((1, 2, 8_000, 0, "NONE", None))
            ...     audio.writeframes(bytes(32_000))
            >>> store = cdrkit.open_store("memory://format", recordings="memory://rec-format/{call_id}.wav")
            >>> call = cdrkit.CallRecord.from_dict({"call_id": "17", "start": "2026-11-22T09:30:00Z"})
            >>> store.recording(call).format
            'wav'
        """
        return self._file.format

    @property
    def content_type(self) -> str:
        """The media type for HTTP; ``application/octet-stream`` for an unknown format.

        Raises:
            ScopeError: When a symbolic link leads out of the recordings' root.
            StorageError: When the file cannot be read.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://type", recordings="memory://rec-type/{call_id}.wav")
            >>> call = cdrkit.CallRecord.from_dict({"call_id": "17", "start": "2026-11-22T09:30:00Z"})
            >>> store.recording(call).content_type
            'audio/wav'
        """
        return media_type(self.format)

    @property
    def duration(self) -> float | None:
        """The duration in seconds, or None if cdrkit cannot determine it.

        Only existing bytes count. The duration is known for WAV with any codec (finished or not), MP3, Ogg and the raw
        telephony formats.

        Raises:
            RecordingNotFoundError: When the file does not exist.
            ScopeError: When a symbolic link leads out of the recordings' root.

        Example:
            >>> import cdrkit, fsspec, wave
            >>> with fsspec.open("memory://rec-duration/17.wav", "wb") as file, wave.open(file, "wb") as audio:
            ...     audio.setparams((1, 2, 8_000, 0, "NONE", None))
            ...     audio.writeframes(bytes(32_000))
            >>> store = cdrkit.open_store("memory://duration", recordings="memory://rec-duration/{call_id}.wav")
            >>> call = cdrkit.CallRecord.from_dict({"call_id": "17", "start": "2026-11-22T09:30:00Z"})
            >>> store.recording(call).duration
            2.0
        """
        return self._file.properties().seconds

    @property
    def channels(self) -> int | None:
        """The number of channels; None if the format does not define this number.

        Raises:
            RecordingNotFoundError: When the file does not exist.
            ScopeError: When a symbolic link leads out of the recordings' root.

        Example:
            >>> import cdrkit, fsspec, wave
            >>> with fsspec.open("memory://rec-channels/17.wav", "wb") as file, wave.open(file, "wb") as audio:
            ...     audio.setparams((1, 2, 8_000, 0, "NONE", None))
            ...     audio.writeframes(bytes(32_000))
            >>> store = cdrkit.open_store("memory://channels", recordings="memory://rec-channels/{call_id}.wav")
            >>> call = cdrkit.CallRecord.from_dict({"call_id": "17", "start": "2026-11-22T09:30:00Z"})
            >>> store.recording(call).channels
            1
        """
        return self._file.properties().channels

    @property
    def sample_rate(self) -> int | None:
        """The sample rate of a channel in hertz; None if the format does not define it.

        Raises:
            RecordingNotFoundError: When the file does not exist.
            ScopeError: When a symbolic link leads out of the recordings' root.

        Example:
            >>> import cdrkit, fsspec, wave
            >>> with fsspec.open("memory://rec-rate/17.wav", "wb") as file, wave.open(file, "wb") as audio:
            ...     audio.setparams((1, 2, 8_000, 0, "NONE", None))
            ...     audio.writeframes(bytes(32_000))
            >>> store = cdrkit.open_store("memory://rate", recordings="memory://rec-rate/{call_id}.wav")
            >>> call = cdrkit.CallRecord.from_dict({"call_id": "17", "start": "2026-11-22T09:30:00Z"})
            >>> store.recording(call).sample_rate
            8000
        """
        return self._file.properties().rate

    @property
    def state(self) -> Literal["missing", "empty", "incomplete", "complete"]:
        """The state of the file: ``missing``, ``empty``, ``incomplete`` or ``complete``.

        An ``empty`` file has no bytes. A file is ``incomplete`` if it is shorter than its headers announce, because
        the file was truncated or is still being written. A file counts as complete if its format announces no length.

        Raises:
            ScopeError: When a symbolic link leads out of the recordings' root.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://state", recordings="memory://rec-state/{call_id}.wav")
            >>> call = cdrkit.CallRecord.from_dict({"call_id": "17", "start": "2026-11-22T09:30:00Z"})
            >>> store.recording(call).state
            'missing'
        """
        size = self._file.size
        if not size:
            return "missing" if size is None else "empty"
        return "complete" if self._file.properties().is_whole else "incomplete"

    @property
    def file_name(self) -> str:
        """The file name for saving a copy of the recording.

        The name consists of the call's start in UTC, the call id and the file extension. It reveals no server path.

        Raises:
            ScopeError: When a symbolic link leads out of the recordings' root.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://name", recordings="memory://rec-name/{call_id}.wav")
            >>> call = cdrkit.CallRecord.from_dict({"call_id": "17", "start": "2026-11-22T09:30:00Z"})
            >>> store.recording(call).file_name
            '2026-11-22T093000Z_17.wav'
        """
        stem = _ODD.sub("_", self._call_id).strip("._")[:80] or "call"
        suffix = posixpath.splitext(self._file.path)[1].lower()
        ending = suffix if suffix and not _ODD.search(suffix) and len(suffix) <= 8 else ""
        return f"{self._start:%Y-%m-%dT%H%M%SZ}_{stem}{ending}"

    def open(self) -> IO[bytes]:
        """Open the file for reading.

        The result is seekable; close it after use.

        Raises:
            RecordingNotFoundError: When the file does not exist.
            ScopeError: When a symbolic link leads out of the recordings' root, or the scope lacks the right.
            StorageError: When the file cannot be read.

        Example:
            >>> import cdrkit, fsspec
            >>> fsspec.filesystem("memory").pipe("/rec-open/17.wav", b"RIFF")
            >>> store = cdrkit.open_store("memory://calls-open", recordings="memory://rec-open/{call_id}.wav")
            >>> call = cdrkit.CallRecord.from_dict({"call_id": "17", "start": "2026-11-22T09:30:00Z"})
            >>> with store.recording(call).open() as file:
            ...     file.read()
            b'RIFF'
        """
        self._check_right("play")
        return self._file.open()

    def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """Return the bytes from *start* (inclusive) to *stop* (exclusive).

        Args:
            start: Offset of the first byte, counted from 0. If *start* is past the end of the file, the result is
                empty.
            stop: Offset after the last byte; None for the end of the file.

        Raises:
            QueryError: When *start* is negative or *stop* is smaller than *start*.
            RecordingNotFoundError: When the file does not exist.
            ScopeError: When a symbolic link leads out of the recordings' root, or the scope lacks the right.
            StorageError: When the file cannot be read.

        Example:
            >>> import cdrkit, fsspec
            >>> fsspec.filesystem("memory").pipe("/rec-read/17.wav", b"RIFF")
            >>> store = cdrkit.open_store("memory://calls-read", recordings="memory://rec-read/{call_id}.wav")
            >>> call = cdrkit.CallRecord.from_dict({"call_id": "17", "start": "2026-11-22T09:30:00Z"})
            >>> store.recording(call).read(1, 3)
            b'IF'
        """
        _check_number("start", start, at_least=0)
        if stop is not None:
            _check_number("stop", stop, at_least=start)
        self._check_right("play")
        return self._file.read(start, stop)

    def respond(self, range_header: str | None = None, *, download: bool = False) -> RangeResponse:
        """Return the HTTP response for a browser that plays or saves the recording.

        The response follows RFC 9110. Browsers seek by requesting byte ranges. A request for one range gets status
        206; a request for a range past the end gets 416. If the header is malformed, uses another unit or names
        several ranges, the response has status 200 and the whole file. Only one block is in memory at a time.

        Example:
            >>> import cdrkit, fsspec
            >>> fsspec.filesystem("memory").pipe("/rec-ranges/17.wav", b"RIFF")
            >>> store = cdrkit.open_store("memory://calls-ranges", recordings="memory://rec-ranges/{call_id}.wav")
            >>> call = cdrkit.CallRecord.from_dict({"call_id": "17", "start": "2026-11-22T09:30:00Z"})
            >>> answer = store.recording(call).respond("bytes=0-3")
            >>> answer.status, answer.headers["Content-Length"], b"".join(answer.body)
            (206, '4', b'RIFF')

        Args:
            range_header: The request's ``Range`` header, or None.
            download: Make the browser save the file under `file_name` instead of playing it.

        Raises:
            RecordingNotFoundError: When the file does not exist.
            ScopeError: When a symbolic link leads out of the recordings' root, or the scope lacks the right.
            StorageError: When the file cannot be read.
        """
        self._check_right("download" if download else "play")
        size = self.size_bytes
        requested = parse_range(range_header, size)
        headers = {
            "Accept-Ranges": "bytes",
            "Cache-Control": "private",
            "Content-Type": self.content_type,
            "X-Content-Type-Options": "nosniff",
        }
        if download:
            headers["Content-Disposition"] = f'attachment; filename="{self.file_name}"'
        if requested is None:
            return RangeResponse(
                status=200, headers=headers | {"Content-Length": str(size)}, body=self._file.blocks(0, size)
            )
        if not requested:
            empty = {"Content-Length": "0", "Content-Range": f"bytes */{size}"}
            return RangeResponse(status=416, headers=headers | empty, body=iter(()))
        part = {
            "Content-Length": str(len(requested)),
            "Content-Range": f"bytes {requested.start}-{requested.stop - 1}/{size}",
        }
        return RangeResponse(
            status=206, headers=headers | part, body=self._file.blocks(requested.start, requested.stop)
        )

    def download(
        self,
        dest: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        storage_options: Mapping[str, object] | None = None,
    ) -> str:
        """Copy the file to *dest* atomically, and return the copy's path or URL.

        Args:
            dest: A path or URL. If *dest* is an existing folder or ends in ``/``, the copy gets the file name of the
                recording.
            overwrite: Replace an existing file. The default is False, because recordings from different days often
                have the same name.
            storage_options: Options for the filesystem of a URL (credentials, endpoint).

        Raises:
            RecordingNotFoundError: When the file does not exist.
            ScopeError: When a symbolic link leads out of the recordings' root, or the scope lacks the right.
            ConfigError: When *dest* is not a path or URL, or an option is invalid.
            StorageError: When *dest* exists and *overwrite* is False, or *dest* cannot be written.

        Example:
            >>> import cdrkit, fsspec
            >>> fsspec.filesystem("memory").pipe("/rec-download/17.wav", b"RIFF")
            >>> store = cdrkit.open_store("memory://calls-download", recordings="memory://rec-download/{call_id}.wav")
            >>> call = cdrkit.CallRecord.from_dict({"call_id": "17", "start": "2026-11-22T09:30:00Z"})
            >>> store.recording(call).download("17.wav")
            '17.wav'
        """
        if not isinstance(dest, (str, os.PathLike)):
            raise ConfigError(f"dest={dest!r} is not a path or URL. Give a string or an os.PathLike object.")
        target = os.fspath(dest)
        if target.endswith("/") or (not is_url(target) and os.path.isdir(target)):
            own = self.file_name if self._allow is not None else posixpath.basename(self._file.path)
            target = f"{target.removesuffix('/')}/{own}"
        folder, name = split_url(target)
        files = open_files(folder, storage_options)
        self._check_right("download")
        with self._file.open() as source:
            if not overwrite and files.size(name) is not None:
                raise StorageError(
                    f"{target!r} already exists. Pass overwrite=True to replace it.", url=target
                )
            with files.writer(name) as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
        return target

    def play(self) -> Any:
        """Return an audio player for a notebook.

        The player contains the audio but no server path.

        Returns:
            An ``IPython.display.Audio``.

        Raises:
            MissingExtraError: When IPython is not installed.
            RecordingNotFoundError: When the file does not exist.
            ScopeError: When a symbolic link leads out of the recordings' root, or the scope lacks the right.
            StorageError: When the file cannot be read.

        Example:
            >>> import cdrkit, fsspec
            >>> fsspec.filesystem("memory").pipe("/rec-play/17.wav", b"RIFF")
            >>> store = cdrkit.open_store("memory://calls-play", recordings="memory://rec-play/{call_id}.wav")
            >>> call = cdrkit.CallRecord.from_dict({"call_id": "17", "start": "2026-11-22T09:30:00Z"})
            >>> player = store.recording(call).play()  # needs cdrkit[notebook]
        """
        try:
            from IPython.display import Audio  # type: ignore[import-not-found,unused-ignore]  # an optional package
        except ImportError as exc:
            raise missing_extra("Playing a recording", "notebook") from exc
        self._check_right("play")
        player = Audio(data=self._file.read(0, None))
        player.mimetype = self.content_type
        return player

    def url(self, *, expires: int = 3_600) -> str:
        """Return a temporary URL that opens the file without credentials.

        Args:
            expires: Validity in seconds, at least 1.

        Raises:
            ScopeError: When the scope lacks the right to download. The right is necessary because the URL works
                outside the scope.
            ConfigError: When the filesystem, such as the local disk, cannot sign URLs. Stream the file instead.
            QueryError: When *expires* is not a whole number of at least 1.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://calls-url", recordings="memory://rec-url/{call_id}.wav")
            >>> call = cdrkit.CallRecord.from_dict({"call_id": "17", "start": "2026-11-22T09:30:00Z"})
            >>> try:
            ...     url = store.recording(call).url(expires=600)
            ... except cdrkit.errors.ConfigError as error:
            ...     print(error)
            The storage at memory://rec-url cannot sign URLs. Stream the file instead.
        """
        _check_number("expires", expires, at_least=1)
        self._check_right("url")
        return self._file.sign(expires)

    def _check_right(self, action: str) -> None:
        if self._allow is not None:
            self._allow(action)


def _check_number(name: str, value: object, *, at_least: int) -> None:
    if not isinstance(value, int) or value < at_least:
        raise QueryError(
            f"{name}={value!r} is not valid. Give a whole number of {at_least} or more.", parameter=name
        )
