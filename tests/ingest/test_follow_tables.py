"""Following tables: header lines, calls of several rows, and formats that are read as a whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from cdrkit import IngestReport, Query, Store, open_store
from cdrkit.errors import ConfigError, SchemaError
from tests.ingest.test_follow import TURNS, Switch, counts


@attrs.frozen(kw_only=True)
class Layout:
    """A table as a switch writes it: what stands on top, and a call a line."""

    format: str
    top: bytes
    row: str
    options: dict[str, Any] = attrs.field(factory=dict)

    def rows(self, count: int) -> list[bytes]:
        """Return *count* rows, each of a call of its own."""
        encoding = self.options.get("encoding", "utf-8")
        return [
            self.row.format(
                id=f"c{at}", second=f"{at % 60:02}", minute=f"{at // 60:02}", epoch=1795338000 + at
            ).encode(encoding)
            for at in range(count)
        ]


GENERIC: dict[str, Any] = {"fields": {"start": "when", "call_id": "id", "source": "a"}, "timezone": "UTC"}
PLAIN = "{id},2026-11-22 09:{minute}:{second},2041\n"
LAYOUTS = {
    "connexcs": Layout(
        format="connexcs-csv",
        top=b"Call ID,Call Time,Source Number,Duration,SIP Code\r\n",
        row="{id},2026-11-22 09:{minute}:{second},442079460018,34,200\r\n",
    ),
    "generic": Layout(format="generic", top=b"id,when,a\n", row=PLAIN, options={"mapping": GENERIC}),
    "generic, marked": Layout(
        format="generic",
        top=b"\xef\xbb\xbfid;when;a\n",
        row=PLAIN.replace(",", ";"),
        options={"mapping": GENERIC | {"separator": None}},
    ),
    "generic, below a title": Layout(
        format="generic",
        top=b"Calls of the PBX\n\n# made today\nid,when,a\n",
        row=PLAIN,
        options={"mapping": GENERIC | {"skip": 2, "header": "^#"}},
    ),
    "generic, no names below a title": Layout(
        format="generic",
        top=b"\nCalls of the PBX\n",
        row=PLAIN,
        options={"mapping": GENERIC | {"skip": 2, "columns": ["id", "when", "a"]}},
    ),
    "generic, no names below nothing": Layout(
        format="generic",
        top=b"\n",
        row=PLAIN,
        options={"mapping": GENERIC | {"skip": 1, "columns": ["id", "when", "a"]}},
    ),
    "generic, of an old encoding": Layout(
        format="generic",
        top="id,when,a,größe\n".encode("latin-1"),
        row=PLAIN.replace("\n", ",groß\n"),
        options={"mapping": GENERIC, "encoding": "latin-1"},
    ),
    "cdrkit": Layout(
        format="cdrkit-csv",
        top=b"call_id,start,source\r\n",
        row="{id},2026-11-22T09:{minute}:{second}Z,2041\r\n",
    ),
    "cdrkit, labels": Layout(
        format="cdrkit-csv",
        top=b"Call Time,Call ID,MOS\r\n",
        row="2026-11-22T09:{minute}:{second}Z,{id},4.5\r\n",
    ),
    "kamailio": Layout(
        format="kamailio-cdrs",
        top=b"callid\tstart_time\tend_time\tduration\n",
        row="{id}\t2026-11-22 09:{minute}:{second}\t2026-11-22 11:00:00\t34.2\n",
        options={"timezone": "Europe/London", "start_on_confirmed": True},
    ),
    "asterisk": Layout(
        format="asterisk-sql",
        top="calldate;src;dst;duration;billsec;uniqueid;größe\n".encode("latin-1"),
        row="2026-11-22 09:{minute}:{second};2041;2042;38;34;{id};groß\n",
        options={"timezone": "Europe/London", "encoding": "latin-1"},
    ),
    "freepbx": Layout(
        format="freepbx",
        top=b"calldate,src,duration,billsec,uniqueid,recordingfile\n",
        row='"2026-11-22 09:{minute}:{second}","2041",38,34,"{id}","{id}.wav"\n',
        options={"timezone": "Europe/London"},
    ),
    "cucm": Layout(
        format="cucm",
        top=b"cdrRecordType,globalCallID_callManagerId,globalCallID_callId,dateTimeOrigination,dateTimeConnect,"
        b"duration,pkid\nINTEGER,INTEGER,INTEGER,INTEGER,INTEGER,INTEGER,UNIQUEIDENTIFIER\n",
        row="1,1,17,{epoch},{epoch},34,{id}\n",
    ),
    "telnyx": Layout(
        format="telnyx",
        top=b"sip_call_id,start_timestamp_utc,answer_timestamp,end_timestamp,cost,pdd\n",
        row="{id},2026-11-22 09:{minute}:{second},2026-11-22 10:30:04,2026-11-22 10:30:38,0.007,1.2\n",
        options={"timezone": "Europe/Berlin"},
    ),
    "vonage": Layout(
        format="vonage",
        top=b"call_id,from,to,date_start,duration,status,total_price,currency\n",
        row="{id},2041,2042,2026-11-22 09:{minute}:{second},34,answered,0.01,EUR\n",
        options={"timezone": "UTC"},
    ),
    "no names": Layout(
        format="3cx",
        top=b"",
        row="{id},00:01:04,2024/04/30 09:{minute}:{second},Ext.100,442079460018\n",
        options={"timezone": "UTC", "columns": "historyid duration time-start from-no to-no"},
    ),
    "JSON": Layout(
        format="twilio",
        top=b"",
        row='{{"sid": "{id}", "from": "1", "to": "2", "status": "completed", '
        '"start_time": "2026-11-22T09:{minute}:{second}Z", "duration": "4"}}\n',
    ),
}


def calls_in(store: Store) -> list[Any]:
    """Return the calls of *store*, oldest first."""
    return list(store.run(Query().oldest_first()))


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("turn", ["renamed", "truncated", "gzip"])
def test_lines_on_top(tmp_path: Path, name: str, turn: str) -> None:
    """A table is read by the lines on top of it, however much later its rows come, and a new file by its own.

    The calls are those of one ingest of all files.
    """
    layout = LAYOUTS[name]
    lines = layout.rows(80)
    bad = b"no row\n"
    switch = Switch(tmp_path)  # for its turns
    reports: list[IngestReport] = []

    def write(data: bytes) -> None:
        with switch.path.open("ab") as file:
            file.write(data)

    def looked() -> None:
        store = open_store(tmp_path / "store")  # as a process that was just started
        reports.extend(store.follow(switch.path, format=layout.format, wait=False, **layout.options))

    for first in (0, 40):
        for at in range(0, len(layout.top), 20):  # the lines on top come piece by piece, too
            write(layout.top[at : at + 20])
            looked()
        write(lines[first])
        looked()
        write(lines[first + 1] + lines[first + 2][:-9])
        looked()
        write(lines[first + 2][-9:] + bad + b"".join(lines[first + 3 : first + 30]))
        looked()
        write(b"".join(lines[first + 30 : first + 40]))
        if first == 0:
            TURNS[turn](switch)
    looked()
    looked()
    files = sorted(tmp_path.glob("Master.csv*"), reverse=True)
    whole = open_store(tmp_path / "whole")
    report = whole.ingest(files, format=layout.format, **layout.options)
    assert (report.added, report.rejected) == (80, 2)
    assert calls_in(open_store(tmp_path / "store")) == calls_in(whole)
    assert counts(reports) == (82, 80, 0, 2)
    assert [reject.row for one in reports for reject in one.rejects] == [
        reject.row for reject in report.rejects
    ]
    for one in reports:
        if one.rejects:  # after the same header lines, the same options read the corrected rows
            one.write_rejects(tmp_path / "rejects", raw=True)
            corrected = (tmp_path / "rejects").read_bytes().replace(bad, lines[0])
            again = whole.ingest(corrected, format=layout.format, **layout.options)
            assert (again.read, again.duplicates) == (1, 1)


def added(path: Path, data: bytes) -> None:
    """Write *data* at the end of a file."""
    with path.open("ab") as file:
        file.write(data)


def looked(folder: Path, **options: Any) -> list[IngestReport]:
    """Take what there is in the table of *folder*, as a process that was just started does."""
    return list(open_store(folder / "store").follow(folder / "table.csv", wait=False, **options))


WRONG: dict[str, tuple[dict[str, Any], bytes, str]] = {
    "generic": ({"format": "generic", "mapping": GENERIC}, b"id,a\n", "no column 'when'"),
    "connexcs": ({"format": "connexcs-csv"}, b"id,a\n", "no column 'Call ID'"),
    "cucm": ({"format": "cucm"}, b"cdrRecordType,dateTimeOrigination,pkid\n", "no column"),
    "kamailio": (
        {"format": "kamailio-acc", "timezone": "UTC", "source_column": "who"},
        b"method,from_tag,to_tag,callid,sip_code,time\n",
        "no column 'who'",
    ),
    "cdrkit": ({"format": "cdrkit-csv"}, b"call_id,colour\n", "The column 'colour' is neither"),
    "telnyx": ({"format": "telnyx"}, b'{"data": "nothing"}\n', "none of Telnyx's calls"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_file_of_another_format(tmp_path: Path, kind: str) -> None:
    """Lines on top that are not of the format are an error at once, since no row below them can be read."""
    options, top, says = WRONG[kind]
    added(tmp_path / "table.csv", top)
    with pytest.raises(SchemaError, match=says):
        looked(tmp_path, **options)
    assert not open_store(tmp_path / "store").exists


def test_a_new_file_of_another_format(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where a new file has other lines on top than the format wants, that is said once; it is taken when they fit."""
    path = tmp_path / "table.csv"
    options: dict[str, Any] = {"format": "generic", "mapping": GENERIC}
    added(path, b"id,when,a\nc1,2026-11-22 09:00:00,2041\n")
    follower = open_store(tmp_path / "store").follow(path, poll=0.01, **options)
    assert next(follower).added == 1
    path.rename(tmp_path / "table.csv.1")
    added(path, b"id,at,a\nc2,2026-11-22 09:00:00,2041\n")
    assert looked(tmp_path, **options) == []
    assert looked(tmp_path, **options) == []
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2  # by each of the two followers
    assert "has no column 'when'" in said[0]
    path.write_bytes(b"id,when,a\nc2,2026-11-22 09:00:00,2041\n")
    assert next(follower).added == 1


