"""Checksums of the log's JSON objects: added on write, verified on read."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from cdrkit.errors import ConfigError, CorruptDataError
from cdrkit.storage.log.segment import FORMAT

__all__ = ["add_checksum", "report_damage", "verify_checksum"]


def add_checksum(body: Mapping[str, Any]) -> bytes:
    """Encode *body* and the format number as JSON bytes with a checksum."""
    body = {"format": FORMAT, **body}
    return _encode_json({"checksum": _checksum(body), "commit": body})


def verify_checksum(data: bytes, url: str) -> Any:
    """Decode *data*, verify its checksum and format, and return the body.

    Args:
        data: The bytes of a log object.
        url: The object's URL, for messages.

    Raises:
        ValueError: When *data* is not JSON or the checksum does not match.
        ConfigError: When the object's format is newer than the formats that this version reads.
    """
    whole = json.loads(data)
    body = whole["commit"]
    if whole["checksum"] != _checksum(body):
        raise ValueError("the checksum does not match")
    if body["format"] > FORMAT:
        raise ConfigError(
            f"{url} has format {body['format']}, but the installed cdrkit reads formats only up to {FORMAT}. "
            "Install a newer cdrkit."
        )
    return body


@contextlib.contextmanager
def report_damage(url: str) -> Iterator[None]:
    """Convert decoding errors into a `CorruptDataError` that names the log object."""
    try:
        yield
    except ConfigError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise CorruptDataError(
            f"{url} is damaged: {exc}. Restore the file from a backup, or make a new log with "
            "Store.maintenance.rebuild_log().",
            url=url,
        ) from exc


def _encode_json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _checksum(body: object) -> str:
    return hashlib.blake2b(_encode_json(body), digest_size=16).hexdigest()
