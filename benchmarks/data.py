"""The calls that every peer loads, as one Parquet file a day, and the parameters of the queries."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Self

import attrs
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from cdrkit import SCHEMA
from cdrkit.samples import asterisk_lines, synthesize_calls, synthesize_tables

DAYS: Final = 100
END: Final = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
#: Columns with normalised numbers, which users of the peers would store for searches.
NUMBER_COLUMNS: Final = ["source_number", "destination_number"]

_ROWS_A_GROUP: Final = 2**20  # pyarrow's default


@attrs.frozen(kw_only=True)
class Asked:
    """The parameters of the queries.

    Attributes:
        customer: The customer with the most calls.
        quiet_customer: The customer with the fewest calls.
        five: A number with about 5 calls in all days, both roles.
        five_texts: All notations of that number.
        fifty: A number with about 50 calls.
        fifty_texts: All notations of that number.
        prefix: "+" and 6 digits, with the median number of calls.
    """

    customer: str
    quiet_customer: str
    five: str
    five_texts: list[str]
    fifty: str
    fifty_texts: list[str]
    prefix: str

    @property
    def until(self) -> dt.datetime:
        """The end of every period, exclusive."""
        return END

    @property
    def week(self) -> dt.datetime:
        """The start of the last 7 days."""
        return END - dt.timedelta(days=7)

    @property
    def month(self) -> dt.datetime:
        """The start of the last 30 days."""
        return END - dt.timedelta(days=30)

    @property
    def beyond(self) -> str:
        """The first text after all texts that begin with `prefix`."""
        return self.prefix[:-1] + chr(ord(self.prefix[-1]) + 1)


@attrs.frozen
class Calls:
    """A folder with a number of calls.

    Attributes:
        folder: The folder of the calls. The folders of the peers are beside it.
        rows: The number of calls.
    """

    folder: Path
    rows: int

    @classmethod
    def made(cls, work: Path, rows: int) -> Self:
        """Return *rows* calls below *work*. Generate them if they do not exist."""
        calls = cls(work / f"calls-{rows}", rows)
        if not calls._asked.exists():
            calls.parquet.mkdir(parents=True, exist_ok=True)
            for day, table in _by_day(synthesize_tables(rows, days=DAYS, end=END)):
                # The defaults of pyarrow, except zstd. Calls are in the order of their start.
                pq.write_table(table, calls.parquet / f"{day}.parquet", compression="zstd")
            calls._asked.write_text(json.dumps(attrs.asdict(_drawn(calls.scan())), indent=1))
        return calls

    @property
    def parquet(self) -> Path:
        """The folder of Parquet files."""
        return self.folder / "parquet"

    @property
    def warm(self) -> Path:
        """The folder of cdrkit's warm tier, after the move to warm."""
        return self.folder / "cdrkit-warm" / "warm"

    @property
    def asked(self) -> Asked:
        """The parameters of the queries, chosen from these calls."""
        return Asked(**json.loads(self._asked.read_text()))

    @property
    def _asked(self) -> Path:
        return self.folder / "asked.json"

    def scan(self) -> pl.LazyFrame:
        """Return the Parquet files as a lazy frame."""
        return pl.scan_parquet(self.parquet / "*.parquet")

    def tables(self) -> Iterator[pa.Table]:
        """Return the calls as Arrow tables of one day, mapped from files so that no load generates calls."""
        for path in sorted(self.parquet.glob("*.parquet")):
            mapped = self.folder / "arrow" / f"{path.stem}.arrow"
            if not mapped.exists():
                mapped.parent.mkdir(exist_ok=True)
                table = pq.read_table(path)
                part = mapped.with_suffix(".part")
                with pa.ipc.new_file(str(part), table.schema) as writer:
                    writer.write_table(table)
                part.rename(mapped)  # an interrupted run leaves no partial file
        return map(_mapped, sorted((self.folder / "arrow").glob("*.arrow")))

    def default_parquet_bytes(self) -> int:
        """Return the size of one Parquet file of these calls with pyarrow's defaults, in bytes."""
        scratch = self.folder / "default.parquet"
        with pq.ParquetWriter(scratch, SCHEMA) as writer:
            waiting: list[pa.Table] = []
            for table in self.tables():
                waiting.append(table.drop_columns(NUMBER_COLUMNS).cast(SCHEMA))
                if sum(part.num_rows for part in waiting) >= _ROWS_A_GROUP:
                    writer.write_table(pa.concat_tables(waiting).unify_dictionaries())
                    waiting = []
            writer.write_table(pa.concat_tables([SCHEMA.empty_table(), *waiting]).unify_dictionaries())
        size = scratch.stat().st_size
        scratch.unlink()
        return size


