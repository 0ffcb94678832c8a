"""FreeSWITCH's records as CSV, JSON and XML, compared with the values in the documents."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape, quoteattr
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrkit import FIELDS, CallRecord, IngestReport, open_store
from cdrkit._model import conform_frame, records_of
from cdrkit.errors import ConfigError, SchemaError
from cdrkit.sources import SourceBatch, make_source

NAMES = ["freeswitch_cdr", "freeswitch_cdr_leg_a_with_joined_by_leg_b", "freeswitch_cdr_outbound"]


def read(data: bytes | str, format: str, **options: Any) -> SourceBatch:
    """Return the one batch of *data*."""
    raw = data if isinstance(data, bytes) else data.encode()
    [batch] = make_source(format, options)(io.BytesIO(raw))
    return batch


def calls(data: bytes | str, format: str, **options: Any) -> list[CallRecord]:
    """Return the calls of *data*; there must be nothing else."""
    batch = read(data, format, **options)
    assert batch.rejects == ()
    return list(records_of(conform_frame(batch.frame)))


def ingested(given: Any, format: str, **options: Any) -> tuple[IngestReport, dict[str, CallRecord]]:
    """Return the report and the calls of *given*, by id."""
    store = open_store(f"memory://freeswitch-{id(given)}-{format}")
    report = store.ingest(given, format=format, **options)
    return report, {call.call_id: call for call in store.run()}


def xml_of(document: dict[str, Any]) -> str:
    """Return a document of mod_json_cdr as mod_xml_cdr writes it."""

    def element(name: str, value: Any) -> str:
        if isinstance(value, dict):
            return f"<{name}>{''.join(element(key, part) for key, part in value.items())}</{name}>"
        if isinstance(value, list):
            return "".join(element(name, part) for part in value)
        return f"<{name}>{escape(str(value))}</{name}>"

    def profile(found: dict[str, Any]) -> dict[str, Any]:
        if "originator" not in found:
            return found
        return found | {
            "originator": {"originator_caller_profile": found["originator"]["originator_caller_profiles"]}
        }

    applications = "".join(
        f"<application {' '.join(f'{key}={quoteattr(value)}' for key, value in each.items())}/>"
        for each in document["app_log"]["applications"]
    )
    flows = "".join(
        f'<callflow profile_index="{flow["profile_index"]}">'
        f"{element('caller_profile', profile(flow['caller_profile']))}{element('times', flow['times'])}</callflow>"
        for flow in document["callflow"]
    )
    return (
        f'<?xml version="1.0"?>\n<cdr core-uuid="{document["core-uuid"]}" switchname="{document["switchname"]}">'
        f"{element('channel_data', document['channel_data'])}{element('variables', document['variables'])}"
        f"<app_log>{applications}</app_log>{flows}</cdr>\n"
    )


# -- documents ------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_real_document(samples: Path, name: str) -> None:
    """A real document gives the times, lengths, codes and numbers that it states, and loses none of its variables."""
    path = samples / "freeswitch" / f"{name}.json"
    document = json.loads(path.read_bytes())
    stated = {key: unquote(value) for key, value in document["variables"].items() if isinstance(value, str)}
    [call] = calls(path.read_bytes(), "freeswitch-json")

    def at(key: str) -> datetime | None:
        micros = int(stated[key])
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros) if micros else None

    assert (call.start, call.answer, call.end) == (at("start_uepoch"), at("answer_uepoch"), at("end_uepoch"))
    assert call.duration == int(stated["billsec"])
    assert call.connected == (call.disposition == "answered")
    assert call.call_id == stated["uuid"]
    assert call.linked_id == stated["call_uuid"]
    assert call.switch == document["switchname"]
    assert call.destination == document["callflow"][0]["caller_profile"]["destination_number"]
    assert call.source == document["callflow"][-1]["caller_profile"]["ani"]
    assert (call.sip_code, call.q850_cause) == (
        int(stated["sip_term_status"]),
        int(stated["hangup_cause_q850"]),
    )
    assert call.release_reason == stated["hangup_cause"]
    assert call.hangup_party == ("caller" if stated["direction"] == "inbound" else "callee")
    assert call.dtmf is None
    assert call.mos == pytest.approx(float(stated["rtp_audio_in_mos"]), abs=1e-5)
    extra = json.loads(call.extra or "")
    whole = {"uuid", "billsec", "hangup_cause", "read_codec"}
    assert {key: extra.get(key) for key in stated if key not in whole} == {
        key: value for key, value in stated.items() if key not in whole
    }
    assert extra["callflow"] == document["callflow"]


def test_json_and_xml_agree(samples: Path, tmp_path: Path) -> None:
    """The same channels give the same calls from JSON and XML: in files, in an archive, or as one text."""
    documents = [json.loads((samples / "freeswitch" / f"{name}.json").read_bytes()) for name in NAMES]
    _, wanted = ingested(samples / "freeswitch", "freeswitch-json")
    texts = [xml_of(document) for document in documents]
    folder = tmp_path / "xml"
    folder.mkdir()
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for number, text in enumerate(texts):
            (folder / f"a_{number}.cdr.xml").write_text(text)
            archive.writestr(f"a_{number}.cdr.xml", text)
    posted = [f"uuid=a_1&cdr={quote(text, safe='')}".encode() for text in texts]
    for put in (
        folder,
        tmp_path / "all.zip",
        "".join(texts).encode(),
        [text.encode() for text in texts],
        posted,
    ):
        report, found = ingested(put, "freeswitch-xml")
        assert (report.read, report.added) == (3, 3)
        for call_id, call in wanted.items():
            fields = [name for name in FIELDS if name not in ("extra", "origin")]
            assert [getattr(found[call_id], name) for name in fields] == [
                getattr(call, name) for name in fields
            ]
    lines = b"\n".join(json.dumps(document).encode() for document in documents)
    for data in (lines, b"\xef\xbb\xbf" + lines, json.dumps(documents).encode(), lines.replace(b"\n", b"")):
        assert ingested(data, "freeswitch-json")[1] == wanted


def test_numbers_that_are_none(samples: Path) -> None:
    """nan and inf, as C prints them, are nothing; within texts they stay what they are."""
    raw = (samples / "freeswitch" / "freeswitch_cdr.json").read_bytes()
    broken = raw.replace(b'"mos": 4.5', b'"mos": nan, "x": -inf, "y": -nan', 1).replace(
        b'"codec_string', b'"nan": "nan, -inf", "codec_string'
    )
    broken = broken.replace(b'"session_id": "4"', b'"session_id": "nan"')
    assert broken.count(b"nan") == 3
    [call] = calls(broken + b"\n" + broken.replace(b"77e3b4f2", b"88e3b4f2"), "freeswitch-json")[:1]
    extra = json.loads(call.extra or "")
    assert extra["session_id"] == "nan"
    assert (
        extra["callStats"]["audio"]["inbound"] | {"mos": None, "x": None, "y": None}
        == (extra["callStats"]["audio"]["inbound"])
    )


DOCUMENT: dict[str, Any] = {"uuid": "a1", "start_uepoch": "1784707200000001", "billsec": "0"}


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"answer_epoch": "0"}, "answer", None),
        ({"answer_epoch": "1784707201"}, "disposition", "answered"),
        ({"hangup_cause": "USER_BUSY"}, "disposition", "busy"),
        ({"hangup_cause": "ORIGINATOR_CANCEL"}, "disposition", "cancelled"),
        ({"hangup_cause": "CALL_REJECTED"}, "disposition", "rejected"),
        ({"hangup_cause": "UNALLOCATED_NUMBER"}, "disposition", "failed"),
        ({"hangup_cause": "NORMAL_CLEARING"}, "disposition", "unknown"),
        ({"direction": "inbound"}, "direction", None),  # the leg's, not the customer's
        ({"call_direction": "local"}, "direction", "internal"),
        ({"sip_hangup_disposition": "recv_bye", "direction": "inbound"}, "hangup_party", "caller"),
        ({"sip_hangup_disposition": "recv_bye", "direction": "outbound"}, "hangup_party", "callee"),
        ({"sip_hangup_disposition": "send_bye", "direction": "inbound"}, "hangup_party", None),
        ({"originating_leg_uuid": "b0"}, "linked_id", "b0"),
        ({"record_path": "/r/", "record_name": "x.wav"}, "recording", "/r/x.wav"),
        ({"last_app": "record_session", "last_arg": "/r/y.wav"}, "recording", "/r/y.wav"),
        ({"digits_dialed": "none"}, "dtmf", None),
        ({"digits_dialed": "12%23"}, "dtmf", "12#"),
        ({"accountcode": "Zo%C3%AB"}, "account", "Zo\u00eb"),
        ({"accountcode": "Zo%EB"}, "account", "Zo\u00eb"),
        ({"accountcode": "100%"}, "account", "100%"),
        ({"accountcode": "\ud800"}, "account", "?"),
        ({"hangup_cause_q850": "0"}, "q850_cause", None),
        ({"sip_term_status": "486"}, "sip_code", 486),
        ({"sip_term_status": "486"}, "q850_cause", None),
    ],
)
def test_what_variables_mean(given: dict[str, str], field: str, value: object) -> None:
    """Each variable is read by the documented rule."""
    [call] = calls(json.dumps({"variables": DOCUMENT | given}), "freeswitch-json")
    assert getattr(call, field) == value


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"uuid": ""}, "uuid is missing"),
        ({"start_uepoch": "0"}, "start time is missing"),
        ({"start_uepoch": "soon"}, "'soon' of start_uepoch is not a Unix time"),
        ({"start_uepoch": "9" * 17}, "not in the years"),
        ({"billsec": "-4"}, "'-4' of billsec is negative"),
        ({"billsec": "1e9"}, "not a whole number"),
    ],
)
def test_what_is_no_call(given: dict[str, str], reason: str) -> None:
    """A document that is no call is rejected with the reason, and costs no other one."""
    good = json.dumps({"variables": DOCUMENT})
    bad = json.dumps({"variables": DOCUMENT | given})
    batch = read(f"{good}\n{bad}\n", "freeswitch-json")
    [reject] = batch.rejects
    assert reason in reject.reason
    assert (reject.row, reject.text, batch.frame.height) == (2, bad, 1)
    assert batch.contradictions == ({"negative_length": 1} if "negative" in reason else {})


BOMBS = [
    '<!DOCTYPE a [<!ENTITY x "y">]><cdr/>',
    '<!DOCTYPE cdr SYSTEM "http://127.0.0.1:1/x.dtd"><cdr/>',
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aa"><!ENTITY b "&a;&a;"><!ENTITY c "&b;&b;">]><cdr>&c;</cdr>',
    '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><cdr><variables><uuid>&x;</uuid></variables></cdr>',
]


@pytest.mark.parametrize("bomb", BOMBS)
def test_xml_is_read_safely(bomb: str) -> None:
    """Document types and entities are refused, and nothing is fetched."""
    with pytest.raises(SchemaError, match="declares a document type or entities"):
        read(bomb, "freeswitch-xml")
    good = "<cdr><variables><uuid>a</uuid><start_epoch>1784707200</start_epoch></variables></cdr>"
    batch = read(f"{good}\n{bomb}\n{good}", "freeswitch-xml")
    assert batch.frame.height == 2
    assert any("declares a document type" in reject.reason for reject in batch.rejects)


def test_odd_xml() -> None:
    """Names with colons that no namespace explains, Latin-1 and depth cost nothing; what is cut off costs itself."""
    good = "<cdr><variables><uuid>a</uuid><start_epoch>1784707200</start_epoch>{}</variables></cdr>"
    [call] = calls(good.format("<sip_h_X:y>1%2B1</sip_h_X:y>"), "freeswitch-xml")
    assert json.loads(call.extra or "")["sip_h_X:y"] == "1+1"
    [call] = calls(good.format("<accountcode>Zo\u00eb</accountcode>").encode("latin-1"), "freeswitch-xml")
    assert call.account == "Zo\u00eb"
    batch = read(good[:60] + "\n" + good.format(""), "freeswitch-xml")
    assert (batch.frame.height, len(batch.rejects)) == (1, 1)
    with pytest.raises(SchemaError, match="nested too deeply"):
        read(f"<cdr>{'<a>' * 9999}{'</a>' * 9999}</cdr>", "freeswitch-xml")
    with pytest.raises(SchemaError, match="nested too deeply"):
        read('{"a":' * 99999 + "1" + "}" * 99999, "freeswitch-json")


def test_leave_out(samples: Path) -> None:
    """What extra shall not have is left out by name; nothing else is."""
    data = (samples / "freeswitch" / "freeswitch_cdr.json").read_bytes()
    [whole] = calls(data, "freeswitch-json")
    [less] = calls(data, "freeswitch-json", leave_out="*_sdp*,callflow")
    gone = json.loads(whole.extra or "").keys() - json.loads(less.extra or "").keys()
    assert gone == {"callflow", *(name for name in json.loads(whole.extra or "") if "_sdp" in name)}
    assert "callflow" in gone
    assert len(gone) > 2


# -- CSV ------------------------------------------------

VALUES = {
    "caller_id_name": 'Ann "the" B',
    "caller_id_number": "2041",
    "caller_id": '"Ann" <2041>',
    "destination_number": "2042",
    "start_stamp": "2026-07-22 09:00:00",
    "answer_stamp": "2026-07-22 09:00:04",
    "end_stamp": "2026-07-22 09:00:38",
    "duration": "38",
    "billsec": "34",
    "hangup_cause": "NORMAL_CLEARING",
    "uuid": "b",
    "bleg_uuid": "a",
    "accountcode": "1001",
    "ani": "2041",
    "last_arg": "x,y",
}
HEAD = [
    "caller_id_name",
    "caller_id_number",
    "destination_number",
    "context",
    "start_stamp",
    "answer_stamp",
    "end_stamp",
    "duration",
    "billsec",
    "hangup_cause",
    "uuid",
    "bleg_uuid",
    "accountcode",
]
TEMPLATES = {
    "example": [*HEAD, "read_codec", "write_codec"],
    "sql": HEAD,
    "asterisk": [
        "accountcode",
        "caller_id_number",
        "destination_number",
        "context",
        "caller_id",
        "channel_name",
        "bridge_channel",
        "last_app",
        "last_arg",
        "start_stamp",
        "answer_stamp",
        "end_stamp",
        "duration",
        "billsec",
        "hangup_cause",
        "amaflags",
        "uuid",
        "userfield",
    ],
    "snom": [
        *HEAD,
        "read_codec",
        "write_codec",
        *["sip_user_agent", "call_clientcode", "sip_rtp_rxstat"],
        "t",
        "r",
    ],
    "linksys": [*HEAD, "read_codec", "write_codec", "sip_user_agent", "sip_p_rtp_stat"],
    "opencdrrate": [
        "uuid",
        "signal_bond",
        "direction",
        "ani",
        "destination_number",
        "answer_stamp",
        "end_stamp",
        "billsec",
        "accountcode",
        "userfield",
        "network_addr",
        "original_caller_id_name",
        "sip_gateway_name",
    ],
}


def row(template: str, **given: str) -> str:
    """Return a row as FreeSWITCH writes it: quoted, and nothing escaped."""
    values = VALUES | given
    text = ",".join(f'"{values.get(name, "")}"' for name in TEMPLATES[template])
    if template in ("sql", "snom"):
        text = text.replace(',"1001"', ', "1001"')
    return f"INSERT INTO cdr VALUES ({text});" if template == "sql" else text


@pytest.mark.parametrize("template", TEMPLATES)
def test_template(template: str) -> None:
    """Each shipped template is detected by its columns, named, or given column by column."""
    for options in ({}, {"template": template}):
        [call] = calls(row(template) + "\n", "freeswitch-csv", timezone="Europe/London", **options)
        begun = datetime(2026, 7, 22, 8, 0, 4 if template == "opencdrrate" else 0, tzinfo=UTC)
        assert (call.start, call.duration, call.call_id) == (begun, 34, "b")
        assert (call.source, call.destination, call.account) == ("2041", "2042", "1001")
        assert call.source_name == {"asterisk": "Ann", "opencdrrate": None}.get(template, 'Ann "the" B')
        assert call.linked_id == ("b" if template in ("asterisk", "opencdrrate") else "a")
        assert call.ring_duration == (None if template == "opencdrrate" else 4.0)
    for count in range(1, len(TEMPLATES[template])):
        cut = row(template).rsplit(",", count)[0]
        batch = read(f"{row(template)}\n{cut}\n", "freeswitch-csv", timezone="UTC", template=template)
        assert (batch.frame.height, len(batch.rejects)) == (1, 1)


def test_own_template() -> None:
    """The variables of a template of one's own are given in their order."""
    data = '"b","2026-07-22 09:00:00","7"\n'
    [call] = calls(data, "freeswitch-csv", timezone="UTC", columns="uuid,start_stamp,billsec")
    assert (call.call_id, call.duration, call.disposition) == ("b", 7, "answered")


