"""Telephone numbers in one form however they were written, the sortable key of a form, and searches for numbers.

Every text has one *form*: E.164 (``+442079460018``) when it is a telephone number, otherwise the text itself without
separators (``2001``, ``*98``) or in lower case (``anonymous``). Two texts are the same number when their forms are equal.
"""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from collections.abc import Iterable
from typing import Final, Literal, cast

import attrs
import phonenumbers
import polars as pl
from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberDesc

from .errors import ConfigError, QueryError, suggestion

__all__ = [
    "NumberPattern",
    "check_region",
    "form",
    "forms",
    "key_of",
    "keys",
    "prefix_range",
    "search_pattern",
    "typed_form",
]

MatchKind = Literal["exact", "prefix", "suffix", "contains"]

_LONGEST: Final = 250
_SHORTEST: Final = 7  # fewer digits are an extension or a service, unless a numbering plan knows them
_UNMARKED: Final = 11  # as many digits as an international number without its plus has
_KEY_DIGITS: Final = 15

_SEPARATORS: Final = " \u00a0().\\-/\u2010-\u2015\u2212\ufe58\ufe63\uff0d"
_NUMBER: Final = re.compile(f"[{_SEPARATORS}]*+[+\uff0b]?[{_SEPARATORS}0-9]*+")
_CODE: Final = re.compile(f"[{_SEPARATORS}]*+[+\uff0b]?[{_SEPARATORS}0-9*#]*+")
_CLEAN: Final[dict[int, str | None]] = {
    **{ord(sign): None for sign in " \u00a0().-/\u2212\ufe58\ufe63\uff0d"},
    **dict.fromkeys(range(0x2010, 0x2016)),
    0xFF0B: "+",
}
_COLUMN_NUMBER: Final = f"^[{_SEPARATORS}]*\\+?[{_SEPARATORS}]*[0-9][{_SEPARATORS}0-9]*$"
_KEYED: Final = re.compile(f"\\+[0-9]{{1,{_KEY_DIGITS}}}")


def check_region(region: str | None) -> str | None:
    """Return *region* as an upper-case ISO 3166 code, or None.

    Raises:
        ConfigError: When no numbering plan is known for it.
    """
    if region is None:
        return None
    if isinstance(region, str) and region.upper() in phonenumbers.SUPPORTED_REGIONS:
        return region.upper()
    hint = ""
    if isinstance(region, str):
        known = sorted(phonenumbers.SUPPORTED_REGIONS)
        hint = " Did you mean 'GB'?" if region.upper() == "UK" else suggestion(region.upper(), known)[0]
    raise ConfigError(
        f"There is no region {region!r}; give the two letters of a country, such as 'GB'.{hint}"
    )


# -- one text ---------------------------------------------------------------------------------------------------


def form(text: str, region: str | None) -> str:
    """Return the form of a stored *text*.

    Digits with an optional leading plus and separators are a number when their length is possible, read as dialled in
    *region*. Fewer than seven digits gain no country code unless they are a valid number of a region that dials such
    numbers. Digits without a plus that read as an international number are one where the region's plan has no place
    for them.

    Args:
        text: What a switch wrote.
        region: The region that national forms are of, as `check_region` returns it; None: only international forms.
    """
    digits = _dialled(text)
    if digits is None:
        return _folded(text)
    return _telephone(digits, region) or digits


def typed_form(text: str, region: str | None) -> str:
    """Return the form of what a person typed: as `form`, and understanding ``tel:``, extensions, letters for digits.

    Args:
        text: What was typed.
        region: The region that national forms are of; None: only international forms.
    """
    shown = "".join(sign for sign in text if unicodedata.category(sign) != "Cf").strip()
    if len(shown) > _LONGEST:
        return form(text, region)
    shown = "".join(_ascii_digit(sign) for sign in shown)
    if shown[:4].casefold() == "tel:" and _dialled(shown[4:]) is not None:
        shown = shown[4:]
    found = form(shown, region)
    if _CODE.fullmatch(shown) and "#" not in shown:
        return found
    if shown[:4].casefold() == "tel:" or shown[:1] in ("+", "\uff0b", "(") or shown[:1].isdigit():
        number = _possible(shown, region) if "*" not in shown else None
        if number is not None and (
            not phonenumbers.is_alpha_number(shown) or phonenumbers.is_valid_number(number)
        ):
            return _e164(number)
    return found


