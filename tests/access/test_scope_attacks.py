"""Attacks on scopes: no request shows another tenant's calls, hidden fields or masked digits."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cdrkit
from cdrkit import FIELDS, AuditEvent, CallRecord, Query, ScopedStore, Store, field
from cdrkit._numbers import normalize_number, search_pattern
from cdrkit._query import Expr, IsNull, NumberSearch, field_names
from cdrkit.errors import (
    CdrError,
    ConfigError,
    QueryError,
    RecordingNotFoundError,
    ScopeError,
    UnknownFieldError,
)
from tests import strategies, truth

START = datetime(2026, 11, 22, 9, tzinfo=UTC)
SECRET = "a secret of the application's own"
HIDDEN = "provider_charge"


def call(number: int, **given: Any) -> CallRecord:
    """Return a call, *number* minutes after nine."""
    usual: dict[str, Any] = {
        "call_id": f"call-{number}",
        "start": START + timedelta(minutes=number),
        "customer_id": "1003",
        "reseller_id": "r1",
        "source": f"+44207946{number:04d}",
        "destination": "+12125550100",
        "duration": number,
        "charge": "0.10",
        "currency": "GBP",
        "provider_charge": f"0.0{number % 10}",
    }
    return CallRecord(**(usual | given))


MINE = [call(number) for number in range(10)]
THEIRS = [
    call(number, customer_id="1004", reseller_id="r2", provider_charge="0.5") for number in range(10, 20)
]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of recordings, one a call, and a file above it that is not a recording."""
    root = tmp_path_factory.mktemp("sounds")
    (root / "rec").mkdir()
    (root / "secret.wav").write_bytes(b"above the root")
    for record in (*MINE, *THEIRS):
        (root / "rec" / f"{record.call_id}.wav").write_bytes(f"sound of {record.call_id}".encode())
    return root / "rec"


@pytest.fixture(scope="module")
def store(sounds: Path) -> Store:
    """Return a store of two tenants; every call has a recording."""
    made = cdrkit.open_store(
        "memory://attacked", region="GB", recordings=f"{sounds}/{{recording}}", secret=SECRET
    )
    made.append(attrs.evolve(record, recording=f"{record.call_id}.wav") for record in (*MINE, *THEIRS))
    return made


def scope(store: Store, **given: Any) -> ScopedStore:
    """Return customer 1003's part, with what is given besides."""
    return store.scoped(**({"customer_id": "1003", "viewer": "ann"} | given))


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


