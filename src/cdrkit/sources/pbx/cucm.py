"""Cisco Unified Communications Manager: its CDR files, and the CMR files with the quality of the same calls."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Final

import attrs
import polars as pl

from cdrkit._model import FRAME_TYPES, empty_frame
from cdrkit.errors import SchemaError
from cdrkit.sources.contract import PendingCall, SourceBatch, SourceInput, is_only_input
from cdrkit.sources.readers.apply_mapping import apply_mapping
from cdrkit.sources.readers.byte_streams import PeekedStream, Readable
from cdrkit.sources.readers.field_rule import FieldRule
from cdrkit.sources.readers.mapping import SourceMapping
from cdrkit.sources.readers.native_rows import json_objects
from cdrkit.sources.readers.table import Table, TableChunk, open_table
from cdrkit.sources.readers.table_header import column_names

__all__ = ["Cucm"]

#: What the legs of a call and their CMRs share.
_LINK: Final = ("globalCallId_ClusterID", "globalCallID_callManagerId", "globalCallID_callId")
_MAPPING: Final = SourceMapping(
    name="cucm",
    optional=True,
    only={"cdrRecordType": ("1",)},
    fields={
        "call_id": "pkid",
        "linked_id": FieldRule(columns=_LINK, join="-"),
        "start": FieldRule(columns="dateTimeOrigination", formats=("epoch",), absent=("0",)),
        "answer": FieldRule(columns="dateTimeConnect", formats=("epoch",), absent=("0",)),
        "end": FieldRule(columns="dateTimeDisconnect", formats=("epoch",), absent=("0",)),
        "source": "callingPartyNumber",
        "destination": "finalCalledPartyNumber",
        "dialled": "originalCalledPartyNumber",
        "duration": "duration",
    },
)
_QUALITY: Final = SourceMapping(
    name="cucm",
    optional=True,
    only={"cdrRecordType": ("2",)},
    # A CMR is no call; what must be there is what it is joined by.
    fields={
        "call_id": FieldRule(columns=_LINK, join="-"),
        "start": FieldRule(columns="dateTimeStamp", formats=("epoch",)),
    },
)
_TYPE: Final = re.compile(
    r"(?:INTEGER|VARCHAR\s*\(\d+\)|UNIQUEIDENTIFIER|[A-Z]+(?:\s*\(\d+\))?)", re.IGNORECASE
)
_MOS: Final = r"MLQKav=([0-9]+(?:\.[0-9]+)?)"
_DISPOSITIONS: Final = {17: "busy", 18: "no_answer", 19: "no_answer", 21: "rejected"}


def _types(texts: Sequence[str]) -> bool:
    """Return whether a line has the types of the columns."""
    return all(_TYPE.fullmatch(text.strip()) for text in texts)


@attrs.frozen(kw_only=True)
class Cucm:
    """Reads CDR files of Cisco Unified Communications Manager; CMR files among them give calls their MOS.

    Columns are found by their names, on the first line; the line of types below it is no row. Times are UTC. Causes
    are Q.850: ``q850_cause`` is the one that is set, or both when they are equal. ``mos`` is the lowest ``MLQKav``
    of the call's CMRs, each of which ``extra`` keeps; a CMR without its call is held back.

    Example:
        >>> import io
        >>> names = "cdrRecordType,globalCallID_callManagerId,globalCallID_callId,dateTimeOrigination,"
        >>> names += "origIpAddr,dateTimeConnect,dateTimeDisconnect,pkid,duration,destCause_value"
        >>> types = "INTEGER,INTEGER,INTEGER,INTEGER,INTEGER,INTEGER,INTEGER,UNIQUEIDENTIFIER,INTEGER,INTEGER"
        >>> row = "1,1,17,1795338000,-1139627840,1795338004,1795338038,4c1f-77,34,16"
        >>> [batch] = Cucm()(io.BytesIO("\\n".join([names, types, row, ""]).encode()))
        >>> batch.frame["source_ip"][0], batch.frame["q850_cause"][0], batch.frame["hangup_party"][0]
        ('192.168.18.188', 16, 'callee')
    """

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of one CDR file, in its order.

        Raises:
            SchemaError: When it is empty, or no CDR file.
        """
        table = _cdrs(stream)
        for rows in table.chunks:
            yield _batch(rows, table)

    def read_all(self, inputs: Iterable[SourceInput], /) -> Iterator[SourceBatch]:
        """Yield the calls of all CDR files among *inputs*, with the quality that the CMR files among them tell.

        The calls are kept until the last file was read: any of them may hold a call's CMR.

        Raises:
            SchemaError: When one of them is empty, or neither kind of file.
        """
        batches: list[SourceBatch] = []
        cmrs: list[tuple[str, pl.DataFrame]] = []
        read = 0
        for opened, one in (each := enumerate(inputs, 1)):
            peeked = PeekedStream(one.stream)
            try:
                quality = "datetimestamp" in column_names(peeked.head)
                table = open_table(peeked, _QUALITY, skip_row=_types) if quality else _cdrs(peeked)
                position = 0
                for rows in table.chunks:
                    position = rows.position
                    if quality:
                        done = apply_mapping(rows.native, table.mapping)
                        batch = attrs.evolve(rows.to_batch(done), frame=empty_frame())
                        cmrs.append((one.name, done.native.with_columns(call=done.frame["call_id"])))
                    else:
                        batch = _batch(rows, table)
                    rejects = tuple(attrs.evolve(reject, input=one.name) for reject in batch.rejects)
                    batches.append(attrs.evolve(batch, rejects=rejects, bytes_read=read + position))
            except SchemaError as exc:
                raise (
                    exc
                    if not one.name or is_only_input(opened, each)
                    else SchemaError(f"{one.name}: {exc}", row=exc.row)
                ) from exc
            read += position
        yield from _joined(batches, cmrs, read)

    @staticmethod
    def sniff(head: bytes, name: str, /) -> str | None:
        """Return why a file may be of CUCM, or None."""
        names = column_names(head)
        if {"cdrrecordtype", "globalcallid_callid"} <= names:
            kind = "CMR" if "datetimestamp" in names else "CDR"
            return f"columns named cdrRecordType, globalCallID_callId: a {kind} file"
        return None


