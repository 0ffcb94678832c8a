"""Asterisk's ``cdr_csv``: ``Master.csv`` and the files of the account codes beside it.

There is no header; the settings of ``cdr.conf`` decide how many columns there are, 16 to 21, and the file
does not say which they are. Stamps are local times without an offset.
"""

from __future__ import annotations

import codecs
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from typing import IO, Any, Final

import attrs
import polars as pl

from .._records import FIELDS
from .._tables import FRAME_TYPES
from .._times import check_zone
from ..errors import ConfigError, SchemaError, suggestion
from ._contract import Reject, SourceBatch
from ._delimited import Delimited, Rows
from ._stamps import instants

__all__ = ["AsteriskCsv"]

_ORIGIN: Final = "asterisk-csv"
_BASE: Final = (
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
_NEW: Final = ("peeraccount", "linkedid", "sequence")
_NATIVE: Final = (*_BASE, "uniqueid", "userfield", *_NEW)
_WIDTHS: Final = range(len(_BASE), len(_NATIVE) + 1)
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
_EXTRA: Final = (
    "amaflags",
    "channel",
    "clid",
    "dcontext",
    "dstchannel",
    "duration",
    "lastapp",
    "lastdata",
    "peeraccount",
    "sequence",
    "uniqueid",
    "userfield",
)
_DISPOSITIONS: Final = {
    "ANSWERED": "answered",
    "NO ANSWER": "no_answer",
    "BUSY": "busy",
    "FAILED": "failed",
    "CONGESTION": "failed",
    "CANCEL": "cancelled",
}

_STAMP: Final = (
    "(?:19[7-9][0-9]|20[0-9][0-9])-[0-9][0-9]-[0-9][0-9] (?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
)
_IS_STAMP: Final = re.compile(_STAMP)
_MOST_SECONDS: Final = 2**31 - 1
# NUL cannot occur: the reader rejects rows that hold one.
_SEPARATOR: Final = "\0"
_JSON_ESCAPES: Final = {"\\": "\\\\", '"': '\\"'} | {chr(code): f"\\u{code:04x}" for code in range(1, 32)}
_SHOWN: Final = 80
_TIMES: Final = ("start", "answer", "end")
_LENGTHS: Final = ("duration", "billsec")


def _zone(value: str | None) -> str:
    if value is None:
        raise ConfigError(
            "Asterisk writes local times without an offset: say whose, for example timezone='Europe/London', "
            "or timezone='UTC' when cdr.conf has usegmtime=yes."
        )
    return check_zone(value)


def _encoding(value: str) -> str:
    plain = bytes(range(32, 127)) + b"\t\r\n"
    try:
        name = codecs.lookup(value).name
        if plain.decode(name) != plain.decode("ascii"):
            raise ValueError("it does not write ASCII as ASCII")
    except (LookupError, TypeError, ValueError) as exc:
        raise ConfigError(
            f"The encoding {value!r} cannot be read: {exc}. Give 'utf-8' or 'latin-1'."
        ) from exc
    return "utf-8" if name == "utf-8-sig" else name


def _setting(name: str, value: bool | str | None) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    words = {"yes": True, "true": True, "no": False, "false": False}
    try:
        return words[value.lower()]
    except (AttributeError, KeyError):
        raise ConfigError(f"{name} cannot be {value!r}; give True or False, as cdr.conf has it.") from None


def _loguniqueid(value: bool | str | None) -> bool | None:
    return _setting("loguniqueid", value)


def _loguserfield(value: bool | str | None) -> bool | None:
    return _setting("loguserfield", value)


def _newcdrcolumns(value: bool | str | None) -> bool | None:
    return _setting("newcdrcolumns", value)


@attrs.frozen(kw_only=True)
class AsteriskCsv:
    """Reads what Asterisk's ``cdr_csv`` writes.

    ``duration`` of a record is Asterisk's ``billsec``, the time talked; Asterisk's own ``duration``, from
    dialling to hanging up, is in ``extra`` with every other native column, as the text it was. ``call_id`` is
    the ``uniqueid`` and a digest of what tells legs apart, since phones that ring in parallel share one
    ``uniqueid``; ``linked_id`` is ``linkedid``, or else ``uniqueid``.

    A local time in an hour that came twice is read as the earlier instant, except that an answer or end that
    would lie before the start takes the later one. A local time in a skipped hour is read with the offset
    from before the change. Both are counted.

    Example:
        >>> import io
        >>> source = AsteriskCsv(timezone="Europe/London")
        >>> row = (b'"1001","02079460018","2041","office","","SIP/a","SIP/b","Dial","","2026-07-22 09:00:00",'
        ...        b'"2026-07-22 09:00:04","2026-07-22 09:00:38",38,34,"ANSWERED","BILLING","1784.1",""')
        >>> [batch] = source(io.BytesIO(row + b"\\n"))
        >>> batch.frame["start"][0].isoformat(), batch.frame["duration"][0]
        ('2026-07-22T08:00:00+00:00', 34)

    Args:
        timezone: The zone of the stamps, by its IANA name; ``UTC`` when ``cdr.conf`` has ``usegmtime=yes``.
        loguniqueid: That setting of ``cdr.conf``; None: go by the count of columns.
        loguserfield: The same. Rows of 17 or 20 columns need it, or *loguniqueid*.
        newcdrcolumns: The same.
        recording_column: The native column that names the recording, for example ``userfield``.
        customer_column: The native column that is the customer, for example ``accountcode``.
        encoding: The encoding of the file.

    Raises:
        ConfigError: When no zone is given, or an option cannot work.
    """

    timezone: str = attrs.field(default=None, converter=_zone)
    loguniqueid: bool | None = attrs.field(default=None, converter=_loguniqueid)
    loguserfield: bool | None = attrs.field(default=None, converter=_loguserfield)
    newcdrcolumns: bool | None = attrs.field(default=None, converter=_newcdrcolumns)
    recording_column: str | None = None
    customer_column: str | None = None
    encoding: str = attrs.field(default="utf-8", converter=_encoding)

    def __attrs_post_init__(self) -> None:
        """Check that the columns named are Asterisk's, and that the settings have them written."""
        for option in ("recording_column", "customer_column"):
            column = getattr(self, option)
            if column is None:
                continue
            if column not in _NATIVE:
                hint, _ = suggestion(str(column), _NATIVE)
                raise ConfigError(
                    f"{option} cannot be {column!r}; Asterisk's columns are {', '.join(_NATIVE)}.{hint}"
                )
            if not any(column in layout for layout in self._layouts()):
                raise ConfigError(f"{option} cannot be {column!r}: {self._given()} leaves that column out.")

    def _settings(self) -> dict[str, bool]:
        names = ("loguniqueid", "loguserfield", "newcdrcolumns")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def _given(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self._settings().items())

    def _layouts(self) -> list[tuple[str, ...]]:
        """Return the orders of columns that the settings allow."""
        allowed = (
            (False, True) if v is None else (v,)
            for v in (self.loguniqueid, self.loguserfield, self.newcdrcolumns)
        )
        return [
            (*_BASE, *["uniqueid"] * uniqueid, *["userfield"] * userfield, *_NEW * new)
            for uniqueid, userfield, new in itertools.product(*allowed)
        ]

    def _needed(self) -> str:
        if not self._settings():
            return f"Asterisk writes {_WIDTHS[0]} to {_WIDTHS[-1]}"
        *others, most = sorted({len(layout) for layout in self._layouts()})
        counts = f"{', '.join(map(str, others))} or {most}" if others else str(most)
        return f"with {self._given()} Asterisk writes {counts}"

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream*, in its order, some ten thousand rows at a time.

        Raises:
            SchemaError: When the stream is empty, or none of its rows can be taken.
            ConfigError: When a row has 17 or 20 columns and no option says which they are.
        """
        reader = Delimited(widths=_WIDTHS, needed=self._needed(), encoding=self.encoding, is_row=_is_row)
        good = read = 0
        first: Reject | None = None
        plausible = False
        for rows in reader.read(stream):
            batch = self._batch(rows)
            read += batch.read
            good += batch.frame.height
            first = first or next(iter(batch.rejects), None)
            plausible = plausible or bool(rows.groups)
            if not plausible and first is not None:  # a film need not be read to its end
                raise _not_calls(first, read)
            if batch.read:
                yield batch
        if not good and first is None:
            raise SchemaError("The file is empty: there is no row in it. Check that it is the right one.")
        if not good and first is not None:
            raise _not_calls(first, read)

    def _batch(self, rows: Rows) -> SourceBatch:
        rejects = list(rows.rejects)
        frames: list[pl.DataFrame] = []
        layouts = self._layouts()
        for width, values in rows.groups.items():
            fitting = [layout for layout in layouts if len(layout) == width]
            if not fitting:
                reason = f"It has {width} columns; {self._needed()}."
                rejects += [rows.reject(row, reason) for row in values["row"]]
                continue
            values = values.rename(dict(zip(map(str, range(width)), fitting[0], strict=True)))
            values, found = _checked(values)
            rejects += [rows.reject(row, reason) for row, reason in found]
            if len(fitting) > 1 and not values.is_empty():
                raise ConfigError(
                    f"Row {values['row'].sort()[0]} has {width} columns; one is uniqueid or userfield, and "
                    "the file does not say which. Give loguniqueid=True or loguserfield=True, as cdr.conf "
                    "has it; both, when that row alone has lost a column: it is rejected then."
                )
            frames.append(values)
        native = pl.concat([pl.DataFrame(schema=_CHECKED), *frames], how="diagonal")
        native = native.with_columns(pl.col(_NATIVE).fill_null(""))
        if not native["row"].is_sorted():
            native = native.sort("row")
        frame, repeated, missing = self._calls(native)
        rejects.sort(key=lambda reject: reject.row)
        return SourceBatch(
            frame=frame,
            rejects=tuple(rejects),
            repeated_hour=repeated,
            missing_hour=missing,
            bytes_read=rows.position,
        )

    def _calls(self, native: pl.DataFrame) -> tuple[pl.DataFrame, int, int]:
        stamp = partial(instants, timezone=self.timezone)
        start = stamp(native["start_at"])
        answer = stamp(native["answer_at"], not_before=start.utc)
        end = stamp(native["end_at"], not_before=start.utc)
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
            "origin": pl.lit(_ORIGIN),
            "extra": _extra(native),
        }
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


_CHECKED: Final = {
    "row": pl.Int64(),
    **dict.fromkeys(_NATIVE, pl.String()),
    **{f"{name}_at": pl.Datetime("us") for name in _TIMES},
}


def _is_row(values: list[str]) -> bool:
    start, *lengths = (values[_BASE.index(name)] for name in ("start", *_LENGTHS))
    return _IS_STAMP.fullmatch(start) is not None and all(map(str.isdecimal, lengths))


def _checked(values: pl.DataFrame) -> tuple[pl.DataFrame, list[tuple[int, str]]]:
    """Return the rows that hold calls, with their stamps read, and why the others do not."""
    stamps = [
        pl.when(pl.col(name).str.contains(f"^{_STAMP}$"))
        .then(pl.col(name))
        .str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
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
            return f"Its {name}, {shown}, is negative."
        if not re.fullmatch(r"[0-9]+", text):
            return f"Its {name}, {shown}, is not a whole number of seconds."
        if len(text) > 10 or int(text) > _MOST_SECONDS:
            break
    return f"Its {name}, {shown}, is too large for a length in seconds."


def _shortened(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def _not_calls(first: Reject, read: int) -> SchemaError:
    none = "The one row read cannot" if read == 1 else f"None of the {read:,} rows read can"
    return SchemaError(
        f"{none} be taken as one of Asterisk's cdr_csv, which has no header, {_WIDTHS[0]} to {_WIDTHS[-1]} "
        f"columns and the start in column {_BASE.index('start') + 1}. Row {first.row} is "
        f"{_shortened(first.text)}. {first.reason} Check the file, or give the format that it is in.",
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
        pl.when(own)
        .then(ids)
        .otherwise(pl.concat_str(pl.lit("asterisk-"), pl.lit(_digests(native, _NATIVE))))
    )


def _digests(native: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    joined = native.select(pl.concat_str(columns, separator=_SEPARATOR)).to_series().cast(pl.Binary)
    return pl.Series([blake2b(row, digest_size=6).hexdigest() for row in joined.to_list()], dtype=pl.String)


def _extra(native: pl.DataFrame) -> pl.Expr:
    """Return a JSON object of the columns that have no field, without the empty ones."""
    parts = [pl.lit(None, dtype=pl.String)]
    for name in _EXTRA:
        texts = native[name]
        value = pl.col(name)
        if texts.str.contains(r'["\\\x00-\x1f]').any():
            value = value.str.replace_many(_JSON_ESCAPES)
        if (texts != "").any():
            part = pl.concat_str(pl.lit(f'"{name}":"'), value, pl.lit('"'))
            parts.append(pl.when(pl.col(name) != "").then(part))
    return pl.concat_str(pl.lit("{"), pl.concat_str(parts, separator=",", ignore_nulls=True), pl.lit("}"))
