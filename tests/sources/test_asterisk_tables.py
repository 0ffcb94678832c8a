"""Asterisk's columns in other orders: cdr_custom, dumps of its tables, and the tables themselves."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdrkit import open_store
from cdrkit.errors import ConfigError, SchemaError, StorageError
from cdrkit.sources import SourceBatch, make_source
from tests.sources.test_asterisk import LAYOUTS, ROW, line

SAMPLE = (
    *(
        "clid",
        "src",
        "dst",
        "dcontext",
        "channel",
        "dstchannel",
        "lastapp",
        "lastdata",
        "start",
        "answer",
        "end",
    ),
    *("duration", "billsec", "disposition", "amaflags", "accountcode", "uniqueid", "userfield", "sequence"),
)
FREEPBX = (
    *(
        "calldate",
        "clid",
        "src",
        "dst",
        "dcontext",
        "channel",
        "dstchannel",
        "lastapp",
        "lastdata",
        "duration",
    ),
    *(
        "billsec",
        "disposition",
        "amaflags",
        "accountcode",
        "uniqueid",
        "userfield",
        "did",
        "recordingfile",
        "cnum",
    ),
    *("cnam", "outbound_cnum", "outbound_cnam", "dst_cnam", "linkedid", "peeraccount", "sequence"),
)
ADDED = {
    "calldate": ROW["start"],
    "did": "02079460099",
    "recordingfile": "out.wav",
    "cnum": "2041",
    "cnam": "Ann B",
}


def read(data: str, format: str, **options: Any) -> SourceBatch:
    """Return the one batch of *data*."""
    [batch] = make_source(format, {"timezone": "UTC"} | options)(io.BytesIO(data.encode()))
    return batch


def dump(names: Sequence[str], rows: Sequence[dict[str, str]], separator: str = ",") -> str:
    """Return a dump with names on top, as the standard library writes it."""
    page = io.StringIO(newline="")
    writer = csv.writer(page, delimiter=separator)
    writer.writerow(names)
    writer.writerows([[(ROW | ADDED | row).get(name, "") for name in names] for row in rows])
    return page.getvalue()


def meant(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Return what calls mean, whatever brought them."""
    return [
        row | {"extra": json.loads(row["extra"])}
        for row in frame.drop("call_id", "origin").iter_rows(named=True)
    ]


texts = st.text(st.sampled_from('ab",;\t \u00e9<>'), max_size=8)
rows = st.lists(
    st.fixed_dictionaries({"clid": texts, "src": texts, "lastdata": texts, "userfield": texts}),
    min_size=1,
    max_size=5,
)


@settings(max_examples=25)
@given(rows)
def test_the_order_of_columns_means_nothing(rows: list[dict[str, str]]) -> None:
    """A row gives the same call from cdr_csv, cdr_custom in any order, and a dump with any separator."""
    full = [ROW | row for row in rows]
    named = LAYOUTS[21]
    want = meant(read("\n".join(line(named, **row) for row in full) + "\n", "asterisk-csv").frame)
    for columns in (SAMPLE, tuple(reversed(named))):
        data = "\n".join(line(columns, **row) for row in full) + "\n"
        found = meant(read(data, "asterisk-custom", columns=",".join(columns)).frame)
        left = set(named) - set(columns)
        for call, wanted in zip(found, want, strict=True):
            linked = wanted["linked_id"] if "linkedid" not in left else ROW["uniqueid"]
            extra = {name: value for name, value in wanted["extra"].items() if name not in left}
            assert call == wanted | {"linked_id": linked, "extra": extra}
    for separator in (",", ";", "\t"):
        batch = read(dump(named, full, separator), "asterisk-sql")
        assert batch.rejects == ()
        assert meant(batch.frame) == want


@pytest.mark.parametrize("count", [16, 18, 19, 21])
def test_every_count_of_columns(count: int) -> None:
    """cdr_csv with any settings is detected; the position of the start distinguishes it from cdr_custom."""
    from cdrkit.sources import detect

    data = (line(LAYOUTS[count]) + "\n").encode()
    assert detect(data).format == "asterisk-csv"
    assert detect((line(SAMPLE) + "\n").encode()).format == "asterisk-custom"


