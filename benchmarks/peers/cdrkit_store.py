"""cdrkit itself: a hot store, and a copy whose calls move to the warm tier."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pyarrow as pa

import cdrkit
from cdrkit import Query

from .. import sql
from ..data import END, NUMBER_COLUMNS
from ._peer import Appender, Peer, Question, folder_bytes

#: An instant at which every month of the calls is due for the move to warm.
LATER: Final = END + dt.timedelta(days=200)


class Cdrkit(Peer):
    """The library under test."""

    name = "cdrkit"
    kept = False

    def load(self, tables: Iterable[pa.Table]) -> bool:
        store = cdrkit.open_store(self.folder, region="GB")
        report = store.append(table.drop_columns(NUMBER_COLUMNS) for table in tables)
        assert report.added == self.calls.rows, report
        return True

    def size_bytes(self) -> int | None:
        return folder_bytes(self.folder)

    def roll_over(self, folder: Path) -> None:
        """Move all calls of the store in *folder* to its warm tier."""
        report = cdrkit.open_store(folder).maintenance.move_to_warm(now=LATER)
        assert report.rows == self.calls.rows, report

    def copied(self, name: str) -> Path:
        """Return a copy of the store. Links are enough, because segments and log never change."""
        folder = self.calls.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder, copy_function=os.link)
        return folder

    def questions(self) -> dict[str, Question]:
        asked = self.calls.asked
        store = cdrkit.open_store(self.folder)
        shown = Query().columns(*sql.SHOWN).newest_first()
        connected = Query().connected().between(asked.month, asked.until)
        exported = Query().columns(*sql.EXPORTED)
        csv = self.folder.with_suffix(".csv")

        def page(customer: str) -> pa.Table:
            query = shown.customer(customer).connected().between(asked.week, asked.until)
            return store.run(query.limit(sql.PAGE_SIZE)).to_arrow()

        def export(query: Query, path: Path) -> Path:
            if path.exists() and not path.is_file():
                with path.open("wb") as file:
                    store.run(query).write_csv(file)
            else:
                store.run(query).write_csv(path)
            return path

        questions: dict[str, Question] = {
            "page": lambda: page(asked.customer),
            "page_quiet": lambda: page(asked.quiet_customer),
            "number_5": lambda: store.run(shown.number(asked.five)).to_arrow(),
            "number_50": lambda: store.run(shown.number(asked.fifty)).to_arrow(),
            "prefix": lambda: store.run(shown.number(f"{asked.prefix}*")).to_arrow(),
            "totals": lambda: store.daily_totals().to_arrow(),
            "totals_customer": lambda: store.daily_totals(Query().customer(asked.customer)).to_arrow(),
            "count": lambda: store.count(connected),
            "csv": lambda: export(connected.columns(*sql.EXPORTED), csv),
            "csv_tenth": lambda: export(
                exported.between(END - dt.timedelta(days=10), asked.until), Path("/dev/null")
            ),
            "csv_all": lambda: export(exported, Path("/dev/null")),
        }
        if self.calls.warm.exists():
            warm = cdrkit.open_store(self.calls.warm.parent)
            questions["warm_5"] = lambda: warm.run(shown.number(asked.five)).to_arrow()
            questions["warm_50"] = lambda: warm.run(shown.number(asked.fifty)).to_arrow()
        return questions

    def appender(self) -> Appender | None:
        store = cdrkit.open_store(self.copied("cdrkit-append"))
        return lambda calls: store.append(calls.drop_columns(NUMBER_COLUMNS))

    def tidy(self) -> None:
        shutil.rmtree(self.calls.folder / "cdrkit-append", ignore_errors=True)
