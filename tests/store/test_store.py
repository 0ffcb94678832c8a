"""The store end to end: a switch's file in; pages, tables, totals, CSV and recordings out."""

from __future__ import annotations

import csv
import gzip
import io
import os
import pickle
import stat
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrkit import FIELDS, SCHEMA, CallRecord, IngestReport, Query, Store, field, open_store
from cdrkit._ingest import Tally, ingest_inputs
from cdrkit._query import Cursor
from cdrkit.errors import (
    CdrError,
    ConfigError,
    NotFoundError,
    QueryError,
    RecordingNotFoundError,
    SchemaError,
    ScopeError,
    StorageError,
    UnknownFormatError,
)
from cdrkit.samples import write_office
from cdrkit.sources import Inputs, SourceBatch
from tests.strategies import queries, records

NOW = datetime(2026, 11, 23, tzinfo=UTC)


class TestAnyFilesystem:
    """The same behaviour on the local disk, in memory and on S3."""

    def test_append_and_ask(self, store: Store, make_call: Callable[..., CallRecord]) -> None:
        """What was appended is found; appending again adds nothing; replacing replaces."""
        calls = [make_call() for _ in range(30)]
        assert not store.exists
        assert store.append(calls).added == 30
        assert store.append(calls).duplicates == 30
        assert list(store.run()) == calls
        assert [call.call_id for call in store.run(Query().newest_first().limit(2))] == ["call-29", "call-28"]
        changed = CallRecord(call_id="call-3", start=calls[3].start, duration=99)
        assert store.append(changed, on_conflict="replace").replaced == 1
        assert list(store.run(Query().where(field("duration") == 99))) == [changed]
        assert store.count() == 30

    def test_another_process_would_see_it(self, place: Any, make_call: Callable[..., CallRecord]) -> None:
        """A store opened again on a URL finds the calls; one opened before finds later calls."""
        first, second = (open_store(place.url, storage_options=place.options) for _ in range(2))
        first.append(make_call())
        assert second.count() == 1
        second.append(make_call())
        assert first.count() == 2


