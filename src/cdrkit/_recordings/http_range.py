"""The HTTP header ``Range`` and the response to it (RFC 9110, section 14).

This module works with any web framework.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import attrs

__all__ = ["RangeResponse", "parse_range"]

_RANGE: Final = re.compile(r"bytes=[ \t]*(\d{0,20})-(\d{0,20})[ \t]*", re.ASCII | re.IGNORECASE)


@attrs.frozen(kw_only=True)
class RangeResponse:
    """An HTTP response that contains a recording or a part of a recording.

    `Recording.respond` returns such a response. Pass the three parts to the response class of your web framework.

    Attributes:
        status: 200 for the whole recording, 206 for the requested range, 416 for a range outside the file.
        headers: HTTP headers of the body, among them ``Content-Length``.
        body: The bytes in blocks. Close the iterator when the client disconnects, as web frameworks do.

    Example:
        >>> import cdrkit, fsspec
        >>> fsspec.filesystem("memory").pipe("/rec-response/17.wav", b"RIFF")
        >>> store = cdrkit.open_store("memory://calls-response", recordings="memory://rec-response/{call_id}.wav")
        >>> call = cdrkit.CallRecord.from_dict({"call_id": "17", "start": "2026-11-22T09:30:00Z"})
        >>> response = store.recording(call).respond("bytes=9-")
        >>> response.status, response.headers["Content-Range"], b"".join(response.body)
        (416, 'bytes */4', b'')
    """

    status: int
    headers: dict[str, str]
    body: Iterator[bytes]


def parse_range(header: str | None, size: int) -> range | None:
    """Return the byte range requested by *header*, or None for the whole file.

    *size* is the number of bytes of the file. An empty range means that the request cannot be satisfied. The function
    ignores a header that is malformed, has another unit or names several ranges, as the RFC allows.

    >>> parse_range("bytes=0-499", 1000), parse_range("bytes=-300", 1000), parse_range("bytes=900-", 1000)
    (range(0, 500), range(700, 1000), range(900, 1000))
    >>> parse_range("bytes=1000-", 1000), parse_range("lines=0-1", 1000), parse_range("bytes=5-2", 1000)
    (range(0, 0), None, None)
    """
    match = _RANGE.fullmatch(header) if isinstance(header, str) else None
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        last = min(int(match[2]), size)
        return range(size - last, size) if last else range(0)
    first = int(match[1])
    if match[2] and int(match[2]) < first:
        return None
    if first >= size:
        return range(0)
    return range(first, min(int(match[2]) + 1, size) if match[2] else size)
