"""The viewer of a result: its output, its commands, and its answers to invalid messages."""

from __future__ import annotations

import importlib.resources
import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from comm.base_comm import BaseComm
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdrkit import FIELDS, CallRecord, Query, Result, Store, open_store
from cdrkit.errors import ConfigError, QueryError, UnknownFieldError
from cdrkit.samples import synthesize_calls, write_office
from cdrkit.viewer.state import CallsView
from cdrkit.viewer.widget import Viewer

FIRST = datetime(2026, 11, 22, 9, tzinfo=UTC)
ROLES = ("source", "destination")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a store of 60 calls a minute apart, every third not connected, some of them with a recording."""
    folder = tmp_path_factory.mktemp("viewer")
    (folder / "rec").mkdir()
    (folder / "rec" / "3.wav").write_bytes(b"RIFF" + bytes(range(256)) * 9_000)
    store = open_store("memory://viewer", region="GB", recordings=f"{folder}/rec/{{recording}}")
    store.append(
        CallRecord(
            call_id=f"{number:02}",
            start=FIRST + timedelta(minutes=number),
            source="+442079460018" if number % 4 == 0 else f"0161496{number:04}",
            destination="020 7946 0018" if number % 5 == 0 else "+12125550100",
            duration=0 if number % 3 == 0 else number,
            customer_id=str(1001 + number % 2),
            recording=f"{number}.wav" if number in (3, 7) else None,
            charge=Decimal(f"{number}.25"),
        )
        for number in range(60)
    )
    return store


def view_of(result: Result, **given: Any) -> CallsView[Result]:
    """Return the state of a viewer of *result*."""
    return result.viewer(**given)._view


def do(view: CallsView[Result], name: str, **given: Any) -> dict[str, Any]:
    """Run a command that succeeds."""
    shown, transfer = view.handle({"do": name, **given})
    assert shown["error"] == ""
    assert transfer is None
    return shown


def ids(shown: dict[str, Any]) -> list[str]:
    """Return the call ids of the rows, which are the first column."""
    return [row["text"][0] for row in shown["rows"]]


def walk(view: CallsView[Result]) -> list[str]:
    """Return the call ids of every page, turning from the first to the last."""
    shown = do(view, "page", to="first")
    found = ids(shown)
    while shown["has_next"]:
        shown = do(view, "page", to="next")
        found += ids(shown)
    return found


class TestShown:
    """What the browser is given."""

    def test_texts_and_raw_values(self, store: Store) -> None:
        """A cell has a display text and a value; a column has its label."""
        result = store.run(Query().columns("start", "duration", "charge", "codec").limit(2)).in_timezone(
            "Asia/Tokyo"
        )
        shown = view_of(result).state()
        assert [column["label"] for column in shown["columns"]] == [
            "Call Time",
            "Duration",
            "Charge",
            "Codec",
        ]
        assert [column["kind"] for column in shown["columns"]] == ["time", "number", "number", "text"]
        assert shown["rows"][1]["text"] == ["2026-11-22 18:01:00 +09:00", "0:00:01", "1.25", ""]
        assert shown["rows"][1]["raw"] == ["2026-11-22T09:01:00Z", 1, "1.250000", None]
        assert (shown["timezone"], shown["total"], shown["first"]) == ("Asia/Tokyo", 2, 1)

    def test_it_is_json(self, store: Store) -> None:
        """All of it goes through JSON unchanged, every field included."""
        view = view_of(store.run(), columns=FIELDS)
        for part in (view.state(), view.choices()):
            assert json.loads(json.dumps(part)) == part

    def test_choices(self, store: Store) -> None:
        """There are all fields, zones and presets to choose from, and each works."""
        view = view_of(store.run())
        choices = view.choices()
        assert [item["name"] for item in choices["fields"]] == list(FIELDS)
        assert {"UTC", "Europe/London", "Pacific/Auckland"} <= set(choices["zones"])
        for name, _ in choices["periods"]:
            do(view, "filter", filters={"during": name})

    def test_where_it_begins(self, store: Store) -> None:
        """Columns are those of the query, or a portal's; the order is that of the query."""
        shown = view_of(store.run(Query().newest_first())).state()
        assert [column["name"] for column in shown["columns"]][:3] == ["start", "source", "destination"]
        assert shown["order"] == ["-start"]
        assert view_of(store.run(Query().columns("did"))).settings.columns == ("did",)
        assert view_of(store.run(), columns=["codec"], page_size=7).settings.page_size == 7

    @pytest.mark.parametrize(
        ("given", "error"),
        [({"page_size": 0}, ConfigError), ({"columns": ["no_such_field"]}, UnknownFieldError)],
    )
    def test_bad_beginnings(self, store: Store, given: dict[str, Any], error: type[Exception]) -> None:
        """An unknown column, or a page of no calls, is an error at once."""
        with pytest.raises(error):
            store.run().viewer(**given)

    def test_a_page_is_no_beginning(self, store: Store) -> None:
        """A query that goes on behind a page has no first page to show."""
        cursor = store.run().page(5).next_cursor
        assert cursor is not None
        with pytest.raises(QueryError, match="Remove after"):
            store.run(Query().after(cursor)).viewer()


