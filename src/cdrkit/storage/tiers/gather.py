"""Gather: rows of many arrays put together in one column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from cdrkit._model import FRAME_TYPES, SCHEMA

__all__ = ["pick_values", "take_values"]


def pick_values(name: str, parts: Sequence[tuple[pa.Array[Any] | None, Sequence[int]]]) -> pl.Series:
    """Return a few values of one column from many arrays, one array after the other.

    Args:
        name: The field.
        parts: Arrays of one type, each with the rows wanted of it; None for nulls.
    """
    if FRAME_TYPES[name] in (pl.String, pl.Categorical):
        texts = [None if array is None else array[row].as_py() for array, rows in parts for row in rows]
        return pl.Series(name, texts, dtype=FRAME_TYPES[name])
    plain = _plain_type(name, [array for array, _ in parts])
    pieces: list[pa.Array[Any]] = []
    for array, rows in parts:
        pieces += [pa.nulls(len(rows), plain)] if array is None else [array.slice(row, 1) for row in rows]
    return _joined(name, pieces)


def take_values(
    name: str, parts: Sequence[tuple[pa.Array[Any] | None, pa.Array[pa.UInt32Scalar]]]
) -> pl.Series:
    """Return the same where there are more of them: of each array its rows at once."""
    is_text = FRAME_TYPES[name] in (pl.String, pl.Categorical)
    plain: Any = pa.large_string() if is_text else _plain_type(name, [array for array, _ in parts])
    pieces: list[pa.Array[Any]] = []
    for array, rows in parts:
        taken = pa.nulls(len(rows), plain) if array is None else array.take(rows)
        pieces.append(taken if taken.type == plain else taken.cast(plain))
    return _joined(name, pieces)


def _plain_type(name: str, arrays: Iterable[pa.Array[Any] | None]) -> Any:
    return next((array.type for array in arrays if array is not None), SCHEMA.field(name).type)


def _joined(name: str, pieces: Sequence[pa.Array[Any]]) -> pl.Series:
    found = pa.concat_arrays(pieces)
    if pa.types.is_decimal(found.type):
        found = found.cast(pa.decimal128(18, 6))
    series = pl.from_arrow(found)
    assert isinstance(series, pl.Series)
    return series.rename(name).cast(FRAME_TYPES[name])
