"""HTML that notebooks show: bounded tables of untrusted text, with labels and a time zone."""

from __future__ import annotations

import html
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrkit import CallRecord, Query, open_store
from cdrkit._maintenance.erasure import EraseReport
from cdrkit._maintenance.move_report import MoveReport
from cdrkit._maintenance.vacuum import VacuumReport
from cdrkit._maintenance.verification import VerifyReport
from cdrkit._text import escape_html, html_table, sanitize_text
from cdrkit.samples import write_office

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">&amp;\u202e\x1b[2J'
TAGS = {"div", "strong", "small", "table", "thead", "tbody", "tr", "th", "td", "br"}
TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=400)


class Reader(HTMLParser):
    """What a browser makes of HTML: tags, attributes, and the text of each cell."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.rows: list[list[str]] = []
        self.text = ""
        self._cell = False
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attributes)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
            self._cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("th", "td"):
            self._cell = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._cell:
            self.rows[-1][-1] += data


def read(value: Any) -> Reader:
    """Return the HTML of *value* as a notebook shows it, after a check that it is a plain table."""
    found = Reader(value._repr_html_())
    assert found.tags <= TAGS
    assert found.attributes <= {"style", "class", "scope"}
    return found


class TestEscaping:
    """Law: untrusted text is shown character by character, and has no effect."""

    @given(TEXT)
    def test_a_text_is_text(self, text: str) -> None:
        """A browser reads the text itself, what would steer it replaced, and no tag."""
        shown = Reader(f"<tr><td>{escape_html(text, 400)}</td></tr>")
        expected = sanitize_text(text).encode("utf-8", "replace").decode()
        assert shown.tags <= {"tr", "td"}
        assert shown.text == expected
        assert html.unescape(escape_html(text, 400)) == expected

    @given(st.lists(st.tuples(TEXT, TEXT), max_size=5))
    def test_a_table_keeps_its_shape(self, rows: list[tuple[str, str]]) -> None:
        """Whatever stands in the cells, there are as many as there were."""
        found = Reader(html_table(["a", "b"], rows, title=HOSTILE, note=HOSTILE))
        assert [len(row) for row in found.rows] == [2] * (len(rows) + 1)
        assert found.tags <= TAGS

    def test_long_texts_and_tables_are_cut(self) -> None:
        """A cell has at most 160 characters, a table at most 100 rows; it says how many there were."""
        found = Reader(html_table(["n"], [["x" * 5_000]] * 250))
        assert len(found.rows) == 101
        assert found.rows[1] == ["x" * 159 + "…"]
        assert "100 of 250 rows." in found.text


@pytest.fixture
def hostile(make_call: Callable[..., CallRecord]) -> CallRecord:
    """Return a call that says hostile things in every text field."""
    texts = dict.fromkeys(
        ("source_name", "destination", "release_reason", "sip_reason", "destination_name", "account"), HOSTILE
    )
    return make_call(call_id=HOSTILE, recording=HOSTILE, charge="1.5", currency="<b>", **texts)


class TestCalls:
    """Results and pages."""

    def test_labels_zone_and_offset(self, make_call: Callable[..., CallRecord]) -> None:
        """Columns have a portal's labels; instants their offset; the zone is named."""
        store = open_store("memory://html-labels")
        store.append([make_call(start=datetime(2026, 7, 1, 8, 30, tzinfo=UTC), duration=3_725)])
        calls = store.run(Query().columns("start", "source", "duration")).in_timezone("Europe/London")
        found = read(calls)
        assert found.rows == [
            ["Call Time", "Source Number", "Duration"],
            ["2026-07-01 09:30:00 +01:00", "+442079460018", "1:02:05"],
        ]
        assert "Times in Europe/London." in found.text
        assert read(calls.page(5)).rows == found.rows

    def test_hostile_text(self, hostile: CallRecord) -> None:
        """Every field of a hostile call is text."""
        store = open_store("memory://html-hostile")
        store.append([hostile])
        read(store.run())
        read(store.run().page(1))
        chosen = read(store.run(Query().columns("source_name", "currency")))
        assert chosen.rows[1] == [sanitize_text(HOSTILE), "<b>"]

    def test_many_calls(self, make_call: Callable[..., CallRecord]) -> None:
        """A result shows its first 20 calls, and says that there are more; a page all of its own."""
        store = open_store("memory://html-many")
        store.append(make_call() for _ in range(30))
        found = read(store.run())
        assert len(found.rows) == 21
        assert "The first 20 calls; there are more." in found.text
        assert "33 more columns." in found.text
        assert len(read(store.run().page(25)).rows) == 26
        assert "more." not in read(store.run(Query().limit(3))).text

    def test_no_calls(self) -> None:
        """An empty result says so."""
        assert "No calls match." in read(open_store("memory://html-none").run()).text


