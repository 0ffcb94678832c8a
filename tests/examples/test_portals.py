"""The example portals over HTTP: the pages of a tenant, streaming, and the isolation of tenants."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from urllib.parse import quote, urlencode

import pytest

from cdrkit import FIELDS, CallRecord, Expr, Query, field
from tests.examples.conftest import Work
from tests.examples.portal_servers import BULK_DAYS, HOSTILE, Portal


def where(condition: Expr) -> str:
    """Return a condition as a URL's parameter."""
    return "where=" + quote(json.dumps(condition.to_dict()))


class Page(HTMLParser):
    """What a browser reads in a page of calls."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.rows: list[list[str]] = []
        self.links: dict[str, str] = {}
        self.sounds: list[str] = []
        self.alert = self.status = ""
        self._link, self._into = "", ""
        self.feed(source)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self._into = "cell"
        elif tag == "a":
            self._link = found["href"] or ""
        elif tag == "audio":
            self.sounds.append(found["src"] or "")
        elif found.get("role") in ("alert", "status"):
            self._into = found["role"] or ""

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "p", "span"):
            self._into = ""
        elif tag == "a":
            self._link = ""

    def handle_data(self, data: str) -> None:
        if self._link:
            self.links[data.strip()] = self._link
        if self._into == "cell":
            self.rows[-1][-1] += data.strip()
        elif self._into == "alert":
            self.alert += data
        elif self._into == "status":
            self.status += data

    def column(self, label: str) -> list[str]:
        """Return the texts of a column."""
        at = self.rows[0].index(label)
        return [row[at] for row in self.rows[1:] if len(row) > 1]


def page_of(portal: Portal, path: str, viewer: str = "alice") -> Page:
    """Return a page that is shown."""
    answer = portal.get(path, viewer)
    assert answer.status == 200, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    return Page(answer.text)


def recent(portal: Portal, customer: str) -> list[CallRecord]:
    """Return a tenant's calls of the office, newest first; they are newer than the many others."""
    query = Query().customer(customer).between(datetime(2026, 11, 23, tzinfo=UTC), None).newest_first()
    return list(portal.store.run(query))


def walk(portal: Portal, path: str, viewer: str) -> list[str]:
    """Return the ids on all pages, following the link to the next one."""
    found: list[str] = []
    for _ in range(100):
        page = page_of(portal, path, viewer)
        found += page.column("Call ID")
        if "Next page" not in page.links:
            return found
        path = page.links["Next page"]
    raise AssertionError("there is no end of it")