def test_freepbx() -> None:
    """FreePBX's columns fill their fields, and a table without answer and end has them by Asterisk's definitions."""
    [batch] = make_source("freepbx", {"timezone": "Europe/London"})(
        io.BytesIO(dump(FREEPBX, [{}, {"billsec": "0", "disposition": "NO ANSWER"}]).encode())
    )
    call, missed = batch.frame.iter_rows(named=True)
    assert (call["start"], call["answer"], call["end"]) == tuple(
        datetime(2026, 11, 22, 9, 0, second, tzinfo=UTC) for second in (0, 4, 38)
    )
    assert (missed["answer"], missed["end"]) == (None, call["end"])
    assert (call["did"], call["recording"], call["source_name"]) == ("02079460099", "out.wav", "Ann B")
    assert (call["duration"], call["ring_duration"], missed["ring_duration"]) == (34, 4.0, 38.0)
    assert json.loads(call["extra"])["cnum"] == "2041"


def test_nothing_in_dumps() -> None:
    """NULL and \\N are nothing; a fraction of a second is kept; names are found whatever their capitals."""
    data = dump(FREEPBX, [{"clid": "NULL", "cnam": "\\N", "calldate": "2026-11-22 09:00:00.25"}]).upper()
    [call] = read(data, "freepbx").frame.iter_rows(named=True)
    assert call["source_name"] is None
    assert call["start"] == datetime(2026, 11, 22, 9, 0, 0, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("format", "data", "says"),
    [
        ("asterisk-sql", "", "empty"),
        ("asterisk-sql", "a,b,c\n1,2,3\n", "Column 'start' is missing"),
        ("asterisk-sql", '"start,duration,billsec\n', "column names is invalid"),
        ("asterisk-sql", "start,calldate,duration,billsec\n1,2,3,4\n", "same name"),
        ("asterisk-sql", "start,duration,billsec\nx,y,z\n", "None|is not a row"),
        ("asterisk-custom", "a,b\n", "19"),
    ],
)
def test_what_is_no_table(format: str, data: str, says: str) -> None:
    """A file that is no such table says what it lacks."""
    with pytest.raises(SchemaError, match=says):
        read(data, format)


@pytest.mark.parametrize(
    ("format", "options", "says"),
    [
        ("asterisk-sql", {"timezone": None}, "without an offset"),
        ("asterisk-custom", {"columns": "start,start,duration,billsec"}, "Give each column once"),
        ("asterisk-custom", {"columns": "start,duration,billsec,colour"}, "colour"),
        (
            "asterisk-custom",
            {"columns": "start,duration,billsec", "customer_column": "accountcode"},
            "accountcode",
        ),
    ],
)
def test_bad_options(format: str, options: dict[str, Any], says: str) -> None:
    """An option that cannot work is refused when the source is made."""
    with pytest.raises(ConfigError, match=says):
        make_source(format, {"timezone": "UTC"} | options)


# -- databases ------------------------------------------------


def test_a_database_gives_what_its_dump_gives(tmp_path: Path) -> None:
    """The live table and its dump give equal calls; rejected rows can be corrected and ingested as a dump."""
    rows = [
        {
            "uniqueid": f"17.{n}",
            "calldate": f"2026-11-22 09:{n % 60:02}:00",
            "billsec": "-1" if n == 7 else "34",
        }
        for n in range(25_000)
    ]
    with closing(sqlite3.connect(tmp_path / "cdr.db")) as connection:
        connection.execute(f"CREATE TABLE cdr ({', '.join(f'{name} TEXT' for name in FREEPBX)}, row INTEGER)")
        connection.executemany(
            f"INSERT INTO cdr VALUES ({', '.join('?' * len(FREEPBX))}, NULL)",
            [[(ROW | ADDED | row).get(name) for name in FREEPBX] for row in rows],
        )
        live = open_store("memory://live-table")
        report = live.ingest(connection, format="freepbx", timezone="Europe/London")
        assert (report.read, report.added, report.rejected) == (25_000, 24_999, 1)
        assert report.contradictions == {"negative_length": 1}
        some = live.ingest(
            connection,
            format="freepbx",
            timezone="Europe/London",
            query="SELECT * FROM cdr WHERE uniqueid = '17.3'",
        )
        assert (some.read, some.duplicates) == (1, 1)
        report.write_rejects(tmp_path / "raw.csv", raw=True)
        corrected = (tmp_path / "raw.csv").read_bytes().replace(b",-1,", b",34,")
        assert live.ingest(corrected, format="freepbx", timezone="Europe/London").added == 1
        for query in ("SELECT 1", "SELECT", "SELECT * FROM nowhere"):
            with pytest.raises((SchemaError, StorageError)):
                live.ingest(connection, format="freepbx", timezone="UTC", query=query)
        with pytest.raises(ConfigError, match="cannot be read from a database"):
            live.ingest(connection, format="asterisk-csv", timezone="UTC")
        assert connection.execute("SELECT count(*) FROM cdr").fetchone() == (25_000,)  # it is still open
    dumped = open_store("memory://dumped-table")
    data = dump(FREEPBX, [row | {"billsec": "34"} for row in rows])
    dumped.ingest(data.encode(), format="freepbx", timezone="Europe/London")
    assert live.run().to_polars().equals(dumped.run().to_polars())


