"""Normalised numbers, number keys and number searches."""

from __future__ import annotations

import csv
import itertools
import os
from pathlib import Path

import phonenumbers
import polars as pl
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from cdrkit._numbers import (
    NumberPattern,
    check_region,
    normalize_column,
    normalize_number,
    number_key,
    number_keys,
    search_pattern,
)
from cdrkit._numbers.key_ranges import prefix_range
from cdrkit._numbers.normalization import normalize_typed
from cdrkit.errors import ConfigError, QueryError

REGIONS: tuple[str | None, ...] = (None, *sorted(phonenumbers.SUPPORTED_REGIONS))
KINDS = tuple(range(11))


def examples(region: str) -> list[phonenumbers.PhoneNumber]:
    """Return an example of every kind of number that the region has."""
    found = (phonenumbers.example_number_for_type(region, kind) for kind in KINDS)
    return [number for number in found if number is not None]


def spellings(region: str) -> list[str]:
    """Return ways to write the region's example numbers, and some that are nearly numbers."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    assert metadata is not None
    exit_code = (metadata.preferred_international_prefix or metadata.international_prefix or "").replace(
        "~", ""
    )
    code, trunk = str(metadata.country_code), metadata.national_prefix or ""
    found = []
    for number in examples(region):
        inner = phonenumbers.national_significant_number(number)
        for style in (0, 1, 2):
            found.append(phonenumbers.format_number(number, style))
        for body in (inner, inner[:-1], inner + "5", "0" + inner, inner[1:], inner[:4]):
            starts = (
                "",
                "+",
                trunk,
                code,
                "+" + code,
                exit_code + code,
                "00" + code,
                "+" + code + trunk,
                "0",
            )
            found += [start + body for start in starts]
    return found


def strings_for(region: str | None) -> st.SearchStrategy[str]:
    """Return texts that are, or are nearly, numbers as written in a region."""
    starts = [
        "",
        "+",
        "0",
        "00",
        "1",
        "8",
        "011",
        "+44",
        "0044",
        "44",
        "(0",
        "+0",
        "\uff0b49",
        "810",
        "+54",
        "+55",
    ]
    bodies = [st.text("0123456789", max_size=16), st.text("0123456789 -.()/\u00a0\u2013", max_size=20)]
    if region is not None:
        bodies.append(st.sampled_from(spellings(region)))
        code = str(phonenumbers.country_code_for_region(region))
        starts += [code, "+" + code, "00" + code]
    numbers = st.tuples(st.sampled_from(starts), st.one_of(bodies)).map("".join)
    junk = st.text(st.sampled_from("0123456789+*#xX ()-AÀß\u0663\u2003\x1f\n\u200b"), max_size=12)
    return st.one_of(numbers, numbers, numbers, junk, st.text(max_size=8))


class TestForm:
    """One form for one number."""

    @pytest.mark.parametrize(
        ("region", "same", "expected"),
        [
            (
                "GB",
                (
                    "+44 20 7946 0018",
                    "0044 20 7946 0018",
                    "020 7946 0018",
                    "(020) 7946-0018",
                    "442079460018",
                    "+44 (0)20 7946 0018",
                    "(+44) 20.7946.0018",
                    "\uff0b44\u00a020\u20137946\u20110018",
                    "\t02079460018\r\n",
                    "+4402079460018",
                ),
                "+442079460018",
            ),
            (
                "US",
                (
                    "212-555-0100",
                    "+1 212 555 0100",
                    "12125550100",
                    "1-212-555-0100",
                    "(212) 555-0100",
                    "011 1 212 555 0100",
                ),
                "+12125550100",
            ),
            ("DE", ("030 123456", "0049 30 123456", "+49 30 123456", "4930123456"), "+4930123456"),
            ("ES", ("912345678", "34912345678", "0034912345678", "+34 912 34 56 78"), "+34912345678"),
            ("IT", ("06 6982 1234", "+39 06 69821234", "390669821234"), "+390669821234"),
            ("AU", ("(02) 1234 5678", "0011 61 2 1234 5678", "61212345678"), "+61212345678"),
            ("IN", ("91234 56789", "091234 56789", "+91 91234 56789", "919123456789"), "+919123456789"),
            ("FR", ("01 23 45 67 89", "0033123456789", "33123456789"), "+33123456789"),
            ("RU", ("8 (495) 123-45-67", "810 7 495 123 45 67", "74951234567"), "+74951234567"),
            ("AR", ("011 15 2345-6789", "+54 9 11 2345 6789"), "+5491123456789"),
            ("BR", ("0 15 11 96123-4567", "11961234567", "5511961234567"), "+5511961234567"),
            (None, ("+44 20 7946 0018", "442079460018", "0044 20 7946 0018"), "+442079460018"),
        ],
    )
    def test_one_number(self, region: str | None, same: tuple[str, ...], expected: str) -> None:
        """Every way to write one number has the same form."""
        assert {text: normalize_number(text, region) for text in same} == dict.fromkeys(same, expected)

    @pytest.mark.parametrize(
        ("text", "region", "expected"),
        [
            ("33123456789", "GB", "+33123456789"),
            ("442079460018", "US", "+442079460018"),
            ("0044 20 7946 0018", "US", "00442079460018"),  # not what is dialled there
            ("020 7946 0018", None, "02079460018"),
            ("15123456789", "DE", "+4915123456789"),  # a German mobile without its 0, not a number of code 1
        ],
    )
    def test_the_region_decides(self, text: str, region: str | None, expected: str) -> None:
        """A foreign number without its plus is known; what the region does not dial is not guessed."""
        assert normalize_number(text, region) == expected

    @pytest.mark.parametrize("region", ["GB", "US", "DE", "AT", "AU", "NL", "IT", "ZA", "BR", "IN", None])
    @pytest.mark.parametrize("text", ["2001", "999", "911", "112", "100", "12345", "40123", "1", "7"])
    def test_extensions(self, text: str, region: str | None) -> None:
        """Extensions and short codes never gain a country code."""
        assert normalize_number(text, region) == text
        assert normalize_typed(text, region) == text

    def test_short_numbers(self) -> None:
        """Short numbers of a region that has no longer ones are numbers."""
        assert normalize_number("22158", "FK") == "+50022158"
        assert normalize_number("2001", "FK") == "2001"
        assert normalize_number("712345", "AD") == "+376712345"

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("Anonymous ", "anonymous"),
            ("\tRESTRICTED\n", "restricted"),
            ("alice1234567", "alice1234567"),
            ("1234567alice", "1234567alice"),
            ("+44 20 7946 0018 ext 5", "+44 20 7946 0018 ext 5"),
            ("1-800-FLOWERS", "1-800-flowers"),
            ("sip:alice@example.org", "sip:alice@example.org"),
            ("STRASSE", "strasse"),
            ("Straße", "strasse"),
            ("*98", "*98"),
            ("* 21 * 5#", "*21*5#"),
            ("# 31 # 020", "#31#020"),
            ("7946 0018", "79460018"),
            ("+999 123", "+999123"),
            ("0", "0"),
            ("", ""),
            (" \u00a0\t", ""),
            ("+", "+"),
            ("-", "-"),
            ("44+20", "44+20"),
            ("\u0660\u0662\u0660", "\u0660\u0662\u0660"),
        ],
    )
    def test_folded(self, text: str, expected: str) -> None:
        """What is no number loses its separators, or outer white space and capitals."""
        assert normalize_number(text, "GB") == expected

    def test_overlong(self) -> None:
        """Text longer than any number is folded, in time that does not explode."""
        assert normalize_number("- " * 120 + "02079460018", "GB") == "02079460018"
        assert normalize_number(" " * 240 + "02079460018", "GB") == "+442079460018"
        assert normalize_number(" " * 100_000 + "x", "GB") == "x"
        assert normalize_number("0" * 100_000, "GB") == "0" * 100_000
        overlong = pl.Series(["- " * 120 + "02079460018", " " * 240 + "02079460018"])
        assert normalize_column(overlong, "GB").to_list() == ["02079460018", "+442079460018"]

    def test_every_region(self) -> None:
        """Law: the E.164 form of every region's example numbers is what all regions and none make of it."""
        for region in sorted(phonenumbers.SUPPORTED_REGIONS):
            for number in examples(region):
                text = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
                assert {normalize_number(text, other) for other in (None, "GB", "US", "AR", region)} == {text}
                shown = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
                if "~" not in shown:
                    assert normalize_number(shown, "GB") == text

    def test_samples(self) -> None:
        """Every caller of the Asterisk sample is a number of the United States."""
        folder = os.environ.get("CDRKIT_SAMPLES")
        if folder is None:
            pytest.skip("CDRKIT_SAMPLES is not set")
        with (Path(folder) / "asterisk" / "cdr.csv").open(newline="") as lines:
            sources = [row[1] for row in csv.reader(lines)]
        found = normalize_column(pl.Series(sources), "US").to_list()
        assert found == ["+1" + text.replace("-", "") for text in sources]


