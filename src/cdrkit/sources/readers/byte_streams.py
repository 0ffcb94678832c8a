"""Read byte streams in blocks, or look at their first bytes."""

from __future__ import annotations

import io
from typing import IO, Final, Protocol, cast

from cdrkit.errors import ConfigError

__all__ = ["PeekedStream", "Readable", "check_bytes", "prepend", "read_block"]

_HEAD_BYTES: Final = 64 << 10


class Readable(Protocol):
    """A file opened for reading bytes."""

    def read(self, size: int, /) -> bytes:
        """Return up to *size* bytes, or empty bytes at the end of the file."""
        ...


def check_bytes(block: object) -> bytes:
    """Return *block*; raise an error if it is not bytes.

    Raises:
        ConfigError: When the block is not bytes, because the file was opened in text mode.
    """
    if not isinstance(block, bytes):
        raise ConfigError(
            f"Reading the file returned {type(block).__name__}, not bytes; open the file with mode 'rb'."
        )
    return block


def read_block(stream: Readable, size: int) -> tuple[bytes, bool]:
    """Read *size* bytes of a stream, or all remaining bytes if fewer remain.

    A socket may return fewer bytes than requested, so the stream is read until the block is full.

    Args:
        stream: The stream.
        size: The number of bytes to read.

    Returns:
        The bytes, and whether the stream ends after them.

    Raises:
        ConfigError: When the stream returns text.
    """
    parts: list[bytes] = []
    missing = size
    while missing > 0:
        part = check_bytes(stream.read(missing))
        if not part:
            return b"".join(parts), True
        parts.append(part)
        missing -= len(part)
    return b"".join(parts), False


def prepend(head: bytes, stream: IO[bytes]) -> IO[bytes]:
    """Return a stream that starts with *head* and continues with *stream*."""
    return cast(IO[bytes], _PrependedStream(head, stream))


class _PrependedStream(io.RawIOBase):
    """A stream that reads bytes from memory first, and then from another stream."""

    def __init__(self, head: bytes, stream: IO[bytes]) -> None:
        super().__init__()
        self._head = head
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if not self._head:
            return self._stream.read(size)
        cut = len(self._head) if size < 0 else size
        data, self._head = self._head[:cut], self._head[cut:]
        return data


class PeekedStream:
    """A file whose first bytes can be inspected without consuming them.

    Attributes:
        head: The first bytes of the file, 64 KiB at most.
    """

    def __init__(self, file: Readable) -> None:
        self._file = file
        self.head: bytes = read_block(file, _HEAD_BYTES)[0]
        self._unread = self.head

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, or empty bytes at the end of the file."""
        if self._unread:
            data, self._unread = self._unread, b""
            return data
        return self._file.read(size)
