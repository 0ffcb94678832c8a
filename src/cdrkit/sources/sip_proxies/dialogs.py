"""Dialogs: pair each answered INVITE with its BYE to form a call.

The Call-ID and both tags identify a dialog. The party that hangs up sends the BYE, so the tags of a BYE may be in
reverse order. Each failed INVITE is a separate attempt.
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
from cdrkit.sources.readers.native_rows import add_json_member
from cdrkit.sources.readers.sip_status import dispositions

__all__ = ["TRANSACTION_SCHEMA", "pair_dialogs"]

#: The columns of a transaction.
TRANSACTION_SCHEMA: Final = {
    "callid": pl.String(),
    "from_tag": pl.String(),
    "to_tag": pl.String(),
    "method": pl.String(),
    "at": pl.Datetime("us", "UTC"),  # the final response
    "created": pl.Datetime("us", "UTC"),  # the request
    "talked": pl.Int32(),  # seconds
    "talked_ms": pl.Float64(),  # seconds, with a fraction
    "setup": pl.Float64(),  # seconds from the request to the final response
    "sip_code": pl.Int16(),
    "sip_reason": pl.String(),
    "source": pl.String(),
    "destination": pl.String(),
    "dialled": pl.String(),
    "source_ip": pl.String(),
    "extra": pl.String(),
    "native": pl.String(),  # the row as a JSON object
    "text": pl.Binary(),  # the row as it is in the file
    "row": pl.Int64(),
    "input": pl.String(),
}
_DIALOG: Final = ("callid", "one_tag", "other_tag")
_ATTEMPT: Final = ("callid", "from_tag", "to_tag", "sip_code", "at")
_BATCH_CALLS: Final = 50_000


@attrs.frozen
class _Dialogs:
    """SIP dialogs, each with its first INVITE and its first BYE.

    The column ``transactions`` counts the rows of a dialog.

    Attributes:
        complete: Dialogs with an INVITE and an end: a BYE, or a length in the row of the INVITE.
        without_bye: Dialogs without an end.
        without_invite: Dialogs without an INVITE.
    """

    complete: pl.DataFrame
    without_bye: pl.DataFrame
    without_invite: pl.DataFrame


def pair_dialogs(
    transactions: pl.DataFrame, *, origin: str, timezone: str, swaps_tags: bool, position: int
) -> Iterator[SourceBatch]:
    """Pair *transactions*; yield batches of calls, then a batch of pending calls.

    Args:
        transactions: All transactions, with the columns of `TRANSACTION_SCHEMA`.
        origin: Name of the format.
        timezone: IANA name of the zone of the local times. If a BYE in a repeated hour seems to precede its INVITE,
            the later instant is used.
        swaps_tags: Whether the proxy may swap the tags of a BYE, so that they do not show which party sent it.
        position: The number of bytes read from all inputs.
    """
    in_order = pl.col("from_tag") <= pl.col("to_tag")
    transactions = transactions.with_columns(
        one_tag=pl.when(in_order).then("from_tag").otherwise("to_tag"),
        other_tag=pl.when(in_order).then("to_tag").otherwise("from_tag"),
    )
    # The order of the inputs and of their rows does not change the calls.
    transactions = transactions.sort("at", "sip_code", "from_tag", "native", "input", "row")
    is_answered = (pl.col("method") == "INVITE") & pl.col("sip_code").is_between(200, 299)
    answered = transactions.filter(is_answered)
    failed = transactions.filter((pl.col("method") == "INVITE") & ~is_answered)
    dialogs = _group_dialogs(answered, transactions.filter(pl.col("method") == "BYE"), failed)
    attempts = failed.join(answered, on=_DIALOG, how="anti", maintain_order="left")
    attempts = attempts.group_by(_ATTEMPT, maintain_order=True).agg(pl.all().first(), transactions=pl.len())
    calls = [
        _build_calls(dialogs.complete, timezone=timezone, swaps_tags=swaps_tags),
        _build_attempts(attempts),
    ]
    frame = pl.concat(calls, how="diagonal_relaxed").sort("start", "call_id")
    frame = frame.with_columns(origin=pl.lit(origin))
    frame = frame.select(pl.col(name).cast(FRAME_TYPES[name]) for name in FIELDS if name in frame.columns)
    paired_rows = int(dialogs.complete["transactions"].sum()) + int(attempts["transactions"].sum())
    merged_rows = paired_rows - frame.height
    pending = [
        *_pending_calls(
            dialogs.without_bye,
            transactions.filter(pl.col("method") == "INVITE"),
            "The BYE is missing: the call has not ended, or its end is in another file.",
        ),
        *_pending_calls(
            dialogs.without_invite,
            transactions.filter(pl.col("method") == "BYE"),
            "The INVITE is missing: the call began in another file.",
        ),
    ]
    for at in range(0, frame.height, _BATCH_CALLS):
        yield SourceBatch(
            frame=frame.slice(at, _BATCH_CALLS), merged=0 if at else merged_rows, bytes_read=position
        )
    if pending:
        yield SourceBatch(frame=empty_frame(), pending=tuple(pending), bytes_read=position)


def _group_dialogs(answered: pl.DataFrame, byes: pl.DataFrame, failed: pl.DataFrame) -> _Dialogs:
    """Group BYEs and answered INVITEs into dialogs."""
    invites = answered.group_by(_DIALOG, maintain_order=True).agg(pl.all().first(), invites=pl.len())
    ends = byes.group_by(_DIALOG, maintain_order=True).agg(
        pl.col("at").first().alias("ended"),
        pl.col("from_tag").first().alias("by"),
        pl.col("native").first().alias("bye"),
        pl.col("row", "input").first().name.prefix("bye_"),
        byes=pl.len(),
    )
    # A re-INVITE that failed does not end the call.
    reinvites = failed.group_by(_DIALOG).agg(reinvites=pl.len())
    dialogs = invites.join(ends, on=_DIALOG, how="left", maintain_order="left").join(
        reinvites, on=_DIALOG, how="left", maintain_order="left"
    )
    counts = pl.col("invites") + pl.col("byes").fill_null(0) + pl.col("reinvites").fill_null(0)
    dialogs = dialogs.with_columns(transactions=counts)
    # The CDRs of OpenSIPS have the length in the row of the INVITE, and need no BYE.
    has_end = pl.col("ended").is_not_null() | (pl.col("talked") > 0) | (pl.col("talked_ms") > 0)
    without_invite = ends.join(invites, on=_DIALOG, how="anti", maintain_order="left")
    return _Dialogs(
        complete=dialogs.filter(has_end.fill_null(False)),
        without_bye=dialogs.filter(~has_end.fill_null(False)),
        without_invite=without_invite.rename(
            {"bye_row": "row", "bye_input": "input", "byes": "transactions"}
        ),
    )


def _build_calls(dialogs: pl.DataFrame, *, timezone: str, swaps_tags: bool) -> pl.DataFrame:
    """Build calls from complete dialogs."""
    local = dialogs["ended"].dt.convert_time_zone(timezone).dt.replace_time_zone(None)
    later = resolve_instants(local, timezone, not_before=dialogs["at"]).utc
    is_before_answer = pl.col("ended") < pl.col("at")
    ended = dialogs.select(pl.when(is_before_answer).then(later).otherwise("ended")).to_series()
    stated = pl.coalesce(
        pl.when(pl.col("talked_ms") > 0).then(pl.col("talked_ms") * 1_000_000),
        pl.when(pl.col("talked") > 0).then(pl.col("talked").cast(pl.Float64) * 1_000_000),
    )
    dialogs = dialogs.with_columns(stated=stated.cast(pl.Int64), ended=ended)
    end = pl.when(pl.col("stated").is_not_null()).then(pl.col("at") + pl.duration(microseconds="stated"))
    dialogs = dialogs.with_columns(end=pl.coalesce(end, "ended"))
    measured = (pl.col("end") - pl.col("at")).dt.total_seconds()
    by_caller, by_callee = pl.col("by") == pl.col("from_tag"), pl.col("by") == pl.col("to_tag")
    party = pl.when(by_caller).then(pl.lit("caller")).when(by_callee).then(pl.lit("callee"))
    return dialogs.select(
        *_common_columns(_call_ids(dialogs, ("one_tag", "other_tag"))),
        start=pl.when(pl.col("created") <= pl.col("at")).then("created").otherwise("at"),
        answer="at",
        end="end",
        duration=pl.when(pl.col("talked") > 0)
        .then("talked")
        .otherwise(pl.when(measured >= 0).then(measured)),
        ring_duration=pl.when(pl.col("created").is_not_null()).then("setup"),
        disposition=pl.lit("answered"),
        hangup_party=pl.lit(None, dtype=pl.String) if swaps_tags else party,
        extra=add_json_member(pl.col("extra"), "bye", pl.col("bye")),
    )


def _build_attempts(attempts: pl.DataFrame) -> pl.DataFrame:
    """Build calls from failed INVITEs."""
    start = pl.when(pl.col("created") <= pl.col("at")).then("created").otherwise("at")
    return attempts.select(
        *_common_columns(_call_ids(attempts, ("from_tag", "to_tag", "sip_code", "at"))),
        start=start,
        end="at",
        duration=pl.lit(0),
        disposition=dispositions(attempts["sip_code"]),
        extra="extra",
    )


def _common_columns(call_ids: pl.Series) -> list[pl.Expr | pl.Series]:
    """Return the columns common to answered calls and failed INVITEs."""
    names = ("source", "destination", "dialled", "source_ip", "sip_code", "sip_reason")
    return [call_ids.alias("call_id"), pl.col("callid").alias("linked_id"), *map(pl.col, names)]


def _call_ids(calls: pl.DataFrame, columns: tuple[str, ...]) -> pl.Series:
    """Return an id for each call: its Call-ID and a digest of *columns*.

    The digest distinguishes branches and attempts that share a Call-ID. A call has the same id each time it is read.
    """
    ids = [
        f"{callid}-{blake2b(_digest_input(values), digest_size=6).hexdigest()}"
        for callid, *values in calls.select("callid", *columns).rows()
    ]
    return pl.Series(ids, dtype=pl.String)


def _digest_input(values: list[Any]) -> bytes:
    texts = (value.isoformat() if isinstance(value, datetime) else str(value) for value in values)
    return "\0".join(texts).encode()


def _pending_calls(dialogs: pl.DataFrame, transactions: pl.DataFrame, reason: str) -> Iterator[PendingCall]:
    """Yield each incomplete dialog as a pending call with the text of its rows."""
    own_rows = transactions.join(dialogs, on=_DIALOG, how="semi")
    texts = own_rows.group_by(_DIALOG, maintain_order=True).agg(texts="text")
    dialogs = dialogs.join(texts, on=_DIALOG, how="left", maintain_order="left")
    columns = ("callid", "row", "transactions", "input", "texts")
    for callid, row, count, name, lines in dialogs.select(columns).rows():
        text = b"\n".join(lines).decode("utf-8", "surrogateescape")
        yield PendingCall(callid, reason, row, count, name, text)
