"""The queries in SQL, and the conversion of their rows into equal tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import attrs
import pyarrow as pa

from cdrkit import SCHEMA

from .data import NUMBER_COLUMNS, Asked

#: The columns of a page and a search.
SHOWN: Final = (
    "start", "call_id", "source", "destination", "duration", "disposition", "destination_name", "charge",
)  # fmt: skip
#: The columns of the export.
EXPORTED: Final = (
    "start", "end", "call_id", "customer_id", "direction", "source", "source_name", "destination",
    "destination_name", "duration", "disposition", "charge",
)  # fmt: skip
#: The columns that peers store.
STORED: Final = pa.schema(
    [
        *(field.remove_metadata() for field in SCHEMA),
        *(pa.field(name, pa.string()) for name in NUMBER_COLUMNS),
    ]
)
PAGE_SIZE: Final = 100

_SHOWN_SCHEMA: Final = pa.schema(
    [
        (name, pa.string() if pa.types.is_dictionary(SCHEMA.field(name).type) else SCHEMA.field(name).type)
        for name in SHOWN
    ]
)


@attrs.frozen(kw_only=True)
class Dialect:
    """The SQL dialect of one database.

    Attributes:
        placeholder: A function from a parameter's name to its placeholder in a statement.
        day: An expression for the UTC day of ``start``, as an integer since 1970.
        table: The table of the calls.
    """

    placeholder: Callable[[str], str]
    day: str
    table: str = "calls"


def page(dialect: Dialect) -> str:
    """Return the statement for the newest connected calls of a customer since an instant."""
    mark = dialect.placeholder
    return (
        f"SELECT {_listed(SHOWN)} FROM {dialect.table} WHERE customer_id = {mark('customer')} "
        f'AND "start" >= {mark("since")} AND "start" < {mark("until")} AND duration > 0 '
        f'ORDER BY "start" DESC, call_id DESC LIMIT {PAGE_SIZE}'
    )


def page_values(asked: Asked, customer: str) -> dict[str, Any]:
    """Return the values of `page`."""
    return {"customer": customer, "since": asked.week, "until": asked.until}


def number(dialect: Dialect) -> str:
    """Return the statement for all calls of a number, as source or destination, newest first."""
    mark = dialect.placeholder("number")
    return (
        f"SELECT {_listed(SHOWN)} FROM {dialect.table} WHERE source_number = {mark} "
        f'OR destination_number = {mark} ORDER BY "start" DESC, call_id DESC'
    )


def texts(dialect: Dialect, count: int) -> str:
    """Return the statement for a number with *count* notations, without normalised columns."""
    marks = ", ".join(dialect.placeholder(f"text{place}") for place in range(count))
    return (
        f"SELECT {_listed(SHOWN)} FROM {dialect.table} WHERE source IN ({marks}) OR destination IN ({marks}) "
        'ORDER BY "start" DESC, call_id DESC'
    )


def text_values(written: Sequence[str]) -> dict[str, Any]:
    """Return the values of `texts`."""
    return {f"text{place}": text for place, text in enumerate(written)}


def prefix(dialect: Dialect) -> str:
    """Return the statement for all calls with a prefix: a range, which indexes support."""
    low, high = dialect.placeholder("prefix"), dialect.placeholder("beyond")
    return (
        f"SELECT {_listed(SHOWN)} FROM {dialect.table} "
        f"WHERE (source_number >= {low} AND source_number < {high}) "
        f"OR (destination_number >= {low} AND destination_number < {high}) "
        'ORDER BY "start" DESC, call_id DESC'
    )


def prefix_values(asked: Asked) -> dict[str, Any]:
    """Return the values of `prefix`."""
    return {"prefix": asked.prefix, "beyond": asked.beyond}


def totals(dialect: Dialect, *, of_customer: bool) -> str:
    """Return the statement for totals by day and currency."""
    where = f"WHERE customer_id = {dialect.placeholder('customer')} " if of_customer else ""
    return (
        f"SELECT {dialect.day} AS day, coalesce(currency, 'XXX') AS money, count(*), "
        "sum(CASE WHEN duration > 0 THEN 1 ELSE 0 END), sum(duration), sum(billed_duration), "
        f"count(charge), sum(charge) FROM {dialect.table} {where}GROUP BY 1, 2 ORDER BY 1, 2"
    )


def count(dialect: Dialect) -> str:
    """Return the statement for the number of connected calls since an instant."""
    mark = dialect.placeholder
    return (
        f'SELECT count(*) FROM {dialect.table} WHERE "start" >= {mark("since")} '
        f'AND "start" < {mark("until")} AND duration > 0'
    )


def export(dialect: Dialect, instant: Callable[[str], str], *, ordered: bool = True) -> str:
    """Return the statement for the calls of an export, earliest first.

    Args:
        dialect: The SQL dialect.
        instant: A function from the column of an instant to the expression for its output.
        ordered: Whether to write ORDER BY. Some databases return rows in the order of insertion.
    """
    mark = dialect.placeholder
    listed = ", ".join(
        f"{instant(name)} AS {_quoted(name)}" if name in ("start", "end") else name for name in EXPORTED
    )
    return (
        f'SELECT {listed} FROM {dialect.table} AS c WHERE c."start" >= {mark("since")} '
        f'AND c."start" < {mark("until")} AND duration > 0'
        + (' ORDER BY c."start", call_id' if ordered else "")
    )


def month_values(asked: Asked) -> dict[str, Any]:
    """Return the values of `count` and `export`."""
    return {"since": asked.month, "until": asked.until}


def columns_of(types: Mapping[str, str]) -> str:
    """Return the columns of CREATE TABLE. *types* maps names of Arrow types; others become text."""
    return ", ".join(
        f"{_quoted(field.name)} {types.get(str(field.type), types['string'])}"
        + ("" if field.nullable else " NOT NULL")
        for field in STORED
    )


def shown_table(rows: Iterable[Sequence[Any]]) -> pa.Table:
    """Return rows of `SHOWN` as Arrow."""
    columns = list(zip(*rows, strict=True)) or [()] * len(SHOWN)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, _SHOWN_SCHEMA, strict=True)],
        schema=_SHOWN_SCHEMA,
    )


def totals_table(rows: Iterable[Sequence[Any]]) -> pa.Table:
    """Return the rows of `totals` as Arrow: one row a day, one column of charges a currency."""
    days: dict[int, list[int]] = {}
    charges: dict[str, dict[int, Decimal]] = {}
    for day, currency, attempts, connected, duration, billed, charged, charge in rows:
        sums = days.setdefault(int(day), [0, 0, 0, 0])
        for place, value in enumerate((attempts, connected, duration, billed)):
            sums[place] += int(value or 0)
        if charged:
            charges.setdefault(currency, {})[int(day)] = charge
    epoch = dt.date(1970, 1, 1)
    names = ("attempts", "connected", "duration", "billed_duration")
    table: dict[str, pa.Array[Any]] = {
        "day": pa.array([epoch + dt.timedelta(days=day) for day in days], pa.date32()),
        **{name: pa.array([sums[place] for sums in days.values()]) for place, name in enumerate(names)},
        **{
            f"charge_{currency}": pa.array([found.get(day) for day in days], pa.decimal128(38, 6))
            for currency, found in sorted(charges.items())
        },
    }
    return pa.table(table)


def rows_of(table: pa.Table) -> Iterable[tuple[Any, ...]]:
    """Return the rows of a small table."""
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(_quoted(name) for name in names)


def _quoted(name: str) -> str:
    return f'"{name}"' if name in ("start", "end") else name