class TestSwitchFile:
    """From Asterisk's Master.csv to calls."""

    def test_every_row_of_the_sample(self, samples: Path, tmp_path: Path) -> None:
        """218 rows are read; each is added, a duplicate or rejected; legs share a linked id; again adds nothing."""
        store = open_store(tmp_path, region="US")
        sample = samples / "asterisk" / "cdr.csv"
        rows = rows_of(sample)
        report = store.ingest(sample, format="asterisk-csv", timezone="America/New_York")
        assert report.read == 218 == len(rows)
        assert report.added + report.duplicates + report.rejected == 218
        assert (report.added, report.rejected, report.conflicts) == (len({tuple(row) for row in rows}), 0, 0)
        legs: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        for row in rows:
            legs[row[16]].add(tuple(row))
        found: dict[str | None, int] = defaultdict(int)
        for call in store.run():
            found[call.linked_id] += 1
        assert found == {unique: len(parts) for unique, parts in legs.items()}
        talked = sum(int(row[13]) for row in {tuple(row) for row in rows})
        assert sum(total.duration for total in store.daily_totals()) == talked
        again = store.ingest(sample, format="asterisk-csv", timezone="America/New_York")
        assert (again.added, again.duplicates) == (0, 218)

    def test_a_copy_that_grew(self, samples: Path, tmp_path: Path) -> None:
        """Ingesting a copy that grew by ten lines adds ten."""
        store = open_store(tmp_path / "store")
        master = tmp_path / "Master.csv"
        lines = (samples / "asterisk" / "cdr.csv").read_bytes().splitlines(keepends=True)
        master.write_bytes(b"".join(lines))
        before = store.ingest(master, format="asterisk-csv", timezone="America/New_York")
        new = [line.replace(b'"2017-', b'"2018-') for line in lines[:10]]
        assert len(set(new)) == 10
        with master.open("ab") as file:
            file.writelines(new)
        after = store.ingest(master, format="asterisk-csv", timezone="America/New_York")
        assert (after.added, after.read) == (10, 228)
        assert store.count() == before.added + 10

    def test_number_search_ignores_how_it_was_written(self, samples: Path, tmp_path: Path) -> None:
        """Any way to write a number of the sample finds the same calls."""
        store = open_store(tmp_path, region="US")
        store.ingest(samples / "asterisk" / "cdr.csv", format="asterisk-csv", timezone="America/New_York")
        rows = {tuple(row) for row in rows_of(samples / "asterisk" / "cdr.csv")}
        expected = sum("397-815-2211" in row[1:3] for row in rows)
        assert expected > 50
        for text in ("397-815-2211", "(397) 815 2211", "+1 397 815 2211", "13978152211", "3978152211"):
            assert store.count(Query().number(text)) == expected, text
        assert store.count(Query().number("397815*")) == sum(
            any(number.startswith("397-815") for number in row[1:3]) for row in rows
        )

    def test_office(self, tmp_path: Path) -> None:
        """A made-up office goes from file to CSV and recording."""
        office = write_office(tmp_path / "office", calls=400, now=NOW)
        store = open_store(
            tmp_path / "store", region="GB", recordings=os.path.join(office.recordings, "{recording}")
        )
        report = store.ingest(
            office.master, format="asterisk-csv", timezone="Europe/London", recording_column="userfield"
        )
        assert (report.read, report.rejected) == (office.calls, 0)
        assert report.added + report.duplicates == office.calls
        recorded = next(iter(store.run(Query().connected().has_recording().newest_first())))
        recording = store.recording(recorded)
        assert recording.exists
        assert recording.format == "wav"
        assert recorded.duration is not None
        assert recording.duration == pytest.approx(min(recorded.duration, 6), abs=0.1)
        copy = recording.download(tmp_path / "copy.wav")
        assert Path(copy).read_bytes() == recording.read()

    def test_rejects_can_be_corrected(self, tmp_path: Path, samples: Path) -> None:
        """Rejected rows are written out, corrected and ingested, and then the store is as if they had been right."""
        lines = (samples / "asterisk" / "smallcdr.csv").read_bytes().splitlines(keepends=True)
        broken = [
            line.replace(b"2017-06-2", b"2017-26-2") if n % 9 == 4 else line for n, line in enumerate(lines)
        ]
        assert broken != lines
        store = open_store(tmp_path / "store")
        report = store.ingest(b"".join(broken), format="asterisk-csv", timezone="America/New_York")
        assert report.rejected == sum(a != b for a, b in zip(lines, broken, strict=True))
        assert [reject.row for reject in report.rejects] == [
            n + 1 for n, line in enumerate(broken) if line != lines[n]
        ]
        assert report.write_rejects(tmp_path / "rejects.csv") == report.rejected
        listed = rows_of(tmp_path / "rejects.csv")
        assert listed[0] == ["row", "reason", "text"]
        assert [row[2].encode() for row in listed[1:]] == [
            line.rstrip(b"\r\n") for n, line in enumerate(broken) if line != lines[n]
        ]
        report.write_rejects(tmp_path / "raw.csv", raw=True)
        corrected = (tmp_path / "raw.csv").read_bytes().replace(b"2017-26-2", b"2017-06-2")
        store.ingest(corrected, format="asterisk-csv", timezone="America/New_York")
        right = open_store(tmp_path / "right")
        right.ingest(b"".join(lines), format="asterisk-csv", timezone="America/New_York")
        assert list(store.run()) == list(right.run())

    def test_a_callers_own_file_stays_open(self, samples: Path) -> None:
        """A file object is read and left open; progress is reported up to its end."""
        seen: list[tuple[int, int | None]] = []
        store = open_store("memory://own-file")
        sample = samples / "asterisk" / "cdr.csv"
        with sample.open("rb") as file:
            store.ingest(
                file, format="asterisk-csv", timezone="UTC", progress=lambda *args: seen.append(args)
            )
            assert not file.closed
        assert seen[-1][0] == sample.stat().st_size
        store.ingest(sample, format="asterisk-csv", timezone="UTC", progress=lambda *args: seen.append(args))
        assert seen[-1] == (sample.stat().st_size, sample.stat().st_size)


GOOD = (
    b'"","1","2","office","","SIP/a","SIP/b","Dial","","2026-11-22 09:00:00","2026-11-22 09:00:04",'
    b'"2026-11-22 09:00:38",38,34,"ANSWERED","DOCUMENTATION","1763802000.1",""\n'
)


