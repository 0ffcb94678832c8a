"""CUCM, ConnexCS and 3CX: columns by their names and by their order."""

from __future__ import annotations

import csv
import io
import json
import socket
import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrkit import open_store
from cdrkit.errors import ConfigError, SchemaError
from cdrkit.sources import SourceBatch, SourceInput, detect
from cdrkit.sources.pbx.connexcs import ConnexCsCsv
from cdrkit.sources.pbx.cucm import Cucm
from cdrkit.sources.pbx.threecx import ThreeCx

START = 1_795_338_000  # 2026-11-22T09:00:00Z
CDR: dict[str, tuple[str, str]] = {
    "cdrRecordType": ("INTEGER", "1"),
    "globalCallID_callManagerId": ("INTEGER", "1"),
    "globalCallID_callId": ("INTEGER", "17"),
    "origLegCallIdentifier": ("INTEGER", "501"),
    "dateTimeOrigination": ("INTEGER", str(START)),
    "origIpAddr": ("INTEGER", "-1139627840"),
    "callingPartyNumber": ("VARCHAR(50)", "2041"),
    "origCause_value": ("INTEGER", "0"),
    "destIpAddr": ("INTEGER", "0"),
    "originalCalledPartyNumber": ("VARCHAR(50)", "8000"),
    "finalCalledPartyNumber": ("VARCHAR(50)", "2042"),
    "destCause_value": ("INTEGER", "16"),
    "dateTimeConnect": ("INTEGER", str(START + 4)),
    "dateTimeDisconnect": ("INTEGER", str(START + 38)),
    "lastRedirectDn": ("VARCHAR(50)", ""),
    "pkid": ("UNIQUEIDENTIFIER", "a1"),
    "duration": ("INTEGER", "34"),
    "globalCallId_ClusterID": ("VARCHAR(50)", "Cluster1"),
    "origIpv4v6Addr": ("VARCHAR(64)", ""),
}
CMR: dict[str, tuple[str, str]] = {
    "cdrRecordType": ("INTEGER", "2"),
    "globalCallID_callManagerId": ("INTEGER", "1"),
    "globalCallID_callId": ("INTEGER", "17"),
    "callIdentifier": ("INTEGER", "501"),
    "dateTimeStamp": ("INTEGER", str(START + 38)),
    "varVQMetrics": ("VARCHAR(600)", "MLQK=4.4;MLQKav=4.4500;MLQKmn=4.2"),
    "globalCallId_ClusterID": ("VARCHAR(50)", "Cluster1"),
}


def table(kind: dict[str, tuple[str, str]], *rows: dict[str, str], names: list[str] | None = None) -> bytes:
    """Return a CUCM file: names, types, and rows that differ from the sample as given."""
    names = names or list(kind)
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow(names)
    writer.writerow([kind[name][0] for name in names])
    writer.writerows([row.get(name, kind[name][1]) for name in names] for row in rows)
    return page.getvalue().encode()


def calls_of(batches: Any) -> list[dict[str, Any]]:
    """Return the calls of batches without rejects."""
    batches = list(batches)
    assert [reject for batch in batches for reject in batch.rejects] == []
    return [row for batch in batches for row in batch.frame.to_dicts()]


def read_cucm(*files: bytes) -> list[SourceBatch]:
    """Return the batches of several CUCM files of one ingest."""
    inputs = [SourceInput(name=f"f{at}", stream=io.BytesIO(file)) for at, file in enumerate(files)]
    return list(Cucm().read_all(inputs))


def test_cucm() -> None:
    """Columns are found by name in any order; the line of types is skipped."""
    [call] = calls_of(Cucm()(io.BytesIO(table(CDR, {}))))
    start = datetime(2026, 11, 22, 9, tzinfo=UTC)
    assert (call["start"], call["answer"], call["end"]) == (
        start,
        start + timedelta(seconds=4),
        start + timedelta(seconds=38),
    )
    assert (call["call_id"], call["linked_id"]) == ("a1", "Cluster1-1-17")
    assert (call["source"], call["destination"], call["dialled"]) == ("2041", "2042", "8000")
    assert (call["source_ip"], call["duration"], call["disposition"]) == ("192.168.18.188", 34, "answered")
    assert (call["q850_cause"], call["hangup_party"], call.get("sip_code")) == (16, "callee", None)
    extra = json.loads(call["extra"])
    assert extra["origIpAddr"] == "-1139627840"
    assert extra["destCause_value"] == "16"
    moved = table(CDR, {}, names=sorted(CDR))
    assert calls_of(Cucm()(io.BytesIO(moved))) == [call]
    assert calls_of(Cucm()(io.BytesIO(table(CDR, {}) + table(CDR, {"pkid": "a2"}))))[1]["call_id"] == "a2"


