"""What can be read: paths, URLs, globs, folders, archives, bytes, files and documents, as one row of open inputs.

Compression is told by a file's first bytes, not by its name, and undone while reading: memory does not grow with
what comes out. An archive's members are read where they lie; nothing is unpacked to a disk.
"""

from __future__ import annotations

import bz2
import contextlib
import fnmatch
import gzip
import io
import json
import lzma
import os
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any, Final, Protocol, Self, TypeAlias, cast

import pyarrow as pa

from cdrkit._files import Files, open_files, split_url
from cdrkit.errors import CdrError, ConfigError, CorruptDataError, NotFoundError, SchemaError, StorageError
from cdrkit.sources.contract import OwnStream, SourceInput

__all__ = ["HEAD_BYTES", "Input", "Inputs", "decompress", "read_head"]


class Connection(Protocol):
    """A connection to a database, as PEP 249 (DB-API 2.0) has it and ADBC's is."""

    def cursor(self) -> Any: ...


#: A path, a URL or a glob of either; bytes; a file opened for reading bytes; a document; an iterable of those; or a
#: connection to a database.
Input: TypeAlias = (
    "str | os.PathLike[str] | bytes | IO[bytes] | Mapping[str, Any] | Iterable[Any] | Connection"
)


HEAD_BYTES: Final = 64 << 10
_BUFFER_BYTES: Final = 64 << 10
_BYTES: Final = (bytes, bytearray, memoryview)
_TAR_BLOCK: Final = 512
_DEPTH: Final = 3
_WILD: Final = frozenset("*?[")
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_DAMAGE: Final = (EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, tarfile.TarError)


