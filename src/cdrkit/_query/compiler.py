"""Compile query conditions into Polars expressions."""

from __future__ import annotations

import polars as pl

from cdrkit._model import FRACTION, FRAME_TYPES, INSTANT, INTEGER, MONEY, find_field
from cdrkit._numbers import search_pattern, visible_prefixes
from cdrkit._query.expressions import (
    OPERATORS,
    And,
    Comparison,
    Expr,
    In,
    IsNull,
    MaskedPrefix,
    Not,
    NumberSearch,
    Or,
    TextMatch,
)

__all__ = ["number_column", "polars_condition"]


def number_column(name: str) -> str:
    """Return the name of the column that holds a field's normalised numbers."""
    return f"_form:{name}"


def polars_condition(expr: Expr, region: str | None) -> pl.Expr:
    """Compile a condition into a Polars expression.

    Args:
        expr: The condition.
        region: The region to which numbers in national form belong, or None.

    Returns:
        An expression for a frame that has the condition's fields. For a number search, the frame must also have the
        `number_column` of each searched field.
    """
    if isinstance(expr, And):
        return pl.all_horizontal([polars_condition(part, region) for part in expr.parts])
    if isinstance(expr, Or):
        return pl.any_horizontal([polars_condition(part, region) for part in expr.parts])
    if isinstance(expr, Not):
        return ~polars_condition(expr.inner, region)
    if isinstance(expr, NumberSearch):
        patterns = [search_pattern(text, region, expr.match) for text in expr.texts]
        columns = [pl.col(number_column(name)) for name in expr.fields]
        return pl.any_horizontal([pattern.condition(column) for column in columns for pattern in patterns])
    if isinstance(expr, MaskedPrefix):
        return _prefix_condition(expr, region)
    if isinstance(expr, Comparison):
        return _comparison_condition(expr)
    if isinstance(expr, In):
        return _plain_column(expr.field).is_in(
            pl.Series(expr.values, dtype=_literal_type(expr.field)).implode()
        )
    if isinstance(expr, IsNull):
        return pl.col(expr.field).is_null()
    assert isinstance(expr, TextMatch)
    column = _plain_column(expr.field)
    if expr.how == "contains":
        return column.str.contains(expr.text, literal=True)
    return column.str.starts_with(expr.text) if expr.how == "starts_with" else column.str.ends_with(expr.text)


def _prefix_condition(expr: MaskedPrefix, region: str | None) -> pl.Expr:
    """Compile a `MaskedPrefix` into an expression that scans the field's column.

    A number index must not answer the search, because the index also contains the hidden digits.
    """
    patterns = [search_pattern(text, region, expr.match) for text in expr.texts]
    visible = pl.col(expr.field).map_batches(
        lambda column: visible_prefixes(column, expr.masked_digits, region), return_dtype=pl.String
    )
    return pl.any_horizontal([pattern.condition(visible) for pattern in patterns])


def _comparison_condition(expr: Comparison) -> pl.Expr:
    literal = pl.lit(expr.value, dtype=_literal_type(expr.field))
    column = pl.col(expr.field) if expr.op in ("==", "!=") else _plain_column(expr.field)
    result: pl.Expr = OPERATORS[expr.op](column, literal)
    return result


def _plain_column(name: str) -> pl.Expr:
    """Return the column called *name*; convert a categorical column to plain text.

    Polars compares categories by their codes, not by their text.
    """
    column = pl.col(name)
    return column.cast(pl.String) if isinstance(FRAME_TYPES[name], pl.Categorical) else column


def _literal_type(name: str) -> pl.DataType:
    info = find_field(name)
    if info.type in INTEGER:
        return pl.Int64()
    if info.type in FRACTION or info.type in (MONEY, INSTANT):
        return FRAME_TYPES[name]
    return pl.String()
