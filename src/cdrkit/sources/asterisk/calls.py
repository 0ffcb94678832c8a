"""Asterisk's columns as calls, whichever of its writers put them where: their meaning, their checks, their ids."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any, Final, Protocol

import attrs
import polars as pl

from cdrkit._model import FIELDS, FRAME_TYPES, check_zone
from cdrkit.errors import ConfigError, SchemaError, suggestion
from cdrkit.sources.contract import Reject, SourceBatch
from cdrkit.sources.readers.local_time import Instants, resolve_instants

__all__ = [
    "ADDED",
    "BASE",
    "NATIVE",
    "NEW",
    "TEXTS",
    "Meaning",
    "is_row",
    "read_all",
    "told",
    "why",
    "zone_given",
]

#: The columns that every writer has, in the order of ``cdr_csv``.
BASE: Final = (
    "accountcode",
    "src",
    "dst",
    "dcontext",
    "clid",
    "channel",
    "dstchannel",
    "lastapp",
    "lastdata",
    "start",
    "answer",
    "end",
    "duration",
    "billsec",
    "disposition",
    "amaflags",
)
NEW: Final = ("peeraccount", "linkedid", "sequence")
NATIVE: Final = (*BASE, "uniqueid", "userfield", *NEW)
#: What FreePBX adds and a field has room for.
ADDED: Final = ("did", "recordingfile", "cnam")
#: What tells the legs of one call apart.
_LEG: Final = (
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
_FIELDED: Final = frozenset(
    (*("accountcode", "src", "dst", "start", "answer", "end", "billsec", "disposition", "linkedid"), *ADDED)
)
_DISPOSITIONS: Final = {
    "ANSWERED": "answered",
    "NO ANSWER": "no_answer",
    "BUSY": "busy",
    "FAILED": "failed",
    "CONGESTION": "failed",
    "CANCEL": "cancelled",
    # as some tables hold them: include/asterisk/cdr.h
    "0": "no_answer",
    "2": "failed",
    "4": "busy",
    "8": "answered",
    "16": "failed",
    "32": "cancelled",
}

#: What a file says: never a number.
_WORDS: Final = {"", "UNKNOWN", *(word for word in _DISPOSITIONS if not word.isdigit())}
_STAMP: Final = (
    "(?:19[7-9][0-9]|20[0-9][0-9])-[0-9][0-9]-[0-9][0-9] (?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    "(?:\\.[0-9]{1,6})?"
)
_IS_STAMP: Final = re.compile(_STAMP)
_MOST_SECONDS: Final = 2**31 - 1
# NUL cannot occur in files: the reader rejects rows that hold one.
_SEPARATOR: Final = "\0"
_JSON_ESCAPES: Final = {"\\": "\\\\", '"': '\\"'} | {chr(code): f"\\u{code:04x}" for code in range(32)}
_NEGATIVE: Final = "is negative."
_SHOWN: Final = 80
_TIMES: Final = ("start", "answer", "end")
_LENGTHS: Final = ("duration", "billsec")


def zone_given(value: str | None) -> str:
    """Return the zone of the stamps.

    Raises:
        ConfigError: When none is given, or it is none.
    """
    if value is None:
        raise ConfigError(
            "Asterisk writes local times without an offset: say whose, for example timezone='Europe/London', "
            "or timezone='UTC' when cdr.conf has usegmtime=yes."
        )
    return check_zone(value)


TEXTS: Final = pl.String()
_CHECKED: Final = {
    "row": pl.Int64(),
    **dict.fromkeys(NATIVE, pl.String()),
    **{f"{name}_at": pl.Datetime("us") for name in _TIMES},
}


def is_row(values: Sequence[str], columns: Sequence[str]) -> bool:
    """Return whether *values*, named as *columns*, are beyond doubt a call of Asterisk's."""
    named = dict(zip(columns, values, strict=False))
    lengths = (named.get(name, "") for name in _LENGTHS)
    return _IS_STAMP.fullmatch(named.get("start", "")) is not None and all(map(str.isdecimal, lengths))


