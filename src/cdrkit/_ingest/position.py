"""The position in a followed file, with its pending calls, as commits store it."""

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
    """Return the bytes of a text decoded from a file, invalid UTF-8 included."""
    return text.encode("utf-8", "surrogateescape")


def count_lines(text: str) -> int:
    """Return the number of lines in *text*; 0 for an empty text."""
    return text.count("\n") + 1 if text else 0


@attrs.frozen
class PendingCalls:
    """The rows of calls whose other rows come later.

    Attributes:
        header: The header lines by which their rows are read.
        calls: For each call: its first line in its file, its number of rows, and the text of those rows.
    """

    header: str = ""
    calls: tuple[tuple[int, int, str], ...] = ()

    @property
    def rows(self) -> int:
        """The number of rows of all calls."""
        return sum(rows for _, rows, _ in self.calls)

    @property
    def data(self) -> bytes:
        """The rows of all calls below their header, as a source reads them."""
        texts = [*([self.header] if self.header else []), *(text for _, _, text in self.calls), ""]
        return to_bytes("\n".join(texts))

    def first_line(self, line: int) -> int:
        """Return the first line of the call that is on *line* of `data`.

        The result is the line's number in the call's own file.
        """
        starts = [count_lines(self.header) + 1]
        for _, _, text in self.calls:
            starts.append(starts[-1] + count_lines(text))
        return self.calls[bisect_right(starts, line) - 1][0]

    @classmethod
    def from_text(cls, text: str) -> PendingCalls:
        """Return the calls that `to_text` returned as a text."""
        header, calls = json.loads(zlib.decompress(base64.b64decode(text)))
        return cls(header, tuple((row, rows, text) for row, rows, text in calls))

    def to_text(self) -> str:
        """Return the calls as a compressed text for a commit."""
        return base64.b64encode(zlib.compress(json.dumps([self.header, self.calls]).encode())).decode()


@attrs.frozen(kw_only=True)
class Position:
    """The part of a followed file that is stored.

    Attributes:
        offset: Bytes stored, of the uncompressed file.
        line_count: Lines in those bytes.
        fingerprint: A digest of the first bytes of the file and of the bytes before the offset; it identifies the file.
        header: The header lines by which rows are read, such as column names, without the last line's end.
        pending: Calls whose other rows come later.
    """

    offset: int = 0
    line_count: int = 0
    fingerprint: str = ""
    header: str = ""
    pending: PendingCalls = PendingCalls()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Position:
        """Return the position that `to_dict` returned as a dict."""
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
        """Return the position as JSON values under the keys of the log's format.

        The header lines are hexadecimal digits where they are not UTF-8.
        """
        data: dict[str, Any] = {"offset": self.offset, "lines": self.line_count, "mark": self.fingerprint}
        raw = to_bytes(self.header)
        try:
            data["header"] = raw.decode()
        except UnicodeDecodeError:
            data["header_hex"] = raw.hex()
        return data | ({"open": self.pending.to_text()} if self.pending.calls else {})
