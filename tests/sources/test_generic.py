"""Mappings as data, and tables read by them, compared with a plain parse by the standard library."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrkit import open_store
from cdrkit.errors import CdrError, ConfigError, NotFoundError, SchemaError
from cdrkit.sources import Reject, SourceBatch, make_source
from cdrkit.sources.generic import FieldRule, Generic, SourceMapping
from cdrkit.sources.readers import limits, lines, table

STAMP = {"columns": "start", "formats": ["iso"]}


def read(data: bytes | str, mapping: Any, **options: Any) -> list[SourceBatch]:
    """Return the batches of *data*."""
    raw = data if isinstance(data, bytes) else data.encode()
    return list(Generic(mapping=mapping, **options)(io.BytesIO(raw)))


def rows_of(data: bytes | str, mapping: Any, **options: Any) -> list[dict[str, Any]]:
    """Return the calls of *data*; there must be no rejects."""
    batches = read(data, mapping, **options)
    assert [reject for batch in batches for reject in batch.rejects] == []
    return [row for batch in batches for row in batch.frame.to_dicts()]


def rejects_of(data: bytes | str, mapping: Any, **options: Any) -> list[Reject]:
    """Return the rejects of *data*."""
    return [reject for batch in read(data, mapping, **options) for reject in batch.rejects]


def one(value: str, rule: dict[str, Any], field: str, **mapping: Any) -> tuple[Any, dict[str, str]]:
    """Return the value that a rule makes of one text, and the texts that go into ``extra``."""
    page = io.StringIO()
    csv.writer(page).writerows([["start", "x"], ["2026-11-22T09:00:00Z", value]])
    fields = {"start": STAMP, field: {"columns": "x"} | rule}
    [row] = rows_of(page.getvalue(), {"fields": fields} | mapping)
    return row[field], json.loads(row["extra"] or "{}")


def refusal(value: str, rule: dict[str, Any], field: str) -> str:
    """Return the reason why a rule makes nothing of one text."""
    page = io.StringIO()
    csv.writer(page).writerows([["start", "x"], ["2026-11-22T09:00:00Z", value]])
    [reject] = rejects_of(page.getvalue(), {"fields": {"start": STAMP, field: {"columns": "x"} | rule}})
    return reject.reason


# -- real files ----------------------------------------------------------------------------------------------

NODOBO = {
    "name": "nodobo",
    "fields": {
        "start": {"columns": "timestamp", "formats": ["%a %b %d %H:%M:%S %z %Y"]},
        "source": "user",
        "destination": "other",
        "direction": {
            "columns": "direction",
            "values": {"Incoming": "inbound", "Outgoing": "outbound", "Missed": "inbound"},
            "required": True,
        },
        "disposition": {
            "columns": "direction",
            "values": {"Missed": "no_answer"},
            "otherwise": "unknown",
        },
        "duration": {"columns": "duration", "required": True},
    },
}


def test_nodobo(samples: Path) -> None:
    """A damaged file of real calls: each row is as csv and strptime read it, or names the column that it lacks."""
    path = samples / "nodobo" / "calls_with_header.csv"
    with path.open(newline="") as file:
        plain = list(csv.DictReader(file))
    whole = [row for row in plain if row["timestamp"] and row["duration"] and row["direction"]]
    batches = read(path.read_bytes(), NODOBO)
    frame = pl.concat([batch.frame for batch in batches])
    rejects = [reject for batch in batches for reject in batch.rejects]
    assert sum(batch.read for batch in batches) == len(plain) == 13_031
    assert {reject.reason for reject in rejects} == {
        "The duration is missing.",
        "The timestamp is missing.",
        "The direction is missing.",
    }
    assert len(rejects) == len(plain) - len(whole)
    lines = path.read_text().splitlines()
    assert [reject.text for reject in rejects] == [lines[reject.row - 1] for reject in rejects]
    starts = [datetime.strptime(row["timestamp"], "%a %b %d %H:%M:%S %z %Y").astimezone(UTC) for row in whole]
    assert frame["start"].to_list() == starts
    assert frame["duration"].to_list() == [int(row["duration"]) for row in whole]
    assert frame["source"].to_list() == [row["user"] for row in whole]
    missed = [row["direction"] == "Missed" for row in whole]
    assert [word == "no_answer" for word in frame["disposition"]] == missed


def test_nodobo_again(samples: Path, tmp_path: Path) -> None:
    """Every row is accounted for in the store, and the file read again adds nothing."""
    store = open_store(tmp_path / "calls")
    path = samples / "nodobo" / "calls_with_header.csv"
    first = store.ingest(path, format="generic", mapping=NODOBO)
    again = store.ingest(path, format="generic", mapping=NODOBO)
    assert first.read == first.added + first.duplicates + first.conflicts + first.rejected == 13_031
    assert (again.added, again.conflicts, again.rejected) == (0, 0, first.rejected)


def test_copenhagen(samples: Path) -> None:
    """Seconds since a study's start, and -1 for a missed call, are read as the mapping describes them."""
    path = samples / "copenhagen" / "calls.csv"
    began = datetime(2012, 2, 1, tzinfo=UTC)
    mapping = {
        "name": "copenhagen",
        "fields": {
            "start": {"columns": "timestamp", "formats": ["epoch"], "since": "2012-02-01T00:00:00Z"},
            "source": "caller",
            "destination": "callee",
            "duration": {"columns": "duration", "values": {"-1": "0"}},
            "disposition": {"columns": "duration", "values": {"-1": "no_answer"}, "otherwise": "answered"},
        },
    }
    with path.open(newline="") as file:
        plain = list(csv.DictReader(file))
    rows = rows_of(path.read_bytes(), mapping)
    assert len(rows) == len(plain) == 3_600
    for row, native in zip(rows, plain, strict=True):
        assert row["start"] == began + timedelta(seconds=int(native["timestamp"]))
        assert row["duration"] == max(0, int(native["duration"]))
        missed = native["duration"] == "-1"
        assert row["disposition"] == ("no_answer" if missed else "answered")
        assert ('"duration":"-1"' in (row["extra"] or "")) == missed
    # A negative length that no mapping explains costs the row, and is counted as a contradiction.
    mapping["fields"]["duration"] = "duration"  # type: ignore[index]
    batches = read(path.read_bytes(), mapping)
    missed_calls = sum(native["duration"] == "-1" for native in plain)
    assert sum(len(batch.rejects) for batch in batches) == missed_calls
    assert sum(batch.contradictions.get("negative_length", 0) for batch in batches) == missed_calls