class RowsRead(Protocol):
    """Where rows come from: what is wrong with them is said there."""

    @property
    def rejects(self) -> list[Reject]:
        """What is no row at all."""
        ...

    @property
    def position(self) -> int:
        """How far the rows reach."""
        ...

    def reject(self, row: int, reason: str) -> Reject:
        """Return the row of that number as a reject."""
        ...


def why(rows: Sequence[Sequence[str]], columns: Sequence[str], widths: Sequence[int]) -> str | None:
    """Return why a file whose first rows are *rows* has Asterisk's calls in that order of columns, or None.

    Most of them must be calls beyond doubt, so that no file fits two orders; a few may be torn.
    """
    good = [
        row
        for row in rows
        if len(row) in widths and is_row(row, columns) and _says_how_it_ended(row, columns)
    ]
    if 2 * len(good) <= len(rows) or _is_header(rows[0], columns):
        return None
    most = "" if len(good) == len(rows) else f", in {len(good)} of the first {len(rows)} rows"
    return f"{len(good[0])} columns without a header, the start in column {columns.index('start') + 1}{most}"


def _says_how_it_ended(row: Sequence[str], columns: Sequence[str]) -> bool:
    return row[columns.index("disposition")] in _WORDS


def _is_header(row: Sequence[str], columns: Sequence[str]) -> bool:
    """Return whether *row* is a line of names: what has one is another format, which goes by them."""
    return {"duration", "billsec"} <= {value.strip().casefold() for value in row}


@attrs.frozen(kw_only=True)
class Meaning:
    """What native columns mean in one installation.

    Attributes:
        origin: The format's name.
        timezone: The zone of the stamps.
        recording_column: The native column that names the recording.
        customer_column: The native column that is the customer.
        derives: Whether answer and end are made of the lengths, as a table that has no columns for them needs.
    """

    origin: str
    timezone: str
    recording_column: str | None = None
    customer_column: str | None = None
    derives: bool = False

    def batch(
        self, values: Iterable[pl.DataFrame], rows: RowsRead, rejects: Iterable[Reject] = ()
    ) -> SourceBatch:
        """Return the batch of *values*, each with ``row`` and native columns as texts; *rejects* come on top."""
        found = [*rows.rejects, *rejects]
        frames: list[pl.DataFrame] = []
        negative = 0
        for each in values:
            good, wrong = _checked(each)
            found += [rows.reject(row, reason) for row, reason in wrong]
            negative += sum(reason.endswith(_NEGATIVE) for _, reason in wrong)
            frames.append(good)
        native = pl.concat([pl.DataFrame(schema=_CHECKED), *frames], how="diagonal")
        native = native.with_columns(pl.col(TEXTS).fill_null(""))
        if not native["row"].is_sorted():
            native = native.sort("row")
        frame, repeated, missing = self._calls(native)
        return SourceBatch(
            frame=frame,
            rejects=tuple(sorted(found, key=lambda reject: reject.row)),
            contradictions={"negative_length": negative} if negative else {},
            repeated_hour=repeated,
            missing_hour=missing,
            bytes_read=rows.position,
        )

    def _calls(self, native: pl.DataFrame) -> tuple[pl.DataFrame, int, int]:
        stamp = partial(resolve_instants, timezone=self.timezone)
        start = stamp(native["start_at"])
        if self.derives:  # by Asterisk's definitions: duration is end - start, billsec is end - answer
            answer, end = self._derived(native, start)
        else:
            answer = stamp(native["answer_at"], not_before=start.utc)
            end = stamp(native["end_at"], not_before=start.utc)
        others = [name for name in native.columns if native.schema[name] == TEXTS and name not in _FIELDED]
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
            "disposition": pl.col("disposition").replace_strict(_DISPOSITIONS, default="unknown"),
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
    def _derived(native: pl.DataFrame, start: Instants) -> tuple[Instants, Instants]:
        lengths = native.select(pl.col(_LENGTHS).cast(pl.Int64) * 1_000_000).cast(pl.Duration("us"))
        end = start.utc + lengths["duration"]
        talked = (native["billsec"].cast(pl.Int64) > 0) & (lengths["billsec"] <= lengths["duration"])
        answer = pl.select(pl.when(talked).then(end - lengths["billsec"])).to_series()
        return Instants(utc=answer, repeated=0, missing=0), Instants(utc=end, repeated=0, missing=0)


