"""Attacks on scopes: no request shows another tenant's calls or a hidden field."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

import cdrkit
from cdrkit import Query, ScopedStore, Store, field
from cdrkit.errors import (
    CdrError,
    ConfigError,
    QueryError,
    RecordingNotFoundError,
    ScopeError,
    UnknownFieldError,
)
from tests.access.tenants import MINE, START, scope

HIDDEN = "provider_charge"


class TestMaking:
    """Who makes a scope must say whose it is; nothing stands for everybody."""

    @pytest.mark.parametrize(
        "nobody", [None, "", " ", [], (), [""], ["1003", ""], [None], 1003, b"1004", {}, {"a": 1}]
    )
    @pytest.mark.parametrize("name", ["customer_id", "reseller_id"])
    def test_nobody(self, store: Store, name: str, nobody: Any) -> None:
        """A tenant that is None, empty or no text is refused, alone and beside another."""
        for others in ({}, {"customer_id": "1003", "reseller_id": "r1"}):
            with pytest.raises(ScopeError, match=f"{name}=.* is not a tenant"):
                store.scoped(**(others | {name: nobody}))

    def test_nothing_given(self, store: Store) -> None:
        """A scope without a tenant is refused."""
        with pytest.raises(ScopeError, match="Give customer_id="):
            store.scoped()

    @pytest.mark.parametrize(
        ("given", "error"),
        [
            ({"hide": ["chargee"]}, UnknownFieldError),
            ({"hide": "charge"}, ConfigError),
            ({"hide": [1]}, ConfigError),
            ({"hide": ["start"]}, ConfigError),
            ({"hide": ["call_id"]}, ConfigError),
            ({"mask": ["charge"]}, ConfigError),
            ({"mask": ["call_id"]}, ConfigError),
            ({"mask": ["currency"]}, ConfigError),
            ({"mask": {"source": 0}}, ConfigError),
            ({"mask": {"source": True}}, ConfigError),
            ({"recordings": "play"}, ConfigError),
            ({"recordings": ["listen"]}, ConfigError),
            ({"earliest": datetime(2026, 1, 1)}, QueryError),
            ({"audit": "yes"}, ConfigError),
            ({"audit": print, "viewer": ""}, ConfigError),
            ({"expires": 0}, ConfigError),
            ({"viewer": None}, ConfigError),
        ],
    )
    def test_what_cannot_work(self, store: Store, given: dict[str, Any], error: type[CdrError]) -> None:
        """An option that cannot work is refused when the scope is made, not later."""
        with pytest.raises(error):
            scope(store, **given)

    @pytest.mark.parametrize("secret", ["short", b"", 17, "x" * 15])
    def test_weak_secret(self, secret: Any) -> None:
        """A secret that could be guessed is refused."""
        with pytest.raises(ConfigError, match="secret="):
            cdrkit.open_store("memory://weak", secret=secret)

    def test_no_writing(self, store: Store) -> None:
        """What changes a store, or reads past tenants, is not there."""
        writing = {
            "append",
            "archive",
            "erase",
            "expire",
            "follow",
            "ingest",
            "maintenance",
            "scoped",
            "writer",
        }
        public = {name for name in dir(store) if not name.startswith("_")}
        assert {name for name in public if not hasattr(ScopedStore, name)} == writing

    def test_repr_is_bare(self, store: Store) -> None:
        """The store's place and its number of commits are not in what is printed."""
        scoped = scope(store)
        assert repr(scoped) == "<ScopedStore of customer_id=1003>"
        assert repr(scoped.run()) == "<Result of Query()>"


class TestTenants:
    """Only the tenant's calls exist."""

    @pytest.mark.parametrize(
        "query",
        [
            Query(),
            Query().customer("1003", "1004"),
            Query().where((field("customer_id") == "1004") | (field("duration") >= 0)),
            Query().where(~(field("customer_id") == "1003") | ~field("customer_id").is_null()),
            Query().number("+44207946*"),
        ],
    )
    def test_no_condition_widens(self, store: Store, query: Query) -> None:
        """Whatever is asked, what comes is the tenant's."""
        scoped = scope(store)
        assert [found.call_id for found in scoped.run(query)] == [record.call_id for record in MINE]
        assert scoped.count(query) == scoped.run(query).count() == len(MINE)
        assert sum(total.attempts for total in scoped.daily_totals(query)) == len(MINE)
        assert scoped.run(query).to_polars()["customer_id"].unique().to_list() == ["1003"]
        assert b"1004" not in b"".join(scoped.run(query).iter_csv())

    def test_of_others(self, store: Store) -> None:
        """A question about another tenant finds nothing, like one about nobody."""
        scoped = scope(store)
        for other in ("1004", "9999"):
            assert scoped.count(Query().customer(other)) == 0
            assert list(scoped.daily_totals(Query().customer(other))) == []
            assert scoped.run(Query().customer(other)).page().next_cursor is None

    def test_both_tenants_are_anded(self, store: Store) -> None:
        """A customer that is not the reseller's has no calls."""
        assert store.scoped(customer_id="1003", reseller_id="r1").count() == 10
        assert store.scoped(customer_id="1003", reseller_id="r2").count() == 0
        assert store.scoped(reseller_id=["r1", "r2"]).count() == 20

    def test_earliest(self, store: Store) -> None:
        """Calls before the earliest instant do not exist, whatever period is asked for."""
        scoped = scope(store, earliest=START + timedelta(minutes=4))
        assert scoped.count() == scoped.count(Query().between("2020-01-01", "2030-01-01")) == 6
        assert scoped.count(Query().between(None, START + timedelta(minutes=4))) == 0
        gone = scope(store, earliest=START + timedelta(minutes=4), recordings=["play"])
        with pytest.raises(RecordingNotFoundError):
            gone.recording(MINE[0])

    @pytest.mark.parametrize(
        "params",
        [
            [("customer", "1004")],
            [("customer", "1003"), ("customer", "1004")],
            [
                (
                    "where",
                    '{"any":[{"field":"customer_id","op":"==","value":"1004"},{"field":"duration","op":">=","value":0}]}',
                )
            ],
            [("where", '{"not":{"field":"customer_id","op":"==","value":"1003"}}')],
        ],
    )
    def test_parameters(self, store: Store, params: list[tuple[str, str]]) -> None:
        """A URL that names other customers, once or twice, sees the tenant's own or nothing."""
        scoped = scope(store)
        found = list(scoped.run(scoped.query_from_params(params)))
        assert {record.customer_id for record in found} <= {"1003"}

    @pytest.mark.parametrize(
        "name", ["customer_id", "scope", "tenant", "viewer", "hide", "mask", "reseller_id"]
    )
    def test_unknown_parameters(self, store: Store, name: str) -> None:
        """A parameter named after a part of the scope is unknown to a query, and is refused."""
        with pytest.raises(QueryError, match=f"no parameter '{name}'"):
            scope(store).query_from_params({name: "1004"})


