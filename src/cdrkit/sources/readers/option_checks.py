"""Validators for the options of a mapping: strings, lists, tables and patterns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from cdrkit.errors import ConfigError

__all__ = [
    "check_character",
    "check_choice",
    "check_list",
    "check_optional_text",
    "check_pattern",
    "check_text_table",
    "check_texts",
]


def check_texts(value: str | Iterable[str]) -> tuple[str, ...]:
    """Convert a string or a list of strings to a tuple.

    Raises:
        ConfigError: When the value is invalid.
    """
    texts = (value,) if isinstance(value, str) else check_list(value)
    if not all(isinstance(text, str) for text in texts):
        raise ConfigError(f"{value!r} is not a string or a list of strings.")
    return texts


def check_list(value: object) -> tuple[Any, ...]:
    """Convert an iterable to a tuple, and refuse a mapping.

    Raises:
        ConfigError: When the value is invalid.
    """
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise ConfigError(f"{value!r} is not a list.")
    return tuple(value)


def check_text_table(value: object) -> dict[str, str]:
    """Convert a mapping to a dict; all keys and values must be strings.

    Raises:
        ConfigError: When the value is invalid.
    """
    if not isinstance(value, Mapping) or not all(isinstance(text, str) for text in [*value, *value.values()]):
        raise ConfigError(
            f"{value!r} is not a table of strings. Give a table such as {{'ANSWERED': 'answered'}}."
        )
    return dict(value)


def check_pattern(value: str | None) -> str | None:
    """Return *value*, which must be a regular expression or None.

    Raises:
        ConfigError: When the value is not a regular expression.
    """
    if value is not None:
        try:
            re.compile(value)
        except (re.error, TypeError, RecursionError, OverflowError) as exc:
            raise ConfigError(f"The pattern {value!r} is not a regular expression: {exc}.") from exc
    return value


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    """Return *value*, which must be one of *choices*.

    Args:
        name: The option, for the message.
        value: The value.
        choices: The values that the option may have.

    Raises:
        ConfigError: When the value is invalid.
    """
    if value not in choices:
        raise ConfigError(f"{name}={value!r} is not valid. Give {', '.join(map(repr, choices))}.")
    return value


def check_character(name: str, value: str) -> str:
    """Return *value*, which must be one character other than CR, LF and NUL.

    Args:
        name: The option, for the message.
        value: The value.

    Raises:
        ConfigError: When the value is invalid.
    """
    if not isinstance(value, str) or len(value) != 1 or value in "\r\n\0":
        raise ConfigError(f"{name}={value!r} is not valid. Give one character other than CR, LF and NUL.")
    return value


def check_optional_text(value: str | None) -> str | None:
    """Return *value*, which must be a string or None.

    Raises:
        ConfigError: When the value is invalid.
    """
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"{value!r} is not a string.")
    return value