class TestMasked:
    """What a mask covers cannot be read, and cannot be asked for piece by piece."""

    def test_what_is_shown(self, store: Store) -> None:
        """A number's beginning is, in its canonical form; a name is not."""
        named = cdrkit.open_store("memory://masked-shown", region="GB")
        texts = [
            "+44 20 7946 0018",
            "020 7946 0018",
            "2041",
            "204",
            "anonymous",
            "",
            "sip:+442079460018@a",
            None,
        ]
        named.append(
            call(
                number,
                source=text,
                source_name="+442079460018",
                recording="out-02079460018.wav",
                extra={"a": text},
            )
            for number, text in enumerate(texts)
        )
        found = list(scope(named, mask=["source"]).run())
        assert [record.source for record in found] == [
            "+44207946****", "+44207946****", "****", "****", "****", "****", "****", None,
        ]  # fmt: skip
        assert {record.source_name for record in found} == {"****"}
        assert {record.recording for record in found} == {"****"}
        assert {record.extra for record in found} == {None}
        assert [record.source for record in scope(named, mask={"source": 7}).run()][:1] == ["+44207*******"]

    @pytest.mark.parametrize(
        "query",
        [
            Query().where(field("source") == "+442079460003"),
            Query().where(field("source") != "+442079460003"),
            Query().where(field("source") > "+442079460003"),
            Query().where(field("source").is_in(["+442079460003"])),
            Query().where(field("source").contains("0003")),
            Query().where(field("source").starts_with("+4420794600")),
            Query().where(field("source").ends_with("3")),
            Query().where(~field("source").ends_with("3")),
            Query().where((field("duration") > 0) | field("source").ends_with("3")),
            Query().number("+442079460003"),
            Query().number("+442079460003", role="source"),
            Query().number("*0003"),
            Query().number("*00*"),
            Query().number("0003", match="suffix"),
            Query().number("0003", match="contains"),
            Query().number(["+4420*", "+442079460003"]),
            Query().cli("+442079460004"),
            Query().order_by("source"),
            Query().order_by("duration", "-source"),
            Query().where(field("source_name") == "a"),
            Query().where(field("recording").contains("call-3")),
            Query().order_by("recording"),
        ],
        ids=repr,
    )
    def test_past_the_mask(self, store: Store, query: Query) -> None:
        """Every question that more than the visible beginning would answer is refused."""
        scoped = scope(store, mask=["source"])
        for ask in (scoped.run, scoped.count, scoped.daily_totals):
            with pytest.raises(ScopeError, match="is masked"):
                ask(query)

    def test_prefixes(self, store: Store) -> None:
        """A prefix is compared with what is visible: each further digit finds all or nothing, never some."""
        scoped = scope(store, mask=["source"])
        number = "+442079460003"
        counts = [
            scoped.count(Query().number(number[:length] + "*", role="source")) for length in range(2, 14)
        ]
        assert counts == [10] * 8 + [0] * 4
        assert scoped.count(Query().number("020 7946*")) == 10
        assert scoped.count(Query().where(~Query().number("+44207946*", role="source").conditions[0])) == 0

    def test_either_role(self, store: Store) -> None:
        """Where one of two fields is masked, a prefix is looked for in both, in each as far as it is seen."""
        scoped = scope(store, mask=["source"])
        assert scoped.count(Query().number("+1212555010*")) == 10
        assert scoped.count(Query().number("+12125550100", role="destination")) == 10
        assert scoped.count(Query().number("+4420794600*")) == 0

    def test_presence(self, store: Store) -> None:
        """Whether a masked field is there may be asked."""
        assert scope(store, mask=["source"]).count(Query().has_recording()) == 10

    def test_every_exit(self, store: Store) -> None:
        """No exit shows a covered digit, in the order of time or another."""
        scoped = scope(store, mask=["source", "destination"], hide=["call_id"][:0])
        for query in (Query(), Query().newest_first(), Query().order_by("-duration"), Query().limit(3)):
            result = scoped.run(query)
            shown = [
                b"".join(result.iter_csv()).decode(),
                str(result.to_arrow().to_pylist()),
                str(result.to_polars().to_dicts()),
                str(result.to_pandas().to_dict()),
                str(result.to_text().to_dicts()),
                str(list(result)),
                str(result.page(5)),
                str(result.page(5).rows()),
                str([batch.to_pylist() for batch in result.batches()]),
            ]
            assert not [text for text in shown if "79460" in text or "5550100" in text]