def normalised(name: str) -> pl.Expr:
    """Return the numbers of the column *name* as ``+`` and digits. Extensions and words do not change."""
    digits = pl.col(name).str.replace_all(" ", "", literal=True)
    return (
        pl.when(digits.str.starts_with("00"))
        .then(pl.lit("+") + digits.str.slice(2))
        .when(digits.str.starts_with("0"))
        .then(pl.lit("+44") + digits.str.slice(1))
        .otherwise(digits)
    )


def with_numbers(table: pa.Table) -> pa.Table:
    """Return *table* with `NUMBER_COLUMNS`."""
    frame = pl.DataFrame(pl.from_arrow(table.select(["source", "destination"])))
    for column, name in zip(NUMBER_COLUMNS, ("source", "destination"), strict=True):
        numbers = frame.select(normalised(name)).to_series().to_arrow().cast(pa.string())
        table = table.append_column(column, numbers)
    return table


def fresh_batches(count: int) -> Iterator[pa.Table]:
    """Yield *count* tables of 100 calls each, later than all other calls."""
    calls = synthesize_calls(100 * count, days=1, seed=2, end=END + dt.timedelta(days=1)).combine_chunks()
    calls = with_numbers(calls)
    return (calls.slice(100 * number, 100) for number in range(count))


def asterisk_file(work: Path, lines: int) -> Path:
    """Return an Asterisk Master.csv of *lines* lines. Generate it if it does not exist."""
    path = work / f"Master-{lines}.csv"
    if not path.exists():
        with path.open("wb") as file:
            file.writelines(asterisk_lines(lines, days=DAYS, end=END))
    return path


def _mapped(path: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def _by_day(tables: Iterable[pa.Table]) -> Iterator[tuple[dt.date, pa.Table]]:
    """Yield (day, calls of the day) from *tables* in the order of time."""
    waiting: dict[dt.date, list[pa.Table]] = {}
    for table in tables:
        days = pl.Series(pl.from_arrow(table["start"])).dt.date()
        for day in days.unique(maintain_order=True):
            low, high = (int(days.search_sorted(day, side)) for side in ("left", "right"))
            waiting.setdefault(day, []).append(table.slice(low, high - low))
        while len(waiting) > 1:
            day = next(iter(waiting))
            yield day, _whole(waiting.pop(day))
    for day, parts in waiting.items():
        yield day, _whole(parts)


def _whole(parts: list[pa.Table]) -> pa.Table:
    return with_numbers(pa.concat_tables(parts).unify_dictionaries().combine_chunks())


def _drawn(calls: pl.LazyFrame) -> Asked:
    """Choose the parameters. They depend only on the calls."""
    customers = (
        calls.group_by("customer_id")
        .len()
        .sort("len", "customer_id")
        .collect(engine="streaming")["customer_id"]
    )
    numbers = pl.concat(
        [
            calls.select(number=source, text=raw, source=pl.lit(source == "source_number"))
            for source, raw in zip(NUMBER_COLUMNS, ("source", "destination"), strict=True)
        ]
    ).filter(pl.col("number").str.starts_with("+"))
    # One number in ten is enough to choose from, and limits the memory.
    found = (
        numbers.filter(pl.col("number").str.ends_with("7"))
        .group_by("number")
        .agg(pl.len().cast(pl.Int64).alias("calls"), pl.col("source").sum().cast(pl.Int64))
        .collect(engine="streaming")
    )

    def with_about(wanted: int) -> tuple[str, list[str]]:
        off = (pl.col("calls") - wanted).abs()
        lopsided = (2 * pl.col("source") - pl.col("calls")).abs()  # the number must occur in both roles
        number = found.sort(off, lopsided, "number")["number"][0]
        texts = (
            numbers.filter(pl.col("number") == number)
            .select(pl.col("text").unique().sort())
            .collect(engine="streaming")
        )
        return number, texts["text"].to_list()

    prefixes = (
        numbers.group_by(pl.col("number").str.slice(0, 7))
        .len()
        .sort("len", "number")
        .collect(engine="streaming")
    )
    five, five_texts = with_about(5)
    fifty, fifty_texts = with_about(50)
    return Asked(
        customer=customers[-1],
        quiet_customer=customers[0],
        five=five,
        five_texts=five_texts,
        fifty=fifty,
        fifty_texts=fifty_texts,
        prefix=prefixes["number"][prefixes.height // 2],
    )