def _cdrs(stream: Readable) -> Table:
    table = open_table(stream, _MAPPING, skip_row=_types)
    for field in ("linked_id", "answer", "duration"):
        if field not in table.mapping.fields:
            column = _MAPPING.fields[field].columns[-1]
            raise SchemaError(
                f"The table has no column {column!r}, which {field} is made of: it is no whole CDR file.",
                row=1,
            )
    return table


def _batch(rows: TableChunk, table: Table) -> SourceBatch:
    return rows.to_batch(apply_mapping(rows.native, table.mapping, compute=_computed))


def _computed(native: pl.DataFrame, values: Mapping[str, pl.Series]) -> Mapping[str, pl.Series]:
    """Return what takes more than one column: addresses, causes, who cleared, and the disposition."""
    native = native.with_columns(
        pl.lit(None, dtype=pl.String).alias(name)
        for name in ("origIpAddr", "origIpv4v6Addr", "origCause_value", "destCause_value")
        if name not in native.columns
    )
    orig, dest = (
        pl.when(pl.col(name).str.contains(r"^\s*[0-9]{1,10}\s*$"))
        .then(pl.col(name).str.strip_chars().cast(pl.Int64, strict=False))
        .fill_null(0)
        for name in ("origCause_value", "destCause_value")
    )
    causes = native.select(orig=orig, dest=dest).with_columns(answered=values["answer"].is_not_null())
    one = pl.when(pl.col("dest") == 0).then("orig").when(pl.col("orig") == 0).then("dest")
    cause = one.when(pl.col("orig") == pl.col("dest")).then("orig")
    causes = causes.with_columns(cause=pl.when(cause.is_between(1, 127)).then(cause))
    by_caller, by_callee = (
        (pl.col("orig") != 0) & (pl.col("dest") == 0),
        (pl.col("dest") != 0) & (pl.col("orig") == 0),
    )
    party = pl.when(by_caller).then(pl.lit("caller")).when(by_callee).then(pl.lit("callee"))
    said = pl.col("cause").replace_strict(_DISPOSITIONS, default=None, return_dtype=pl.String)
    disposition = (
        pl.when("answered")
        .then(pl.lit("answered"))
        .when(said.is_not_null())
        .then(said)
        .when((pl.col("cause") == 16) & by_caller)
        .then(pl.lit("cancelled"))
        .when(pl.col("cause").is_null() | (pl.col("cause") == 16))
        .then(pl.lit("unknown"))
        .otherwise(pl.lit("failed"))
    )
    found = causes.select(q850_cause="cause", hangup_party=party, disposition=disposition)
    address = pl.coalesce(_unless_blank("origIpv4v6Addr"), _dotted(native["origIpAddr"]))
    return {**{name: found[name] for name in found.columns}, "source_ip": native.select(address).to_series()}


