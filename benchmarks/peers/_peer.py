"""The base class of the peers."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar, TypeAlias

import pyarrow as pa

from ..data import Calls

#: A result: calls or totals, a count, or a CSV file.
Answer: TypeAlias = "pa.Table | int | Path"
Question: TypeAlias = Callable[[], Answer]
Appender: TypeAlias = Callable[[pa.Table], object]


class Peer:
    """A database or library that can store calls. It has its own folder beside the calls.

    Attributes:
        name: The name for the option ``--peers`` and the columns of the report.
        modules: The Python modules that must be installed.
        kept: Whether the data of an earlier run are used again. False for cdrkit, which is under test.
    """

    name: ClassVar[str]
    modules: ClassVar[tuple[str, ...]] = ()
    kept: ClassVar[bool] = True

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.folder = calls.folder / self.name

    @classmethod
    def missing(cls) -> str | None:
        """Return the reason why the peer cannot run, or None."""
        absent = [name for name in cls.modules if importlib.util.find_spec(name) is None]
        return f"not installed: {', '.join(absent)}" if absent else None

    def version(self) -> str:
        """Return the version of the peer."""
        return importlib.metadata.version(self.modules[0] if self.modules else self.name)

    def start(self) -> None:
        """Prepare for loads and queries. The time is not measured."""

    def load(self, tables: Iterable[pa.Table]) -> bool:
        """Load the calls and build indexes. Return False if the peer reads the files directly."""
        return False

    def settle(self) -> None:
        """Do background work before the first query, such as statistics. The time is not measured."""

    def size_bytes(self) -> int | None:
        """Return the size of calls and indexes in bytes, or None if it cannot be compared."""
        return folder_bytes(self.folder)

    def questions(self) -> dict[str, Question]:
        """Return a function for each supported query, by the name of the task."""
        return {}

    def appender(self) -> Appender | None:
        """Return a function that appends 100 calls so that they survive a power failure, or None."""
        return None

    def tidy(self) -> None:
        """Remove the appended calls."""

    def close(self) -> None:
        """Stop the peer."""


def folder_bytes(folder: Path) -> int:
    """Return the total size of the files below *folder*, in bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
