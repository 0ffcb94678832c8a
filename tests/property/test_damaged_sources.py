"""Damaged files: reading one raises a `CdrError` or accounts for all of its rows."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdrkit._model import conform_frame
from cdrkit.errors import CdrError
from cdrkit.sources import JoiningSource, Source, SourceBatch, SourceInput, available, find_factory
from cdrkit.sources.cloud.plivo import Plivo
from cdrkit.sources.cloud.telnyx import Telnyx
from cdrkit.sources.cloud.twilio import Twilio
from cdrkit.sources.cloud.vonage import Vonage
from cdrkit.sources.generic import Generic
from cdrkit.sources.pbx.connexcs import ConnexCsCsv
from cdrkit.sources.pbx.cucm import Cucm
from cdrkit.sources.pbx.threecx import ThreeCx
from cdrkit.sources.sip_proxies.acc import KamailioAcc, OpenSipsAcc
from cdrkit.sources.sip_proxies.acc_cdrs import KamailioCdrs
from tests.sources.test_cloud import CALL, REPORT
from tests.sources.test_pbx import CDR, CMR, LABELS, LINE, table

#: Many formats share the time.
fewer = settings(max_examples=max(settings().max_examples * 2 // 5, 1))

NODOBO = """user,other,direction,duration,timestamp
07610039694,07434677419,Incoming,,Wed Sep 15 19:17:44 +0100 2010
07641036117,01666472054,Outgoing,31,Mon Feb 11 07:18:23 +0000 1980
,,,,
07641036117,07371326239,Missed,0,Mon Feb 11 07:45:42 +0000 1980
"""
MAPPING = {
    "fields": {
        "start": {"columns": "timestamp", "formats": ["%a %b %d %H:%M:%S %z %Y"]},
        "source": "user",
        "direction": {"columns": "direction", "values": {"Incoming": "inbound", "Outgoing": "outbound"}},
        "duration": "duration",
    }
}
ACC = """method,from_tag,to_tag,callid,sip_code,sip_reason,time,src_user
INVITE,a,b,x@1,200,OK,2026-11-22 09:00:04,2041
INVITE,a,c,x@1,486,Busy,2026-11-22 09:00:04,2041
BYE,b,a,x@1,200,OK,2026-11-22 09:00:38,2041
INVITE,d,e,y@1,200,OK,2026-11-22 09:01:04,2041
"""
OPENSIPS = """method,from_tag,to_tag,callid,sip_code,sip_reason,time,duration,ms_duration,setuptime,created
INVITE,a,b,x@1,200,OK,2026-11-22 09:00:04,34,34213,4,2026-11-22 09:00:00
INVITE,a,b,y@1,487,Cancelled,2026-11-22 09:00:04,0,0,0,NULL
"""
CDRS = "start_time,end_time,duration,callid\n" + 3 * "2026-11-22 09:00:04,2026-11-22 09:00:38,34.213,x@y\n"
TELNYX = """sip_call_id,start_timestamp_utc,answer_timestamp,end_timestamp,direction,cost,pdd,mos,hangup_code
a@b,2026-07-22 07:00:00,2026-07-22 07:00:04,2026-07-22 07:00:38,outbound,0.0072,1.25,4.4,16
c@d,2026-07-22 07:00:00,,2026-07-22 07:00:20,inbound,0,2,,17
"""
PLIVO = {
    "call_uuid": "u1",
    "initiation_time": "2015-07-26 15:44:49+05:30",
    "answer_time": "2015-07-26 15:45:02+05:30",
    "call_duration": 924,
    "total_amount": "0.13600",
}
VONAGE = {
    "uuid": "e154",
    "conversation_uuid": "CON-1",
    "start_time": "2024-04-19T01:34:18.000Z",
    "duration": "2",
    "price": "0.00333333",
    "from": {"type": "phone", "number": "1"},
}


@attrs.frozen
class Sample:
    """A file of a format: its bytes, and how many lines stand above its rows."""

    source: Source
    data: bytes
    above: int


SAMPLES = {
    "generic": Sample(Generic(mapping=MAPPING), NODOBO.encode(), 1),
    "kamailio-acc": Sample(KamailioAcc(timezone="Europe/London"), ACC.encode(), 1),
    "opensips-acc": Sample(OpenSipsAcc(timezone="UTC"), OPENSIPS.encode(), 1),
    "kamailio-cdrs": Sample(KamailioCdrs(timezone="UTC", start_on_confirmed=True), CDRS.encode(), 1),
    "cucm": Sample(Cucm(), table(CDR, {}, {"pkid": "a2"}, {"dateTimeConnect": "0"}), 2),
    "cucm-cmr": Sample(Cucm(), table(CMR, {}, {"globalCallID_callId": "18"}), 2),
    "connexcs-csv": Sample(
        ConnexCsCsv(), "\n".join(map(",".join, [LABELS, LABELS.values(), LABELS.values(), []])).encode(), 1
    ),
    "3cx": Sample(ThreeCx(timezone="Europe/London"), f"{LINE}\n{LINE}\n{LINE}\n".encode(), 0),
    "telnyx": Sample(Telnyx(timezone="UTC"), TELNYX.encode(), 1),
    "vonage-csv": Sample(
        Vonage(), "\n".join(map(",".join, [REPORT, REPORT.values(), REPORT.values(), []])).encode(), 1
    ),
}
PAGES: dict[str, tuple[Source, Any]] = {
    "twilio": (
        Twilio(),
        {"calls": [CALL, CALL | {"sid": "CA2", "status": "ringing"}, CALL | {"sid": "CA3"}]},
    ),
    "plivo": (Plivo(), {"objects": [PLIVO, PLIVO | {"call_uuid": "u2"}]}),
    "vonage": (Vonage(), {"_embedded": {"calls": [VONAGE, VONAGE | {"uuid": "e155"}]}}),
    "vonage-report": (Vonage(), {"records": [REPORT, REPORT]}),
}


def read(source: Source, data: bytes) -> list[SourceBatch] | None:
    """Return the batches of *data*, whose frames fit the catalogue; None where it is refused."""
    try:
        if isinstance(source, JoiningSource):
            batches = list(source.read_all([SourceInput(name="f", stream=io.BytesIO(data))]))
        else:
            batches = list(source(io.BytesIO(data)))
    except CdrError as error:
        assert str(error)
        return None
    for batch in batches:
        conform_frame(batch.frame)
        assert all(reject.reason and reject.row >= 0 for reject in batch.rejects)
    return batches


def total(batches: list[SourceBatch]) -> int:
    """Return how many rows are accounted for."""
    return sum(batch.read for batch in batches)


def places(data: bytes, start: int = 0) -> st.SearchStrategy[int]:
    """Return a strategy for a place in *data*."""
    return st.integers(start, max(start, len(data) - 1))


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Return *data* after something happened to it."""
    for _ in range(draw(st.integers(1, 3))):
        if not data:
            break
        kind = draw(st.sampled_from(["flip", "cut", "line", "column", "mixed", "junk", "quote"]))
        at = draw(places(data))
        lines = data.split(b"\n")
        if kind == "flip":
            data = data[:at] + draw(st.binary(min_size=1, max_size=1)) + data[at + 1 :]
        elif kind == "cut":
            data = data[:at]
        elif kind == "line":
            lines[draw(st.integers(0, len(lines) - 1))] = draw(st.binary(max_size=12))
            data = b"\n".join(lines)
        elif kind == "column":
            column = draw(st.integers(0, 12))
            data = b"\n".join(
                b",".join(v for n, v in enumerate(line.split(b",")) if n != column) for line in lines
            )
        elif kind == "mixed":
            odd = draw(
                st.sampled_from(["é".encode("latin-1"), "é".encode(), "é".encode("utf-16"), b"\xed\xa0\x80"])
            )
            data = data[:at] + odd + data[at:]
        elif kind == "junk":
            data = data[:at] + draw(st.binary(max_size=8)) + data[at:]
        else:
            data = (
                data[:at]
                + draw(st.sampled_from([b'"', b"\r", b"\n", b"\0", b",", b"\\", b"}", b"-"]))
                + data[at:]
            )
    return data


