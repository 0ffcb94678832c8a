"""What every peer is to the rest."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar, TypeAlias

import pyarrow as pa

from ..data import Calls

#: Calls or totals, a count, or a CSV file.
Answer: TypeAlias = "pa.Table | int | Path"
Question: TypeAlias = Callable[[], Answer]
Appender: TypeAlias = Callable[[pa.Table], object]


class Peer:
    """Something that people would keep calls in. It has a folder of its own beside the calls.

    Attributes:
        name: As the option ``--peers`` and the columns of the report have it.
        modules: What must be installed.
        kept: Whether what it loaded in an earlier run will do; not where the library itself is under test.
    """

    name: ClassVar[str]
    modules: ClassVar[tuple[str, ...]] = ()
    kept: ClassVar[bool] = True

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.folder = calls.folder / self.name

    @classmethod
    def missing(cls) -> str | None:
        """Return why it cannot take part, or None."""
        absent = [name for name in cls.modules if importlib.util.find_spec(name) is None]
        return f"not installed: {', '.join(absent)}" if absent else None

    def version(self) -> str:
        """Return the version that takes part."""
        return importlib.metadata.version(self.modules[0] if self.modules else self.name)

    def start(self) -> None:
        """Make it ready to take or to answer, untimed."""

    def load(self, tables: Iterable[pa.Table]) -> bool:
        """Bring the calls in, with indexes; return whether there was anything to do: not, where files will do."""
        return False

    def settle(self) -> None:
        """Do what a user's database would have done by the first question, untimed."""

    def size_bytes(self) -> int | None:
        """Return the room that the calls take with their indexes, or None where that says nothing."""
        return folder_bytes(self.folder)

    def questions(self) -> dict[str, Question]:
        """Return how it answers, by the work's name; a work that is not in it is not asked of it."""
        return {}

    def appender(self) -> Appender | None:
        """Return what appends 100 calls durably: when it returns, they outlive loss of power."""
        return None

    def tidy(self) -> None:
        """Take appended calls out again."""

    def close(self) -> None:
        """End it."""


def folder_bytes(folder: Path) -> int:
    """Return how many bytes the files below *folder* have."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