class TestCommands:
    """Each command, against a plain-Python truth."""

    @pytest.mark.parametrize("size", [1, 7, 25, 60, 1_000])
    def test_pages(self, store: Store, size: int) -> None:
        """The pages are all calls once, in order, whatever their length; and they turn back."""
        view = view_of(store.run(Query().columns("call_id")), page_size=size)
        assert walk(view) == [f"{number:02}" for number in range(60)]
        last = view.state()
        if last["has_previous"]:
            before = do(view, "page", to="previous")
            assert before["first"] == last["first"] - size
            assert ids(do(view, "page", to="next")) == ids(last)

    @pytest.mark.parametrize("connected", [True, False])
    @pytest.mark.parametrize("role", [None, "source", "destination"])
    @pytest.mark.parametrize("number", ["", "020 7946 0018", "0161496*"])
    def test_filters(self, store: Store, connected: bool, role: str | None, number: str) -> None:
        """Connected only, and a number in either role, however written."""
        form = {"connected": "1" if connected else "", "number": number, "role": role or ""}
        view = view_of(store.run(Query().columns("call_id")), page_size=9)
        shown = do(view, "filter", filters=form)
        prefix = number.rstrip("*").replace(" ", "")

        def same(text: str | None) -> bool:
            plain = (text or "").replace(" ", "").replace("+44", "0")
            return plain.startswith(prefix) if "*" in number else plain == prefix

        expected = [
            call.call_id
            for call in store.run()
            if (not connected or (call.duration or 0) > 0)
            and (not number or any(same(getattr(call, name)) for name in ((role,) if role else ROLES)))
        ]
        assert walk(view) == expected
        assert shown["total"] == len(expected)
        assert shown["filters"] == {name: value for name, value in form.items() if value}

    @given(
        st.sampled_from(["UTC", "Europe/London", "Asia/Kathmandu"]), st.integers(0, 70), st.integers(0, 70)
    )
    @settings(max_examples=25)
    def test_ranges(self, store: Store, zone: str, low: int, high: int) -> None:
        """A range is in the zone that is shown, from its first minute up to and without its last."""
        low, high = sorted((low, high))
        local = [(FIRST + timedelta(minutes=m)).astimezone(ZoneInfo(zone)) for m in (low, high)]
        view = view_of(store.run(Query().columns("call_id")))
        do(view, "zone", timezone=zone)
        form = {"start": f"{local[0]:%Y-%m-%dT%H:%M}", "end": f"{local[1]:%Y-%m-%dT%H:%M}"}
        do(view, "filter", filters=form)
        assert walk(view) == [f"{number:02}" for number in range(low, min(high, 60))]

    def test_a_period(self, store: Store) -> None:
        """A preset is resolved at the moment of the result."""
        now = FIRST + timedelta(minutes=30)
        view = view_of(store.run(Query().columns("call_id"), now=now))
        do(view, "filter", filters={"during": "today"})
        assert len(walk(view)) == 60
        do(view, "filter", filters={"during": "last_7_days", "connected": "1"})
        assert len(walk(view)) == 40
        do(view, "filter", filters={"during": "yesterday"})
        assert walk(view) == []

    def test_sorting(self, store: Store) -> None:
        """A column sorts, and sorts the other way at the second time; the total stays."""
        view = view_of(store.run(Query().columns("call_id", "duration")), page_size=11)
        calls = sorted(store.run(), key=lambda call: (call.duration, call.start))
        assert do(view, "sort", field="duration")["order"] == ["duration"]
        assert walk(view) == [call.call_id for call in calls]
        shown = do(view, "sort", field="duration")
        assert (shown["order"], shown["total"]) == (["-duration"], 60)
        assert walk(view)[:3] == ["59", "58", "56"]

    def test_columns_zone_and_size(self, store: Store) -> None:
        """What is shown changes; which calls there are does not."""
        view = view_of(store.run())
        shown = do(view, "columns", columns=["codec", "start"])
        assert [column["name"] for column in shown["columns"]] == ["codec", "start"]
        shown = do(view, "zone", timezone="america/new_york")
        assert shown["rows"][0]["text"][1] == "2026-11-22 04:00:00 -05:00"
        shown = do(view, "size", page_size=10)
        assert (len(shown["rows"]), shown["total"], shown["page_size"]) == (10, 60, 10)

    def test_query_and_result_can_be_taken_on(self, store: Store) -> None:
        """What is shown, on all its pages, is a query and a result."""
        viewer = store.run(Query().customer("1001").columns("call_id")).viewer(page_size=5)
        do(viewer._view, "filter", filters={"connected": "1"})
        do(viewer._view, "sort", field="start")
        do(viewer._view, "zone", timezone="Asia/Tokyo")
        expected = walk(viewer._view)
        assert viewer.query == Query().customer("1001").connected().columns("call_id").newest_first()
        assert viewer.result.to_polars()["call_id"].to_list() == expected
        assert viewer.result.timezone == viewer.settings.timezone == "Asia/Tokyo"


