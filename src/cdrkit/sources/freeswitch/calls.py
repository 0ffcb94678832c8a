"""Build calls from FreeSWITCH channels, whichever CDR module recorded them."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from cdrkit._model import FIELDS
from cdrkit.sources.freeswitch.call_times import CallTimes, parse_seconds
from cdrkit.sources.freeswitch.channel import Channel, Document, as_text
from cdrkit.sources.freeswitch.documents import can_be_stored, sanitize_document
from cdrkit.sources.readers.batch_builder import RowError
from cdrkit.sources.readers.hangup_causes import CAUSES

__all__ = ["build_call"]

_CALLER_ID: Final = re.compile(r'"?(.*?)"?\s*<([^<>]*)>')
_DIRECTIONS: Final = {"inbound": "inbound", "outbound": "outbound", "local": "internal"}
#: The party that hung up, by direction of the leg: on an inbound leg, the other end is the caller.
_HANGUP_PARTIES: Final = {
    ("inbound", "recv_bye"): "caller",
    ("inbound", "recv_cancel"): "caller",
    ("outbound", "recv_bye"): "callee",
    ("outbound", "recv_refuse"): "callee",
}
#: Variables that are not repeated in ``extra`` where their field has the same text.
_FIELD_OF_VARIABLE: Final = {
    "uuid": "call_id",
    "accountcode": "account",
    "hangup_cause": "release_reason",
    "read_codec": "codec",
    "billsec": "duration",
    "caller_id_number": "source",
    "caller_id_name": "source_name",
    "destination_number": "destination",
}
_NOT_IN_EXTRA: Final = {"variables", "switchname"}
_LOCAL_TIMES: Final = {"start_stamp", "answer_stamp", "end_stamp"}


def build_call(
    document: Document, *, leave_out: tuple[str, ...] = (), has_local_times: bool = False
) -> dict[str, Any]:
    """Return the fields of a call, taken from the document of one channel.

    Args:
        document: The document of the channel.
        leave_out: Patterns of names of variables and parts to omit from ``extra``.
        has_local_times: Whether the times are local timestamps without an offset, instead of instants.

    Raises:
        RowError: When the document is not a call.
    """
    call = _build_fields(document, leave_out, has_local_times)
    if can_be_stored(call):
        return call
    # Few documents contain text that cannot be stored: half an escaped character, invalid bytes, or NUL.
    return _build_fields(sanitize_document(document), leave_out, has_local_times)


def _build_fields(document: Document, leave_out: tuple[str, ...], has_local_times: bool) -> dict[str, Any]:
    channel = Channel.parse(document, has_local_times=has_local_times)
    identity = _identity_fields(channel)
    times = CallTimes.parse(channel)
    talked = parse_seconds(channel.variables, "billsec")
    is_answered = times.answer is not None or bool(talked)
    ring_duration = times.ring_duration
    if has_local_times and channel.variables.get("start_stamp"):
        ring_duration = times.local_ring_duration(channel.variables, is_answered=is_answered)
    fields: dict[str, Any] = {
        **identity,
        "start": times.start,
        "answer": times.answer,
        "end": times.end,
        **_party_fields(channel),
        "duration": talked,
        "ring_duration": ring_duration,
        "pdd" if channel.is_outbound else "pdd_in": times.post_dial_delay,
        **_outcome_fields(channel, is_answered=is_answered),
    }
    fields |= {name: as_text(value) for name, value in fields.items() if FIELDS[name].is_text}
    fields["extra"] = _extra_field(channel, fields, leave_out)
    return fields


def _identity_fields(channel: Channel) -> dict[str, Any]:
    variables = channel.variables
    uuid = variables.get("uuid") or as_text(channel.newest.get("uuid"))
    if not uuid:
        raise RowError("The uuid is missing.")
    return {
        "call_id": uuid,
        "linked_id": channel.originator.get("uuid")
        or variables.get("originating_leg_uuid")
        or variables.get("call_uuid")
        or uuid,
        "switch": channel.document.get("switchname")
        or variables.get("switchname")
        or variables.get("local_ip_v4"),
        "direction": _DIRECTIONS.get(variables.get("call_direction", "")),
        "account": variables.get("accountcode"),
    }


def _party_fields(channel: Channel) -> dict[str, Any]:
    variables, newest, oldest = channel.variables, channel.newest, channel.oldest
    source = _source(channel)
    number = variables.get("destination_number")
    return {
        "source": source,
        "source_name": _source_name(channel, source),
        "destination": newest.get("destination_number") or number,
        "dialled": oldest.get("destination_number") or number,
        "source_ip": channel.originator.get("network_addr")
        if channel.is_outbound
        else variables.get("sip_network_ip") or newest.get("network_addr") or variables.get("network_addr"),
    }


def _source(channel: Channel) -> str | None:
    # On a leg that FreeSWITCH originated, the caller id may be the one shown to the callee; ani is the caller's number.
    names = ("ani", "caller_id_number") if channel.is_outbound else ("caller_id_number", "ani")
    for profile in (channel.oldest, channel.newest, channel.variables):
        for name in names:
            if profile.get(name):
                return str(profile[name])
    return channel.variables.get("sip_from_user")


def _source_name(channel: Channel, source: str | None) -> str | None:
    for profile in (channel.newest, channel.variables):
        name, number = profile.get("caller_id_name"), profile.get("caller_id_number")
        if name:
            return str(name) if number == source != name else None
    match = _CALLER_ID.fullmatch(channel.variables.get("caller_id", ""))
    return (match[1] or None) if match is not None and match[2] == source else None


def _outcome_fields(channel: Channel, *, is_answered: bool) -> dict[str, Any]:
    variables = channel.variables
    cause = variables.get("hangup_cause")
    codes = (variables.get("sip_invite_failure_status"), variables.get("sip_term_status"))
    digits = variables.get("digits_dialed")
    hangup = (variables.get("direction", ""), variables.get("sip_hangup_disposition", ""))
    return {
        "disposition": "answered" if is_answered else CAUSES.get(cause or "NONE", "failed"),
        "sip_code": next((int(code) for code in codes if code and re.fullmatch("[1-6][0-9]{2}", code)), None),
        "q850_cause": _q850_cause(variables.get("hangup_cause_q850")),
        "sip_reason": variables.get("sip_invite_failure_phrase") or variables.get("sip_hangup_phrase"),
        "release_reason": cause,
        "hangup_party": _HANGUP_PARTIES.get(hangup),
        "dtmf": None if digits == "none" else digits,
        "codec": variables.get("read_codec"),
        "mos": _mos(variables.get("rtp_audio_in_mos")),
        "recording": _recording(channel),
    }


def _q850_cause(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch("[0-9]{1,4}", text) and int(text) else None


def _mos(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"[0-9](\.[0-9]{1,6})?", text) and float(text) else None


def _recording(channel: Channel) -> str | None:
    variables = channel.variables
    if variables.get("record_name"):
        folder = variables.get("record_path", "").rstrip("/")
        return f"{folder}/{variables['record_name']}" if folder else variables["record_name"]
    for name in ("cc_record_filename", "sofia_record_file", "record_filename"):
        if variables.get(name):
            return variables[name]
    if variables.get("last_app") == "record_session" and variables.get("last_arg"):
        return variables["last_arg"]
    log = channel.document.get("app_log")
    applications = log.get("applications") if isinstance(log, Mapping) else log
    for application in applications if isinstance(applications, list) else ():
        if isinstance(application, Mapping) and application.get("app_name") == "record_session":
            return str(application.get("app_data") or "") or None
    return None


def _extra_field(channel: Channel, fields: Mapping[str, Any], leave_out: tuple[str, ...]) -> str | None:
    """Return the variables and document parts that fill no field, as JSON.

    The result is None if every part fills a field.
    """
    variables = channel.variables
    omitted = {
        name
        for name, field in _FIELD_OF_VARIABLE.items()
        if name in variables and variables[name] == str(fields[field])
    }
    if channel.has_local_times:
        omitted |= _LOCAL_TIMES
    extra = {
        name: text for name, text in channel.document["variables"].items() if text and name not in omitted
    }
    extra |= {name: part for name, part in channel.document.items() if part and name not in _NOT_IN_EXTRA}
    if leave_out:
        extra = {
            name: value
            for name, value in extra.items()
            if not any(fnmatch.fnmatchcase(name, pattern) for pattern in leave_out)
        }
    return json.dumps(extra, ensure_ascii=False, sort_keys=True) if extra else None
