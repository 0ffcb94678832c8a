"""Split a table's lines at separators outside quotes, or at fixed positions."""

from __future__ import annotations

import csv

from cdrkit.sources.readers import limits
from cdrkit.sources.readers.lines import Line, LineReader
from cdrkit.sources.readers.mapping import SourceMapping
from cdrkit.sources.readers.reject_reasons import NUL_BYTES, TORN_LINE, describe_undecodable, describe_width

__all__ = ["parse_row", "split_line"]


def parse_row(
    line: Line, lines: LineReader, layout: SourceMapping, width: int
) -> tuple[list[str] | str, bytes]:
    """Parse the row whose first line is *line*.

    Args:
        line: The first line of the row.
        lines: The lines after it. The lines that belong to the row are consumed.
        layout: The encoding, the separator and the quotes of the table.
        width: The number of columns in the table.

    Returns:
        A pair: the strings in the row, or the reason why the line is not a valid row; and the bytes of the row.
    """
    if layout.line_ends and not line.ended:
        return TORN_LINE, line.raw
    if b"\0" in line.raw:
        return NUL_BYTES, line.raw
    try:
        text = line.raw.decode(layout.encoding)
    except UnicodeDecodeError as exc:
        return describe_undecodable(exc, layout.encoding), line.raw
    texts, raw = split_line(text, layout), line.raw
    if texts is None and layout.quote is not None and text.count(layout.quote) % 2:
        texts, more = _join_lines(text, lines, layout, width)
        raw += more
    if texts is None:
        return "The quotes of the line are not balanced, or text follows a closing quote.", line.raw
    if len(texts) != width:
        return describe_width(len(texts), f"the table has {width}"), line.raw
    return texts, raw


def _join_lines(
    text: str, lines: LineReader, layout: SourceMapping, width: int
) -> tuple[list[str] | None, bytes]:
    """Join the lines of a row whose quoted text continues on the next lines.

    Returns:
        The strings in the row, and the bytes of its other lines. None: the quote of the first line is never closed.
    """
    more = b""
    for index in range(limits.ROW_LINES):
        line = lines.peek(index)
        if line is None or b"\0" in line.raw or len(more) + len(line.raw) > limits.ROW_BYTES:
            break
        try:
            following = line.raw.decode(layout.encoding)
        except UnicodeDecodeError:
            break
        own_texts = split_line(following, layout)
        if width > 1 and own_texts is not None and len(own_texts) == width:
            break  # A line that is a row by itself is not part of another row.
        text, more = f"{text}\n{following}", more + b"\n" + line.raw
        texts = split_line(text, layout)
        if texts is not None:
            if len(texts) != width:
                break
            lines.take(index + 1)
            return texts, more
    return None, b""


def split_line(text: str, layout: SourceMapping) -> list[str] | None:
    """Split a line into strings; return None if its quotes are not balanced."""
    if layout.positions:
        return [text[first - 1 : last].strip() for first, last in layout.positions.values()]
    assert layout.separator is not None
    quoted = layout.quote is not None and layout.quote in text
    if not quoted and (layout.escape is None or layout.escape not in text):
        return text.split(layout.separator)
    try:
        [texts] = csv.reader(
            [text],
            delimiter=layout.separator,
            quotechar=layout.quote,
            quoting=csv.QUOTE_MINIMAL if layout.quote else csv.QUOTE_NONE,
            escapechar=layout.escape,
            strict=True,
        )
    except (csv.Error, ValueError):
        return None
    return texts