class TestWithin:
    """Law: a viewer narrows its result; it never shows what is not in it."""

    @given(st.data())
    @settings(max_examples=40)
    def test_it_cannot_be_widened(self, store: Store, data: st.DataObject) -> None:
        """Whatever is filtered for, the first query's conditions hold."""
        base = Query().customer("1001").between(FIRST, FIRST + timedelta(minutes=40)).columns("call_id")
        form = {
            "connected": data.draw(st.sampled_from(["", "0", "1"])),
            "start": data.draw(st.sampled_from(["", "any", "2026-01-01", "2026-11-22T09:20"])),
            "number": data.draw(st.sampled_from(["", "*", "020*", "*0018"])),
        }
        view = view_of(store.run(base))
        view.handle({"do": "filter", "filters": form})
        assert set(walk(view)) <= {call.call_id for call in store.run(base)}

    def test_at_the_version_of_the_result(self, make_call: Callable[..., CallRecord]) -> None:
        """Calls that arrive later are not in it, whatever is filtered for."""
        store = open_store("memory://viewer-version")
        store.append([make_call(), make_call()])
        view = view_of(store.run())
        store.append([make_call()])
        assert do(view, "filter", filters={"connected": "1"})["total"] == 2
        assert do(view, "sort", field="source")["total"] == 2
        assert view_of(store.run()).state()["total"] == 3

    def test_a_limit_holds_for_all_pages(self, store: Store) -> None:
        """A limited result stays limited."""
        view = view_of(store.run(Query().columns("call_id").limit(12)), page_size=5)
        assert len(walk(view)) == 12
        do(view, "sort", field="start")
        assert len(walk(view)) == 12


