"""Files below one URL: durable writes, exclusive creation, ranges; foreign errors become cdrkit's.

This is the only module that imports fsspec. The local disk is served by the operating system directly,
because durability (fsync of file and folder) and exclusive creation (a hard link) need it.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import posixpath
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import IO, Any, Final, Protocol

import attrs
import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from cdrkit.errors import (
    AccessDeniedError,
    CdrError,
    ConfigError,
    NotFoundError,
    StorageError,
    UnavailableError,
)

__all__ = [
    "Entry",
    "Files",
    "LocalFiles",
    "RemoteFiles",
    "is_url",
    "open_files",
    "split_url",
    "translate_errors",
]

_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_OFFERED: Final = {errno.ENOSYS, errno.EOPNOTSUPP}
_CANNOT_LINK: Final = {errno.EPERM, errno.EMLINK, *_NOT_OFFERED}
_READ_ONLY: Final = {errno.EROFS, errno.EACCES, errno.EPERM}
#: What a folder that others made may answer to a flush.
_NOT_OURS: Final = {errno.EINVAL, *_READ_ONLY, *_NOT_OFFERED}
_TEMPORARY: Final = ".tmp-"
_OWN_TEMPORARY: Final = re.compile(r"\.tmp-[0-9a-f]{16}", re.ASCII)

Data = bytes | bytearray | memoryview


@attrs.frozen
class Entry:
    """One file of a listing: its path below the root, its size, and when it was written, where that is known."""

    path: str
    size_bytes: int
    modified: datetime | None = None


class Files(Protocol):
    """The files below one root. Paths are relative, with ``/`` between their parts."""

    @property
    def url(self) -> str:
        """The root, as it was given."""
        ...

    def url_of(self, path: str) -> str:
        """Return the URL of *path*, for messages and for people."""
        ...

    def local_path(self, path: str) -> str | None:
        """Return where *path* lies on the local disk, or None when it does not."""
        ...

    def read(self, path: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return the bytes of *path* from *start* up to and without *stop* (None: to the end)."""
        ...

    def open(self, path: str) -> IO[bytes]:
        """Open *path* for reading; the result can seek."""
        ...

    def put(self, path: str, data: Data) -> None:
        """Write *path* whole: a reader sees all of it or none; on return it is durable."""
        ...

    def create(self, path: str, data: Data) -> bool:
        """Do the same unless *path* exists; return whether this call made it. At most one caller is told True.

        What exists then need not be durable yet; see `make_durable`.

        Raises:
            ConfigError: When the filesystem says that it cannot do that.
        """
        ...

    def make_durable(self, path: str) -> None:
        """Make durable that *path* is there, where its writer may not have come so far yet."""
        ...

    def writer(self, path: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """Stream into *path*: it appears when the block ends well, and not at all when it raises."""
        ...

    def size(self, path: str) -> int | None:
        """Return the size of *path* in bytes, or None when there is no such file."""
        ...

    def list(self, folder: str) -> list[Entry]:
        """Return the files at any depth below *folder*, sorted by path; none when there is no such folder."""
        ...

    def remove(self, path: str) -> None:
        """Remove *path*; nothing happens when it is not there."""
        ...

    def remove_temporary(self, before: datetime) -> int:
        """Remove what writes that were cut off before that instant left behind; return how many files that were."""
        ...

    def sign(self, path: str, expires: int) -> str:
        """Return a URL that opens *path* for *expires* seconds without credentials."""
        ...


@contextlib.contextmanager
def translate_errors(url: str, doing: str) -> Iterator[None]:
    """Turn whatever a filesystem raises into a `StorageError` of the right class."""
    try:
        yield
    except CdrError:
        raise
    except FileNotFoundError as exc:
        raise NotFoundError(f"Cannot {doing} {url}: it is not there.", url=url) from exc
    except IsADirectoryError as exc:
        raise StorageError(f"Cannot {doing} {url}: {exc.strerror or exc}. Is it a folder?", url=url) from exc
    except NotADirectoryError as exc:
        why = f"{found} is a file, not a folder" if (found := _file_above(url)) else exc.strerror or exc
        raise StorageError(f"Cannot {doing} {url}: {why}.", url=url) from exc
    except (TimeoutError, ConnectionError) as exc:
        raise UnavailableError(f"Cannot {doing} {url}: no answer ({exc}). Try again.", url=url) from exc
    except UnicodeError as exc:
        raise StorageError(f"Cannot {doing} {url!r}: that cannot be the name of a file.", url=url) from exc
    except ImportError as exc:
        raise ConfigError(f"Cannot {doing} {url}: {exc}. Install the package it names.") from exc
    except OSError as exc:
        raise _from_os_error(exc, url, doing) from exc
    except Exception as exc:  # object stores raise classes of their own packages
        if isinstance(exc, TypeError):  # s3fs looks at its options when it first connects
            raise ConfigError(
                f"Cannot {doing} {url}: {exc}. Are the storage options those of its filesystem?"
            ) from exc
        module = type(exc).__module__.partition(".")[0]
        if module in {"botocore", "aiobotocore", "aiohttp"}:
            if "Credential" in type(exc).__name__:
                raise AccessDeniedError(
                    f"Cannot {doing} {url}: {exc}. Give credentials by storage options or the environment.",
                    url=url,
                ) from exc
            raise UnavailableError(f"Cannot {doing} {url}: {exc}. Try again.", url=url) from exc
        raise


def _file_above(path: str) -> str | None:
    """Return the part of *path* that is a file of the local disk, so that nothing can lie below it."""
    while (above := os.path.dirname(path)) != path:
        if os.path.isfile(path := above):
            return path
    return None


def _from_os_error(exc: OSError, url: str, doing: str) -> StorageError:
    if exc.errno in _FULL:
        return StorageError(
            f"Cannot {doing} {url}: {exc.strerror}. Make room and try again; nothing was changed.", url=url
        )
    if isinstance(exc, PermissionError) or exc.errno in _READ_ONLY:
        return AccessDeniedError(
            f"Cannot {doing} {url}: {exc.strerror or exc}. Check its permissions.", url=url
        )
    return StorageError(f"Cannot {doing} {url}: {exc.strerror or exc}.", url=url)


def _checked_path(path: str, url: str) -> str:
    """Return *path* when it stays below its root.

    Raises:
        AccessDeniedError: When it is absolute or climbs out.
    """
    parts = path.split("/")
    if not path or "\0" in path or "\\" in path or path.startswith("/") or ".." in parts:
        raise AccessDeniedError(
            f"The path {path!r} does not stay below {url}; give a plain relative path.", url=url
        )
    return posixpath.normpath(path)


def _bytes_of(data: Data) -> memoryview:
    return memoryview(data).cast("B")


class LocalFiles:
    """Files of the local disk. What a write reported as done survives a crash of the machine."""

    def __init__(self, root: str, url: str) -> None:
        self._root = root
        self.url = url
        self._settled: set[str] = set()  # folders that are known to be durable in their parents

    def __repr__(self) -> str:
        return f"LocalFiles({self._root!r})"

    def _path(self, path: str) -> str:
        return os.path.join(self._root, _checked_path(path, self.url))

    def url_of(self, path: str) -> str:
        return os.path.join(self._root, path)

    def local_path(self, path: str) -> str | None:
        return self._path(path)

    def read(self, path: str, start: int = 0, stop: int | None = None) -> bytes:
        with translate_errors(self.url_of(path), "read"), open(self._path(path), "rb") as file:
            file.seek(start)
            return file.read() if stop is None else file.read(max(stop - start, 0))

    def open(self, path: str) -> IO[bytes]:
        with translate_errors(self.url_of(path), "open"):
            return open(self._path(path), "rb")

    def put(self, path: str, data: Data) -> None:
        with self.writer(path) as file:
            file.write(_bytes_of(data))

    def create(self, path: str, data: Data) -> bool:
        target = self._path(path)
        with translate_errors(self.url_of(path), "write"), self._temporary(target) as temporary:
            with open(temporary, "xb") as file:
                file.write(_bytes_of(data))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(temporary, target)  # fails when the target exists: creation is exclusive and whole
            except FileExistsError:
                return False
            except OSError as exc:
                if exc.errno not in _CANNOT_LINK:
                    raise
                raise ConfigError(
                    f"The filesystem of {self.url} has no hard links ({exc.strerror}), which a commit needs. Keep the "
                    "hot tier on another filesystem; the warm tier may live there."
                ) from exc
            _sync_folder(os.path.dirname(target))
            return True

    def make_durable(self, path: str) -> None:
        with translate_errors(self.url_of(path), "write"):
            _sync_folder(os.path.dirname(self._path(path)))

    @contextlib.contextmanager
    def writer(self, path: str) -> Iterator[IO[bytes]]:
        target = self._path(path)
        if os.path.exists(target) and not os.path.isfile(target) and not os.path.isdir(target):
            url = self.url_of(path)
            raise StorageError(f"{url} is a device or a pipe, and would be replaced; name a file.", url=url)
        with translate_errors(self.url_of(path), "write"), self._temporary(target) as temporary:
            with open(temporary, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
            _sync_folder(os.path.dirname(target))

    @contextlib.contextmanager
    def _temporary(self, target: str) -> Iterator[str]:
        folder = os.path.dirname(target)
        if folder not in self._settled or not os.path.isdir(folder):
            _make_folder(folder)
            self._settled.add(folder)
        temporary = os.path.join(folder, f"{_TEMPORARY}{secrets.token_hex(8)}")
        try:
            yield temporary
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)

    def size(self, path: str) -> int | None:
        try:
            with translate_errors(self.url_of(path), "look at"):
                found = os.stat(self._path(path))
                return found.st_size if stat.S_ISREG(found.st_mode) else None
        except NotFoundError:
            return None

    def list(self, folder: str) -> list[Entry]:
        base = os.path.join(self._root, _checked_path(folder, self.url)) if folder else self._root
        found: list[Entry] = []
        with translate_errors(base, "list"):
            for here, _folders, names in os.walk(base, onerror=_raise_unless_missing):
                for name in names:
                    if name.startswith(_TEMPORARY):
                        continue
                    full = os.path.join(here, name)
                    with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                        about = os.stat(full)
                        path = os.path.relpath(full, self._root).replace(os.sep, "/")
                        found.append(Entry(path, about.st_size, datetime.fromtimestamp(about.st_mtime, UTC)))
        return sorted(found, key=lambda entry: entry.path)

    def remove(self, path: str) -> None:
        with translate_errors(self.url_of(path), "remove"), contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(path))

    def remove_temporary(self, before: datetime) -> int:
        found = 0
        with translate_errors(self._root, "list"):
            for here, _folders, names in os.walk(self._root, onerror=_raise_unless_missing):
                for name in names:
                    path = os.path.join(here, name)
                    if _OWN_TEMPORARY.fullmatch(name):
                        with contextlib.suppress(FileNotFoundError):  # its writer has just finished
                            if os.stat(path).st_mtime < before.timestamp():
                                os.unlink(path)
                                found += 1
        return found

    def sign(self, path: str, expires: int) -> str:
        raise ConfigError(
            f"{self.url_of(path)} is a local file: it has no URL that can be signed; stream it instead."
        )


