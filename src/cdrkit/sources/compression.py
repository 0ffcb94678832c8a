"""Decompression of files during reading, with error messages that name the file.

The first bytes of a file identify its compression.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, Final, cast

import pyarrow as pa

from cdrkit.errors import CdrError, ConfigError, CorruptDataError, StorageError

__all__ = [
    "BUFFER_BYTES",
    "HEADER_BYTES",
    "InputStream",
    "TailStream",
    "damage_error",
    "decompress",
    "name_damage",
    "open_compressed",
    "peek",
    "read_head",
]

#: The number of bytes to read at once.
BUFFER_BYTES: Final = 64 << 10
#: The number of bytes that identify a compression or an archive: the size of a block of tar.
HEADER_BYTES: Final = 512
_HEAD_BYTES: Final = 64 << 10
_DAMAGE: Final = (EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, tarfile.TarError)


def decompress(stream: IO[bytes], name: str) -> IO[bytes]:
    """Return a stream of the decompressed bytes of one file.

    gzip, bzip2, xz and zstd are detected by the first bytes. Other files, and archives, are returned unchanged.

    Example:
        >>> import gzip, io
        >>> from cdrkit.sources import decompress
        >>> decompress(io.BytesIO(gzip.compress(b"2041,2042")), "calls.csv.gz").read()
        b'2041,2042'

    Args:
        stream: The bytes of the file. The caller closes it.
        name: The name of the file, for messages.

    Returns:
        A stream of the decompressed bytes. Reading the stream raises the errors below.

    Raises:
        CorruptDataError: When the file is cut off or damaged.
        StorageError: When the file cannot be read.
        ConfigError: When the stream returns text.
    """
    reader = io.BufferedReader(InputStream(stream, name), BUFFER_BYTES)
    unpacked = open_compressed(reader, peek(reader, HEADER_BYTES))
    return reader if unpacked is None else io.BufferedReader(InputStream(unpacked, name), BUFFER_BYTES)


def open_compressed(stream: io.BufferedReader[Any], head: bytes) -> IO[bytes] | None:
    """Return a stream of the decompressed bytes, or None for an uncompressed file.

    Args:
        stream: The bytes of the file.
        head: The first bytes of the file.
    """
    if head.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=stream))
    if head.startswith(b"\xfd7zXZ\0"):
        return cast(IO[bytes], lzma.LZMAFile(stream))
    if head.startswith(b"BZh") and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return cast(IO[bytes], bz2.BZ2File(stream))
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        packed = pa.PythonFile(stream, mode="r")
        return cast(IO[bytes], pa.CompressedInputStream(packed, "zstd"))
    return None


def peek(stream: IO[bytes], size: int) -> bytes:
    """Return up to *size* bytes of a buffered stream without consuming them."""
    assert isinstance(stream, io.BufferedReader)
    return stream.peek(size)[:size]


def read_head(stream: IO[bytes]) -> bytes:
    """Read the first 64 KiB of a stream, or the whole stream if it is shorter."""
    head = b""
    while len(head) < _HEAD_BYTES and (part := stream.read(_HEAD_BYTES - len(head))):
        head += part
    return head


def damage_error(name: str, error: Exception) -> CorruptDataError:
    """Return the error to raise for a file that is truncated or damaged.

    Args:
        name: The name of the file.
        error: The error that decompressing the file raised.
    """
    return CorruptDataError(
        f"{name} is cut off or damaged: {str(error) or type(error).__name__}. Nothing was stored; get the file again.",
        url=name,
    )


@contextlib.contextmanager
def name_damage(name: str) -> Iterator[None]:
    """If reading or decompression fails, raise an error that names the file."""
    try:
        yield
    except CdrError:
        raise
    except _DAMAGE as exc:
        raise damage_error(name, exc) from exc
    except (RuntimeError, NotImplementedError) as exc:  # zipfile raises these for passwords and rare methods.
        raise ConfigError(
            f"cdrkit cannot unpack {name}: {exc}. Unpack the file with another program first."
        ) from exc
    except OSError as exc:
        if exc.errno is None:  # bz2, gzip and pyarrow raise these for damaged bytes, not for a failing disk.
            raise damage_error(name, exc) from exc
        raise StorageError(
            f"Reading {name} failed partway: {exc.strerror or exc}. Nothing was stored.", url=name
        ) from exc


class InputStream(io.RawIOBase):
    """A stream that counts the bytes read, and whose errors contain the file's name."""

    def __init__(
        self, stream: IO[bytes], name: str, count: Callable[[int], None] | None = None, *, owned: bool = False
    ) -> None:
        """Wrap a stream.

        Args:
            stream: The stream to read.
            name: The name of its file.
            count: A function that is called with the size of each block that is read.
            owned: Whether closing this object also closes *stream*.
        """
        super().__init__()
        self._stream = stream
        self._input_name = name
        self._count = count
        self._owned = owned
        self._least = HEADER_BYTES

    def readable(self) -> bool:
        """Return True, because the stream is readable."""
        return True

    def seekable(self) -> bool:
        """Return whether the wrapped stream is seekable."""
        try:
            return bool(self._stream.seekable())
        except AttributeError:
            return False

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move the wrapped stream to a position."""
        with name_damage(self._input_name):
            return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Return the position of the wrapped stream."""
        return self._stream.tell()

    def readinto(self, buffer: Any, /) -> int:
        """Read into a buffer, and return the number of bytes read."""
        view = memoryview(buffer)
        done = 0
        # The first bytes identify the file. A socket may return them one by one, so the first read gets enough.
        while done < min(len(view), self._least):
            with name_damage(self._input_name):
                data = self._stream.read(len(view) - done)
            if not isinstance(data, bytes):
                raise ConfigError(
                    f"Reading the file returned {type(data).__name__}, not bytes. Open the file with mode 'rb'."
                )
            if not data:
                break
            view[done : done + len(data)] = data
            done += len(data)
        self._least = 1
        if self._count is not None:
            self._count(done)
        return done

    def close(self) -> None:
        """Close this stream, and also the wrapped stream if this stream owns it."""
        if self._owned and not self.closed:
            with contextlib.suppress(
                Exception
            ):  # All bytes were read: an error while closing changes nothing.
                self._stream.close()
        super().close()


class TailStream:
    """A stream that keeps the last bytes that were read from it.

    Attributes:
        tail: The last 512 bytes.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.tail: bytes = b""

    def read(self, size: int) -> bytes:
        """Return the next *size* bytes."""
        data = self._stream.read(size)
        self.tail = (self.tail + data)[-HEADER_BYTES:] if len(data) < HEADER_BYTES else data[-HEADER_BYTES:]
        return data
