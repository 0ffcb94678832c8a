"""Twilio, Plivo, Vonage and Telnyx: answers of their APIs and reports, compared with a plain parse of the JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from cdrkit import open_store
from cdrkit.errors import ConfigError, SchemaError
from cdrkit.sources import SourceBatch, detect, make_source
from cdrkit.sources.cloud.plivo import Plivo
from cdrkit.sources.cloud.telnyx import Telnyx
from cdrkit.sources.cloud.twilio import Twilio
from cdrkit.sources.cloud.vonage import Vonage
from cdrkit.sources.readers import json_documents

PROVIDERS: dict[str, Any] = {"twilio": Twilio(), "plivo": Plivo(), "vonage": Vonage()}
CALL = {
    "sid": "CA1",
    "parent_call_sid": None,
    "from": "anonymous",
    "to": "+13051913581",
    "status": "completed",
    "direction": "outbound-api",
    "start_time": "Fri, 18 Oct 2019 17:02:00 +0000",
    "duration": "4",
    "price": None,
    "price_unit": "USD",
}


def read(source: Any, data: object) -> list[SourceBatch]:
    """Return the batches of a document, or of bytes."""
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return list(source(io.BytesIO(raw)))


def calls_of(source: Any, data: object) -> list[dict[str, Any]]:
    """Return the calls of a document without rejects."""
    batches = read(source, data)
    assert [reject for batch in batches for reject in batch.rejects] == []
    return [row for batch in batches for row in batch.frame.to_dicts()]


def answers(samples: Path, provider: str) -> Iterator[tuple[Path, list[dict[str, Any]] | None]]:
    """Yield the files of a provider, each with its calls; None for a file without calls."""
    for path in sorted((samples / provider).iterdir()):
        document = json.loads(path.read_text())
        if "recording" in path.name.lower():
            yield path, None
        elif provider == "vonage":
            yield path, document.get("_embedded", {"calls": [document]})["calls"]
        else:
            yield path, document.get("calls", document.get("objects", [document]))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_answer(samples: Path, tmp_path: Path, provider: str) -> None:
    """Every call of a file is counted, and the content decides the format; files without calls are refused."""
    store = open_store(tmp_path / "calls")
    for path, calls in answers(samples, provider):
        if calls is None:
            with pytest.raises(SchemaError, match="The JSON value contains none of .* calls.*recording"):
                store.ingest(path, format=provider)
            assert all(source.sniff(path.read_bytes(), path.name) is None for source in PROVIDERS.values())
            continue
        assert detect(path).format == provider
        report = store.ingest(path, format=provider, on_conflict="replace")
        assert report.read == len(calls) == report.added + report.duplicates + report.pending_rows
        again = store.ingest(path, format=provider)
        assert (again.added, again.conflicts, again.pending_rows) == (0, 0, report.pending_rows)


def test_twilio(samples: Path) -> None:
    """Every value of Twilio's calls equals the value in the JSON; a charge is the price with its sign inverted."""
    words = {"completed": "answered", "canceled": "cancelled"}
    for path, natives in answers(samples, "twilio"):
        if natives is None:
            continue
        for call, native in zip(calls_of(Twilio(), path.read_bytes()), natives, strict=True):
            assert call["start"] == parsedate_to_datetime(native["start_time"])
            assert call["end"] == parsedate_to_datetime(native["end_time"])
            assert call["duration"] == int(native["duration"])
            assert call["charge"] == -Decimal(native["price"])
            assert (call["call_id"], call["currency"]) == (native["sid"], native["price_unit"])
            assert call["linked_id"] == (native["parent_call_sid"] or native["sid"])
            assert (call["source"], call["destination"]) == (native["from"], native["to"])
            assert call["disposition"] == words[native["status"]]
            assert call["direction"] == native["direction"].split("-")[0]
            extra = json.loads(call["extra"])
            assert extra["queue_time"] == "1000"
            assert {f"subresource_uris.{key}" for key in native["subresource_uris"]} <= set(extra)