class TestTyped:
    """What a person types."""

    @pytest.mark.parametrize(
        ("text", "region", "expected"),
        [
            ("+44 20 7946 0018 ext 5", "US", "+442079460018"),
            ("020 7946 0018 x5", "GB", "+442079460018"),
            ("(020) 7946 0018 #5", "GB", "+442079460018"),
            ("tel:+44-20-7946-0018", None, "+442079460018"),
            ("TEL:020-7946-0018", "GB", "+442079460018"),
            ("tel:7946-0018;phone-context=+4420", "US", "+442079460018"),
            ("tel:2001", "DE", "2001"),
            ("1-800-FLOWERS", "US", "+18003569377"),
            ("\u0660\u0662\u0660 \u0667\u0669\u0664\u0666 \u0660\u0660\u0661\u0668", "GB", "+442079460018"),
            ("\u202a+44 20 7946 0018\u202c", "US", "+442079460018"),
            ("020 7946 0018", "GB", "+442079460018"),
            ("*98", "GB", "*98"),
            ("12*34567890", "US", "12*34567890"),
            ("Anonymous", "US", "anonymous"),
            ("alice1234567", "US", "alice1234567"),
            ("7 dwarfs", "US", "7 dwarfs"),
            ("2" * 300, "US", "2" * 300),
        ],
    )
    def test_typed(self, text: str, region: str | None, expected: str) -> None:
        """Extensions, tel: URIs, letters for digits and other digits are understood; names are left alone."""
        assert normalize_typed(text, region) == expected


