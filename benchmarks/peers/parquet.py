"""Peers that read Parquet files directly: Polars, pyarrow and DuckDB, also in cdrkit's warm tier."""

from __future__ import annotations

import contextlib
import datetime as dt
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.dataset

from .. import sql
from ..data import END, Calls
from ._peer import Peer, Question, folder_bytes

_INSTANT: Final = "%Y-%m-%dT%H:%M:%S%.fZ"
_NEWEST_FIRST: Final[list[tuple[str, Literal["ascending", "descending"]]]] = [
    ("start", "descending"),
    ("call_id", "descending"),
]


class _OverParquet(Peer):
    def size_bytes(self) -> int | None:
        return folder_bytes(self.calls.parquet)


class Polars(_OverParquet):
    """Polars with lazy frames: it prunes files by statistics and reads only the needed columns."""

    name = "polars"

    def questions(self) -> dict[str, Question]:
        asked = self.calls.asked
        warm = pl.scan_parquet(self.calls.warm / "**" / "*.parquet")
        return {
            "page": lambda: self._page(asked.customer),
            "page_quiet": lambda: self._page(asked.quiet_customer),
            "number_5": lambda: self._number(asked.five),
            "number_50": lambda: self._number(asked.fifty),
            "prefix": lambda: self._shown(
                self._calls,
                pl.any_horizontal(
                    pl.col("source_number").str.starts_with(asked.prefix),
                    pl.col("destination_number").str.starts_with(asked.prefix),
                ),
            ),
            "warm_5": lambda: self._shown(warm, _written(asked.five_texts)),
            "warm_50": lambda: self._shown(warm, _written(asked.fifty_texts)),
            "totals": lambda: _polars_totals(self._calls),
            "totals_customer": lambda: _polars_totals(
                self._calls.filter(pl.col("customer_id") == asked.customer)
            ),
            "count": lambda: int(
                self._calls.filter(_since(asked.month), pl.col("duration") > 0)
                .select(pl.len())
                .collect()
                .item()
            ),
            "csv": lambda: self._export(self.folder.with_suffix(".csv"), _connected(asked.month)),
            "csv_tenth": lambda: self._export(Path("/dev/null"), _since(END - dt.timedelta(days=10))),
            "csv_all": lambda: self._export(Path("/dev/null"), pl.lit(True)),
        }

    @property
    def _calls(self) -> pl.LazyFrame:
        return self.calls.scan()

    def _page(self, customer: str) -> pa.Table:
        asked = self.calls.asked
        newest = pl.col("customer_id") == customer, _connected(asked.week)
        return (
            self._calls.filter(*newest)
            .select(sql.SHOWN)
            .top_k(sql.PAGE_SIZE, by=["start", "call_id"])
            .sort("start", "call_id", descending=True)
            .collect()
            .to_arrow()
        )

    def _number(self, number: str) -> pa.Table:
        wanted = (pl.col("source_number") == number) | (pl.col("destination_number") == number)
        return self._shown(self._calls, wanted)

    def _shown(self, calls: pl.LazyFrame, wanted: pl.Expr) -> pa.Table:
        found = calls.filter(wanted).select(sql.SHOWN).collect()
        return found.sort("start", "call_id", descending=True).to_arrow()

    def _export(self, path: Path, wanted: pl.Expr) -> Path:
        self._calls.filter(wanted).select(sql.EXPORTED).sink_csv(path, datetime_format=_INSTANT)
        return path


class PyArrow(_OverParquet):
    """pyarrow.dataset with filters on row groups and selected columns."""

    name = "pyarrow"

    def start(self) -> None:
        self._dataset = pyarrow.dataset.dataset(self.calls.parquet, format="parquet")

    def questions(self) -> dict[str, Question]:
        asked = self.calls.asked
        source, destination = pc.field("source_number"), pc.field("destination_number")
        return {
            "page": lambda: self._page(asked.customer),
            "page_quiet": lambda: self._page(asked.quiet_customer),
            "number_5": lambda: self._shown((source == asked.five) | (destination == asked.five)),
            "number_50": lambda: self._shown((source == asked.fifty) | (destination == asked.fifty)),
            "prefix": lambda: self._shown(
                pc.starts_with(source, asked.prefix) | pc.starts_with(destination, asked.prefix)
            ),
            "totals": lambda: self._totals(None),
            "totals_customer": lambda: self._totals(pc.field("customer_id") == asked.customer),
            "count": lambda: self._dataset.count_rows(filter=self._connected(asked.month)),
            "csv": lambda: self._export(self.folder.with_suffix(".csv"), self._connected(asked.month)),
            "csv_tenth": lambda: self._export(
                Path("/dev/null"), pc.field("start") >= pa.scalar(END - dt.timedelta(days=10))
            ),
            "csv_all": lambda: self._export(Path("/dev/null"), None),
        }

    def _connected(self, since: dt.datetime) -> pc.Expression:
        return (pc.field("start") >= pa.scalar(since)) & (pc.field("duration") > 0)

    def _page(self, customer: str) -> pa.Table:
        wanted = self._connected(self.calls.asked.week) & (pc.field("customer_id") == customer)
        return self._shown(wanted).slice(0, sql.PAGE_SIZE)

    def _shown(self, wanted: pc.Expression) -> pa.Table:
        return self._dataset.to_table(columns=list(sql.SHOWN), filter=wanted).sort_by(_NEWEST_FIRST)

    def _totals(self, wanted: pc.Expression | None) -> pa.Table:
        columns = {
            "day": pc.field("start").cast(pa.date32()),
            "money": pc.coalesce(pc.field("currency"), pc.scalar("XXX")),  # type: ignore[type-var]  # stubs
            "attempt": pc.scalar(1),
            "connected": (pc.field("duration") > 0).cast(pa.int64()),
            **{name: pc.field(name) for name in ("duration", "billed_duration", "charge")},
        }
        grouped = (
            self._dataset.to_table(columns=columns, filter=wanted)
            .group_by(["day", "money"])
            .aggregate(
                [
                    ("attempt", "sum"),
                    ("connected", "sum"),
                    ("duration", "sum"),
                    ("billed_duration", "sum"),
                    ("charge", "count"),
                    ("charge", "sum"),
                ]
            )
            .sort_by([("day", "ascending"), ("money", "ascending")])
        )
        return sql.totals_table(sql.rows_of(grouped.set_column(0, "day", grouped["day"].cast(pa.int32()))))

    def _export(self, path: Path, wanted: pc.Expression | None) -> Path:
        scanner = self._dataset.scanner(columns=list(sql.EXPORTED), filter=wanted)
        plain = pa.schema(
            [
                (field.name, field.type.value_type if pa.types.is_dictionary(field.type) else field.type)
                for field in scanner.projected_schema
            ]
        )
        # Its CSV writer does not support dictionaries.
        with pyarrow.csv.CSVWriter(path, plain) as writer:
            for batch in scanner.to_batches():
                writer.write_table(pa.Table.from_batches([batch]).cast(plain))
        return path


