"""Telephone numbers in one form, however they were written.

Every text has one *form*: E.164 (``+442079460018``) when it is a telephone number, otherwise the text itself
without separators (``2001``, ``*98``) or in lower case (``anonymous``). Two texts are one number when their
forms are equal.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator
from typing import Final

import attrs
import phonenumbers
import polars as pl
from phonenumbers import PhoneMetadata, PhoneNumber

from cdrkit.errors import ConfigError, suggestion

__all__ = [
    "DialPlan",
    "check_region",
    "dial_plan",
    "dialled_digits",
    "fold_text",
    "normalize_column",
    "normalize_number",
    "normalize_typed",
    "visible_prefixes",
]

_PLAIN_NUMBER: Final = r"^\+?[0-9]+$"


_LONGEST: Final = 250
_SHORTEST: Final = 7  # fewer digits are an extension or a service, unless a numbering plan knows them
_FEW: Final = 64
_UNMARKED: Final = 11  # as many digits as an international number without its plus has

_SEPARATORS: Final = " \u00a0().\\-/\u2010-\u2015\u2212\ufe58\ufe63\uff0d"
_NUMBER: Final = re.compile(f"[{_SEPARATORS}]*+[+\uff0b]?[{_SEPARATORS}0-9]*+")
_CODE: Final = re.compile(f"[{_SEPARATORS}]*+[+\uff0b]?[{_SEPARATORS}0-9*#]*+")
_CLEAN: Final[dict[int, str | None]] = {
    **{ord(sign): None for sign in " \u00a0().-/\u2212\ufe58\ufe63\uff0d"},
    **dict.fromkeys(range(0x2010, 0x2016)),
    0xFF0B: "+",
}
_COLUMN_NUMBER: Final = f"^[{_SEPARATORS}]*\\+?[{_SEPARATORS}]*[0-9][{_SEPARATORS}0-9]*$"


def check_region(region: str | None) -> str | None:
    """Return *region* as an upper-case ISO 3166 code, or None.

    Raises:
        ConfigError: When no numbering plan is known for it.
    """
    if region is None:
        return None
    given: object = region
    hint = ""
    if isinstance(given, str):
        name = given.upper()
        if name in phonenumbers.SUPPORTED_REGIONS:
            return name
        known = sorted(phonenumbers.SUPPORTED_REGIONS)
        hint = " Did you mean 'GB'?" if name == "UK" else suggestion(name, known)[0]
    raise ConfigError(
        f"There is no region {region!r}; give the two letters of a country, such as 'GB'.{hint}"
    )


# -- one text ------------------------------------------------------------------------------------------------


def normalize_number(text: str, region: str | None) -> str:
    """Return the form of a stored *text*.

    White space around it never counts. Digits with an optional leading plus and separators are a number when
    their length is possible, read as dialled in *region*. Fewer than seven of them gain no country code unless
    they are a valid number that is dialled so. Digits without a plus are an international number where the
    region's plan has no place for them, and where they begin with its own calling code and not as its national
    numbers do.

    >>> normalize_number("(020) 7946-0018", "GB"), normalize_number("2001", "GB"), normalize_number("Anonymous", "GB")
    ('+442079460018', '2001', 'anonymous')

    Args:
        text: What a switch wrote.
        region: The region whose national forms are meant, as `check_region` returns it; None: none.
    """
    stored = text.strip()
    digits = dialled_digits(stored)
    if digits is None:
        return fold_text(stored)
    return _telephone(digits, region) or digits


def normalize_typed(text: str, region: str | None) -> str:
    """Return the form of what a person typed: like `form`, and with ``tel:``, extensions, letters for digits.

    Args:
        text: What was typed.
        region: The region whose national forms are meant; None: none.
    """
    shown = "".join(sign for sign in text if unicodedata.category(sign) != "Cf").strip()
    if len(shown) > _LONGEST:
        return normalize_number(text, region)
    shown = "".join(_ascii_digit(sign) for sign in shown)
    if shown[:4].casefold() == "tel:" and dialled_digits(shown[4:]) is not None:
        shown = shown[4:]
    found = normalize_number(shown, region)
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


def dialled_digits(text: str) -> str | None:
    """Return the digits of *text*, after a plus if there is one; None when it has anything but those."""
    if len(text) > _LONGEST or not _NUMBER.fullmatch(text):
        return None
    digits = text.translate(_CLEAN)
    return None if digits in ("", "+") else digits


def fold_text(text: str) -> str:
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
    plan = dial_plan(region)
    trunked = digits.startswith(plan.trunk)
    national = _possible(digits, region)
    if len(digits) < _SHORTEST:
        return _written(national) if trunked and _is_valid(national) else None
    if national is not None and plan.trunk and trunked:
        return _e164(national)
    own = digits.startswith(plan.code)
    international = _unmarked(digits) if own or len(digits) >= _UNMARKED else None
    if national is None:
        return _written(international) if len(digits) >= _UNMARKED or _is_valid(international) else None
    # Both readings have a possible length. Where national numbers begin with a prefix and this one does not,
    # the region's own code at its head is that code; otherwise the national reading yields when in no plan.
    preferred = _is_valid(international) and ((own and plan.trunk) or not _is_valid(national))
    return _written(international if preferred else national)


def _unmarked(digits: str) -> PhoneNumber | None:
    """Return the international number that has lost its plus."""
    return None if digits[0] == "0" else _possible("+" + digits, None)


def _possible(text: str, region: str | None) -> PhoneNumber | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    possible = phonenumbers.is_possible_number_with_reason(number)
    return number if possible == phonenumbers.ValidationResult.IS_POSSIBLE else None


def _is_valid(number: PhoneNumber | None) -> bool:
    return number is not None and phonenumbers.is_valid_number(number)


def _written(number: PhoneNumber | None) -> str | None:
    return None if number is None else _e164(number)


def _e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


# -- numbering plans -----------------------------------------------------------------------------------------


@attrs.frozen
class DialPlan:
    """What the numbering plan of a region says, for whole columns.

    Attributes:
        code: The calling code.
        exit_code: Pattern of what is dialled before a foreign calling code.
        usual_exit_code: The one that is usual; empty where there are several.
        trunk: What is dialled before a national number; empty where nothing is.
        prefix: Pattern of what is taken off a national number.
        rewrite_group: The group of *prefix* with which a number is rewritten instead; 0 where none is.
        general: Pattern of every national number.
        kinds: Pattern and lengths of each kind of number.
        lengths: The lengths of numbers that can be dialled from everywhere.
        longest: The longest national number.
        decides: Whether it is the main plan of its code: what is valid there is valid.
        alone: Whether no other region has the code.
    """

    code: str
    exit_code: str
    usual_exit_code: str
    trunk: str
    prefix: str
    rewrite_group: int
    general: str
    kinds: tuple[tuple[str, tuple[int, ...]], ...]
    lengths: tuple[int, ...]
    longest: int
    decides: bool
    alone: bool

    @property
    def prefix_may_be_empty(self) -> bool:
        """Whether *prefix* matches every number."""
        return bool(self.prefix) and re.match(self.prefix, "") is not None

    def keeps(self, number: pl.Expr) -> pl.Expr:
        """Return whether nothing would be taken off *number*."""
        if not self.prefix:
            return pl.lit(True)
        if self.prefix_may_be_empty:
            return number.str.extract(f"^({self.prefix})", 1) == ""
        return ~number.str.contains(f"^(?:{self.prefix})")

    def stripped(self, number: pl.Expr) -> pl.Expr:
        """Return *number* with the prefix taken off; null where it is rewritten."""
        without = number.str.replace(f"^(?:{self.prefix})", "")
        if not self.rewrite_group:
            return without
        kept = number.str.extract(f"^(?:{self.prefix})", self.rewrite_group).is_null()
        return pl.when(kept).then(without)

    def viable(self, number: pl.Expr) -> pl.Expr:
        """Return whether *number* looks like a national number."""
        return number.str.contains(f"^(?:{self.general})$")

    def valid(self, number: pl.Expr) -> pl.Expr:
        """Return whether *number* is of one of the kinds."""
        length = number.str.len_bytes()
        kinds = [number.str.contains(f"^(?:{kind})$") & length.is_in(sizes) for kind, sizes in self.kinds]
        return self.viable(number) & length.is_in(self.lengths) & pl.any_horizontal(kinds)


@functools.lru_cache(maxsize=512)
def dial_plan(region: str) -> DialPlan:
    """Return the numbering plan of a region."""
    return _plan(PhoneMetadata.metadata_for_region(region, None), region)


@functools.lru_cache(maxsize=512)
def _code_plan(code: int) -> DialPlan:
    """Return the plan of the main region of a calling code."""
    region = phonenumbers.region_code_for_country_code(code)
    return _plan(PhoneMetadata.metadata_for_region_or_calling_code(code, region), region)


def _plan(metadata: PhoneMetadata | None, region: str) -> DialPlan:
    assert metadata is not None
    assert metadata.country_code is not None
    general = metadata.general_desc
    assert general is not None
    exit_code = metadata.international_prefix or ""
    usual = (metadata.preferred_international_prefix or exit_code).replace("~", "")
    prefix = _ascii(metadata.national_prefix_for_parsing)
    kinds = (
        metadata.fixed_line,
        metadata.mobile,
        metadata.toll_free,
        metadata.premium_rate,
        metadata.shared_cost,
        metadata.personal_number,
        metadata.voip,
        metadata.pager,
        metadata.uan,
        metadata.voicemail,
    )
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[metadata.country_code]
    return DialPlan(
        code=str(metadata.country_code),
        exit_code=_ascii(exit_code),
        usual_exit_code=usual if usual.isdigit() else "",
        trunk=metadata.national_prefix or "",
        prefix=prefix,
        rewrite_group=re.compile(prefix).groups if metadata.national_prefix_transform_rule else 0,
        general=_ascii(general.national_number_pattern),
        kinds=tuple(
            (_ascii(kind.national_number_pattern), kind.possible_length)
            for kind in kinds
            if kind is not None and kind.national_number_pattern
        ),
        lengths=tuple(sorted(set(general.possible_length) - set(general.possible_length_local_only))),
        longest=max(general.possible_length),
        decides=regions[0] == region and not metadata.leading_digits,
        alone=len(regions) == 1,
    )


def _ascii(pattern: str | None) -> str:
    return (pattern or "").replace("\\d", "[0-9]")


# -- a column of texts ---------------------------------------------------------------------------------------


def normalize_column(column: pl.Series, region: str | None) -> pl.Series:
    """Return the form of every text of *column*, a null for a null.

    The same as `form` of each. Most texts are settled for the whole column by regular expressions taken from
    the numbering plans, wherever those prove what `form` would say; the rest go through it one by one.
    """
    texts = column.cast(pl.String)
    distinct = texts.drop_nulls().unique()
    if len(distinct) <= _FEW:  # the regular expressions cost more than they settle
        each = {text: normalize_number(text, region) for text in distinct.to_list()}
        return pl.Series(
            column.name, [None if text is None else each[text] for text in texts.to_list()], dtype=pl.String
        )
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
    # In printable ASCII with a letter, lower case is the casefold, and space the only white space.
    rows.settle(text.str.contains("^[ -~]*[A-Za-z][ -~]*$"), text.str.strip_chars(" ").str.to_lowercase())
    rows.settle(
        pl.lit(True), text.map_elements(lambda item: normalize_number(item, region), return_dtype=pl.String)
    )
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
    untouched, _ = _with_code(rows.rest, number)
    # Where no national prefix can be taken out, E.164 and the folded text are the same.
    rows.settle(untouched, pl.col("digits"))
    return rows.rest


def _settle_anywhere(rows: _Rows) -> list[pl.DataFrame]:
    """Settle digits without a plus where no region is set; return what is left."""
    digits = pl.col("digits")
    full = digits.str.slice(2)
    abroad = rows.take(digits.str.starts_with("00"))
    untouched, possible = _with_code(abroad.rest, full)
    abroad.settle(untouched & possible, "+" + full)
    rows.settle(digits.str.starts_with("0") | (digits.str.len_bytes() < _UNMARKED), digits)
    untouched, possible = _with_code(rows.rest, digits)
    rows.settle(untouched & possible, "+" + digits)
    return [abroad.rest, rows.rest]


def _settle_national(rows: _Rows, region: str) -> list[pl.DataFrame]:
    """Settle digits without a plus as dialled in *region*; return what is left."""
    digits, length = pl.col("digits"), pl.col("digits").str.len_bytes()
    own = dial_plan(region)
    main = _code_plan(int(own.code))
    trunked = digits.str.starts_with(own.trunk) if own.trunk else pl.lit(False)

    short = rows.take(length < _SHORTEST)
    if own.trunk:
        short.settle(~trunked, digits)

    abroad = rows.take(digits.str.contains(f"^(?:{own.exit_code})"))
    full = digits.str.replace(f"^(?:{own.exit_code})", "")
    untouched, possible = _with_code(abroad.rest, full)
    abroad.settle((trunked | digits.str.starts_with("0")) & untouched & possible, "+" + full)
    abroad.settle(digits.str.starts_with("0") & untouched & ~possible, digits)

    coded = rows.take(digits.str.starts_with(own.code))
    _settle_coded(coded, own, main)

    bare = rows.take(own.keeps(digits))
    fits = length.is_in(main.lengths)
    bare.settle(fits & (length < _UNMARKED), f"+{own.code}" + digits)
    bare.settle(length < _UNMARKED, digits)
    untouched, possible = _with_code(bare.rest, digits)
    bare.settle(~fits & ~digits.str.starts_with("0") & untouched & possible, "+" + digits)
    if own.decides:
        bare.settle(fits & own.valid(digits), f"+{own.code}" + digits)

    stripped = pl.col("stripped")
    prefixed = rows.take(trunked & ~own.viable(digits), own.stripped(digits).alias("stripped"))
    left_length = stripped.str.len_bytes()
    possible = left_length.is_in(main.lengths)
    prefixed.settle(left_length.is_in(own.lengths) & possible, f"+{own.code}" + stripped)
    prefixed.settle(digits.str.starts_with("0") & ~possible & ~fits, digits)
    return [part.rest.select("row", "digits") for part in (short, abroad, coded, bare, prefixed, rows)]


def _settle_coded(rows: _Rows, own: DialPlan, main: DialPlan) -> None:
    """Settle digits that begin with the region's own calling code."""
    digits, length = pl.col("digits"), pl.col("digits").str.len_bytes()
    trunked = digits.str.starts_with(own.trunk) if own.trunk else pl.lit(False)
    inner = digits.str.slice(len(own.code))
    whole = own.keeps(inner) & main.keeps(inner)
    clean = whole & inner.str.len_bytes().is_in(main.lengths)
    rows.settle((length > own.longest) & clean, "+" + digits)
    rows.settle((length > own.longest) & whole, digits)
    if not own.decides:
        return
    # The code may begin a national number as well: 39 in Italy, 91 in India.
    national = (length <= own.longest) & own.keeps(digits) & own.valid(digits)
    if own.trunk:
        rows.settle(~trunked & clean & own.valid(inner), "+" + digits)
        if own.alone:
            rows.settle(national & own.keeps(inner) & ~own.valid(inner), f"+{own.code}" + digits)
    else:
        rows.settle(national, f"+{own.code}" + digits)
        if own.alone:
            rows.settle(clean & own.valid(inner) & own.keeps(digits) & ~own.valid(digits), "+" + digits)


