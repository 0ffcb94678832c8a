"""FreeSWITCH's variables as calls, whichever of its modules wrote them."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import IO, Any, Final, TypeAlias
from urllib.parse import unquote_to_bytes

from cdrkit._model import FIELDS
from cdrkit.errors import ConfigError, SchemaError
from cdrkit.sources.contract import Reject, SourceBatch, SourceInput, is_only_input
from cdrkit.sources.readers.batch_builder import BATCH_CALLS, BatchBuilder, RowError
from cdrkit.sources.readers.hangup_causes import CAUSES

__all__ = ["Document", "Documents", "call_of", "decoded", "patterns", "read_documents", "shown"]

#: A document of a channel: ``variables``, ``callflow`` and the rest, values decoded.
Document: TypeAlias = Mapping[str, Any]
#: Yields the documents of a stream as they are written there, each decoded when called; `RowError` says why not.
Documents: TypeAlias = Callable[[IO[bytes]], Iterable[tuple[str, Callable[[], Document]]]]

_1970: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STAMP: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?", re.ASCII)
_CALLER_ID: Final = re.compile(r'"?(.*?)"?\s*<([^<>]*)>')
_SHOWN: Final = 80
_MOST_SECONDS: Final = 2**31 - 1
_DIRECTIONS: Final = {"inbound": "inbound", "outbound": "outbound", "local": "internal"}
#: Who hung up, by the leg's direction: on an inbound leg the other end is the caller.
_PARTIES: Final = {
    ("inbound", "recv_bye"): "caller",
    ("inbound", "recv_cancel"): "caller",
    ("outbound", "recv_bye"): "callee",
    ("outbound", "recv_refuse"): "callee",
}
#: Variables that a field may hold as they are.
_WHOLLY: Final = {
    "uuid": "call_id",
    "accountcode": "account",
    "hangup_cause": "release_reason",
    "read_codec": "codec",
    "billsec": "duration",
    "caller_id_number": "source",
    "caller_id_name": "source_name",
    "destination_number": "destination",
}
_ELSEWHERE: Final = {"variables", "switchname"}
_STAMPS: Final = {"start_stamp", "answer_stamp", "end_stamp"}


def patterns(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return the patterns of names in *value*, which has commas between them."""
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    if not all(isinstance(name, str) for name in value):
        raise ConfigError(
            f"leave_out cannot be {value!r}; give names with commas between, such as '*_sdp*,callflow'."
        )
    return tuple(value)


def read_documents(
    inputs: Iterable[SourceInput],
    documents: Documents,
    *,
    origin: str,
    leave_out: tuple[str, ...],
    shape: str,
) -> Iterator[SourceBatch]:
    """Yield the calls of all *inputs*.

    Raises:
        SchemaError: When nothing is there, or nothing that can be taken; *shape* says what was looked for.
    """
    builder = BatchBuilder(origin)
    good = read = position = opened = 0
    first: Reject | None = None
    rest = iter(inputs)
    for each in rest:
        opened += 1
        for row, (text, parsed) in enumerate(documents(each.stream), 1):
            position += len(text)
            try:
                builder.calls.append(call_of(parsed(), leave_out=leave_out))
                good += 1
            except RowError as exc:
                builder.add_reject(row, exc, text, each.name)
            read += 1
            if len(builder) >= BATCH_CALLS:
                first = first or next(iter(builder.rejects), None)
                yield builder.batch(position)
        first = first or next(iter(builder.rejects), None)
        if first is not None and not good and read >= BATCH_CALLS:  # a film need not be read to its end
            break
    if not read:
        raise SchemaError("The file is empty: there is no document in it. Check that it is the right one.")
    if not good and first is not None:
        several = not is_only_input(opened, rest)
        where = f"{first.input}, document {first.row}" if several else f"Document {first.row}"
        raise SchemaError(
            f"None of the {read:,} documents read can be taken as {shape}. {where}: {first.reason} "
            "Check the file, or give the format that it is in.",
            row=first.row,
        )
    if len(builder):
        yield builder.batch(position)


def call_of(document: Document, *, leave_out: tuple[str, ...] = (), local: bool = False) -> dict[str, Any]:
    """Return the fields of one channel's call.

    Args:
        document: The channel's document.
        leave_out: Patterns of the names of variables and parts that ``extra`` shall not have.
        local: Whether its times are stamps without an offset; the variables have instants otherwise.

    Raises:
        Unfit: When it is no call.
    """
    call = _call(document, leave_out=leave_out, local=local)
    # Few documents have what cannot be stored: an escape that is half a character, bytes that are no text, NUL.
    return call if _can_be_stored(call) else _call(_plain(document), leave_out=leave_out, local=local)


