"""ClickHouse, in this process (chdb): a MergeTree in the order of time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Final

import pyarrow as pa

from .. import sql
from ._peer import Peer, Question, folder_bytes

_TYPES: Final = {
    "string": "Nullable(String)",
    "dictionary<values=string, indices=int8, ordered=0>": "LowCardinality(Nullable(String))",
    "dictionary<values=string, indices=int32, ordered=0>": "LowCardinality(Nullable(String))",
    "timestamp[us, tz=UTC]": "Nullable(DateTime64(6, 'UTC'))",
    "int32": "Nullable(Int32)",
    "int16": "Nullable(Int16)",
    "double": "Nullable(Float64)",
    "float": "Nullable(Float32)",
    "decimal128(18, 6)": "Nullable(Decimal(18, 6))",
}
#: Columns without nulls are declared so, which is faster.
_NEVER_NULL: Final = {
    "call_id": "String",
    "start": "DateTime64(6, 'UTC')",
    "customer_id": "LowCardinality(String)",
    "source": "String",
    "destination": "String",
    "duration": "Int32",
    "source_number": "String",
    "destination_number": "String",
}
_KINDS: Final = {"since": "DateTime64(6, 'UTC')", "until": "DateTime64(6, 'UTC')"}
_DIALECT: Final = sql.Dialect(
    placeholder=lambda name: f"{{{name}:{_KINDS.get(name, 'String')}}}", day='toInt32(toDate("start"))'
)
#: For few calls of all days, a sort is twice as fast as reading in the order of the table.
_SCATTERED: Final = " SETTINGS optimize_read_in_order = 0"


class ClickHouse(Peer):
    """ClickHouse with skipping indexes on numbers, which serve searches without a period."""

    name = "clickhouse"
    modules: ClassVar = ("chdb",)

    def version(self) -> str:
        return f"{self._session.query('SELECT version()', 'TSV')}".strip() + f", in chdb {super().version()}"

    def start(self) -> None:
        from chdb import session

        self.folder.mkdir(exist_ok=True)
        self._session = session.Session(str(self.folder))
        self._session.query("CREATE DATABASE IF NOT EXISTS cdr ENGINE = Atomic")
        self._session.query("USE cdr")

    def load(self, tables: Iterable[pa.Table]) -> bool:
        columns = ", ".join(
            f'"{field.name}" {_NEVER_NULL.get(field.name) or _TYPES[str(field.type)]}' for field in sql.STORED
        )
        indexes = ", ".join(
            f"INDEX by_{name} {name} TYPE bloom_filter(0.01) GRANULARITY 1"
            for name in ("source_number", "destination_number")
        )
        self._session.query(
            f'CREATE TABLE cdr.calls ({columns}, {indexes}) ENGINE = MergeTree ORDER BY ("start", call_id)'
        )
        # ClickHouse reads the files itself. Passing Arrow tables through Python is slower.
        files = f"file('{self.calls.parquet}/*.parquet', Parquet)"
        self._session.query(f"INSERT INTO cdr.calls SELECT * FROM {files}")
        return True

    def settle(self) -> None:
        self._session.query("OPTIMIZE TABLE cdr.calls FINAL")

    def questions(self) -> dict[str, Question]:
        asked, dialect = self.calls.asked, _DIALECT
        customer = {"customer": asked.customer}
        return {
            "page": lambda: self._table(sql.page(dialect), sql.page_values(asked, asked.customer)),
            "page_quiet": lambda: self._table(
                sql.page(dialect), sql.page_values(asked, asked.quiet_customer)
            ),
            "number_5": lambda: self._table(sql.number(dialect) + _SCATTERED, {"number": asked.five}),
            "number_50": lambda: self._table(sql.number(dialect) + _SCATTERED, {"number": asked.fifty}),
            "prefix": lambda: self._table(sql.prefix(dialect) + _SCATTERED, sql.prefix_values(asked)),
            "totals": lambda: self._totals(sql.totals(dialect, of_customer=False), {}),
            "totals_customer": lambda: self._totals(sql.totals(dialect, of_customer=True), customer),
            "count": lambda: int(self._table(sql.count(dialect), sql.month_values(asked))[0][0].as_py()),
            "csv": self._export,
        }

    def _table(self, statement: str, values: dict[str, Any]) -> pa.Table:
        table: pa.Table = self._session.query(statement, "ArrowTable", params=_params(values))
        return table

    def _totals(self, statement: str, values: dict[str, Any]) -> pa.Table:
        return sql.totals_table(sql.rows_of(self._table(statement, values)))

    def _export(self) -> Path:
        path = self.folder.with_suffix(".csv")
        path.unlink(missing_ok=True)
        statement = sql.export(_DIALECT, lambda name: f'c."{name}"')
        self._session.query(
            f"{statement} INTO OUTFILE '{path}' FORMAT CSVWithNames "
            "SETTINGS date_time_output_format = 'iso', format_csv_null_representation = ''",
            params=_params(sql.month_values(self.calls.asked)),
        )
        return path

    def size_bytes(self) -> int | None:
        return folder_bytes(self.folder)

    def close(self) -> None:
        self._session.close()


def _params(values: dict[str, Any]) -> dict[str, str]:
    return {
        name: f"{value:%Y-%m-%d %H:%M:%S.%f}" if isinstance(value, dt.datetime) else value
        for name, value in values.items()
    }