def _ascii_digit(sign: str) -> str:
    return str(unicodedata.decimal(sign, sign))


def _dialled(text: str) -> str | None:
    """Return the digits of *text*, after a plus if there is one; None when it has anything but those."""
    if len(text) > _LONGEST or not _NUMBER.fullmatch(text):
        return None
    digits = text.translate(_CLEAN)
    return None if digits in ("", "+") else digits


def _folded(text: str) -> str:
    if _CODE.fullmatch(text):
        digits = text.translate(_CLEAN)
        if digits not in ("", "+"):
            return digits
    return text.strip().casefold()


@functools.lru_cache(maxsize=1 << 16)
def _telephone(digits: str, region: str | None) -> str | None:
    """Return E.164 for digits, after a plus if there is one; None when they are no telephone number."""
    if digits[0] == "+":
        return _written(_possible(digits, region))
    if region is None:
        if digits.startswith("00"):
            return _written(_possible("+" + digits[2:], None))
        return _written(_unmarked(digits)) if len(digits) >= _UNMARKED else None
    metadata = _metadata(region)
    trunk = metadata.national_prefix or ""
    trunked = digits.startswith(trunk)
    national = _possible(digits, region)
    if len(digits) < _SHORTEST:
        return _written(national) if trunked and _is_valid(national) else None
    if national is not None and trunk and trunked:
        return _e164(national)
    own = digits.startswith(str(metadata.country_code))
    international = _unmarked(digits) if own or len(digits) >= _UNMARKED else None
    if national is None:
        return _written(international) if len(digits) >= _UNMARKED or _is_valid(international) else None
    # Both lengths are possible. Where national numbers begin with a prefix and this one does not, the region's own
    # code at its head is taken for that; otherwise the national reading is only given up when it is in no plan.
    preferred = _is_valid(international) and ((own and trunk) or not _is_valid(national))
    return _written(international if preferred else national)


def _unmarked(digits: str) -> PhoneNumber | None:
    """Return the international number that lost its plus."""
    return None if digits[0] == "0" else _possible("+" + digits, None)


def _is_valid(number: PhoneNumber | None) -> bool:
    return number is not None and phonenumbers.is_valid_number(number)


def _possible(text: str, region: str | None) -> PhoneNumber | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    possible = phonenumbers.is_possible_number_with_reason(number)
    return number if possible == phonenumbers.ValidationResult.IS_POSSIBLE else None


def _written(number: PhoneNumber | None) -> str | None:
    return None if number is None else _e164(number)


def _e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _metadata(region: str) -> PhoneMetadata:
    return cast(PhoneMetadata, PhoneMetadata.metadata_for_region(region, None))


# -- a column of texts ------------------------------------------------------------------------------------------


def forms(column: pl.Series, region: str | None) -> pl.Series:
    """Return the form of every text of *column*, a null for a null.

    The same as `form` of each. Most texts are settled for the whole column by regular expressions taken from the
    numbering plans, wherever those prove what `form` would say; the rest go through it one by one.
    """
    texts = column.cast(pl.String)
    distinct = texts.drop_nulls().unique()
    if 2 * len(distinct) > len(texts):
        return _column_forms(texts, region).alias(column.name)
    known = pl.DataFrame({"text": distinct, "form": _column_forms(distinct, region)})
    found = pl.DataFrame({"text": texts}).join(known, on="text", how="left", maintain_order="left")
    return found["form"].alias(column.name)


class _Rows:
    """Rows whose form is looked for, and what is settled of them."""

    def __init__(self, rest: pl.DataFrame, settled: list[pl.DataFrame]) -> None:
        self.rest = rest
        self.settled = settled

    def take(self, where: pl.Expr, *columns: pl.Expr) -> _Rows:
        """Part with the rows *where* holds, with more *columns*; they settle into the same list."""
        if self.rest.is_empty():
            return _Rows(self.rest.with_columns(*columns), self.settled)
        mask = self.rest.select(where.fill_null(False).alias("mask"))["mask"]
        taken = _Rows(self.rest.filter(mask).with_columns(*columns), self.settled)
        self.rest = self.rest.filter(~mask)
        return taken

    def settle(self, where: pl.Expr, form: pl.Expr) -> None:
        """Settle the rows *where* holds with *form*."""
        hits = self.take(where).rest
        if not hits.is_empty():
            self.settled.append(hits.select("row", form.alias("form")))


