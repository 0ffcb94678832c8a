"""Normalisation of telephone numbers, a whole Polars column at a time.

Regular expressions derived from the numbering plans normalise most numbers of a column together. An expression applies
only to numbers for which it provably gives the result of `normalize_number`. That function normalises the remaining
numbers one by one.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from cdrkit._numbers.dial_plan import DialPlan, code_patterns, code_plan, codes_of, dial_plan
from cdrkit._numbers.normalization import (
    MAX_CHARACTERS,
    MIN_INTERNATIONAL,
    MIN_NATIONAL,
    SEPARATORS,
    normalize_digits,
    normalize_number,
)

__all__ = ["normalize_column", "visible_prefixes"]

#: For fewer distinct texts the regular expressions cost more time than they save.
_MIN_DISTINCT: Final = 65
_PLAIN_NUMBER: Final = r"^\+?[0-9]+$"
_COLUMN_NUMBER: Final = f"^[{SEPARATORS}]*\\+?[{SEPARATORS}]*[0-9][{SEPARATORS}0-9]*$"


def normalize_column(column: pl.Series, region: str | None) -> pl.Series:
    """Normalise every number in *column*.

    A null stays null.

    Args:
        column: Numbers as switches wrote them: text, or categories of text.
        region: The region to which numbers in national form belong, as `check_region` returns it, or None.
    """
    texts = column.cast(pl.String)
    distinct = texts.drop_nulls().unique()
    if len(distinct) < _MIN_DISTINCT:
        each = {text: normalize_number(text, region) for text in distinct.to_list()}
        return pl.Series(
            column.name, [None if text is None else each[text] for text in texts.to_list()], dtype=pl.String
        )
    if 2 * len(distinct) > len(texts):
        return _normalize_texts(texts, region).alias(column.name)
    known = pl.DataFrame({"text": distinct, "number": _normalize_texts(distinct, region)})
    rows = pl.DataFrame({"text": texts}).join(known, on="text", how="left", maintain_order="left")
    return rows["number"].alias(column.name)


def visible_prefixes(column: pl.Series, digits: int, region: str | None) -> pl.Series:
    """Return normalised telephone numbers without the digits that masking hides.

    A value that is not a plain number, such as a SIP address, becomes an empty string, because it can contain a number
    anywhere.

    Args:
        column: Numbers as switches wrote them.
        digits: How many digits are hidden at the end of each normalised number.
        region: The region to which numbers in national form belong, or None.
    """
    number = pl.col("number")
    visible = pl.when(number.str.contains(_PLAIN_NUMBER)).then(number.str.head(-digits)).otherwise(pl.lit(""))
    rows = normalize_column(column, region).alias("number").to_frame()
    return rows.select(pl.when(number.is_not_null()).then(visible).alias(column.name)).to_series()


class _Rows:
    """A set of rows, with the normalised numbers found so far.

    Attributes:
        rest: The rows without a normalised number.
        done: Frames with the index and the normalised number of each finished row; shared with the objects that `take`
            returns.
    """

    def __init__(self, rest: pl.DataFrame, done: list[pl.DataFrame]) -> None:
        self.rest = rest
        self.done = done

    def take(self, where: pl.Expr, *columns: pl.Expr) -> _Rows:
        """Remove the rows that match *where*, and return them with *columns* added."""
        if self.rest.is_empty():
            return _Rows(self.rest.with_columns(*columns), self.done)
        mask = self.rest.select(where.fill_null(False).alias("mask"))["mask"]
        taken = _Rows(self.rest.filter(mask).with_columns(*columns), self.done)
        self.rest = self.rest.filter(~mask)
        return taken

    def assign(self, where: pl.Expr, number: pl.Expr) -> None:
        """In each row that matches *where*, set the normalised number to *number*."""
        hits = self.take(where).rest
        if not hits.is_empty():
            self.done.append(hits.select("row", number.alias("number")))


def _normalize_texts(texts: pl.Series, region: str | None) -> pl.Series:
    text = pl.col("text")
    rows = _Rows(pl.DataFrame({"text": texts}).with_row_index("row"), [])
    rows.assign(text.is_null(), text)
    numbers = rows.take((text.str.len_bytes() <= MAX_CHARACTERS) & text.str.contains(_COLUMN_NUMBER))
    # In printable ASCII with a letter, lower case is the casefold, and the space is the only white space.
    rows.assign(text.str.contains("^[ -~]*[A-Za-z][ -~]*$"), text.str.strip_chars(" ").str.to_lowercase())
    rows.assign(
        pl.lit(True), text.map_elements(lambda item: normalize_number(item, region), return_dtype=pl.String)
    )
    separators = f"[{SEPARATORS}]"
    digits = (
        text.str.replace_all(separators, "") if numbers.rest["text"].str.contains(separators).any() else text
    )
    numbers.rest = numbers.rest.select("row", digits=digits)
    left = [_assign_with_plus(numbers.take(pl.col("digits").str.starts_with("+")))]
    left += _assign_without_region(numbers) if region is None else _assign_national(numbers, region)
    for rest in left:
        each = [normalize_digits(item, region) or item for item in rest["digits"].to_list()]
        rows.done.append(rest.select("row", number=pl.Series(each, dtype=pl.String)))
    return pl.concat(rows.done).sort("row")["number"]


def _assign_with_plus(rows: _Rows) -> pl.DataFrame:
    """Normalise numbers that start with a plus sign.

    Return the rows whose numbers are not normalised yet.
    """
    number = pl.col("digits").str.slice(1)
    untouched, _ = _match_codes(rows.rest, number)
    # Where no national prefix can be removed, the E.164 number and the text without separators are equal.
    rows.assign(untouched, pl.col("digits"))
    return rows.rest


def _assign_without_region(rows: _Rows) -> list[pl.DataFrame]:
    """Normalise numbers that have no plus sign, for a store that has no region.

    Return the rows whose numbers are not normalised yet.
    """
    digits = pl.col("digits")
    full = digits.str.slice(2)
    abroad = rows.take(digits.str.starts_with("00"))
    untouched, possible = _match_codes(abroad.rest, full)
    abroad.assign(untouched & possible, "+" + full)
    rows.assign(digits.str.starts_with("0") | (digits.str.len_bytes() < MIN_INTERNATIONAL), digits)
    untouched, possible = _match_codes(rows.rest, digits)
    rows.assign(untouched & possible, "+" + digits)
    return [abroad.rest, rows.rest]


def _assign_national(rows: _Rows, region: str) -> list[pl.DataFrame]:
    """Normalise numbers that have no plus sign, as if they were dialled in *region*.

    Return the rows whose numbers are not normalised yet.
    """
    digits, length = pl.col("digits"), pl.col("digits").str.len_bytes()
    own = dial_plan(region)
    main = code_plan(int(own.code))
    trunked = digits.str.starts_with(own.trunk) if own.trunk else pl.lit(False)

    short = rows.take(length < MIN_NATIONAL)
    if own.trunk:
        short.assign(~trunked, digits)

    abroad = rows.take(digits.str.contains(f"^(?:{own.exit_code})"))
    full = digits.str.replace(f"^(?:{own.exit_code})", "")
    untouched, possible = _match_codes(abroad.rest, full)
    abroad.assign((trunked | digits.str.starts_with("0")) & untouched & possible, "+" + full)
    abroad.assign(digits.str.starts_with("0") & untouched & ~possible, digits)

    coded = rows.take(digits.str.starts_with(own.code))
    _assign_own_code(coded, own, main)

    bare = rows.take(own.keeps(digits))
    fits = length.is_in(main.lengths)
    bare.assign(fits & (length < MIN_INTERNATIONAL), f"+{own.code}" + digits)
    bare.assign(length < MIN_INTERNATIONAL, digits)
    untouched, possible = _match_codes(bare.rest, digits)
    bare.assign(~fits & ~digits.str.starts_with("0") & untouched & possible, "+" + digits)
    if own.decides:
        bare.assign(fits & own.valid(digits), f"+{own.code}" + digits)

    stripped = pl.col("stripped")
    prefixed = rows.take(trunked & ~own.viable(digits), own.strip_prefix(digits).alias("stripped"))
    stripped_length = stripped.str.len_bytes()
    possible = stripped_length.is_in(main.lengths)
    prefixed.assign(stripped_length.is_in(own.lengths) & possible, f"+{own.code}" + stripped)
    prefixed.assign(digits.str.starts_with("0") & ~possible & ~fits, digits)
    return [part.rest.select("row", "digits") for part in (short, abroad, coded, bare, prefixed, rows)]


def _assign_own_code(rows: _Rows, own: DialPlan, main: DialPlan) -> None:
    """Normalise numbers that begin with the region's calling code."""
    digits, length = pl.col("digits"), pl.col("digits").str.len_bytes()
    trunked = digits.str.starts_with(own.trunk) if own.trunk else pl.lit(False)
    inner = digits.str.slice(len(own.code))
    whole = own.keeps(inner) & main.keeps(inner)
    clean = whole & inner.str.len_bytes().is_in(main.lengths)
    rows.assign((length > own.longest) & clean, "+" + digits)
    rows.assign((length > own.longest) & whole, digits)
    if not own.decides:
        return
    # The calling code may also begin a national number: 39 in Italy, 91 in India.
    national = (length <= own.longest) & own.keeps(digits) & own.valid(digits)
    if own.trunk:
        rows.assign(~trunked & clean & own.valid(inner), "+" + digits)
        if own.alone:
            rows.assign(national & own.keeps(inner) & ~own.valid(inner), f"+{own.code}" + digits)
    else:
        rows.assign(national, f"+{own.code}" + digits)
        if own.alone:
            rows.assign(clean & own.valid(inner) & own.keeps(digits) & ~own.valid(digits), "+" + digits)


def _match_codes(rows: pl.DataFrame, number: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Return two conditions on *number*: on its calling code and on its length.

    The column *number* has no leading plus signs. The first condition is true if the number begins with a calling code
    that no national prefix follows. The second is true if the number has a possible length.
    """
    beginnings = rows.select(number.str.slice(0, 3).alias("begin"))["begin"].unique().to_list()
    codes = tuple(sorted({code for beginning in beginnings for code in codes_of(beginning)}))
    if not codes:
        return pl.lit(False), pl.lit(False)
    known, prefixed, possible = code_patterns(codes)
    untouched = number.str.contains(known)
    if prefixed:
        untouched = untouched & ~number.str.contains(prefixed)
    for plan in map(code_plan, codes):
        if plan.prefix_may_be_empty:
            inner = number.str.slice(len(plan.code))
            untouched = untouched & (~number.str.starts_with(plan.code) | plan.keeps(inner))
    return untouched, number.str.contains(possible)
