"""Kamailio and OpenSIPS: calls from transactions, compared with a pairing in plain Python."""

from __future__ import annotations

import csv
import io
import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdrkit import open_store
from cdrkit.errors import ConfigError, SchemaError
from cdrkit.sources import JoiningSource, SourceBatch, SourceInput
from cdrkit.sources.sip_proxies.acc import KamailioAcc, OpenSipsAcc
from cdrkit.sources.sip_proxies.acc_cdrs import KamailioCdrs

NAMES = ["method", "from_tag", "to_tag", "callid", "sip_code", "sip_reason", "time", "src_user", "dst_user"]
EPOCH = datetime(2026, 11, 22, 9)
_numbers = itertools.count()


@attrs.frozen
class Event:
    """A row of the table ``acc``."""

    method: str
    from_tag: str
    to_tag: str
    callid: str
    sip_code: int
    at: int

    def row(self) -> list[str]:
        """Return the texts of the row."""
        time = (EPOCH + timedelta(seconds=self.at)).isoformat(" ")
        return [
            self.method, self.from_tag, self.to_tag, self.callid, str(self.sip_code), "x", time, "2041", "442079460018"
        ]  # fmt: skip


def table(*rows: list[str], names: list[str] = NAMES, separator: str = ",") -> bytes:
    """Return a dump of rows."""
    page = io.StringIO()
    csv.writer(page, delimiter=separator, lineterminator="\n").writerows([names, *rows])
    return page.getvalue().encode()


def read_files(source: JoiningSource, *files: bytes) -> list[SourceBatch]:
    """Return the batches of several files of one ingest."""
    return list(
        source.read_all(SourceInput(name=f"f{at}", stream=io.BytesIO(file)) for at, file in enumerate(files))
    )


def calls_of(batches: list[SourceBatch]) -> list[dict[str, Any]]:
    """Return the calls of all batches."""
    return [row for batch in batches for row in batch.frame.to_dicts()]


def pair_plainly(events: set[Event]) -> tuple[dict[tuple[Any, ...], Any], list[str]]:
    """Return the calls and the Call-IDs of pending calls, dialog by dialog in plain Python."""
    calls: dict[tuple[Any, ...], Any] = {}
    pending: list[str] = []
    dialogs = {(e.callid, frozenset((e.from_tag, e.to_tag))) for e in events}
    for callid, tags in dialogs:
        mine = [e for e in events if e.callid == callid and frozenset((e.from_tag, e.to_tag)) == tags]
        answered = sorted(
            (e.at, e.sip_code, e.from_tag) for e in mine if e.method == "INVITE" and e.sip_code < 300
        )
        byes = sorted((e.at, e.sip_code, e.from_tag) for e in mine if e.method == "BYE")
        if answered and byes:
            start, _, caller = answered[0]
            end, _, by = byes[0]
            talked = end - start
            # If both tags are equal, the tags do not show the party: it counts as the caller.
            party = "caller" if by == caller else "callee"
            calls[callid, *sorted(tags), "answered"] = (start, end, talked if talked >= 0 else None, party)
        elif answered or byes:
            pending.append(callid)
        if not answered:
            for e in mine:
                if e.method == "INVITE":
                    calls[callid, e.from_tag, e.to_tag, e.sip_code, e.at] = (e.at, e.at, 0, None)
    return calls, pending


def key(call: dict[str, Any]) -> tuple[Any, ...]:
    """Return the key of a call in `pair_plainly`."""
    native = json.loads(call["extra"])
    if call["disposition"] == "answered":
        return call["linked_id"], *sorted({native["from_tag"], native["to_tag"]}), "answered"
    return call["linked_id"], native["from_tag"], native["to_tag"], call["sip_code"], seconds(call["start"])


def seconds(at: datetime) -> int:
    """Return an instant as the seconds of `Event.at`."""
    return int((at - EPOCH.replace(tzinfo=UTC)).total_seconds())