class TestStore:
    """The store, its totals, its archive."""

    def test_a_store(self, hostile: CallRecord) -> None:
        """It says where it is, how much is in it, and from when."""
        store = open_store("memory://html-store<b>", region="GB")
        assert "The first write creates it." in read(store).text
        store.append([hostile])
        rows = dict(read(store).rows)
        assert rows["Location"] == "memory://html-store<b>"
        assert (rows["Region"], rows["Calls, hot"], rows["Calls, warm"]) == ("GB", "1", "0")
        assert rows["First call"] == str(hostile.start)

    def test_totals(self, hostile: CallRecord) -> None:
        """A day is a row, in UTC; a currency a column."""
        store = open_store("memory://html-totals")
        store.append([hostile])
        totals = store.daily_totals()
        found = read(totals)
        assert found.rows[0][:2] == ["Day (UTC)", "Attempts"]
        assert found.rows[1][:3] == [str(hostile.start.date()), "1", "1"]
        assert found.rows[0][-1] == "Charge <b>"
        assert dict(read(totals[0]).rows)["Charges"] == "<b> 1.500000"

    def test_warm_months(self, hostile: CallRecord) -> None:
        """Warm months are listed."""
        store = open_store("memory://html-warm")
        store.append([hostile])
        assert "No month is warm yet." in read(store.archive).text
        store.maintenance.move_to_warm(now=datetime(2027, 6, 1, tzinfo=UTC))
        assert read(store.archive).rows[1][:3] == ["2026-11", "1", "1"]


class TestReports:
    """Reports of what was done."""

    def test_an_ingest(self, tmp_path: Path) -> None:
        """Counts, and the first rows that were refused, with what stood in them as text."""
        office = write_office(tmp_path / "office", calls=20)
        path = tmp_path / "<b>.csv"
        path.write_bytes(Path(office.master).read_bytes() + b"<script>,1\n" * 7)
        report = open_store("memory://html-ingest").ingest(
            path, format="asterisk-csv", timezone="Europe/London", recording_column="userfield"
        )
        found = dict(read(report).rows)
        assert (found["Read"], found["Added"], found["Rejected"]) == ("27", "20", "7")
        assert found["Source"].endswith("<b>.csv")
        assert "row 21:" in found["Rejects"]
        assert "… and 2 more" in found["Rejects"]

    def test_an_append(self, make_call: Callable[..., CallRecord]) -> None:
        """Conflicts are named by call and field."""
        store = open_store("memory://html-append")
        call = make_call(call_id="<i>")
        store.append([call])
        report = store.append([attrs.evolve(call, duration=35)])
        assert dict(read(report).rows)["Conflicting"] == f"<i> at {call.start:%Y-%m-%dT%H:%M:%SZ}: duration"

    @pytest.mark.parametrize(
        "report",
        [
            EraseReport(rows=1_234, dry_run=True),
            MoveReport(rows=5, months=("2026-08", "<b>")),
            VacuumReport(segments=3),
            VerifyReport(version=7, segments=1, rows=2, problems=("<b> is damaged",) * 9),
        ],
        ids=lambda report: type(report).__name__,
    )
    def test_every_attribute_is_there(self, report: attrs.AttrsInstance) -> None:
        """What a report is made of stands in it, a line each."""
        made_of = {a.name.replace("_", " ").capitalize() for a in attrs.fields(type(report))}
        assert made_of <= {row[0] for row in read(report).rows}


class TestRecording:
    """Recordings."""

    def test_facts_without_the_sound(self, tmp_path: Path) -> None:
        """Format, size and length are shown; neither the sound nor where it lies: that is asked for."""
        office = write_office(tmp_path / "office", calls=60)
        store = open_store("memory://html-sound", recordings=f"{office.recordings}/{{recording}}")
        store.ingest(
            office.master, format="asterisk-csv", timezone="Europe/London", recording_column="userfield"
        )
        call = next(iter(store.run(Query().has_recording())))
        recording = store.recording(call)
        found = read(recording)
        facts = dict(found.rows)
        assert facts["Format"] == "wav"
        assert facts["Bytes"] == f"{recording.size_bytes:,}"
        assert facts["Duration"] == f"{recording.duration:.1f} s"
        assert str(tmp_path) not in found.text
        Path(recording.location).unlink()
        assert "The file does not exist." in read(store.recording(call)).text