def _column_forms(texts: pl.Series, region: str | None) -> pl.Series:
    text = pl.col("text")
    rows = _Rows(pl.DataFrame({"text": texts}).with_row_index("row"), [])
    rows.settle(text.is_null(), text)
    numbers = rows.take((text.str.len_bytes() <= _LONGEST) & text.str.contains(_COLUMN_NUMBER))
    # With a letter, and nothing but printable ASCII, lower case is the casefold and a space the only white space.
    rows.settle(text.str.contains("^[ -~]*[A-Za-z][ -~]*$"), text.str.strip_chars(" ").str.to_lowercase())
    rows.settle(pl.lit(True), text.map_elements(lambda item: form(item, region), return_dtype=pl.String))
    separators = f"[{_SEPARATORS}]"
    digits = (
        text.str.replace_all(separators, "") if numbers.rest["text"].str.contains(separators).any() else text
    )
    numbers.rest = numbers.rest.select("row", digits=digits)
    left = [_settle_marked(numbers.take(pl.col("digits").str.starts_with("+")))]
    left += _settle_anywhere(numbers) if region is None else _settle_national(numbers, region)
    for rest in left:
        found = [_telephone(item, region) or item for item in rest["digits"].to_list()]
        rows.settled.append(rest.select("row", form=pl.Series(found, dtype=pl.String)))
    return pl.concat(rows.settled).sort("row")["form"]


def _settle_marked(rows: _Rows) -> pl.DataFrame:
    """Settle digits with a plus; return what is left."""
    number = pl.col("digits").str.slice(1)
    plan = _calling_plan(rows.rest, number)
    # Where no national prefix can be taken out, E.164 and the folded text are the same.
    rows.settle(plan.untouched, pl.col("digits"))
    return rows.rest


def _settle_anywhere(rows: _Rows) -> list[pl.DataFrame]:
    """Settle digits without a plus where no region is set; return what is left."""
    digits = pl.col("digits")
    full = digits.str.slice(2)
    abroad = rows.take(digits.str.starts_with("00"))
    plan = _calling_plan(abroad.rest, full)
    abroad.settle(plan.untouched & plan.possible, "+" + full)
    rows.settle(digits.str.starts_with("0") | (digits.str.len_bytes() < _UNMARKED), digits)
    plan = _calling_plan(rows.rest, digits)
    rows.settle(plan.untouched & plan.possible, "+" + digits)
    return [abroad.rest, rows.rest]


def _settle_national(rows: _Rows, region: str) -> list[pl.DataFrame]:
    """Settle digits without a plus as dialled in *region*; return what is left."""
    digits, length = pl.col("digits"), pl.col("digits").str.len_bytes()
    own = _metadata(region)
    main = _code_metadata(own.country_code)
    trunked = digits.str.starts_with(own.national_prefix) if own.national_prefix else pl.lit(False)

    short = rows.take(length < _SHORTEST)
    if own.national_prefix:
        short.settle(~trunked, digits)

    exit_code = f"^(?:{own.international_prefix})"
    abroad = rows.take(digits.str.contains(exit_code))
    full = digits.str.replace(exit_code, "")
    plan = _calling_plan(abroad.rest, full)
    abroad.settle(plan.untouched & plan.possible, "+" + full)

    coded = rows.take(digits.str.starts_with(str(own.country_code)))
    _settle_coded(coded, region, trunked)

    national = f"+{own.country_code}" + digits
    possible = length.is_in(_lengths(main))
    bare = rows.take(_untouched(digits, own))
    bare.settle(possible & (length < _UNMARKED), national)
    bare.settle(~possible & (length < _UNMARKED), digits)
    plan = _calling_plan(bare.rest, digits)
    bare.settle(~possible & ~digits.str.starts_with("0") & plan.untouched & plan.possible, "+" + digits)
    if _decides(own, region):
        bare.settle(possible & _valid(digits, own), national)

    stripped = pl.col("stripped")
    prefixed = rows.take(trunked & ~_matches(digits, own.general_desc), _stripped(own).alias("stripped"))
    inner = stripped.str.len_bytes()
    prefixed.settle(
        inner.is_in(_lengths(own)) & inner.is_in(_lengths(main)), f"+{own.country_code}" + stripped
    )
    groups = (short, abroad, coded, bare, prefixed, rows)
    return [group.rest.select("row", "digits") for group in groups]