class TestBadInput:
    """Bad input gets an error of the right class that says what, with which value, what to do; nothing is stored."""

    @pytest.mark.parametrize(
        ("data", "options", "error", "says"),
        [
            (GOOD, {"format": "asterix-csv"}, UnknownFormatError, "asterix-csv.*asterisk-csv"),
            (GOOD, {"timezone": None}, ConfigError, "timezone"),
            (GOOD, {"timezone": "Europe/Lundon"}, ConfigError, "Europe/Lundon.*Europe/London"),
            (GOOD, {"time_zone": "UTC"}, ConfigError, "time_zone"),
            (GOOD, {"on_reject": "ignore"}, ConfigError, "'report' or 'raise'"),
            (b"", {}, SchemaError, "empty"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", {}, SchemaError, "asterisk|Asterisk"),
            (b'{"calls": []}\n', {}, SchemaError, "Asterisk"),
            (b"a,b,c\n1,2,3\n", {}, SchemaError, "3"),
            (GOOD.replace(b',""\n', b"\n"), {}, ConfigError, "loguniqueid"),
            (GOOD + GOOD[:60], {"on_reject": "raise"}, SchemaError, "row 2.*still being written"),
            (GOOD + b"a,b\n", {"on_reject": "raise"}, SchemaError, "row 2.*2 columns"),
        ],
        ids=lambda value: value if isinstance(value, str) else None,
    )
    def test_ingest(self, data: bytes, options: dict[str, Any], error: type[CdrError], says: str) -> None:
        """What cannot be ingested is refused and leaves the store as it was."""
        store = open_store(f"memory://bad-{abs(hash((data, str(options))))}")
        settings = {"format": "asterisk-csv", "timezone": "UTC"} | options
        settings = {key: value for key, value in settings.items() if value is not None}
        with pytest.raises(error, match=f"(?s){says}"):
            store.ingest(data, **settings)
        assert not store.exists

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            (
                pl.DataFrame({"call_id": ["1"]}),
                r"a DataFrame already contains calls. Store it with append\(\)",
            ),
            ("Master.csv", r"Give format=, such as format='asterisk-csv'.*detect\(\)"),
        ],
    )
    def test_ingest_without_a_format(self, given: Any, says: str) -> None:
        """A table is refused with the method for it; a file needs its format."""
        with pytest.raises(ConfigError, match=says):
            open_store("memory://without-a-format").ingest(given)

    def test_torn_last_line_waits(self) -> None:
        """A file still being written gives its whole lines; the torn one is reported, and taken once it is whole."""
        store = open_store("memory://torn")
        second = GOOD.replace(b"09:00", b"09:10").replace(b".1", b".2")
        for cut in (1, 30, len(second) - 4, len(second) - 20):
            report = store.ingest(GOOD + second[:cut], format="asterisk-csv", timezone="UTC")
            assert (report.read, report.rejected) == (2, 1), cut
            assert "still being written" in report.rejects[0].reason
        assert store.count() == 1
        assert store.ingest(GOOD + second, format="asterisk-csv", timezone="UTC").added == 1

    def test_missing_file(self) -> None:
        """A file that is not there is named."""
        with pytest.raises(NotFoundError, match="nowhere.csv"):
            open_store("memory://missing").ingest("/nowhere.csv", format="asterisk-csv", timezone="UTC")
        with pytest.raises(ConfigError, match="mode 'rb'"):
            open_store("memory://missing").ingest(io.StringIO("x"), format="asterisk-csv", timezone="UTC")

    def test_queries(self, busy: Store) -> None:
        """A query that cannot be run says why."""
        page = busy.run(Query().newest_first()).page(1)
        assert page.next_cursor is not None
        with pytest.raises(QueryError, match="order"):
            busy.run(Query().order_by("charge").after(page.next_cursor))
        with pytest.raises(QueryError, match="time zone"):
            busy.run(now=datetime(2026, 1, 1))
        with pytest.raises(QueryError, match="not a Query"):
            busy.run("calls")  # type: ignore[arg-type]
        with pytest.raises(QueryError, match="100,000|100000"):
            busy.run().page(0)
        with pytest.raises(QueryError, match="is not a batch size"):
            busy.run().batches(0)
        with pytest.raises(ConfigError, match="Mars"):
            busy.run().in_timezone("Mars")

    @pytest.mark.parametrize(
        "options",
        [{}, {"url": "a", "hot": "b"}, {"url": "nope://x"}, {"url": "x", "region": "UK"}, {"url": ""}],
    )
    def test_stores_that_cannot_work(self, options: dict[str, Any]) -> None:
        """Opening a store with what cannot work is refused at once."""
        with pytest.raises(ConfigError):
            open_store(**options)

    def test_a_full_disk_under_a_csv(self, busy: Store) -> None:
        """A CSV that finds no room is an error, not a short file."""
        with open("/dev/full", "wb", buffering=0) as full, pytest.raises((StorageError, OSError)):
            busy.run().write_csv(full)

    def test_a_failed_csv_does_not_appear(self, busy: Store, tmp_path: Path) -> None:
        """A CSV whose folder cannot be made leaves nothing behind."""
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(StorageError):
            busy.run().write_csv(tmp_path / "file" / "calls.csv")

    def test_devices_and_pipes_are_not_replaced(self, busy: Store, tmp_path: Path) -> None:
        """What is no plain file keeps its place: a CSV for ``/dev/stdout``, by root, must not become it."""
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(StorageError, match="pipe is a device or a pipe"):
            busy.run().write_csv(tmp_path / "pipe")
        assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)
        assert os.listdir(tmp_path) == ["pipe"]

    def test_recordings(self, make_call: Callable[..., CallRecord], tmp_path: Path) -> None:
        """A call without recording, and a path that leaves the root, are refused."""
        store = open_store(tmp_path, recordings=f"{tmp_path}/rec/{{recording}}")
        with pytest.raises(RecordingNotFoundError):
            store.recording(make_call())
        with pytest.raises(RecordingNotFoundError):
            store.recording(make_call(recording="a.wav")).read()
        with pytest.raises(ScopeError):
            store.recording(make_call(recording="../../etc/passwd"))
        with pytest.raises(RecordingNotFoundError, match="recordings="):
            open_store(tmp_path).recording(make_call(recording="a.wav"))