class TestScope:
    """A viewer within a scope keeps to it."""

    def test_hidden_fields_and_other_tenants(self, store: Store) -> None:
        """A hidden field is neither offered, nor sorted by, nor shown; calls are the tenant's."""
        heard: list[Any] = []
        scoped = store.scoped(
            customer_id="1001", hide=["charge"], recordings=["play"], viewer="ann", audit=heard.append
        )
        view = view_of(scoped.run(Query().newest_first()), page_size=50)
        assert "charge" not in [item["name"] for item in view.choices()["fields"]]
        assert "charge" not in view.settings.columns
        for command in (
            {"do": "sort", "field": "charge"},
            {"do": "columns", "columns": ["start", "charge"]},
        ):
            assert view.handle(command)[0]["error"].startswith("Unknown field 'charge'")
        do(view, "columns", columns=["call_id"])
        assert sorted(walk(view)) == [f"{number:02}" for number in range(0, 60, 2)]
        assert heard == []

    def test_what_leaves_is_heard(self, store: Store) -> None:
        """A CSV and a recording notify the audit function once each; without the right there is no sound."""
        heard: list[Any] = []
        options: dict[str, Any] = {"customer_id": "1002", "viewer": "ann", "audit": heard.append}
        view = view_of(store.scoped(**options, recordings=["play"]).run(Query().has_recording()))
        shown = view.state()
        _, sound = view.handle({"do": "play", "row": 0, "turn": shown["turn"]})
        _, csv = view.handle({"do": "csv"})
        assert sound is not None
        assert csv is not None
        assert len(b"".join(sound.pieces)) == 4 + 256 * 9_000
        assert [(access.action, access.call_id) for access in heard] == [("play", "03"), ("export", None)]
        silent = view_of(store.scoped(**options).run(Query().has_recording()))
        assert [row["sound"] for row in silent.state()["rows"]] == [False, False]


BAD: list[Any] = [
    None,
    5,
    "csv",
    [],
    {},
    {"do": None},
    {"do": ["csv"]},
    {"do": "drop"},
    {"do": "csv", "path": "/etc/passwd"},
    {"do": "filter"},
    {"do": "filter", "filters": ["connected"]},
    {"do": "filter", "filters": {"connected": "perhaps"}},
    {"do": "filter", "filters": {"connected": True}},
    {"do": "filter", "filters": {"during": "last_0_days"}},
    {"do": "filter", "filters": {"during": "<script>"}},
    {"do": "filter", "filters": {"start": "yesterday"}},
    {"do": "filter", "filters": {"start": "2026-11-23", "end": "2026-11-22"}},
    {"do": "filter", "filters": {"number": "+", "role": "both"}},
    {"do": "filter", "filters": {"number": ["020", "030"]}},
    {"do": "filter", "filters": {"where": "{}"}},
    {"do": "filter", "filters": {"limit": "5"}},
    {"do": "filter", "filters": {"cursor": "x"}},
    {"do": "filter", "filters": {"timezone": "UTC"}},
    {"do": "filter", "filters": {3: "x"}},
    {"do": "sort"},
    {"do": "sort", "field": "-start"},
    {"do": "sort", "field": 3},
    {"do": "sort", "field": ["start"]},
    {"do": "columns"},
    {"do": "columns", "columns": []},
    {"do": "columns", "columns": "start"},
    {"do": "columns", "columns": ["start", "start"]},
    {"do": "columns", "columns": ["__class__"]},
    {"do": "columns", "columns": [["start"]]},
    {"do": "zone", "timezone": "Mars/Olympus"},
    {"do": "zone", "timezone": None},
    {"do": "zone", "timezone": "../../etc/passwd"},
    {"do": "size", "page_size": 0},
    {"do": "size", "page_size": 10**9},
    {"do": "size", "page_size": "25"},
    {"do": "size", "page_size": True},
    {"do": "size", "page_size": 2.5},
    {"do": "page", "to": "last"},
    {"do": "page", "to": 7},
    {"do": "page", "to": []},
    {"do": "play", "row": 99, "turn": 1},
    {"do": "play", "row": -1, "turn": 1},
    {"do": "play", "row": "0", "turn": 1},
    {"do": "play", "row": 0, "turn": 0},
    {"do": "play"},
]


