"""The peers: cdrkit and its alternatives, one class each."""

from __future__ import annotations

from typing import Final

from ._peer import Answer, Appender, Peer, Question, folder_bytes
from .cdrkit_store import Cdrkit
from .clickhouse import ClickHouse
from .duckdb_file import DuckDB
from .parquet import DuckDBParquet, Polars, PyArrow
from .postgresql import PostgreSQL
from .sqlite import SQLite
from .tables import DeltaLake, Iceberg

__all__ = ["PEERS", "Answer", "Appender", "Cdrkit", "Peer", "Question", "folder_bytes"]

#: The classes by name, in the order of the report's columns.
PEERS: Final[dict[str, type[Peer]]] = {
    peer.name: peer
    for peer in (
        Cdrkit, PostgreSQL, DuckDB, DuckDBParquet, Polars, PyArrow, ClickHouse, SQLite, DeltaLake, Iceberg,
    )
}  # fmt: skip