class TestExits:
    """Every way out gives the same calls."""

    def test_tables(self, busy: Store) -> None:
        """Arrow, Polars, pandas, batches and iteration agree; types are those of SCHEMA."""
        query = Query().connected().newest_first().limit(500)
        result = busy.run(query, now=NOW)
        expected = list(result)
        table = result.to_arrow()
        assert table.schema.equals(SCHEMA)
        assert list(open_store_of(table).run(query)) == expected
        assert result.to_polars().height == result.count() == len(expected) == 500
        assert pa.Table.from_batches(list(result.batches(64))).num_rows == 500
        assert {batch.num_rows for batch in result.batches(64)} <= set(range(1, 65))
        frame = pytest.importorskip("pandas") and result.to_pandas()
        assert list(frame.columns) == list(FIELDS)
        assert frame["start"].dt.to_pydatetime().tolist() == [call.start for call in expected]
        assert busy.run(Query().limit(0)).to_arrow().schema.equals(SCHEMA)

    def test_columns_choose_and_order(self, busy: Store) -> None:
        """Tables and CSV have the chosen columns in their order; records stay whole."""
        result = busy.run(Query().columns("charge", "start").limit(3))
        assert result.to_arrow().column_names == ["charge", "start"]
        assert b"".join(result.iter_csv()).startswith(b"charge,start\r\n")
        assert all(call.call_id for call in result)

    def test_a_display_zone_changes_tables_only(self, busy: Store) -> None:
        """The same instants are shown in the zone; CSV and records stay in UTC."""
        plain = busy.run(Query().limit(50))
        shown = plain.in_timezone("Australia/Lord_Howe")
        assert shown.to_polars()["start"].dtype.time_zone == "Australia/Lord_Howe"  # type: ignore[attr-defined]
        assert shown.to_polars()["start"].to_list() == plain.to_polars()["start"].to_list()
        assert shown.to_arrow().schema.field("start").type == pa.timestamp("us", tz="Australia/Lord_Howe")
        assert b"".join(shown.iter_csv()) == b"".join(plain.iter_csv())
        assert list(shown) == list(plain)
        zone = ZoneInfo("Australia/Lord_Howe")
        for call, row in zip(plain, shown.page(50).rows(), strict=True):
            local = call.start.astimezone(zone).isoformat(sep=" ", timespec="seconds")
            assert row["start"] == f"{local[:19]} {local[19:]}"

    def test_a_result_keeps_to_its_version(self, make_call: Callable[..., CallRecord]) -> None:
        """A result gives the same calls however often it is used and whatever is appended meanwhile."""
        store = open_store("memory://version")
        store.append([make_call() for _ in range(3)])
        result = store.run()
        walk = iter(result)
        next(walk)
        store.append([make_call() for _ in range(3)])
        assert len(list(walk)) == 2
        assert result.count() == 3
        assert store.count() == 6

    def test_csv_destinations(self, busy: Store, tmp_path: Path) -> None:
        """A path, a URL, a file object and an iterator get the same bytes; suffixes compress."""
        result = busy.run(Query().connected())
        data = b"".join(result.iter_csv())
        assert result.write_csv(tmp_path / "calls.csv") == result.count()
        assert (tmp_path / "calls.csv").read_bytes() == data
        result.write_csv(tmp_path / "calls.csv.gz")
        assert gzip.decompress((tmp_path / "calls.csv.gz").read_bytes()) == data
        result.write_csv(tmp_path / "calls.csv.zst")
        assert pa.input_stream(str(tmp_path / "calls.csv.zst")).read() == data
        sink = io.BytesIO()
        result.write_csv(sink)
        assert sink.getvalue() == data
        assert b"".join(result.iter_csv(headers="labels")).startswith(b"Call ID,Linked ID,")

    @given(st.lists(records(), max_size=15), queries())
    def test_csv_read_back_equals_the_result(self, calls: list[CallRecord], query: Query) -> None:
        """A CSV without guard, read back by the standard library, holds every value of the result."""
        store = open_store_of(calls)
        result = store.run(query, now=NOW)
        header, *rows = csv.reader(io.StringIO(b"".join(result.iter_csv(guard=False)).decode(), newline=""))
        assert tuple(header) == result.columns
        assert [dict(zip(header, row, strict=True)) for row in rows] == [
            {name: as_text(getattr(call, name)) for name in header} for call in result
        ]


