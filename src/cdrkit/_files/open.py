"""Open a folder or an fsspec URL as a `Files` object."""

from __future__ import annotations

import os
from collections.abc import Mapping

import fsspec
from fsspec.implementations.local import LocalFileSystem

from cdrkit._files.files import Files
from cdrkit._files.local import LocalFiles
from cdrkit._files.remote import RemoteFiles
from cdrkit.errors import ConfigError

__all__ = ["open_files"]


def open_files(url: str | os.PathLike[str], options: Mapping[str, object] | None = None) -> Files:
    """Return a `Files` object for *url* without reading or creating any file.

    Example:
        >>> from cdrkit.storage import open_files
        >>> open_files("memory://open-files-example").list("")
        []

    Args:
        url: A local folder or an fsspec URL.
        options: Storage options of the URL's filesystem, such as credentials.

    Raises:
        ConfigError: When *url* is not a folder or URL, or its filesystem does not exist or rejects an option.
    """
    if not isinstance(url, (str, os.PathLike)) or not isinstance(text := os.fspath(url), str) or not text:
        raise ConfigError(
            f"{url!r} is not a folder or URL. Give a path, or a URL such as s3://bucket/folder."
        )
    if options is not None and not isinstance(options, Mapping):
        raise ConfigError(f"Storage options must be a mapping, not {options!r}.")
    if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise ConfigError(
            f"{text!r} is not a valid folder name. Remove all NUL characters and lone surrogates."
        )
    settings = dict(options or {})
    try:
        # Neither instances nor listings are shared with the embedding application: a listing that it has cached
        # would hide changes.
        filesystem, root = fsspec.core.url_to_fs(
            text, use_listings_cache=False, skip_instance_cache=True, **settings
        )
    except Exception as exc:  # each filesystem raises classes of its own
        raise ConfigError(f"Cannot open {text!r}: {exc}.") from exc
    if isinstance(filesystem, LocalFileSystem):
        if settings:
            raise ConfigError(f"The local folder {text!r} takes no storage options. Omit {sorted(settings)}.")
        return LocalFiles(os.path.abspath(root), text)
    return RemoteFiles(filesystem, root, text)