class Inputs:
    """What one ingest reads, in order; a context manager that closes what it opened, and nothing else."""

    def __init__(self, given: Input, options: Mapping[str, object] | None = None) -> None:
        """Take what is given, and options for the filesystems of its URLs.

        Raises:
            ConfigError: When there are options, and what is given has no URL.
        """
        self._given = given
        self._options = options
        if options and (
            isinstance(given, (*_BYTES, Mapping)) or hasattr(given, "read") or hasattr(given, "cursor")
        ):
            raise ConfigError(
                f"storage_options are for the filesystem of a URL, and {_name_of(given)} has none; leave them out."
            )
        self._stack = contextlib.ExitStack()
        self._read = 0
        self.name: str = _name_of(given)
        #: The connection to a database that was given, instead of anything that has bytes.
        self.connection: Any = given if hasattr(given, "cursor") and not hasattr(given, "read") else None
        #: Whether nothing of the caller's is touched by reading, so that another thread may do it.
        self.is_self_contained: bool = isinstance(given, (str, os.PathLike, bytes))
        #: How many inputs there were so far.
        self.count: int = 0
        #: Whether there may be several; then empty ones are passed over and rejects say which one they are in.
        self.are_many: bool = False
        #: How many bytes lie there, as far as that is known.
        self.size_bytes: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    @property
    def bytes_read(self) -> int:
        """How many bytes were read so far, of files as they lie there."""
        return self._read

    def __iter__(self) -> Iterator[SourceInput]:
        """Yield the inputs, each open until the next is asked for.

        Raises:
            StorageError: When one cannot be opened or read.
            CorruptDataError: When a compressed one is cut off or damaged.
            ConfigError: When it is nothing that can be read.
            SchemaError: When there are none, or all are empty.
        """
        for name, raw in self._opened(self._given):
            for member in self._members(name, raw, _DEPTH):
                if self.are_many and not _peeked(member.stream, 1):
                    continue
                self.count += 1
                yield member
        if not self.count:
            raise SchemaError(f"There is nothing to read in {self.name}. Check that it is the right place.")

    # -- what was given ----------------------------------------------------------------------------------------

    def _opened(self, given: Any) -> Iterator[tuple[str, io.RawIOBase]]:
        if isinstance(given, _BYTES):
            self.size_bytes = len(given)
            yield "bytes", self._counted(io.BytesIO(given), "bytes")
        elif isinstance(given, Mapping):
            yield "document", self._counted(io.BytesIO(_document(given)), "document")
        elif isinstance(given, (str, os.PathLike)):
            yield from self._at(given)
        elif isinstance(given, io.TextIOBase):
            raise ConfigError(f"{given!r} gives text, not bytes; open it with mode 'rb'.")
        elif hasattr(given, "read"):
            name = str(getattr(given, "name", "file"))
            yield name, self._counted(given, name)
        elif isinstance(given, Iterable):
            self.are_many = True
            for number, item in enumerate(given, 1):
                if isinstance(item, _BYTES):
                    yield f"document {number}", self._counted(io.BytesIO(item), f"document {number}")
                elif isinstance(item, Mapping):
                    yield f"document {number}", self._counted(io.BytesIO(_document(item)), "document")
                elif isinstance(item, (str, os.PathLike)) or hasattr(item, "read"):
                    yield from self._opened(item)
                else:
                    raise ConfigError(
                        f"Item {number} is a {type(item).__name__}; give paths, URLs, bytes, dicts or files."
                    )
        else:
            raise ConfigError(
                f"{given!r} is neither a path, a URL, bytes, a file opened with mode 'rb', nor an iterable of those."
            )

    def _at(self, given: str | os.PathLike[str]) -> Iterator[tuple[str, io.RawIOBase]]:
        text = os.fspath(given)
        if not isinstance(text, str):
            raise ConfigError(f"{given!r} is not a path or URL.")
        try:
            folder, name = split_url(text)
        except ConfigError:
            if not text.strip("/"):
                raise
        else:
            files = open_files(folder, self._options)
            size = files.size(name)
            if size is not None:
                self.size_bytes = None if self.are_many else size
                yield text, self._file(files, name)
                return
        if _WILD & set(text):
            root, pattern = _split_glob(text)
            files = open_files(root, self._options)
            paths = [entry.path for entry in files.list("") if _matches(entry.path, pattern)]
            if not paths:
                raise NotFoundError(f"Nothing matches {text}; check the pattern.", url=text)
        else:
            files = open_files(text, self._options)
            paths = [
                entry.path
                for entry in files.list("")
                if not any(part.startswith(".") for part in entry.path.split("/"))
            ]
            if not paths:
                raise NotFoundError(f"Cannot open {text}: it is not there, or an empty folder.", url=text)
        self.are_many = True
        for path in paths:
            yield files.url_of(path), self._file(files, path)

    def _file(self, files: Files, path: str) -> io.RawIOBase:
        name = files.url_of(path)
        stream = files.open(path)
        try:
            return self._counted(stream, name, owned=True)
        except BaseException:
            stream.close()
            raise

    def _counted(self, stream: IO[bytes], name: str, *, owned: bool = False) -> io.RawIOBase:
        return _Counted(stream, name, self._count, owned=owned)

    def _count(self, size: int) -> None:
        self._read += size

    # -- archives and compression -------------------------------------------------------------------------------

    def _members(self, name: str, raw: io.RawIOBase, depth: int) -> Iterator[SourceInput]:
        kind = OwnStream if self.is_self_contained else io.BufferedReader
        with contextlib.closing(raw), kind(raw, _BUFFER_BYTES) as stream:
            head = _peeked(stream, _TAR_BLOCK)
            if head.startswith(_ZIP):
                self.are_many = True
                yield from self._zipped(name, stream, depth)
            elif head[257:262] == b"ustar":
                self.are_many = True
                yield from self._tarred(name, stream, depth)
            elif (unpacked := _unpacked(stream, head)) is not None:
                if not depth:
                    raise ConfigError(f"{name} is compressed {_DEPTH + 1} times or more; unpack it first.")
                yield from self._members(name, _Counted(unpacked, name, owned=True), depth - 1)
            else:
                yield SourceInput(name=name, stream=stream)

    def _zipped(self, name: str, stream: io.BufferedReader[Any], depth: int) -> Iterator[SourceInput]:
        if depth < _DEPTH:
            raise ConfigError(
                f"{name} is a zip archive inside another archive or compression; unpack it first."
            )
        with contextlib.ExitStack() as stack:
            file: IO[bytes] = stream
            if not stream.seekable():
                file = stack.enter_context(tempfile.TemporaryFile())
                while chunk := stream.read(_BUFFER_BYTES):
                    file.write(chunk)
            with _damage_named(name):
                archive = stack.enter_context(zipfile.ZipFile(file))
            for info in archive.infolist():
                if info.is_dir():
                    continue
                member = f"{name}/{info.filename}"
                with _damage_named(member):
                    opened = archive.open(info)
                yield from self._members(member, _Counted(opened, member, owned=True), depth - 1)

    def _tarred(self, name: str, stream: io.BufferedReader[Any], depth: int) -> Iterator[SourceInput]:
        ended = _Tail(stream)
        with contextlib.ExitStack() as stack:
            with _damage_named(name):
                opened = stack.enter_context(tarfile.open(fileobj=cast(IO[bytes], ended), mode="r|"))
            members = iter(opened)
            while True:
                with _damage_named(name):
                    info = next(members, None)
                if info is None:
                    break
                file = opened.extractfile(info) if info.isreg() else None
                if file is None:
                    continue
                member = f"{name}/{info.name}"
                yield from self._members(member, _Counted(file, member, owned=True), depth - 1)
        if ended.tail.strip(b"\0"):
            raise _damaged(name, EOFError("the end of the archive is missing"))


def _name_of(given: object) -> str:
    if isinstance(given, (str, os.PathLike)):
        return str(os.fspath(given))
    if isinstance(given, _BYTES):
        return "bytes"
    if isinstance(given, Mapping):
        return "document"
    if hasattr(given, "cursor"):
        return "database"
    return str(getattr(given, "name", "file" if hasattr(given, "read") else "documents"))


