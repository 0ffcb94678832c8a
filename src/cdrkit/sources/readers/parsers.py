"""Parsers of field values: times, durations, amounts, numbers and choices."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any, Final, TypeAlias

from cdrkit._model import FRACTION, INSTANT, INTEGER, MONEY, FieldInfo, parse_instant
from cdrkit.sources.readers.field_rule import FieldRule

__all__ = ["NEGATIVE", "Parser", "make_parser"]

#: Parses one text. Returns its value, and whether the value has all information of the text. Raises a ValueError
#: whose message ends a sentence that begins with the text: "is not a number".
Parser: TypeAlias = Callable[[str], "tuple[Any, bool]"]

#: The message of the ValueError that a negative length raises.
NEGATIVE: Final = "is negative"

_ISO: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))?(?: ?(Z|z|UTC|GMT)| ?([+-]\d\d):?(\d\d)?)?",
    re.ASCII,
)
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_CLOCK: Final = re.compile(r"(?:(\d{1,6}):)?(\d{1,4}):([0-5]\d)(?:[.,](\d{1,6}))?", re.ASCII)
_EPOCH_UNITS: Final = {"epoch": Decimal(1_000_000), "epoch_ms": Decimal(1000), "epoch_us": Decimal(1)}
_LENGTH_UNITS: Final = {
    "s": Decimal(1),
    "ms": Decimal("0.001"),
    "us": Decimal("0.000001"),
    "min": Decimal(60),
}
_ROUNDING: Final = {"down": ROUND_FLOOR, "up": ROUND_CEILING, "nearest": ROUND_HALF_UP}
_MICRO: Final = Decimal("0.000001")
_MOST_MONEY: Final = Decimal(10) ** 12
_1970: Final = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS: Final = (1970, 2099)
_LENGTHS: Final = ("duration", "billed_duration", "ring_duration", "pdd", "pdd_in")


def make_parser(info: FieldInfo, rule: FieldRule) -> Parser | None:
    """Return a parser that converts the text of a field into the field's value.

    Args:
        info: The field.
        rule: The rule of the field.

    Returns:
        The parser, or None if every string is its own value.
    """
    parse_plain = _plain_parser(info, rule)
    if not (rule.values or rule.pattern or rule.otherwise is not None):
        return parse_plain
    meanings = {word.strip().casefold(): meaning for word, meaning in rule.values.items()}
    pattern = None if rule.pattern is None else re.compile(rule.pattern)

    def parse(text: str) -> tuple[Any, bool]:
        word, complete = text, True
        if pattern is not None and (match := pattern.search(text)) is not None:
            word = match[1] or ""
            complete = word == text
        meaning = meanings.get(word.strip().casefold())
        if meaning is None and rule.otherwise is not None:
            meaning = word if info.choices and word in info.choices else rule.otherwise
        if meaning is not None:
            complete = complete and meaning == word
            word = meaning
        if word == "":
            return None, False
        value, exact = (word, True) if parse_plain is None else parse_plain(word)
        return value, complete and exact

    return parse


def _plain_parser(info: FieldInfo, rule: FieldRule) -> Parser | None:
    """Return a parser for a field's type; ignore the rule's pattern and values."""
    if info.type == INSTANT:
        return _time_parser(rule)
    if info.type == MONEY:
        return _amount_parser(rule)
    if info.name in _LENGTHS:
        return _length_parser(rule, whole=info.type in INTEGER)
    if info.type in INTEGER:
        return _parse_code
    if info.type in FRACTION:
        return lambda text: (float(_parse_number(text, rule)), True)
    return _choice_parser(info) if info.choices else None


def _choice_parser(info: FieldInfo) -> Parser:
    def parse(text: str) -> tuple[str, bool]:
        word = text.strip().casefold()
        if word not in info.choices:
            raise ValueError(f"is not one of {', '.join(info.choices)}")
        return word, word == text

    return parse


def _parse_number(text: str, rule: FieldRule) -> Decimal:
    plain = text.strip()
    if rule.decimal == ",":
        plain = "?" if "." in plain else plain.replace(",", ".")
    if not _NUMBER.fullmatch(plain):
        raise ValueError("is not a number")
    return Decimal(plain)


def _parse_code(text: str) -> tuple[int, bool]:
    plain = text.strip()
    if not re.fullmatch(r"[0-9]{1,5}", plain) or int(plain) > 2**15 - 1:
        raise ValueError("is not a code")
    return int(plain), plain == text


def _amount_parser(rule: FieldRule) -> Parser:
    def parse(text: str) -> tuple[Decimal, bool]:
        amount = _parse_number(text, rule)
        if abs(amount) >= _MOST_MONEY:
            raise ValueError("is too large for an amount")
        stored = amount.quantize(_MICRO)
        return (-stored if rule.negate else stored) + 0, stored == amount  # +0 turns -0 into 0

    return parse


def _length_parser(rule: FieldRule, *, whole: bool) -> Parser:
    def parse(text: str) -> tuple[Any, bool]:
        if rule.unit in _LENGTH_UNITS:
            seconds = _parse_number(text, rule) * _LENGTH_UNITS[rule.unit]
        else:
            seconds = _parse_clock(text.strip(), rule.unit)
        if seconds < 0:
            raise ValueError(NEGATIVE)
        if seconds >= 2**31:
            raise ValueError("is too large for a length in seconds")
        if not whole:
            return float(seconds), True
        stored = int(seconds.to_integral_value(_ROUNDING[rule.rounding]))
        return stored, stored == seconds

    return parse


def _parse_clock(text: str, unit: str) -> Decimal:
    if text.startswith("-"):
        raise ValueError(NEGATIVE)
    match = _CLOCK.fullmatch(text)
    if match is None or (match[1] is None) != (unit == "mm:ss") or (match[1] and int(match[2]) > 59):
        raise ValueError(f"is not a length such as {'12:34' if unit == 'mm:ss' else '1:02:34'}")
    return Decimal(int(match[1] or 0) * 3600 + int(match[2]) * 60 + int(match[3])) + Decimal(
        f"0.{match[4] or 0}"
    )


def _time_parser(rule: FieldRule) -> Parser:
    since = _1970 if rule.since is None else parse_instant(rule.since)
    parsers = [_format_parser(time_format, since) for time_format in rule.formats]

    def parse(text: str) -> tuple[datetime, bool]:
        plain = text.strip()
        for parse_format in parsers:
            try:
                time = parse_format(plain)
            except (ValueError, TypeError, IndexError, OverflowError, ArithmeticError):
                continue
            if time is not None:
                break
        else:
            raise ValueError(f"is not a time ({', '.join(rule.formats)})")
        if time.tzinfo is not None:
            time = time.astimezone(UTC)
        if not _YEARS[0] <= time.year <= _YEARS[1]:
            raise ValueError(f"is not in the years {_YEARS[0]} to {_YEARS[1]}")
        return time, True

    return parse


def _format_parser(time_format: str, since: datetime) -> Callable[[str], datetime | None]:
    if time_format == "iso":
        return _parse_iso
    if time_format == "rfc2822":
        return email.utils.parsedate_to_datetime
    if time_format in _EPOCH_UNITS:
        return lambda text: _parse_epoch(text, _EPOCH_UNITS[time_format], since)
    return lambda text: datetime.strptime(text, time_format)  # noqa: DTZ007  # without an offset it is a local time


def _parse_iso(text: str) -> datetime | None:
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    day, clock, fraction, utc, hours, minutes = match.groups()
    time = datetime.fromisoformat(f"{day}T{clock}").replace(microsecond=int(f"{fraction or '0':0<6}"[:6]))
    if utc:
        return time.replace(tzinfo=UTC)
    if hours:
        offset = datetime.fromisoformat(f"{day}T00:00{hours}:{minutes or '00'}")
        return time.replace(tzinfo=offset.tzinfo)
    return time


def _parse_epoch(text: str, micros: Decimal, since: datetime) -> datetime | None:
    if not _NUMBER.fullmatch(text):
        return None
    return since + timedelta(microseconds=int(Decimal(text) * micros))
