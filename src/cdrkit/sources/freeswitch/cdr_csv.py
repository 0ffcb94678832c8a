"""FreeSWITCH's ``mod_cdr_csv``: ``Master.csv`` by a template, every value quoted and nothing escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO, Final

import attrs

from cdrkit._model import check_zone
from cdrkit.errors import ConfigError, SchemaError
from cdrkit.sources.contract import Reject, SourceBatch
from cdrkit.sources.freeswitch.calls import call_of, patterns, shown
from cdrkit.sources.readers.batch_builder import BATCH_CALLS, BatchBuilder, RowError
from cdrkit.sources.readers.encoding import check_encoding

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
#: The templates of cdr_csv.conf.xml.
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


def _zone(value: str | None) -> str:
    if value is None:
        raise ConfigError(
            "FreeSWITCH writes local times without an offset: say whose, for example timezone='Europe/London'."
        )
    return check_zone(value)


def _template(value: str | None) -> str | None:
    if value is not None and value not in _TEMPLATES:
        raise ConfigError(
            f"There is no template {value!r}; there are {', '.join(_TEMPLATES)}, or give columns=."
        )
    return value


def _columns(value: str | tuple[str, ...] | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = tuple(name.strip() for name in value.split(",")) if isinstance(value, str) else tuple(value)
    if len(set(names)) != len(names) or not {"uuid", "start_stamp"} <= set(names):
        raise ConfigError(
            f"The columns cannot be {', '.join(map(str, names))}: uuid and start_stamp are needed, once."
        )
    return names


@attrs.frozen(kw_only=True)
class FreeSwitchCsv:
    """Reads what FreeSWITCH's ``mod_cdr_csv`` writes, by any of its templates.

    The count of columns tells which of the shipped templates wrote a row. Values are not escaped there: quotes within
    them stay as they are, and only ``","`` within a value cannot be told from the end of it. ``duration`` of a record
    is FreeSWITCH's ``billsec``.

    Example:
        >>> import io
        >>> row = (b'"Ann","2041","2042","default","2026-07-22 09:00:00","2026-07-22 09:00:04","2026-07-22 09:00:38",'
        ...        b'"38","34","NORMAL_CLEARING","a1","","","PCMA","PCMA"')
        >>> [batch] = FreeSwitchCsv(timezone="Europe/London")(io.BytesIO(row + b"\\n"))
        >>> batch.frame["start"][0].isoformat(), batch.frame["duration"][0]
        ('2026-07-22T08:00:00+00:00', 34)

    Args:
        timezone: The zone of the stamps, by its IANA name.
        template: The template, when it is one of the shipped ones: ``example``, ``sql``, ``asterisk``, ``snom``,
            ``linksys``, ``opencdrrate``; None: go by the count of columns.
        columns: The variables of a template of your own, in order, with commas between.
        leave_out: Patterns of names that ``extra`` shall not have, with commas between.
        encoding: The encoding of the file.

    Raises:
        ConfigError: When no zone is given, or an option cannot work.
    """

    timezone: str = attrs.field(default=None, converter=_zone)
    template: str | None = attrs.field(default=None, converter=_template)
    columns: tuple[str, ...] | None = attrs.field(default=None, converter=_columns)
    leave_out: tuple[str, ...] = attrs.field(default=(), converter=patterns)
    encoding: str = attrs.field(default="utf-8", converter=check_encoding)

    def __attrs_post_init__(self) -> None:
        """Check that not both say what the columns are."""
        if self.template is not None and self.columns is not None:
            raise ConfigError("Give template= or columns=, not both.")

    @staticmethod
    def sniff(head: bytes, name: str) -> str | None:  # Master.csv is the name of others, too
        """Return why a file fits: its rows have the columns of a template, with times where they belong."""
        text = head.removeprefix(_BOM).decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
        lines = text.split("\n")
        whole = [line for line in (lines[:-1] if len(lines) > 1 else lines) if line.strip()][:_SNIFFED]
        found = [_looks_like(line) for line in whole]
        if not found or None in found:
            return None
        return f"every value quoted, in the columns of the template {found[0]}"

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream*, in its order.

        Raises:
            SchemaError: When the stream is empty, or none of its rows can be taken.
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
                builder.calls.append(self._call(raw))
                good += 1
            except RowError as exc:
                builder.add_reject(row, exc, raw.decode("utf-8", "surrogateescape"))
                first = first or builder.rejects[-1]
            if len(builder) >= BATCH_CALLS:
                if not good:
                    break
                yield builder.batch(position)
        if not read:
            raise SchemaError("The file is empty: there is no row in it. Check that it is the right one.")
        if not good and first is not None:
            raise SchemaError(
                f"None of the {read:,} rows read can be taken as FreeSWITCH's cdr_csv. Row {first.row} is "
                f"{shown(first.text)}. {first.reason} Check the file, or give the format that it is in.",
                row=first.row,
            )
        if len(builder):
            yield builder.batch(position)

    def _call(self, raw: bytes) -> dict[str, object]:
        if b"\0" in raw:
            raise RowError("It holds NUL bytes: the file is damaged there.")
        try:
            text = raw.decode(self.encoding)
        except UnicodeDecodeError as exc:
            raise RowError(
                f"Its byte {exc.start + 1} is not {self.encoding}; give the encoding the file is in, "
                "for example encoding='latin-1'."
            ) from None
        values, is_insert = _values(text)
        names = self._names(len(values), is_insert)
        variables: dict[str, object] = dict(zip(names, values, strict=True))
        call = call_of({"variables": variables}, leave_out=self.leave_out, local=True)
        legs = sorted(
            str(leg) for name in ("uuid", "bleg_uuid", "signal_bond") if (leg := variables.get(name))
        )
        return {**call, "linked_id": legs[0]}  # the same from either leg

    def _names(self, count: int, is_insert: bool) -> tuple[str, ...]:
        if self.columns is not None or self.template is not None:
            names = self.columns or _TEMPLATES[self.template or ""]
            if len(names) != count:
                raise RowError(f"It has {count} columns; the template writes {len(names)}.")
            return names
        for template, names in _TEMPLATES.items():
            if len(names) == count and (template == "sql") == is_insert:
                return names
        counts = ", ".join(f"{template} {len(names)}" for template, names in _TEMPLATES.items())
        raise RowError(
            f"It has {count} columns, as no template has ({counts}); give columns= for a template of your own."
        )


def _looks_like(line: str) -> str | None:
    """Return the template that wrote a line, or None."""
    try:
        values, is_insert = _values(line)
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


def _values(line: str) -> tuple[list[str], bool]:
    """Return the values of a line, and whether it is an INSERT.

    Raises:
        Unfit: When it does not begin and end with a quote.
    """
    inserted = _INSERT.match(line)
    text = (inserted[1] if inserted else line).strip().removesuffix(";").rstrip()
    if len(text) < 2 or not (text.startswith('"') and text.endswith('"')):
        raise RowError(
            "It does not begin and end with a quote, as every row of cdr_csv does: it may be cut off."
        )
    return _BETWEEN.split(text[1:-1]), inserted is not None


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Yield each line with its number and how far it reaches; lines end with LF, CRLF, or CR where there is no LF."""
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
                f"Line {number + 1} is longer than {_LINE_BYTES >> 20} MiB: no switch writes such rows. "
                "Check that it is the right file.",
                row=number + 1,
            )
