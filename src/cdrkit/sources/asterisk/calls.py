"""Convert the native columns of every Asterisk CDR module to calls."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from typing import Final, Protocol

import attrs
import polars as pl

from cdrkit._model import FIELDS, FRAME_TYPES
from cdrkit.errors import SchemaError
from cdrkit.sources.asterisk.columns import DISPOSITIONS, FREEPBX_COLUMNS, NATIVE_COLUMNS
from cdrkit.sources.asterisk.row_check import (
    IS_NEGATIVE,
    LENGTHS,
    TIMES,
    separate_invalid_rows,
)
from cdrkit.sources.contract import Reject, SourceBatch
from cdrkit.sources.readers.local_time import Instants, resolve_instants
from cdrkit.sources.readers.reject_reasons import quote_value

__all__ = ["BatchRows", "CallBuilder", "check_batches"]

#: The columns that differ between the legs of one call.
_LEG_COLUMNS: Final = (
    "dst",
    "channel",
    "dstchannel",
    "lastapp",
    "start",
    "answer",
    "end",
    "duration",
    "billsec",
    "disposition",
    "sequence",
)
#: The columns that are not repeated in ``extra``.
_COLUMNS_WITH_FIELD: Final = frozenset(
    (
        *("accountcode", "src", "dst", "start", "answer", "end", "billsec", "disposition", "linkedid"),
        *FREEPBX_COLUMNS,
    )
)
_TEXT: Final = pl.String()
# NUL is not a part of any value: rows with NUL are rejected when the file is read.
_SEPARATOR: Final = "\0"
_JSON_ESCAPES: Final = {"\\": "\\\\", '"': '\\"'} | {chr(code): f"\\u{code:04x}" for code in range(32)}
_SCHEMA: Final = {
    "row": pl.Int64(),
    **dict.fromkeys(NATIVE_COLUMNS, _TEXT),
    **{f"{name}_at": pl.Datetime("us") for name in TIMES},
}


class BatchRows(Protocol):
    """A group of input rows, with the rejects and the offset at which the rows end."""

    @property
    def rejects(self) -> list[Reject]:
        """The rejects: lines that are not valid rows."""
        ...

    @property
    def position(self) -> int:
        """The offset in the input at which the rows end."""
        ...

    def reject(self, row: int, reason: str) -> Reject:
        """Return a reject for row number *row*, with the text of the row."""
        ...


@attrs.frozen(kw_only=True)
class CallBuilder:
    """A builder of calls from the native columns of one Asterisk installation.

    Attributes:
        origin: Name of the format.
        timezone: IANA name of the zone of the local times.
        recording_column: The native column with the recording.
        customer_column: The native column with the customer.
        derives_times: Whether answer and end are computed from the lengths, because the table lacks these columns.
    """

    origin: str
    timezone: str
    recording_column: str | None = None
    customer_column: str | None = None
    derives_times: bool = False

    def batch(
        self, values: Iterable[pl.DataFrame], rows: BatchRows, rejects: Iterable[Reject] = ()
    ) -> SourceBatch:
        """Return a batch with the calls in *values*.

        Args:
            values: Frames with the column ``row`` and the native columns as strings.
            rows: The rows that the frames come from.
            rejects: Further rejects of the batch.
        """
        all_rejects = [*rows.rejects, *rejects]
        frames: list[pl.DataFrame] = []
        negative = 0
        for each in values:
            good, invalid = separate_invalid_rows(each)
            all_rejects += [rows.reject(row, reason) for row, reason in invalid]
            negative += sum(reason.endswith(IS_NEGATIVE) for _, reason in invalid)
            frames.append(good)
        native = pl.concat([pl.DataFrame(schema=_SCHEMA), *frames], how="diagonal")
        native = native.with_columns(pl.col(_TEXT).fill_null(""))
        if not native["row"].is_sorted():
            native = native.sort("row")
        frame, repeated, missing = self._build_calls(native)
        return SourceBatch(
            frame=frame,
            rejects=tuple(sorted(all_rejects, key=lambda reject: reject.row)),
            contradictions={"negative_length": negative} if negative else {},
            repeated_hour=repeated,
            missing_hour=missing,
            bytes_read=rows.position,
        )

    def _build_calls(self, native: pl.DataFrame) -> tuple[pl.DataFrame, int, int]:
        resolve = partial(resolve_instants, timezone=self.timezone)
        start = resolve(native["start_at"])
        if self.derives_times:  # Asterisk defines duration as end - start, and billsec as end - answer
            answer, end = self._derive_times(native, start)
        else:
            answer = resolve(native["answer_at"], not_before=start.utc)
            end = resolve(native["end_at"], not_before=start.utc)
        others = [
            name
            for name in native.columns
            if native.schema[name] == _TEXT and name not in _COLUMNS_WITH_FIELD
        ]
        columns = {
            "call_id": _call_ids(native),
            "linked_id": pl.coalesce(_unless_empty("linkedid"), _unless_empty("uniqueid")),
            "start": pl.col("start_at"),
            "answer": pl.col("answer_at"),
            "end": pl.col("end_at"),
            "source": _unless_empty("src"),
            "source_name": pl.lit(_caller_name(native)),
            "destination": _unless_empty("dst"),
            "account": _unless_empty("accountcode"),
            "duration": pl.col("billsec"),
            "ring_duration": _ring_duration(),
            "disposition": pl.col("disposition").replace_strict(DISPOSITIONS, default="unknown"),
            "release_reason": _unless_empty("disposition"),
            "origin": pl.lit(self.origin),
            "extra": _extra(native, sorted(others)),
        }
        if "did" in native.columns:
            columns["did"] = _unless_empty("did")
        if "cnam" in native.columns:
            columns["source_name"] = pl.coalesce(_unless_empty("cnam"), columns["source_name"])
        if "recordingfile" in native.columns:
            columns["recording"] = _unless_empty("recordingfile")
        if self.recording_column is not None:
            columns["recording"] = _unless_empty(self.recording_column)
        if self.customer_column is not None:
            columns["customer_id"] = _unless_empty(self.customer_column)
        frame = (
            native.with_columns(
                start.utc.alias("start_at"), answer.utc.alias("answer_at"), end.utc.alias("end_at")
            )
            .with_columns(value.cast(FRAME_TYPES[name]).alias(name) for name, value in columns.items())
            .select(name for name in FIELDS if name in columns)
        )
        return (
            frame,
            start.repeated + answer.repeated + end.repeated,
            start.missing + answer.missing + end.missing,
        )

    @staticmethod
    def _derive_times(native: pl.DataFrame, start: Instants) -> tuple[Instants, Instants]:
        lengths = native.select(pl.col(LENGTHS).cast(pl.Int64) * 1_000_000).cast(pl.Duration("us"))
        end = start.utc + lengths["duration"]
        talked = (native["billsec"].cast(pl.Int64) > 0) & (lengths["billsec"] <= lengths["duration"])
        answer = pl.select(pl.when(talked).then(end - lengths["billsec"])).to_series()
        return Instants(utc=answer, repeated=0, missing=0), Instants(utc=end, repeated=0, missing=0)


def check_batches(batches: Iterable[tuple[SourceBatch, bool]], shape: str) -> Iterator[SourceBatch]:
    """Yield the batches that are not empty; raise an error if the file has no calls.

    Args:
        batches: The batches, each paired with whether at least one of its lines had the right columns.
        shape: Description of the format, for the error message.

    Raises:
        SchemaError: When the file has no rows, or none of them is a call.
    """
    good = read = 0
    first: Reject | None = None
    plausible = False
    for batch, looks_right in batches:
        read += batch.read
        good += batch.frame.height
        first = first or next(iter(batch.rejects), None)
        plausible = plausible or looks_right
        if not plausible and first is not None:  # stop early on a file of another kind
            raise _not_calls(first, read, shape)
        if batch.read:
            yield batch
    if not good and first is None:
        raise SchemaError("The file is empty: it contains no rows. Check that you gave the right file.")
    if not good and first is not None:
        raise _not_calls(first, read, shape)


def _not_calls(first: Reject, read: int, shape: str) -> SchemaError:
    none = "cdrkit read one row, and it is not" if read == 1 else f"cdrkit read {read:,} rows, and none is"
    return SchemaError(
        f"{none} a row of {shape}. Row {first.row} is {quote_value(first.text)}. {first.reason} "
        "Check the file, or give its format.",
        row=first.row,
    )


def _unless_empty(name: str) -> pl.Expr:
    return pl.when(pl.col(name) != "").then(pl.col(name))


def _caller_name(native: pl.DataFrame) -> pl.Series:
    """Extract the name from ``"Name" <number>``, ``Name <number>`` or ``Name``."""
    # In steps: within one expression, each use of a step would be computed again.
    clid = pl.col("clid")
    before = native.select("src", "clid", before=clid.str.replace(r"<[^<>]*>[ \t]*$", ""))
    # Without a number Asterisk writes only the name; without a name, only the number.
    has_name = pl.col("before") != clid
    is_alone = (clid != pl.col("src")) & clid.str.contains(r"[^0-9+*#(). -]")
    names = before.select(name=pl.when(has_name | is_alone).then("before").str.strip_chars(" \t"))
    name = pl.col("name")
    quoted = (name.str.len_bytes() >= 2) & name.str.starts_with('"') & name.str.ends_with('"')
    inner = pl.when(quoted).then(name.str.head(-1).str.slice(1)).otherwise(name)
    return names.select(inner.str.strip_chars(" \t")).select(_unless_empty("name")).to_series()


def _ring_duration() -> pl.Expr:
    ringing = (pl.col("answer_at") - pl.col("start_at")).dt.total_seconds().cast(pl.Float64)
    unanswered = pl.when(pl.col("answer_at").is_null()).then(pl.col("duration").cast(pl.Float64))
    # Negative when the clock was set back during ringing: the duration is unknown.
    return pl.coalesce(unanswered, pl.when(ringing >= 0).then(ringing))


def _call_ids(native: pl.DataFrame) -> pl.Expr:
    """Return a call_id for each leg.

    Reading a file again returns the same ids.
    """
    own = native["uniqueid"] != ""
    ids = pl.concat_str("uniqueid", pl.lit("-"), pl.lit(_digest_rows(native, _LEG_COLUMNS)))
    if own.all():
        return ids
    return (
        pl.when(own)
        .then(ids)
        .otherwise(pl.concat_str(pl.lit("asterisk-"), pl.lit(_digest_rows(native, NATIVE_COLUMNS))))
    )


def _digest_rows(native: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    texts = native.select(pl.concat_str(columns, separator=_SEPARATOR)).to_series().cast(pl.Binary)
    return pl.Series([blake2b(row, digest_size=6).hexdigest() for row in texts.to_list()], dtype=pl.String)


def _extra(native: pl.DataFrame, names: Sequence[str]) -> pl.Expr:
    """Return a JSON object for each row.

    The object contains the row's values of the columns *names*, without empty values.
    """
    members: list[tuple[str, pl.Expr, bool]] = []  # key, value, whether every row has a value
    for name in names:
        texts = native[name]
        filled = texts != ""
        if filled.any():
            value = pl.col(name)
            if texts.str.contains(r'["\\\x00-\x1f]').any():
                value = value.str.replace_many(_JSON_ESCAPES)
            members.append((json.dumps(name, ensure_ascii=False), value, bool(filled.all())))
    # After a member that every row has, a comma is always right: then one pass builds the object.
    parts: list[pl.Expr] = []
    text = "{"
    if members and members[0][2]:
        for number, (key, value, always) in enumerate(members):
            comma = "," if number else ""
            if always:
                parts += [pl.lit(f'{text}{comma}{key}:"'), value]
                text = '"'
            else:
                member = pl.concat_str(pl.lit(f'{comma}{key}:"'), value, pl.lit('"'))
                parts += [pl.lit(text), pl.when(value != "").then(member).otherwise(pl.lit(""))]
                text = ""
        return pl.concat_str(*parts, pl.lit(f"{text}}}"))
    for key, value, _ in members:
        parts.append(pl.when(value != "").then(pl.concat_str(pl.lit(f'{key}:"'), value, pl.lit('"'))))
    none = pl.lit(None, dtype=_TEXT)
    return pl.concat_str(
        pl.lit("{"), pl.concat_str([none, *parts], separator=",", ignore_nulls=True), pl.lit("}")
    )
