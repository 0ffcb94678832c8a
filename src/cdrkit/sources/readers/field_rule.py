"""Field rules: a rule computes one field from the strings in native columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias, get_args

import attrs

from cdrkit._model import check_zone, parse_instant
from cdrkit.errors import ConfigError, QueryError, suggestion
from cdrkit.sources.readers.mapping_data import build_value
from cdrkit.sources.readers.option_checks import (
    check_choice,
    check_optional_text,
    check_pattern,
    check_text_table,
    check_texts,
)

__all__ = ["FieldRule", "TimeFormat", "Unit", "check_rules"]

#: The words for usual formats of times. Any other format has a ``%``: it is a pattern of `datetime.strptime`.
TimeFormat: TypeAlias = Literal["iso", "rfc2822", "epoch", "epoch_ms", "epoch_us"]
#: The units of lengths. The last two are clock formats.
Unit: TypeAlias = Literal["s", "ms", "us", "min", "h:mm:ss", "mm:ss"]


def _check_unit(value: str) -> str:
    return check_choice("unit", value, get_args(Unit))


def _check_rounding(value: str) -> str:
    return check_choice("rounding", value, ("down", "up", "nearest"))


def _check_decimal(value: str) -> str:
    return check_choice("decimal", value, (".", ","))


def _check_formats(value: str | Iterable[str]) -> tuple[str, ...]:
    formats = check_texts(value)
    words = get_args(TimeFormat)
    for text in formats:
        if text in words:
            continue
        if "%" not in text or "%Z" in text:
            hint, _ = suggestion(text, words)
            why = (
                "%Z is a zone name, which does not give an offset" if "%Z" in text else "it is not a pattern"
            )
            raise ConfigError(
                f"{text!r} is not a usable time format: {why}. Give {', '.join(words)}, or a pattern such as "
                f"'%d.%m.%Y %H:%M:%S'.{hint}"
            )
    if not formats:
        raise ConfigError(f"The list of formats is empty; give {', '.join(words)}, or a strptime pattern.")
    return formats


def _check_since(value: str | None) -> str | None:
    if value is not None:
        try:
            parse_instant(value)
        except QueryError as exc:
            raise ConfigError(f"The value {value!r} of 'since' is not valid: {exc}") from exc
    return value


@attrs.frozen(kw_only=True)
class FieldRule:
    r"""A rule that computes one field of a row from native columns.

    The value is computed in these steps:

    1. Take the string in the first column that is not blank, or join the strings in all columns.
    2. If the string is one of *absent*, the field has no value.
    3. Take the part of the string that *pattern* captures.
    4. Replace that part by its entry in *values*.
    5. Convert the result to the type of the field: a time, a length, an amount, a number or a word.

    If step 5 fails, the row is rejected.

    Example:
        >>> FieldRule(columns="Result", values={"OK": "answered"}, otherwise="unknown").columns
        ('Result',)

    Args:
        columns: The native column, or several in the order in which they are tried.
        join: The separator for joining the strings in all columns, instead of taking the first string.
        absent: Strings that mean that a value is absent, such as ``0`` or ``none``.
        pattern: A regular expression. Its first group captures the part of the string to take.
        values: The meaning of each string, ignoring case. For ``disposition``, ``direction``
            and ``hangup_party``, each meaning must be a choice of the field.
        otherwise: The meaning of strings that are not in *values*; an empty string: no value. Without this option, the
            row is rejected if the string is not a choice of the field.
        missing: The string to use in rows whose columns are empty.
        required: Whether a row without a value is rejected. Rows without ``start`` or ``call_id`` are always rejected.
        formats: The formats of a time, in the order in which they are tried: ``iso``, ``rfc2822``, ``epoch``
            (seconds), ``epoch_ms``, ``epoch_us``, or a pattern of `datetime.strptime`.
        since: The instant from which epoch times count, as an ISO 8601 string, instead of 1970-01-01 UTC.
        timezone: The IANA zone of times without an offset. It overrides the mapping's zone.
        unit: The unit of a length: ``s``, ``ms``, ``us``, ``min``, ``h:mm:ss`` or ``mm:ss``.
        rounding: How to round fractions of a second to whole seconds: ``down``, ``up`` or ``nearest``.
        decimal: The decimal separator of numbers: ``.`` or ``,``.
        negate: Whether to change the sign of an amount, for switches that write a charge as a negative number.

    Raises:
        ConfigError: When an argument is invalid.
    """

    columns: tuple[str, ...] = attrs.field(converter=check_texts)
    join: str | None = attrs.field(default=None, converter=check_optional_text)
    absent: tuple[str, ...] = attrs.field(default=(), converter=check_texts)
    pattern: str | None = attrs.field(default=None, converter=check_pattern)
    values: Mapping[str, str] = attrs.field(factory=dict, converter=check_text_table, hash=False)
    otherwise: str | None = attrs.field(default=None, converter=check_optional_text)
    missing: str | None = attrs.field(default=None, converter=check_optional_text)
    required: bool = False
    formats: tuple[str, ...] = attrs.field(default=("iso",), converter=_check_formats)
    since: str | None = attrs.field(default=None, converter=_check_since)
    timezone: str | None = attrs.field(default=None, converter=attrs.converters.optional(check_zone))
    unit: str = attrs.field(default="s", converter=_check_unit)
    rounding: str = attrs.field(default="down", converter=_check_rounding)
    decimal: str = attrs.field(default=".", converter=_check_decimal)
    negate: bool = False

    def __attrs_post_init__(self) -> None:
        """Raise an error if the rule has no columns, or its pattern has no group."""
        if not self.columns:
            raise ConfigError("columns=() is not valid. Give the rule at least one column.")
        if self.pattern is not None and re.compile(self.pattern).groups < 1:
            raise ConfigError(
                f"The pattern {self.pattern!r} has no group. Put the part to extract in parentheses."
            )


def check_rules(value: object) -> dict[str, FieldRule]:
    """Validate a table of field rules, and return the rules by field name.

    A rule may be given as a `FieldRule`, as a dict, or as the names of its columns.

    Raises:
        ConfigError: When a rule has another type or is invalid.
    """
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"fields={value!r} is not a table. Give a table such as {{'call_id': 'id', 'start': 'begin'}}."
        )
    return {name: _check_rule(name, rule) for name, rule in value.items()}


def _check_rule(name: object, value: object) -> FieldRule:
    if isinstance(value, FieldRule):
        return value
    if isinstance(value, Mapping):
        rule: FieldRule = build_value(FieldRule, value, f"the rule of {name!r}")
        return rule
    if isinstance(value, (str, list, tuple)):
        return FieldRule(columns=value)
    raise ConfigError(
        f"The rule of {name!r} cannot be {value!r}; give a column's name, a list of names, or a table."
    )
