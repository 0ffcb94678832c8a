"""Errors that name the input at fault, for sources that read several inputs."""

from __future__ import annotations

from collections.abc import Iterator

from cdrkit.errors import SchemaError
from cdrkit.sources.contract import SourceInput, is_only_input

__all__ = ["name_input"]


def name_input(error: SchemaError, input: SourceInput, opened: int, rest: Iterator[object]) -> SchemaError:
    """Prefix an error's message with the name of the input that caused the error.

    If only one input exists, the error is returned unchanged.

    Args:
        error: The error that reading the input raised.
        input: The input.
        opened: The number of inputs opened so far, including this input.
        rest: The inputs after it. This function consumes one of them: call it when no more inputs will be read.
    """
    if not input.name or is_only_input(opened, rest):
        return error
    return SchemaError(f"{input.name}: {error}", row=error.row)