TRAILED = GENERIC | {"header": r"^H;(?P<count>\d+)$", "trailer": r"^T;(?P<count>\d+)$"}


@pytest.mark.parametrize("length", [10, 20_000])
def test_a_trailer_is_waited_for(tmp_path: Path, length: int) -> None:
    """A table whose end is marked is taken when the mark is there, also where it is longer than one commit's rows."""
    path = tmp_path / "table.csv"
    rows = [b"c%d,2026-11-22 09:00:00,%s\n" % (at, b"x" * length) for at in range(900)]
    added(path, b"H;900\nid,when,a\n" + b"".join(rows))
    assert looked(tmp_path, format="generic", mapping=TRAILED) == []
    added(path, b"T;900\n")
    [report] = looked(tmp_path, format="generic", mapping=TRAILED)
    assert (report.added, report.rejected) == (900, 0)
    assert looked(tmp_path, format="generic", mapping=TRAILED) == []


ACC = "method,from_tag,to_tag,callid,sip_code,sip_reason,time,src_user,dst_user\n"
PROXIES = ["kamailio-acc", "opensips-acc"]


def transaction(method: str, call: str, second: int, *, code: int = 200, pad: str = "2041") -> bytes:
    """Return the row of a transaction."""
    tags = "a,b" if method == "INVITE" else "b,a"
    at = f"2026-11-22 09:{second // 60:02}:{second % 60:02}"
    return f"{method},{tags},{call}@1,{code},OK,{at},{pad},2042\n".encode()


