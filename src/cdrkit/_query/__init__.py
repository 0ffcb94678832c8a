"""Define queries and conditions; convert them to JSON, URL parameters and Polars."""

from __future__ import annotations

from cdrkit._query.compiler import number_column, polars_condition
from cdrkit._query.cursor import Cursor
from cdrkit._query.expressions import (
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
    equality_values,
    field_names,
    number_searches,
)
from cdrkit._query.field_ref import FieldRef, field
from cdrkit._query.parameters import check_keys
from cdrkit._query.query import Query
from cdrkit._query.values import condition_texts

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
    "TextMatch",
    "check_keys",
    "condition_texts",
    "equality_values",
    "field",
    "field_names",
    "number_column",
    "number_searches",
    "polars_condition",
]
