"""Sanitisation of untrusted text for terminals and HTML.

Callers choose their display names and switches write arbitrary text into records, so the library never
shows stored text unchanged.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["sanitize_text"]

# Control characters can drive a terminal, bidirectional marks can reorder digits, and line separators and byte
# order marks break a cell of a table.
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def sanitize_text(text: str) -> str:
    """Replace control and bidirectional characters with U+FFFD.

    Args:
        text: Untrusted text, for example the name that a caller sent.

    Returns:
        Text of the same length that cannot move a terminal's cursor or reverse the order of its characters.

    Example:
        >>> print(sanitize_text("Bob" + chr(27) + "[2J"))
        Bob�[2J
    """
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)
