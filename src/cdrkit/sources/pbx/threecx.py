"""The source for CDR files from 3CX, whose console sets the column order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Final

import attrs
import polars as pl

from cdrkit.errors import ConfigError, suggestion
from cdrkit.sources.contract import SourceBatch
from cdrkit.sources.readers.encoding import check_encoding
from cdrkit.sources.readers.field_rule import FieldRule
from cdrkit.sources.readers.mapping import SourceMapping
from cdrkit.sources.readers.table import read_table
from cdrkit.sources.readers.timezone import check_timezone

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
_TIME_FORMATS: Final = ("%Y/%m/%d %H:%M:%S", "%Y-%m-%d %H:%M:%S")
_NUMBER: Final = r"^(?:Ext\.|Line:[0-9]+>>)(.+)$"
#: 3CX may write ``Call `` before a line.
_FIRST: Final = r"^(?:Call )?(.+)$"
_FIRST_NUMBER: Final = r"^(?:Call )?(?:Ext\.|Line:[0-9]+>>)?(.+)$"
#: Fields whose text may itself begin with ``Call ``.
_NAME_FIELDS: Final = frozenset({"source_name", "destination_name"})
_FIELDS: Final[Mapping[str, FieldRule]] = {
    "call_id": FieldRule(columns="historyid"),
    "linked_id": FieldRule(columns=("callid", "historyid")),
    "start": FieldRule(columns="time-start", formats=_TIME_FORMATS),
    "answer": FieldRule(columns="time-answered", formats=_TIME_FORMATS),
    "end": FieldRule(columns="time-end", formats=_TIME_FORMATS),
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
_LOCAL_TIME: Final = re.compile(rb"[0-9]{4}[/-][0-9]{2}[/-][0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")


def _check_timezone(value: str | None) -> str:
    return check_timezone(value, "3CX", "its times are in UTC")


def _check_columns(value: str | Iterable[str]) -> tuple[str, ...]:
    names = tuple(value.replace(",", " ").split()) if isinstance(value, str) else tuple(value)
    for name in names:
        if name not in _COLUMNS:
            hint, _ = suggestion(str(name), _COLUMNS)
            raise ConfigError(f"3CX has no column {name!r}; its columns are {', '.join(_COLUMNS)}.{hint}")
    for name in _NEEDED:
        if name not in names:
            raise ConfigError(
                f"The list of columns lacks {name!r}, which every call needs. Add the column in 3CX and to this list."
            )
    return names


def _make_rules(first_column: str) -> dict[str, FieldRule]:
    """Return the field rules for rows whose first value may begin with ``Call``.

    The rules that read the first column remove this word, except the rules for names.
    """
    return {
        name: attrs.evolve(rule, pattern=_FIRST if rule.pattern is None else _FIRST_NUMBER)
        if first_column in rule.columns and name not in _NAME_FIELDS
        else rule
        for name, rule in _FIELDS.items()
    }


def _compute_fields(native: pl.DataFrame, values: Mapping[str, pl.Series]) -> Mapping[str, pl.Series]:
    """Compute each call's disposition from its answer time or release reason.

    A call with an answer time is answered. For other calls, the release reason decides.
    """
    reason = values.get(
        "release_reason", pl.Series([None] * native.height, dtype=pl.String)
    ).str.to_lowercase()
    answer = values.get("answer", pl.Series([None] * native.height, dtype=pl.Datetime("us", "UTC")))
    disposition = (
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
    return {"disposition": native.select(disposition.alias("disposition")).to_series()}


@attrs.frozen(kw_only=True)
class ThreeCx:
    """The source for CDR files from 3CX, which contain one call per line.

    The file has no quotes and no column names. The field ``duration`` is 3CX's, in hours, minutes and seconds.
    The source removes ``Call `` at the start of a line, and ``Ext.`` or ``Line:`` before a number; ``extra`` keeps the
    original text.

    Example:
        >>> import io
        >>> source = ThreeCx(timezone="Europe/London", columns="historyid duration time-start from-no to-no")
        >>> [batch] = source(io.BytesIO(b"Call 0001,00:01:04,2024/04/30 09:00:00,Ext.100,442079460018\\n"))
        >>> batch.frame["call_id"][0], batch.frame["duration"][0], batch.frame["source"][0]
        ('0001', 64, '100')

    Args:
        timezone: IANA name of the zone of the local times.
        columns: The columns in the order of the console's settings, as a list, or as a string separated by commas or
            blanks. The default is the order in which 3CX lists the columns.
        currency: ISO 4217 code of the costs.
        encoding: Encoding of the file.

    Raises:
        ConfigError: When the zone is missing, or an option is invalid.
    """

    timezone: str = attrs.field(default=None, converter=_check_timezone)
    columns: tuple[str, ...] = attrs.field(default=_COLUMNS, converter=_check_columns)
    currency: str | None = None
    encoding: str = attrs.field(default="utf-8", converter=check_encoding)

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream* in row order.

        Raises:
            SchemaError: When the stream is empty, or contains no calls.
        """
        mapping = SourceMapping(
            name="3cx",
            fields=_make_rules(self.columns[0]),
            constants={} if self.currency is None else {"currency": self.currency},
            columns=self.columns,
            quote=None,
            encoding=self.encoding,
            timezone=self.timezone,
            optional=True,
        )
        yield from read_table(stream, mapping, compute=_compute_fields)

    @staticmethod
    def sniff(head: bytes, name: str, /) -> str | None:
        """Return the reason why the file matches this format, or None if it does not.

        The lines must have all of 3CX's columns, in the default order.
        """
        lines = [line.rstrip(b"\r") for line in head.split(b"\n")[:-1] or [head]]
        rows = [line.split(b",") for line in lines if line][:20]
        start = _COLUMNS.index("time-start")
        if rows and all(len(row) == len(_COLUMNS) and _LOCAL_TIME.fullmatch(row[start]) for row in rows):
            return f"{len(_COLUMNS)} unquoted columns, the start in column {start + 1}"
        return None
