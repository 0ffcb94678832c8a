"""Match columns of telephone numbers against the patterns of numbering plans."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

import attrs
import phonenumbers
import polars as pl
from phonenumbers import PhoneMetadata

from cdrkit.errors import ConfigError, suggestion

__all__ = ["DialPlan", "check_region", "code_patterns", "code_plan", "codes_of", "dial_plan"]


def check_region(region: str | None) -> str | None:
    """Validate *region*, and return its ISO 3166 code in upper case.

    None stays None.

    Raises:
        ConfigError: When no numbering plan is known for the region.
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
    raise ConfigError(f"Unknown region {region!r}; give a two-letter country code, such as 'GB'.{hint}")


@attrs.frozen
class DialPlan:
    """The numbering plan of a region: patterns of its telephone numbers.

    The methods apply the patterns to whole columns of numbers.

    Attributes:
        code: The calling code.
        exit_code: Pattern of the digits dialled before a foreign calling code.
        usual_exit_code: The usual exit code; empty if several are in use.
        trunk: The prefix dialled before a national number (``0`` in most of Europe); empty if the region uses no such
            prefix.
        prefix: Pattern of the digits that parsing removes from a national number.
        rewrite_group: The group of *prefix* that rewrites a number instead of removing its prefix; 0 for none.
        general: Pattern of every national number.
        kinds: Pattern and lengths of each kind of number, such as mobile numbers.
        lengths: The lengths of numbers that can be dialled from everywhere.
        longest: The length of the longest national number.
        decides: Whether this is the main plan of its calling code: a number that is valid in this plan is a valid
            number.
        alone: Whether no other region shares the calling code.
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
        """Return whether the pattern *prefix* also matches an empty string."""
        return bool(self.prefix) and re.match(self.prefix, "") is not None

    def keeps(self, number: pl.Expr) -> pl.Expr:
        """Return whether parsing *number* would remove no prefix."""
        if not self.prefix:
            return pl.lit(True)
        if self.prefix_may_be_empty:
            return number.str.extract(f"^({self.prefix})", 1) == ""
        return ~number.str.contains(f"^(?:{self.prefix})")

    def strip_prefix(self, number: pl.Expr) -> pl.Expr:
        """Return *number* without its national prefix.

        If the group *rewrite_group* of the prefix pattern matches, the result is null. Parsing then rewrites the number
        instead of removing its prefix.
        """
        without = number.str.replace(f"^(?:{self.prefix})", "")
        if not self.rewrite_group:
            return without
        plain = number.str.extract(f"^(?:{self.prefix})", self.rewrite_group).is_null()
        return pl.when(plain).then(without)

    def viable(self, number: pl.Expr) -> pl.Expr:
        """Return whether *number* matches the general pattern of national numbers."""
        return number.str.contains(f"^(?:{self.general})$")

    def valid(self, number: pl.Expr) -> pl.Expr:
        """Return whether *number* is a valid national number.

        A valid number has one of the *lengths* and matches the pattern *general*. It also matches the pattern of one
        of the *kinds*, and has a length of this kind.
        """
        length = number.str.len_bytes()
        kinds = [number.str.contains(f"^(?:{kind})$") & length.is_in(sizes) for kind, sizes in self.kinds]
        return self.viable(number) & length.is_in(self.lengths) & pl.any_horizontal(kinds)


@functools.lru_cache(maxsize=512)
def dial_plan(region: str) -> DialPlan:
    """Return the numbering plan of a region."""
    return _read_plan(PhoneMetadata.metadata_for_region(region, None), region)


@functools.lru_cache(maxsize=512)
def code_plan(code: int) -> DialPlan:
    """Return the numbering plan of the main region of a calling code."""
    region = phonenumbers.region_code_for_country_code(code)
    return _read_plan(PhoneMetadata.metadata_for_region_or_calling_code(code, region), region)


def codes_of(beginning: str) -> Iterator[int]:
    """Yield every calling code that is a prefix of the digits in *beginning*."""
    for length in range(1, len(beginning) + 1):
        if beginning[0] != "0" and int(beginning[:length]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            yield int(beginning[:length])


@functools.lru_cache(maxsize=256)
def code_patterns(codes: tuple[int, ...]) -> tuple[str, str, str]:
    """Return three patterns; each matches numbers that begin with one of *codes*.

    Returns:
        Three patterns. The first matches numbers that begin with one of the calling codes. The second matches such a
        number if a national prefix follows the code, and is empty if no plan has a national prefix to test. The third
        matches such a number if its length is possible.
    """
    plans = [code_plan(code) for code in codes]
    prefixed = [f"{p.code}(?:{p.prefix})" for p in plans if p.prefix and not p.prefix_may_be_empty]
    sizes = ((p.code, "|".join(f"[0-9]{{{length}}}" for length in p.lengths)) for p in plans)
    return (
        f"^(?:{'|'.join(map(str, codes))})",
        f"^(?:{'|'.join(prefixed)})" if prefixed else "",
        f"^(?:{'|'.join(f'{code}(?:{size})' for code, size in sizes)})$",
    )


def _read_plan(metadata: PhoneMetadata | None, region: str) -> DialPlan:
    assert metadata is not None
    assert metadata.country_code is not None
    general = metadata.general_desc
    assert general is not None
    exit_code = metadata.international_prefix or ""
    usual = (metadata.preferred_international_prefix or exit_code).replace("~", "")
    prefix = _use_ascii_digits(metadata.national_prefix_for_parsing)
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
        exit_code=_use_ascii_digits(exit_code),
        usual_exit_code=usual if usual.isdigit() else "",
        trunk=metadata.national_prefix or "",
        prefix=prefix,
        rewrite_group=re.compile(prefix).groups if metadata.national_prefix_transform_rule else 0,
        general=_use_ascii_digits(general.national_number_pattern),
        kinds=tuple(
            (_use_ascii_digits(kind.national_number_pattern), kind.possible_length)
            for kind in kinds
            if kind is not None and kind.national_number_pattern
        ),
        lengths=tuple(sorted(set(general.possible_length) - set(general.possible_length_local_only))),
        longest=max(general.possible_length),
        decides=regions[0] == region and not metadata.leading_digits,
        alone=len(regions) == 1,
    )


def _use_ascii_digits(pattern: str | None) -> str:
    return (pattern or "").replace("\\d", "[0-9]")
