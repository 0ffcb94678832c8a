"""Queries: conditions, serialization, URL parameters and cursors."""

from __future__ import annotations

from cdrkit._query.cursor import Cursor
from cdrkit._query.expressions import (
    All,
    AnyOf,
    Beginning,
    Comparison,
    Expr,
    Membership,
    Missing,
    Not,
    NumberSearch,
    choice_of,
    field,
    fields_of,
    form_column,
    number_searches,
    polars_condition,
)
from cdrkit._query.query import Query
from cdrkit._query.url_params import check_keys

__all__ = [
    "All",
    "AnyOf",
    "Beginning",
    "Comparison",
    "Cursor",
    "Expr",
    "Membership",
    "Missing",
    "Not",
    "NumberSearch",
    "Query",
    "check_keys",
    "choice_of",
    "field",
    "fields_of",
    "form_column",
    "number_searches",
    "polars_condition",
]
