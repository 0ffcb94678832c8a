"""Check the arguments of the functions that generate sample data."""

from __future__ import annotations

from datetime import datetime

from cdrkit.errors import ConfigError

__all__ = ["check_count", "check_instant"]


def check_count(name: str, value: object, *, at_least: int, at_most: int) -> int:
    """Check that *value* is a whole number within the bounds, and return it.

    Both bounds are inclusive.

    Raises:
        ConfigError: When *value* is not such a number.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not at_least <= value <= at_most:
        raise ConfigError(f"{name}={value!r} is not valid. Give a whole number from {at_least} to {at_most}.")
    return value


def check_instant(name: str, value: object) -> datetime:
    """Check that *value* is an aware datetime, and return it.

    Raises:
        ConfigError: When *value* is not an aware datetime.
    """
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise ConfigError(
            f"{name}={value!r} is not valid. Give an aware datetime, such as datetime(2026, 11, 23, tzinfo=UTC)."
        )
    return value
