"""Functions that gather rows of many arrays into one column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from cdrkit._model import FRAME_TYPES, SCHEMA

__all__ = ["pick_values", "take_values"]


def pick_values(name: str, parts: Sequence[tuple[pa.Array[Any] | None, Sequence[int]]]) -> pl.Series:
    """Collect a field's values from many arrays; efficient for few rows per array.

    The values are in the order of the arrays.

    Args:
        name: The field.
        parts: Arrays of one type, each with the rows to return. None stands for an array of nulls.
    """
    if FRAME_TYPES[name] in (pl.String, pl.Categorical):
        texts = [None if array is None else array[row].as_py() for array, rows in parts for row in rows]
        return pl.Series(name, texts, dtype=FRAME_TYPES[name])
    plain = _plain_type(name, [array for array, _ in parts])
    pieces: list[pa.Array[Any]] = []
    for array, rows in parts:
        pieces += [pa.nulls(len(rows), plain)] if array is None else [array.slice(row, 1) for row in rows]
    return _concat(name, pieces)


def take_values(
    name: str, parts: Sequence[tuple[pa.Array[Any] | None, pa.Array[pa.UInt32Scalar]]]
) -> pl.Series:
    """Collect a field's values from many arrays; efficient for many rows per array.

    The values are in the order of the arrays.

    Args:
        name: The field.
        parts: Arrays of one type, each with the rows to return. None stands for an array of nulls.
    """
    is_text = FRAME_TYPES[name] in (pl.String, pl.Categorical)
    plain: Any = pa.large_string() if is_text else _plain_type(name, [array for array, _ in parts])
    pieces: list[pa.Array[Any]] = []
    for array, rows in parts:
        values = pa.nulls(len(rows), plain) if array is None else array.take(rows)
        pieces.append(values if values.type == plain else values.cast(plain))
    return _concat(name, pieces)


def _plain_type(name: str, arrays: Iterable[pa.Array[Any] | None]) -> Any:
    return next((array.type for array in arrays if array is not None), SCHEMA.field(name).type)


def _concat(name: str, pieces: Sequence[pa.Array[Any]]) -> pl.Series:
    values = pa.concat_arrays(pieces)
    if pa.types.is_decimal(values.type):
        values = values.cast(pa.decimal128(18, 6))
    series = pl.from_arrow(values)
    assert isinstance(series, pl.Series)
    return series.rename(name).cast(FRAME_TYPES[name])
