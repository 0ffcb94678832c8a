"""Local files: write them durably, and create a file only if it does not exist.

Writes use fsync, and creation uses hard links. fsspec is not used here, because it offers neither of them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, Final

from cdrkit._files.error_translation import READ_ONLY, translate_errors
from cdrkit._files.files import Data, Entry
from cdrkit._files.paths import check_path
from cdrkit.errors import ConfigError, NotFoundError, StorageError

__all__ = ["LocalFiles"]

_UNSUPPORTED: Final = frozenset({errno.ENOSYS, errno.EOPNOTSUPP})
_CANNOT_LINK: Final = frozenset({errno.EPERM, errno.EMLINK}) | _UNSUPPORTED
#: The errors of an fsync of a folder that belongs to another user or another program.
_FOREIGN_FOLDER: Final = frozenset({errno.EINVAL}) | READ_ONLY | _UNSUPPORTED
_TEMPORARY: Final = ".tmp-"
_OWN_TEMPORARY: Final = re.compile(r"\.tmp-[0-9a-f]{16}", re.ASCII)


class LocalFiles:
    """The files below a root folder on the local disk.

    A completed write survives a crash of the machine.

    Args:
        root: The absolute path of the root.
        url: The root as the caller gave it.
    """

    def __init__(self, root: str, url: str) -> None:
        self._root = root
        self.url = url
        self._durable_folders: set[str] = set()  # folders that are durable in their parent folders

    def __repr__(self) -> str:
        return f"LocalFiles({self._root!r})"

    def _path(self, path: str) -> str:
        return os.path.join(self._root, check_path(path, self.url))

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
                os.link(temporary, target)  # fails when the target exists; the new name has the whole content
            except FileExistsError:
                return False
            except OSError as exc:
                if exc.errno not in _CANNOT_LINK:
                    raise
                raise ConfigError(
                    f"A commit needs hard links, but the filesystem of {self.url} does not support them "
                    f"({exc.strerror}). Keep the hot tier on another filesystem; the warm tier may stay on this "
                    "filesystem."
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
            raise StorageError(
                f"{url} is a device or a pipe, and writing would replace it. Give the path of a file.",
                url=url,
            )
        with translate_errors(self.url_of(path), "write"), self._temporary(target) as temporary:
            with open(temporary, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
            _sync_folder(os.path.dirname(target))

    @contextlib.contextmanager
    def _temporary(self, target: str) -> Iterator[str]:
        """Yield a temporary path in *target*'s folder; create the folder if missing."""
        folder = os.path.dirname(target)
        if folder not in self._durable_folders or not os.path.isdir(folder):
            _make_folder(folder)
            self._durable_folders.add(folder)
        temporary = os.path.join(folder, f"{_TEMPORARY}{secrets.token_hex(8)}")
        try:
            yield temporary
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)

    def size(self, path: str) -> int | None:
        try:
            with translate_errors(self.url_of(path), "look at"):
                status = os.stat(self._path(path))
                return status.st_size if stat.S_ISREG(status.st_mode) else None
        except NotFoundError:
            return None

    def list(self, folder: str) -> list[Entry]:
        base = os.path.join(self._root, check_path(folder, self.url)) if folder else self._root
        entries: list[Entry] = []
        with translate_errors(base, "list"):
            for here, _folders, names in os.walk(base, onerror=_raise_unless_missing):
                for name in names:
                    if name.startswith(_TEMPORARY):
                        continue
                    full = os.path.join(here, name)
                    with contextlib.suppress(FileNotFoundError):  # removed since the listing
                        status = os.stat(full)
                        path = os.path.relpath(full, self._root).replace(os.sep, "/")
                        modified = datetime.fromtimestamp(status.st_mtime, UTC)
                        entries.append(Entry(path, status.st_size, modified))
        return sorted(entries, key=lambda entry: entry.path)

    def remove(self, path: str) -> None:
        with translate_errors(self.url_of(path), "remove"), contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(path))

    def remove_temporary(self, before: datetime) -> int:
        removed = 0
        with translate_errors(self._root, "list"):
            for here, _folders, names in os.walk(self._root, onerror=_raise_unless_missing):
                for name in names:
                    path = os.path.join(here, name)
                    if _OWN_TEMPORARY.fullmatch(name):
                        with contextlib.suppress(
                            FileNotFoundError
                        ):  # its writer has finished since the listing
                            if os.stat(path).st_mtime < before.timestamp():
                                os.unlink(path)
                                removed += 1
        return removed

    def sign(self, path: str, expires: int) -> str:
        raise ConfigError(
            f"{self.url_of(path)} is a local file, and local files have no signed URLs. Stream the file instead."
        )


def _bytes_of(data: Data) -> memoryview:
    return memoryview(data).cast("B")


def _raise_unless_missing(exc: OSError) -> None:
    if not isinstance(exc, FileNotFoundError):
        raise exc


def _make_folder(folder: str) -> None:
    """Create *folder* and its parents durably.

    The entry of each folder in its parent is durable before a file is written into the folder.
    """
    parent = os.path.dirname(folder)
    if os.path.isdir(folder):
        try:
            _sync_folder(parent)  # another process may have made the folder and not flushed the parent yet
        except OSError as exc:
            if exc.errno not in _FOREIGN_FOLDER:
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