def _settle_coded(rows: _Rows, region: str, trunked: pl.Expr) -> None:
    """Settle digits that begin with the region's own calling code."""
    own = _metadata(region)
    main = _code_metadata(own.country_code)
    code = str(own.country_code)
    digits, length = pl.col("digits"), pl.col("digits").str.len_bytes()
    inner, inner_length = digits.str.slice(len(code)), length - len(code)
    clean = _untouched(inner, own) & _untouched(inner, main) & inner_length.is_in(_lengths(main))
    too_long = length > max(own.general_desc.possible_length)
    rows.settle(too_long & clean, "+" + digits)
    if not _decides(own, region):
        return
    # The code may begin a national number as well: 39 in Italy, 91 in India.
    national = _untouched(digits, own) & length.is_in(_lengths(own)) & _valid(digits, own)
    alone = len(phonenumbers.region_codes_for_country_code(int(own.country_code or 0))) == 1
    if own.national_prefix:
        rows.settle(~trunked & clean & _valid(inner, own), "+" + digits)
        if alone:
            rows.settle(~too_long & national & _untouched(inner, own) & ~_valid(inner, own), f"+{code}" + digits)
    else:
        rows.settle(~too_long & national, f"+{code}" + digits)
        if alone:
            invalid = _untouched(digits, own) & ~_valid(digits, own)
            rows.settle(clean & _valid(inner, own) & invalid, "+" + digits)


@attrs.frozen
class _CallingPlan:
    """Of digits that begin with a calling code: what is certain about them.

    Attributes:
        untouched: The code exists, and no national prefix follows it.
        possible: The number has a possible length.
    """

    untouched: pl.Expr
    possible: pl.Expr


def _calling_plan(rows: pl.DataFrame, number: pl.Expr) -> _CallingPlan:
    """Return the plan of the calling codes that the *number* of any of the rows begins with."""
    begins = rows.select(number.str.slice(0, 3).alias("begin"))["begin"].unique()
    codes = tuple(sorted({code for begin in begins for code in _codes_of(begin)}))
    if not codes:
        return _CallingPlan(pl.lit(False), pl.lit(False))
    known, prefixed, possible = _plan_patterns(codes)
    untouched = number.str.contains(known)
    if prefixed:
        untouched = untouched & ~number.str.contains(prefixed)
    for code in codes:
        if _may_be_empty(_code_metadata(code).national_prefix_for_parsing):
            elsewhere = ~number.str.starts_with(str(code))
            inner = number.str.slice(len(str(code)))
            untouched = untouched & (elsewhere | _untouched(inner, _code_metadata(code)))
    return _CallingPlan(untouched, number.str.contains(possible))


def _codes_of(begin: str) -> Iterable[int]:
    found = (int(begin[:length]) for length in range(1, len(begin) + 1) if begin[0] != "0")
    return (code for code in found if code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE)


@functools.lru_cache(maxsize=256)
def _plan_patterns(codes: tuple[int, ...]) -> tuple[str, str, str]:
    """Return patterns of what begins with a code, of what has a national prefix after it, and of possible numbers."""
    prefixed, possible = [], []
    for code in codes:
        metadata = _code_metadata(code)
        prefix = metadata.national_prefix_for_parsing
        if prefix and not _may_be_empty(prefix):
            prefixed.append(f"{code}(?:{_ascii(prefix)})")
        lengths = "|".join(f"[0-9]{{{length}}}" for length in _lengths(metadata))
        possible.append(f"{code}(?:{lengths})")
    known = f"^(?:{'|'.join(map(str, codes))})"
    return known, f"^(?:{'|'.join(prefixed)})" if prefixed else "", f"^(?:{'|'.join(possible)})$"


def _code_metadata(code: int) -> PhoneMetadata:
    """Return the metadata of the main region of a calling code."""
    region = phonenumbers.region_code_for_country_code(code)
    return cast(PhoneMetadata, PhoneMetadata.metadata_for_region_or_calling_code(code, region))


def _lengths(metadata: PhoneMetadata) -> list[int]:
    """Return the lengths that numbers may have which can be dialled from everywhere."""
    general = metadata.general_desc
    return sorted(set(general.possible_length) - set(general.possible_length_local_only))


def _decides(own: PhoneMetadata, region: str) -> bool:
    """Return whether a number that matches a kind of number of *region* is valid, without asking its neighbours."""
    main = phonenumbers.region_code_for_country_code(own.country_code) == region
    return main and not own.leading_digits