class TestCursors:
    """A cursor leads on for the viewer that it was issued to."""

    def cursor(self, scoped: ScopedStore) -> str:
        """Return the cursor behind the first three calls."""
        found = scoped.run().page(3).next_cursor
        assert found is not None
        return found

    def test_it_leads_on(self, store: Store) -> None:
        """Pages of a scope are its calls, each once, in order; the scope may be made again for each."""
        seen: list[str] = []
        query = Query().newest_first()
        cursor: str | None = None
        while True:
            page = scope(store).run(query if cursor is None else query.after(cursor)).page(3)
            seen += [record.call_id for record in page.records]
            cursor = page.next_cursor
            if cursor is None:
                break
            assert Query.from_params(query.after(cursor).to_params()).position == query.after(cursor).position
        assert seen == [record.call_id for record in reversed(MINE)]

    @pytest.mark.parametrize(
        "other",
        [
            {"customer_id": "1004"},
            {"customer_id": ["1003", "1004"]},
            {"viewer": "bob"},
            {"hide": ["charge"]},
            {"reseller_id": "r1"},
        ],
    )
    def test_swapped(self, store: Store, other: dict[str, Any]) -> None:
        """Another tenant's, another viewer's, or one of other rights is refused."""
        cursor = self.cursor(scope(store, **other))
        with pytest.raises(QueryError, match="belongs to another portal viewer") as caught:
            scope(store).run(Query().after(cursor))
        assert caught.value.parameter == "cursor"

    def test_of_the_whole_store(self, store: Store) -> None:
        """A cursor of the unscoped store, which nobody signed, is refused."""
        cursor = store.run().page(3).next_cursor
        assert cursor is not None
        with pytest.raises(QueryError, match="belongs to another portal viewer"):
            scope(store).run(Query().after(cursor))

    def test_edited(self, store: Store) -> None:
        """No letter of one can be changed, and no part of it left away."""
        scoped = scope(store)
        cursor = self.cursor(scoped)
        place, until, signature = cursor.split(".")
        longer = str(int(until) + 1)
        edited = [
            place,
            f"{place}.",
            f"{place}.{until}",
            f"{place}.{until}.",
            f"{place}.{longer}.{signature}",
            f"{place}.{until}.{signature[:-1]}",
            f"{place}..{signature}",
            f"{place}.{until}.{signature}.x",
            f"{place}.-1.{signature}",
            f"{place}.{until}.é",
        ]
        edited += [
            cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
            for at in range(0, len(cursor) - 1, 7)
        ]
        for text in edited:
            with pytest.raises(QueryError) as caught:
                scoped.run(Query().after(text))
            assert caught.value.parameter == "cursor"

    def test_expired(self, store: Store) -> None:
        """After its time it is refused."""
        cursor = self.cursor(scope(store, expires=1))
        time.sleep(2.1)
        with pytest.raises(QueryError, match="has expired"):
            scope(store, expires=1).run(Query().after(cursor))

    def test_another_secret(self, store: Store) -> None:
        """Signed with another secret it is refused; with the same one another process takes it."""
        cursor = self.cursor(scope(store))
        same = cdrkit.open_store("memory://attacked", secret=SECRET)
        assert scope(same).run(Query().after(cursor)).count() == 7
        for other in (
            cdrkit.open_store("memory://attacked"),
            cdrkit.open_store("memory://attacked", secret=SECRET + "x"),
        ):
            with pytest.raises(QueryError, match="belongs to another portal viewer"):
                scope(other).run(Query().after(cursor))


