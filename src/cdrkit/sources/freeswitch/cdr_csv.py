"""The source for ``Master.csv`` from FreeSWITCH's ``mod_cdr_csv``.

A FreeSWITCH template defines the rows. Values are quoted, but not escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO, Final

import attrs

from cdrkit.errors import ConfigError, SchemaError
from cdrkit.sources.contract import Reject, SourceBatch
from cdrkit.sources.freeswitch.calls import build_call
from cdrkit.sources.freeswitch.documents import check_patterns
from cdrkit.sources.readers.batch_builder import BATCH_CALLS, BatchBuilder, RowError
from cdrkit.sources.readers.encoding import check_encoding
from cdrkit.sources.readers.reject_reasons import quote_value
from cdrkit.sources.readers.timezone import check_timezone

__all__ = ["FreeSwitchCsv"]

_ORIGIN: Final = "freeswitch-csv"
_BLOCK_BYTES: Final = 1 << 20
_LINE_BYTES: Final = 1 << 20
_SNIFFED: Final = 5
_BOM: Final = b"\xef\xbb\xbf"
_HEAD: Final = (
    *("caller_id_name", "caller_id_number", "destination_number", "context", "start_stamp", "answer_stamp"),
    *("end_stamp", "duration", "billsec", "hangup_cause", "uuid", "bleg_uuid", "accountcode"),
)
_CODECS: Final = ("read_codec", "write_codec")
#: Variables of the templates in cdr_csv.conf.xml, in order.
_TEMPLATES: Final[dict[str, tuple[str, ...]]] = {
    "example": (*_HEAD, *_CODECS),
    "sql": _HEAD,
    "asterisk": (
        *("accountcode", "caller_id_number", "destination_number", "context", "caller_id", "channel_name"),
        *("bridge_channel", "last_app", "last_arg", "start_stamp", "answer_stamp", "end_stamp", "duration"),
        *("billsec", "hangup_cause", "amaflags", "uuid", "userfield"),
    ),
    "snom": (
        *(*_HEAD, *_CODECS, "sip_user_agent", "call_clientcode", "sip_rtp_rxstat", "sip_rtp_txstat"),
        "sofia_record_file",
    ),
    "linksys": (*_HEAD, *_CODECS, "sip_user_agent", "sip_p_rtp_stat"),
    "opencdrrate": (
        *("uuid", "signal_bond", "direction", "ani", "destination_number", "answer_stamp", "end_stamp"),
        *(
            "billsec",
            "accountcode",
            "userfield",
            "network_addr",
            "original_caller_id_name",
            "sip_gateway_name",
        ),
    ),
}
_INSERT: Final = re.compile(
    r"\s*INSERT\s+INTO\s+\S+\s+VALUES\s*\((.*)\)\s*;?\s*\Z", re.IGNORECASE | re.DOTALL
)
_BETWEEN: Final = re.compile(r'"[ \t]*,[ \t]*"')
_STAMP: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)


def _check_timezone(value: str | None) -> str:
    return check_timezone(value, "FreeSWITCH")


def _check_template(value: str | None) -> str | None:
    if value is not None and value not in _TEMPLATES:
        raise ConfigError(
            f"Unknown template {value!r}; use one of {', '.join(_TEMPLATES)}, or give columns=."
        )
    return value


def _check_columns(value: str | tuple[str, ...] | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = tuple(name.strip() for name in value.split(",")) if isinstance(value, str) else tuple(value)
    if len(set(names)) != len(names) or not {"uuid", "start_stamp"} <= set(names):
        raise ConfigError(
            f"columns={', '.join(map(str, names))!r} is not valid. Give each name once, and include uuid and "
            "start_stamp."
        )
    return names


@attrs.frozen(kw_only=True)
class FreeSwitchCsv:
    """The source for files that ``mod_cdr_csv`` writes with any FreeSWITCH template.

    The number of columns of a row identifies the shipped template that wrote it. FreeSWITCH does not escape values: a
    quote within a value is kept, but ``","`` within a value is read as the end of the value. The field ``duration`` is
    FreeSWITCH's ``billsec``.

    Example:
        >>> import io
        >>> row = (b'"Ann","2041","2042","default","2026-07-22 09:00:00","2026-07-22 09:00:04","2026-07-22 09:00:38",'
        ...        b'"38","34","NORMAL_CLEARING","a1","","","PCMA","PCMA"')
        >>> [batch] = FreeSwitchCsv(timezone="Europe/London")(io.BytesIO(row + b"\\n"))
        >>> batch.frame["start"][0].isoformat(), batch.frame["duration"][0]
        ('2026-07-22T08:00:00+00:00', 34)

    Args:
        timezone: IANA name of the zone of the local times.
        template: A shipped template: ``example``, ``sql``, ``asterisk``, ``snom``, ``linksys`` or ``opencdrrate``.
            None: identify the template by the number of columns.
        columns: The variables of your own template, in order, separated by commas.
        leave_out: Patterns of names to omit from ``extra``, separated by commas.
        encoding: Encoding of the file.

    Raises:
        ConfigError: When the zone is missing, or an option is invalid.
    """

    timezone: str = attrs.field(default=None, converter=_check_timezone)
    template: str | None = attrs.field(default=None, converter=_check_template)
    columns: tuple[str, ...] | None = attrs.field(default=None, converter=_check_columns)
    leave_out: tuple[str, ...] = attrs.field(default=(), converter=check_patterns)
    encoding: str = attrs.field(default="utf-8", converter=check_encoding)

    def __attrs_post_init__(self) -> None:
        """Raise an error if both a template and columns are given."""
        if self.template is not None and self.columns is not None:
            raise ConfigError("Give template= or columns=, not both.")

    @staticmethod
    def sniff(head: bytes, name: str) -> str | None:  # other switches write a Master.csv, too
        """Return the reason why the file matches this format, or None if it does not.

        The rows must match a shipped template.
        """
        text = head.removeprefix(_BOM).decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
        lines = text.split("\n")
        complete = [line for line in (lines[:-1] if len(lines) > 1 else lines) if line.strip()][:_SNIFFED]
        templates = [_template_of(line) for line in complete]
        if not templates or None in templates:
            return None
        return f"all values are quoted, and the columns match the template {templates[0]}"

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream* in file order.

        Raises:
            SchemaError: When the stream is empty, or none of its rows is a call.
        """
        builder = BatchBuilder(_ORIGIN, self.timezone)
        good = read = 0
        first: Reject | None = None
        position = 0
        for row, position, raw in _lines(stream):
            if not raw.strip():
                continue
            read += 1
            try:
                builder.calls.append(self._parse_row(raw))
                good += 1
            except RowError as exc:
                builder.add_reject(row, exc, raw.decode("utf-8", "surrogateescape"))
                first = first or builder.rejects[-1]
            if len(builder) >= BATCH_CALLS:
                if not good:
                    break
                yield builder.take_batch(position)
        if not read:
            raise SchemaError("The file is empty: it contains no rows. Check that you gave the right file.")
        if not good and first is not None:
            raise SchemaError(
                f"No row matches the format of FreeSWITCH's cdr_csv (rows read: {read:,}). Row {first.row} is "
                f"{quote_value(first.text)}. {first.reason} Check the file, or give its format.",
                row=first.row,
            )
        if len(builder):
            yield builder.take_batch(position)

    def _parse_row(self, raw: bytes) -> dict[str, object]:
        if b"\0" in raw:
            raise RowError("The row contains NUL bytes: the file is damaged at this row.")
        try:
            text = raw.decode(self.encoding)
        except UnicodeDecodeError as exc:
            raise RowError(
                f"Byte {exc.start + 1} of the row is not valid {self.encoding}. Give the encoding of the file, for "
                "example encoding='latin-1'."
            ) from None
        values, is_insert = _split_row(text)
        names = self._column_names(len(values), is_insert)
        variables: dict[str, object] = dict(zip(names, values, strict=True))
        call = build_call({"variables": variables}, leave_out=self.leave_out, has_local_times=True)
        legs = sorted(
            str(leg) for name in ("uuid", "bleg_uuid", "signal_bond") if (leg := variables.get(name))
        )
        return {**call, "linked_id": legs[0]}  # equal in the rows of both legs

    def _column_names(self, count: int, is_insert: bool) -> tuple[str, ...]:
        if self.columns is not None or self.template is not None:
            names = self.columns or _TEMPLATES[self.template or ""]
            if len(names) != count:
                raise RowError(f"The row has {count} columns, but the template has {len(names)}.")
            return names
        for template, names in _TEMPLATES.items():
            if len(names) == count and (template == "sql") == is_insert:
                return names
        counts = ", ".join(f"{template} {len(names)}" for template, names in _TEMPLATES.items())
        raise RowError(
            f"The row has {count} columns and matches no template. The templates have these numbers of columns: "
            f"{counts}. Give columns= for your own template."
        )