class TestForms:
    """A whole column."""

    @given(
        st.sampled_from(REGIONS).flatmap(
            lambda r: st.tuples(st.just(r), st.lists(strings_for(r), max_size=30))
        )
    )
    @example(("GB", ["18002001234567", "+4418002007946001"]))
    @example(("AR", ["+54111523456789", "111523456789", "+541123456789"]))
    @example(("BR", ["0151196123456", "015119612345678", "90211196123456"]))
    @example(("MX", ["0152551234567", "5512345678", "525512345678"]))
    @example(("FI", ["99442079460018", "9944123456789", "994123456789"]))
    @example(("CU", ["119442079460018", "1194412345"]))
    @example((None, ["00", "+00", "0044", "+", "000442079460018"]))
    def test_same_as_form(self, given: tuple[str | None, list[str]]) -> None:
        """Law: the forms of a column are the form of each of its texts."""
        region, texts = given
        expected = [normalize_number(text, region) for text in texts]
        assert normalize_column(pl.Series("n", texts, dtype=pl.String), region).to_list() == expected
        repeated = pl.Series("n", [*texts, None] * 3, dtype=pl.String)
        assert normalize_column(repeated, region).to_list() == [*expected, None] * 3

    @pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
    def test_every_region(self, region: str) -> None:
        """Law: so for many ways to write the example numbers of every region."""
        texts = spellings(region)
        assert normalize_column(pl.Series(texts), region).to_list() == [
            normalize_number(text, region) for text in texts
        ]

    def test_every_calling_code(self) -> None:
        """Law: so for every calling code, with and without a plus or an exit code, from home and abroad."""
        codes = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
        bodies = ("0123456789", "8012345678", "912345678", "11123456", "1" * 13, "")
        texts = [
            f"{start}{code}{body}"
            for start, code, body in itertools.product(("+", "00", "", "011"), codes, bodies)
        ]
        for region in (None, "GB", "US", "DE", "IT", "RU"):
            assert normalize_column(pl.Series(texts), region).to_list() == [
                normalize_number(text, region) for text in texts
            ]

    def test_series(self) -> None:
        """The name stays, nulls stay, categories are read as text, and nothing gives nothing."""
        column = pl.Series("source", ["020 7946 0018", None, "020 7946 0018"], dtype=pl.Categorical)
        found = normalize_column(column, "GB")
        assert found.name == "source"
        assert found.dtype == pl.String
        assert found.to_list() == ["+442079460018", None, "+442079460018"]
        assert normalize_column(pl.Series("source", [], dtype=pl.String), "GB").to_list() == []
        assert normalize_column(pl.Series("source", [None], dtype=pl.String), None).to_list() == [None]


