"""The string values in the conditions of a query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from cdrkit._query.query import Query

__all__ = ["condition_texts"]

#: The keys of a condition's dict that hold no value to compare with.
_NO_VALUES: Final = frozenset({"field", "op", "role", "match"})


def condition_texts(query: Query) -> Iterator[str]:
    """Yield the string values in the conditions of a query.

    The strings include the telephone numbers of number searches.
    """
    for condition in query.conditions:
        yield from _texts(condition.to_dict())


def _texts(value: object) -> Iterator[str]:
    """Yield the string values in a condition's dict, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key in value.keys() - _NO_VALUES:
            yield from _texts(value[key])
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
