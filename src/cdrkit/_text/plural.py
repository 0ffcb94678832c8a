"""Format a number and its noun as text, such as ``1 call`` or ``2 calls``."""

from __future__ import annotations

__all__ = ["format_count"]


def format_count(number: int, noun: str) -> str:
    """Return text such as ``2 calls``; *noun* gets an ``s`` unless *number* is 1.

    Example:
        >>> format_count(1, "call"), format_count(1_200, "call")
        ('1 call', '1,200 calls')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