class TestBadCommands:
    """Law: what cannot be done leaves everything as it was, and says why."""

    @pytest.mark.parametrize("command", BAD, ids=str)
    def test_each(self, store: Store, command: Any) -> None:
        """The page stays, the message is a sentence."""
        view = view_of(store.run())
        do(view, "filter", filters={"connected": "1"})
        before = do(view, "page", to="next")
        shown, transfer = view.handle(command)
        assert transfer is None
        assert len(shown["error"]) > 10
        assert "Traceback" not in shown["error"]
        assert shown | {"error": "", "answer": 0} == before | {"answer": 0}

    @given(
        st.dictionaries(
            st.sampled_from(
                ["do", "filters", "field", "columns", "timezone", "page_size", "to", "row", "turn"]
            ),
            st.recursive(
                st.none()
                | st.booleans()
                | st.integers()
                | st.floats()
                | st.text(max_size=8)
                | st.sampled_from(
                    [
                        "filter",
                        "sort",
                        "columns",
                        "zone",
                        "size",
                        "page",
                        "play",
                        "csv",
                        "next",
                        "start",
                        "UTC",
                    ]
                ),
                lambda inner: (
                    st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
                ),
                max_leaves=6,
            ),
        )
    )
    @settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
    def test_any(self, store: Store, command: dict[str, Any]) -> None:
        """Whatever JSON a browser may send, there is an answer that is JSON, and the viewer still works."""
        view = view_of(store.run(Query().columns("call_id")))
        shown, _ = view.handle(command)
        json.dumps(shown)
        assert view.handle({"do": "page", "to": "first"})[0]["error"] == ""

    def test_the_last_page(self, store: Store) -> None:
        """There is no page behind the last one, and none before the first."""
        view = view_of(store.run(), page_size=60)
        assert view.handle({"do": "page", "to": "next"})[0]["error"] == "This is already the last page."
        assert do(view, "page", to="previous")["first"] == 1


class TestFiles:
    """A CSV of what is shown, and the sound of a recording."""

    def test_csv(self, store: Store) -> None:
        """It is the CSV of all pages, in UTC, with the labels of the columns."""
        view = view_of(store.run(Query().columns("start", "source")).in_timezone("Asia/Tokyo"), page_size=5)
        do(view, "filter", filters={"connected": "1"})
        _, transfer = view.handle({"do": "csv"})
        assert transfer is not None
        assert (transfer.name, transfer.content_type, transfer.use) == ("calls.csv", "text/csv", "save")
        expected = store.run(Query().connected().columns("start", "source")).iter_csv(headers="labels")
        assert b"".join(transfer.pieces) == b"".join(expected)

    def test_too_many_calls(self) -> None:
        """What is too large for a browser is refused, with the line that writes it."""
        store = open_store("memory://viewer-many")
        store.append(synthesize_calls(100_001, days=2))
        view = view_of(store.run(Query().columns("start")))
        shown, transfer = view.handle({"do": "csv"})
        assert transfer is None
        assert "viewer.result.write_csv" in shown["error"]
        do(view, "filter", filters={"connected": "1"})
        assert view.handle({"do": "csv"})[1] is not None

    def test_sound(self, store: Store) -> None:
        """Rows that name a recording can be played; the bytes are those of the file."""
        view = view_of(store.run(Query().columns("call_id").has_recording()))
        shown = view.state()
        assert [row["sound"] for row in shown["rows"]] == [True, True]
        _, transfer = view.handle({"do": "play", "row": 0, "turn": shown["turn"]})
        assert transfer is not None
        assert (transfer.name, transfer.content_type, transfer.use) == ("03.wav", "audio/wav", "play")
        pieces = list(transfer.pieces)
        assert len(pieces) == 3
        assert b"".join(pieces) == b"RIFF" + bytes(range(256)) * 9_000

    def test_no_sound(self, store: Store) -> None:
        """A file that is not there is a message; a row that has turned into another is refused."""
        view = view_of(store.run(Query().columns("call_id").has_recording()))
        turn = view.state()["turn"]
        shown, transfer = view.handle({"do": "play", "row": 1, "turn": turn})
        assert transfer is None
        assert "does not exist" in shown["error"]
        do(view, "sort", field="start")
        shown, transfer = view.handle({"do": "play", "row": 0, "turn": turn})
        assert transfer is None
        assert "not on the current page" in shown["error"]


