"""The root folder of recordings: every recording must lie below it."""

from __future__ import annotations

import os
import posixpath
import re
import urllib.parse
from collections.abc import Mapping
from typing import Final

import attrs

from cdrkit._files import Files, open_files
from cdrkit._recordings.file import outside_root

__all__ = ["RecordingsRoot", "is_full_path"]

_FULL_PATH: Final = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*:/")


def is_full_path(path: str) -> bool:
    """Return whether *path* is an absolute path or a URL."""
    return _FULL_PATH.match(path) is not None


@attrs.frozen
class RecordingsRoot:
    """The root folder of recordings, with the prefixes of full paths inside it."""

    files: Files
    prefixes: tuple[str, ...]
    is_web: bool

    @classmethod
    def open(cls, url: str, options: Mapping[str, object] | None) -> RecordingsRoot:
        """Open the root folder at a path or URL.

        Raises:
            ConfigError: When the URL or an option is invalid.
        """
        files = open_files(url, options)
        local = files.local_path("root")
        if local is None:
            return cls(files, (url.rstrip("/") + "/",), url.startswith(("http://", "https://")))
        folder = os.path.dirname(local).rstrip("/") + "/"
        return cls(files, (folder, f"file://{folder}", f"local://{folder}"), False)

    def relative(self, path: str) -> str | None:
        """Make *path* relative to the root; return None if it is outside the root."""
        if not is_full_path(path):
            return path
        for prefix in self.prefixes:
            if path.startswith(prefix):
                return path.removeprefix(prefix).lstrip("/")
        return None

    def normalize(self, path: str, call_id: str) -> str:
        """Normalise a relative path, and raise an error if it leaves the root.

        Raises:
            ScopeError: When the path leaves the root. The message contains no path.
        """
        # A web server decodes %2e%2e to .. again; on other filesystems it is an ordinary name.
        for text in (path, urllib.parse.unquote(path)) if self.is_web else (path,):
            if "\0" in text or "\\" in text or text.startswith("/") or ".." in text.split("/"):
                raise outside_root(call_id)
        normal = posixpath.normpath(path)
        if normal == ".":
            raise outside_root(call_id)
        return normal