def test_twilio_late_price_and_missing_lengths(tmp_path: Path) -> None:
    """A price that comes later is a conflict and can replace; an empty duration is 0; anonymous stays anonymous."""
    store = open_store(tmp_path / "calls")
    page = {"calls": [CALL, CALL | {"sid": "CA2", "duration": None, "status": "no-answer"}]}
    assert store.ingest(json.dumps(page).encode(), format="twilio").added == 2
    priced = json.dumps({"calls": [CALL | {"price": "-0.0085"}]}).encode()
    report = store.ingest(priced, format="twilio")
    assert (report.added, report.conflicts, report.conflicting[0].fields) == (0, 1, ("charge",))
    assert store.ingest(priced, format="twilio", on_conflict="replace").replaced == 1
    first, second = store.run()
    assert (first.charge, first.source, first.has_recording) == (Decimal("0.0085"), "anonymous", False)
    assert (second.duration, second.disposition, second.charge) == (0, "no_answer", None)


def test_calls_in_progress(tmp_path: Path) -> None:
    """A call that has not ended is pending, and stored when it has ended."""
    store = open_store(tmp_path / "calls")
    in_progress = CALL | {"status": "in-progress", "duration": None}
    report = store.ingest(json.dumps([in_progress, CALL | {"sid": "CA2"}]).encode(), format="twilio")
    assert (report.read, report.added, report.pending_rows) == (2, 1, 1)
    assert report.pending[0].call == "CA1"
    assert store.ingest(json.dumps([CALL]).encode(), format="twilio").added == 1


@pytest.mark.parametrize(
    "write",
    [
        lambda calls: json.dumps({"calls": calls, "page": 0}),
        lambda calls: json.dumps({"calls": calls}, indent=2),
        json.dumps,
        lambda calls: "\n".join(map(json.dumps, calls)),
        lambda calls: "\r\n".join([*map(json.dumps, calls), ""]),
        lambda calls: "\n\n".join(json.dumps({"calls": [call]}, indent=1) for call in calls),
        lambda calls: "\ufeff" + json.dumps(calls),
    ],
    ids=["page", "indented", "list", "lines", "crlf", "documents", "mark"],
)
def test_shapes(write: Any) -> None:
    """A page, a list, several documents, and one document in a line give equal calls."""
    calls = [CALL | {"sid": f"CA{at}", "caller_name": f"é{at}"} for at in range(3)]
    parsed = calls_of(Twilio(), write(calls).encode())
    assert [call["source_name"] for call in parsed] == ["é0", "é1", "é2"]
    assert parsed == calls_of(Twilio(), [dict(reversed(call.items())) for call in calls])


def test_utf16() -> None:
    """JSON may be in UTF-16."""
    assert len(calls_of(Twilio(), json.dumps({"calls": [CALL]}, indent=1).encode("utf-16"))) == 1


def test_damaged_calls() -> None:
    """A malformed call of a page is rejected by its number; its text is one line of JSON and can be read again."""
    odd = [
        {**CALL, "start_time": "yesterday"},
        {"sid": "CA7"},
        {"uri": "/x"},
        "text",
        {**CALL, "caller_name": "\ud800"},
        {**CALL, "duration": -4},
    ]
    batches = read(Twilio(), {"calls": [CALL, *odd]})
    [batch] = batches
    assert batch.frame.height == 1
    assert [reject.row for reject in batch.rejects] == [2, 3, 4, 5, 6, 7]
    reasons = " ".join(reject.reason for reject in batch.rejects)
    for part in (
        "The value 'yesterday' of start_time",
        "The start_time is missing",
        "half of a surrogate pair",
        "is negative",
    ):
        assert part in reasons
    assert batch.contradictions == {"negative_length": 1}
    repaired = batch.rejects[0].text.replace("yesterday", CALL["start_time"] or "")
    assert calls_of(Twilio(), repaired.encode())[0] == batch.frame.to_dicts()[0]
    lines = b"\n".join([json.dumps(CALL).encode(), b'{"sid": "CA', json.dumps(CALL).encode()])
    assert [(batch.frame.height, len(batch.rejects)) for batch in read(Twilio(), lines)] == [(2, 1)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "The file is empty"),
        (b" \n ", "The file is empty"),
        (b"{", "cannot be parsed as JSON"),
        (b"<html>", "cannot be parsed as JSON"),
        (b"\xff\xfe\x00", "cannot be parsed as JSON"),
        (b'{"a": NaN}', "NaN is not a JSON value"),
        (b"[" * 100_000, "cannot be parsed as JSON"),
        (b"7", "The JSON value contains none of Twilio's calls: it is"),
        (b'{"code": 20404, "message": "not found", "status": 404}', "it is an error response"),
        (b'{"recordings": []}', "it is a list of recordings"),
        (b'{"calls": [{"call_sid": "CA1", "sid": "RE1"}]}', "it is data of a call, such as a recording"),
        (b'{"colour": "red"}', "its keys are 'colour'"),
    ],
)
def test_no_calls(data: bytes, message: str) -> None:
    """Data without calls of Twilio is refused, and the message describes the data."""
    with pytest.raises(SchemaError, match=message):
        read(Twilio(), data)


