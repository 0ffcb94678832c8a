"""The interface through which a log or a tier accesses the files below a root."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import IO, Protocol, TypeAlias

import attrs

__all__ = ["Data", "Entry", "Files"]

#: The content of a file.
Data: TypeAlias = bytes | bytearray | memoryview


@attrs.frozen
class Entry:
    """A file that `Files.list` found.

    Example:
        >>> from cdrkit.storage import open_files
        >>> files = open_files("memory://entry-example")
        >>> files.put("day=2026-11-22/a.bin", b"calls")
        >>> [(entry.path, entry.size_bytes) for entry in files.list("")]
        [('day=2026-11-22/a.bin', 5)]

    Attributes:
        path: The file's path below the root.
        size_bytes: Its size in bytes.
        modified: The time of its last change, in UTC; None where the filesystem does not record it.
    """

    path: str
    size_bytes: int
    modified: datetime | None = None


class Files(Protocol):
    """The files below one root, on the local disk or on an fsspec filesystem.

    Paths are relative to the root, with ``/`` between their parts. A tier receives a `Files` object when it is created.
    Instances may be used by several threads at once.

    Every method raises `AccessDeniedError` for a path outside the root. When the filesystem fails, every method raises
    a `StorageError`, usually a subclass: `NotFoundError`, `AccessDeniedError` or `UnavailableError`.

    Example:
        >>> from cdrkit.storage import open_files
        >>> files = open_files("memory://files-example")
        >>> files.put("day=2026-11-22/a.bin", b"calls")
        >>> files.read("day=2026-11-22/a.bin", 1, 3)
        b'al'
        >>> [entry.path for entry in files.list("")]
        ['day=2026-11-22/a.bin']
    """

    @property
    def url(self) -> str:
        """The path or URL of the root, as the caller wrote it.

        Example:
            >>> from cdrkit.storage import open_files
            >>> open_files("memory://files-url-example").url
            'memory://files-url-example'
        """
        ...

    def url_of(self, path: str) -> str:
        """Return the URL of *path*, for messages.

        Example:
            >>> from cdrkit.storage import open_files
            >>> open_files("memory://url-of-example").url_of("a.bin")
            'memory://url-of-example/a.bin'
        """
        ...

    def local_path(self, path: str) -> str | None:
        """Return the local path of a file; None for a remote filesystem.

        Example:
            >>> from cdrkit.storage import open_files
            >>> open_files("memory://local-path-example").local_path("a.bin") is None
            True

        Raises:
            AccessDeniedError: When *path* is outside the root.
        """
        ...

    def read(self, path: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return the bytes of a file, or of a part of it.

        Example:
            >>> from cdrkit.storage import open_files
            >>> files = open_files("memory://files-read-example")
            >>> files.put("a.bin", b"calls")
            >>> files.read("a.bin", 1, 3)
            b'al'

        Args:
            path: The file.
            start: The first byte, counted from 0.
            stop: The end, exclusive; None reads to the end of the file.

        Raises:
            NotFoundError: When the file does not exist.
            AccessDeniedError: When *path* is outside the root.
            StorageError: When the filesystem fails.
        """
        ...

    def open(self, path: str) -> IO[bytes]:
        """Open a file for reading, as a seekable stream.

        Example:
            >>> from cdrkit.storage import open_files
            >>> files = open_files("memory://files-open-example")
            >>> files.put("a.bin", b"calls")
            >>> with files.open("a.bin") as stream:
            ...     stream.read(2)
            b'ca'

        Raises:
            NotFoundError: When the file does not exist.
            AccessDeniedError: When *path* is outside the root.
            StorageError: When the filesystem fails.
        """
        ...

    def put(self, path: str, data: Data) -> None:
        """Write a whole file; if the file exists, replace it.

        A reader sees all of the new content or none of it. The content is durable when this returns.

        Example:
            >>> from cdrkit.storage import open_files
            >>> files = open_files("memory://files-put-example")
            >>> files.put("a.bin", b"calls")
            >>> files.size("a.bin")
            5

        Raises:
            AccessDeniedError: When *path* is outside the root.
            StorageError: When the filesystem fails.
        """
        ...

    def create(self, path: str, data: Data) -> bool:
        """Write a whole file unless it exists; return whether the file was created.

        At most one of several callers gets True. A file that another caller created may not be durable yet; see
        `make_durable`.

        Example:
            >>> from cdrkit.storage import open_files
            >>> files = open_files("memory://files-create-example")
            >>> files.create("a.bin", b"calls"), files.create("a.bin", b"other")
            (True, False)

        Raises:
            ConfigError: When the filesystem has no exclusive creation.
            AccessDeniedError: When *path* is outside the root.
            StorageError: When the filesystem fails.
        """
        ...

    def make_durable(self, path: str) -> None:
        """Ensure that the file at *path* survives a crash of the machine.

        The writer of the file may not have done so yet.

        Example:
            >>> from cdrkit.storage import open_files
            >>> files = open_files("memory://files-durable-example")
            >>> files.create("a.bin", b"calls")
            True
            >>> files.make_durable("a.bin")

        Raises:
            AccessDeniedError: When *path* is outside the root.
            StorageError: When the filesystem fails.
        """
        ...

    def writer(self, path: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """Open a file for writing; the whole file appears when the ``with`` block ends.

        If the block raises an error, the file does not appear.

        Example:
            >>> from cdrkit.storage import open_files
            >>> files = open_files("memory://files-writer-example")
            >>> with files.writer("a.bin") as stream:
            ...     _ = stream.write(b"calls")
            >>> files.read("a.bin")
            b'calls'

        Raises:
            AccessDeniedError: When *path* is outside the root.
            StorageError: When the filesystem fails.
        """
        ...

    def size(self, path: str) -> int | None:
        """Return the size of *path* in bytes, or None if no such file exists.

        Example:
            >>> from cdrkit.storage import open_files
            >>> files = open_files("memory://files-size-example")
            >>> files.put("a.bin", b"calls")
            >>> files.size("a.bin"), files.size("b.bin")
            (5, None)

        Raises:
            AccessDeniedError: When *path* is outside the root.
            StorageError: When the filesystem fails.
        """
        ...

    def list(self, folder: str) -> list[Entry]:
        """Return the files at any depth below *folder*, sorted by path.

        An absent folder contains no files.

        Example:
            >>> from cdrkit.storage import open_files
            >>> files = open_files("memory://files-list-example")
            >>> files.put("day=2026-11-22/a.bin", b"calls")
            >>> [entry.path for entry in files.list("day=2026-11-22")]
            ['day=2026-11-22/a.bin']

        Raises:
            AccessDeniedError: When *folder* is outside the root.
            StorageError: When the filesystem fails.
        """
        ...

    def remove(self, path: str) -> None:
        """Remove a file if it exists.

        Example:
            >>> from cdrkit.storage import open_files
            >>> files = open_files("memory://files-remove-example")
            >>> files.put("a.bin", b"calls")
            >>> files.remove("a.bin")
            >>> files.list("")
            []

        Raises:
            AccessDeniedError: When *path* is outside the root.
            StorageError: When the filesystem fails.
        """
        ...

    def remove_temporary(self, before: datetime) -> int:
        """Remove the leftovers of interrupted writes.

        Example:
            >>> from datetime import datetime, timezone
            >>> from cdrkit.storage import open_files
            >>> open_files("memory://temporary-example").remove_temporary(datetime(2026, 11, 22, tzinfo=timezone.utc))
            0

        Args:
            before: Leftovers changed at or after this time are kept, because their writer may still be active.

        Returns:
            The number of files removed.

        Raises:
            StorageError: When the filesystem fails.
        """
        ...

    def sign(self, path: str, expires: int) -> str:
        """Return a URL that opens *path* without credentials.

        Example:
            >>> from cdrkit.storage import open_files
            >>> files = open_files("memory://files-sign-example")
            >>> files.sign("a.bin", expires=60)
            Traceback (most recent call last):
            cdrkit.errors.ConfigError: The storage at memory://files-sign-example cannot sign URLs...

        Args:
            path: The file.
            expires: The validity of the URL, in seconds.

        Raises:
            ConfigError: When the filesystem cannot sign URLs.
            AccessDeniedError: When *path* is outside the root.
            StorageError: When the filesystem fails.
        """
        ...
