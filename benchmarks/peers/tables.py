"""Table formats for appends: Delta Lake, and Iceberg with a catalogue in SQLite."""

from __future__ import annotations

import shutil
from typing import ClassVar, Final

import pyarrow as pa

from .. import sql
from ._peer import Appender, Peer

_PLAIN: Final = pa.schema(
    [
        (field.name, field.type.value_type if pa.types.is_dictionary(field.type) else field.type)
        for field in sql.STORED
    ]
)


class DeltaLake(Peer):
    """Delta Lake with a new table, whose short log makes appends fast."""

    name = "delta"
    modules: ClassVar = ("deltalake",)
    kept = False

    def size_bytes(self) -> int | None:
        return None

    def appender(self) -> Appender | None:
        from deltalake import DeltaTable, write_deltalake

        shutil.rmtree(self.folder, ignore_errors=True)
        table = DeltaTable.create(str(self.folder), schema=_PLAIN)
        return lambda calls: write_deltalake(table, calls.cast(_PLAIN), mode="append")


class Iceberg(Peer):
    """Iceberg with a new table, whose short log makes appends fast."""

    name = "iceberg"
    modules: ClassVar = ("pyiceberg", "sqlalchemy")
    kept = False

    def size_bytes(self) -> int | None:
        return None

    def appender(self) -> Appender | None:
        from pyiceberg.catalog.sql import SqlCatalog

        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        warehouse = {"uri": f"sqlite:///{self.folder}/catalogue.db", "warehouse": f"file://{self.folder}"}
        catalogue = SqlCatalog("bench", **warehouse)
        catalogue.create_namespace("cdr")
        table = catalogue.create_table("cdr.calls", schema=_PLAIN)
        self._catalogue = catalogue
        return lambda calls: table.append(calls.cast(_PLAIN))

    def close(self) -> None:
        if hasattr(self, "_catalogue"):
            self._catalogue.close()