@pytest.mark.parametrize("name", SAMPLES)
@fewer
@given(data=st.data())
def test_any_damage_to_a_table(name: str, data: st.DataObject) -> None:
    """Bytes flipped, lines cut, columns dropped, encodings mixed: an account of the rows, or a CdrError."""
    sample = SAMPLES[name]
    read(sample.source, data.draw(damaged(sample.data)))


@fewer
@given(damaged(SAMPLES["cucm"].data), damaged(SAMPLES["cucm-cmr"].data))
def test_any_damage_to_files_of_one_ingest(cdr: bytes, cmr: bytes) -> None:
    """Files that are read together are damaged together."""
    files = [SourceInput(name=name, stream=io.BytesIO(file)) for name, file in (("cdr", cdr), ("cmr", cmr))]
    try:
        for batch in Cucm().read_all(files):
            conform_frame(batch.frame)
    except CdrError as error:
        assert str(error)


@pytest.mark.parametrize("name", PAGES)
@fewer
@given(data=st.data())
def test_any_damage_to_a_page(name: str, data: st.DataObject) -> None:
    """The same of documents; where they are JSON still, each call of the list is accounted for."""
    source, document = PAGES[name]
    raw = data.draw(damaged(json.dumps(document, indent=data.draw(st.sampled_from([None, 1]))).encode()))
    batches = read(source, raw)
    try:
        found: Any = json.loads(raw)
        [calls] = (found.get("_embedded", found)).values()
    except (ValueError, AttributeError):
        return
    if batches is not None and isinstance(calls, list):
        assert total(batches) == len(calls)


