"""What tiers that keep one file a segment have in common: names that carry a checksum, checks, listings."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import attrs

from ..errors import CorruptDataError
from ._files import Data, Files
from ._log import Segment

__all__ = ["Found", "check_file", "checksum_of", "found_files", "identity_of", "new_identity"]

_IDENTITY: Final = re.compile(r"[0-9a-f]{12}-([0-9a-f]{32})", re.ASCII)


@attrs.frozen
class Found:
    """A segment's file in a tier's place, whether or not the log knows of it.

    Attributes:
        id: The segment's id.
        path: Where it lies below the tier's root.
        modified: When it was written, where the filesystem tells.
    """

    id: str
    path: str
    modified: datetime | None


def checksum_of(data: Data) -> str:
    """Return the BLAKE2b of a whole file, as hex digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def new_identity(data: Data) -> str:
    """Return an id for a segment whose file is *data*: random, then its checksum."""
    return f"{secrets.token_hex(6)}-{checksum_of(data)}"


def identity_of(path: str, suffix: str) -> str | None:
    """Return the id in the name of a segment's file, or None when it is no such name."""
    name = path.rpartition("/")[2].removesuffix(suffix)
    return name if path.endswith(suffix) and _IDENTITY.fullmatch(name) else None


def found_files(files: Files, folder_prefix: str, suffix: str) -> Iterator[Found]:
    """Yield the segments' files below the root, in folders whose name begins with *folder_prefix*."""
    for entry in files.list(""):
        identity = identity_of(entry.path, suffix)
        if identity is not None and entry.path.startswith(folder_prefix):
            yield Found(identity, entry.path, entry.modified)


def check_file(files: Files, segment: Segment) -> bytes:
    """Return the whole file of *segment*.

    Raises:
        CorruptDataError: When it is not what was written.
        NotFoundError: When it is gone.
    """
    data = files.read(segment.path)
    if len(data) != segment.size_bytes or checksum_of(data) != segment.checksum:
        url = files.url_of(segment.path)
        raise CorruptDataError(
            f"{url} is damaged: its checksum does not hold. Restore that file from a backup.", url=url
        )
    return data