def test_empty_pages() -> None:
    """A page without calls is read without an error."""
    assert read(Twilio(), {"calls": [], "page": 0}) == []
    assert read(Plivo(), {"objects": [], "meta": {}}) == []


def test_plivo(samples: Path) -> None:
    """Times become UTC, the stated length is kept even if it contradicts the times, and amounts are exact."""
    for path, natives in answers(samples, "plivo"):
        if natives is None or "live" in path.name:
            continue
        for call, native in zip(calls_of(Plivo(currency="USD"), path.read_bytes()), natives, strict=True):
            assert call["start"] == datetime.fromisoformat(native["initiation_time"])
            answer = native["answer_time"]
            assert call["answer"] == (answer and datetime.fromisoformat(answer))
            assert (call["duration"], call["billed_duration"]) == (
                native["call_duration"],
                native["billed_duration"],
            )
            assert call["charge"] == Decimal(native["total_amount"])
            assert call["rate"] == Decimal(native["total_rate"])
            assert call["currency"] == "USD"
            assert call["disposition"] == ("answered" if answer else "unknown")
            assert json.loads(call["extra"])["bill_duration"] == str(native["bill_duration"])


def test_plivo_contradiction_is_counted(samples: Path, tmp_path: Path) -> None:
    """The report counts Plivo's calls that talked longer than they lasted."""
    report = open_store(tmp_path / "calls").ingest(
        samples / "plivo" / "callListResponse.json", format="plivo"
    )
    assert report.contradictions["talk_longer_than_call"] == 2


def test_plivo_hangup() -> None:
    """The hangup cause decides the disposition of an unanswered call; the hangup source is the hangup party."""
    call = {
        "call_uuid": "u",
        "initiation_time": "2026-11-22 09:00:00Z",
        "answer_time": None,
        "call_duration": 0,
    }
    cause = {"hangup_cause_name": "Busy Line", "hangup_cause_code": 3010, "hangup_source": "Callee"}
    [parsed] = calls_of(Plivo(), call | cause)
    assert (parsed["disposition"], parsed["hangup_party"], parsed["release_reason"]) == (
        "busy",
        "callee",
        "Busy Line",
    )
    assert json.loads(parsed["extra"])["hangup_cause_code"] == "3010"


@pytest.mark.parametrize(
    ("cause", "word"),
    [
        ("Canceled", "cancelled"),
        ("Cancelled (Out Of Credits)", "cancelled"),
        ("busy_line", "busy"),
        ("Unallocated number", "failed"),
        ("Forbidden", "rejected"),
        ("Normal Hangup", "unknown"),
    ],
)
def test_plivo_causes(cause: str, word: str) -> None:
    """Causes have either spelling, or the one of Plivo's trunks."""
    call = {"call_uuid": "u", "initiation_time": "2026-11-22 09:00:00Z", "call_duration": 0}
    [parsed] = calls_of(Plivo(), call | {"hangup_cause_name": cause})
    assert (parsed["disposition"], parsed["release_reason"]) == (word, cause)