class TestRegion:
    """What may be called a region."""

    def test_known(self) -> None:
        """A region is returned in capitals; None stays None."""
        assert check_region("gb") == "GB"
        assert check_region("US") == "US"
        assert check_region(None) is None

    @pytest.mark.parametrize(
        ("wrong", "hint"),
        [("UK", "Did you mean 'GB'?"), ("uk", "Did you mean 'GB'?"), ("USA", "'US'"), ("GBR", "'GB'")],
    )
    def test_hint(self, wrong: str, hint: str) -> None:
        """A near miss is put right."""
        with pytest.raises(ConfigError) as caught:
            check_region(wrong)
        assert hint in str(caught.value)
        assert repr(wrong) in str(caught.value)

    @pytest.mark.parametrize("wrong", ["", "ZZ", "001", "44", "+44", "England", 1, b"GB", ["GB"]])
    def test_unknown(self, wrong: object) -> None:
        """An unknown region is refused."""
        with pytest.raises(ConfigError, match="Unknown region"):
            check_region(wrong)  # type: ignore[arg-type]


class TestSearch:
    """Number searches."""

    @pytest.mark.parametrize(
        ("text", "region", "match", "kind", "expected"),
        [
            ("020 7946 0018", "GB", None, "exact", ("+442079460018",)),
            ("tel:+442079460018", "GB", None, "exact", ("+442079460018", "tel:+442079460018")),
            ("2001", "GB", None, "exact", ("2001",)),
            ("+44 20*", "US", None, "prefix", ("+4420",)),
            ("0044 20 *", "GB", None, "prefix", ("+4420",)),
            ("011 44*", "US", None, "prefix", ("+44",)),
            ("0011 44*", "AU", None, "prefix", ("+44",)),
            ("810 44*", "RU", None, "prefix", ("+44",)),
            ("020*", "GB", None, "prefix", ("+4420",)),
            ("1 212*", "US", None, "prefix", ("+1212",)),
            ("20*", "GB", None, "prefix", ("+20", "+4420", "20")),
            ("0044*", None, None, "prefix", ("+44", "0044")),
            ("44*", None, None, "prefix", ("+44", "44")),
            ("0*", "GB", None, "prefix", ("+44",)),
            ("06*", "IT", None, "prefix", ("+06", "+3906", "06")),
            ("Anon*", "GB", None, "prefix", ("anon",)),
            ("*0018", "GB", None, "suffix", ("0018",)),
            ("*+44", "GB", None, "suffix", ("44",)),
            ("*7946 00*", "GB", None, "contains", ("794600",)),
            ("*+44 20*", "GB", None, "contains", ("+4420",)),
            ("*@Example.org", "GB", None, "suffix", ("@example.org",)),
            ("*98", "GB", "exact", "exact", ("*98",)),
            ("*98", "GB", "prefix", "prefix", ("*98",)),
            ("*", "GB", "prefix", "prefix", ("*",)),
            ("98*", "GB", "suffix", "suffix", ("98*",)),
            ("020 7946", "GB", "prefix", "prefix", ("+44207946",)),
            ("0018", "GB", "suffix", "suffix", ("0018",)),
            ("7946", "GB", "contains", "contains", ("7946",)),
        ],
    )
    def test_patterns(
        self, text: str, region: str | None, match: str | None, kind: str, expected: tuple[str, ...]
    ) -> None:
        """Stars at the ends say the kind, unless it is said; prefixes are understood as they are dialled."""
        assert search_pattern(text, region, match) == NumberPattern(kind, expected)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("text", "match"),
        [
            ("", None),
            ("  ", None),
            ("*", None),
            ("**", None),
            (" * * ", None),
            ("", "exact"),
            (" ", "prefix"),
            ("\ud800", None),
            (None, None),
            (442079460018, None),
        ],
    )
    def test_nothing(self, text: str, match: str | None) -> None:
        """Nothing to search for is refused for the parameter ``number``."""
        with pytest.raises(QueryError) as caught:
            search_pattern(text, "GB", match)
        assert caught.value.parameter == "number"
        assert repr(text) in str(caught.value)

    def test_unknown_kind(self) -> None:
        """An unknown kind of match is refused with those there are."""
        with pytest.raises(QueryError, match="'fuzzy'.*exact, prefix, suffix or contains") as caught:
            search_pattern("020", "GB", "fuzzy")
        assert caught.value.parameter == "number"

    @given(st.sampled_from(REGIONS).flatmap(lambda r: st.tuples(strings_for(r), st.just(r))))
    @example(("1-800-FLOWERS", "US"))
    @example(("+44 20 7946 0018 ext 5", "GB"))
    def test_what_is_stored_is_found(self, given: tuple[str, str | None]) -> None:
        """Law: typing a text exactly as it is stored finds it."""
        text, region = given
        if text.strip():
            assert search_pattern(text, region, "exact").matches(normalize_number(text, region))

    stored = st.lists(
        st.one_of(st.none(), strings_for("GB").map(lambda text: normalize_number(text, "GB"))),
        min_size=1,
        max_size=20,
    )
    kinds = st.sampled_from(["exact", "prefix", "suffix", "contains"])

    @given(stored, st.text("0123456789+*#aA ", min_size=1, max_size=6).filter(str.strip), kinds)
    def test_mask(self, column: list[str | None], text: str, kind: str) -> None:
        """Law: the mask of a column says of each form what ``matches`` says; a null does not match."""
        pattern = search_pattern(text, "GB", kind)
        frame = pl.DataFrame({"form": pl.Series(column, dtype=pl.String)})
        found = frame.select(pattern.condition(pl.col("form")))["form"].to_list()
        assert found == [item is not None and pattern.matches(item) for item in column]

    @given(st.sampled_from(spellings("GB")), st.data())
    def test_parts_of_a_number_find_it(self, text: str, data: st.DataObject) -> None:
        """Law: a number is found by itself and by every part of its form."""
        stored = normalize_number(text, "GB")
        assert search_pattern(text, "GB").matches(stored)
        first = data.draw(st.integers(0, len(stored) - 1))
        last = data.draw(st.integers(first + 1, len(stored)))
        if stored[first:last] != "+":
            assert search_pattern(f"*{stored[first:last]}*", "GB").matches(stored)
            assert search_pattern(f"*{stored[first:]}", "GB").matches(stored)
        if stored.startswith("+") and last > 1:
            assert search_pattern(f"{stored[:last]}*", "GB").matches(stored)

    def test_national_prefixes_find_it(self) -> None:
        """Every beginning of a number as it is dialled finds it."""
        for dialled in ("02079460018", "00442079460018", "+442079460018", "442079460018", "2079460018"):
            for length in range(3, len(dialled) + 1):
                assert search_pattern(dialled[:length] + "*", "GB").matches("+442079460018"), dialled[:length]


