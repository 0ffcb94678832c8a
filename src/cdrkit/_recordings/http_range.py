"""The header ``Range`` of a request, and the answer to it (RFC 9110, section 14), for any web framework."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import attrs

__all__ = ["RangeResponse", "wanted_range"]

_RANGE: Final = re.compile(r"bytes=[ \t]*(\d{0,20})-(\d{0,20})[ \t]*", re.ASCII | re.IGNORECASE)


@attrs.frozen(kw_only=True)
class RangeResponse:
    """What to answer: hand the three parts to your framework.

    Attributes:
        status: 200: all of it; 206: the range asked for; 416: there is no such range.
        headers: Those that describe the body, ``Content-Length`` among them.
        body: The bytes, piece by piece; close it when the client is gone, as frameworks do.
    """

    status: int
    headers: dict[str, str]
    body: Iterator[bytes]


def wanted_range(header: str | None, size: int) -> range | None:
    """Return which of *size* bytes a request wants, or None for all of them; an empty range cannot be satisfied.

    A header that is malformed, has another unit, or asks for several ranges is ignored, as the RFC allows.

    >>> wanted_range("bytes=0-499", 1000), wanted_range("bytes=-300", 1000), wanted_range("bytes=900-", 1000)
    (range(0, 500), range(700, 1000), range(900, 1000))
    >>> wanted_range("bytes=1000-", 1000), wanted_range("lines=0-1", 1000), wanted_range("bytes=5-2", 1000)
    (range(0, 0), None, None)
    """
    found = _RANGE.fullmatch(header) if isinstance(header, str) else None
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        last = min(int(found[2]), size)
        return range(size - last, size) if last else range(0)
    first = int(found[1])
    if found[2] and int(found[2]) < first:
        return None
    if first >= size:
        return range(0)
    return range(first, min(int(found[2]) + 1, size) if found[2] else size)
