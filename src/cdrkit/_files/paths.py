"""Check that paths stay below a root, and split URLs.

A path must not lead out of its root. A URL is split into its folder and its file name.
"""

from __future__ import annotations

import os
import posixpath

from cdrkit.errors import AccessDeniedError, ConfigError

__all__ = ["check_path", "is_url", "split_url"]


def check_path(path: str, url: str) -> str:
    """Normalize *path* and check that it stays below the root.

    Args:
        path: A relative path with ``/`` between its parts.
        url: The root, for the message.

    Raises:
        AccessDeniedError: When the path is absolute or leads out of the root.
    """
    parts = path.split("/")
    if not path or "\0" in path or "\\" in path or path.startswith("/") or ".." in parts:
        raise AccessDeniedError(
            f"The path {path!r} does not stay below {url}. Give a relative path without '..' or a backslash.",
            url=url,
        )
    return posixpath.normpath(path)


def split_url(url: str | os.PathLike[str]) -> tuple[str, str]:
    """Return the folder and the file name of *url*.

    Raises:
        ConfigError: When *url* does not name a file.
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
        raise ConfigError(f"{text!r} names a folder. Give the name of a file.")
    return head, name


def is_url(text: str) -> bool:
    """Return whether *text* is a URL with a scheme (``s3://…``) and not a local path."""
    return "://" in text
