"""The source for CDR and CMR files from Cisco CUCM.

CUCM is Cisco's Unified Communications Manager.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Final

import attrs
import polars as pl

from cdrkit._model import FRAME_TYPES, empty_frame
from cdrkit.errors import SchemaError
from cdrkit.sources.contract import PendingCall, SourceBatch, SourceInput
from cdrkit.sources.readers.apply_mapping import apply_mapping
from cdrkit.sources.readers.byte_streams import PeekedStream, Readable
from cdrkit.sources.readers.field_rule import FieldRule
from cdrkit.sources.readers.input_errors import name_input
from cdrkit.sources.readers.mapping import SourceMapping
from cdrkit.sources.readers.native_rows import add_json_member, json_objects
from cdrkit.sources.readers.table import OpenTable, TableChunk, open_table
from cdrkit.sources.readers.table_header import column_names

__all__ = ["Cucm"]

#: The columns that are equal in the legs of a call and in their CMRs.
_CALL_COLUMNS: Final = ("globalCallId_ClusterID", "globalCallID_callManagerId", "globalCallID_callId")
_CDR_MAPPING: Final = SourceMapping(
    name="cucm",
    optional=True,
    only={"cdrRecordType": ("1",)},
    fields={
        "call_id": "pkid",
        "linked_id": FieldRule(columns=_CALL_COLUMNS, join="-"),
        "start": FieldRule(columns="dateTimeOrigination", formats=("epoch",), absent=("0",)),
        "answer": FieldRule(columns="dateTimeConnect", formats=("epoch",), absent=("0",)),
        "end": FieldRule(columns="dateTimeDisconnect", formats=("epoch",), absent=("0",)),
        "source": "callingPartyNumber",
        "destination": "finalCalledPartyNumber",
        "dialled": "originalCalledPartyNumber",
        "duration": "duration",
    },
)
_CMR_MAPPING: Final = SourceMapping(
    name="cucm",
    optional=True,
    only={"cdrRecordType": ("2",)},
    # A CMR is not a call. Only the columns that join it to its call are needed.
    fields={
        "call_id": FieldRule(columns=_CALL_COLUMNS, join="-"),
        "start": FieldRule(columns="dateTimeStamp", formats=("epoch",)),
    },
)
#: A type of a column, in the line below the names.
_TYPE: Final = re.compile(
    r"(?:INTEGER|VARCHAR\s*\(\d+\)|UNIQUEIDENTIFIER|[A-Z]+(?:\s*\(\d+\))?)", re.IGNORECASE
)
#: The average listening quality in ``varVQMetrics``.
_MOS: Final = r"MLQKav=([0-9]+(?:\.[0-9]+)?)"
#: The dispositions of Q.850 causes.
_DISPOSITIONS: Final = {17: "busy", 18: "no_answer", 19: "no_answer", 21: "rejected"}


def _is_type_row(texts: Sequence[str]) -> bool:
    """Return whether a line contains column types instead of a call."""
    return all(_TYPE.fullmatch(text.strip()) for text in texts)


@attrs.frozen(kw_only=True)
class Cucm:
    """The source for CDR and CMR files from Cisco Unified Communications Manager.

    CDR files contain the calls, and CMR files contain the quality of calls. Columns are found by their names in the
    first line. The line of types below it is skipped. Times are in UTC. Causes are Q.850 causes: ``q850_cause`` is set
    if only one side has a cause, or if both sides have the same cause. CMRs provide the quality of their call: ``mos``
    is the lowest ``MLQKav`` of the call's CMRs, and ``extra`` keeps all CMRs. A CMR whose call is missing is a pending
    call.

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
        """Yield the calls of one CDR file in row order.

        Raises:
            SchemaError: When the stream is empty, or is not a CDR file.
        """
        table = _open_cdr_table(stream)
        for chunk in table.chunks:
            yield _make_batch(chunk, table)

    def read_all(self, inputs: Iterable[SourceInput], /) -> Iterator[SourceBatch]:
        """Yield the calls of all CDR files, and add the call quality from all CMR files.

        All calls stay in memory until the last file has been read, because any file may contain a call's CMR.

        Raises:
            SchemaError: When a file is empty, or is neither a CDR file nor a CMR file.
        """
        batches: list[SourceBatch] = []
        cmrs: list[tuple[str, pl.DataFrame]] = []
        position = 0
        for opened, each in (rest := enumerate(inputs, 1)):
            peeked = PeekedStream(each.stream)
            try:
                if is_cmr := "datetimestamp" in column_names(peeked.head):
                    table = open_table(peeked, _CMR_MAPPING, skip_row=_is_type_row)
                else:
                    table = _open_cdr_table(peeked)
                bytes_read = 0
                for chunk in table.chunks:
                    bytes_read = chunk.position
                    if is_cmr:
                        result = apply_mapping(chunk.native, table.mapping)
                        batch = attrs.evolve(chunk.to_batch(result), frame=empty_frame())
                        cmrs.append((each.name, result.native.with_columns(call=result.frame["call_id"])))
                    else:
                        batch = _make_batch(chunk, table)
                    rejects = tuple(attrs.evolve(reject, input=each.name) for reject in batch.rejects)
                    batches.append(attrs.evolve(batch, rejects=rejects, bytes_read=position + bytes_read))
            except SchemaError as exc:
                raise name_input(exc, each, opened, rest) from exc
            position += bytes_read
        yield from _join_quality(batches, cmrs, position)

    @staticmethod
    def sniff(head: bytes, name: str, /) -> str | None:
        """Return the reason why the file matches this format, or None if it does not.

        The first line must have column names of a CDR file or a CMR file.
        """
        names = column_names(head)
        if {"cdrrecordtype", "globalcallid_callid"} <= names:
            kind = "CMR" if "datetimestamp" in names else "CDR"
            return f"columns named cdrRecordType, globalCallID_callId: a {kind} file"
        return None


