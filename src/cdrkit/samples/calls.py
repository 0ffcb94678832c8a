"""Millions of generated sample calls, as Arrow tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl
import pyarrow as pa

from cdrkit._model import FIELDS, MONEY, SCHEMA, UTC
from cdrkit.errors import ConfigError
from cdrkit.samples.arguments import check_count, check_instant
from cdrkit.samples.catalogue import REGIONS
from cdrkit.samples.generator import WORDS, CallGenerator

__all__ = ["END", "call_frames", "call_table", "synthesize_calls", "synthesize_tables"]

#: The default end of made-up calls: a fixed instant, so that equal arguments make equal calls.
END: Final = datetime(2026, 11, 23, tzinfo=UTC)

_ROWS_AT_ONCE: Final = 100_000
_MOST_ROWS: Final = 10**9  # a call id has nine digits for the row
_MOST_CUSTOMERS: Final = 60_000  # each has 16 of a million numbers


def synthesize_calls(
    rows: int,
    *,
    days: int = 30,
    seed: int = 1,
    end: datetime | None = None,
    customers: int = 200,
    region: str = "GB",
) -> pa.Table:
    """Generate sample calls that resemble the calls of a telephone company.

    Weekdays have busy hours; nights and weekends are quiet. A few numbers and customers account for many of the calls.
    45 % of the calls connect, for about a minute; the others are busy, unanswered, cancelled, rejected or failed.
    Numbers are written in several ways. Some callers withhold their number, and a few send names that attack
    spreadsheets. Outbound calls have amounts: a connected call costs ``connect_cost`` and ``rate`` a minute of
    ``billed_duration``, rounded half up at the sixth place.

    Equal arguments give equal tables on every machine. A million rows take a few seconds and about a gigabyte.

    Example:
        >>> from cdrkit.samples import synthesize_calls
        >>> calls = synthesize_calls(1000, days=7, seed=42)
        >>> calls.num_rows
        1000
        >>> calls == synthesize_calls(1000, days=7, seed=42)
        True

    Args:
        rows: The number of calls, from 0 to 1,000,000,000. The table is held in memory.
        days: The length of the period before *end* in which the calls begin, in days of 24 hours.
        seed: The seed of the random numbers; another seed gives other calls.
        end: An aware instant after the start of every call. None: 2026-11-23T00:00Z.
        customers: The number of customers, from 1 to 60,000. Their identifiers are "1001", "1002" and so on, the
            busiest customer first.
        region: The country of most numbers, of the hours and of the usual currency: GB, US, DE, FR or AU.

    Returns:
        A table of `cdrkit.SCHEMA`, sorted by (``start``, ``call_id``); each identity occurs once.

    Raises:
        ConfigError: When an argument is out of its range, *end* is naive, or the region is unknown.
    """
    tables = list(synthesize_tables(rows, days=days, seed=seed, end=end, customers=customers, region=region))
    return pa.concat_tables(tables) if tables else SCHEMA.empty_table()


def synthesize_tables(
    rows: int,
    *,
    days: int = 30,
    seed: int = 1,
    end: datetime | None = None,
    customers: int = 200,
    region: str = "GB",
) -> Iterator[pa.Table]:
    """Generate the calls of `synthesize_calls`, table by table.

    Use this function for more calls than fit into memory.

    Example:
        >>> from cdrkit.samples import synthesize_tables
        >>> [table.num_rows for table in synthesize_tables(150_000, days=7)]
        [100000, 50000]

    Args:
        rows: As for `synthesize_calls`.
        days: As for `synthesize_calls`.
        seed: As for `synthesize_calls`.
        end: As for `synthesize_calls`.
        customers: As for `synthesize_calls`.
        region: As for `synthesize_calls`.

    Returns:
        Tables of `cdrkit.SCHEMA` with at most 100,000 rows, in order.

    Raises:
        ConfigError: As for `synthesize_calls`, before the first table.
    """
    frames = call_frames(rows, days=days, seed=seed, end=end, customers=customers, region=region)
    return map(call_table, frames)


def call_frames(
    rows: int,
    *,
    days: int = 30,
    seed: int = 1,
    end: datetime | None = None,
    customers: int = 200,
    region: str = "GB",
    rows_at_once: int = _ROWS_AT_ONCE,
) -> Iterator[pl.DataFrame]:
    """Yield the calls of `synthesize_calls` as frames of *rows_at_once* rows.

    Columns of fixed words hold indexes into `WORDS`, and amounts hold millionths.

    Raises:
        ConfigError: As for `synthesize_calls`, before the first frame.
    """
    check_count("rows", rows, at_least=0, at_most=_MOST_ROWS)
    check_count("days", days, at_least=1, at_most=36_525)
    check_count("seed", seed, at_least=0, at_most=2**64 - 1)
    check_count("customers", customers, at_least=1, at_most=_MOST_CUSTOMERS)
    if region not in REGIONS:
        raise ConfigError(f"Unknown region {region!r} for sample calls. Use one of {', '.join(REGIONS)}.")
    end = END if end is None else check_instant("end", end)
    try:
        first = end.astimezone(UTC) - timedelta(days=days)
    except OverflowError as exc:
        raise ConfigError(
            f"days={days!r} is too many: the period would begin before the year 1. Give fewer days or a later end."
        ) from exc
    generator = CallGenerator.create(
        rows, days=days, seed=seed, first=first, customers=customers, region=REGIONS[region]
    )
    return (generator.frame(start, min(start + rows_at_once, rows)) for start in range(0, rows, rows_at_once))


def call_table(frame: pl.DataFrame) -> pa.Table:
    """Convert a frame from `call_frames` to an Arrow table with the schema `SCHEMA`."""
    return pa.table([_as_array(frame[name], FIELDS[name].type) for name in FIELDS], schema=SCHEMA)


def _as_array(series: pl.Series, wanted: pa.DataType) -> pa.Array[Any]:
    array = series.to_arrow()
    if isinstance(wanted, pa.DictionaryType):
        words = pa.array(WORDS[series.name], type=pa.string())
        return pa.DictionaryArray.from_arrays(array.cast(wanted.index_type), words)
    if wanted == MONEY:
        # A decimal of millionths without decimals has the bits of the amount with six decimals.
        whole = array.cast(pa.decimal128(19, 0))
        return pa.Array.from_buffers(MONEY, len(whole), whole.buffers(), whole.null_count, whole.offset)
    return array.cast(wanted)