def _with_code(rows: pl.DataFrame, number: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Say of *number*: it begins with a calling code and no national prefix; its length is possible."""
    begins = rows.select(number.str.slice(0, 3).alias("begin"))["begin"].unique().to_list()
    codes = tuple(sorted({code for begin in begins for code in _codes_of(begin)}))
    if not codes:
        return pl.lit(False), pl.lit(False)
    known, prefixed, possible = _code_patterns(codes)
    untouched = number.str.contains(known)
    if prefixed:
        untouched = untouched & ~number.str.contains(prefixed)
    for plan in map(_code_plan, codes):
        if plan.prefix_may_be_empty:
            inner = number.str.slice(len(plan.code))
            untouched = untouched & (~number.str.starts_with(plan.code) | plan.keeps(inner))
    return untouched, number.str.contains(possible)


def _codes_of(begin: str) -> Iterator[int]:
    for length in range(1, len(begin) + 1):
        if begin[0] != "0" and int(begin[:length]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            yield int(begin[:length])


@functools.lru_cache(maxsize=256)
def _code_patterns(codes: tuple[int, ...]) -> tuple[str, str, str]:
    """Return patterns: begins with one of the codes; a national prefix follows; the length is possible."""
    plans = [_code_plan(code) for code in codes]
    prefixed = [f"{p.code}(?:{p.prefix})" for p in plans if p.prefix and not p.prefix_may_be_empty]
    sizes = ((p.code, "|".join(f"[0-9]{{{length}}}" for length in p.lengths)) for p in plans)
    return (
        f"^(?:{'|'.join(map(str, codes))})",
        f"^(?:{'|'.join(prefixed)})" if prefixed else "",
        f"^(?:{'|'.join(f'{code}(?:{size})' for code, size in sizes)})$",
    )


def visible_prefixes(column: pl.Series, digits: int, region: str | None) -> pl.Series:
    """Return what may be seen of each number: its canonical form without its last *digits* digits.

    Nothing may be seen of what is no plain number, such as a SIP address: it could hold one anywhere.
    """
    form = pl.col("form")
    seen = pl.when(form.str.contains(_PLAIN_NUMBER)).then(form.str.head(-digits)).otherwise(pl.lit(""))
    rows = normalize_column(column, region).alias("form").to_frame()
    return rows.select(pl.when(form.is_not_null()).then(seen).alias(column.name)).to_series()