@pytest.mark.parametrize("format", PROXIES)
@pytest.mark.parametrize("restart", [True, False])
def test_open_calls_wait(tmp_path: Path, format: str, restart: bool) -> None:
    """A call is stored once, when its last row arrives, also by the next process; one ingest gives equal calls."""
    options: dict[str, Any] = {"format": format, "timezone": "UTC"}
    path = tmp_path / "table.csv"
    rows = [
        transaction("INVITE", "x", 4),
        transaction("INVITE", "y", 5),
        transaction("INVITE", "z", 6, code=486),
        transaction("BYE", "y", 9),
        transaction("INVITE", "w", 12),
        transaction("BYE", "x", 38),
        transaction("INVITE", "v", 40, code=404),
        transaction("BYE", "w", 50),
    ]
    store = open_store(tmp_path / "store")
    reports: list[list[IngestReport]] = []
    added(path, ACC.encode())
    for row in rows:
        added(path, row)
        reports.append(
            looked(tmp_path, **options)
            if restart
            else list(store.follow(path, poll=0.01, wait=False, **options))
        )
    assert [sum(report.added for report in found) for found in reports] == [0, 0, 1, 1, 0, 1, 1, 1]
    assert [found[-1].pending_rows for found in reports] == [1, 2, 2, 1, 2, 1, 1, 0]
    assert looked(tmp_path, **options) == []
    whole = open_store(tmp_path / "whole")
    whole.ingest(path, **options)
    assert calls_in(open_store(tmp_path / "store")) == calls_in(whole)


def test_a_long_call(tmp_path: Path) -> None:
    """A call is put together however much is written between its rows."""
    options: dict[str, Any] = {"format": "kamailio-acc", "timezone": "UTC"}
    pad = "1" * 10_000
    rows = [transaction("INVITE", f"c{at}", at, code=486, pad=pad) for at in range(900)]
    calls = [transaction("INVITE", "long", 0), *rows, transaction("BYE", "long", 900)]
    added(tmp_path / "table.csv", ACC.encode() + b"".join(calls))
    reports = looked(tmp_path, **options)
    assert len(reports) > 1
    assert sum(report.added for report in reports) == 901
    assert [call.duration for call in open_store(tmp_path / "store").run(Query().connected())] == [900]
    assert looked(tmp_path, **options) == []


