"""DuckDB with its own database file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

import pyarrow as pa

from .. import sql
from ..data import END
from ._peer import Appender, Peer, Question, folder_bytes
from .parquet import duckdb_questions

_TYPES: Final = {
    "string": "VARCHAR",
    "timestamp[us, tz=UTC]": "TIMESTAMPTZ",
    "int32": "INTEGER",
    "int16": "SMALLINT",
    "double": "DOUBLE",
    "float": "FLOAT",
    "decimal128(18, 6)": "DECIMAL(18, 6)",
}


class DuckDB(Peer):
    """A table in the order of time, so that zone maps serve periods. Its guide advises no ART index."""

    name = "duckdb"
    modules: ClassVar = ("duckdb",)

    def start(self) -> None:
        import duckdb

        self.folder.mkdir(exist_ok=True)
        self._connection = duckdb.connect(self.folder / "calls.duckdb")
        self._connection.execute("SET TimeZone = 'UTC'")

    def load(self, tables: Iterable[pa.Table]) -> bool:
        self._connection.execute(f"CREATE TABLE calls ({sql.columns_of(_TYPES)})")
        self._connection.execute("BEGIN")
        for table in tables:
            self._insert(table)
        self._connection.execute("COMMIT")
        self._connection.execute("CHECKPOINT")
        return True

    def _insert(self, table: pa.Table) -> None:
        self._connection.register("incoming", table)
        self._connection.execute("INSERT INTO calls SELECT * FROM incoming")
        self._connection.unregister("incoming")

    def questions(self) -> dict[str, Question]:
        return duckdb_questions(self._connection, self.calls, self.folder.with_suffix(".csv"))

    def size_bytes(self) -> int | None:
        return folder_bytes(self.folder)

    def appender(self) -> Appender | None:
        return self._insert

    def tidy(self) -> None:
        self._connection.execute('DELETE FROM calls WHERE "start" >= $end', {"end": END})
        self._connection.execute("CHECKPOINT")

    def close(self) -> None:
        self._connection.close()