TYPED = {
    "calldate": "DATETIME",
    "answer": "DATETIME",
    "end": "DATETIME",
    "duration": "INTEGER",
    "billsec": "INTEGER",
}


def test_a_database_by_adbc(tmp_path: Path) -> None:
    """A table read by an ADBC driver gives the calls and the rejects that it gives by one of PEP 249."""
    adbc = pytest.importorskip("adbc_driver_sqlite.dbapi")
    names = [name for name in FREEPBX if name != "sequence"]
    rows = [
        ROW
        | ADDED
        | {
            "uniqueid": f"17.{n}",
            "calldate": f"2026-10-25 {n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}",  # clocks change
            "clid": f'"Zoë ""{n}""" <2041>' if n % 5 else "",
            "userfield": "gr\u00f6\u00dfe, 100 %\nline",
        }
        for n in range(12_000)
    ]
    columns = ", ".join(f'"{name}" {TYPED.get(name, "VARCHAR(80)")}' for name in names)
    nothing = {name: 3 + at for at, name in enumerate(("did", "userfield", "recordingfile", "billsec"))}
    with closing(sqlite3.connect(tmp_path / "cdr.db")) as connection:
        connection.execute(f"CREATE TABLE cdr ({columns})")
        connection.executemany(
            f"INSERT INTO cdr VALUES ({', '.join('?' * len(names))})",
            [
                [None if n % 400 == nothing.get(name) else row.get(name) for name in names]
                for n, row in enumerate(rows)
            ],
        )
        connection.commit()
        plain = open_store("memory://by-sqlite3")
        expected = plain.ingest(connection, format="freepbx", timezone="Europe/London")
    assert (expected.read, expected.rejected) == (12_000, 30)
    with adbc.connect(str(tmp_path / "cdr.db")) as connection:
        store = open_store("memory://by-adbc")
        report = store.ingest(connection, format="freepbx", timezone="Europe/London")
        assert report.to_dict() == expected.to_dict()
        assert report.rejects == expected.rejects
        assert store.run().to_polars().equals(plain.run().to_polars())
        assert store.ingest(connection, format="freepbx", timezone="Europe/London").duplicates == 11_970
        with pytest.raises(StorageError, match="no such table"):
            store.ingest(connection, format="freepbx", timezone="UTC", query="SELECT * FROM nowhere")
        # The driver takes a column's type from its first thousand rows.
        late = "SELECT *, CASE WHEN rowid > 5000 THEN 'late' END AS note FROM cdr"
        fresh = open_store("memory://by-adbc-late")
        with pytest.raises(StorageError, match="Type mismatch.* Nothing was stored"):
            fresh.ingest(connection, format="freepbx", timezone="UTC", query=late)
        assert not fresh.exists
        explicit = late.replace("END AS", "ELSE '' END AS")
        assert fresh.ingest(connection, format="freepbx", timezone="UTC", query=explicit).added == 11_970


def test_values_of_drivers() -> None:
    """Datetimes with and without a zone, numbers, bytes and nothing, as drivers give them, are read as text is."""

    class Cursor:
        """What a driver's cursor is to its caller."""

        description = tuple((name,) for name in ("calldate", "src", "duration", "billsec", "clid", "dst"))

        def execute(self, query: str) -> None:
            self.rows = [
                (datetime(2026, 7, 22, 9), 2041, 38, 34, None, b"2042"),
                (datetime(2026, 7, 22, 8, tzinfo=UTC), "2041", 38.0, "34", "", "2042"),
            ]

        def fetchmany(self, size: int) -> list[Any]:
            given, self.rows = self.rows[:size], self.rows[size:]
            return given

        def close(self) -> None:
            self.rows = []

    class Connection:
        """What a driver's connection is to its caller."""

        def cursor(self) -> Cursor:
            return Cursor()

    store = open_store("memory://drivers")
    report = store.ingest(Connection(), format="asterisk-sql", timezone="Europe/London")
    assert (report.added, report.duplicates) == (1, 1)
    [call] = store.run()
    assert (call.start, call.source, call.destination) == (
        datetime(2026, 7, 22, 8, tzinfo=UTC),
        "2041",
        "2042",
    )
