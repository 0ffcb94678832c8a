"""Columns and options common to the tables of all SIP proxies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cdrkit.errors import SchemaError
from cdrkit.sources.readers.field_rule import FieldRule
from cdrkit.sources.readers.table_header import column_names
from cdrkit.sources.readers.timezone import check_timezone

__all__ = ["NULLS", "check_columns", "check_proxy_timezone", "number_rules"]

#: Texts that mean an absent value.
NULLS: Final = ("NULL", "\\N", "0000-00-00 00:00:00")
#: The columns that Kamailio's sample configuration adds to its tables.
_NUMBER_COLUMNS: Final[Mapping[str, str]] = {
    "source": "src_user",
    "destination": "dst_user",
    "dialled": "dst_ouser",
    "source_ip": "src_ip",
}
_SHOWN_NAMES: Final = 40


def check_proxy_timezone(value: str | None) -> str:
    """Return *value* if it names a known time zone; otherwise raise an error.

    Raises:
        ConfigError: When the zone is absent or unknown.
    """
    return check_timezone(value, "The proxy", "it writes UTC")


def check_columns(head: bytes, *columns: str | None) -> None:
    """Raise an error if a table lacks a column that is named in an option.

    Args:
        head: The first bytes of the table.
        columns: The columns that are named in options; None for an option that was not given.

    Raises:
        SchemaError: When a column is missing.
    """
    names = column_names(head)
    for column in columns:
        if column is not None and column.strip().casefold() not in names:
            raise SchemaError(
                f"The table has no column {column!r}. Its columns are {', '.join(sorted(names)[:_SHOWN_NAMES])}. "
                f"Correct the option that names {column!r}.",
                row=1,
            )


def number_rules(source_column: str | None, destination_column: str | None) -> dict[str, FieldRule]:
    """Return the field rules for the telephone numbers and for ``source_ip``.

    Args:
        source_column: The column with the caller. None: the column of the sample configuration.
        destination_column: The column with the called number. None: the column of the sample configuration.
    """
    options = {"source": source_column, "destination": destination_column}
    columns = {
        **_NUMBER_COLUMNS,
        **{field: column for field, column in options.items() if column is not None},
    }
    return {field: FieldRule(columns=column) for field, column in columns.items()}
