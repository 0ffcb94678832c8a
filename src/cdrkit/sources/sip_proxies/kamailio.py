"""Kamailio and OpenSIPS: the table ``acc``, whose transactions are paired into calls, and Kamailio's ``acc_cdrs``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import IO, ClassVar, Final

import attrs
import polars as pl

from cdrkit._model import check_zone, empty_frame
from cdrkit.errors import ConfigError, SchemaError
from cdrkit.sources.contract import SourceBatch, SourceInput, is_only_input
from cdrkit.sources.readers.apply_mapping import MappingResult, RowProblem, apply_mapping
from cdrkit.sources.readers.byte_streams import PeekedStream
from cdrkit.sources.readers.encoding import check_encoding
from cdrkit.sources.readers.field_rule import FieldRule
from cdrkit.sources.readers.mapping import SourceMapping
from cdrkit.sources.readers.native_rows import json_objects
from cdrkit.sources.readers.table import TableChunk, open_table, read_table
from cdrkit.sources.readers.table_header import column_names
from cdrkit.sources.sip_proxies.dialogs import EVENT, paired

__all__ = ["KamailioAcc", "KamailioCdrs", "OpenSipsAcc"]

_NULLS: Final = ("NULL", "\\N", "0000-00-00 00:00:00")
#: The columns of the sample kamailio.cfg, where the script adds no others.
_NUMBERS: Final[Mapping[str, str]] = {
    "source": "src_user",
    "destination": "dst_user",
    "dialled": "dst_ouser",
    "source_ip": "src_ip",
}
_DIALOG: Final = ("method", "from_tag", "to_tag", "callid")
_TAGS: Final = ("from_tag", "to_tag")


def _zone(value: str | None) -> str:
    if value is None:
        raise ConfigError(
            "The stamps are local times without an offset: say whose, for example timezone='Europe/London', or "
            "timezone='UTC' where the proxy writes UTC."
        )
    return check_zone(value)


@attrs.frozen(kw_only=True)
class _Acc:
    """What both proxies' tables of transactions have in common."""

    timezone: str = attrs.field(default=None, converter=_zone)
    source_column: str | None = None
    destination_column: str | None = None
    detect_direction: bool = False
    encoding: str = attrs.field(default="utf-8", converter=check_encoding)

    origin: ClassVar[str]

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream*, and those still open in the last batch.

        Raises:
            SchemaError: When it is empty, or no table of transactions.
        """
        yield from self.read_all([SourceInput(name="", stream=stream)])

    def read_all(self, inputs: Iterable[SourceInput], /) -> Iterator[SourceBatch]:
        """Yield the calls of all *inputs*: a call may begin in one and end in another.

        Transactions are kept until the last input was read.

        Raises:
            SchemaError: When one of them is empty, or no table of transactions.
        """
        events: list[pl.DataFrame] = []
        mapping = self._mapping()
        position = 0
        for opened, one in (each := enumerate(inputs, 1)):
            try:
                peeked = PeekedStream(one.stream)
                table = open_table(peeked, mapping)
                _check_columns(peeked.head, self.source_column, self.destination_column)
                reached = 0
                for rows in table.chunks:
                    done = apply_mapping(rows.native, table.mapping)
                    found, wrong = _events(done, rows, one.name)
                    reached = rows.position
                    events.append(found)
                    yield _rejected(rows, done, wrong, one.name, position + reached)
            except SchemaError as exc:
                raise (
                    exc
                    if not one.name or is_only_input(opened, each)
                    else SchemaError(f"{one.name}: {exc}", row=exc.row)
                ) from exc
            position += reached
        yield from paired(
            pl.concat(events) if events else pl.DataFrame(schema=EVENT),
            origin=self.origin,
            timezone=self.timezone,
            swapped=self.detect_direction,
            position=position,
        )

    def _mapping(self) -> SourceMapping:
        return SourceMapping(
            name=self.origin,
            separator=None,
            optional=True,
            timezone=self.timezone,
            encoding=self.encoding,
            absent=_NULLS,
            only={"method": ("INVITE", "BYE")},
            fields={
                "call_id": "callid",
                "start": FieldRule(columns="time", formats=("iso", "epoch")),
                # Borrowed for what a transaction has: see _events.
                "answer": FieldRule(columns="created", formats=("iso", "epoch")),
                "duration": "duration",
                "pdd": FieldRule(columns="ms_duration", unit="ms"),
                "pdd_in": "setuptime",
                "sip_code": FieldRule(columns="sip_code", required=True),
                "sip_reason": "sip_reason",
                **_numbers(self.source_column, self.destination_column),
            },
        )


def _numbers(source: str | None, destination: str | None) -> dict[str, FieldRule]:
    """Return the rules of the numbers: by the columns that were named, or those of the sample configuration."""
    named = {"source": source, "destination": destination}
    columns = {**_NUMBERS, **{field: column for field, column in named.items() if column is not None}}
    return {field: FieldRule(columns=column) for field, column in columns.items()}


def _check_columns(head: bytes, *columns: str | None) -> None:
    """Refuse a table without a column that was named on purpose."""
    names = column_names(head)
    for column in columns:
        if column is not None and column.strip().casefold() not in names:
            raise SchemaError(
                f"The table has no column {column!r}, which was named; it has {', '.join(sorted(names)[:40])}.",
                row=1,
            )


def _events(done: MappingResult, rows: TableChunk, name: str) -> tuple[pl.DataFrame, list[RowProblem]]:
    """Return the transactions of *done*, which *rows* were, and those of them that are none."""
    native = done.native
    folded = {column.strip().casefold(): column for column in native.columns}
    for tag in _TAGS:
        if tag not in folded:
            raise SchemaError(
                f"The table has no column {tag!r}, which tells a call's dialog. Check the file.", row=1
            )
    frame = done.frame
    nothing = pl.lit(None)
    borrowed = {
        "callid": "call_id",
        "at": "start",
        "created": "answer",
        "talked": "duration",
        "talked_ms": "pdd",
        "setup": "pdd_in",
        **{
            field: field
            for field in ("sip_code", "sip_reason", "source", "destination", "dialled", "source_ip")
        },
        "extra": "extra",
    }
    events = pl.DataFrame(
        {
            **{to: frame[of] for to, of in borrowed.items() if of in frame.columns},
            **{column: native[folded[column]].fill_null("") for column in ("method", *_TAGS)},
            "native": json_objects(native.drop("row", folded["callid"], folded["time"])),
            "text": pl.Series([rows.texts[row] for row in native["row"]], dtype=pl.Binary),
            "row": native["row"],
        }
    ).with_columns(input=pl.lit(name))
    missing = [
        nothing.cast(kind).alias(column) for column, kind in EVENT.items() if column not in events.columns
    ]
    events = events.with_columns(missing).select(pl.col(column).cast(kind) for column, kind in EVENT.items())
    early = events["sip_code"] < 200
    wrong = [
        RowProblem(row, f"Its sip_code, {code}, is no end of a transaction: a final one comes.")
        for row, code in events.filter(early).select("row", "sip_code").rows()
    ]
    return events.filter(~early), wrong


def _rejected(
    rows: TableChunk, done: MappingResult, wrong: list[RowProblem], name: str, position: int
) -> SourceBatch:
    """Return what cannot be taken of some rows; their calls come when all is read."""
    batch = rows.to_batch(attrs.evolve(done, frame=empty_frame(), problems=[*done.problems, *wrong]))
    rejects = tuple(attrs.evolve(reject, input=name) for reject in batch.rejects)
    return attrs.evolve(batch, rejects=rejects, bytes_read=position)


@attrs.frozen(kw_only=True)
class KamailioAcc(_Acc):
    """Reads dumps of Kamailio's tables ``acc`` and ``missed_calls``, with the names of the columns on top.

    A call is an INVITE that was answered and the BYE of its dialog, in either order and in whichever files of one
    ingest. ``answer`` is the time of the INVITE's row, which is written when the answer comes; ``start`` is the same,
    since the table does not have an earlier time. ``duration`` is from answer to BYE. A failed INVITE is an attempt.
    What has no BYE, or no INVITE, is held back and reported.

    Example:
        >>> import io
        >>> rows = b"method,from_tag,to_tag,callid,sip_code,sip_reason,time,src_user,dst_user\\n"
        >>> rows += b"INVITE,a,b,x@y,200,OK,2026-11-22 09:00:04,2041,442079460018\\n"
        >>> rows += b"BYE,b,a,x@y,200,OK,2026-11-22 09:00:38,442079460018,2041\\n"
        >>> *_, batch = KamailioAcc(timezone="UTC")(io.BytesIO(rows))
        >>> batch.frame["duration"][0], batch.frame["hangup_party"][0], batch.merged
        (34, 'callee', 1)

    Args:
        timezone: The zone of the stamps.
        source_column: The column with the caller, as ``db_extra`` names it; ``src_user`` where there is one.
        destination_column: The column with the number called; ``dst_user`` where there is one.
        detect_direction: That setting of the module ``acc``: with it the tags do not tell who hung up.
        encoding: The encoding of the file.

    Raises:
        ConfigError: When no zone is given, or an option cannot work.
    """

    origin: ClassVar[str] = "kamailio-acc"

    @staticmethod
    def sniff(head: bytes, name: str, /) -> str | None:
        """Return why a file may be a dump of ``acc``, or None."""
        names = column_names(head)
        if {*_DIALOG, "sip_code", "time"} <= names and not names & {"setuptime", "created"}:
            return "columns named method, from_tag, to_tag, callid, and no setuptime"
        return None


@attrs.frozen(kw_only=True)
class OpenSipsAcc(_Acc):
    """Reads dumps of OpenSIPS' tables ``acc`` and ``missed_calls``, with the names of the columns on top.

    As `KamailioAcc`; and ``start`` is ``created``, the time of the INVITE, where the row has it. A row with a
    ``duration`` is a whole call, as ``do_accounting("db", "cdr")`` writes it, and needs no BYE.

    Args:
        timezone: The zone of the stamps.
        source_column: The column with the caller, as ``extra_fields`` names it; ``src_user`` where there is one.
        destination_column: The column with the number called; ``dst_user`` where there is one.
        detect_direction: That setting of the module ``acc``: with it the tags do not tell who hung up.
        encoding: The encoding of the file.

    Raises:
        ConfigError: When no zone is given, or an option cannot work.
    """

    origin: ClassVar[str] = "opensips-acc"

    @staticmethod
    def sniff(head: bytes, name: str, /) -> str | None:
        """Return why a file may be a dump of ``acc``, or None."""
        names = column_names(head)
        if {*_DIALOG, "sip_code", "time"} <= names and names & {"setuptime", "created"}:
            return "columns named method, from_tag, to_tag, callid, and setuptime or created"
        return None


def _talked(native: pl.DataFrame, values: Mapping[str, pl.Series]) -> Mapping[str, pl.Series]:
    """Return the disposition: a call that was talked was answered, of others the table does not tell."""
    talked = values.get("duration", pl.Series([None] * native.height, dtype=pl.Int32)) > 0
    said = pl.when(talked).then(pl.lit("answered")).otherwise(pl.lit("unknown"))
    return {"disposition": native.select(said.alias("disposition")).to_series()}


def _answer_based(value: bool | str | None) -> bool:
    words = {"1": True, "yes": True, "true": True, "0": False, "no": False, "false": False}
    known = words.get(str(value).lower())
    if known is None:
        raise ConfigError(
            f"start_on_confirmed cannot be {value!r}. Say whether kamailio.cfg has cdr_start_on_confirmed=1: with it "
            "start_time is the answer and duration the time talked; without it both begin with the INVITE."
        )
    return known


@attrs.frozen(kw_only=True)
class KamailioCdrs:
    """Reads dumps of Kamailio's table ``acc_cdrs``, with the names of the columns on top.

    What ``start_time`` and ``duration`` mean depends on ``cdr_start_on_confirmed``, which the table does not tell:
    say it. Without it, a duration has the ringing in it, and ``duration`` stays empty; ``extra`` keeps it.

    Example:
        >>> import io
        >>> rows = b"start_time,end_time,duration,callid\\n2026-11-22 09:00:04,2026-11-22 09:00:38,34.213,x@y\\n"
        >>> [batch] = KamailioCdrs(timezone="UTC", start_on_confirmed=True)(io.BytesIO(rows))
        >>> batch.frame["duration"][0], batch.frame["extra"][0]
        (34, '{"duration":"34.213"}')

    Args:
        timezone: The zone of the stamps.
        start_on_confirmed: Whether ``kamailio.cfg`` has ``cdr_start_on_confirmed=1``; Kamailio's default is 0.
        call_id_column: The column with the Call-ID, as ``cdr_extra`` names it; ``callid`` where there is one. Without
            one, a digest of the row identifies it.
        source_column: The column with the caller; ``src_user`` where there is one.
        destination_column: The column with the number called; ``dst_user`` where there is one.
        encoding: The encoding of the file.

    Raises:
        ConfigError: When the zone or *start_on_confirmed* is not given, or an option cannot work.
    """

    timezone: str = attrs.field(default=None, converter=_zone)
    start_on_confirmed: bool = attrs.field(default=None, converter=_answer_based)
    call_id_column: str | None = None
    source_column: str | None = None
    destination_column: str | None = None
    encoding: str = attrs.field(default="utf-8", converter=check_encoding)

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream*, in its order.

        Raises:
            SchemaError: When it is empty, or no such table.
        """
        peeked = PeekedStream(stream)
        _check_columns(peeked.head, self.call_id_column, self.source_column, self.destination_column)
        fields: dict[str, FieldRule] = {
            "start": FieldRule(columns="start_time"),
            "end": FieldRule(columns="end_time"),
            **_numbers(self.source_column, self.destination_column),
        }
        call_id = self.call_id_column or ("callid" if "callid" in column_names(peeked.head) else None)
        if call_id is not None:
            fields["call_id"] = fields["linked_id"] = FieldRule(columns=call_id)
        if self.start_on_confirmed:
            fields["answer"] = FieldRule(columns="start_time")
            fields["duration"] = FieldRule(columns="duration", required=True)
        mapping = SourceMapping(
            name="kamailio-cdrs",
            separator=None,
            optional=True,
            timezone=self.timezone,
            encoding=self.encoding,
            absent=_NULLS,
            fields=fields,
        )
        yield from read_table(peeked, mapping, compute=_talked)

    @staticmethod
    def sniff(head: bytes, name: str, /) -> str | None:
        """Return why a file may be a dump of ``acc_cdrs``, or None."""
        if {"start_time", "end_time", "duration"} <= (names := column_names(head)) and "uuid" not in names:
            return "columns named start_time, end_time, duration"
        return None
