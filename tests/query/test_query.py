"""Queries as values: their methods, and their representation as dicts, URL parameters and Python."""

from __future__ import annotations

from typing import Any

import pytest

from cdrkit import Direction, Disposition, Query, field
from cdrkit.errors import ConfigError, QueryError, UnknownFieldError


class TestColumns:
    """The columns of tables."""

    @pytest.mark.parametrize("names", [["start", "source"], ("start", "source"), iter(["start", "source"])])
    def test_a_list(self, names: Any) -> None:
        """One list of names is as good as the names themselves, in their order."""
        assert Query().columns(names) == Query().columns("start", "source")
        assert Query().columns(["start"]).selected == ("start",)

    @pytest.mark.parametrize("names", [(), ([],), (["start", "start"],), (["start"], "source"), (5,), ([5],)])
    def test_wrong(self, names: Any) -> None:
        """No name, a name twice, and a list among names are refused."""
        with pytest.raises(QueryError, match="cannot be selected") as caught:
            Query().columns(*names)
        assert caught.value.parameter == "columns"

    def test_unknown(self) -> None:
        """An unknown name in a list is refused, with the nearest names."""
        with pytest.raises(UnknownFieldError, match="Did you mean 'source'") as caught:
            Query().columns(["start", "sorce"])
        assert caught.value.field == "sorce"


class TestWords:
    """Words of enumerations."""

    @pytest.mark.parametrize("word", ["ANSWERED", "Answered", Disposition.ANSWERED])
    def test_disposition(self, word: str) -> None:
        """Upper and lower case do not differ, in methods and in URLs."""
        assert Query().disposition(word) == Query().disposition("answered")
        assert Query.from_params({"disposition": str(word)}) == Query().disposition("answered")

    @pytest.mark.parametrize("word", ["INBOUND", Direction.INBOUND])
    def test_direction(self, word: str) -> None:
        """Upper and lower case do not differ, in methods and in URLs."""
        assert Query().direction(word) == Query().direction("inbound")
        assert Query.from_params({"direction": str(word)}) == Query().direction("inbound")

    @pytest.mark.parametrize("word", ["ANSWERD", "NO ANSWER", "", 5, None])
    def test_unknown(self, word: Any) -> None:
        """Any other word is refused."""
        with pytest.raises(QueryError):
            Query().disposition(word)


class TestPeriods:
    """Named periods."""

    @pytest.mark.parametrize(("zone", "hint"), [("BST", "Europe/London"), ("cest", "Europe/Paris")])
    def test_abbreviations(self, zone: str, hint: str) -> None:
        """An abbreviation of a zone is refused with the name of a zone that has summer time."""
        with pytest.raises(ConfigError, match=hint):
            Query().during("today", zone)

    def test_unknown(self) -> None:
        """An unknown period is refused with the nearest names."""
        with pytest.raises(QueryError, match="Did you mean 'last_week'"):
            Query().during("last_weak")


class TestParams:
    """URL parameters beyond the law in tests/property/test_run.py."""

    def test_second_search_becomes_json(self) -> None:
        """A parameter holds one condition: the second of its kind is JSON, and nothing is lost."""
        query = Query().number("020 7946 0018").number("2041", role="source", match="exact")
        pairs = query.to_params()
        assert [name for name, _ in pairs].count("where") == 1
        assert Query.from_params(pairs) == query

    def test_empty_values_are_kept(self) -> None:
        """A condition on an empty text is JSON, because an empty parameter counts as absent."""
        query = Query().customer("", "1003")
        assert [name for name, _ in query.to_params()] == ["where"]
        assert Query.from_params(query.to_params()) == query

    @pytest.mark.parametrize(
        ("params", "words"),
        [
            ({"connected": "perhaps"}, "connected=perhaps: use 1"),
            ({"limit": "-1"}, "limit=-1: give a whole number"),
            ({"role": "caller"}, "role=caller: use one of source, destination, either"),
            ({"where": "x"}, "where=x: the value is not JSON"),
            ({"custmer": "1"}, "Did you mean 'customer'"),
            ([("limit", "1"), ("limit", "2")], "Give it once"),
        ],
    )
    def test_wrong(self, params: Any, words: str) -> None:
        """The message names the parameter, the value and the remedy."""
        with pytest.raises(QueryError) as caught:
            Query.from_params(params)
        assert words in str(caught.value)


class TestFields:
    """References to fields."""

    def test_unknown(self) -> None:
        """An unknown field is refused with the nearest names and a code for portals."""
        with pytest.raises(UnknownFieldError) as caught:
            field("sorce")
        assert caught.value.code == "unknown_field"
        assert caught.value.close_matches[0] == "source"

    @pytest.mark.parametrize("value", [None, field("duration"), field("duration") == 1])
    def test_not_values(self, value: Any) -> None:
        """None, fields and conditions are not values to compare with."""
        with pytest.raises(QueryError):
            assert field("sip_code") == value