@given(st.integers(-(2**31), 2**31 - 1).filter(bool))
def test_cucm_addresses(number: int) -> None:
    """An address is a signed number in little-endian order, as the C library reads it."""
    [call] = calls_of(Cucm()(io.BytesIO(table(CDR, {"origIpAddr": str(number)}))))
    assert call["source_ip"] == socket.inet_ntoa(struct.pack("<i", number))


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({"origCause_value": "16", "destCause_value": "0"}, (16, "caller", "answered")),
        ({"origCause_value": "16", "destCause_value": "16"}, (16, None, "answered")),
        ({"origCause_value": "16", "destCause_value": "41"}, (None, None, "answered")),
        ({"destCause_value": "0"}, (None, None, "answered")),
        ({"destCause_value": "393216"}, (None, "callee", "answered")),
        ({"dateTimeConnect": "0", "duration": "0", "destCause_value": "17"}, (17, "callee", "busy")),
        ({"dateTimeConnect": "0", "duration": "0", "destCause_value": "19"}, (19, "callee", "no_answer")),
        ({"dateTimeConnect": "0", "duration": "0", "destCause_value": "21"}, (21, "callee", "rejected")),
        ({"dateTimeConnect": "0", "duration": "0", "destCause_value": "1"}, (1, "callee", "failed")),
        (
            {"dateTimeConnect": "0", "duration": "0", "origCause_value": "16", "destCause_value": "0"},
            (16, "caller", "cancelled"),
        ),
        ({"dateTimeConnect": "0", "duration": "0", "destCause_value": "0"}, (None, None, "unknown")),
    ],
)
def test_cucm_causes(given_: dict[str, str], expected: tuple[Any, ...]) -> None:
    """Causes are Q.850 causes; the side with a cause hung up; dateTimeConnect 0 means that there was no answer."""
    [call] = calls_of(Cucm()(io.BytesIO(table(CDR, given_))))
    assert (call["q850_cause"], call["hangup_party"], call["disposition"]) == expected
    assert (call["answer"] is None) == (given_.get("dateTimeConnect") == "0")


def test_cucm_quality(tmp_path: Path) -> None:
    """CMR files among the CDR files give a call its lowest MOS, in any order of the files."""
    cmr = table(
        CMR,
        {},
        {"callIdentifier": "502", "varVQMetrics": "MLQKav=3.9"},
        {"globalCallID_callId": "18", "varVQMetrics": ""},
        {"globalCallID_callId": "99"},
    )
    cdr = table(
        CDR, {}, {"pkid": "a2", "globalCallID_callId": "18"}, {"pkid": "a3", "globalCallID_callId": "19"}
    )
    batches = read_cucm(cmr, cdr)
    first, second, third = calls_of(batches)
    assert (first["mos"], second["mos"], third["mos"]) == (pytest.approx(3.9), None, None)
    assert [leg["callIdentifier"] for leg in json.loads(first["extra"])["cmr"]] == ["501", "502"]
    assert "cmr" not in json.loads(third["extra"])
    assert calls_of(read_cucm(cdr, cmr)) == [first, second, third]
    assert sum(batch.read for batch in batches) == 7
    assert sum(batch.merged for batch in batches) == 3
    assert [(call.call, call.row, call.input) for batch in batches for call in batch.pending] == [
        ("Cluster1-1-99", 6, "f0")
    ]
    for name, data in (("cdr_1", cdr), ("cmr_1", cmr)):
        (tmp_path / name).write_bytes(data)
    report = open_store(tmp_path / "calls").ingest([tmp_path / "cdr_1", tmp_path / "cmr_1"], format="cucm")
    assert (report.read, report.added, report.merged, report.pending_rows) == (7, 3, 3, 1)


def test_cucm_other_files() -> None:
    """A row of another type is rejected; a file of another format is refused."""
    [batch] = Cucm()(
        io.BytesIO(table(CDR, {"cdrRecordType": "2"}, {"dateTimeOrigination": "0"}, {"pkid": ""}))
    )
    assert [reject.reason for reject in batch.rejects] == [
        "cdrRecordType is '2', so the row is not a call.",
        "The dateTimeOrigination is missing.",
        "The pkid is missing.",
    ]
    with pytest.raises(SchemaError, match="no column 'pkid'"):
        list(Cucm()(io.BytesIO(table(CMR, {}))))
    with pytest.raises(SchemaError, match="^f0: .*no column"):
        read_cucm(b"a,b\n1,2\n", table(CDR, {}))
    with pytest.raises(SchemaError, match="^The table has no column"):
        read_cucm(b"a,b\n1,2\n")
    assert detect(table(CDR, {})).format == detect(table(CMR, {})).format == "cucm"


# -- ConnexCS ------------------------------------------------------------------------------------------------