class TestPages:
    """A tenant's own calls."""

    @pytest.mark.parametrize(("viewer", "status"), [("", 401), ("mallory", 401), ("alice", 200)])
    def test_who_is_let_in(self, portal: Portal, viewer: str, status: int) -> None:
        """Strangers are not."""
        for path in ("/", "/calls.csv?limit=1"):
            assert portal.get(path, viewer).status == status

    @pytest.mark.parametrize(("viewer", "customer"), [("alice", "1001"), ("bob", "1002")])
    def test_pages_are_all_calls_once(self, portal: Portal, viewer: str, customer: str) -> None:
        """Following the links shows each of the tenant's calls once, newest first, and nobody else's."""
        ids = walk(portal, "/?start=2026-11-23T00:00", viewer)
        assert ids == [call.call_id for call in recent(portal, customer)]
        assert len(ids) > 25

    def test_previous_pages_lead_back(self, portal: Portal) -> None:
        """From the last page, the links to the previous page show the pages of before in reverse."""
        first, path, pages = "/?start=2026-11-23T00:00", "/?start=2026-11-23T00:00", list[list[str]]()
        total = len(recent(portal, "1001"))
        while True:
            page = page_of(portal, path, "alice")
            pages.append(page.column("Call ID"))
            assert page.status == f"{len(pages[-1])} of {total} calls"
            if "Next page" not in page.links:
                break
            path = page.links["Next page"]
        assert len(pages) > 2
        assert "Previous page" not in page_of(portal, first, "alice").links
        for expected in reversed(pages[:-1]):
            page = page_of(portal, page.links["Previous page"], "alice")
            assert page.column("Call ID") == expected
            assert page.status == f"{len(expected)} of {total} calls"
        assert "Previous page" not in page.links

    def test_filters(self, portal: Portal) -> None:
        """The URL's filters are those of the form, with empty values where nothing was chosen."""
        form = {
            "during": "",
            "start": "2026-01-01T00:00",
            "end": "",
            "number": "+44 20 7946 0018",
            "role": "source",
        }
        found = walk(portal, "/?" + urlencode(form | {"connected": "1"}), "bob")
        query = Query().connected().number("02079460018", role="source")
        expected = portal.store.run(query.customer("1002").between("2026-01-01", None).newest_first())
        assert found == [call.call_id for call in expected]
        assert found

    def test_a_mistake_in_the_url(self, portal: Portal) -> None:
        """It is said in the page, with what is allowed."""
        answer = portal.get("/?during=last_seven_days")
        assert answer.status == 400
        assert "last_seven_days" in Page(answer.text).alert
        assert portal.get("/calls.csv?during=last_seven_days").status == 400

    def test_hostile_text(self, portal: Portal) -> None:
        """What a caller calls himself is text in the page, and so is what stands in the URL."""
        page = page_of(portal, "/?" + where(field("call_id") == "hostile"))
        assert page.column("Source Name") == [HOSTILE]
        answer = portal.get("/?number=" + quote(f'"><{HOSTILE}') + "&during=" + quote(HOSTILE))
        assert "script" not in Page(answer.text).tags | page.tags
        assert html.escape(HOSTILE) in answer.text

    def test_headers(self, portal: Portal) -> None:
        """Answers are kept out of caches, and foreign content out of pages."""
        for path in ("/", "/calls.csv?limit=1", "/?during=x"):
            headers = portal.get(path).headers
            assert headers["cache-control"] == "no-store"
            assert headers["content-security-policy"].startswith("default-src 'none'")
            assert headers["x-content-type-options"] == "nosniff"


class TestZone:
    """The zone that a viewer chooses."""

    def test_it_is_remembered_per_viewer(self, portal: Portal) -> None:
        """Times and dates are those of the zone from then on, for this viewer alone, and not in the CSV."""
        try:
            answer = portal.get("/settings", "bob", method="POST", body="timezone=Asia%2FKolkata")
            assert (answer.status, answer.headers["location"]) == (303, "/")
            times = page_of(portal, "/", "bob").column("Call Time")
            assert all(text.endswith("+05:30") for text in times)
            assert all(text.endswith("+00:00") for text in page_of(portal, "/", "alice").column("Call Time"))
            assert portal.display.get("bob").timezone == "Asia/Kolkata"
            found = walk(portal, "/?start=2026-11-24T05:30", "bob")
            query = Query().customer("1002").between("2026-11-24", None).newest_first()
            assert found == [call.call_id for call in portal.store.run(query)]
            assert b"Z," in portal.get("/calls.csv?limit=1", "bob").body
        finally:
            portal.display.forget("bob")

    def test_a_zone_that_is_none(self, portal: Portal) -> None:
        """It is refused with a hint, and nothing is remembered."""
        answer = portal.get("/settings", method="POST", body="timezone=London")
        assert answer.status == 400
        assert "Did you mean 'Europe/London'?" in Page(answer.text).alert
        assert portal.display.get("alice").timezone == "UTC"

    def test_a_form_of_somebody_elses(self, portal: Portal) -> None:
        """A foreign page cannot change it."""
        options = {"method": "POST", "body": "timezone=Asia%2FTokyo", "Sec_Fetch_Site": "cross-site"}
        assert portal.get("/settings", **options).status == 403
        assert portal.display.get("alice").timezone == "UTC"