def test_bandicoot(samples: Path) -> None:
    """A table without names: calls are stored, text messages are rejected by their service."""
    path = samples / "bandicoot" / "u_test.csv"
    mapping = SourceMapping(
        name="bandicoot",
        separator=";",
        columns=["record", "service", "user", "other", "when", "seconds", "lon", "lat"],
        timezone="Europe/Paris",
        only={"service": ["11", "12"]},
        fields={
            "start": "when",
            "source": "user",
            "destination": "other",
            "direction": FieldRule(columns="record", values={"1": "outbound", "2": "inbound"}),
            "duration": "seconds",
        },
    )
    with path.open(newline="") as file:
        plain = list(csv.reader(file, delimiter=";"))
    calls = [row for row in plain if row[1] in ("11", "12")]
    [batch] = read(path.read_bytes(), mapping)
    assert batch.read == len(plain) == 500
    assert Counter(reject.reason for reject in batch.rejects) == Counter(
        f"service is '{row[1]}', so the row is not a call." for row in plain if row not in calls
    )
    naive = [datetime.fromisoformat(row[4]).replace(tzinfo=ZoneInfo("Europe/Paris")) for row in calls]
    assert batch.frame["start"].to_list() == naive
    assert batch.frame["duration"].to_list() == [int(row[5]) for row in calls]
    assert batch.frame["direction"].to_list() == [{"1": "outbound", "2": "inbound"}[row[0]] for row in calls]