EVENTS = st.builds(
    Event,
    method=st.sampled_from(["INVITE", "INVITE", "BYE"]),
    from_tag=st.sampled_from(["a", "b", "c"]),
    to_tag=st.sampled_from(["a", "b", "d"]),
    callid=st.sampled_from(["x@1", "y@1", "z@1"]),
    sip_code=st.sampled_from([200, 200, 202, 404, 486, 487, 603]),
    at=st.integers(0, 300),
)


@settings(max_examples=60)
@given(st.lists(EVENTS, max_size=24), st.data())
def test_pairing(events: list[Event], data: st.DataObject) -> None:
    """A call is an answered INVITE and the BYE of its dialog, in any order, in any file, and however often."""
    again = data.draw(st.lists(st.sampled_from(events), max_size=5)) if events else []
    shuffled = data.draw(st.permutations([*events, *again]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), max_size=3)))
    parts = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]
    batches = read_files(
        KamailioAcc(timezone="UTC"), *(table(*(event.row() for event in part)) for part in parts)
    )
    assert sum(batch.read for batch in batches) == len(shuffled)
    assert all(batch.rejects == () for batch in batches)
    actual = calls_of(batches)
    calls, pending = pair_plainly(set(events))
    assert {
        key(call): (seconds(call["start"]), seconds(call["end"]), call["duration"], call["hangup_party"])
        for call in actual
    } == calls
    assert len(actual) == len(calls) == len({(call["start"], call["call_id"]) for call in actual})
    reported = [call for batch in batches for call in batch.pending]
    assert sorted(call.call for call in reported) == sorted(pending)
    # The order of rows, the files and repeated rows do not change the calls.
    assert (
        calls_of(read_files(KamailioAcc(timezone="UTC"), table(*(e.row() for e in dict.fromkeys(events)))))
        == actual
    )


@settings(max_examples=20)
@given(st.lists(EVENTS, max_size=12), st.integers(0, 12))
def test_reading_again_adds_nothing(events: list[Event], cut: int) -> None:
    """Files that are read again together with later rows add only calls that were pending before."""
    store = open_store(f"memory://kamailio-{next(_numbers)}")
    files = [table(*(event.row() for event in part)) for part in (events[:cut], events)]
    reports = [store.ingest(file, format="kamailio-acc", timezone="UTC") for file in (*files, files[1])]
    assert reports[2].added == 0
    for report in reports:
        counted = report.added + report.duplicates + report.conflicts + report.rejected
        assert report.read == counted + report.merged + report.pending_rows
    assert store.count() == sum(report.added for report in reports)


def test_fields() -> None:
    """An answered call and a failed attempt have their fields, the hangup party and their rows."""
    source = KamailioAcc(timezone="Europe/Berlin")
    rows = table(
        Event("BYE", "b", "a", "x@1", 200, 38).row(),
        Event("INVITE", "a", "c", "x@1", 486, 1).row(),
        Event("INVITE", "a", "b", "x@1", 200, 4).row(),
    )
    batches = list(source(io.BytesIO(rows)))
    failed, answered = calls_of(batches)
    assert (failed["disposition"], failed["sip_code"], failed["duration"], failed["answer"]) == (
        "busy",
        486,
        0,
        None,
    )
    assert (answered["disposition"], answered["duration"], answered["hangup_party"]) == (
        "answered",
        34,
        "callee",
    )
    assert answered["start"] == answered["answer"] == datetime(2026, 11, 22, 8, 0, 4, tzinfo=UTC)
    assert (answered["source"], answered["destination"]) == ("2041", "442079460018")
    assert failed["linked_id"] == answered["linked_id"] == "x@1"
    assert failed["call_id"] != answered["call_id"]
    assert "q850_cause" not in answered
    bye = json.loads(answered["extra"])["bye"]
    assert bye == {"method": "BYE", "from_tag": "b", "to_tag": "a", "sip_code": "200", "sip_reason": "x",
                   "src_user": "2041", "dst_user": "442079460018"}  # fmt: skip
    assert sum(batch.merged for batch in batches) == 1