LABELS = {
    "Call ID": "a1@10.0.0.1",
    "Switch": "sw1",
    "Call Time": "2026-11-22 09:00:00",
    "Source Number": "442079460018",
    "Card ID": "77",
    "Tech Prefix": "99#",
    "Destination": "12125550100",
    "LRN Number": "12125550000",
    "Duration": "34",
    "Recording File": "2026-11-22/a1.wav",
    "Play Audio": "",
    "Release Reason": "Downstream BYE",
    "PDD In": "0.2",
    "Ring Duration": "4",
    "SIP Code": "200",
    "SIP Reason": "OK",
    "DTMF": "12",
    "Direction": "Outbound",
    "Source IP": "10.0.0.9",
    "Destination Code": "1212",
    "Destination Name": "USA New York",
    "Billed Duration": "36",
    "Rate": "0.012",
    "Connect Cost": "0",
    "PDD": "1.5",
    "Charge": "0.0072",
}
DATABASE = {
    "callid": "Call ID",
    "switch_ip": "Switch",
    "dt": "Call Time",
    "source_cli": "Source Number",
    "customer_card_id": "Card ID",
    "tech_prefix": "Tech Prefix",
    "dest_number": "Destination",
    "lrn_number": "LRN Number",
    "duration": "Duration",
    "recording_file": "Recording File",
    "release_reason": "Release Reason",
    "pdd_in": "PDD In",
    "ring_duration": "Ring Duration",
    "sip_code": "SIP Code",
    "sip_reason": "SIP Reason",
    "dtmf": "DTMF",
    "source_ip": "Source IP",
    "customer_card_dest_code": "Destination Code",
    "customer_card_dest_name": "Destination Name",
    "customer_duration": "Billed Duration",
    "customer_card_rate": "Rate",
    "customer_card_connect_rate": "Connect Cost",
    "pdd_out": "PDD",
    "customer_charge": "Charge",
}


def page(row: dict[str, str]) -> bytes:
    """Return a CSV of one row."""
    text = io.StringIO()
    csv.writer(text).writerows([row, row.values()])
    return text.getvalue().encode()


def test_connexcs() -> None:
    """All 26 columns of the portal, and the columns of the database, become one call."""
    [call] = calls_of(ConnexCsCsv()(io.BytesIO(page(LABELS))))
    assert call["start"] == datetime(2026, 11, 22, 9, tzinfo=UTC)
    assert (call["call_id"], call["switch"], call["direction"]) == ("a1@10.0.0.1", "sw1", "outbound")
    assert (call["duration"], call["billed_duration"], call["ring_duration"]) == (34, 36, 4.0)
    assert (call["pdd"], call["pdd_in"], call["sip_code"]) == (1.5, 0.2, 200)
    assert (call["rate"], call["charge"]) == (Decimal("0.012"), Decimal("0.0072"))
    assert (call["disposition"], call["release_reason"], call["dtmf"]) == ("answered", "Downstream BYE", "12")
    assert call["recording"] == "2026-11-22/a1.wav"
    assert json.loads(call["extra"]) == {"Direction": "Outbound"}
    native = {name: LABELS[label] for name, label in DATABASE.items()}
    [same] = calls_of(ConnexCsCsv()(io.BytesIO(page(native))))
    assert {name: value for name, value in call.items() if name not in ("direction", "extra")} == {
        name: same[name] for name in call if name not in ("direction", "extra")
    }


def test_connexcs_chosen_columns() -> None:
    """The columns may be any, in any order; the SIP code decides the disposition of an unanswered call."""
    some = {name: LABELS[name] for name in ("Charge", "Call Time", "Call ID", "PDD", "SIP Code", "Duration")}
    some |= {"SIP Code": "486", "Duration": "0", "PDD": "1500"}
    [call] = calls_of(ConnexCsCsv(length_unit="ms")(io.BytesIO(page(some))))
    assert (call["disposition"], call["pdd"], call.get("q850_cause")) == ("busy", 1.5, None)
    with pytest.raises(SchemaError, match="no column 'Call ID' or 'callid'"):
        list(ConnexCsCsv()(io.BytesIO(page({"Call Time": "2026-11-22 09:00:00"}))))
    with pytest.raises(ConfigError, match="unit='hours' is not valid"):
        ConnexCsCsv(length_unit="hours")
    assert detect(page(LABELS)).format == "connexcs-csv"
    assert detect(page({name: LABELS[label] for name, label in DATABASE.items()})).format == "connexcs-csv"


# -- 3CX -----------------------------------------------------------------------------------------------------

LINE = (
    "0001,00000A1,00:00:34,2026/07/22 10:00:00,2026/07/22 10:00:04,2026/07/22 10:00:38,TerminatedBySrc,Ext.100,"
    "442079460018,100,10000,442079460018,,442079460018,10000,,0.012,0.0072,UK,Chain: Ext.100;442079460018;,"
    "Extension,ExternalLine,ExternalLine,Ann,,,"
)