def test_bandicoot_rows_to_reject(samples: Path) -> None:
    """Each of five damaged rows is rejected for its own reason."""
    mapping = {
        "timezone": "UTC",
        "only": {"interaction": ["call"]},
        "fields": {
            "start": "datetime",
            "source": {"columns": "correspondent_id", "required": True},
            "direction": {"columns": "direction", "values": {"in": "inbound", "out": "outbound"}},
            "duration": {"columns": "call_duration", "required": True},
        },
    }
    rejects = rejects_of((samples / "bandicoot" / "user_ignored.csv").read_bytes(), mapping)
    assert [reject.reason for reject in rejects] == [
        "The correspondent_id is missing.",
        "The value 'wrongdirection' of direction is not one of inbound, outbound, internal.",
        "interaction is 'wronginteraction', so the row is not a call.",
        "interaction is 'wronginteraction', so the row is not a call.",
        "The call_duration is missing.",
    ]


# -- the values of fields ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rule", "instant"),
    [
        ("2026-07-01T10:00:00Z", {}, "2026-07-01T10:00:00"),
        ("2026-07-01 10:00", {}, "2026-07-01T09:00:00"),
        ("2026-07-01 10:00:00.5+05:30", {}, "2026-07-01T04:30:00.500000"),
        ("2026-07-01T10:00:00.1234567+0530", {}, "2026-07-01T04:30:00.123456"),
        ("2026-07-01 10:00:00 UTC", {}, "2026-07-01T10:00:00"),
        ("Wed, 01 Jul 2026 10:00:00 +0000", {"formats": "rfc2822"}, "2026-07-01T10:00:00"),
        ("01.07.2026 10:00:00", {"formats": ["iso", "%d.%m.%Y %H:%M:%S"]}, "2026-07-01T09:00:00"),
        ("1782900000", {"formats": "epoch"}, "2026-07-01T10:00:00"),
        ("1782900000.25", {"formats": "epoch"}, "2026-07-01T10:00:00.250000"),
        ("1782900000001", {"formats": "epoch_ms"}, "2026-07-01T10:00:00.001000"),
        ("1782900000000001", {"formats": "epoch_us"}, "2026-07-01T10:00:00.000001"),
        ("2026-07-01 10:00", {"timezone": "America/New_York"}, "2026-07-01T14:00:00"),
    ],
)
def test_times(text: str, rule: dict[str, Any], instant: str) -> None:
    """A time is read by its format, its own offset, the rule's zone or the mapping's."""
    value, left = one(text, rule, "end", timezone="Europe/London")
    assert value == datetime.fromisoformat(instant).replace(tzinfo=UTC)
    assert left == {}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("22.11.2026", {}),
        ("2026-11-22", {}),
        ("2026-13-22 10:00:00", {}),
        ("2026-11-22 24:10:00", {}),
        ("9026-11-22T10:00:00Z", {}),
        ("2026-11-22T10:00:00+99:00", {}),
        ("1782900000001", {"formats": "epoch"}),
        ("nan", {"formats": "epoch"}),
        ("1e999", {"formats": "epoch"}),
        ("no date at all", {"formats": "rfc2822"}),
    ],
)
def test_no_times(text: str, rule: dict[str, Any]) -> None:
    """What is no time of the formats given costs the row; nothing is guessed."""
    assert re.match(r"The value '.*' of x is not (a time|in the years)", refusal(text, rule, "end"))


@pytest.mark.parametrize(
    ("field", "text", "rule", "value", "kept"),
    [
        ("duration", "34", {}, 34, False),
        ("duration", "34.7", {}, 34, True),
        ("duration", "34.2", {"rounding": "up"}, 35, True),
        ("duration", "34.5", {"rounding": "nearest"}, 35, True),
        ("duration", "34,000", {"decimal": ","}, 34, False),
        ("duration", "34000", {"unit": "ms"}, 34, False),
        ("duration", "1.5", {"unit": "min"}, 90, False),
        ("duration", "1:02:03", {"unit": "h:mm:ss"}, 3723, False),
        ("duration", "62:03", {"unit": "mm:ss"}, 3723, False),
        ("ring_duration", "1500", {"unit": "ms"}, 1.5, False),
        ("pdd", "0.25", {}, 0.25, False),
        ("charge", "-0.200", {"negate": True}, Decimal("0.2"), False),
        ("charge", "-0", {"negate": True}, Decimal(0), False),
        ("charge", "0.00333333", {}, Decimal("0.003333"), True),
        ("charge", "1.5E-5", {}, Decimal("0.000015"), False),
        ("charge", "1,25", {"decimal": ","}, Decimal("1.25"), False),
        ("sip_code", "486", {}, 486, False),
        ("mos", "4.41", {}, pytest.approx(4.41), False),
        ("source", "sip:2041@example.org", {"pattern": "^sip:([^@]+)@"}, "2041", True),
        ("source", "2041", {"pattern": "^sip:([^@]+)@"}, "2041", False),
        ("source", " 2041 ", {}, " 2041 ", False),
        ("disposition", "Normal", {"values": {"NORMAL": "answered"}}, "answered", True),
        ("disposition", "strange", {"values": {"OK": "answered"}, "otherwise": "unknown"}, "unknown", True),
        ("direction", "strange", {"values": {"in": "inbound"}, "otherwise": ""}, None, True),
        ("duration", "none", {"absent": ["none"]}, None, False),
        ("duration", "  ", {"missing": "0"}, 0, False),
    ],
)
def test_values(field: str, text: str, rule: dict[str, Any], value: Any, kept: bool) -> None:
    """A text becomes a value by its rule; ``extra`` keeps it where the value does not say all that it did."""
    found, left = one(text, rule, field)
    assert found == value
    assert left == ({"x": text} if kept else {})


