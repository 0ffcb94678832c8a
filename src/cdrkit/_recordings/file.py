"""The audio file of a recording: its path, size, content and audio properties."""

from __future__ import annotations

import contextlib
import os
import posixpath
from collections.abc import Iterator
from typing import IO, Final

from cdrkit._files import Files
from cdrkit._recordings.audio import AudioProperties, detect_format, read_properties
from cdrkit.errors import NotFoundError, RecordingNotFoundError, ScopeError

__all__ = ["RecordingFile", "outside_root"]

_HEAD_BYTES: Final = 4_096
_BLOCK: Final = 65_536


class RecordingFile:
    """The file of a recording: the first existing file among several paths.

    All paths are below the root of the recordings. The first bytes of the file are cached.
    """

    def __init__(self, call_id: str, files: Files, paths: tuple[str, ...], *, hide_url: bool) -> None:
        self._call_id = call_id
        self._files = files
        self._paths = paths
        self._hide_url = hide_url
        self._known_path = paths[0] if len(paths) == 1 else None
        self._known_head: bytes | None = None

    @property
    def path(self) -> str:
        """The path of the first file that exists; if no file exists, the first path."""
        if self._known_path is None:
            existing = next((path for path in self._paths if self._size_of(path) is not None), None)
            if existing is None:
                return self._paths[0]
            self._known_path = existing
        return self._known_path

    @property
    def url(self) -> str:
        """The path or URL of the file."""
        return self._files.url_of(self.path)

    @property
    def size(self) -> int | None:
        """The size in bytes; None if the file does not exist.

        Raises:
            ScopeError: When a symbolic link leads out of the recordings' root.
        """
        return self._size_of(self.path)

    def existing_size(self) -> int:
        """Return the size in bytes; raise an error if the file does not exist.

        Raises:
            RecordingNotFoundError: When the file does not exist.
        """
        size = self.size
        if size is None:
            raise self._missing()
        return size

    @property
    def format(self) -> str | None:
        """The audio format; None if it is unknown.

        The first bytes of the file decide. If they are inconclusive or the file does not exist, the suffix decides.
        """
        suffix = posixpath.splitext(self.path)[1][1:]
        try:
            return detect_format(self._head(), suffix)
        except RecordingNotFoundError:
            return detect_format(b"", suffix)

    def properties(self) -> AudioProperties:
        """Return the audio properties of the file, even if the file is incomplete."""
        return read_properties(self.format, self._read_part, self.existing_size())

    def open(self) -> IO[bytes]:
        """Open the file for reading."""
        self.existing_size()
        with self._translate_missing():
            return self._files.open(self.path)

    def read(self, start: int, stop: int | None) -> bytes:
        """Return the bytes from *start* (inclusive) to *stop* (exclusive), or to the end."""
        size = self.existing_size()
        stop = size if stop is None else min(stop, size)
        if start >= stop:  # object stores would return an error
            return b""
        with self._translate_missing():
            return self._files.read(self.path, start, stop)

    def blocks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from *start* (inclusive) to *stop* (exclusive) in small blocks."""
        if start == stop:
            return
        with self.open() as file:
            file.seek(start)
            while start < stop and (block := file.read(min(_BLOCK, stop - start))):
                yield block
                start += len(block)

    def sign(self, expires: int) -> str:
        """Return a URL that needs no credentials and works for *expires* seconds."""
        return self._files.sign(self.path, expires)

    def _size_of(self, path: str) -> int | None:
        local = self._files.local_path(path)
        if local is not None:
            root = os.path.realpath(local.removesuffix(path))
            if os.path.commonpath([root, os.path.realpath(local)]) != root:
                raise outside_root(self._call_id)
            if not os.path.isfile(local):  # folders, pipes and devices are not recordings
                return None
        return self._files.size(path)

    def _missing(self) -> RecordingNotFoundError:
        return RecordingNotFoundError(
            f"The recording of call {self._call_id!r} does not exist.",
            url=None if self._hide_url else self.url,
            call_id=self._call_id,
        )

    @contextlib.contextmanager
    def _translate_missing(self) -> Iterator[None]:
        try:
            yield
        except NotFoundError as exc:
            raise self._missing() from exc

    def _head(self) -> bytes:
        if self._known_head is None:
            self._known_head = self.read(0, _HEAD_BYTES)
        return self._known_head

    def _read_part(self, start: int, stop: int) -> bytes:
        return self._head()[start:stop] if stop <= _HEAD_BYTES else self.read(start, stop)


def outside_root(call_id: str) -> ScopeError:
    """Return the error for a path outside the recordings' root.

    The message contains no path.
    """
    return ScopeError(
        f"The recording of call {call_id!r} is refused: its path is outside the recordings' root."
    )