class TestCsv:
    """The CSV, which streams."""

    def test_it_is_the_tenants(self, portal: Portal) -> None:
        """It has the calls of the URL's query, in UTC, with labels."""
        answer = portal.get("/calls.csv?start=2026-11-23T00:00", "bob")
        assert answer.headers["content-type"].startswith("text/csv")
        assert "attachment" in answer.headers["content-disposition"]
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert [row["Call ID"] for row in rows] == [call.call_id for call in recent(portal, "1002")]
        assert all(re.fullmatch(r"\S+T\d\d:\d\d:\d\dZ", row["Call Time"]) for row in rows)

    def test_the_first_bytes_leave_before_the_last_are_read(self, portal: Portal, work: Work) -> None:
        """With the first byte here, some days have been read; with the last one, all of them."""
        connection, response = portal.open("/calls.csv?" + WIDE)
        assert response.read(1) == b"C"
        assert work.settled() < BULK_DAYS * 0.75
        assert work.ended == 0
        rest = response.read()
        connection.close()
        assert len(rest) > 30_000_000
        assert work.settled() >= BULK_DAYS
        work.wait_for_the_end()

    def test_what_nobody_reads_is_not_made(self, portal: Portal, work: Work) -> None:
        """Memory is flat: what is made ahead of a slow client is bounded, wherever in the answer it is."""
        connection, response = portal.open("/calls.csv?" + WIDE)
        response.read(1)
        first = work.settled()
        response.read(8_000_000)
        second = work.settled()
        response.close()
        connection.close()
        work.wait_for_the_end()
        assert 0 < first <= second < BULK_DAYS

    def test_a_client_that_goes_away_ends_the_work(self, portal: Portal, work: Work) -> None:
        """When it hangs up, the answer is given up, nothing more is read, and others are served."""
        connection, response = portal.open("/calls.csv?" + WIDE)
        response.read(1)
        before = work.settled()
        assert work.ended == 0
        response.close()
        connection.close()
        work.wait_for_the_end()
        assert work.settled() <= before + 1
        assert portal.get("/recordings/none").status == 403


HIDDEN = ["provider_id", "provider_charge", "source_ip", "extra"]
#: So much that no buffer on the way holds all of it.
WIDE = urlencode({"end": "2026-11-23T00:00", "columns": ",".join([*FIELDS][:14])})


class TestRecordings:
    """Recordings, with ranges."""

    @pytest.fixture
    def sound(self, portal: Portal) -> tuple[str, bytes]:
        """Return the path of one of alice's recordings, and its bytes."""
        path = "/?recording=1&connected=1"
        page = page_of(portal, path)
        call_id = page.column("Call ID")[0]
        (call,) = portal.store.run(Query().where(field("call_id") == call_id).limit(1))
        return page.sounds[0], portal.store.recording(call).read()

    def test_whole(self, portal: Portal, sound: tuple[str, bytes]) -> None:
        """Without a range all of it comes, and that ranges may be asked for."""
        answer = portal.get(sound[0])
        assert (answer.status, answer.body) == (200, sound[1])
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["content-type"] == "audio/wav"
        assert answer.headers["content-length"] == str(len(sound[1]))

    @pytest.mark.parametrize(
        ("asked", "start", "stop"), [("0-43", 0, 44), ("1000-", 1000, None), ("-8", -8, None)]
    )
    def test_a_range(
        self, portal: Portal, sound: tuple[str, bytes], asked: str, start: int, stop: int | None
    ) -> None:
        """A browser that seeks gets the piece that it wants."""
        answer = portal.get(sound[0], Range=f"bytes={asked}")
        assert (answer.status, answer.body) == (206, sound[1][start:stop])
        assert answer.headers["content-range"].endswith(f"/{len(sound[1])}")

    def test_behind_the_end(self, portal: Portal, sound: tuple[str, bytes]) -> None:
        """A range behind the end cannot be satisfied."""
        answer = portal.get(sound[0], Range="bytes=99999999-")
        assert (answer.status, answer.body) == (416, b"")
        assert answer.headers["content-range"] == f"bytes */{len(sound[1])}"


