"""PostgreSQL from Debian's packages: a separate cluster in the work folder, on a socket."""

from __future__ import annotations

import io
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Final

import polars as pl
import pyarrow as pa

from .. import sql
from ..data import END
from ._peer import Appender, Peer, Question

_TYPES: Final = {
    "string": "text",
    "timestamp[us, tz=UTC]": "timestamptz",
    "int32": "integer",
    "int16": "smallint",
    "double": "double precision",
    "float": "real",
    "decimal128(18, 6)": "numeric(18, 6)",
}
_DIALECT: Final = sql.Dialect(
    placeholder=lambda name: f"%({name})s",
    day="(\"start\" AT TIME ZONE 'UTC')::date - date '1970-01-01'",
)
_INDEXES: Final = ('"start"', "source_number", "destination_number", 'customer_id, "start"')
_VERSIONS: Final = Path("/usr/lib/postgresql")
_INSTANT: Final = "%Y-%m-%dT%H:%M:%S%.6fZ"


class PostgreSQL(Peer):
    """PostgreSQL by its manual: a quarter of the memory as buffers, SSD costs, durable commits."""

    name = "postgresql"
    modules: ClassVar = ("psycopg",)

    @classmethod
    def missing(cls) -> str | None:
        if why := super().missing():
            return why
        if _programs() is None:
            return "not installed: Debian's package postgresql (apt-get install postgresql)"
        if _owner() is None:
            return "it refuses to run as root, and the user postgres does not exist"
        return None

    def version(self) -> str:
        version = self._connection.info.server_version
        return f"{version // 10_000}.{version % 10_000}"

    def start(self) -> None:
        import psycopg

        # The path of a socket is limited to 107 bytes, and that of a work folder is not.
        self._socket = tempfile.mkdtemp(prefix="cdr-pg-")
        self.folder.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            owner = pwd.getpwnam(str(_owner()))
            for folder in (self._socket, self.folder):
                os.chown(folder, owner.pw_uid, owner.pw_gid)
        if not self._data.exists():
            self._run(
                "initdb", "-D", self._data, "-U", "bench", "--auth=trust", "--locale=C", "--encoding=UTF8"
            )
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        settings = {
            "listen_addresses": "''",
            "unix_socket_directories": f"'{self._socket}'",
            "shared_buffers": f"{memory // 4}MB",
            "effective_cache_size": f"{memory // 2}MB",
            "maintenance_work_mem": f"{min(memory // 16, 1024)}MB",
            "work_mem": "64MB",
            "max_wal_size": "8GB",
            "random_page_cost": "1.1",
        }
        (self._data / "postgresql.auto.conf").write_text(
            "".join(f"{name} = {value}\n" for name, value in settings.items())
        )
        self._run("pg_ctl", "-D", self._data, "-l", self.folder / "log", "-w", "-t", "120", "start")
        options = {"host": self._socket, "user": "bench", "dbname": "postgres", "autocommit": True}
        self._connection = psycopg.connect(**options, options="-c timezone=UTC", prepare_threshold=0)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _run(self, program: str, *arguments: str | Path) -> None:
        # The server inherits the output: reading from a pipe would block until the server ends.
        path = self.folder / "setup.log"
        with path.open("wb") as log:
            done = subprocess.run(
                [f"{_programs()}/{program}", *arguments],
                user=_owner() if os.geteuid() == 0 else None,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
            )
        if done.returncode:
            raise RuntimeError(f"{program} of PostgreSQL failed: {path.read_text(errors='replace')}")

    def load(self, tables: Iterable[pa.Table]) -> bool:
        self._connection.execute(f"CREATE TABLE calls ({sql.columns_of(_TYPES)})")
        for table in tables:
            self._copy(table)
        for columns in _INDEXES:
            self._connection.execute(f"CREATE INDEX ON calls ({columns})")
        return True

    def _copy(self, table: pa.Table) -> None:
        data = io.BytesIO()
        pl.DataFrame(pl.from_arrow(table)).write_csv(data, include_header=False, datetime_format=_INSTANT)
        with self._connection.cursor().copy("COPY calls FROM STDIN (FORMAT csv)") as copy:
            copy.write(data.getbuffer())

    def settle(self) -> None:
        self._connection.execute("VACUUM (ANALYZE) calls")
        self._connection.execute("CHECKPOINT")

    def size_bytes(self) -> int | None:
        found = self._connection.execute("SELECT pg_total_relation_size('calls')").fetchone()
        assert found is not None
        return int(found[0])

    def questions(self) -> dict[str, Question]:
        asked, dialect = self.calls.asked, _DIALECT
        customer = {"customer": asked.customer}
        return {
            "page": lambda: self._shown(sql.page(dialect), sql.page_values(asked, asked.customer)),
            "page_quiet": lambda: self._shown(
                sql.page(dialect), sql.page_values(asked, asked.quiet_customer)
            ),
            "number_5": lambda: self._shown(sql.number(dialect), {"number": asked.five}),
            "number_50": lambda: self._shown(sql.number(dialect), {"number": asked.fifty}),
            "prefix": lambda: self._shown(sql.prefix(dialect), sql.prefix_values(asked)),
            "totals": lambda: sql.totals_table(self._rows(sql.totals(dialect, of_customer=False), {})),
            "totals_customer": lambda: sql.totals_table(
                self._rows(sql.totals(dialect, of_customer=True), customer)
            ),
            "count": lambda: int(self._rows(sql.count(dialect), sql.month_values(asked))[0][0]),
            "csv": self._export,
        }

    def _rows(self, statement: str, values: dict[str, Any]) -> list[Any]:
        with self._connection.cursor(binary=True) as cursor:
            rows: list[Any] = cursor.execute(statement, values).fetchall()
            return rows

    def _shown(self, statement: str, values: dict[str, Any]) -> pa.Table:
        return sql.shown_table(self._rows(statement, values))

    def _export(self) -> Path:
        path = self.folder.with_suffix(".csv")
        literals = sql.Dialect(placeholder=lambda name: f"%({name})s::timestamptz", day="")
        statement = sql.export(literals, lambda name: f'c."{name}"')
        values = {name: value.isoformat() for name, value in sql.month_values(self.calls.asked).items()}
        copying = f"COPY ({statement}) TO STDOUT (FORMAT csv, HEADER)"
        with path.open("wb") as file, self._connection.cursor().copy(copying, values) as copy:
            for data in copy:
                file.write(data)
        return path

    def appender(self) -> Appender | None:
        return self._copy

    def tidy(self) -> None:
        self._connection.execute('DELETE FROM calls WHERE "start" >= %s', [END])
        self._connection.execute("VACUUM calls")

    def close(self) -> None:
        self._connection.close()
        self._run("pg_ctl", "-D", self._data, "-m", "fast", "-w", "stop")
        shutil.rmtree(self._socket, ignore_errors=True)


def _programs() -> Path | None:
    """Return the folder with the programs of the newest version."""
    versions = [path for path in _VERSIONS.glob("*") if (path / "bin" / "initdb").exists()]
    return max(versions, key=lambda path: int(path.name)) / "bin" if versions else None


def _owner() -> str | None:
    """Return the user that runs the server. Root is not allowed."""
    if os.geteuid():
        return pwd.getpwuid(os.geteuid()).pw_name
    return "postgres" if any(user.pw_name == "postgres" for user in pwd.getpwall()) else None
