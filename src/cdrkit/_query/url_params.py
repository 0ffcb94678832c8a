"""URL parameters as frameworks hand them out, made into lists of values; knows nothing of what they mean."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeAlias

from cdrkit.errors import QueryError, suggestion

__all__ = ["Given", "check_keys", "flag", "group_params", "names", "whole"]

#: The values of each parameter that has one.
Given: TypeAlias = Mapping[str, list[str]]


def group_params(
    params: object, *, known: Collection[str], repeatable: Collection[str], ignore: Collection[str]
) -> dict[str, list[str]]:
    """Return the values of each parameter, whatever object the framework hands out; empty ones count as not given.

    Raises:
        QueryError: When a parameter is not *known*, or has several values without being *repeatable*.
    """
    pairs: Iterable[Any]
    if hasattr(params, "multi_items"):  # Starlette
        pairs = params.multi_items()
    elif hasattr(params, "lists"):  # Werkzeug and Django
        pairs = params.lists()
    elif isinstance(params, Mapping):
        pairs = params.items()
    elif isinstance(params, Iterable) and not isinstance(params, (str, bytes)):
        pairs = params
    else:
        raise QueryError(f"{params!r} are not URL parameters; give a mapping or (name, value) pairs.")
    found: dict[str, list[str]] = {}
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not isinstance(pair[0], str):
            raise QueryError(f"{pair!r} is not a (name, value) pair.")
        name, values = pair
        if name in ignore:
            continue
        for value in values if isinstance(values, (list, tuple)) else [values]:
            if not isinstance(value, str):
                raise QueryError(f"{name} is {value!r}; a parameter is text.", parameter=name)
            if value:
                found.setdefault(name, []).append(value)
    check_keys(found, known, "parameter")
    for name, values in found.items():
        if name not in repeatable and len(values) > 1:
            raise QueryError(f"{name} is given {len(values)} times: {values}. Give it once.", parameter=name)
    return found


def check_keys(given: Iterable[str], known: Collection[str], what: str) -> None:
    """Refuse a key that is not *known*, naming the nearest ones.

    Raises:
        QueryError: When there is one.
    """
    for key in given:
        if key not in known:
            hint, _ = suggestion(str(key), known)
            raise QueryError(
                f"A query has no {what} {key!r}.{hint} There are: {', '.join(known)}.", parameter=str(key)
            )


def flag(value: str) -> bool:
    """Return whether *value* switches something on.

    Raises:
        QueryError: When it says neither.
    """
    if value.lower() in ("1", "true", "on", "yes"):
        return True
    if value.lower() in ("0", "false", "off", "no"):
        return False
    raise QueryError("it is switched on by 1 and off by 0.")


def names(value: str) -> list[str]:
    """Return the names in *value*, which has commas between them."""
    return [name.strip() for name in value.split(",")]


def whole(value: str) -> int:
    """Return *value* as a whole number of 0 or more.

    Raises:
        QueryError: When it is not one.
    """
    if not value.isascii() or not value.isdigit() or len(value) > 18:
        raise QueryError("a whole number of 0 or more is needed.")
    return int(value)