def test_too_many_open_calls(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of more open calls than are kept the oldest are given up, with a warning that says how to get them."""
    options: dict[str, Any] = {"format": "kamailio-acc", "timezone": "UTC"}
    path = tmp_path / "table.csv"
    pad = "1" * 10_000
    added(path, ACC.encode())
    for first in (0, 75):
        added(path, b"".join(transaction("INVITE", f"c{at}", at, pad=pad) for at in range(first, first + 75)))
        looked(tmp_path, **options)
    assert "46 pending calls were abandoned, the first of them c0@1 from row 2 on" in caplog.text
    added(path, b"".join(transaction("BYE", f"c{at}", 200) for at in range(150)))
    [report] = looked(tmp_path, **options)
    assert (report.added, report.pending_rows) == (104, 46)
    report = open_store(tmp_path / "store").ingest(path, **options)
    assert (report.added, report.duplicates) == (46, 104)


@pytest.mark.parametrize("top", [ACC, ACC.replace("sip_reason,time", "time,sip_reason")])
def test_a_call_in_two_files(tmp_path: Path, top: str, caplog: pytest.LogCaptureFixture) -> None:
    """A call that begins in one file and ends in the next is put together, each row by the names of its own file."""
    options: dict[str, Any] = {"format": "kamailio-acc", "timezone": "UTC"}
    path, old = tmp_path / "table.csv", tmp_path / "table.csv.1"
    begins = [transaction("INVITE", call, second) for second, call in enumerate("xyz", 4)]
    added(path, ACC.encode() + b"".join(begins))
    assert [report.pending_rows for report in looked(tmp_path, **options)] == [3]
    added(path, transaction("BYE", "y", 9))
    path.rename(old)
    added(path, top.encode())
    assert [report.added for report in looked(tmp_path, **options)] == [1]
    later = transaction("BYE", "x", 38)
    if top != ACC:
        later = later.replace(b"OK,2026-11-22 09:00:38", b"2026-11-22 09:00:38,OK")
    added(path, later)
    [report] = looked(tmp_path, **options)
    assert (report.added, report.pending_rows, [call.row for call in report.pending]) == (1, 1, [4])
    assert ("1 pending calls were abandoned, the first of them z@1 from row 4 on" in caplog.text) == (
        top != ACC
    )
    assert open_store(tmp_path / "store").ingest([old, path], **options).added == 0


def test_a_call_that_comes_again(tmp_path: Path) -> None:
    """A call of which each row holds all is taken when one says that it has ended; the rows before are not kept."""
    row = '{{"sid": "CA1", "from": "1", "to": "2", "status": "{}", "start_time": "2026-11-22T09:00:00Z"}}\n'.format
    added(tmp_path / "table.csv", row("ringing").encode())
    [report] = looked(tmp_path, format="twilio")
    assert (report.added, report.pending_rows) == (0, 1)
    added(tmp_path / "table.csv", row("in-progress").encode() + row("completed").encode())
    [report] = looked(tmp_path, format="twilio")
    assert (report.read, report.added, report.pending_rows) == (2, 1, 1)  # not the first one again
    assert looked(tmp_path, format="twilio") == []


def test_rejects_can_be_raised(tmp_path: Path) -> None:
    """With ``on_reject="raise"`` the first bad row raises; no row of its piece is stored until it is corrected."""
    path = tmp_path / "table.csv"
    options: dict[str, Any] = {"format": "generic", "mapping": GENERIC, "on_reject": "raise"}
    added(path, b"id,when,a\nc1,2026-11-22 09:00:00,2041\n")
    [report] = looked(tmp_path, **options)
    assert report.added == 1
    added(path, b"c2,2026-11-22 09:00:01,2041\nbad\n")
    [report] = looked(tmp_path, **options)  # the last line may not be all there
    assert report.added == 1
    added(path, b"c3,2026-11-22 09:00:02,2041\n")
    for _ in range(2):
        with pytest.raises(
            SchemaError, match="row 4: The row has 1 column; .* None of these rows was stored"
        ) as caught:
            looked(tmp_path, **options)
        assert caught.value.row == 4
    assert open_store(tmp_path / "store").count() == 2
    path.write_bytes(path.read_bytes().replace(b"bad", b"c4,2026-11-22 09:00:03,2041"))
    [report] = looked(tmp_path, **options)
    assert report.added == 2
    with pytest.raises(ConfigError, match="on_reject"):
        looked(tmp_path, format="generic", mapping=GENERIC, on_reject="ignore")