class TestRecordings:
    """A recording is heard by whose call it is, with the right to, and the audit hears of it."""

    def heard(self, store: Store, events: list[AuditEvent], **given: Any) -> ScopedStore:
        """Return a scope whose audit is *events*."""
        return scope(store, **({"recordings": ["play", "download"], "audit": events.append} | given))

    def test_of_others(self, store: Store) -> None:
        """Another tenant's call has no recording, in the words for a call that does not exist."""
        scoped = self.heard(store, [])
        said = []
        for foreign in (
            THEIRS[0],
            attrs.evolve(MINE[0], call_id="none"),
            attrs.evolve(THEIRS[0], customer_id="1003"),
        ):
            with pytest.raises(RecordingNotFoundError) as caught:
                scoped.recording(foreign)
            assert caught.value.url is None
            said.append(str(caught.value).replace(foreign.call_id, "X"))
        assert len(set(said)) == 1

    @pytest.mark.parametrize(
        "path",
        ["call-12.wav", "../secret.wav", "/etc/passwd", "file:///etc/passwd", "a\0b", "..\\secret.wav", ""],
    )
    def test_forged_path(self, store: Store, path: str) -> None:
        """What a record says of its recording is not believed: the stored call says where it lies."""
        forged = attrs.evolve(MINE[3], recording=path)
        assert self.heard(store, []).recording(forged).read() == b"sound of call-3"

    def test_stored_path_out_of_the_root(self, sounds: Path) -> None:
        """A path that a switch wrote into a record, and that leaves the root, is refused without being named."""
        made = cdrkit.open_store("memory://climbing", recordings=f"{sounds}/{{recording}}")
        (sounds / "link.wav").unlink(missing_ok=True)
        (sounds / "link.wav").symlink_to(sounds.parent / "secret.wav")
        for number, path in enumerate(["../secret.wav", "/etc/passwd", "link.wav"]):
            made.append(call(number, call_id=f"climb-{number}", recording=path))
            with pytest.raises(ScopeError) as caught:
                made.scoped(customer_id="1003", recordings=["play"]).recording(
                    call(number, call_id=f"climb-{number}")
                ).read()
            assert "secret" not in str(caught.value)
            assert "passwd" not in str(caught.value)

    def test_without_the_right(self, store: Store, tmp_path: Path) -> None:
        """Play and download are rights of their own; a scope has neither unless it is given."""
        with pytest.raises(ScopeError, match="may not play"):
            scope(store).recording(MINE[0])
        playing = scope(store, recordings=["play"]).recording(MINE[0])
        assert playing.read() == b"sound of call-0"
        refusals: list[Callable[[], object]] = [partial(playing.download, tmp_path / "a.wav"), playing.url]
        for refused in refusals:
            with pytest.raises(ScopeError, match="may not download"):
                refused()
        assert list(tmp_path.iterdir()) == []
        loading = scope(store, recordings=["download"]).recording(MINE[0])
        for listen in (loading.read, loading.open):
            with pytest.raises(ScopeError, match="may not play"):
                listen()

    def test_respond(self, store: Store) -> None:
        """A browser's answer needs the right to play, or to download, and names nothing of the server."""
        events: list[AuditEvent] = []
        answer = self.heard(store, events).recording(MINE[4]).respond("bytes=0-4", download=True)
        assert (answer.status, b"".join(answer.body)) == (206, b"sound")
        assert answer.headers["Content-Disposition"] == (
            'attachment; filename="2026-11-22T090400Z_call-4.wav"'
        )
        assert [event.action for event in events] == ["download"]
        playing = scope(store, recordings=["play"]).recording(MINE[4])
        assert playing.respond().status == 200
        with pytest.raises(ScopeError, match="may not download"):
            playing.respond(download=True)

    def test_zip(self, store: Store) -> None:
        """A ZIP holds the tenant's recordings, whatever is asked and masked; each is heard of; the right is needed."""
        events: list[AuditEvent] = []
        scoped = self.heard(store, events, mask=["source"])
        packed = zipfile.ZipFile(io.BytesIO(b"".join(scoped.zip_recordings(Query().order_by("-duration")))))
        sounds = {packed.read(name) for name in packed.namelist() if name.endswith(".wav")}
        assert sounds == {f"sound of {record.call_id}".encode() for record in MINE}
        assert [event.action for event in events] == ["export"] + ["download"] * len(MINE)
        assert {event.call_id for event in events[1:]} == {record.call_id for record in MINE}
        for less in ([], ["play"]):
            with pytest.raises(ScopeError, match="may not download"):
                scope(store, recordings=less).zip_recordings()
        with pytest.raises(ScopeError, match="is masked"):
            scoped.zip_recordings(Query().number("*0003"))

    def test_its_place_is_not_disclosed(self, store: Store) -> None:
        """Where it lies on the server is not for a tenant."""
        with pytest.raises(ScopeError):
            _ = self.heard(store, []).recording(MINE[0]).location

    def test_a_file_that_is_gone(self, sounds: Path) -> None:
        """The error for a missing file does not name its place."""
        made = cdrkit.open_store("memory://gone", recordings=f"{sounds}/{{recording}}")
        made.append(call(1, recording="gone.wav"))
        gone = self.heard(made, []).recording(call(1))
        for use in (gone.read, gone.open, gone.respond, lambda: gone.duration):
            with pytest.raises(RecordingNotFoundError) as caught:
                use()
            assert caught.value.url is None
            assert "gone.wav" not in str(caught.value)
        assert gone.state == "missing"

    def test_tokens(self, store: Store) -> None:
        """A token finds the recording again, for its action."""
        scoped = self.heard(store, [])
        token = scoped.recording_token(MINE[2])
        found = self.heard(store, []).recording_by_token(token)
        assert found.read() == b"sound of call-2"
        with pytest.raises(ScopeError, match="may not download"):
            found.url()

    @pytest.mark.parametrize(
        "other",
        [
            {"customer_id": "1004"},
            {"viewer": "bob"},
            {"recordings": ["play"]},
            {"recordings": []},
            {"mask": ["source"]},
        ],
    )
    def test_swapped_tokens(self, store: Store, other: dict[str, Any]) -> None:
        """A token is no good in another scope, be it narrower or wider."""
        token = self.heard(store, []).recording_token(MINE[2])
        with pytest.raises(ScopeError, match="another portal viewer"):
            self.heard(store, [], **other).recording_by_token(token)

    def test_token_for_another_call(self, store: Store) -> None:
        """Who makes a token for a call of others gets one that finds nothing."""
        scoped = self.heard(store, [])
        with pytest.raises(RecordingNotFoundError):
            scoped.recording_by_token(scoped.recording_token(THEIRS[0]))

    def test_edited_tokens(self, store: Store) -> None:
        """No letter of a token can be changed, a cursor is no token, and it expires."""
        scoped = self.heard(store, [])
        token = scoped.recording_token(MINE[2])
        cursor = scoped.run().page(3).next_cursor
        edited: list[Any] = ["", ".", "a.b.c", token.partition(".")[0], cursor, None, 7, "é.1.é"]
        edited += [
            token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
            for at in range(0, len(token) - 1, 5)
        ]
        for text in edited:
            with pytest.raises(ScopeError, match="token"):
                scoped.recording_by_token(text)
        with pytest.raises(QueryError):
            scoped.run(Query().after(token))
        wrongs: list[dict[str, Any]] = [{"expires": 0}, {"expires": 1.5}, {"action": "url"}]
        for wrong in wrongs:
            with pytest.raises(QueryError):
                scoped.recording_token(MINE[2], **wrong)
        short = scoped.recording_token(MINE[2], expires=1)
        time.sleep(2.1)
        with pytest.raises(ScopeError, match="expired"):
            scoped.recording_by_token(short)

    def test_audit(self, store: Store, tmp_path: Path) -> None:
        """The audit hears who did what when, before a byte leaves."""
        events: list[AuditEvent] = []
        scoped = self.heard(store, events)
        recording = scoped.recording(MINE[1])
        assert (recording.exists, recording.format, recording.size_bytes) == (True, "wav", 15)
        assert events == []  # looking is not hearing
        recording.read(0, 4)
        with recording.open():
            pass
        recording.download(tmp_path / "a.wav")
        query = Query().connected()
        result = scoped.run(query)
        result.count(), result.page(3)
        assert len(events) == 3
        result.write_csv(tmp_path / "a.csv")
        result.iter_csv()
        (
            result.to_arrow(),
            result.to_polars(),
            result.to_pandas(),
            result.to_text(),
            list(result),
            result.batches(),
        )
        assert [(event.action, event.call_id, event.format) for event in events] == [
            ("play", "call-1", None),
            ("play", "call-1", None),
            ("download", "call-1", None),
            *(
                ("export", None, kind)
                for kind in ("csv", "csv", "arrow", "polars", "pandas", "text", "records", "arrow")
            ),
        ]
        assert {(event.viewer, event.tenant) for event in events} == {("ann", "customer_id=1003")}
        assert all(event.query == query for event in events if event.action == "export")
        assert all(timedelta(0) <= datetime.now(UTC) - event.at < timedelta(minutes=5) for event in events)

    def test_an_audit_that_fails(self, store: Store, tmp_path: Path) -> None:
        """When the audit cannot take it, nothing leaves."""

        def full(event: AuditEvent) -> None:
            raise OSError("disk full")

        scoped = scope(store, recordings=["play", "download"], audit=full)
        recording = scoped.recording(MINE[1])
        leaks: list[Callable[[], object]] = [
            recording.read,
            recording.open,
            lambda: recording.download(tmp_path / "a.wav"),
            lambda: scoped.run().write_csv(tmp_path / "a.csv"),
            scoped.run().iter_csv,
            scoped.run().to_arrow,
        ]
        for leak in leaks:
            with pytest.raises(OSError, match="disk full"):
                leak()
        assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def calls() -> list[CallRecord]:
    """Return enough calls of two customers, on a day of a warm month and a day of a hot one, to be indexed."""
    return [
        CallRecord(
            call_id=f"{day:%m}-{number}",
            start=day + timedelta(seconds=number),
            customer_id="1003" if number % 2 else "1004",
            source=f"+44207946{number % 97:04d}",
            destination=f"+1212555{number % 89:04d}",
            duration=number % 5,
            charge=Decimal(number % 7) / 100,
            currency="GBP",
        )
        for day in (datetime(2026, 6, 3, tzinfo=UTC), START)
        for number in range(5_000)
    ]