@pytest.mark.parametrize(
    ("field", "text", "rule", "what"),
    [
        ("duration", "-1", {}, "is negative"),
        ("duration", "-0:00:01", {"unit": "h:mm:ss"}, "is negative"),
        ("duration", "99999999999", {}, "is too large"),
        ("duration", "34s", {}, "is not a number"),
        ("duration", "Infinity", {}, "is not a number"),
        ("duration", "34.000", {"decimal": ","}, "is not a number"),
        ("duration", "02:03", {"unit": "h:mm:ss"}, "is not a length"),
        ("duration", "1:99:03", {"unit": "h:mm:ss"}, "is not a length"),
        ("charge", "$1", {}, "is not a number"),
        ("charge", "1E400", {}, "is too large"),
        ("charge", "1,000.50", {}, "is not a number"),
        ("sip_code", "99999", {}, "is not a code"),
        ("sip_code", "200 OK", {}, "is not a code"),
        ("disposition", "OK", {}, "is not one of answered"),
        ("mos", "good", {}, "is not a number"),
    ],
)
def test_refused_values(field: str, text: str, rule: dict[str, Any], what: str) -> None:
    """A value that does not fit costs its row, and the reason names column and text."""
    assert what in refusal(text, rule, field)
    assert refusal(text, rule, field).startswith(f"The value {text!r} of x")


def test_columns_are_taken_in_turn_or_joined() -> None:
    """The first column with a text is taken, and other texts are kept. Or all columns are joined."""
    mapping = {
        "timezone": "UTC",
        "fields": {
            "start": {"columns": ["day", "clock"], "join": " "},
            "source": ["cli", "ani"],
            "currency": "cur",
        },
        "constants": {"direction": "outbound", "switch": "sw1"},
    }
    first, second = rows_of(
        "day,clock,cli,ani,cur\n2026-11-22,09:00,1,2,EUR\n2026-11-22,09:01,,2,\n", mapping
    )
    assert (first["source"], first["extra"]) == ("1", '{"ani":"2"}')
    assert (second["source"], second["extra"], second["currency"]) == ("2", None, None)
    assert first["start"].hour == 9
    assert (first["direction"], first["switch"], first["origin"]) == ("outbound", "sw1", "generic")


def test_naive_times_need_a_zone() -> None:
    """A local time without a zone is asked about, never taken for UTC in silence."""
    with pytest.raises(ConfigError, match="The start in row 2, '2026-11-22 09:00:00', is a local time"):
        read("start\n2026-11-22 09:00:00\n", {"fields": {"start": "start"}})
    [row] = rows_of("start\n2026-11-22 09:00:00\n", {"fields": {"start": "start"}}, timezone="Asia/Kolkata")
    assert row["start"] == datetime(2026, 11, 22, 3, 30, tzinfo=UTC)