def test_plivo_trunk() -> None:
    """A trunk's call has times without an offset and one billed length; a carrier is not a hangup party."""
    call = {
        "call_uuid": "u",
        "call_direction": "outbound",
        "call_duration": 4,
        "bill_duration": 6,
        "initiation_time": "2026-12-06 07:01:48",
        "answer_time": "2026-12-06 07:01:56",
        "end_time": "2026-12-06 07:02:00",
        "hangup_cause_name": "normal_hangup",
        "hangup_source": "carrier",
    }
    [parsed] = calls_of(Plivo(timezone="UTC"), call)
    assert parsed["answer"] == datetime(2026, 12, 6, 7, 1, 56, tzinfo=UTC)
    assert (parsed["duration"], parsed["billed_duration"], parsed["hangup_party"]) == (4, 6, None)
    [parsed] = calls_of(Plivo(timezone="UTC"), call | {"hangup_source": "Call recipient"})
    assert parsed["hangup_party"] == "callee"
    with pytest.raises(ConfigError, match="local time without an offset"):
        read(Plivo(), call)


def test_vonage(samples: Path) -> None:
    """Numbers are in objects; six of the eight decimals of a price are stored, and extra keeps all."""
    for path, natives in answers(samples, "vonage"):
        for call, native in zip(calls_of(Vonage(), path.read_bytes()), natives or [], strict=True):
            assert call["start"] == datetime.fromisoformat(native["start_time"])
            assert (call["source"], call["destination"]) == (native["from"]["number"], native["to"]["number"])
            assert call["charge"] == round(Decimal(native["price"]), 6)
            assert call["rate"] == Decimal(native["rate"])
            extra = json.loads(call["extra"])
            assert (extra["price"], extra["from.type"]) == (native["price"], native["from"]["type"])
            assert call["linked_id"] == native["conversation_uuid"]
            assert call["duration"] == int(native["duration"])


REPORT = {
    "account_id": "abc",
    "call_id": "c1",
    "direction": "outbound",
    "from": "442079460018",
    "to": "12125550100",
    "network_name": "Acme Mobile",
    "date_start": "2026-11-22T09:00:00+0000",
    "date_end": "2026-11-22T09:00:34+0000",
    "duration": "34",
    "status": "ANSWERED",
    "currency": "EUR",
    "price": "0.0127",
    "total_price": "0.0072",
}


def test_vonage_reports() -> None:
    """The price in a report is the price of a minute, in CSV and in JSON; local times need a zone."""
    table = (",".join(REPORT) + "\n" + ",".join(REPORT.values()) + "\n").encode()
    [call] = calls_of(Vonage(), table)
    [same] = calls_of(Vonage(), {"records": [REPORT]})
    assert {name: call.get(name) for name in same} == same
    assert (call["rate"], call["charge"], call["currency"]) == (Decimal("0.0127"), Decimal("0.0072"), "EUR")
    assert (call["disposition"], call["account"], call["destination_name"]) == (
        "answered",
        "abc",
        "Acme Mobile",
    )
    local = table.replace(b"+0000", b"")
    with pytest.raises(ConfigError, match="local time without an offset"):
        read(Vonage(), local)
    assert calls_of(Vonage(timezone="UTC", currency="GBP"), local)[0]["currency"] == "GBP"
    failed = REPORT | {"status": "FAILED", "status_code": "480", "status_description": "Callee unavailable"}
    [call] = calls_of(Vonage(), {"records": [failed | {"duration": None}]})
    assert (call["disposition"], call["duration"], call["release_reason"]) == (
        "failed",
        0,
        "Callee unavailable",
    )
    assert calls_of(Vonage(), {"records": [REPORT | {"status": "MACHINE"}]})[0]["disposition"] == "answered"
    assert detect(table).format == "vonage"
    assert detect(json.dumps({"records": [REPORT]}).encode()).format == "vonage"


def test_vonage_records_of_parts() -> None:
    """Records of speech recognition have the id of their call, and are not calls."""
    speech = REPORT | {"status": "ok", "call_date_start": REPORT["date_start"], "asr_type": "standard"}
    with pytest.raises(SchemaError, match="it is a speech recognition in a call"):
        read(Vonage(), {"records": [speech]})
    table = (",".join(speech) + "\n" + ",".join(speech.values()) + "\n").encode()
    assert Vonage.sniff(table, "asr.csv") is None
    assert Vonage.sniff(json.dumps({"records": [speech]}).encode(), "asr.json") is None