@pytest.fixture(scope="module")
def large(calls: list[CallRecord], tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a store of them, in both tiers."""
    made = cdrkit.open_store(tmp_path_factory.mktemp("large"), region="GB")
    made.append(calls)
    made.maintenance.move_to_warm(now=datetime(2026, 11, 25, tzinfo=UTC))
    assert [month.month for month in made.archive.months()] == ["2026-06"]
    return made


class TestLargeStore:
    """Indexes and roll-ups, which know whole numbers and all tenants, answer no more than the calls themselves do."""

    @pytest.mark.parametrize(
        "query",
        [
            Query(),
            Query().customer("1004"),
            Query().customer("1003", "1004").connected(),
            Query().number("+442079460003", role="source"),
            Query().number(["+442079460003", "+12125550004"]),
            Query().number("*0003").newest_first(),
            Query().number("+4420794600*", role="source").limit(7),
            Query().where((field("customer_id") == "1004") | (field("duration") > 3)),
            Query().between("2026-06-03T00:10", "2026-11-22T09:20").order_by("-charge").limit(50),
        ],
        ids=repr,
    )
    def test_without_masks(self, large: Store, calls: list[CallRecord], query: Query) -> None:
        """Counts, calls and totals are those of the tenant's calls alone."""
        scoped = scope(large)
        mine = [record for record in calls if record.customer_id == "1003"]
        expected = truth.run(query, mine, region="GB", now=START)
        assert list(scoped.run(query, now=START)) == expected
        assert scoped.count(query, now=START) == len(expected)
        for totals in (
            scoped.daily_totals(query, now=START),
            scoped.daily_totals(query, timezone="UTC", now=START),
        ):
            assert sum(total.attempts for total in totals) == len(expected)
            charged = sum((record.charge or Decimal(0) for record in expected), Decimal(0))
            assert sum((total.charges.get("GBP", Decimal(0)) for total in totals), Decimal(0)) == charged

    def test_masked_numbers(self, large: Store) -> None:
        """The number index is no way past a mask: each further digit finds all calls or none."""
        scoped = scope(large, mask=["source"])
        number = "+442079460003"
        counts = [
            scoped.count(Query().number(number[:length] + "*", role="source")) for length in range(2, 14)
        ]
        assert counts == [5_000] * 8 + [0] * 4
        found = scoped.run(Query().number("+44207946*", role="source").limit(3))
        assert {record.source for record in found} == {"+44207946****"}
        for refused in (Query().number(number), Query().cli(number), Query().number("*0003", role="source")):
            with pytest.raises(ScopeError, match="is masked"):
                scoped.count(refused)

    def test_hidden_amounts(self, large: Store) -> None:
        """Rollups reveal neither a hidden charge nor, with a hidden duration, the connected calls."""
        assert [dict(total.charges) for total in scope(large).daily_totals()] != [{}, {}]
        for totals in (
            scope(large, hide=["charge"]).daily_totals(),
            scope(large, hide=["charge"]).daily_totals(timezone="Asia/Tokyo"),
        ):
            assert [dict(total.charges) for total in totals] == [{}, {}]
            assert [total.attempts for total in totals] == [2_500, 2_500]
        silent = scope(large, hide=["duration"]).daily_totals()
        assert [(total.attempts, total.connected, total.duration) for total in silent] == [(2_500, 0, 0)] * 2

    def test_pages(self, large: Store) -> None:
        """Pages lead from the hot tier into the warm one, through the tenant's calls only."""
        scoped = scope(large)
        query = Query().newest_first().where(field("duration") == 4)
        seen: list[str] = []
        page = scoped.run(query).page(300)
        while True:
            seen += [record.call_id for record in page.records]
            assert {record.customer_id for record in page.records} == {"1003"}
            if page.next_cursor is None:
                break
            page = scoped.run(query.after(page.next_cursor)).page(300)
        assert len(seen) == len(set(seen)) == scoped.count(query) == 1_000


# -- the law ---------------------------------------------------------------------------------------------------

HIDE = ("charge", "provider_charge", "mos")
MASK = ("source",)
WITHOUT = frozenset({*HIDE, "extra"})
COVERED = frozenset({"source", "source_name", "recording"})


def as_seen(record: CallRecord) -> CallRecord:
    """Return *record* as the viewer sees it: in plain Python, letter by letter."""
    hidden: dict[str, Any] = dict.fromkeys(WITHOUT)
    found = attrs.evolve(record, **hidden)
    for name in COVERED:
        text = getattr(record, name)
        if text is None:
            continue
        canonical = normalize_number(text, "GB")
        digits = canonical.removeprefix("+")
        plain = name == "source" and digits.isascii() and digits.isdigit()
        seen = canonical[:-4] if plain else ""
        covered: dict[str, Any] = {name: seen + "****"}
        found = attrs.evolve(found, **covered)
    return found


def looks_behind(expr: Expr) -> bool:
    """Return whether a condition asks for what a mask covers."""
    parts = getattr(expr, "parts", None) or ([expr.inner] if hasattr(expr, "inner") else None)
    if parts:
        return any(looks_behind(part) for part in parts)
    if not field_names(expr) & COVERED or isinstance(expr, IsNull):
        return False
    return not isinstance(expr, NumberSearch) or any(
        search_pattern(text, "GB", expr.match).kind != "prefix" for text in expr.texts
    )


def named(query: Query) -> set[str]:
    """Return the fields that a query names."""
    asked = {name for condition in query.conditions for name in field_names(condition)}
    return asked | set(query.selected or ()) | {name for name, _ in query.order}


class TestLaw:
    """A query within a scope is the same query, over the tenant's calls only, as far as the viewer sees them."""

    @settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
    @given(
        records=st.lists(strategies.records(), max_size=20),
        query=strategies.queries(),
        page=st.integers(1, 4),
    )
    def test_run(self, records: list[CallRecord], query: Query, page: int) -> None:
        """What is refused is what names hidden fields or looks behind masks; all else is as in plain Python."""
        calls = list({(record.start, record.call_id): record for record in records}.values())
        made = cdrkit.open_store(f"memory://law-{time.monotonic_ns()}", region="GB")
        made.append(calls)
        scoped = made.scoped(
            customer_id=["1001", "1002"], hide=HIDE, mask=MASK, earliest=strategies.EPOCH + timedelta(hours=3)
        )
        now = strategies.EPOCH + timedelta(hours=40)
        if named(query) & WITHOUT:
            with pytest.raises(UnknownFieldError):
                scoped.run(query, now=now)
            return
        if any(map(looks_behind, query.conditions)) or {name for name, _ in query.order} & COVERED:
            with pytest.raises(ScopeError):
                scoped.run(query, now=now)
            return
        mine = [
            as_seen(record)
            for record in calls
            if record.customer_id in ("1001", "1002")
            and record.start >= strategies.EPOCH + timedelta(hours=3)
        ]
        expected = truth.run(query, mine, region="GB", now=now)
        result = scoped.run(query, now=now)
        assert list(result) == expected
        assert result.count() == scoped.count(query, now=now) == len(expected)
        assert sum(total.attempts for total in scoped.daily_totals(query, now=now)) == len(expected)
        columns = query.selected or tuple(name for name in FIELDS if name not in WITHOUT)
        assert result.to_polars().columns == list(columns)
        assert result.to_polars().height == len(expected)
        paged: list[CallRecord] = []
        cursor: str | None = None
        while True:
            found = scoped.run(query if cursor is None else query.after(cursor), now=now).page(page)
            paged += found.records
            cursor = found.next_cursor
            if cursor is None:
                break
        assert paged == expected
