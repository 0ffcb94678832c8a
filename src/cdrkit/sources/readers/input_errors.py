"""Errors that name their input, for sources that read several inputs together."""

from __future__ import annotations

from collections.abc import Iterator

from cdrkit.errors import SchemaError
from cdrkit.sources.contract import SourceInput, is_only_input

__all__ = ["name_input"]


def name_input(error: SchemaError, input: SourceInput, opened: int, rest: Iterator[object]) -> SchemaError:
    """Return an error whose message begins with the name of its input.

    An error of the only input stays as it is.

    Args:
        error: The error that reading the input raised.
        input: The input.
        opened: The number of inputs opened so far, this one included.
        rest: The inputs after it. One of them is consumed: call this when no more inputs will be read.
    """
    if not input.name or is_only_input(opened, rest):
        return error
    return SchemaError(f"{input.name}: {error}", row=error.row)