@pytest.mark.parametrize("zone", ["Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Tehran"])
@pytest.mark.parametrize(
    "change", [date(2026, 3, 29), date(2026, 10, 25), date(2026, 3, 8), date(2026, 11, 1), date(2026, 4, 5)]
)
def test_periods_across_clock_changes(zone: str, change: date) -> None:
    """On and around a change of clocks, presets and between() select the calls of the local days, by zoneinfo."""
    info = ZoneInfo(zone)
    start = datetime(change.year, change.month, change.day, tzinfo=UTC) - timedelta(days=3)
    calls = [CallRecord(call_id=str(n), start=start + timedelta(minutes=30 * n)) for n in range(6 * 48)]
    store = open_store_of(calls)
    now = datetime(change.year, change.month, change.day, 12, tzinfo=info).astimezone(UTC)
    local = {call.call_id: call.start.astimezone(info) for call in calls}

    def selected(query: Query) -> list[str]:
        return [call.call_id for call in store.run(query, now=now)]

    today, day = change, timedelta(days=1)
    for query, first, last in [
        (Query().during("today", zone), today, today),
        (Query().during("yesterday", zone), today - day, today - day),
        (Query().during("last_3_days", zone), today - 2 * day, today),
        (Query().between(change.isoformat(), (change + day).isoformat(), zone), today, today),
        (Query().between(change, change + 2 * day, zone), today, today + day),
    ]:
        assert selected(query) == [name for name, at in local.items() if first <= at.date() <= last]
    hours = len(selected(Query().during("today", zone))) / 2
    midnight = datetime(change.year, change.month, change.day, tzinfo=info)
    following = datetime.combine(change + day, datetime.min.time(), tzinfo=info)
    assert hours == (following.astimezone(UTC) - midnight.astimezone(UTC)) / timedelta(hours=1)