def test_clock_changes_are_counted() -> None:
    """A stamp in an hour that came twice is the first, unless the call would end before it begins."""
    mapping = {"timezone": "Europe/London", "fields": {"start": "a", "end": "b"}}
    data = "a,b\n2026-10-25 01:59:50,2026-10-25 01:00:05\n2026-03-29 01:30:00,2026-03-29 02:00:00\n"
    [batch] = read(data, mapping)
    assert (batch.repeated_hour, batch.missing_hour) == (2, 1)
    assert batch.frame["start"][0] == datetime(2026, 10, 25, 0, 59, 50, tzinfo=UTC)
    assert batch.frame["end"][0] == datetime(2026, 10, 25, 1, 0, 5, tzinfo=UTC)


# -- identity ------------------------------------------------------------------------------------------------


def test_identity_is_of_the_row() -> None:
    """Without a call's id it is a digest of the row, whatever the order of the columns, or of those named."""
    mapping = {"name": "acme", "fields": {"start": STAMP, "charge": "charge"}}
    moved = rows_of("charge,n,start\n,7,2026-11-22T09:00:00Z\n", mapping)[0]["call_id"]
    [row] = rows_of("start,charge,n\n2026-11-22T09:00:00Z,,7\n", mapping)
    assert row["call_id"] == moved
    assert re.fullmatch(r"acme-[0-9a-f]{16}", moved)
    [rated] = rows_of("start,charge,n\n2026-11-22T09:00:00Z,0.5,7\n", mapping)
    assert rated["call_id"] != moved
    named = mapping | {"identity": ["start", "n"]}
    ids = {
        rows_of(f"start,charge,n\n2026-11-22T09:00:00Z,{price},7\n", named)[0]["call_id"]
        for price in ("", "1")
    }
    assert len(ids) == 1


def test_empty_id_is_no_call() -> None:
    """A row whose id is empty cannot be distinguished from others: it is rejected."""
    mapping = {"fields": {"start": STAMP, "call_id": "id"}}
    [reject] = rejects_of("start,id\n2026-11-22T09:00:00Z,\n", mapping)
    assert reject.reason == "The id is missing."


# -- the table -----------------------------------------------------------------------------------------------

PLAIN = {"fields": {"start": "start", "source": "a", "source_name": "b"}}


#: Whatever a cell may hold on one line; Python and Polars do not agree on whether the last four are blanks.
CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n\x1c\x1d\x1e\x1f"), max_size=8)


@given(
    st.lists(st.tuples(CELLS, CELLS | st.text(",;\t|\"' ", max_size=8)), max_size=8),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig"]),
)
def test_same_as_csv(rows: list[tuple[str, str]], separator: str, end: str, encoding: str) -> None:
    """What the standard library's csv wrote is read as it was, whatever separates and ends it."""
    page = io.StringIO(newline="")
    writer = csv.writer(page, delimiter=separator, lineterminator=end)
    writer.writerow(["start", "a", "b"])
    writer.writerows(["2026-11-22T09:00:00Z", a, b] for a, b in rows)
    calls = rows_of(page.getvalue().encode(encoding), PLAIN | {"separator": separator})
    found = [(call["source"], call["source_name"]) for call in calls]
    assert found == [tuple(text if text.strip() else None for text in row) for row in rows]


def test_quoted_lines_and_open_quotes() -> None:
    """A quoted text may go on in the next line; a quote that is never closed costs its own line only."""
    stamp = "2026-11-22T09:00:00Z"
    data = f'start,a,b\n{stamp},1,"two\nlines"\n{stamp},"2,open\n{stamp},3,x\n{stamp},4,"y"z\n{stamp},5,x\n'
    [batch] = read(data, PLAIN)
    assert batch.frame["source"].to_list() == ["1", "3", "5"]
    assert batch.frame["source_name"][0] == "two\nlines"
    assert [(reject.row, reject.text) for reject in batch.rejects] == [
        (4, f'{stamp},"2,open'),
        (6, f'{stamp},4,"y"z'),
    ]