def _template_of(line: str) -> str | None:
    """Return the name of the template that a line matches, or None."""
    try:
        values, is_insert = _split_row(line)
    except RowError:
        return None
    for template, names in _TEMPLATES.items():
        if len(names) == len(values) and (template == "sql") == is_insert:
            row = dict(zip(names, values, strict=True))
            stamps = [row.get(f"{name}_stamp", "") for name in ("start", "answer", "end")]
            if (
                all(_STAMP.fullmatch(stamp) for stamp in stamps if stamp)
                and any(stamps)
                and row["billsec"].isdecimal()
            ):
                return template
    return None


def _split_row(line: str) -> tuple[list[str], bool]:
    """Return the values of a line, and whether the line is an INSERT statement.

    Raises:
        RowError: When the line does not start and end with a quote.
    """
    statement = _INSERT.match(line)
    text = (statement[1] if statement else line).strip().removesuffix(";").rstrip()
    if len(text) < 2 or not (text.startswith('"') and text.endswith('"')):
        raise RowError(
            "The row may be truncated: every row of cdr_csv starts and ends with a quote, but this row does not."
        )
    return _BETWEEN.split(text[1:-1]), statement is not None


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Yield the line number, end offset and bytes of each line.

    Lines end with LF or CRLF, or with CR in files without LF.
    """
    pending, number, position = b"", 0, 0
    ends_in_cr = False
    while True:
        block = stream.read(_BLOCK_BYTES)
        if not position and not pending:
            ends_in_cr = b"\r" in block[:-1] and b"\n" not in block
            pending = block.removeprefix(_BOM)
            position = len(block) - len(pending)
        else:
            pending += block
        end = b"\r" if ends_in_cr else b"\n"
        *lines, pending = pending.split(end)
        if not block and pending:
            lines.append(pending)
        for line in lines:
            number += 1
            position += len(line) + 1
            yield number, position, line.removesuffix(b"\r")
        if not block:
            return
        if len(pending) > _LINE_BYTES:
            raise SchemaError(
                f"Line {number + 1} is longer than {_LINE_BYTES >> 20} MiB; no switch writes rows that long. Check "
                "that you gave the right file.",
                row=number + 1,
            )