class TestCrossing:
    """Law: nothing that a tenant sends shows a call, a field or a count of what is not theirs."""

    @pytest.mark.parametrize(
        "params",
        [
            "customer=1001",
            "customer=1001&customer=1002",
            "customer=1002&customer=1001&connected=1",
            where(field("customer_id") == "1001"),
            where((field("customer_id") == "1001") | (field("call_id") != "")),
            where(~(field("customer_id") == "1002")),
            "columns=call_id,customer_id",
            "order=customer_id",
        ],
    )
    def test_filters_cannot_widen(self, portal: Portal, params: str) -> None:
        """Whatever is filtered for, what comes is the tenant's, on the page and in the CSV."""
        own = {call.call_id for call in portal.store.run(Query().customer("1002"))}
        answer = portal.get(f"/?{params}", "bob")
        if answer.status == 200:
            page = Page(answer.text)
            assert set(page.column("Call ID")) <= own
            rows = csv.DictReader(io.StringIO(portal.get(f"/calls.csv?{params}&limit=5000", "bob").text))
            assert {row["Call ID"] for row in rows} <= own
        else:
            assert answer.status == 400
            assert len(Page(answer.text).rows) == 2

    @pytest.mark.parametrize("name", HIDDEN)
    def test_hidden_fields_are_unknown(self, portal: Portal, name: str) -> None:
        """A hidden field is refused like one that does not exist, wherever it is named; no message lists it."""
        condition = where(field("codec").is_null()).replace("codec", "NAME")
        for params in ("columns=NAME", "order=NAME", "order=-NAME", condition):
            answers = [portal.get("/?" + params.replace("NAME", each)) for each in (name, "no_such_field")]
            for answer, each in zip(answers, (name, "no_such_field"), strict=True):
                assert answer.status == 400
                said = Page(answer.text).alert
                assert f"Unknown field '{each}'" in said
                assert not [other for other in HIDDEN if re.search(rf"\b{other}\b", said.replace(each, ""))]
            assert portal.get("/calls.csv?" + params.replace("NAME", name)).status == 400

    def test_a_cursor_of_the_others(self, portal: Portal) -> None:
        """A cursor is valid for its own viewer only."""
        next_page = page_of(portal, "/", "alice").links["Next page"]
        assert portal.get(next_page, "alice").status == 200
        answer = portal.get(next_page, "bob")
        assert answer.status == 400
        assert "cursor" in Page(answer.text).alert

    def test_a_recording_of_the_others(self, portal: Portal) -> None:
        """A token is valid for its own viewer only, unchanged; a path is not a token."""
        sound = page_of(portal, "/?recording=1", "alice").sounds[0]
        assert portal.get(sound, "alice").status == 200
        assert portal.get(sound, "").status == 401
        token = sound.rpartition("/")[2]
        call_id, _, seal = token.partition(".")
        others = page_of(portal, "/?recording=1", "bob").sounds[0].rpartition("/")[2]
        for wrong in (
            token[:-1] + ("A" if token[-1] != "A" else "B"),
            f"{call_id}.{others.partition('.')[2]}",
            f"{others.partition('.')[0]}.{seal}",
            f"{call_id}.",
            "..%2F..%2F..%2Fetc%2Fpasswd",
            "%2e%2e",
            "%00",
        ):
            assert portal.get(f"/recordings/{wrong}", "alice").status in (403, 404)
        answer = portal.get(sound, "bob")
        assert answer.status == 403
        assert answer.text == "Not allowed."

    def test_refusals_say_nothing(self, portal: Portal) -> None:
        """What is refused names no path, no other customer, and is the same for what exists and what does not."""
        sound = page_of(portal, "/?recording=1", "alice").sounds[0]
        real = portal.get(sound, "bob")
        made_up = portal.get("/recordings/bm9uZQ.x", "bob")
        assert (real.status, real.body) == (made_up.status, made_up.body)
        assert b"1001" not in real.body