def test_rejects_are_corrected_and_read_again(tmp_path: Path) -> None:
    """The rejects of a table are written below its line of names, and can be ingested once they are corrected."""
    store = open_store(tmp_path / "calls")
    data = b"start,a,b\n2026-11-22T09:00:00Z,1,x\n22.11.2026,2,x\n2026-11-22T09:00:00Z,3\n"
    report = store.ingest(data, format="generic", mapping=PLAIN)
    assert (report.read, report.added, report.rejected) == (3, 1, 2)
    report.write_rejects(tmp_path / "again.csv", raw=True)
    text = (tmp_path / "again.csv").read_text().replace("22.11.2026", "2026-11-22T09:00:00Z")
    (tmp_path / "again.csv").write_text(text)
    report = store.ingest(tmp_path / "again.csv", format="generic", mapping=PLAIN)
    assert (report.read, report.added, report.rejected) == (2, 1, 1)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_marks(end: str, mark: bytes) -> None:
    """LF, CRLF and CR end lines; a byte order mark and blank lines are nothing."""
    lines = [
        "start,a,b",
        "2026-11-22T09:00:00Z,1,x",
        "",
        "2026-11-22T09:00:01Z,2,y",
        "2026-11-22T09:00:02Z,3,z",
    ]
    for last in ("", end):
        rows = rows_of(mark + (end.join(lines) + last).encode(), PLAIN)
        assert [row["source_name"] for row in rows] == ["x", "y", "z"]


def test_encodings() -> None:
    """Latin-1 is read when it is said; otherwise its lines are rejected with that hint."""
    data = "start,a,b\n2026-11-22T09:00:00Z,1,Jos\u00e9\n".encode("latin-1")
    assert "encoding='latin-1'" in rejects_of(data, PLAIN)[0].reason
    assert rows_of(data, PLAIN, encoding="latin-1")[0]["source_name"] == "José"


def test_fixed_positions_header_and_trailer() -> None:
    """A table of fixed positions between a header and a trailer whose count is checked."""
    mapping = SourceMapping(
        name="tape",
        positions={"kind": (1, 1), "when": (2, 15), "caller": (16, 25), "seconds": (26, 31)},
        header="^H",
        trailer=r"^T(?P<count>\d+)",
        timezone="UTC",
        fields={
            "start": FieldRule(columns="when", formats=["%Y%m%d%H%M%S"]),
            "source": "caller",
            "duration": "seconds",
        },
    )
    rows = ["C20261122090000      2041000034", "C202611220901004420794600000018"]
    page = "\n".join(["H2026", *rows, "T2", ""])
    with pytest.raises(SchemaError, match="No row matches"):
        read("nothing of the kind\n", mapping)
    first, second = rows_of(page, mapping)
    assert (first["source"], first["duration"], first["extra"]) == ("2041", 34, '{"kind":"C"}')
    assert (second["source"], second["duration"]) == ("4420794600", 18)
    assert len(rows_of(page + page.replace("H2026\n", ""), mapping)) == 4
    with pytest.raises(SchemaError, match="states 3 rows, but cdrkit read 2"):
        read(page.replace("T2", "T3"), mapping)
    with pytest.raises(SchemaError, match="the file is cut off"):
        read(page.replace("T2\n", ""), mapping)


def test_header_with_a_count() -> None:
    """A header's count is checked, too; lines above the table are skipped."""
    mapping = PLAIN | {"skip": 1, "header": r"^# (?P<count>\d+) calls"}
    data = "Acme\n# 1 calls\nstart,a,b\n2026-11-22T09:00:00Z,1,x\n"
    assert len(rows_of(data, mapping)) == 1
    with pytest.raises(SchemaError, match="2 rows, but cdrkit read 1"):
        read(data.replace("# 1", "# 2"), mapping)


def test_separator_is_found_by_the_names() -> None:
    """Without a separator it is the one by which the line of names has the columns needed."""
    for separator in ",;\t|":
        data = (
            separator.join(["start", "a", "b"])
            + "\n"
            + separator.join(["2026-11-22T09:00:00Z", "1", "x"])
            + "\n"
        )
        assert rows_of(data, PLAIN | {"separator": None})[0]["source"] == "1"
    with pytest.raises(SchemaError, match="no column 'start'"):
        read("begin:a:b\n", PLAIN | {"separator": None})


def test_torn_last_line() -> None:
    """A last line without an end is a row, unless the file is one that is being written."""
    data = "start,a,b\n2026-11-22T09:00:00Z,1,x"
    assert len(rows_of(data, PLAIN)) == 1
    assert "no line end" in rejects_of(data, PLAIN | {"line_ends": True})[0].reason


