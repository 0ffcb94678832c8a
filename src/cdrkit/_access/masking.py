"""Masked text: the beginning of a telephone number that may be seen, and nothing of any other text."""

from __future__ import annotations

from typing import Final

import polars as pl

from cdrkit._numbers import visible_part

__all__ = ["MASKED", "NUMBER_FIELDS", "masked"]

#: What is shown for a text that is masked whole.
MASKED: Final = "****"
#: The fields that hold telephone numbers; a mask leaves their beginning.
NUMBER_FIELDS: Final = ("source", "destination", "dialled", "did", "lrn")


def masked(column: pl.Series, digits: int | None, region: str | None) -> pl.Series:
    """Return *column*, a text, as it may be shown; what is absent stays absent.

    Args:
        column: The texts.
        digits: How many digits at the end of a number are masked; None: the whole text is.
        region: The region whose national forms are meant.
    """
    if digits is None:
        found = pl.when(pl.col(column.name).is_not_null()).then(pl.lit(MASKED))
        return column.to_frame().select(found.cast(column.dtype).alias(column.name)).to_series()
    seen = visible_part(column, digits, region)
    shown = (
        pl.when(pl.col(column.name) == "")
        .then(pl.lit(MASKED))
        .otherwise(pl.col(column.name) + pl.lit("*" * digits))
    )
    return seen.to_frame().select(shown.alias(column.name)).to_series()
