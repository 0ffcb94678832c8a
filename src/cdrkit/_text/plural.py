"""Counts with a noun in the singular or plural."""

from __future__ import annotations

__all__ = ["format_count"]


def format_count(number: int, noun: str) -> str:
    """Return *number* with *noun*, which gets an ``s`` unless the number is 1.

    Example:
        >>> format_count(1, "call"), format_count(1_200, "call")
        ('1 call', '1,200 calls')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
