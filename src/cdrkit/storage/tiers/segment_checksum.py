"""Checksums of segment files, and segment ids that contain a checksum."""

from __future__ import annotations

import hashlib
import secrets

from cdrkit._files import Data, Files
from cdrkit.errors import CorruptDataError
from cdrkit.storage.log import Segment

__all__ = ["check_file", "checksum_of", "new_identity"]


def checksum_of(data: Data) -> str:
    """Return the BLAKE2b digest (16 bytes) of a whole file, as hex digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def new_identity(data: Data) -> str:
    """Return a new segment id: random digits, then the checksum of *data*."""
    return f"{secrets.token_hex(6)}-{checksum_of(data)}"


def check_file(files: Files, segment: Segment) -> bytes:
    """Read the whole file of *segment*, verify its checksum, and return the bytes.

    Raises:
        CorruptDataError: When the file differs from what was written.
        NotFoundError: When the file is missing.
    """
    data = files.read(segment.path)
    if len(data) != segment.size_bytes or checksum_of(data) != segment.checksum:
        url = files.url_of(segment.path)
        raise CorruptDataError(
            f"{url} is damaged: its checksum does not match. Restore that file from a backup.", url=url
        )
    return data
