"""A local cache of whole segments, for hot tiers that are not on the local disk.

Segments never change, so a copy is right for ever. Processes share the folder: a copy appears whole under its
segment's name, and taking one away does not disturb those who have it mapped.
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
#: How long nothing was written to a copy whose process was killed: nobody writes one for that long.
_CUT_OFF_SECONDS: Final = 3600


def default_cache_folder() -> str:
    """Return the user's cache folder for segments (XDG base directory specification)."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "cdrkit", "segments")


class SegmentCache:
    """Copies of segments in one local folder, the least recently opened going first when room is needed.

    Args:
        folder: Where; it is made when it is first needed, for its owner's eyes only. Other files in it are left alone.
        limit_bytes: How much room it may take. A segment larger than that is kept while it is the newest.
    """

    def __init__(self, folder: str, limit_bytes: int) -> None:
        self._folder = folder
        self._limit = limit_bytes

    def copy_of(self, name: str, size_bytes: int, fetch: Callable[[], bytes]) -> str:
        """Return the path of a copy of a file, which *fetch* gets when there is none yet.

        Args:
            name: The segment's id, or, of the file beside it, that and ``.index``.
            size_bytes: How large the file is.
            fetch: Returns the whole file.

        Raises:
            StorageError: When the cache's folder cannot be written.
        """
        path = os.path.join(self._folder, name)
        try:
            if os.stat(path).st_size == size_bytes:
                os.utime(path)  # opened just now
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
                    os.fsync(file.fileno())  # a power failure must not leave a copy that looks whole
                os.replace(part, path)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(part)
        except OSError as exc:
            raise self._unusable(exc) from exc
        self._make_room(keep=name)
        return path

    def drop(self, identity: str) -> None:
        """Forget the copies of the segment of that id and of the file beside it, if there are any."""
        for name in (identity, identity + COMPANION):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self._folder, name))

    def _make_room(self, keep: str) -> None:
        """Remove copies until no more room is taken than may be; what is no copy of a segment is somebody else's."""
        copies: list[tuple[float, int, str]] = []
        used = 0
        with contextlib.suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                is_part = _OWN_PART.fullmatch(entry.name) is not None
                if not is_part and not identity_of(entry.name, "") and not identity_of(entry.name, COMPANION):
                    continue
                with contextlib.suppress(FileNotFoundError):  # another process made room, too
                    about = entry.stat()
                    used += about.st_size
                    # Another process may be writing it.
                    if not is_part:
                        copies.append((about.st_mtime, about.st_size, entry.name))
                    elif about.st_mtime < time.time() - _CUT_OFF_SECONDS:
                        copies.append((0, about.st_size, entry.name))
        for opened, size, name in sorted(copies):
            if used <= self._limit and opened:
                return
            if name != keep:
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(self._folder, name))
                used -= size

    def _unusable(self, exc: OSError) -> StorageError:
        kind = AccessDeniedError if isinstance(exc, PermissionError) else StorageError
        return kind(
            f"The cache of segments {self._folder!r} cannot be used: {exc.strerror or exc}. Give another folder with "
            "cache=, or none with CacheOptions(max_bytes=0).",
            url=self._folder,
        )