def test_threecx() -> None:
    """The columns in the order of 3CX have no quotes, lengths in clock format, and local times."""
    [call] = calls_of(ThreeCx(timezone="Europe/London", currency="GBP")(io.BytesIO(f"{LINE}\r\n".encode())))
    assert call["start"] == datetime(2026, 7, 22, 9, tzinfo=UTC)
    assert (call["duration"], call["disposition"], call["hangup_party"]) == (34, "answered", "caller")
    assert (call["call_id"], call["linked_id"], call["source_name"]) == ("0001", "00000A1", "Ann")
    assert (call["source"], call["destination"]) == ("100", "442079460018")
    assert (call["charge"], call["rate"], call["currency"]) == (Decimal("0.0072"), Decimal("0.012"), "GBP")
    extra = json.loads(call["extra"])
    assert (extra["from-no"], extra["chain"]) == ("Ext.100", "Chain: Ext.100;442079460018;")
    assert detect(f"{LINE}\n".encode()).format == "3cx"


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("Failed_Cancelled", "cancelled"),
        ("BusyHere", "busy"),
        ("NoAnswer", "no_answer"),
        ("Rejected", "rejected"),
        ("NotFound", "failed"),
        ("src_participant_terminated", "unknown"),
        ("cancelled", "cancelled"),
    ],
)
def test_threecx_dispositions(reason: str, word: str) -> None:
    """The reason decides the disposition of a call without an answer, and is kept."""
    source = ThreeCx(
        timezone="UTC", columns=["historyid", "time-start", "reason-terminated", "time-answered"]
    )
    [call] = calls_of(source(io.BytesIO(f"1,2026-07-22 10:00:00,{reason},\n".encode())))
    assert (call["disposition"], call["release_reason"]) == (word, reason)


def test_threecx_before_a_line() -> None:
    """The word before each line is removed, as in a line of version 20."""
    line = (
        "Call 265500,89d3af2d8f010000_3456,00:08:10,2024/04/30 06:27:28,2024/04/30 06:27:36,2024/04/30 06:35:46,"
        "TerminatedByDst,070123456,Ext.80002,10020,80002,80002,ReplacedDst,Ext.10013,10013,,,,,"
        "Chain: 070123456;Ext.80002;Ext.10013;,Line,Queue,Extension,070123456,Support,Ann,"
    )
    [call] = calls_of(ThreeCx(timezone="UTC")(io.BytesIO(f"{line}\n".encode())))
    assert (call["call_id"], call["linked_id"], call["duration"]) == ("265500", "89d3af2d8f010000_3456", 490)
    assert (call["source"], call["destination"], call["hangup_party"]) == ("070123456", "10013", "callee")
    assert json.loads(call["extra"])["historyid"] == "Call 265500"
    assert detect(f"{line}\n".encode()).format == "3cx"


@pytest.mark.parametrize(
    ("first", "field", "text", "value"),
    [
        ("time-start", "start", "2026/07/22 10:00:00", datetime(2026, 7, 22, 10, tzinfo=UTC)),
        ("duration", "duration", "00:01:04", 64),
        ("from-no", "source", "Ext.100", "100"),
        ("from-no", "source", "442079460018", "442079460018"),
        ("from-dispname", "source_name", "Call Centre", "Call Centre"),
        ("reason-terminated", "hangup_party", "dst_participant_terminated", "callee"),
    ],
)
@pytest.mark.parametrize("before", ["Call ", ""])
def test_threecx_first_column(before: str, first: str, field: str, text: str, value: object) -> None:
    """The first column may begin with the word, and is read without it; a name keeps the word, which may be its own."""
    columns = list(dict.fromkeys([first, "historyid", "time-start"]))
    rest = ["7", "2026/07/22 10:00:00"][: len(columns) - 1]
    line = ",".join([before + text, *rest])
    [call] = calls_of(ThreeCx(timezone="UTC", columns=columns)(io.BytesIO(f"{line}\n".encode())))
    named = field == "source_name"
    assert (call["call_id"], call[field]) == ("7", before + str(value) if named else value)


def test_threecx_options() -> None:
    """The zone, known columns and the needed columns are required; other files are refused."""
    with pytest.raises(ConfigError, match="3CX writes local times without an offset. Give their zone"):
        ThreeCx()
    with pytest.raises(ConfigError, match="Did you mean .*'time-start'"):
        ThreeCx(timezone="UTC", columns="historyid time-begin")
    with pytest.raises(ConfigError, match="lacks 'historyid'"):
        ThreeCx(timezone="UTC", columns="time-start")
    with pytest.raises(SchemaError, match=r"No row matches the format .* \(rows read: 1\)"):
        list(ThreeCx(timezone="UTC")(io.BytesIO(b"a,b\n")))
