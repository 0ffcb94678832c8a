"""Sanitisation of untrusted text for terminals and HTML.

Callers choose their display names and switches write arbitrary text into records, so the library never
shows stored text unchanged.
"""

from __future__ import annotations

import html
import re
from typing import Final

__all__ = ["escape_html", "sanitize_text"]

# Control characters can drive a terminal, bidirectional marks can reorder digits, and line separators and byte
# order marks break a cell of a table.
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
# The longest text that a cell of an HTML table shows, in characters.
_MAX_CHARACTERS: Final = 160


def sanitize_text(text: str) -> str:
    """Replace control and bidirectional characters with U+FFFD.

    Args:
        text: Untrusted text, for example the name that a caller sent.

    Returns:
        A text of the same length that cannot move a terminal's cursor or reverse the order of its characters.

    Example:
        >>> print(sanitize_text("Bob" + chr(27) + "[2J"))
        Bob�[2J
    """
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)


def escape_html(text: str, max_characters: int = _MAX_CHARACTERS) -> str:
    """Sanitise and escape *text* for HTML, and cut a long one.

    Args:
        text: Untrusted text.
        max_characters: The greatest number of characters to show. A longer text ends with ``…``.

    Returns:
        Text for an element or a quoted attribute of an HTML page. Lone surrogates become ``?``.

    Example:
        >>> escape_html("<b>Bob</b>")
        '&lt;b&gt;Bob&lt;/b&gt;'
    """
    cut = text if len(text) <= max_characters else text[: max_characters - 1] + "…"
    return html.escape(sanitize_text(cut).encode("utf-8", "replace").decode())