def test_names_on_top() -> None:
    """Names are found whatever their capitals; one that is missing or twice there is said; names alone are fine."""
    assert len(rows_of("START, A ,b\n2026-11-22T09:00:00Z,1,x\n", PLAIN)) == 1
    with pytest.raises(
        SchemaError, match=r"no column 'a', which the field source needs; it has 'start', 'b'"
    ):
        read("start,b\n2026-11-22T09:00:00Z,x\n", PLAIN)
    with pytest.raises(SchemaError, match="contains the column 'a' twice"):
        read("start,a,a,b\n", PLAIN)
    with pytest.raises(SchemaError, match="The file is empty"):
        read("\n\n", PLAIN)
    assert read("start,a,b\n", PLAIN) == []
    twice = "start,a,b\n2026-11-22T09:00:00Z,1,x\nstart,a,b\n2026-11-22T09:00:00Z,2,x\n"
    assert [row["source"] for row in rows_of(twice, PLAIN)] == ["1", "2"]


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """However the file is cut into blocks and batches, the calls are the same."""
    texts = [f'2026-11-22T09:00:{at:02}Z,{at},"t\n{at}"' for at in range(60)]
    data = "\r\n".join(["start,a,b", *texts, ""]).encode()
    whole = rows_of(data, PLAIN)
    assert len(whole) == 60
    for block, rows in ((1, 7), (13, 1), (64, 1000)):
        monkeypatch.setattr(lines, "_BLOCK_BYTES", block)
        monkeypatch.setattr(table, "_CHUNK_ROWS", rows)
        assert rows_of(data, PLAIN) == whole


def test_endless_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that never ends is refused before it fills the memory."""
    monkeypatch.setattr(limits, "LINE_BYTES", 1 << 16)
    with pytest.raises(SchemaError, match="is longer than"):
        read(b"x" * (3 << 20), PLAIN)


def test_text_stream() -> None:
    """A file opened for text is refused with the mode that is needed."""
    with pytest.raises(ConfigError, match="mode 'rb'"):
        list(Generic(mapping=PLAIN)(io.StringIO("start\n")))  # type: ignore[arg-type]


# -- mappings ------------------------------------------------------------------------------------------------

ACME = SourceMapping(
    name="acme",
    separator=";",
    quote=None,
    timezone="Europe/Berlin",
    absent=["NULL"],
    only={"Kind": ["voice"]},
    constants={"currency": "EUR"},
    trailer=r"^T;(?P<count>\d+)$",
    fields={
        "call_id": "Id",
        "start": FieldRule(columns=["Date", "Time"], join=" ", formats=["%d.%m.%Y %H:%M:%S"]),
        "duration": FieldRule(columns="Talk", unit="h:mm:ss", missing="0:00:00"),
        "disposition": FieldRule(columns="Result", values={"OK": "answered"}, otherwise="unknown"),
        "charge": FieldRule(columns="Price", decimal=",", negate=True),
    },
)


def test_round_trips(tmp_path: Path) -> None:
    """A mapping goes to a dict, to JSON and to TOML, and comes back equal; it is hashable."""
    assert SourceMapping.from_dict(json.loads(json.dumps(ACME.to_dict()))) == ACME
    (tmp_path / "acme.json").write_text(json.dumps(ACME.to_dict()))
    assert SourceMapping.load(tmp_path / "acme.json") == ACME
    (tmp_path / "acme.toml").write_text(
        """
name = "acme"
separator = ";"
quote = ""
timezone = "Europe/Berlin"
absent = ["NULL"]
only = { Kind = ["voice"] }
constants = { currency = "EUR" }
trailer = '^T;(?P<count>\\d+)$'