class TestKeys:
    """The sortable key."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("+442079460018", 7073271360288012),
            ("+1", 1600000000000001),
            ("+12125550100", 1940088016000011),
            ("+999999999999999", 15999999999999999),
            ("+", -1369706780690599689),
            ("+0", 1),
            ("+1234567890123456", -1016882424677936402),
            ("2001", -9183954588739955643),
            ("anonymous", -5744168053946449362),
            ("", -8238016292129134939),
        ],
    )
    def test_known_answers(self, text: str, expected: int) -> None:
        """Keys are on disk: they are for ever what they are here."""
        assert number_key(text) == expected

    phone = st.text("0123456789", min_size=1, max_size=15)

    @given(st.lists(phone, min_size=2))
    def test_order(self, numbers: list[str]) -> None:
        """Law: keys sort as the digits do, and are equal only for equal digits."""
        found = sorted(numbers, key=lambda digits: number_key("+" + digits))
        assert found == sorted(numbers)
        assert len({number_key("+" + digits) for digits in numbers}) == len(set(numbers))

    @given(phone, phone)
    @example("44", "4")
    @example("440", "44")
    @example("44", "440")
    @example("9", "999999999999999")
    def test_prefix_range(self, prefix: str, number: str) -> None:
        """Law: a key is in the range of a prefix exactly when the digits begin with it."""
        low, high = prefix_range(prefix)
        for digits in (number, (prefix + number)[:15], prefix[:-1] + number[:1], prefix):
            if digits:
                assert (low <= number_key("+" + digits) < high) == digits.startswith(prefix)

    @given(phone, st.text(max_size=10))
    def test_prefix_range_excludes_hashes(self, prefix: str, text: str) -> None:
        """Law: what is no number is below zero, so in no range."""
        assume(not (text.startswith("+") and text[1:].isdigit()))
        assert -(2**63) <= number_key(text) < 0 <= prefix_range(prefix)[0]

    def test_range_of_all(self) -> None:
        """No digits are the prefix of every number; more than fifteen are the prefix of none."""
        low, high = prefix_range("")
        assert low <= number_key("+0") < number_key("+" + "9" * 15) < high
        low, high = prefix_range("4" * 16)
        assert low >= high

    @given(
        st.lists(
            st.one_of(
                st.none(), st.text(max_size=6), st.text("+0123456789", max_size=18), phone.map("+".__add__)
            )
        )
    )
    def test_column(self, texts: list[str | None]) -> None:
        """Law: the keys of a column are the key of each of its forms, a null for a null."""
        found = number_keys(pl.Series("source", texts, dtype=pl.String))
        assert found.to_list() == [None if text is None else number_key(text) for text in texts]
        assert found.dtype == pl.Int64
        assert found.name == "source"
