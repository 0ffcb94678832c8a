"""Telephone numbers: normalization, dial plans and number searches."""

from __future__ import annotations

from cdrkit._numbers.normalization import check_region, form, forms, visible_part
from cdrkit._numbers.search import KeySearch, MatchKind, key_search, keys, search_pattern

__all__ = [
    "KeySearch",
    "MatchKind",
    "check_region",
    "form",
    "forms",
    "key_search",
    "keys",
    "search_pattern",
    "visible_part",
]
