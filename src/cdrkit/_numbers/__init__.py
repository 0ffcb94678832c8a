"""Telephone numbers: normalization, dial plans and number searches."""

from __future__ import annotations

from cdrkit._numbers.normalization import check_region, normalize_column, normalize_number, visible_prefixes
from cdrkit._numbers.search import KeySearch, MatchKind, key_search, number_keys, search_pattern

__all__ = [
    "KeySearch",
    "MatchKind",
    "check_region",
    "key_search",
    "normalize_column",
    "normalize_number",
    "number_keys",
    "search_pattern",
    "visible_prefixes",
]