def told(option: str, column: str | None, known: Sequence[str]) -> None:
    """Check that *option* names one of the columns there can be.

    Raises:
        ConfigError: When it does not.
    """
    if column is not None and column not in known:
        hint, _ = suggestion(str(column), known)
        raise ConfigError(f"{option} cannot be {column!r}; Asterisk's columns are {', '.join(known)}.{hint}")


def read_all(batches: Iterable[tuple[SourceBatch, bool]], shape: str) -> Iterator[SourceBatch]:
    """Yield *batches* that hold anything; each comes with whether a line of it had the right columns.

    Raises:
        SchemaError: When nothing is there, or nothing that can be taken; *shape* says what was looked for.
    """
    good = read = 0
    first: Reject | None = None
    plausible = False
    for batch, looks_right in batches:
        read += batch.read
        good += batch.frame.height
        first = first or next(iter(batch.rejects), None)
        plausible = plausible or looks_right
        if not plausible and first is not None:  # a film need not be read to its end
            raise _not_calls(first, read, shape)
        if batch.read:
            yield batch
    if not good and first is None:
        raise SchemaError("The file is empty: there is no row in it. Check that it is the right one.")
    if not good and first is not None:
        raise _not_calls(first, read, shape)


def _checked(values: pl.DataFrame) -> tuple[pl.DataFrame, list[tuple[int, str]]]:
    """Return the rows that hold calls, with their stamps read, and why the others do not."""
    values = values.with_columns(
        pl.lit("", dtype=TEXTS).alias(name) for name in (*_TIMES, *_LENGTHS) if name not in values.columns
    )
    stamps = [
        pl.when(pl.col(name).str.contains(f"^{_STAMP}$"))
        .then(pl.col(name))
        .str.to_datetime(
            "%Y-%m-%d %H:%M:%S%.f"
            if values[name].str.contains(".", literal=True).any()
            else "%Y-%m-%d %H:%M:%S",
            time_unit="us",
            strict=False,
        )
        .alias(f"{name}_at")
        for name in _TIMES
    ]
    values = values.with_columns(stamps)
    wrong = pl.col("start_at").is_null()
    for name in _TIMES:
        wrong |= pl.col(f"{name}_at").is_null() & (pl.col(name) != "")
    for name in _LENGTHS:
        number = pl.col(name).str.contains(r"^[0-9]{1,10}$")
        wrong |= ~number | (pl.col(name).cast(pl.Int64, strict=False) > _MOST_SECONDS)
    bad = values.select(wrong).to_series()
    if not bad.any():
        return values, []
    return values.filter(~bad), [
        (row["row"], _reason(row)) for row in values.filter(bad).iter_rows(named=True)
    ]


def _reason(row: Mapping[str, Any]) -> str:
    if not row["start"]:
        return "It has no start time."
    for name in _TIMES:
        if row[name] and row[f"{name}_at"] is None:
            return f"Its {name}, {_shortened(row[name])}, is not a time such as '2026-11-22 09:30:00'."
    for name in _LENGTHS:
        text, shown = row[name], _shortened(row[name])
        if not text:
            return f"It has no {name}."
        if re.fullmatch(r"-[0-9]+", text):
            return f"Its {name}, {shown}, {_NEGATIVE}"
        if not re.fullmatch(r"[0-9]+", text):
            return f"Its {name}, {shown}, is not a whole number of seconds."
        if len(text) > 10 or int(text) > _MOST_SECONDS:
            break
    return f"Its {name}, {shown}, is too large for a length in seconds."