def _raise_unless_missing(exc: OSError) -> None:
    if not isinstance(exc, FileNotFoundError):
        raise exc


def _make_folder(folder: str) -> None:
    """Make *folder* and its parents, each durable in its own parent before anything is put into it."""
    parent = os.path.dirname(folder)
    if os.path.isdir(folder):
        try:
            _sync_folder(parent)  # another process may have made it just now, and not have come so far
        except OSError as exc:
            if exc.errno not in _NOT_OURS:
                raise
        return
    if parent != folder:
        _make_folder(parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder)
    _sync_folder(parent)


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class RemoteFiles:
    """Files of any other fsspec filesystem. Durability and atomic puts are the service's promise."""

    def __init__(self, filesystem: Any, root: str, url: str) -> None:
        self._fs = filesystem
        self._root = root.rstrip("/")
        self.url = url

    def __repr__(self) -> str:
        return f"RemoteFiles({self.url!r})"

    def _path(self, path: str) -> str:
        return f"{self._root}/{_checked_path(path, self.url)}"

    def url_of(self, path: str) -> str:
        return f"{self.url.rstrip('/')}/{path}"

    def local_path(self, path: str) -> str | None:
        return None

    def read(self, path: str, start: int = 0, stop: int | None = None) -> bytes:
        with translate_errors(self.url_of(path), "read"):
            if stop is not None and stop <= start:
                return b""
            return bytes(self._fs.cat_file(self._path(path), start=start or None, end=stop))

    def open(self, path: str) -> IO[bytes]:
        with translate_errors(self.url_of(path), "open"):
            file: IO[bytes] = self._fs.open(self._path(path), "rb")
            return file

    def put(self, path: str, data: Data) -> None:
        with translate_errors(self.url_of(path), "write"):
            self._fs.pipe_file(self._path(path), bytes(data))

    def create(self, path: str, data: Data) -> bool:
        with translate_errors(self.url_of(path), "write"):
            try:
                self._fs.pipe_file(self._path(path), bytes(data), mode="create")
            except FileExistsError:
                return False
            except (NotImplementedError, OSError) as exc:
                if isinstance(exc, OSError) and exc.errno not in _NOT_OFFERED:
                    raise
                raise ConfigError(
                    f"{self.url} has no exclusive creation ({exc}), so two writers could lose each other's calls. Keep "
                    "the hot tier on another filesystem; the warm tier may live there."
                ) from exc
            return True

    def make_durable(self, path: str) -> None:
        pass  # what shows is durable

    @contextlib.contextmanager
    def writer(self, path: str) -> Iterator[IO[bytes]]:
        with translate_errors(self.url_of(path), "write"):
            if isinstance(self._fs, MemoryFileSystem):  # its files show while they are written
                buffer = io.BytesIO()
                yield buffer
                self._fs.pipe_file(self._path(path), buffer.getvalue())
                return
            file = self._fs.open(self._path(path), "wb", autocommit=False)
            try:
                yield file
            except BaseException:
                with contextlib.suppress(Exception):
                    file.discard()
                raise
            file.close()
            file.commit()

    def size(self, path: str) -> int | None:
        try:
            with translate_errors(self.url_of(path), "look at"):
                info = self._fs.info(self._path(path))
                return None if info["type"] == "directory" else int(info["size"] or 0)
        except NotFoundError:
            return None

    def list(self, folder: str) -> list[Entry]:
        base = self._path(folder) if folder else self._root
        try:
            with translate_errors(self.url_of(folder), "list"):
                self._fs.invalidate_cache()
                found = self._fs.find(base, detail=True)
        except NotFoundError:
            return []
        skip = len(self._root.lstrip("/")) + 1
        return sorted(
            (
                Entry(str(name).lstrip("/")[skip:], int(info["size"] or 0), _modified(info))
                for name, info in found.items()
            ),
            key=lambda entry: entry.path,
        )

    def remove(self, path: str) -> None:
        with translate_errors(self.url_of(path), "remove"), contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(path))

    def remove_temporary(self, before: datetime) -> int:
        return 0  # what was cut off never showed; unfinished uploads are the service's to end

    def sign(self, path: str, expires: int) -> str:
        with translate_errors(self.url_of(path), "sign"):
            try:
                return str(self._fs.sign(self._path(path), expiration=expires))
            except NotImplementedError as exc:
                raise ConfigError(f"{self.url} cannot sign URLs; stream the file instead.") from exc


