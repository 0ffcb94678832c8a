"""The inputs of an ingest: paths, URLs, archives, documents and databases.

The first bytes of a file, not its name, identify its compression. Files are decompressed while they are read, so
memory use does not grow with their size. Archive members are read in place: nothing is unpacked to disk.
"""

from __future__ import annotations

import contextlib
import fnmatch
import io
import json
import os
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, Final, Protocol, Self, TypeAlias, cast

from cdrkit._files import Files, open_files, split_url
from cdrkit.errors import ConfigError, NotFoundError, SchemaError
from cdrkit.sources.compression import (
    BUFFER_BYTES,
    HEADER_BYTES,
    InputStream,
    TailStream,
    damage_error,
    name_damage,
    open_compressed,
    peek,
)
from cdrkit.sources.contract import OwnStream, SourceInput

__all__ = ["Input", "Inputs"]


class Connection(Protocol):
    """An open database connection: DB-API 2.0 (PEP 249) or ADBC."""

    def cursor(self) -> Any:
        """Return a database cursor."""
        ...


#: Calls to ingest: a path, a URL or a glob of either; bytes; a file opened for reading bytes; a document; an iterable
#: of those; or a connection to a database.
Input: TypeAlias = (
    "str | os.PathLike[str] | bytes | IO[bytes] | Mapping[str, Any] | Iterable[Any] | Connection"
)

_BYTES: Final = (bytes, bytearray, memoryview)
#: The number of compressions and archives that may be nested.
_DEPTH: Final = 3
_WILDCARDS: Final = frozenset("*?[")
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")


