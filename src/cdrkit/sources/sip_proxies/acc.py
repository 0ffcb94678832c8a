"""The sources for the table ``acc`` of Kamailio and OpenSIPS.

These sources pair the transactions in the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, ClassVar, Final

import attrs
import polars as pl

from cdrkit._model import empty_frame
from cdrkit.errors import SchemaError
from cdrkit.sources.contract import SourceBatch, SourceInput
from cdrkit.sources.readers.apply_mapping import MappingResult, RowProblem, apply_mapping
from cdrkit.sources.readers.byte_streams import PeekedStream
from cdrkit.sources.readers.encoding import check_encoding
from cdrkit.sources.readers.field_rule import FieldRule
from cdrkit.sources.readers.input_errors import name_input
from cdrkit.sources.readers.mapping import SourceMapping
from cdrkit.sources.readers.native_rows import json_objects
from cdrkit.sources.readers.table import TableChunk, open_table
from cdrkit.sources.readers.table_header import column_names
from cdrkit.sources.sip_proxies.columns import NULLS, check_columns, check_proxy_timezone, number_rules
from cdrkit.sources.sip_proxies.dialogs import TRANSACTION_SCHEMA, pair_dialogs

__all__ = ["KamailioAcc", "OpenSipsAcc"]

_TAGS: Final = ("from_tag", "to_tag")
_NAMES: Final = frozenset({"method", *_TAGS, "callid", "sip_code", "time"})
#: Columns that only OpenSIPS has.
_OPENSIPS_NAMES: Final = frozenset({"setuptime", "created"})
#: For columns of a transaction, the field that holds the column when the mapping was applied. The columns from
#: ``created`` to ``setup`` have no field of their own: the fields that hold them only have the right type.
_FIELD_OF_COLUMN: Final = {
    "callid": "call_id",
    "at": "start",
    "created": "answer",
    "talked": "duration",
    "talked_ms": "pdd",
    "setup": "pdd_in",
    **{name: name for name in ("sip_code", "sip_reason", "source", "destination", "dialled", "source_ip")},
    "extra": "extra",
}


@attrs.frozen(kw_only=True)
class _AccSource:
    """The base class of `KamailioAcc` and `OpenSipsAcc`."""

    timezone: str = attrs.field(default=None, converter=check_proxy_timezone)
    source_column: str | None = None
    destination_column: str | None = None
    detect_direction: bool = False
    encoding: str = attrs.field(default="utf-8", converter=check_encoding)

    origin: ClassVar[str]

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield batches of calls, then a batch of the pending calls, if any.

        Raises:
            SchemaError: When the stream is empty, or is not a transaction table.
        """
        yield from self.read_all([SourceInput(name="", stream=stream)])

    def read_all(self, inputs: Iterable[SourceInput], /) -> Iterator[SourceBatch]:
        """Yield the calls of all *inputs*, including calls that span several inputs.

        A call may begin in one input and end in another.

        All transactions stay in memory until the last input has been read.

        Raises:
            SchemaError: When an input is empty, or is not a transaction table.
        """
        transactions: list[pl.DataFrame] = []
        mapping = self._mapping()
        position = 0
        for opened, each in (rest := enumerate(inputs, 1)):
            try:
                peeked = PeekedStream(each.stream)
                table = open_table(peeked, mapping)
                check_columns(peeked.head, self.source_column, self.destination_column)
                bytes_read = 0
                for chunk in table.chunks:
                    result = apply_mapping(chunk.native, table.mapping)
                    final, problems = _split_transactions(result, chunk, each.name)
                    bytes_read = chunk.position
                    transactions.append(final)
                    yield _make_reject_batch(chunk, result, problems, each.name, position + bytes_read)
            except SchemaError as exc:
                raise name_input(exc, each, opened, rest) from exc
            position += bytes_read
        yield from pair_dialogs(
            pl.concat(transactions) if transactions else pl.DataFrame(schema=TRANSACTION_SCHEMA),
            origin=self.origin,
            timezone=self.timezone,
            swaps_tags=self.detect_direction,
            position=position,
        )

    def _mapping(self) -> SourceMapping:
        return SourceMapping(
            name=self.origin,
            separator=None,
            optional=True,
            timezone=self.timezone,
            encoding=self.encoding,
            absent=NULLS,
            only={"method": ("INVITE", "BYE")},
            fields={
                "call_id": "callid",
                "start": FieldRule(columns="time", formats=("iso", "epoch")),
                # The next four fields hold columns of another meaning: see _FIELD_OF_COLUMN.
                "answer": FieldRule(columns="created", formats=("iso", "epoch")),
                "duration": "duration",
                "pdd": FieldRule(columns="ms_duration", unit="ms"),
                "pdd_in": "setuptime",
                "sip_code": FieldRule(columns="sip_code", required=True),
                "sip_reason": "sip_reason",
                **number_rules(self.source_column, self.destination_column),
            },
        )