def _call(document: Document, *, leave_out: tuple[str, ...], local: bool) -> dict[str, Any]:
    texts = document.get("variables")
    if not isinstance(texts, dict):
        raise RowError("It has no variables: it is no document of a FreeSWITCH channel.")
    given: dict[str, str] = {
        name: text
        for name, value in texts.items()
        if value and (text := value if type(value) is str else _worded(value))
    }
    profiles = _profiles(document)
    newest, oldest = (profiles[0], profiles[-1]) if profiles else ({}, {})
    originator = _originator(newest) or _originator(oldest)
    uuid = given.get("uuid") or _worded(newest.get("uuid"))
    if not uuid:
        raise RowError("It has no uuid.")
    start, answer, end = (_time(given, document, name, local=local) for name in ("start", "answer", "end"))
    if start is None and local and "start_stamp" not in texts:  # the template opencdrrate has none
        start = answer or end
    if start is None:
        raise RowError("It has no start time.")
    outbound = given.get("direction") == "outbound"
    talked = _seconds(given, "billsec")
    answered = answer is not None or bool(talked)
    cause = given.get("hangup_cause")
    source = _source(given, newest, oldest, outbound=outbound)
    progress = _first([_time(given, document, name, local=False) for name in ("progress", "progress_media")])
    waited = None if progress is None or local else (progress - start).total_seconds()
    ended = answer or end
    rung = None if progress is None or ended is None or local else (ended - progress).total_seconds()
    codes = [given.get("sip_invite_failure_status"), given.get("sip_term_status")]
    fields: dict[str, Any] = {
        "call_id": uuid,
        "linked_id": originator.get("uuid")
        or given.get("originating_leg_uuid")
        or given.get("call_uuid")
        or uuid,
        "switch": document.get("switchname") or given.get("switchname") or given.get("local_ip_v4"),
        "direction": _DIRECTIONS.get(given.get("call_direction", "")),
        "start": start,
        "answer": answer,
        "end": end,
        "source": source,
        "source_name": _source_name(given, newest, source),
        "destination": newest.get("destination_number") or given.get("destination_number"),
        "dialled": oldest.get("destination_number") or given.get("destination_number"),
        "source_ip": originator.get("network_addr")
        if outbound
        else given.get("sip_network_ip") or newest.get("network_addr") or given.get("network_addr"),
        "account": given.get("accountcode"),
        "duration": talked,
        "ring_duration": rung if rung is not None and rung >= 0 else None,
        "pdd" if outbound else "pdd_in": waited if waited is not None and waited >= 0 else None,
        "disposition": "answered" if answered else CAUSES.get(cause or "NONE", "failed"),
        "sip_code": next((int(code) for code in codes if code and re.fullmatch("[1-6][0-9]{2}", code)), None),
        "q850_cause": _q850(given.get("hangup_cause_q850")),
        "sip_reason": given.get("sip_invite_failure_phrase") or given.get("sip_hangup_phrase"),
        "release_reason": cause,
        "hangup_party": _PARTIES.get((given.get("direction", ""), given.get("sip_hangup_disposition", ""))),
        "dtmf": None if given.get("digits_dialed") == "none" else given.get("digits_dialed"),
        "codec": given.get("read_codec"),
        "mos": _mos(given.get("rtp_audio_in_mos")),
        "recording": _recording(given, document),
    }
    fields |= {name: _worded(value) for name, value in fields.items() if FIELDS[name].is_text}
    if local and given.get("start_stamp"):
        fields["ring_duration"] = _rung(given, start, answer, answered=answered)
    whole = {name for name, field in _WHOLLY.items() if name in given and given[name] == str(fields[field])}
    if local:
        whole |= _STAMPS
    extra = {name: text for name, text in texts.items() if text and name not in whole}
    extra |= {name: part for name, part in document.items() if part and name not in _ELSEWHERE}
    if leave_out:
        extra = {
            name: value
            for name, value in extra.items()
            if not any(fnmatch.fnmatchcase(name, p) for p in leave_out)
        }
    fields["extra"] = json.dumps(extra, ensure_ascii=False, sort_keys=True) if extra else None
    return fields


def decoded(value: Any) -> Any:
    """Return the percent-encoded *value* of a variable as the text that it is; UTF-8, or else Latin-1."""
    if type(value) is str and "%" not in value:
        return value
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if not isinstance(value, str):
        return value
    raw = unquote_to_bytes(value.encode("utf-8", "surrogatepass"))
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def shown(text: str) -> str:
    """Return *text* as a message shows it."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def _can_be_stored(call: Mapping[str, Any]) -> bool:
    for value in call.values():
        if isinstance(value, str):
            if "\0" in value or "\\u0000" in value:
                return False
            if not value.isascii():
                try:
                    value.encode()
                except UnicodeEncodeError:
                    return False
    return True


def _plain(value: Any) -> Any:
    """Return a part of a document as it can be stored: no lone surrogates, numbers that are none are null."""
    if isinstance(value, str):
        return _text(value).replace("\0", "�")
    if isinstance(value, Mapping):
        return {_text(str(name)): _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _text(value: str) -> str:
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:  # bytes that were no UTF-8, or an escape that is half a character
        try:
            return value.encode("utf-8", "surrogateescape").decode("latin-1")
        except UnicodeEncodeError:
            return value.encode("utf-8", "replace").decode()
    return value


def _worded(value: Any) -> str | None:
    """Return a value that should be a text, as one."""
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value) or None
    return None


def _profiles(document: Document) -> list[dict[str, Any]]:
    """Return the caller profiles, the newest first."""
    flow = document.get("callflow")
    flows = flow if isinstance(flow, list) else [flow]
    found = [each.get("caller_profile") for each in flows if isinstance(each, Mapping)]
    return [profile for profile in found if isinstance(profile, dict)]


def _originator(profile: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the profile of the leg that this one was made for, if any."""
    found = profile.get("originator")
    found = found.get("originator_caller_profiles") if isinstance(found, Mapping) else None
    while isinstance(found, list):
        found = found[0] if found else None
    return found if isinstance(found, Mapping) else {}