class DuckDBParquet(_OverParquet):
    """DuckDB over Parquet files, with its cache of metadata."""

    name = "duckdb-parquet"
    modules: ClassVar = ("duckdb",)

    def start(self) -> None:
        import duckdb

        self._connection = duckdb.connect()
        self._connection.execute("SET parquet_metadata_cache = true")
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute(f"CREATE VIEW calls AS FROM read_parquet('{self.calls.parquet}/*.parquet')")

    def questions(self) -> dict[str, Question]:
        asked = self.calls.asked
        found = duckdb_questions(self._connection, self.calls, self.folder.with_suffix(".csv"))
        with contextlib.suppress(StopIteration):
            next(self.calls.warm.rglob("*.parquet"))
            self._connection.execute(
                f"CREATE OR REPLACE VIEW warm AS FROM read_parquet('{self.calls.warm}/**/*.parquet')"
            )
            warm = DUCKDB_WARM
            found["warm_5"] = lambda: self._warm(sql.texts(warm, len(asked.five_texts)), asked.five_texts)
            found["warm_50"] = lambda: self._warm(sql.texts(warm, len(asked.fifty_texts)), asked.fifty_texts)
        return found

    def _warm(self, statement: str, written: list[str]) -> pa.Table:
        table: pa.Table = self._connection.sql(statement, params=sql.text_values(written)).to_arrow_table()
        return table

    def close(self) -> None:
        self._connection.close()


def duckdb_questions(connection: Any, calls: Calls, csv: Path) -> dict[str, Question]:
    """Return the queries of DuckDB on the table or view ``calls``."""
    asked, dialect = calls.asked, DUCKDB

    def table(statement: str, values: dict[str, Any]) -> pa.Table:
        found: pa.Table = connection.sql(statement, params=values).to_arrow_table()
        return found

    def export() -> Path:
        statement = sql.export(dialect, lambda name: f'c."{name}"', ordered=False)
        connection.execute(
            f"COPY ({statement}) TO '{csv}' (HEADER, TIMESTAMPFORMAT '%Y-%m-%dT%H:%M:%S.%fZ')",
            sql.month_values(asked),
        )
        return csv

    customer = {"customer": asked.customer}
    return {
        "page": lambda: table(sql.page(dialect), sql.page_values(asked, asked.customer)),
        "page_quiet": lambda: table(sql.page(dialect), sql.page_values(asked, asked.quiet_customer)),
        "number_5": lambda: table(sql.number(dialect), {"number": asked.five}),
        "number_50": lambda: table(sql.number(dialect), {"number": asked.fifty}),
        "prefix": lambda: table(sql.prefix(dialect), sql.prefix_values(asked)),
        "totals": lambda: sql.totals_table(sql.rows_of(table(sql.totals(dialect, of_customer=False), {}))),
        "totals_customer": lambda: sql.totals_table(
            sql.rows_of(table(sql.totals(dialect, of_customer=True), customer))
        ),
        "count": lambda: int(table(sql.count(dialect), sql.month_values(asked))[0][0].as_py()),
        "csv": export,
    }


def _duckdb_dialect(table: str) -> sql.Dialect:
    # Integer arithmetic is four times as fast as a cast of an instant to a date.
    day = 'epoch_us("start") // 86400000000'
    return sql.Dialect(placeholder=lambda name: f"${name}", day=day, table=table)


DUCKDB: Final = _duckdb_dialect("calls")
DUCKDB_WARM: Final = _duckdb_dialect("warm")


def _since(instant: dt.datetime) -> pl.Expr:
    return pl.col("start") >= instant


def _connected(since: dt.datetime) -> pl.Expr:
    return _since(since) & (pl.col("duration") > 0)


def _written(texts: list[str]) -> pl.Expr:
    return pl.col("source").is_in(texts) | pl.col("destination").is_in(texts)


def _polars_totals(calls: pl.LazyFrame) -> pa.Table:
    day = pl.col("start").dt.date().alias("day")
    rows = (
        calls.group_by(day.cast(pl.Int32), pl.col("currency").fill_null("XXX"))
        .agg(
            pl.len(),
            (pl.col("duration") > 0).sum().alias("connected"),
            pl.col("duration", "billed_duration").cast(pl.Int64).sum(),
            pl.col("charge").count().alias("charged"),
            pl.col("charge").sum(),
        )
        .sort("day", "currency")
        .collect()
    )
    return sql.totals_table(rows.iter_rows())
