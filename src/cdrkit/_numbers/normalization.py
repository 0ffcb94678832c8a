"""Normalise one telephone number, which may be in any notation.

The normalised number of a text is its E.164 number (``+442079460018``) if the text is a telephone number. Otherwise
the normalised number is the text without separators (``2001``, ``*98``) or in lower case (``anonymous``). Two texts
are the same number if their normalised numbers are equal.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumber

from cdrkit._numbers.dial_plan import dial_plan

__all__ = [
    "MAX_CHARACTERS",
    "MIN_INTERNATIONAL",
    "MIN_NATIONAL",
    "SEPARATORS",
    "fold_text",
    "normalize_digits",
    "normalize_number",
    "normalize_typed",
    "parse_digits",
]

#: A longer text is not parsed as a number.
MAX_CHARACTERS: Final = 250
#: Fewer digits are an extension or a service, unless a numbering plan knows them.
MIN_NATIONAL: Final = 7
#: The fewest digits of an international number that is recognised without its plus.
MIN_INTERNATIONAL: Final = 11
#: The characters between the digits of a number, for a class of a regular expression.
SEPARATORS: Final = " \u00a0().\\-/\u2010-\u2015\u2212\ufe58\ufe63\uff0d"

_NUMBER: Final = re.compile(f"[{SEPARATORS}]*+[+\uff0b]?[{SEPARATORS}0-9]*+")
_CODE: Final = re.compile(f"[{SEPARATORS}]*+[+\uff0b]?[{SEPARATORS}0-9*#]*+")
_CLEAN: Final[dict[int, str | None]] = {
    **{ord(sign): None for sign in " \u00a0().-/\u2212\ufe58\ufe63\uff0d"},
    **dict.fromkeys(range(0x2010, 0x2016)),
    0xFF0B: "+",
}


def normalize_number(text: str, region: str | None) -> str:
    """Normalise a stored telephone number.

    White space around the text is ignored. Digits, with an optional leading plus and separators, are a telephone
    number if they have a possible length as dialled in *region*. Fewer than seven digits get no country code, unless
    they are a valid number as dialled. Digits without a plus are an international number in two cases: the region's
    numbering plan has no such number, or the digits begin with the region's calling code and not with its national
    prefix.

    >>> normalize_number("(020) 7946-0018", "GB")
    '+442079460018'
    >>> normalize_number("2001", "GB"), normalize_number("Anonymous", "GB")
    ('2001', 'anonymous')

    Args:
        text: The number as a switch wrote it.
        region: The region to which numbers in national form belong, as `check_region` returns it. None: only
            international numbers are recognised.
    """
    stored = text.strip()
    digits = parse_digits(stored)
    if digits is None:
        return fold_text(stored)
    return normalize_digits(digits, region) or digits


def normalize_typed(text: str, region: str | None) -> str:
    """Normalise a telephone number that a person typed.

    Unlike `normalize_number`, this function also accepts ``tel:`` URIs, extensions, letters in place of digits, and
    the digits of other scripts.

    Args:
        text: The number as a person typed it.
        region: The region to which numbers in national form belong. None: only international numbers are recognised.
    """
    shown = "".join(sign for sign in text if unicodedata.category(sign) != "Cf").strip()
    if len(shown) > MAX_CHARACTERS:
        return normalize_number(text, region)
    shown = "".join(_ascii_digit(sign) for sign in shown)
    if shown[:4].casefold() == "tel:" and parse_digits(shown[4:]) is not None:
        shown = shown[4:]
    stored = normalize_number(shown, region)
    if _CODE.fullmatch(shown) and "#" not in shown:
        return stored
    if shown[:4].casefold() == "tel:" or shown[:1] in ("+", "\uff0b", "(") or shown[:1].isdigit():
        number = _parse_possible(shown, region) if "*" not in shown else None
        if number is not None and (
            not phonenumbers.is_alpha_number(shown) or phonenumbers.is_valid_number(number)
        ):
            return _format_e164(number)
    return stored


def _ascii_digit(sign: str) -> str:
    return str(unicodedata.decimal(sign, sign))


def parse_digits(text: str) -> str | None:
    """Return a number's digits, and keep a leading plus sign.

    Return None if *text* contains anything other than digits, a leading plus and separators.
    """
    if len(text) > MAX_CHARACTERS or not _NUMBER.fullmatch(text):
        return None
    digits = text.translate(_CLEAN)
    return None if digits in ("", "+") else digits


def fold_text(text: str) -> str:
    """Normalise text that is not a telephone number.

    A service code such as ``*21*5#`` loses its separators. Any other text loses the white space around it and becomes
    lower case.
    """
    if _CODE.fullmatch(text):
        digits = text.translate(_CLEAN)
        if digits not in ("", "+"):
            return digits
    return text.strip().casefold()


@functools.lru_cache(maxsize=1 << 16)
def normalize_digits(digits: str, region: str | None) -> str | None:
    """Convert dialled digits to an E.164 number.

    Return None if the digits are not a telephone number.

    Args:
        digits: The digits, with a leading plus if there was one, as `parse_digits` returns them.
        region: The region whose numbering plan applies, or None.
    """
    if digits[0] == "+":
        return _e164(_parse_possible(digits, region))
    if region is None:
        if digits.startswith("00"):
            return _e164(_parse_possible("+" + digits[2:], None))
        return _e164(_parse_international(digits)) if len(digits) >= MIN_INTERNATIONAL else None
    plan = dial_plan(region)
    trunked = digits.startswith(plan.trunk)
    national = _parse_possible(digits, region)
    if len(digits) < MIN_NATIONAL:
        return _e164(national) if trunked and _is_valid(national) else None
    if national is not None and plan.trunk and trunked:
        return _format_e164(national)
    own = digits.startswith(plan.code)
    international = _parse_international(digits) if own or len(digits) >= MIN_INTERNATIONAL else None
    if national is None:
        return _e164(international) if len(digits) >= MIN_INTERNATIONAL or _is_valid(international) else None
    # Both readings have a possible length. In a plan with a trunk prefix, digits without that prefix that begin
    # with the region's own code are international. Otherwise a national reading that is in no plan gives way.
    preferred = _is_valid(international) and ((own and plan.trunk) or not _is_valid(national))
    return _e164(international if preferred else national)


def _parse_international(digits: str) -> PhoneNumber | None:
    """Parse an international number that is written without a plus sign."""
    return None if digits[0] == "0" else _parse_possible("+" + digits, None)


def _parse_possible(text: str, region: str | None) -> PhoneNumber | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    possible = phonenumbers.is_possible_number_with_reason(number)
    return number if possible == phonenumbers.ValidationResult.IS_POSSIBLE else None


def _is_valid(number: PhoneNumber | None) -> bool:
    return number is not None and phonenumbers.is_valid_number(number)


def _e164(number: PhoneNumber | None) -> str | None:
    return None if number is None else _format_e164(number)


def _format_e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