def _shortened(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def _not_calls(first: Reject, read: int, shape: str) -> SchemaError:
    none = "The one row read cannot" if read == 1 else f"None of the {read:,} rows read can"
    return SchemaError(
        f"{none} be taken as one of {shape}. Row {first.row} is {_shortened(first.text)}. {first.reason} "
        "Check the file, or give the format that it is in.",
        row=first.row,
    )


def _unless_empty(name: str) -> pl.Expr:
    return pl.when(pl.col(name) != "").then(pl.col(name))


def _caller_name(native: pl.DataFrame) -> pl.Series:
    """Return the name in ``"Name" <number>``, ``Name <number>`` or a bare ``Name``."""
    # Step by step: as one expression each mention of a step would be computed anew.
    clid = pl.col("clid")
    before = native.select("src", "clid", before=clid.str.replace(r"<[^<>]*>[ \t]*$", ""))
    # Without a number Asterisk writes the name alone, and without a name the number alone.
    named = pl.col("before") != clid
    alone = (clid != pl.col("src")) & clid.str.contains(r"[^0-9+*#(). -]")
    names = before.select(name=pl.when(named | alone).then("before").str.strip_chars(" \t"))
    name = pl.col("name")
    quoted = (name.str.len_bytes() >= 2) & name.str.starts_with('"') & name.str.ends_with('"')
    inner = pl.when(quoted).then(name.str.head(-1).str.slice(1)).otherwise(name)
    return names.select(inner.str.strip_chars(" \t")).select(_unless_empty("name")).to_series()


def _ring_duration() -> pl.Expr:
    ringing = (pl.col("answer_at") - pl.col("start_at")).dt.total_seconds().cast(pl.Float64)
    unanswered = pl.when(pl.col("answer_at").is_null()).then(pl.col("duration").cast(pl.Float64))
    # Negative when the clock was set back while it rang: nobody knows how long it did.
    return pl.coalesce(unanswered, pl.when(ringing >= 0).then(ringing))


def _call_ids(native: pl.DataFrame) -> pl.Expr:
    """Return an id for each leg, the same at every reading."""
    own = native["uniqueid"] != ""
    ids = pl.concat_str("uniqueid", pl.lit("-"), pl.lit(_digests(native, _LEG)))
    if own.all():
        return ids
    return (
        pl.when(own).then(ids).otherwise(pl.concat_str(pl.lit("asterisk-"), pl.lit(_digests(native, NATIVE))))
    )


def _digests(native: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    joined = native.select(pl.concat_str(columns, separator=_SEPARATOR)).to_series().cast(pl.Binary)
    return pl.Series([blake2b(row, digest_size=6).hexdigest() for row in joined.to_list()], dtype=pl.String)


def _extra(native: pl.DataFrame, names: Sequence[str]) -> pl.Expr:
    """Return a JSON object of the columns that have no field, without the empty ones."""
    members: list[tuple[str, pl.Expr, bool]] = []  # the key, the value, and whether every row has one
    for name in names:
        texts = native[name]
        filled = texts != ""
        if filled.any():
            value = pl.col(name)
            if texts.str.contains(r'["\\\x00-\x1f]').any():
                value = value.str.replace_many(_JSON_ESCAPES)
            members.append((json.dumps(name, ensure_ascii=False), value, bool(filled.all())))
    # Behind a member that every row has, a comma is right: then the object is put together in one pass.
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
    none = pl.lit(None, dtype=TEXTS)
    return pl.concat_str(
        pl.lit("{"), pl.concat_str([none, *parts], separator=",", ignore_nulls=True), pl.lit("}")
    )