def test_other_rows() -> None:
    """Rows of other methods, with a provisional code, or without a code or time are rejected with a reason."""
    rows = [
        Event("ACK", "a", "b", "x@1", 200, 4).row(),
        Event("INVITE", "a", "b", "x@1", 183, 4).row(),
        [*NAMES[:4], "", "OK", "2026-11-22 09:00:00", "", ""],
        ["BYE", "a", "b", "x@1", "200", "OK", "yesterday", "", ""],
    ]
    batches = list(KamailioAcc(timezone="UTC")(io.BytesIO(table(*rows))))
    assert [reject.reason for batch in batches for reject in batch.rejects] == [
        "method is 'ACK', so the row is not a call.",
        "sip_code 183 is provisional; a transaction ends with a code of 200 or more.",
        "method is 'method', so the row is not a call.",
        "The value 'yesterday' of time is not a time (iso, epoch).",
    ]
    assert sum(batch.read for batch in batches) == 4


def test_columns_of_numbers() -> None:
    """Options name other columns for the numbers; a missing column is refused."""
    rows = table(
        [*Event("INVITE", "a", "b", "x@1", 404, 1).row()[:7], "sip:1@x", "sip:2@x"],
        names=[*NAMES[:7], "caller", "callee"],
    )
    [call] = calls_of(
        list(
            KamailioAcc(timezone="UTC", source_column="caller", destination_column="callee")(io.BytesIO(rows))
        )
    )
    assert (call["source"], call["destination"]) == ("sip:1@x", "sip:2@x")
    [call] = calls_of(list(KamailioAcc(timezone="UTC")(io.BytesIO(rows))))
    assert call["source"] is None
    assert json.loads(call["extra"])["caller"] == "sip:1@x"
    with pytest.raises(SchemaError, match="no column 'calling'"):
        list(KamailioAcc(timezone="UTC", source_column="calling")(io.BytesIO(rows)))
    with pytest.raises(SchemaError, match="no column 'method'"):
        list(KamailioAcc(timezone="UTC")(io.BytesIO(b"callid,time,sip_code\n")))
    with pytest.raises(SchemaError, match="to_tag"):
        list(
            KamailioAcc(timezone="UTC")(
                io.BytesIO(b"method,from_tag,callid,time,sip_code\nBYE,a,x,2026-11-22 09:00:00,200\n")
            )
        )
    with pytest.raises(ConfigError, match="The proxy writes local times without an offset. Give their zone"):
        KamailioAcc()


def test_call_across_the_repeated_hour() -> None:
    """A BYE in a repeated hour is not before its INVITE; swapped tags leave the hangup party empty."""
    rows = table(
        ["INVITE", "a", "b", "x@1", "200", "OK", "2026-10-25 01:59:50", "1", "2"],
        ["BYE", "a", "b", "x@1", "200", "OK", "2026-10-25 01:00:05", "1", "2"],
    )
    batches = list(KamailioAcc(timezone="Europe/London", detect_direction=True)(io.BytesIO(rows)))
    [call] = calls_of(batches)
    assert (call["duration"], call["hangup_party"]) == (15, None)
    assert sum(batch.repeated_hour for batch in batches) == 2


OPENSIPS = [*NAMES[:7], "duration", "ms_duration", "setuptime", "created"]


def test_opensips() -> None:
    """A row with a length is a complete call; the start is the time of the INVITE, if the row has it."""
    complete = [
        "INVITE",
        "a",
        "b",
        "x@1",
        "200",
        "OK",
        "2026-11-22 09:00:04",
        "34",
        "34213",
        "4",
        "2026-11-22 09:00:00",
    ]
    plain = ["INVITE", "a", "b", "y@1", "200", "OK", "2026-11-22 09:00:04", "0", "0", "0", "NULL"]
    missed = [
        "INVITE",
        "a",
        "b",
        "z@1",
        "480",
        "Away",
        "2026-11-22 09:00:20",
        "0",
        "0",
        "0",
        "2026-11-22 09:00:00",
    ]
    bye = ["BYE", "a", "b", "y@1", "200", "OK", "2026-11-22 09:00:10", "0", "0", "0", "NULL"]
    batches = read_files(
        OpenSipsAcc(timezone="UTC"),
        table(complete, plain, names=OPENSIPS, separator="\t"),
        table(missed, bye, names=OPENSIPS),
    )
    first, third, second = calls_of(batches)
    assert (first["start"], first["answer"]) == (
        datetime(2026, 11, 22, 9, tzinfo=UTC),
        datetime(2026, 11, 22, 9, 0, 4, tzinfo=UTC),
    )
    assert (first["duration"], first["ring_duration"], first["hangup_party"]) == (34, 4.0, None)
    assert first["end"] == datetime(2026, 11, 22, 9, 0, 38, 213_000, tzinfo=UTC)
    assert (second["linked_id"], second["duration"], second["ring_duration"]) == ("y@1", 6, None)
    assert (third["disposition"], third["start"], third["end"]) == (
        "no_answer", datetime(2026, 11, 22, 9, tzinfo=UTC), datetime(2026, 11, 22, 9, 0, 20, tzinfo=UTC)
    )  # fmt: skip
    assert all(not batch.pending for batch in batches)
    assert {call["origin"] for call in (first, second, third)} == {"opensips-acc"}


