"""Separate Asterisk's invalid rows from the valid rows, and give the reasons."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from cdrkit.sources.asterisk.columns import LOCAL_TIME
from cdrkit.sources.readers.reject_reasons import quote_value

__all__ = ["IS_NEGATIVE", "LENGTHS", "TIMES", "separate_invalid_rows"]

#: The columns with local times.
TIMES: Final = ("start", "answer", "end")
#: The columns with whole seconds.
LENGTHS: Final = ("duration", "billsec")
#: The end of the reason for a negative length.
IS_NEGATIVE: Final = "is negative."
_MOST_SECONDS: Final = 2**31 - 1


def separate_invalid_rows(values: pl.DataFrame) -> tuple[pl.DataFrame, list[tuple[int, str]]]:
    """Return the valid rows, and a reason for each invalid row.

    The valid rows have parsed times. Each reason is paired with the number of its row.
    """
    values = values.with_columns(
        pl.lit("", dtype=pl.String).alias(name) for name in (*TIMES, *LENGTHS) if name not in values.columns
    )
    times = [
        pl.when(pl.col(name).str.contains(f"^{LOCAL_TIME}$"))
        .then(pl.col(name))
        .str.to_datetime(
            "%Y-%m-%d %H:%M:%S%.f"
            if values[name].str.contains(".", literal=True).any()
            else "%Y-%m-%d %H:%M:%S",
            time_unit="us",
            strict=False,
        )
        .alias(f"{name}_at")
        for name in TIMES
    ]
    values = values.with_columns(times)
    is_invalid = pl.col("start_at").is_null()
    for name in TIMES:
        is_invalid |= pl.col(f"{name}_at").is_null() & (pl.col(name) != "")
    for name in LENGTHS:
        number = pl.col(name).str.contains(r"^[0-9]{1,10}$")
        is_invalid |= ~number | (pl.col(name).cast(pl.Int64, strict=False) > _MOST_SECONDS)
    invalid = values.select(is_invalid).to_series()
    if not invalid.any():
        return values, []
    return values.filter(~invalid), [
        (row["row"], _reason(row)) for row in values.filter(invalid).iter_rows(named=True)
    ]


def _reason(row: Mapping[str, Any]) -> str:
    """Return the reason why *row* is not a call."""
    if not row["start"]:
        return "The start time is missing."
    for name in TIMES:
        if row[name] and row[f"{name}_at"] is None:
            return (
                f"The value {quote_value(row[name])} of {name} is not a time such as '2026-11-22 09:30:00'."
            )
    for name in LENGTHS:
        text, quoted = row[name], quote_value(row[name])
        if not text:
            return f"The {name} is missing."
        if re.fullmatch(r"-[0-9]+", text):
            return f"The value {quoted} of {name} {IS_NEGATIVE}"
        if not re.fullmatch(r"[0-9]+", text):
            return f"The value {quoted} of {name} is not a whole number of seconds."
        if len(text) > 10 or int(text) > _MOST_SECONDS:
            break
    return f"The value {quoted} of {name} is too large for a length in seconds."