[fields]
call_id = "Id"
start = { columns = ["Date", "Time"], join = " ", formats = ["%d.%m.%Y %H:%M:%S"] }
duration = { columns = "Talk", unit = "h:mm:ss", missing = "0:00:00" }
disposition = { columns = "Result", values = { OK = "answered" }, otherwise = "unknown" }
charge = { columns = "Price", decimal = ",", negate = true }
"""
    )
    assert SourceMapping.load(tmp_path / "acme.toml") == ACME
    assert hash(SourceMapping.load(tmp_path / "acme.toml")) == hash(ACME)
    source = make_source("generic", {"mapping": str(tmp_path / "acme.toml")})
    data = b"Id;Kind;Date;Time;Talk;Result;Price\n1;voice;22.11.2026;10:00:00;0:00:34;OK;-0,25\n2;text;;;;;\nT;2\n"
    [batch] = source(io.BytesIO(data))
    [call] = batch.frame.to_dicts()
    assert (call["start"], call["charge"]) == (datetime(2026, 11, 22, 9, tzinfo=UTC), Decimal("0.25"))
    assert batch.rejects[0].reason == "Kind is 'text', so the row is not a call."


def field_with(**rule: Any) -> dict[str, Any]:
    """Return a mapping whose duration has that rule."""
    return {"fields": {"start": "start", "duration": {"columns": "d"} | rule}}


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({}, "fields"),
        ({"fields": {}}, "no rule for 'start'"),
        ({"fields": {"start": "s", "durration": "d"}}, "Did you mean 'duration'"),
        ({"fields": {"start": "s", "extra": "d"}}, "cannot have a rule"),
        ({"fields": {"start": "s"}, "columnz": []}, "Did you mean 'columns'"),
        ({"fields": {"start": 7}}, "give a column's name"),
        ({"fields": {"start": {"formats": ["iso"]}}}, "missing"),
        (
            {"fields": {"start": "s"}, "constants": {"start": "x"}},
            "has both a rule and a constant; remove one of them",
        ),
        ({"fields": {"start": "s"}, "separator": ",,"}, "one character"),
        ({"fields": {"start": "s"}, "timezone": "Mars"}, "Unknown time zone"),
        ({"fields": {"start": "s"}, "encoding": "utf-16"}, "is not supported"),
        ({"fields": {"start": "s"}, "columns": ["a", "a"]}, "twice"),
        (
            {"fields": {"start": "s"}, "columns": ["a", "b"]},
            "uses the column 's', which is not in the option 'columns'",
        ),
        ({"fields": {"start": "s"}, "positions": {"s": [0, 4]}}, "counted from 1"),
        ({"fields": {"start": "s"}, "trailer": "("}, "not a regular expression"),
        ({"fields": {"start": "s"}, "skip": -1}, "number of lines"),
        ({"fields": {"start": {"columns": "s", "formats": ["%d %Z"]}}}, "%Z"),
        ({"fields": {"start": {"columns": "s", "formats": ["rfc822"]}}}, "Did you mean 'rfc2822'"),
        ({"fields": {"start": {"columns": "s", "since": "then"}}}, "since"),
        (field_with(unit="hours"), "unit='hours' is not valid"),
        (field_with(rounding="even"), "rounding"),
        (
            field_with(since="2026-01-01T00:00:00Z"),
            "cannot have the option 'since', which applies only to start, answer, end",
        ),
        (field_with(pattern="abc"), "no group"),
        (field_with(values={"a": 1}), "not a table of strings"),
        (
            {"fields": {"start": "s", "source": {"columns": "a", "unit": "ms"}}},
            "cannot have the option 'unit', which applies only to durations",
        ),
    ],
)
def test_mappings_that_cannot_work(mapping: dict[str, Any], message: str) -> None:
    """A mistake in a mapping is refused when the mapping is made, with the likely correction."""
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        Generic(mapping=mapping)


def test_bad_constants() -> None:
    """A constant must fit its field."""
    with pytest.raises(ConfigError, match="The constant for direction cannot be 'sideways'"):
        read(
            "start\n2026-11-22T09:00:00Z\n",
            {"fields": {"start": "start"}, "constants": {"direction": "sideways"}},
        )


def test_files_that_are_no_mappings(tmp_path: Path) -> None:
    """A mapping's file that is missing or broken is one of the library's errors."""
    with pytest.raises(NotFoundError):
        Generic(mapping=str(tmp_path / "none.toml"))
    for name, text in (("a.toml", "x ="), ("a.json", "{"), ("b.json", "[]"), ("c.json", '{"fields": 1}')):
        (tmp_path / name).write_text(text)
        with pytest.raises(CdrError):
            Generic(mapping=str(tmp_path / name))
    (tmp_path / "d.json").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        Generic(mapping=tmp_path / "d.json")