def _unless_blank(name: str) -> pl.Expr:
    text = pl.col(name).str.strip_chars()
    return pl.when(text != "").then(text)


def _dotted(numbers: pl.Series) -> pl.Series:
    """Return addresses from signed 32-bit numbers in little-endian order; 0 is none."""
    known = {text: _address(text) for text in numbers.unique().drop_nulls()}
    return pl.Series([None if text is None else known[text] for text in numbers], dtype=pl.String)


def _address(text: str) -> str | None:
    if not re.fullmatch(r"\s*-?[0-9]{1,10}\s*", text) or not -(2**31) <= int(text) < 2**32 or int(text) == 0:
        return None
    return str(ipaddress.IPv4Address((int(text) % 2**32).to_bytes(4, "little")))


def _joined(
    batches: list[SourceBatch], cmrs: list[tuple[str, pl.DataFrame]], read: int
) -> Iterator[SourceBatch]:
    """Yield *batches*, whose calls have the quality that the CMRs tell."""
    if not cmrs:
        yield from batches
        return
    quality = pl.concat(
        [
            native.select(
                "call",
                "row",
                mos=_first_mos(native),
                input=pl.lit(name),
                text=json_objects(native.drop("row", "call")),
            )
            for name, native in cmrs
        ]
    ).sort("text")
    by_call = quality.group_by("call", maintain_order=True).agg(
        mos=pl.col("mos").min(), texts=pl.col("text").unique(maintain_order=True).str.join(","), rows=pl.len()
    )
    used: set[str] = set()
    for batch in batches:
        calls = batch.frame.select(call="linked_id")
        found = calls.join(by_call, on="call", how="left", maintain_order="left")
        fresh = {call for call in found.filter(pl.col("texts").is_not_null())["call"] if call not in used}
        merged = int(by_call.filter(pl.col("call").is_in(list(fresh)))["rows"].sum())
        used |= fresh
        yield attrs.evolve(batch, frame=_with_quality(batch.frame, found), merged=merged)
    alone = quality.filter(~pl.col("call").is_in(list(used))).group_by("call", maintain_order=True)
    held = tuple(
        PendingCall(call, "Its CDR is not there yet.", row, rows, name)
        for call, row, rows, name in alone.agg(
            pl.col("row").first(), rows=pl.len(), input=pl.col("input").first()
        ).rows()
    )
    if held:
        yield SourceBatch(frame=empty_frame(), pending=held, bytes_read=read)


def _first_mos(native: pl.DataFrame) -> pl.Expr:
    if "varVQMetrics" not in native.columns:
        return pl.lit(None, dtype=pl.Float64)
    mos = pl.col("varVQMetrics").str.extract(_MOS).cast(pl.Float64, strict=False)
    return pl.when(mos.is_between(1, 5)).then(mos)


def _with_quality(frame: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    if found.is_empty() or found["texts"].null_count() == found.height:
        return frame
    extra = frame["extra"].cast(pl.String).fill_null("{}")
    inner = extra.str.head(-1).str.slice(1)
    texts = found["texts"]
    comma = pl.when(inner == "").then(pl.lit("")).otherwise(pl.lit(","))
    whole = pl.concat_str(pl.lit("{"), inner, comma, pl.lit('"cmr":['), texts, pl.lit("]}"))
    joined = frame.select(pl.when(texts.is_not_null()).then(whole).otherwise(frame["extra"])).to_series()
    return frame.with_columns(
        found["mos"].cast(FRAME_TYPES["mos"]).alias("mos"), joined.cast(FRAME_TYPES["extra"]).alias("extra")
    )
