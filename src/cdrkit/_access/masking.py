"""Masked text: the beginning of a telephone number that may be seen, and nothing of any other text."""

from __future__ import annotations

from typing import Final

import polars as pl

from cdrkit._numbers.normalization import forms

__all__ = ["MASKED", "NUMBER_FIELDS", "masked", "visible_part"]

#: What is shown for a text that is masked whole.
MASKED: Final = "****"
#: The fields that hold telephone numbers; a mask leaves their beginning.
NUMBER_FIELDS: Final = ("source", "destination", "dialled", "did", "lrn")

_PLAIN_NUMBER: Final = r"^\+?[0-9]+$"


def visible_part(column: pl.Series, digits: int, region: str | None) -> pl.Series:
    """Return what may be seen of each number: its canonical form without its last *digits* digits.

    Nothing may be seen of what is no plain number, such as a SIP address: it could hold one anywhere.
    """
    form = pl.col("form")
    seen = pl.when(form.str.contains(_PLAIN_NUMBER)).then(form.str.head(-digits)).otherwise(pl.lit(""))
    rows = forms(column, region).alias("form").to_frame()
    return rows.select(pl.when(form.is_not_null()).then(seen).alias(column.name)).to_series()


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