@given(
    st.text(st.sampled_from("ab\",; <>'\u00e9")).filter(lambda text: '","' not in f'"{text}"'[1:] + '"'),
    st.sampled_from(["\n", "\r\n", ";\n", "\r"]),
)
def test_quotes_are_not_escaped(name: str, end: str) -> None:
    """A name with whatever quotes in it is what stands between the outer ones."""
    if '", "' in f'"{name}",' or name.startswith(',"') or '",' in name or ',"' in name:
        return
    data = row("example", caller_id_name=name) + end + row("example", uuid="c") + end
    found = calls(data, "freeswitch-csv", timezone="UTC")
    assert [call.call_id for call in found] == ["b", "c"]
    assert found[0].source_name == (name or None)


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1)),
    st.sampled_from(["Europe/London", "Asia/Tehran"]),
)
def test_local_stamps(at: datetime, zone: str) -> None:
    """A stamp is the instant that zoneinfo gives it."""
    [call] = calls(row("example", start_stamp=f"{at:%Y-%m-%d %H:%M:%S}"), "freeswitch-csv", timezone=zone)
    assert call.start == at.replace(microsecond=0, tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)


@pytest.mark.parametrize(
    "stamp", ["0001-01-01 00:00:00", "9999-12-31 23:59:59", "2026-02-30 00:00:00", "soon"]
)
def test_stamps_that_cannot_be(stamp: str) -> None:
    """A stamp that is no time of a telephone call is rejected."""
    data = row("example") + "\n" + row("example", uuid="c", start_stamp=stamp) + "\n"
    [reject] = read(data, "freeswitch-csv", timezone="Europe/London").rejects
    assert "is not a time such as" in reject.reason


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "without an offset"),
        ({"timezone": "UTC", "template": "x"}, "template 'x'"),
        ({"timezone": "UTC", "columns": "a,b"}, "uuid and start_stamp"),
        ({"timezone": "UTC", "columns": "uuid,start_stamp", "template": "sql"}, "not both"),
        ({"timezone": "UTC", "encoding": "utf-16"}, "encoding"),
    ],
)
def test_bad_options(options: dict[str, Any], says: str) -> None:
    """An option that cannot work is refused when the source is made."""
    with pytest.raises(ConfigError, match=says):
        make_source("freeswitch-csv", options)