@pytest.mark.parametrize("name", SAMPLES)
@fewer
@given(data=st.data())
def test_no_row_is_lost_count_of(name: str, data: st.DataObject) -> None:
    """Whatever is written over a row, it stays a row: taken or rejected, never gone and never two."""
    sample = SAMPLES[name]
    lines = sample.data.rstrip(b"\n").split(b"\n")
    other = st.integers(1, 255).filter(lambda code: code not in b'\n\r"')
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(sample.above, len(lines) - 1))
        line = bytearray(lines[at])
        if line:
            line[data.draw(places(bytes(line)))] = data.draw(other)
        lines[at] = bytes(line[: data.draw(st.sampled_from([None, len(line) // 2]))])
    batches = read(sample.source, b"\n".join(lines) + b"\n")
    if batches is not None:
        assert total(batches) == sum(bool(line.strip()) for line in lines[sample.above :])


@pytest.mark.parametrize("provider", ["twilio", "plivo", "vonage"])
@fewer
@given(data=st.data())
def test_any_damage_to_a_real_answer(provider: str, data: st.DataObject) -> None:
    """The same of what the providers' own tests answer."""
    folder = Path(os.environ.get("CDRKIT_SAMPLES", "")) / provider
    if "CDRKIT_SAMPLES" not in os.environ or not folder.is_dir():
        pytest.skip("CDRKIT_SAMPLES names no folder of samples")
    path = data.draw(st.sampled_from(sorted(folder.iterdir())))
    read(PAGES[provider][0], data.draw(damaged(path.read_bytes())))


@given(st.sampled_from([sample.data for sample in SAMPLES.values()]).flatmap(damaged), st.text(max_size=8))
def test_sniffing_damage(head: bytes, name: str) -> None:
    """Telling a format from the first bytes never fails, whatever they are."""
    for known in available():
        sniff: Callable[[bytes, str], str | None] | None = getattr(find_factory(known), "sniff", None)
        if sniff is not None:
            assert sniff(head, name) is None or sniff(head, name)