def hidden_queries() -> list[Query]:
    """Return every way to name the hidden field."""
    hidden = field(HIDDEN)
    return [
        Query().where(hidden > 0),
        Query().where(hidden == "0.5"),
        Query().where(hidden.is_null()),
        Query().where(hidden.is_in(["0.5"])),
        Query().where(~(hidden > 0)),
        Query().where((field("duration") > 0) | (hidden > 0)),
        Query().where((field("duration") > 0) & ((field("duration") > 1) | ~(hidden > 0))),
        Query().order_by(HIDDEN),
        Query().order_by("duration", f"-{HIDDEN}"),
        Query().columns("start", HIDDEN),
    ]


class TestHidden:
    """A hidden field does not exist."""

    @pytest.mark.parametrize("query", hidden_queries(), ids=repr)
    def test_it_is_unknown(self, store: Store, query: Query) -> None:
        """Every use of it says what a use of no field at all would say, and suggests nothing hidden."""
        scoped = scope(store, hide=[HIDDEN])
        said = []
        for ask in (scoped.run, scoped.count, scoped.daily_totals):
            with pytest.raises(UnknownFieldError) as caught:
                ask(query)
            said.append(caught.value)
        for error in said:
            assert error.field == HIDDEN
            assert HIDDEN not in error.close_matches
            message = str(error).replace(f"Unknown field {HIDDEN!r}", "")
            assert HIDDEN not in message
            assert "All fields: call_id" in message

    @pytest.mark.parametrize("name", [HIDDEN, "provider_chargee"])
    @pytest.mark.parametrize("how", ["where", "order", "columns"])
    def test_by_url(self, store: Store, name: str, how: str) -> None:
        """By URL, too, it is refused with the words for a field that does not exist."""
        value = json.dumps({"field": name, "op": "is_null"}) if how == "where" else name
        with pytest.raises(UnknownFieldError) as caught:
            scope(store, hide=[HIDDEN]).query_from_params({how: value})
        assert str(caught.value).count("provider_charge") == 1  # what was asked for, and no more
        assert HIDDEN not in caught.value.close_matches

    @pytest.mark.parametrize(
        ("hidden", "params"),
        [
            ("provider_id", {"provider": "7"}),
            ("duration", {"connected": "1"}),
            ("duration", {"min_duration": "1"}),
            ("recording", {"recording": "1"}),
            ("destination", {"number": "+12125550100"}),
            ("did", {"did": "+12125550100"}),
            ("switch", {"switch": "a"}),
        ],
    )
    def test_parameters_of_hidden_fields(self, store: Store, hidden: str, params: dict[str, str]) -> None:
        """A parameter that looks at a hidden field is refused, be it named otherwise."""
        with pytest.raises(UnknownFieldError) as caught:
            scope(store, hide=[hidden]).query_from_params(params)
        assert caught.value.field == hidden
        assert hidden not in caught.value.close_matches

    def test_it_is_nowhere(self, store: Store) -> None:
        """Neither records nor tables nor CSV nor pages have it."""
        scoped = scope(store, hide=[HIDDEN])
        result = scoped.run()
        assert HIDDEN not in scoped.fields
        assert HIDDEN not in result.columns
        assert all(getattr(record, HIDDEN) is None for record in result)
        assert all(getattr(record, HIDDEN) is None for record in result.page().records)
        assert HIDDEN not in result.to_arrow().column_names
        assert HIDDEN.encode() not in b"".join(result.iter_csv())
        assert "Provider Charge" not in result.page().rows(labels=True)[0]

    def test_totals(self, store: Store) -> None:
        """What is hidden is absent from totals; amounts go with their currency."""
        for hide in ("charge", "currency"):
            (total,) = scope(store, hide=[hide]).daily_totals()
            assert (total.attempts, dict(total.charges)) == (10, {})
        (total,) = scope(store, hide=["duration"]).daily_totals()
        assert (total.connected, total.duration) == (0, 0)
        with pytest.raises(UnknownFieldError):
            scope(store, hide=["duration"]).count(Query().connected())

    def test_currency_takes_amounts(self, store: Store) -> None:
        """Without currency there are no amounts."""
        assert not {"rate", "charge", "connect_cost", "provider_charge"} & set(
            scope(store, hide=["currency"]).fields
        )
