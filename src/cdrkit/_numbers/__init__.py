"""Telephone numbers: normalised numbers, number keys and searches."""

from __future__ import annotations

from cdrkit._numbers.columns import normalize_column, visible_prefixes
from cdrkit._numbers.dial_plan import check_region
from cdrkit._numbers.key_ranges import KeySearch, key_search, number_key, number_keys
from cdrkit._numbers.normalization import normalize_number
from cdrkit._numbers.search import MatchKind, NumberPattern, search_pattern

__all__ = [
    "KeySearch",
    "MatchKind",
    "NumberPattern",
    "check_region",
    "key_search",
    "normalize_column",
    "normalize_number",
    "number_key",
    "number_keys",
    "search_pattern",
    "visible_prefixes",
]
