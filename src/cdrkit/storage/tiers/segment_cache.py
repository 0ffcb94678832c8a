"""The segment cache: local copies of the segments of a remote hot tier.

Segments never change, so a copy never becomes stale. Processes share the folder: a copy appears whole under its
segment's name, and deleting it does not disturb processes that have it mapped.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from collections.abc import Callable
from typing import Final

from cdrkit.errors import AccessDeniedError, StorageError
from cdrkit.storage.log import COMPANION, identity_of

__all__ = ["SegmentCache", "default_cache_folder"]

_PART: Final = ".part-"
_OWN_PART: Final = re.compile(r"\.part-[0-9a-f]{16}", re.ASCII)
#: An incomplete copy that was not written to for this long belongs to a killed process.
_STALE_SECONDS: Final = 3600


def default_cache_folder() -> str:
    """Return the user's cache folder for segments.

    Its location follows the XDG base directory specification.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "cdrkit", "segments")


class SegmentCache:
    """A local cache of segments; the total size of the copies is limited.

    When space is needed, the least recently opened copies are deleted first.

    Args:
        folder: The folder; it is made on first use, readable by its owner only. Other files in it are not touched.
        limit_bytes: The largest total size of the copies. The newest copy is kept even if it is larger.
    """

    def __init__(self, folder: str, limit_bytes: int) -> None:
        self._folder = folder
        self._limit = limit_bytes

    def copy_of(self, name: str, size_bytes: int, fetch: Callable[[], bytes]) -> str:
        """Return the path of a file's local copy; make the copy if it does not exist.

        Args:
            name: The segment's id; for an index file, the segment's id followed by ``.index``.
            size_bytes: The size of the file.
            fetch: Returns the whole file.

        Raises:
            StorageError: When the folder cannot be written.
        """
        path = os.path.join(self._folder, name)
        try:
            if os.stat(path).st_size == size_bytes:
                os.utime(path)  # the time of last use
                return path
        except FileNotFoundError:
            pass
        except OSError as exc:
            raise self._unusable(exc) from exc
        data = fetch()
        try:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            part = os.path.join(self._folder, f"{_PART}{secrets.token_hex(8)}")
            try:
                with open(part, "xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())  # a power failure must not leave a copy of the right size only
                os.replace(part, path)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(part)
        except OSError as exc:
            raise self._unusable(exc) from exc
        self._make_room(keep=name)
        return path

    def drop(self, identity: str) -> None:
        """Delete the copies of a segment and of its index file, if they exist."""
        for name in (identity, identity + COMPANION):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self._folder, name))

    def _make_room(self, keep: str) -> None:
        """Delete copies other than *keep* until the total size is within the limit.

        Files of other programs are not touched.
        """
        copies: list[tuple[float, int, str]] = []
        used = 0
        with contextlib.suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                is_part = _OWN_PART.fullmatch(entry.name) is not None
                if not is_part and not identity_of(entry.name, "") and not identity_of(entry.name, COMPANION):
                    continue
                with contextlib.suppress(FileNotFoundError):  # another process has deleted it
                    status = entry.stat()
                    used += status.st_size
                    # Another process may still be writing a new part.
                    if not is_part:
                        copies.append((status.st_mtime, status.st_size, entry.name))
                    elif status.st_mtime < time.time() - _STALE_SECONDS:
                        copies.append((0, status.st_size, entry.name))
        for last_use, size, name in sorted(copies):
            if used <= self._limit and last_use:
                return
            if name != keep:
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(self._folder, name))
                used -= size

    def _unusable(self, exc: OSError) -> StorageError:
        kind = AccessDeniedError if isinstance(exc, PermissionError) else StorageError
        return kind(
            f"The segment cache {self._folder!r} cannot be used: {exc.strerror or exc}. Give another folder with "
            "cache=, or switch the cache off with cache=CacheOptions(max_bytes=0).",
            url=self._folder,
        )