class Wire(BaseComm):
    """The browser's end of a widget: what was sent to it, and a way to answer."""

    sent: list[tuple[dict[str, Any], list[bytes]]]

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
    ) -> None:
        self.__dict__.setdefault("sent", []).append((data or {}, list(buffers or [])))

    def say(self, content: Any) -> list[tuple[dict[str, Any], list[bytes]]]:
        """Send a message of the front end's, and return what comes back."""
        self.sent = []
        self.handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})
        return self.sent


def wired(viewer: Viewer[Result]) -> Wire:
    """Return a wire to *viewer*."""
    wire = Wire(target_name="jupyter.widget")
    viewer.widget.comm = wire
    return wire


class TestWidget:
    """The viewer as Jupyter sees it, over the messages of its protocol."""

    def test_it_is_shown(self, store: Store) -> None:
        """It has a widget's view for a notebook, and text for everything else."""
        viewer = store.run(Query().connected()).viewer()
        bundle = viewer._repr_mimebundle_()
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        assert "application/vnd.jupyter.widget-view+json" in data
        assert repr(viewer) == f"<Viewer of {viewer.query!r}>"
        assert viewer.widget.view["total"] == 40

    def test_a_command_changes_what_is_shown(self, store: Store) -> None:
        """A command is answered by a new view, an error too, the same one twice as well."""
        viewer = store.run().viewer()
        wire = wired(viewer)
        for command, total in (
            ({"do": "filter", "filters": {"connected": "1"}}, 40),
            ({"do": "nothing"}, 40),
        ):
            for _ in range(2):
                (data, _), *_ = wire.say(command)
                assert data["state"]["view"]["total"] == total
        assert viewer.widget.view["error"]

    def test_a_file_goes_piece_by_piece(self, store: Store) -> None:
        """The browser requests each piece; the token names its file."""
        viewer = store.run(Query().has_recording()).viewer()
        wire = wired(viewer)
        answers = wire.say({"do": "play", "row": 0, "turn": viewer.widget.view["turn"], "token": "one"})
        assert answers[-1][0]["content"] == {
            "token": "one",
            "file": "03.wav",
            "type": "audio/wav",
            "use": "play",
        }
        found = b""
        for _ in itertools.count():
            ((data, buffers),) = wire.say({"do": "more", "token": "one"})
            if data["content"]["piece"] == "end":
                break
            assert data["content"] == {"token": "one", "piece": "more"}
            found += buffers[0]
        assert found == b"RIFF" + bytes(range(256)) * 9_000

    def test_a_second_file_ends_the_first(self, store: Store) -> None:
        """One file is sent at a time; a request for another file reports it as lost."""
        viewer = store.run(Query().has_recording()).viewer()
        wire = wired(viewer)
        wire.say({"do": "play", "row": 0, "turn": viewer.widget.view["turn"], "token": "one"})
        wire.say({"do": "csv", "token": "two"})
        assert wire.say({"do": "more", "token": "one"})[-1][0]["content"] == {"token": "one", "piece": "lost"}
        assert wire.say({"do": "more", "token": "two"})[-1][0]["content"] == {"token": "two", "piece": "more"}

    def test_a_file_that_goes_away_meanwhile(self, tmp_path: Path) -> None:
        """What cannot be read on is a message, not a traceback."""
        office = write_office(tmp_path / "office", calls=60)
        store = open_store("memory://viewer-away", recordings=f"{office.recordings}/{{recording}}")
        store.ingest(
            office.master, format="asterisk-csv", timezone="Europe/London", recording_column="userfield"
        )
        calls = store.run(Query().has_recording())
        viewer = calls.viewer()
        wire = wired(viewer)
        wire.say({"do": "play", "row": 0, "turn": viewer.widget.view["turn"], "token": "one"})
        Path(store.recording(next(iter(calls))).location).unlink()
        answers = wire.say({"do": "more", "token": "one"})
        assert answers[-1][0]["content"] == {"token": "one", "piece": "lost"}
        assert "does not exist" in viewer.widget.view["error"]


def test_the_front_end_puts_in_text_only() -> None:
    """Nothing in the front end makes HTML of data."""
    source = importlib.resources.files("cdrkit.viewer").joinpath("viewer.js").read_text()
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("):
        assert way not in source