_made = iter(range(10**9))


def open_store_of(calls: Any) -> Store:
    """Return a store in memory that holds *calls*."""
    store = open_store(f"memory://made-{next(_made)}", region="GB")
    store.append(calls)
    return store


def rows_of(path: Path) -> list[list[str]]:
    """Return the rows of a CSV file, by the standard library."""
    return list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))


def as_text(value: Any) -> str:
    """Return how CSV shows a value."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        text = value.isoformat().replace("+00:00", "Z")
        return text if "." not in text else text[:-1].rstrip("0") + "Z"
    return str(value)


@pytest.mark.parametrize(
    "params",
    [
        {"where": '{"field":"pdd","op":">","value":1' + "0" * 400 + "}"},
        {"where": "[" * 10_000},
        {"where": '{"not":' * 60 + '{"field":"pdd","op":"is_null"}' + "}" * 60},
        {"limit": "9" * 30},
        {"cursor": "x" * 100_000},
        {"number": "*"},
        {"columns": "start,start"},
    ],
    ids=["a huge number", "deep JSON", "deep condition", "limit", "cursor", "number", "columns"],
)
def test_urls_that_cannot_be(params: dict[str, str]) -> None:
    """Whatever a URL says, what is wrong with it is a QueryError that names the parameter."""
    with pytest.raises(QueryError) as caught:
        Query.from_params(params)
    assert caught.value.parameter == next(iter(params))


@pytest.mark.parametrize(
    ("order", "value"),
    [
        ("charge", "NaN"),
        ("charge", "1e500"),
        ("duration", 2**40),
        ("duration", 1.5),
        ("pdd", float("inf")),
        ("mos", "x"),
    ],
)
def test_crafted_cursors(busy: Store, order: str, value: Any) -> None:
    """A cursor that was made by hand holds only values that its fields can hold."""
    query = Query().order_by(order)
    made = Cursor(query.full_order(), (value, NOW, "x")).encode()
    with pytest.raises(QueryError, match="not a cursor"):
        query.after(made)
    last = datetime.max.replace(tzinfo=UTC)
    newest = Query().newest_first()
    far = newest.after(Cursor(newest.full_order(), (last, "x")).encode())
    assert busy.run(far).count() == busy.count()


def test_a_limit_holds_for_all_pages_together(busy: Store) -> None:
    """Paging through a query with a limit gives that many calls, not that many a page."""
    query = Query().newest_first().limit(25)
    seen = list(busy.run(query).page(10).records)
    cursor = busy.run(query).page(10).next_cursor
    while cursor is not None:
        page = busy.run(query.after(cursor)).page(10)
        seen += page.records
        cursor = page.next_cursor
    assert seen == list(busy.run(query))


def test_totals_can_be_sent_to_another_process(busy: Store) -> None:
    """Values survive pickling: totals, queries, records, pages and errors."""
    query = Query().connected().between("2026-11-01", None)
    error = NotFoundError("gone", url="x")
    for value in (busy.daily_totals(), query, busy.run(query).page(2), query.period):
        assert pickle.loads(pickle.dumps(value)) == value
    assert pickle.loads(pickle.dumps(error)).url == "x"


def test_hostile_text_does_not_reach_the_terminal() -> None:
    """A report that is printed shows what would steer a terminal as a replacement."""
    store = open_store("memory://hostile-report")
    evil = "\x1b]0;owned\x07"
    store.append(CallRecord(call_id=evil, start=NOW))
    report = store.append(CallRecord(call_id=evil, start=NOW, duration=1))
    shown = str(IngestReport(conflicts=1, conflicting=report.conflicting, source=evil))
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_batches_of_other_peoples_sources_are_checked() -> None:
    """What a source yields is checked like any other data before it is stored."""

    class Careless:
        """A source that does not keep to the fields."""

        def __call__(self, stream: Any) -> Any:
            yield SourceBatch(frame=pl.DataFrame({"call_id": [None], "start": [NOW]}))

    store = open_store("memory://careless")
    with store._append("report") as append, pytest.raises(SchemaError, match="call_id"):
        ingest_inputs(Inputs(b""), Careless(), append, Tally("x", "x", "report"), progress=None)
    assert not store.exists
