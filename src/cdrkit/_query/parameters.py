"""Group and validate the URL parameters that a web framework provides."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeAlias

from cdrkit.errors import QueryError, suggestion

__all__ = ["Given", "check_keys", "group_params", "parse_count", "parse_flag", "split_names"]

#: The values of each parameter that has one.
Given: TypeAlias = Mapping[str, list[str]]


def group_params(
    params: object, *, known: Collection[str], repeatable: Collection[str], ignore: Collection[str]
) -> dict[str, list[str]]:
    """Group the values of URL parameters by parameter name.

    An empty value counts as absent.

    Args:
        params: The parameters as a framework represents them: Starlette, Werkzeug, Django, a mapping or pairs.
        known: The names of the parameters that a query accepts.
        repeatable: The known names that may have several values.
        ignore: The names of parameters to leave out.

    Raises:
        QueryError: When a parameter is unknown, or has several values but is not *repeatable*.
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
    groups: dict[str, list[str]] = {}
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not isinstance(pair[0], str):
            raise QueryError(f"{pair!r} is not a (name, value) pair.")
        name, values = pair
        if name in ignore:
            continue
        for value in values if isinstance(values, (list, tuple)) else [values]:
            if not isinstance(value, str):
                raise QueryError(f"The parameter {name} must be text, not {value!r}.", parameter=name)
            if value:
                groups.setdefault(name, []).append(value)
    check_keys(groups, known, "parameter")
    for name, values in groups.items():
        if name not in repeatable and len(values) > 1:
            raise QueryError(f"{name} is given {len(values)} times: {values}. Give it once.", parameter=name)
    return groups


def check_keys(given: Iterable[str], known: Collection[str], kind: str) -> None:
    """Raise an error for an unknown key, and suggest similar known keys.

    Args:
        given: The keys to check.
        known: The keys that a query accepts.
        kind: The word for a key in the error, such as ``"parameter"``.

    Raises:
        QueryError: When a key of *given* is not in *known*.
    """
    for key in given:
        if key not in known:
            hint, _ = suggestion(str(key), known)
            raise QueryError(
                f"A query has no {kind} {key!r}.{hint} Known names: {', '.join(known)}.", parameter=str(key)
            )


def parse_flag(value: str) -> bool:
    """Return whether *value* switches a filter on.

    Raises:
        QueryError: When *value* means neither on nor off.
    """
    if value.lower() in ("1", "true", "on", "yes"):
        return True
    if value.lower() in ("0", "false", "off", "no"):
        return False
    raise QueryError("use 1 to switch the filter on, or 0 to switch it off.")


def split_names(value: str) -> list[str]:
    """Split a comma-separated list of names."""
    return [name.strip() for name in value.split(",")]


def parse_count(value: str) -> int:
    """Parse *value* as a whole number of 0 or more.

    Raises:
        QueryError: When *value* is not such a number.
    """
    if not value.isascii() or not value.isdigit() or len(value) > 18:
        raise QueryError("give a whole number of 0 or more.")
    return int(value)