def test_acc_cdrs() -> None:
    """A setting decides the meaning of the duration, and must be given."""
    rows = table(
        ["1", "2026-11-22 09:00:04", "2026-11-22 09:00:38", "34.213000", "x@1"],
        ["2", "2026-11-22 09:00:04", "2026-11-22 09:00:04", "0.000000", "y@1"],
        ["3", "2026-11-22 09:00:04", "NULL", "-1", "z@1"],
        names=["id", "start_time", "end_time", "duration", "callid"],
    )
    [batch] = KamailioCdrs(timezone="UTC", start_on_confirmed=True)(io.BytesIO(rows))
    first, second = batch.frame.to_dicts()
    assert (first["call_id"], first["duration"], first["disposition"]) == ("x@1", 34, "answered")
    assert (second["duration"], second["disposition"]) == (0, "unknown")
    assert batch.contradictions == {"negative_length": 1}
    [batch] = KamailioCdrs(timezone="UTC", start_on_confirmed="0")(io.BytesIO(rows))
    assert "duration" not in batch.frame.columns
    assert json.loads(batch.frame["extra"][0]) == {"duration": "34.213000", "id": "1"}
    [batch] = KamailioCdrs(timezone="UTC", start_on_confirmed=True)(
        io.BytesIO(rows.replace(b"callid", b"other"))
    )
    assert batch.frame["call_id"].str.starts_with("kamailio-cdrs-").all()
    with pytest.raises(ConfigError, match="cdr_start_on_confirmed=1"):
        KamailioCdrs(timezone="UTC")
    with pytest.raises(SchemaError, match="no column 'cid'"):
        list(KamailioCdrs(timezone="UTC", start_on_confirmed=True, call_id_column="cid")(io.BytesIO(rows)))


def test_empty_tables() -> None:
    """A table without rows has no calls; an empty file is refused by its name."""
    assert calls_of(read_files(KamailioAcc(timezone="UTC"), table())) == []
    with pytest.raises(SchemaError, match="f1: The file is empty"):
        read_files(KamailioAcc(timezone="UTC"), table(), b"")


def test_following(tmp_path: Path) -> None:
    """A table that grows is followed: a call is pending until its BYE comes, even if the store is empty."""
    store = open_store(tmp_path / "calls")
    path = tmp_path / "acc.csv"
    path.write_bytes(table(Event("INVITE", "a", "b", "x@1", 200, 4).row()))

    def follow_once() -> list[tuple[int, int]]:
        reports = store.follow(path, format="kamailio-acc", timezone="UTC", wait=False)
        return [(report.added, report.pending_rows) for report in reports]

    assert sum(added for added, _ in follow_once()) == 0
    with path.open("ab") as file:
        rows = table(
            Event("INVITE", "c", "d", "y@1", 486, 5).row(), Event("BYE", "a", "b", "x@1", 200, 38).row()
        )
        file.write(rows.partition(b"\n")[2])
    assert sum(added for added, _ in follow_once()) == 2
    assert sum(added for added, _ in follow_once()) == 0
    assert [(call.linked_id, call.duration) for call in store.run()] == [("x@1", 34), ("y@1", 0)]
