"""Queries: conditions, serialization, URL parameters and cursors."""

from __future__ import annotations

from cdrkit._query.cursor import Cursor
from cdrkit._query.expressions import (
    And,
    Comparison,
    Expr,
    FieldRef,
    In,
    IsNull,
    MaskedPrefix,
    Not,
    NumberSearch,
    Or,
    equality_values,
    field,
    field_names,
    number_column,
    number_searches,
    polars_condition,
)
from cdrkit._query.query import Query
from cdrkit._query.url_params import check_keys

__all__ = [
    "And",
    "Comparison",
    "Cursor",
    "Expr",
    "FieldRef",
    "In",
    "IsNull",
    "MaskedPrefix",
    "Not",
    "NumberSearch",
    "Or",
    "Query",
    "check_keys",
    "equality_values",
    "field",
    "field_names",
    "number_column",
    "number_searches",
    "polars_condition",
]
