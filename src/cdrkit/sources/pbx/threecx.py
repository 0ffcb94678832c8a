"""3CX: the lines of its CDR service, in whatever order its console was told to write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Final

import attrs
import polars as pl

from cdrkit._model import check_zone
from cdrkit.errors import ConfigError, suggestion
from cdrkit.sources.contract import SourceBatch
from cdrkit.sources.readers.encoding import check_encoding
from cdrkit.sources.readers.field_rule import FieldRule
from cdrkit.sources.readers.mapping import SourceMapping
from cdrkit.sources.readers.table import read_table

__all__ = ["ThreeCx"]

_COLUMNS: Final = (
    "historyid",
    "callid",
    "duration",
    "time-start",
    "time-answered",
    "time-end",
    "reason-terminated",
    "from-no",
    "to-no",
    "from-dn",
    "to-dn",
    "dial-no",
    "reason-changed",
    "final-number",
    "final-dn",
    "bill-code",
    "bill-rate",
    "bill-cost",
    "bill-name",
    "chain",
    "from-type",
    "to-type",
    "final-type",
    "from-dispname",
    "to-dispname",
    "final-dispname",
    "missed-queue-calls",
)
_NEEDED: Final = ("historyid", "time-start")
_STAMPS: Final = ("%Y/%m/%d %H:%M:%S", "%Y-%m-%d %H:%M:%S")
_NUMBER: Final = r"^(?:Ext\.|Line:[0-9]+>>)(.+)$"
#: 3CX writes ``Call `` before a line, whatever its first column is.
_FIRST: Final = r"^(?:Call )?(.+)$"
_FIRST_NUMBER: Final = r"^(?:Call )?(?:Ext\.|Line:[0-9]+>>)?(.+)$"
#: Fields whose own text may begin with that word.
_WORDED: Final = frozenset({"source_name", "destination_name"})
_FIELDS: Final[Mapping[str, FieldRule]] = {
    "call_id": FieldRule(columns="historyid"),
    "linked_id": FieldRule(columns=("callid", "historyid")),
    "start": FieldRule(columns="time-start", formats=_STAMPS),
    "answer": FieldRule(columns="time-answered", formats=_STAMPS),
    "end": FieldRule(columns="time-end", formats=_STAMPS),
    "source": FieldRule(columns="from-no", pattern=_NUMBER),
    "source_name": FieldRule(columns="from-dispname"),
    "destination": FieldRule(columns=("final-number", "to-no"), pattern=_NUMBER),
    "dialled": FieldRule(columns="dial-no"),
    "duration": FieldRule(columns="duration", unit="h:mm:ss", missing="0:00:00"),
    "release_reason": FieldRule(columns="reason-terminated"),
    "hangup_party": FieldRule(
        columns="reason-terminated",
        values={
            "TerminatedBySrc": "caller",
            "src_participant_terminated": "caller",
            "TerminatedByDst": "callee",
            "dst_participant_terminated": "callee",
        },
        otherwise="",
    ),
    "destination_name": FieldRule(columns="bill-name"),
    "rate": FieldRule(columns="bill-rate"),
    "charge": FieldRule(columns="bill-cost"),
}
_STAMP: Final = re.compile(rb"[0-9]{4}[/-][0-9]{2}[/-][0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")


def _zone(value: str | None) -> str:
    if value is None:
        raise ConfigError(
            "3CX writes times without an offset: say whose they are, for example timezone='UTC' or "
            "timezone='Europe/London'."
        )
    return check_zone(value)


def _columns(value: str | Iterable[str]) -> tuple[str, ...]:
    found = tuple(value.replace(",", " ").split()) if isinstance(value, str) else tuple(value)
    for name in found:
        if name not in _COLUMNS:
            hint, _ = suggestion(str(name), _COLUMNS)
            raise ConfigError(f"3CX has no column {name!r}; its columns are {', '.join(_COLUMNS)}.{hint}")
    for name in _NEEDED:
        if name not in found:
            raise ConfigError(
                f"The columns have no {name!r}: without it no call can be told; have 3CX write it."
            )
    return found


def _fields(first: str) -> dict[str, FieldRule]:
    """Return the rules, with what 3CX writes before a line taken off the column that is the first."""
    return {
        name: attrs.evolve(rule, pattern=_FIRST if rule.pattern is None else _FIRST_NUMBER)
        if first in rule.columns and name not in _WORDED
        else rule
        for name, rule in _FIELDS.items()
    }


def _computed(native: pl.DataFrame, values: Mapping[str, pl.Series]) -> Mapping[str, pl.Series]:
    """Return the disposition: answered where there is an answer, otherwise what the reason says, if it does."""
    reason = values.get(
        "release_reason", pl.Series([None] * native.height, dtype=pl.String)
    ).str.to_lowercase()
    answer = values.get("answer", pl.Series([None] * native.height, dtype=pl.Datetime("us", "UTC")))
    said = (
        pl.when(answer.is_not_null())
        .then(pl.lit("answered"))
        .when(reason.str.contains("busy"))
        .then(pl.lit("busy"))
        .when(reason.str.contains("no_?answer"))
        .then(pl.lit("no_answer"))
        .when(reason.str.contains("cancel"))
        .then(pl.lit("cancelled"))
        .when(reason.str.contains("reject|forbidden"))
        .then(pl.lit("rejected"))
        .when(reason.str.contains("fail|notfound|not_found"))
        .then(pl.lit("failed"))
        .otherwise(pl.lit("unknown"))
    )
    return {"disposition": native.select(said.alias("disposition")).to_series()}


@attrs.frozen(kw_only=True)
class ThreeCx:
    """Reads the CDR files of 3CX: a line a call, nothing quoted, no names on top.

    ``duration`` is 3CX's, written as hours, minutes and seconds. ``Call `` before a line and ``Ext.`` before a number
    are taken off and kept in ``extra``.

    Example:
        >>> import io
        >>> source = ThreeCx(timezone="Europe/London", columns="historyid duration time-start from-no to-no")
        >>> [batch] = source(io.BytesIO(b"Call 0001,00:01:04,2024/04/30 09:00:00,Ext.100,442079460018\\n"))
        >>> batch.frame["call_id"][0], batch.frame["duration"][0], batch.frame["source"][0]
        ('0001', 64, '100')

    Args:
        timezone: The zone of the stamps.
        columns: The fields in the order of the console's settings; as 3CX lists them, unless given.
        currency: The ISO 4217 code of the costs.
        encoding: The encoding of the file.

    Raises:
        ConfigError: When no zone is given, or an option cannot work.
    """

    timezone: str = attrs.field(default=None, converter=_zone)
    columns: tuple[str, ...] = attrs.field(default=_COLUMNS, converter=_columns)
    currency: str | None = None
    encoding: str = attrs.field(default="utf-8", converter=check_encoding)

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream*, in its order.

        Raises:
            SchemaError: When it is empty, or none of its lines is of that kind.
        """
        mapping = SourceMapping(
            name="3cx",
            fields=_fields(self.columns[0]),
            constants={} if self.currency is None else {"currency": self.currency},
            columns=self.columns,
            quote=None,
            encoding=self.encoding,
            timezone=self.timezone,
            optional=True,
        )
        yield from read_table(stream, mapping, compute=_computed)

    @staticmethod
    def sniff(head: bytes, name: str, /) -> str | None:
        """Return why a file may be of 3CX, or None."""
        lines = [line.rstrip(b"\r") for line in head.split(b"\n")[:-1] or [head]]
        rows = [line.split(b",") for line in lines if line][:20]
        start = _COLUMNS.index("time-start")
        if rows and all(len(row) == len(_COLUMNS) and _STAMP.fullmatch(row[start]) for row in rows):
            return f"{len(_COLUMNS)} unquoted columns, the start in column {start + 1}"
        return None
