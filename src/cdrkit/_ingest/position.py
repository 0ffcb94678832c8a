"""What a commit stores about a followed file: the position and pending calls."""

from __future__ import annotations

import base64
import json
import zlib
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

import attrs

__all__ = ["PendingCalls", "Position", "count_lines", "to_bytes"]


def to_bytes(text: str) -> bytes:
    """Return the original bytes of decoded text, including invalid UTF-8 bytes."""
    return text.encode("utf-8", "surrogateescape")


def count_lines(text: str) -> int:
    """Return the number of lines in *text*; 0 if *text* is empty."""
    return text.count("\n") + 1 if text else 0


@attrs.frozen
class PendingCalls:
    """The rows of pending calls, stored until the remaining rows arrive.

    Attributes:
        header: The header lines that a source needs to read the rows.
        calls: For each call: the number of its first line in its file, its number of rows, and the text of these rows.
    """

    header: str = ""
    calls: tuple[tuple[int, int, str], ...] = ()

    @property
    def rows(self) -> int:
        """The number of rows that belong to pending calls."""
        return sum(rows for _, rows, _ in self.calls)

    @property
    def data(self) -> bytes:
        """The header lines and the pending rows, as bytes that a source can read."""
        texts = [*([self.header] if self.header else []), *(text for _, _, text in self.calls), ""]
        return to_bytes("\n".join(texts))

    def first_line(self, line: int) -> int:
        """Return the line number at which a call begins in its file.

        *line* is the number of a line of the same call in `data`.
        """
        starts = [count_lines(self.header) + 1]
        for _, _, text in self.calls:
            starts.append(starts[-1] + count_lines(text))
        return self.calls[bisect_right(starts, line) - 1][0]

    @classmethod
    def from_text(cls, text: str) -> PendingCalls:
        """Build pending calls from the string that `to_text` returned."""
        header, calls = json.loads(zlib.decompress(base64.b64decode(text)))
        return cls(header, tuple((row, rows, text) for row, rows, text in calls))

    def to_text(self) -> str:
        """Return the calls as a compressed string for a commit."""
        return base64.b64encode(zlib.compress(json.dumps([self.header, self.calls]).encode())).decode()


@attrs.frozen(kw_only=True)
class Position:
    """A position in a followed file; the calls before it are stored or pending.

    Attributes:
        offset: The number of stored bytes of the uncompressed file.
        line_count: The number of lines in these bytes.
        fingerprint: A digest of the first bytes of the file and of the bytes before the offset; it identifies the file.
        header: The header lines that a source needs to read rows, such as column names, without the final line end.
        pending: Calls that still wait for later rows.
    """

    offset: int = 0
    line_count: int = 0
    fingerprint: str = ""
    header: str = ""
    pending: PendingCalls = PendingCalls()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Position:
        """Build a position from a dict that `to_dict` returned."""
        header = data.get("header", "")
        if "header_hex" in data:
            header = bytes.fromhex(data["header_hex"]).decode("utf-8", "surrogateescape")
        return cls(
            offset=data.get("offset", 0),
            line_count=data.get("lines", 0),
            fingerprint=data.get("mark", ""),
            header=header,
            pending=PendingCalls.from_text(data["open"]) if "open" in data else PendingCalls(),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the position as a dict of JSON values, with the keys of the log format.

        Header lines that are not UTF-8 are written as hexadecimal digits.
        """
        data: dict[str, Any] = {"offset": self.offset, "lines": self.line_count, "mark": self.fingerprint}
        raw = to_bytes(self.header)
        try:
            data["header"] = raw.decode()
        except UnicodeDecodeError:
            data["header_hex"] = raw.hex()
        return data | ({"open": self.pending.to_text()} if self.pending.calls else {})
