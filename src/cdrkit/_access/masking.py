"""Masking: replace whole texts, or the last digits of numbers, with asterisks."""

from __future__ import annotations

from typing import Final

import polars as pl

from cdrkit._numbers import visible_prefixes

__all__ = ["MASKED", "NUMBER_FIELDS", "mask_column"]

#: The text that replaces a fully masked value.
MASKED: Final = "****"
#: The fields that hold telephone numbers. A masked number still shows its first digits.
NUMBER_FIELDS: Final = ("source", "destination", "dialled", "did", "lrn")


def mask_column(column: pl.Series, digits: int | None, region: str | None) -> pl.Series:
    """Return *column* with its values masked; absent values stay absent.

    Args:
        column: A column of strings.
        digits: The number of digits to mask at the end of each number. None masks the whole value.
        region: The region to which numbers in national form belong, or None.
    """
    if digits is None:
        covered = pl.when(pl.col(column.name).is_not_null()).then(pl.lit(MASKED))
        return column.to_frame().select(covered.cast(column.dtype).alias(column.name)).to_series()
    prefixes = visible_prefixes(column, digits, region)
    masked = (
        pl.when(pl.col(column.name) == "")
        .then(pl.lit(MASKED))
        .otherwise(pl.col(column.name) + pl.lit("*" * digits))
    )
    return prefixes.to_frame().select(masked.alias(column.name)).to_series()