class Inputs:
    """The inputs of one ingest, in order.

    This is a context manager that closes the files that it opened.

    Iterating yields each input as a `SourceInput`. An input stays open until the next input is requested. Files that
    the caller opened stay open.

    Example:
        >>> from cdrkit.sources import Inputs
        >>> with Inputs([b"2041,2042", b"2041,2043"]) as inputs:
        ...     [(each.name, each.stream.read()) for each in inputs]
        [('document 1', b'2041,2042'), ('document 2', b'2041,2043')]

    Args:
        given: The calls to ingest; see `Input`.
        options: Options for the filesystem of a URL, such as credentials and an endpoint.

    Attributes:
        name: The name of the inputs as a whole, for messages.
        connection: The database connection to read; None if the inputs are files.
        is_self_contained: Whether reading uses no object of the caller, so that another thread may read.
        count: The number of inputs opened so far.
        are_many: Whether several inputs are possible. Then empty inputs are skipped, and each reject names
            the input that it comes from.
        size_bytes: The number of bytes of the inputs as they are stored, or None if the number is unknown.

    Raises:
        ConfigError: When options are given, but no input is a URL.
    """

    def __init__(self, given: Input, options: Mapping[str, object] | None = None) -> None:
        self._given = given
        self._options = options
        if options and (
            isinstance(given, (*_BYTES, Mapping)) or hasattr(given, "read") or hasattr(given, "cursor")
        ):
            raise ConfigError(
                f"storage_options is valid only for URLs, but {_name_of(given)} is not a URL. Omit storage_options."
            )
        self._stack = contextlib.ExitStack()
        self._bytes_read = 0
        self.name: str = _name_of(given)
        self.connection: Any = given if hasattr(given, "cursor") and not hasattr(given, "read") else None
        self.is_self_contained: bool = isinstance(given, (str, os.PathLike, bytes))
        self.count: int = 0
        self.are_many: bool = False
        self.size_bytes: int | None = None

    def __enter__(self) -> Self:
        """Return this object."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the files that this object opened."""
        self._stack.close()

    @property
    def bytes_read(self) -> int:
        """The number of bytes read so far, counted before decompression.

        Example:
            >>> from cdrkit.sources import Inputs
            >>> with Inputs(b"id,begin\\n") as inputs:
            ...     _ = [each.stream.read() for each in inputs]
            ...     inputs.bytes_read
            9
        """
        return self._bytes_read

    def __iter__(self) -> Iterator[SourceInput]:
        """Yield each input; it can be read until the next input is requested.

        Raises:
            StorageError: When an input cannot be opened or read.
            CorruptDataError: When a compressed input is cut off or damaged.
            ConfigError: When an object of an unsupported type was given.
            SchemaError: When no inputs exist, or all inputs are empty.
        """
        for name, raw in self._open_given(self._given):
            for member in self._read_members(name, raw, _DEPTH):
                if self.are_many and not peek(member.stream, 1):
                    continue
                self.count += 1
                yield member
        if not self.count:
            raise SchemaError(
                f"cdrkit found nothing to read in {self.name}. Check that the path or list is correct."
            )

    # -- the argument of the caller ----------------------------------------------------------------------------

    def _open_given(self, given: Any) -> Iterator[tuple[str, io.RawIOBase]]:
        if isinstance(given, _BYTES):
            self.size_bytes = len(given)
            yield "bytes", self._wrap(io.BytesIO(given), "bytes")
        elif isinstance(given, Mapping):
            yield "document", self._wrap(io.BytesIO(_to_json(given)), "document")
        elif isinstance(given, (str, os.PathLike)):
            yield from self._open_path(given)
        elif isinstance(given, io.TextIOBase):
            raise ConfigError(f"Reading {given!r} returns text, not bytes; open the file with mode 'rb'.")
        elif hasattr(given, "read"):
            name = str(getattr(given, "name", "file"))
            yield name, self._wrap(given, name)
        elif isinstance(given, Iterable):
            yield from self._open_items(given)
        else:
            raise ConfigError(
                f"{given!r} is not an input. Give a path, a URL, bytes, a file opened with mode 'rb', or an "
                "iterable of these."
            )

    def _open_items(self, given: Iterable[Any]) -> Iterator[tuple[str, io.RawIOBase]]:
        self.are_many = True
        for number, item in enumerate(given, 1):
            if isinstance(item, _BYTES):
                yield f"document {number}", self._wrap(io.BytesIO(item), f"document {number}")
            elif isinstance(item, Mapping):
                yield f"document {number}", self._wrap(io.BytesIO(_to_json(item)), "document")
            elif isinstance(item, (str, os.PathLike)) or hasattr(item, "read"):
                yield from self._open_given(item)
            else:
                raise ConfigError(
                    f"Item {number} has the type {type(item).__name__}; give paths, URLs, bytes, dicts or files."
                )

    def _open_path(self, given: str | os.PathLike[str]) -> Iterator[tuple[str, io.RawIOBase]]:
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
            if size is not None:  # A file that exists is read, even if its name has wildcards.
                self.size_bytes = None if self.are_many else size
                yield text, self._open_file(files, name)
                return
        if _WILDCARDS & set(text):
            root, pattern = _split_glob(text)
            files = open_files(root, self._options)
            paths = [entry.path for entry in files.list("") if _matches(entry.path, pattern)]
            if not paths:
                raise NotFoundError(f"No file matches {text}; check the pattern.", url=text)
        else:
            files = open_files(text, self._options)
            paths = [
                entry.path
                for entry in files.list("")
                if not any(part.startswith(".") for part in entry.path.split("/"))
            ]
            if not paths:
                raise NotFoundError(f"Cannot open {text}: it does not exist or is an empty folder.", url=text)
        self.are_many = True
        for path in paths:
            yield files.url_of(path), self._open_file(files, path)

    def _open_file(self, files: Files, path: str) -> io.RawIOBase:
        name = files.url_of(path)
        stream = files.open(path)
        try:
            return self._wrap(stream, name, owned=True)
        except BaseException:
            stream.close()
            raise

    def _wrap(self, stream: IO[bytes], name: str, *, owned: bool = False) -> io.RawIOBase:
        return InputStream(stream, name, self._add_bytes, owned=owned)

    def _add_bytes(self, size: int) -> None:
        self._bytes_read += size

    # -- archives and compression -------------------------------------------------------------------------------

    def _read_members(self, name: str, raw: io.RawIOBase, depth: int) -> Iterator[SourceInput]:
        """Yield the decompressed file, or the decompressed members of an archive."""
        kind = OwnStream if self.is_self_contained else io.BufferedReader
        with contextlib.closing(raw), kind(raw, BUFFER_BYTES) as stream:
            head = peek(stream, HEADER_BYTES)
            if head.startswith(_ZIP):
                self.are_many = True
                yield from self._read_zip(name, stream, depth)
            elif head[257:262] == b"ustar":
                self.are_many = True
                yield from self._read_tar(name, stream, depth)
            elif (unpacked := open_compressed(stream, head)) is not None:
                if not depth:
                    raise ConfigError(
                        f"{name} has more than {_DEPTH} layers of compression. Unpack it first."
                    )
                yield from self._read_members(name, InputStream(unpacked, name, owned=True), depth - 1)
            else:
                yield SourceInput(name=name, stream=stream)

    def _read_zip(self, name: str, stream: io.BufferedReader[Any], depth: int) -> Iterator[SourceInput]:
        if depth < _DEPTH:
            raise ConfigError(
                f"{name} is a zip archive inside another archive or compressed file. Unpack the outer file first."
            )
        with contextlib.ExitStack() as stack:
            file: IO[bytes] = stream
            if not stream.seekable():
                file = stack.enter_context(tempfile.TemporaryFile())
                while chunk := stream.read(BUFFER_BYTES):
                    file.write(chunk)
            with name_damage(name):
                archive = stack.enter_context(zipfile.ZipFile(file))
            for info in archive.infolist():
                if info.is_dir():
                    continue
                member = f"{name}/{info.filename}"
                with name_damage(member):
                    member_file = archive.open(info)
                yield from self._read_members(member, InputStream(member_file, member, owned=True), depth - 1)

    def _read_tar(self, name: str, stream: io.BufferedReader[Any], depth: int) -> Iterator[SourceInput]:
        tail = TailStream(stream)
        with contextlib.ExitStack() as stack:
            with name_damage(name):
                archive = stack.enter_context(tarfile.open(fileobj=cast(IO[bytes], tail), mode="r|"))
            members = iter(archive)
            while True:
                with name_damage(name):
                    info = next(members, None)
                if info is None:
                    break
                file = archive.extractfile(info) if info.isreg() else None
                if file is None:
                    continue
                member = f"{name}/{info.name}"
                yield from self._read_members(member, InputStream(file, member, owned=True), depth - 1)
        # An archive ends with blocks of zeros. tarfile accepts an archive that is cut off between two members.
        if tail.tail.strip(b"\0"):
            raise damage_error(name, EOFError("the end of the archive is missing"))


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


def _to_json(document: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(dict(document), default=str).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise ConfigError(f"A document cannot be written as JSON: {exc}.") from exc


def _split_glob(text: str) -> tuple[str, str]:
    """Split a glob in two: the folder without wildcards, then the pattern below it."""
    parts = text.split("/")
    first = next(number for number, part in enumerate(parts) if _WILDCARDS & set(part))
    root = "/".join(parts[:first])
    return root or ("/" if text.startswith("/") else "."), "/".join(parts[first:])


def _matches(path: str, pattern: str) -> bool:
    """Return whether a path matches a pattern; ``**`` matches any number of folders."""

    def fits(parts: list[str], patterns: list[str]) -> bool:
        if not patterns:
            return not parts
        if patterns[0] == "**":
            return any(fits(parts[skip:], patterns[1:]) for skip in range(len(parts) + 1))
        return bool(parts) and fnmatch.fnmatchcase(parts[0], patterns[0]) and fits(parts[1:], patterns[1:])

    return fits(path.split("/"), pattern.split("/"))
