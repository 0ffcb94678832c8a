"""SIP transactions made into calls: the INVITE that was answered and the BYE of its dialog, whichever was seen first.

A dialog is known by its Call-ID and its two tags; whoever hangs up sends the BYE, so the tags may stand in either
order. An INVITE that failed is an attempt of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

import attrs
import polars as pl

from cdrkit._model import FIELDS, FRAME_TYPES, empty_frame
from cdrkit.sources.contract import PendingCall, SourceBatch
from cdrkit.sources.readers.local_time import resolve_instants
from cdrkit.sources.readers.sip_status import dispositions

__all__ = ["EVENT", "paired"]

#: What is known of a transaction.
EVENT: Final = {
    "callid": pl.String(),
    "from_tag": pl.String(),
    "to_tag": pl.String(),
    "method": pl.String(),
    "at": pl.Datetime("us", "UTC"),
    "created": pl.Datetime("us", "UTC"),
    "talked": pl.Int32(),
    "talked_ms": pl.Float64(),
    "setup": pl.Float64(),
    "sip_code": pl.Int16(),
    "sip_reason": pl.String(),
    "source": pl.String(),
    "destination": pl.String(),
    "dialled": pl.String(),
    "source_ip": pl.String(),
    "extra": pl.String(),
    "native": pl.String(),
    "text": pl.Binary(),
    "row": pl.Int64(),
    "input": pl.String(),
}
_DIALOG: Final = ("callid", "one_tag", "other_tag")
_ATTEMPT: Final = ("callid", "from_tag", "to_tag", "sip_code", "at")
_CALLS_AT_ONCE: Final = 50_000


@attrs.frozen
class _Dialogs:
    """Calls with their first INVITE and the first BYE; ``rows`` is how many transactions each is of."""

    whole: pl.DataFrame
    open: pl.DataFrame
    ended: pl.DataFrame


def paired(
    events: pl.DataFrame, *, origin: str, timezone: str, swapped: bool, position: int
) -> Iterator[SourceBatch]:
    """Yield the calls that *events* are of; the last batch has those that are still open.

    Args:
        events: All there are, each with the columns of `EVENT`.
        origin: The format.
        timezone: The zone of the stamps: a BYE in an hour that came twice is not before its INVITE.
        swapped: Whether the switch turns the tags of a BYE from the callee, so that they do not tell who sent it.
        position: How far into all inputs they reach.
    """
    tags = pl.col("from_tag") <= pl.col("to_tag")
    events = events.with_columns(
        one_tag=pl.when(tags).then("from_tag").otherwise("to_tag"),
        other_tag=pl.when(tags).then("to_tag").otherwise("from_tag"),
    ).sort("at", "sip_code", "from_tag", "native", "input", "row")  # the same, in whatever order they came
    answered = (pl.col("method") == "INVITE") & pl.col("sip_code").is_between(200, 299)
    failed = (pl.col("method") == "INVITE") & ~answered
    dialogs = _dialogs(
        events.filter(answered), events.filter(pl.col("method") == "BYE"), events.filter(failed)
    )
    attempts = events.filter(failed).join(
        events.filter(answered), on=_DIALOG, how="anti", maintain_order="left"
    )
    attempts = attempts.group_by(_ATTEMPT, maintain_order=True).agg(pl.all().first(), rows=pl.len())
    calls = [
        _calls(dialogs.whole, timezone=timezone, swapped=swapped),
        _attempts(attempts),
    ]
    frame = pl.concat(calls, how="diagonal_relaxed").sort("start", "call_id")
    frame = frame.with_columns(origin=pl.lit(origin))
    frame = frame.select(pl.col(name).cast(FRAME_TYPES[name]) for name in FIELDS if name in frame.columns)
    merged = int(dialogs.whole["rows"].sum()) + int(attempts["rows"].sum()) - frame.height
    held = [
        *_held(
            dialogs.open, events, "INVITE", "It has no BYE: it is going on, or its end is in another file."
        ),
        *_held(dialogs.ended, events, "BYE", "It has no INVITE: its beginning is in another file."),
    ]
    for at in range(0, frame.height, _CALLS_AT_ONCE):
        yield SourceBatch(
            frame=frame.slice(at, _CALLS_AT_ONCE), merged=0 if at else merged, bytes_read=position
        )
    if held:
        yield SourceBatch(frame=empty_frame(), pending=tuple(held), bytes_read=position)


def _dialogs(answered: pl.DataFrame, byes: pl.DataFrame, failed: pl.DataFrame) -> _Dialogs:
    first = answered.group_by(_DIALOG, maintain_order=True).agg(pl.all().first(), invites=pl.len())
    last = byes.group_by(_DIALOG, maintain_order=True).agg(
        pl.col("at").first().alias("ended"),
        pl.col("from_tag").first().alias("by"),
        pl.col("native").first().alias("bye"),
        pl.col("row", "input").first().name.prefix("bye_"),
        byes=pl.len(),
    )
    renewals = failed.group_by(_DIALOG).agg(renewals=pl.len())  # re-INVITEs that failed: the call went on
    both = first.join(last, on=_DIALOG, how="left", maintain_order="left").join(
        renewals, on=_DIALOG, how="left", maintain_order="left"
    )
    counted = both.with_columns(
        rows=pl.col("invites") + pl.col("byes").fill_null(0) + pl.col("renewals").fill_null(0)
    )
    # OpenSIPS' CDRs have the length on the INVITE's row, and need no BYE.
    complete = pl.col("ended").is_not_null() | (pl.col("talked") > 0) | (pl.col("talked_ms") > 0)
    lonely = last.join(first, on=_DIALOG, how="anti", maintain_order="left")
    return _Dialogs(
        counted.filter(complete.fill_null(False)),
        counted.filter(~complete.fill_null(False)),
        lonely.rename({"bye_row": "row", "bye_input": "input", "byes": "rows"}),
    )


def _calls(whole: pl.DataFrame, *, timezone: str, swapped: bool) -> pl.DataFrame:
    local = whole["ended"].dt.convert_time_zone(timezone).dt.replace_time_zone(None)
    later = resolve_instants(local, timezone, not_before=whole["at"]).utc
    ended = whole.select(pl.when(pl.col("ended") < pl.col("at")).then(later).otherwise("ended")).to_series()
    stated = pl.coalesce(
        pl.when(pl.col("talked_ms") > 0).then(pl.col("talked_ms") * 1_000_000),
        pl.when(pl.col("talked") > 0).then(pl.col("talked").cast(pl.Float64) * 1_000_000),
    )
    whole = whole.with_columns(stated=stated.cast(pl.Int64), ended=ended)
    end = pl.when(pl.col("stated").is_not_null()).then(pl.col("at") + pl.duration(microseconds="stated"))
    whole = whole.with_columns(end=pl.coalesce(end, "ended"))
    measured = (pl.col("end") - pl.col("at")).dt.total_seconds()
    caller, callee = pl.col("by") == pl.col("from_tag"), pl.col("by") == pl.col("to_tag")
    party = pl.when(caller).then(pl.lit("caller")).when(callee).then(pl.lit("callee"))
    known = not swapped
    return whole.select(
        *_common(_ids(whole, ("one_tag", "other_tag"))),
        start=pl.when(pl.col("created") <= pl.col("at")).then("created").otherwise("at"),
        answer="at",
        end="end",
        duration=pl.when(pl.col("talked") > 0)
        .then("talked")
        .otherwise(pl.when(measured >= 0).then(measured)),
        ring_duration=pl.when(pl.col("created").is_not_null()).then("setup"),
        disposition=pl.lit("answered"),
        hangup_party=party if known else pl.lit(None, dtype=pl.String),
        extra=_with_bye(),
    )


def _attempts(attempts: pl.DataFrame) -> pl.DataFrame:
    start = pl.when(pl.col("created") <= pl.col("at")).then("created").otherwise("at")
    return attempts.with_columns(
        code=pl.col("sip_code").cast(pl.String), when=pl.col("at").cast(pl.String)
    ).select(
        *_common(_ids(attempts, ("from_tag", "to_tag", "sip_code", "at"))),
        start=start,
        end="at",
        duration=pl.lit(0),
        disposition=dispositions(attempts["sip_code"]),
        extra="extra",
    )


def _common(ids: pl.Series) -> list[pl.Expr | pl.Series]:
    names = ("source", "destination", "dialled", "source_ip", "sip_code", "sip_reason")
    return [ids.alias("call_id"), pl.col("callid").alias("linked_id"), *(pl.col(name) for name in names)]


def _ids(calls: pl.DataFrame, columns: tuple[str, ...]) -> pl.Series:
    """Return an id for each call, the same at every reading: branches and attempts of one call share a Call-ID."""
    found = [
        f"{callid}-{blake2b(_joined(values), digest_size=6).hexdigest()}"
        for callid, *values in calls.select("callid", *columns).rows()
    ]
    return pl.Series(found, dtype=pl.String)


def _joined(values: list[Any]) -> bytes:
    return "\0".join(
        value.isoformat() if isinstance(value, datetime) else str(value) for value in values
    ).encode()


def _with_bye() -> pl.Expr:
    """Return the INVITE's extra with the BYE's row in it."""
    inner = pl.col("extra").fill_null("{}").str.head(-1).str.slice(1)
    comma = pl.when(inner == "").then(pl.lit("")).otherwise(pl.lit(","))
    both = pl.concat_str(pl.lit("{"), inner, comma, pl.lit('"bye":'), pl.col("bye"), pl.lit("}"))
    return pl.when(pl.col("bye").is_not_null()).then(both).otherwise("extra")


def _held(calls: pl.DataFrame, events: pl.DataFrame, method: str, reason: str) -> Iterator[PendingCall]:
    """Yield *calls* that wait, each with all its transactions of *method*."""
    theirs = events.filter(pl.col("method") == method).join(calls, on=_DIALOG, how="semi")
    texts = theirs.group_by(_DIALOG, maintain_order=True).agg(texts="text")
    whole = calls.join(texts, on=_DIALOG, how="left", maintain_order="left")
    for callid, row, rows, name, parts in whole.select("callid", "row", "rows", "input", "texts").rows():
        yield PendingCall(
            callid, reason, row, rows, name, b"\n".join(parts).decode("utf-8", "surrogateescape")
        )
