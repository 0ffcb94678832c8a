"""Remote filesystems, such as object stores, through fsspec."""

from __future__ import annotations

import contextlib
import errno
import io
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import IO, Any, Final

from fsspec.implementations.memory import MemoryFileSystem

from cdrkit._files.error_translation import translate_errors
from cdrkit._files.files import Data, Entry
from cdrkit._files.paths import check_path
from cdrkit.errors import ConfigError, NotFoundError

__all__ = ["RemoteFiles"]

_UNSUPPORTED: Final = frozenset({errno.ENOSYS, errno.EOPNOTSUPP})


class RemoteFiles:
    """The files below one root on an fsspec filesystem.

    Durability and atomic writes depend on the service.

    Args:
        filesystem: The fsspec filesystem.
        root: The path of the root on that filesystem.
        url: The root as the caller gave it.
    """

    def __init__(self, filesystem: Any, root: str, url: str) -> None:
        self._fs = filesystem
        self._root = root.rstrip("/")
        self.url = url

    def __repr__(self) -> str:
        return f"RemoteFiles({self.url!r})"

    def _path(self, path: str) -> str:
        return f"{self._root}/{check_path(path, self.url)}"

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
                if isinstance(exc, OSError) and exc.errno not in _UNSUPPORTED:
                    raise
                raise ConfigError(
                    f"{self.url} supports no exclusive creation of files ({exc}), so concurrent writers could lose "
                    "calls. Keep the hot tier on another filesystem; the warm tier may stay at this URL."
                ) from exc
            return True

    def make_durable(self, path: str) -> None:
        pass  # a file that readers can see is durable

    @contextlib.contextmanager
    def writer(self, path: str) -> Iterator[IO[bytes]]:
        with translate_errors(self.url_of(path), "write"):
            if isinstance(self._fs, MemoryFileSystem):  # it shows files before they are complete
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
                infos = self._fs.find(base, detail=True)
        except NotFoundError:
            return []
        skip = len(self._root.lstrip("/")) + 1
        return sorted(
            (
                Entry(str(name).lstrip("/")[skip:], int(info["size"] or 0), _change_time(info))
                for name, info in infos.items()
            ),
            key=lambda entry: entry.path,
        )

    def remove(self, path: str) -> None:
        with translate_errors(self.url_of(path), "remove"), contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(path))

    def remove_temporary(self, before: datetime) -> int:
        return 0  # interrupted writes never become visible; the service ends unfinished uploads

    def sign(self, path: str, expires: int) -> str:
        with translate_errors(self.url_of(path), "sign"):
            try:
                return str(self._fs.sign(self._path(path), expiration=expires))
            except NotImplementedError as exc:
                raise ConfigError(
                    f"The storage at {self.url} cannot sign URLs. Stream the file instead."
                ) from exc


def _change_time(info: Mapping[str, Any]) -> datetime | None:
    """Return the time of a file's last change, or None if it is unknown.

    Each filesystem has its own name for this time.
    """
    for name in ("LastModified", "mtime", "modified", "last_modified", "created"):
        time = info.get(name)
        if isinstance(time, datetime):
            return time if time.tzinfo else time.replace(tzinfo=UTC)
        if isinstance(time, (int, float)):
            return datetime.fromtimestamp(time, UTC)
    return None