def _split_transactions(
    result: MappingResult, chunk: TableChunk, name: str
) -> tuple[pl.DataFrame, list[RowProblem]]:
    """Separate the rows with a final SIP code from the rows with a provisional code.

    Return the rows with a final code as transactions, and a problem for each row with a provisional code.

    Args:
        result: The result of the mapping.
        chunk: The rows.
        name: The name of the input.

    Raises:
        SchemaError: When the table has no tags.
    """
    native = result.native
    columns = {column.strip().casefold(): column for column in native.columns}
    for tag in _TAGS:
        if tag not in columns:
            raise SchemaError(
                f"The table lacks the column {tag!r}, so cdrkit cannot identify the dialogs. Check that the "
                "file contains a table of transactions.",
                row=1,
            )
    frame = result.frame
    transactions = pl.DataFrame(
        {
            **{column: frame[field] for column, field in _FIELD_OF_COLUMN.items() if field in frame.columns},
            **{column: native[columns[column]].fill_null("") for column in ("method", *_TAGS)},
            "native": json_objects(native.drop("row", columns["callid"], columns["time"])),
            "text": pl.Series([chunk.texts[row] for row in native["row"]], dtype=pl.Binary),
            "row": native["row"],
        }
    ).with_columns(input=pl.lit(name))
    missing = [
        pl.lit(None, dtype=kind).alias(column)
        for column, kind in TRANSACTION_SCHEMA.items()
        if column not in transactions.columns
    ]
    transactions = transactions.with_columns(missing).select(
        pl.col(column).cast(kind) for column, kind in TRANSACTION_SCHEMA.items()
    )
    is_provisional = transactions["sip_code"] < 200
    problems = [
        RowProblem(row, f"sip_code {code} is provisional; a transaction ends with a code of 200 or more.")
        for row, code in transactions.filter(is_provisional).select("row", "sip_code").rows()
    ]
    return transactions.filter(~is_provisional), problems


def _make_reject_batch(
    chunk: TableChunk, result: MappingResult, problems: list[RowProblem], name: str, position: int
) -> SourceBatch:
    """Return a batch that contains only the rejects of *chunk*."""
    problems = [*result.problems, *problems]
    batch = chunk.to_batch(attrs.evolve(result, frame=empty_frame(), problems=problems))
    rejects = tuple(attrs.evolve(reject, input=name) for reject in batch.rejects)
    return attrs.evolve(batch, rejects=rejects, bytes_read=position)


@attrs.frozen(kw_only=True)
class KamailioAcc(_AccSource):
    """The source for dumps of Kamailio's tables ``acc`` and ``missed_calls``.

    The first line has the column names. A call is an answered INVITE and the BYE of its dialog, in any order and in any
    file of one ingest. ``answer`` is the time of the INVITE's row, which is written at the answer. ``start`` has the
    same value, because the table has no earlier time. ``duration`` is the time from the answer to the BYE. A failed
    INVITE is an attempt. An answered INVITE without a BYE is a pending call, and so is a BYE without an INVITE.

    Example:
        >>> import io
        >>> rows = b"method,from_tag,to_tag,callid,sip_code,sip_reason,time,src_user,dst_user\\n"
        >>> rows += b"INVITE,a,b,x@y,200,OK,2026-11-22 09:00:04,2041,442079460018\\n"
        >>> rows += b"BYE,b,a,x@y,200,OK,2026-11-22 09:00:38,442079460018,2041\\n"
        >>> *_, batch = KamailioAcc(timezone="UTC")(io.BytesIO(rows))
        >>> batch.frame["duration"][0], batch.frame["hangup_party"][0], batch.merged
        (34, 'callee', 1)

    Args:
        timezone: IANA name of the zone of the local times.
        source_column: The column with the caller, as ``db_extra`` names it. None: ``src_user``, if it exists.
        destination_column: The column with the called number. None: ``dst_user``, if it exists.
        detect_direction: The setting ``detect_direction`` of the module ``acc``. If it is on, the tags of a BYE do
            not show which party hung up.
        encoding: Encoding of the file.

    Raises:
        ConfigError: When the zone is missing, or an option is invalid.
    """

    origin: ClassVar[str] = "kamailio-acc"

    @staticmethod
    def sniff(head: bytes, name: str, /) -> str | None:
        """Return the reason why the file matches this format, or None if it does not.

        The first line must have the column names of ``acc``, and none that only OpenSIPS has.
        """
        names = column_names(head)
        if names >= _NAMES and not names & _OPENSIPS_NAMES:
            return "columns named method, from_tag, to_tag, callid, and no setuptime"
        return None


@attrs.frozen(kw_only=True)
class OpenSipsAcc(_AccSource):
    """The source for dumps of OpenSIPS' tables ``acc`` and ``missed_calls``.

    The rows are paired as for `KamailioAcc`. In addition, ``start`` is ``created``, the time of the INVITE, if the row
    has it. A row with a ``duration`` is a complete call, as ``do_accounting("db", "cdr")`` writes it, and needs no BYE.

    Example:
        >>> import io
        >>> rows = b"method,from_tag,to_tag,callid,sip_code,sip_reason,time,duration,created\\n"
        >>> rows += b"INVITE,a,b,x@y,200,OK,2026-11-22 09:00:04,34,2026-11-22 09:00:00\\n"
        >>> *_, batch = OpenSipsAcc(timezone="UTC")(io.BytesIO(rows))
        >>> batch.frame["start"][0].isoformat(), batch.frame["duration"][0]
        ('2026-11-22T09:00:00+00:00', 34)

    Args:
        timezone: IANA name of the zone of the local times.
        source_column: The column with the caller, as ``extra_fields`` names it. None: ``src_user``, if it exists.
        destination_column: The column with the called number. None: ``dst_user``, if it exists.
        detect_direction: The setting ``detect_direction`` of the module ``acc``. If it is on, the tags of a BYE do
            not show which party hung up.
        encoding: Encoding of the file.

    Raises:
        ConfigError: When the zone is missing, or an option is invalid.
    """

    origin: ClassVar[str] = "opensips-acc"

    @staticmethod
    def sniff(head: bytes, name: str, /) -> str | None:
        """Return the reason why the file matches this format, or None if it does not.

        The first line must have the column names of ``acc``, and one that only OpenSIPS has.
        """
        names = column_names(head)
        if names >= _NAMES and names & _OPENSIPS_NAMES:
            return "columns named method, from_tag, to_tag, callid, and setuptime or created"
        return None