def test_telnyx() -> None:
    """The start is in UTC, other times are in the zone of the report; the time talked is from answer to end."""
    rows = [
        "sip_call_id,start_timestamp_utc,start_timestamp,answer_timestamp,end_timestamp,direction,origination_number,"
        "terminating_number,billable_time,cost,rate,hangup_code,pdd,mos,tags",
        "a@b,2026-07-22 07:00:00,2026-07-22 09:00:00,2026-07-22 09:00:04,2026-07-22 09:00:38,outbound,+4930123456,"
        "+12125550100,36,0.0072,0.012,16,1.25,4.4,x",
        "c@d,2026-07-22 07:00:00,2026-07-22 09:00:00,,2026-07-22 09:00:20,inbound,anonymous,+4930123456,"
        "0,0,0.01,17,2,,",
    ]
    data = "\n".join([*rows, ""]).encode()
    first, second = calls_of(Telnyx(timezone="Europe/Berlin", currency="USD"), data)
    assert first["start"] == datetime(2026, 7, 22, 7, tzinfo=UTC)
    assert first["answer"] == datetime(2026, 7, 22, 7, 0, 4, tzinfo=UTC)
    assert (first["duration"], first["billed_duration"], first["disposition"]) == (34, 36, "answered")
    assert (first["pdd"], first["mos"], first["release_reason"]) == (1.25, pytest.approx(4.4), "16")
    assert (first["charge"], first["currency"]) == (Decimal("0.0072"), "USD")
    assert first.get("q850_cause") is None
    assert json.loads(first["extra"]) == {"start_timestamp": "2026-07-22 09:00:00", "tags": "x"}
    assert (second["duration"], second["disposition"], second["source"]) == (0, "unknown", "anonymous")
    page = {
        "data": [dict(zip(rows[0].split(","), row.split(","), strict=True)) for row in rows[1:]],
        "meta": {},
    }
    same = calls_of(Telnyx(timezone="Europe/Berlin", currency="USD"), page)
    assert [{name: call[name] for name in first} for call in same] == [first, second]
    with pytest.raises(ConfigError, match="local time without an offset"):
        read(Telnyx(), data)
    assert detect(data).format == detect(json.dumps(page).encode()).format == "telnyx"


def test_telnyx_labels() -> None:
    """The CSV of a report has labels, its own id, the time talked and causes of FreeSWITCH."""
    header = (
        "Originating Number,Full Terminating number,Terminating number,Start Timestamp(UTC),Start Timestamp,"
        "Answer Timestamp,End Timestamp,Call duration,Billable time,Cost,Rate,Direction,Hangup code,Hangup cause,"
        "PDD(sec),Tags,Sip call-id,Account id,Unique CDR ID,Call UUID,MoS,Hangup Details,Sip response code"
    )
    rows = [
        "+15195550100,5195550101,+15195550101,2025-12-14 06:58:54,2025-12-14 07:58:54,,2025-12-14 07:59:31,0,0,"
        '0.000000,0.003500,inbound,16,ORIGINATOR_CANCEL,0.100000,"",,9c96,5a8cf462,5a8cea62,,recv_cancel,487',
        "+15195550100,5195550101,+15195550101,2025-12-14 07:06:46,2025-12-14 08:06:46,2025-12-14 08:06:48,"
        '2025-12-14 08:06:58,10,60,0.003500,0.003500,inbound,16,NORMAL_CLEARING,0.080000,"",,9c96,73ea3054,'
        "73ea26e0,4.4898,recv_bye,",
    ]
    data = "\n".join([header, *rows, ""]).encode()
    assert detect(data).format == "telnyx"
    first, second = calls_of(Telnyx(timezone="Europe/Berlin"), data)
    assert (first["call_id"], first["linked_id"], first["account"]) == ("5a8cf462", "5a8cea62", "9c96")
    assert (first["disposition"], first["sip_code"], first["duration"]) == ("cancelled", 487, 0)
    assert (first["release_reason"], json.loads(first["extra"])["Hangup code"]) == ("ORIGINATOR_CANCEL", "16")
    assert (second["source"], second["destination"]) == ("+15195550100", "+15195550101")
    assert second["answer"] == datetime(2025, 12, 14, 7, 6, 48, tzinfo=UTC)
    assert (second["duration"], second["billed_duration"], second["disposition"]) == (10, 60, "answered")
    assert (second["pdd"], second["mos"]) == (pytest.approx(0.08), pytest.approx(4.4898))
    assert second["charge"] == Decimal("0.0035")


