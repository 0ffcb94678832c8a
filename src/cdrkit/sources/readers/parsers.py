"""Native texts as the values of fields: times, lengths, amounts, numbers and neutral words, each by its rule."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any, Final, TypeAlias

from cdrkit._model import FRACTION, INSTANT, INTEGER, MONEY, FieldInfo, parse_instant
from cdrkit.sources.readers.mapping import FieldRule

__all__ = ["NEGATIVE", "Parser", "make_parser"]

#: Reads one text: its value, and whether the value says all that the text does; ValueError says what is wrong.
Parser: TypeAlias = Callable[[str], "tuple[Any, bool]"]

#: How the reason begins when a length is below zero.
NEGATIVE: Final = "is negative"

_ISO: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))?(?: ?(Z|z|UTC|GMT)| ?([+-]\d\d):?(\d\d)?)?",
    re.ASCII,
)
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_CLOCK: Final = re.compile(r"(?:(\d{1,6}):)?(\d{1,4}):([0-5]\d)(?:[.,](\d{1,6}))?", re.ASCII)
_EPOCHS: Final = {"epoch": Decimal(1_000_000), "epoch_ms": Decimal(1000), "epoch_us": Decimal(1)}
_UNITS: Final = {"s": Decimal(1), "ms": Decimal("0.001"), "us": Decimal("0.000001"), "min": Decimal(60)}
_ROUNDING: Final = {"down": ROUND_FLOOR, "up": ROUND_CEILING, "nearest": ROUND_HALF_UP}
_MICRO: Final = Decimal("0.000001")
_MOST_MONEY: Final = Decimal(10) ** 12
_1970: Final = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS: Final = (1970, 2099)
_LENGTHS: Final = ("duration", "billed_duration", "ring_duration", "pdd", "pdd_in")


def make_parser(info: FieldInfo, rule: FieldRule) -> Parser | None:
    """Return what reads the texts of a field by its rule; None: every text is its value."""
    final = _plain_reader(info, rule)
    if not (rule.values or rule.pattern or rule.otherwise is not None):
        return final
    known = {word.strip().casefold(): meaning for word, meaning in rule.values.items()}
    pattern = None if rule.pattern is None else re.compile(rule.pattern)

    def read(text: str) -> tuple[Any, bool]:
        word, whole = text, True
        if pattern is not None and (match := pattern.search(text)) is not None:
            word = match[1] or ""
            whole = word == text
        meaning = known.get(word.strip().casefold())
        if meaning is None and rule.otherwise is not None:
            meaning = word if info.choices and word in info.choices else rule.otherwise
        if meaning is not None:
            whole = whole and meaning == word
            word = meaning
        if word == "":
            return None, False
        value, exact = (word, True) if final is None else final(word)
        return value, whole and exact

    return read


def _plain_reader(info: FieldInfo, rule: FieldRule) -> Parser | None:
    if info.type == INSTANT:
        return _times(rule)
    if info.type == MONEY:
        return _amounts(rule)
    if info.name in _LENGTHS:
        return _lengths(rule, whole=info.type in INTEGER)
    if info.type in INTEGER:
        return _whole_numbers
    if info.type in FRACTION:
        return lambda text: (float(_number(text, rule)), True)
    return _words(info) if info.choices else None


def _words(info: FieldInfo) -> Parser:
    def read(text: str) -> tuple[str, bool]:
        word = text.strip().casefold()
        if word not in info.choices:
            raise ValueError(f"is none of {', '.join(info.choices)}")
        return word, word == text

    return read


def _number(text: str, rule: FieldRule) -> Decimal:
    plain = text.strip()
    if rule.decimal == ",":
        plain = "?" if "." in plain else plain.replace(",", ".")
    if not _NUMBER.fullmatch(plain):
        raise ValueError("is not a number")
    return Decimal(plain)


def _whole_numbers(text: str) -> tuple[int, bool]:
    plain = text.strip()
    if not re.fullmatch(r"[0-9]{1,5}", plain) or int(plain) > 2**15 - 1:
        raise ValueError("is not a code")
    return int(plain), plain == text


def _amounts(rule: FieldRule) -> Parser:
    def read(text: str) -> tuple[Decimal, bool]:
        amount = _number(text, rule)
        if abs(amount) >= _MOST_MONEY:
            raise ValueError("is too large for an amount")
        stored = amount.quantize(_MICRO)
        return (-stored if rule.negate else stored) + 0, stored == amount  # no minus before a zero

    return read


def _lengths(rule: FieldRule, *, whole: bool) -> Parser:
    def read(text: str) -> tuple[Any, bool]:
        if rule.unit in _UNITS:
            seconds = _number(text, rule) * _UNITS[rule.unit]
        else:
            seconds = _clock(text.strip(), rule.unit)
        if seconds < 0:
            raise ValueError(NEGATIVE)
        if seconds >= 2**31:
            raise ValueError("is too large for a length in seconds")
        if not whole:
            return float(seconds), True
        stored = int(seconds.to_integral_value(_ROUNDING[rule.rounding]))
        return stored, stored == seconds

    return read


def _clock(text: str, unit: str) -> Decimal:
    if text.startswith("-"):
        raise ValueError(NEGATIVE)
    match = _CLOCK.fullmatch(text)
    if match is None or (match[1] is None) != (unit == "mm:ss") or (match[1] and int(match[2]) > 59):
        raise ValueError(f"is not a length such as {'12:34' if unit == 'mm:ss' else '1:02:34'}")
    return Decimal(int(match[1] or 0) * 3600 + int(match[2]) * 60 + int(match[3])) + Decimal(
        f"0.{match[4] or 0}"
    )


def _times(rule: FieldRule) -> Parser:
    since = _1970 if rule.since is None else parse_instant(rule.since)
    readers = [_time_reader(form, since) for form in rule.formats]

    def read(text: str) -> tuple[datetime, bool]:
        plain = text.strip()
        for one in readers:
            try:
                found = one(plain)
            except (ValueError, TypeError, IndexError, OverflowError, ArithmeticError):
                continue
            if found is not None:
                break
        else:
            raise ValueError(f"is not a time ({', '.join(rule.formats)})")
        if found.tzinfo is not None:
            found = found.astimezone(UTC)
        if not _YEARS[0] <= found.year <= _YEARS[1]:
            raise ValueError(f"is not in the years {_YEARS[0]} to {_YEARS[1]}")
        return found, True

    return read


def _time_reader(form: str, since: datetime) -> Callable[[str], datetime | None]:
    if form == "iso":
        return _iso
    if form == "rfc2822":
        return email.utils.parsedate_to_datetime
    if form in _EPOCHS:
        return lambda text: _epoch(text, _EPOCHS[form], since)
    return lambda text: datetime.strptime(text, form)  # noqa: DTZ007  # without an offset it is a local time


def _iso(text: str) -> datetime | None:
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    day, clock, fraction, utc, hours, minutes = match.groups()
    found = datetime.fromisoformat(f"{day}T{clock}").replace(microsecond=int(f"{fraction or '0':0<6}"[:6]))
    if utc:
        return found.replace(tzinfo=UTC)
    if hours:
        offset = datetime.fromisoformat(f"{day}T00:00{hours}:{minutes or '00'}")
        return found.replace(tzinfo=offset.tzinfo)
    return found


def _epoch(text: str, micros: Decimal, since: datetime) -> datetime | None:
    if not _NUMBER.fullmatch(text):
        return None
    return since + timedelta(microseconds=int(Decimal(text) * micros))