def _document(item: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(dict(item), default=str).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise ConfigError(f"A document cannot be written as JSON: {exc}.") from exc


def _split_glob(text: str) -> tuple[str, str]:
    """Return the folder before the first wild part of *text*, and the rest."""
    parts = text.split("/")
    first = next(number for number, part in enumerate(parts) if _WILD & set(part))
    root = "/".join(parts[:first])
    return root or ("/" if text.startswith("/") else "."), "/".join(parts[first:])


def _matches(path: str, pattern: str) -> bool:
    """Return whether *path* fits *pattern*, part by part; ``**`` stands for any number of folders."""

    def fits(parts: list[str], wanted: list[str]) -> bool:
        if not wanted:
            return not parts
        if wanted[0] == "**":
            return any(fits(parts[skip:], wanted[1:]) for skip in range(len(parts) + 1))
        return bool(parts) and fnmatch.fnmatchcase(parts[0], wanted[0]) and fits(parts[1:], wanted[1:])

    return fits(path.split("/"), pattern.split("/"))


def _peeked(stream: IO[bytes], size: int) -> bytes:
    assert isinstance(stream, io.BufferedReader)
    return stream.peek(size)[:size]


def _unpacked(stream: io.BufferedReader[Any], head: bytes) -> IO[bytes] | None:
    """Return what *stream* is the compressed form of, or None when it is not compressed."""
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


def decompress(stream: IO[bytes], name: str) -> IO[bytes]:
    """Return *stream* decompressed, where it is compressed; it holds one file, no archive."""
    reader = io.BufferedReader(_Counted(stream, name), _BUFFER_BYTES)
    unpacked = _unpacked(reader, _peeked(reader, _TAR_BLOCK))
    return reader if unpacked is None else io.BufferedReader(_Counted(unpacked, name), _BUFFER_BYTES)


def read_head(stream: IO[bytes]) -> bytes:
    """Return the first 64 KiB of *stream*, or all of it."""
    head = b""
    while len(head) < HEAD_BYTES and (part := stream.read(HEAD_BYTES - len(head))):
        head += part
    return head


def _damaged(name: str, exc: Exception) -> CorruptDataError:
    return CorruptDataError(
        f"{name} is cut off or damaged: {str(exc) or type(exc).__name__}. Nothing was stored; get it once more.",
        url=name,
    )


@contextlib.contextmanager
def _damage_named(name: str) -> Iterator[None]:
    """Turn what decompression and archives raise into errors of ours."""
    try:
        yield
    except CdrError:
        raise
    except _DAMAGE as exc:
        raise _damaged(name, exc) from exc
    except (RuntimeError, NotImplementedError) as exc:  # what zipfile says of passwords and rare methods
        raise ConfigError(f"{name} cannot be unpacked: {exc}. Unpack it first.") from exc
    except OSError as exc:
        if exc.errno is None:  # bz2, gzip and pyarrow: the bytes are at fault, not the disk
            raise _damaged(name, exc) from exc
        raise StorageError(
            f"Cannot read {name} on: {exc.strerror or exc}. Nothing was stored.", url=name
        ) from exc


class _Counted(io.RawIOBase):
    """A stream whose bytes are counted and whose errors are ours. It closes what it reads only when it owns it."""

    def __init__(
        self, stream: IO[bytes], name: str, count: Callable[[int], None] | None = None, *, owned: bool = False
    ) -> None:
        super().__init__()
        self._stream = stream
        self._called = name
        self._note = count
        self._owned = owned
        self._wanted = _TAR_BLOCK

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        try:
            return bool(self._stream.seekable())
        except AttributeError:
            return False

    def seek(self, offset: int, whence: int = 0, /) -> int:
        with _damage_named(self._called):
            return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)
        done = 0
        # The first bytes tell what it is, also where a socket gives them one by one.
        while done < min(len(view), self._wanted):
            with _damage_named(self._called):
                data = self._stream.read(len(view) - done)
            if not isinstance(data, bytes):
                raise ConfigError(f"The file gives {type(data).__name__}, not bytes; open it with mode 'rb'.")
            if not data:
                break
            view[done : done + len(data)] = data
            done += len(data)
        self._wanted = 1
        if self._note is not None:
            self._note(done)
        return done

    def close(self) -> None:
        if self._owned and not self.closed:
            with contextlib.suppress(Exception):  # it was read; what its closing says changes nothing
                self._stream.close()
        super().close()


class _Tail:
    """A stream that remembers the end of what was read last."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.tail = b""

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self.tail = (self.tail + data)[-_TAR_BLOCK:] if len(data) < _TAR_BLOCK else data[-_TAR_BLOCK:]
        return data
