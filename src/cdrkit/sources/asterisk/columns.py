"""The order of Asterisk's native columns, and functions that check rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from cdrkit.errors import ConfigError, suggestion
from cdrkit.sources.readers.timezone import check_timezone

__all__ = [
    "BASE_COLUMNS",
    "DISPOSITIONS",
    "FREEPBX_COLUMNS",
    "LOCAL_TIME",
    "NATIVE_COLUMNS",
    "NEW_COLUMNS",
    "check_asterisk_timezone",
    "check_column",
    "explain_match",
    "is_call_row",
]

#: The columns that every CDR module writes, in the order of ``cdr_csv``.
BASE_COLUMNS: Final = (
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
#: The columns of ``newcdrcolumns``.
NEW_COLUMNS: Final = ("peeraccount", "linkedid", "sequence")
#: All columns of Asterisk.
NATIVE_COLUMNS: Final = (*BASE_COLUMNS, "uniqueid", "userfield", *NEW_COLUMNS)
#: The columns that FreePBX adds and that have a field.
FREEPBX_COLUMNS: Final = ("did", "recordingfile", "cnam")
#: The disposition for each native one.
DISPOSITIONS: Final = {
    "ANSWERED": "answered",
    "NO ANSWER": "no_answer",
    "BUSY": "busy",
    "FAILED": "failed",
    "CONGESTION": "failed",
    "CANCEL": "cancelled",
    # numbers of include/asterisk/cdr.h, as some tables contain
    "0": "no_answer",
    "2": "failed",
    "4": "busy",
    "8": "answered",
    "16": "failed",
    "32": "cancelled",
}

#: A regular expression for local times of the years 1970 to 2099.
LOCAL_TIME: Final = (
    "(?:19[7-9][0-9]|20[0-9][0-9])-[0-9][0-9]-[0-9][0-9] (?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    "(?:\\.[0-9]{1,6})?"
)
_LOCAL_TIME: Final = re.compile(LOCAL_TIME)
#: The dispositions in files, which have no numbers.
_FILE_DISPOSITIONS: Final = {"", "UNKNOWN", *(word for word in DISPOSITIONS if not word.isdigit())}


def check_asterisk_timezone(value: str | None) -> str:
    """Return the time zone, or raise an error if it is absent or unknown.

    Raises:
        ConfigError: When the zone is absent or unknown.
    """
    return check_timezone(value, "Asterisk", "cdr.conf has usegmtime=yes")


def check_column(option: str, column: str | None, known: Sequence[str]) -> None:
    """Check that the value of *option* is None or a known column.

    Raises:
        ConfigError: When the column is unknown.
    """
    if column is not None and column not in known:
        hint, _ = suggestion(str(column), known)
        raise ConfigError(
            f"{option}={column!r} is not valid. Asterisk's columns are {', '.join(known)}.{hint}"
        )


def is_call_row(values: Sequence[str], columns: Sequence[str]) -> bool:
    """Return whether a row with the given *values* and *columns* is a call.

    *columns* contains the names of the values, in the same order. A call has a start time, and its lengths are whole
    seconds.
    """
    named = dict(zip(columns, values, strict=False))
    lengths = (named.get(name, "") for name in ("duration", "billsec"))
    return _LOCAL_TIME.fullmatch(named.get("start", "")) is not None and all(map(str.isdecimal, lengths))


def explain_match(rows: Sequence[Sequence[str]], columns: Sequence[str], widths: Sequence[int]) -> str | None:
    """Return the reason why rows match a column order, or None if they do not.

    More than half of the rows must be calls, so that no file matches two orders. The other rows may be damaged.

    Args:
        rows: The first rows of the file.
        columns: The column order.
        widths: The possible numbers of columns.
    """
    good = [
        row
        for row in rows
        if len(row) in widths
        and is_call_row(row, columns)
        and row[columns.index("disposition")] in _FILE_DISPOSITIONS
    ]
    if 2 * len(good) <= len(rows) or _is_header(rows[0]):
        return None
    part = "" if len(good) == len(rows) else f", in {len(good)} of the first {len(rows)} rows"
    return f"{len(good[0])} columns without a header, the start in column {columns.index('start') + 1}{part}"


def _is_header(row: Sequence[str]) -> bool:
    """Return whether *row* consists of column names.

    A file with column names has another format, whose source uses them.
    """
    return {"duration", "billsec"} <= {value.strip().casefold() for value in row}