def _modified(info: Mapping[str, Any]) -> datetime | None:
    """Return when a file was written; each filesystem has a name of its own for it."""
    for name in ("LastModified", "mtime", "modified", "last_modified", "created"):
        found = info.get(name)
        if isinstance(found, datetime):
            return found if found.tzinfo else found.replace(tzinfo=UTC)
        if isinstance(found, (int, float)):
            return datetime.fromtimestamp(found, UTC)
    return None


def open_files(url: str | os.PathLike[str], options: Mapping[str, object] | None = None) -> Files:
    """Return the files below *url*: a folder or any fsspec URL. Nothing is read or made yet.

    Raises:
        ConfigError: When no filesystem serves the URL, or an option is not one of its options.
    """
    if not isinstance(url, (str, os.PathLike)) or not isinstance(text := os.fspath(url), str) or not text:
        raise ConfigError(
            f"{url!r} is not a folder or URL; give a path, or a URL such as s3://bucket/folder."
        )
    if options is not None and not isinstance(options, Mapping):
        raise ConfigError(f"Storage options are a mapping, not {options!r}.")
    if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise ConfigError(f"{text!r} cannot be the name of a folder.")
    settings = dict(options or {})
    try:
        # Instances and listings are not shared with the embedding application: it may list, we must see changes.
        filesystem, root = fsspec.core.url_to_fs(
            text, use_listings_cache=False, skip_instance_cache=True, **settings
        )
    except Exception as exc:  # each filesystem has classes of its own for an address that cannot work
        raise ConfigError(f"{text!r} cannot be opened: {exc}.") from exc
    if isinstance(filesystem, LocalFileSystem):
        if settings:
            raise ConfigError(
                f"The local folder {text!r} takes no storage options; {sorted(settings)} were given."
            )
        return LocalFiles(os.path.abspath(root), text)
    return RemoteFiles(filesystem, root, text)


def split_url(url: str | os.PathLike[str]) -> tuple[str, str]:
    """Return the folder and the file name of *url*.

    Raises:
        ConfigError: When it names no file.
    """
    if not isinstance(url, (str, os.PathLike)) or not isinstance(text := os.fspath(url), str):
        raise ConfigError(f"{url!r} is not a path or URL.")
    if is_url(text):
        scheme, _, rest = text.partition("://")
        folder, slash, name = rest.rpartition("/")
        head = f"{scheme}://{folder}" if slash or scheme == "memory" else ""
    else:
        head, name = os.path.split(text)
        head = head or "."
    if not name or not head:
        raise ConfigError(f"{text!r} names a folder; give the name of a file.")
    return head, name


def is_url(text: str) -> bool:
    """Return whether *text* has a scheme (``s3://…``), rather than being a local path."""
    return "://" in text