def _open_cdr_table(stream: Readable) -> OpenTable:
    """Open a CDR file as a table.

    Raises:
        SchemaError: When a required column is missing.
    """
    table = open_table(stream, _CDR_MAPPING, skip_row=_is_type_row)
    for field in ("linked_id", "answer", "duration"):
        if field not in table.mapping.fields:
            column = _CDR_MAPPING.fields[field].columns[-1]
            raise SchemaError(
                f"The table has no column {column!r}, which the field {field} needs. Check the CDR file.",
                row=1,
            )
    return table


def _make_batch(chunk: TableChunk, table: OpenTable) -> SourceBatch:
    return chunk.to_batch(apply_mapping(chunk.native, table.mapping, compute=_compute_fields))


def _compute_fields(native: pl.DataFrame, values: Mapping[str, pl.Series]) -> Mapping[str, pl.Series]:
    """Derive the source IP address, Q.850 cause, hangup party and disposition."""
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
    only_one = pl.when(pl.col("dest") == 0).then("orig").when(pl.col("orig") == 0).then("dest")
    cause = only_one.when(pl.col("orig") == pl.col("dest")).then("orig")
    causes = causes.with_columns(cause=pl.when(cause.is_between(1, 127)).then(cause))
    by_caller, by_callee = (
        (pl.col("orig") != 0) & (pl.col("dest") == 0),
        (pl.col("dest") != 0) & (pl.col("orig") == 0),
    )
    party = pl.when(by_caller).then(pl.lit("caller")).when(by_callee).then(pl.lit("callee"))
    by_cause = pl.col("cause").replace_strict(_DISPOSITIONS, default=None, return_dtype=pl.String)
    disposition = (
        pl.when("answered")
        .then(pl.lit("answered"))
        .when(by_cause.is_not_null())
        .then(by_cause)
        .when((pl.col("cause") == 16) & by_caller)
        .then(pl.lit("cancelled"))
        .when(pl.col("cause").is_null() | (pl.col("cause") == 16))
        .then(pl.lit("unknown"))
        .otherwise(pl.lit("failed"))
    )
    computed = causes.select(q850_cause="cause", hangup_party=party, disposition=disposition)
    address = pl.coalesce(_unless_blank("origIpv4v6Addr"), _format_addresses(native["origIpAddr"]))
    return {**computed.to_dict(), "source_ip": native.select(address).to_series()}


def _unless_blank(name: str) -> pl.Expr:
    text = pl.col(name).str.strip_chars()
    return pl.when(text != "").then(text)


def _format_addresses(numbers: pl.Series) -> pl.Series:
    """Convert signed little-endian numbers to IPv4 addresses, and 0 to null."""
    addresses = {text: _format_address(text) for text in numbers.unique().drop_nulls()}
    return pl.Series([None if text is None else addresses[text] for text in numbers], dtype=pl.String)


def _format_address(text: str) -> str | None:
    if not re.fullmatch(r"\s*-?[0-9]{1,10}\s*", text) or not -(2**31) <= int(text) < 2**32 or int(text) == 0:
        return None
    return str(ipaddress.IPv4Address((int(text) % 2**32).to_bytes(4, "little")))


def _join_quality(
    batches: list[SourceBatch], cmrs: list[tuple[str, pl.DataFrame]], position: int
) -> Iterator[SourceBatch]:
    """Add the call quality from the CMRs to the calls, and yield the batches.

    Args:
        batches: The batches of all CDR files.
        cmrs: The rows of the CMR files, each paired with the name of its input.
        position: The number of bytes read from all inputs.
    """
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
        calls = batch.frame.select(call="linked_id").join(
            by_call, on="call", how="left", maintain_order="left"
        )
        # The CMRs of a call count once, though each of its legs has them.
        new = set(calls.filter(pl.col("texts").is_not_null())["call"]) - used
        merged = int(by_call.filter(pl.col("call").is_in(list(new)))["rows"].sum())
        used |= new
        yield attrs.evolve(batch, frame=_add_quality(batch.frame, calls), merged=merged)
    without_call = quality.filter(~pl.col("call").is_in(list(used))).group_by("call", maintain_order=True)
    pending = tuple(
        PendingCall(call, "The CDR of the call is missing.", row, rows, name)
        for call, row, rows, name in without_call.agg(
            pl.col("row").first(), rows=pl.len(), input=pl.col("input").first()
        ).rows()
    )
    if pending:
        yield SourceBatch(frame=empty_frame(), pending=pending, bytes_read=position)


def _first_mos(native: pl.DataFrame) -> pl.Expr:
    if "varVQMetrics" not in native.columns:
        return pl.lit(None, dtype=pl.Float64)
    mos = pl.col("varVQMetrics").str.extract(_MOS).cast(pl.Float64, strict=False)
    return pl.when(mos.is_between(1, 5)).then(mos)


def _add_quality(frame: pl.DataFrame, quality: pl.DataFrame) -> pl.DataFrame:
    """Set the MOS of calls, and add their CMRs to ``extra``.

    Args:
        frame: The calls.
        quality: The columns ``mos`` and ``texts``, with one row for each call; ``texts`` is null for a call without a
            CMR.
    """
    if quality["texts"].null_count() == frame.height:
        return frame
    cmrs = pl.concat_str(pl.lit("["), quality["texts"], pl.lit("]"))
    extra = add_json_member(pl.col("extra").cast(pl.String), "cmr", cmrs)
    return frame.with_columns(
        quality["mos"].cast(FRAME_TYPES["mos"]).alias("mos"), extra.cast(FRAME_TYPES["extra"]).alias("extra")
    )