def _untouched(number: pl.Expr, metadata: PhoneMetadata) -> pl.Expr:
    """Return whether no national prefix would be taken from *number*."""
    prefix = metadata.national_prefix_for_parsing
    if not prefix:
        return pl.lit(True)
    if _may_be_empty(prefix):
        return number.str.extract(f"^({_ascii(prefix)})", 1) == ""
    return ~number.str.contains(f"^(?:{_ascii(prefix)})")


def _stripped(metadata: PhoneMetadata) -> pl.Expr:
    """Return the digits without their national prefix; null where it is not taken but rewritten."""
    prefix = _ascii(metadata.national_prefix_for_parsing or "")
    without = pl.col("digits").str.replace(f"^(?:{prefix})", "")
    if not metadata.national_prefix_transform_rule:
        return without
    groups = re.compile(prefix).groups
    if not groups:
        return without
    return pl.when(pl.col("digits").str.extract(f"^(?:{prefix})", groups).is_null()).then(without)


def _may_be_empty(prefix: str | None) -> bool:
    return prefix is not None and re.match(prefix, "") is not None


def _matches(number: pl.Expr, desc: PhoneNumberDesc) -> pl.Expr:
    pattern = desc.national_number_pattern
    return number.str.contains(f"^(?:{_ascii(pattern)})$") if pattern else pl.lit(False)


def _valid(number: pl.Expr, metadata: PhoneMetadata) -> pl.Expr:
    """Return whether *number* is of some kind of the region's numbers."""
    kinds = (
        metadata.premium_rate,
        metadata.toll_free,
        metadata.shared_cost,
        metadata.voip,
        metadata.personal_number,
        metadata.pager,
        metadata.uan,
        metadata.voicemail,
        metadata.fixed_line,
        metadata.mobile,
    )
    length = number.str.len_bytes()
    found = [
        _matches(number, desc) & length.is_in(list(desc.possible_length))
        for desc in kinds
        if desc is not None and desc.national_number_pattern and desc.possible_length
    ]
    general = length.is_in(list(metadata.general_desc.possible_length))
    return _matches(number, metadata.general_desc) & general & pl.any_horizontal(found)


def _ascii(pattern: str) -> str:
    return pattern.replace("\\d", "[0-9]")


# -- searches ---------------------------------------------------------------------------------------------------


@attrs.frozen
class NumberPattern:
    """What the form of a number must be like.

    Attributes:
        kind: How it is compared.
        forms: What it is compared with; one that fits is enough.
    """

    kind: MatchKind
    forms: tuple[str, ...]

    def matches(self, form: str) -> bool:
        """Return whether a form fits."""
        if self.kind == "exact":
            return form in self.forms
        if self.kind == "prefix":
            return form.startswith(self.forms)
        if self.kind == "suffix":
            return form.endswith(self.forms)
        return any(part in form for part in self.forms)

    def mask(self, column_of_forms: pl.Expr) -> pl.Expr:
        """Return the same for a column of forms; a null does not fit."""
        text = column_of_forms.str
        if self.kind == "exact":
            found = [column_of_forms == form for form in self.forms]
        elif self.kind == "prefix":
            found = [text.starts_with(form) for form in self.forms]
        elif self.kind == "suffix":
            found = [text.ends_with(form) for form in self.forms]
        else:
            found = [text.contains(form, literal=True) for form in self.forms]
        return pl.any_horizontal(found).fill_null(False)