def test_telnyx_detail_records() -> None:
    """Detail records have other names than a report, times in UTC, the time talked and causes of FreeSWITCH."""
    record = {
        "record_type": "sip-trunking",
        "id": "9a674ce4",
        "telnyx_session_id": "9a673e20",
        "sip_call_id": "TLYEOszu",
        "direction": "outbound",
        "cli": "+13136506292",
        "cld": "+18648082167",
        "started_at": "2026-07-25T19:04:03Z",
        "answered_at": "2026-07-25T19:04:10Z",
        "finished_at": "2026-07-25T19:04:45Z",
        "call_sec": 35,
        "billed_sec": 60,
        "rate": "0.0401",
        "cost": "0.0401",
        "currency": "USD",
        "hangup_cause": "NORMAL_CLEARING",
        "hangup_code": 16,
    }
    nothing = {"answered_at": None, "call_sec": 0, "billed_sec": 0, "hangup_cause": "ORIGINATOR_CANCEL"}
    unanswered = record | nothing | {"id": "0a708b60", "sip_invite_failure_status": "487"}
    page = {"data": [record, unanswered], "meta": {"total_pages": 1}}
    first, second = calls_of(Telnyx(), page)
    assert (first["call_id"], first["linked_id"], first["disposition"]) == (
        "9a674ce4",
        "9a673e20",
        "answered",
    )
    assert (first["source"], first["destination"]) == ("+13136506292", "+18648082167")
    assert first["answer"] == datetime(2026, 7, 25, 19, 4, 10, tzinfo=UTC)
    assert (first["duration"], first["billed_duration"], first["charge"]) == (35, 60, Decimal("0.0401"))
    assert (second["disposition"], second["duration"], second["sip_code"]) == ("cancelled", 0, 487)
    assert second["release_reason"] == "ORIGINATOR_CANCEL"
    assert json.loads(second["extra"])["hangup_code"] == "16"
    assert detect(json.dumps(page).encode()).format == "telnyx"
    with pytest.raises(SchemaError, match="it is a conference"):
        read(Telnyx(), {"data": [record | {"participant_count": 2}]})
    with pytest.raises(SchemaError, match="The JSON value contains none of Telnyx's calls"):
        read(Telnyx(), {"data": [{"record_type": "messaging", "cli": "a", "cld": "b", "parts": 1}]})


@pytest.mark.parametrize("provider", ["twilio", "plivo", "vonage", "telnyx"])
def test_long_pages_come_in_batches(monkeypatch: pytest.MonkeyPatch, provider: str) -> None:
    """The size of a batch does not change the calls."""
    native: dict[str, dict[str, Any]] = {
        "twilio": CALL,
        "plivo": {"call_uuid": "u", "initiation_time": "2026-11-22 09:00:00Z", "call_duration": 0},
        "vonage": {"uuid": "u", "start_time": "2026-11-22T09:00:00Z", "conversation_uuid": "x"},
        "telnyx": {"sip_call_id": "u", "start_timestamp_utc": "2026-11-22 09:00:00"},
    }
    key = next(iter(native[provider]))
    document = [native[provider] | {key: f"id{at}", f"other{at % 3}": at} for at in range(50)]
    source = make_source(provider, {})
    whole = calls_of(source, document)
    monkeypatch.setattr(json_documents, "_BATCH_CALLS", 7)
    assert len(read(source, document)) == 8
    keys = ("call_id", "start", "extra")
    assert [[c[k] for k in keys] for c in calls_of(source, document)] == [[c[k] for k in keys] for c in whole]