def _time(given: Mapping[str, str], document: Document, name: str, *, local: bool) -> datetime | None:
    """Return an instant, or a local stamp; None where it did not happen."""
    if local:
        text = given.get(f"{name}_stamp", "")
        if not text:
            return None
        try:
            if not _STAMP.fullmatch(text):
                raise ValueError
            stamp = datetime.fromisoformat(text)
            if not 1970 <= stamp.year <= 2099:
                raise ValueError
            return stamp
        except ValueError:
            raise RowError(
                f"Its {name}_stamp, {shown(text)}, is not a time such as '2026-11-22 09:30:00'."
            ) from None
    for variable, unit in ((f"{name}_uepoch", 1), (f"{name}_epoch", 1_000_000)):
        text = given.get(variable, "")
        if text and text != "0":
            return _instant(variable, text, unit)
    times = {"start": "created_time", "answer": "answered_time", "end": "hangup_time"}
    flow = document.get("callflow")
    flows = flow if isinstance(flow, list) else [flow]
    for each in flows:
        found = each.get("times") if isinstance(each, Mapping) else None
        text = str(found.get(times.get(name, f"{name}_time"), "0")) if isinstance(found, Mapping) else "0"
        if text not in ("0", ""):
            return _instant(name, text, 1)
    return None


def _instant(variable: str, text: str, unit: int) -> datetime:
    if not re.fullmatch(r"[0-9]{1,17}", text):
        raise RowError(f"Its {variable}, {shown(text)}, is not a time since 1970.")
    try:
        found = _1970 + timedelta(microseconds=int(text) * unit)
    except OverflowError:
        found = None
    if found is None or found.year > 2099:
        raise RowError(f"Its {variable}, {shown(text)}, is not in the years 1970 to 2099.")
    return found


def _first(times: Iterable[datetime | None]) -> datetime | None:
    return min((at for at in times if at is not None), default=None)


def _seconds(given: Mapping[str, str], name: str) -> int | None:
    text = given.get(name)
    if not text:
        return None
    if re.fullmatch(r"-[0-9]+", text):
        raise RowError(f"Its {name}, {shown(text)}, is negative.", "negative_length")
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > _MOST_SECONDS:
        raise RowError(f"Its {name}, {shown(text)}, is not a whole number of seconds.")
    return int(text)


def _rung(
    given: Mapping[str, str], start: datetime, answer: datetime | None, *, answered: bool
) -> float | None:
    """Return how long it rang, of a row whose times are local stamps."""
    if not answered:
        length = _seconds(given, "duration")
        return None if length is None else float(length)
    return (answer - start).total_seconds() if answer is not None and answer >= start else None


def _source(
    given: Mapping[str, str], newest: Mapping[str, Any], oldest: Mapping[str, Any], *, outbound: bool
) -> str | None:
    # The caller id of a leg that FreeSWITCH placed may be the one it shows to the other leg: ani stays the caller's.
    names = ("ani", "caller_id_number") if outbound else ("caller_id_number", "ani")
    for profile in (oldest, newest, given):
        for name in names:
            if profile.get(name):
                return str(profile[name])
    return given.get("sip_from_user")


def _source_name(given: Mapping[str, str], newest: Mapping[str, Any], source: str | None) -> str | None:
    for found in (newest, given):
        name, number = found.get("caller_id_name"), found.get("caller_id_number")
        if name:
            return str(name) if number == source != name else None
    named = _CALLER_ID.fullmatch(given.get("caller_id", ""))
    return (named[1] or None) if named is not None and named[2] == source else None


def _q850(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch("[0-9]{1,4}", text) and int(text) else None


def _mos(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"[0-9](\.[0-9]{1,6})?", text) and float(text) else None


def _recording(given: Mapping[str, str], document: Document) -> str | None:
    if given.get("record_name"):
        folder = given.get("record_path", "").rstrip("/")
        return f"{folder}/{given['record_name']}" if folder else given["record_name"]
    for name in ("cc_record_filename", "sofia_record_file", "record_filename"):
        if given.get(name):
            return given[name]
    if given.get("last_app") == "record_session" and given.get("last_arg"):
        return given["last_arg"]
    log = document.get("app_log")
    log = log.get("applications") if isinstance(log, Mapping) else log
    for application in log if isinstance(log, list) else ():
        if isinstance(application, Mapping) and application.get("app_name") == "record_session":
            return str(application.get("app_data") or "") or None
    return None