def search_pattern(text: str, region: str | None, match: str | None = None) -> NumberPattern:
    """Return what the forms of the numbers searched for are like.

    >>> search_pattern("020 7946*", "GB")
    NumberPattern(kind='prefix', forms=('+44207946',))

    Args:
        text: The number as typed. Without *match*, a ``*`` at its end, start or both searches for a prefix, a suffix
            or a part.
        region: The region that national forms are of; None: only international forms.
        match: ``exact``, ``prefix``, ``suffix`` or ``contains``; ``*`` is then a character like any other.

    Raises:
        QueryError: When there is nothing to search for, or no such kind of match.
    """
    kinds: dict[str, MatchKind] = {kind: kind for kind in ("exact", "prefix", "suffix", "contains")}
    if match is not None and match not in kinds:
        raise QueryError(
            f"There is no kind of match {match!r} for a number; use exact, prefix, suffix or contains.",
            parameter="number",
        )
    if not isinstance(text, str):
        raise QueryError(f"A number to search for is text, not {text!r}.", parameter="number")
    wanted = text.strip()
    kind: MatchKind = "exact"
    if match is not None:
        kind = kinds[match]
    else:
        if wanted.endswith("*"):
            kind = "contains" if wanted.startswith("*") else "prefix"
        elif wanted.startswith("*"):
            kind = "suffix"
        wanted = wanted.strip("*")
    if not wanted.strip() or not _encodable(wanted):
        raise QueryError(
            f"The number {text!r} has nothing to search for; give digits or a name, with * at an end for a part of it.",
            parameter="number",
        )
    if kind == "exact":
        return NumberPattern(kind, (typed_form(wanted, region),))
    if kind == "prefix":
        return NumberPattern(kind, _prefix_forms(wanted, region))
    digits = _dialled(wanted)
    part = _folded(wanted) if digits is None else digits
    return NumberPattern(kind, (part.removeprefix("+") if kind == "suffix" and len(part) > 1 else part,))


def _encodable(text: str) -> bool:
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def _prefix_forms(text: str, region: str | None) -> tuple[str, ...]:
    digits = _dialled(text)
    if digits is None:
        return (_folded(text),)
    if digits[0] == "+":
        return (digits,)
    if region is None:
        if digits.startswith("00") and len(digits) > 2:
            return ("+" + digits[2:], digits)
        return ("+" + digits, digits)
    metadata = _metadata(region)
    exit_code = metadata.preferred_international_prefix or metadata.international_prefix or ""
    exit_code = exit_code.replace("~", "")
    if exit_code.isdigit() and digits.startswith(exit_code) and len(digits) > len(exit_code):
        return ("+" + digits.removeprefix(exit_code),)
    trunk = metadata.national_prefix
    if trunk and digits.startswith(trunk):
        return (f"+{metadata.country_code}{digits.removeprefix(trunk)}",)
    return ("+" + digits, f"+{metadata.country_code}{digits}", digits)


# -- keys -------------------------------------------------------------------------------------------------------


def key_of(form: str) -> int:
    """Return the sortable key of a form, a signed 64-bit number that never changes.

    For a plus and at most fifteen digits: the digits on the left of fifteen places, and in the last four bits how
    many they are. Such keys sort as the digits do, are equal only for equal numbers, and a prefix is one range of
    them. Any other form has a hash below zero: two forms may share one, so the row must be looked at.
    """
    if _KEYED.fullmatch(form):
        return int(form[1:].ljust(_KEY_DIGITS, "0")) * 16 + len(form) - 1
    digest = hashlib.blake2b(form.encode(), digest_size=8).digest()
    return -(int.from_bytes(digest, "big") >> 1) - 1


def keys(forms: pl.Series) -> pl.Series:
    """Return the key of every form, as Int64; a null for a null."""
    form = pl.col("form")
    rows = forms.cast(pl.String).alias("form").to_frame()
    digits = form.str.slice(1)
    number = digits.str.pad_end(_KEY_DIGITS, "0").cast(pl.Int64, strict=False) * 16 + digits.str.len_bytes()
    keyed = form.str.contains(f"^{_KEYED.pattern}$")
    found = rows.select(pl.when(keyed).then(number).alias("key"), form)
    others = found.filter(pl.col("key").is_null() & form.is_not_null())["form"].unique()
    if others.is_empty():
        return found["key"].alias(forms.name)
    hashed = pl.DataFrame(
        {"form": others, "hash": pl.Series([key_of(text) for text in others], dtype=pl.Int64)}
    )
    found = found.join(hashed, on="form", how="left", maintain_order="left")
    return found.select(pl.coalesce("key", "hash").alias(forms.name)).to_series()


def prefix_range(digits: str) -> tuple[int, int]:
    """Return the keys of all numbers that begin with a plus and *digits*: the lowest, and one beyond the highest.

    Numbers of more than fifteen digits have no sortable key and are not in it.

    Args:
        digits: Up to fifteen digits, without the plus; none for all numbers.
    """
    if len(digits) > _KEY_DIGITS:
        return 0, 0
    place = 10 ** (_KEY_DIGITS - len(digits))
    first = int(digits or "0")
    return first * place * 16 + len(digits), (first + 1) * place * 16
