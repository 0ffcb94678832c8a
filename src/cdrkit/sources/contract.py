"""What a source is: a callable from a stream of bytes to batches of rows, good ones and rejected ones.

That is all a source need be. One that needs to see several files together, because a call's rows may lie in two
of them or because each file holds one call, offers ``read_all`` as well (`JoiningSource`); and the factory of one
that can tell its format from a file's first bytes offers ``sniff`` (`Sniff`).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import IO, Any, Final, Protocol, runtime_checkable

import attrs
import polars as pl

from cdrkit.errors import CdrError

__all__ = [
    "CONTRADICTIONS",
    "DatabaseSource",
    "JoiningSource",
    "OwnStream",
    "PendingCall",
    "Reject",
    "Sniff",
    "Source",
    "SourceBatch",
    "SourceInput",
    "is_only_input",
]

#: What can contradict itself in a row, and what is done then.
CONTRADICTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "answer_before_start": "kept as written; ring_duration is left empty",
        "end_before_start": "kept as written",
        "end_before_answer": "kept as written",
        "talk_longer_than_call": "kept as the switch states it",
        "negative_length": "the row is rejected",
    }
)


@attrs.frozen
class Reject:
    """A row that could not be taken, and why.

    Attributes:
        row: The number of the line on which the row starts, counted from 1; of a document, its place in its input.
        reason: One plain sentence.
        text: The row itself, without its line end. It was decoded as UTF-8 with ``surrogateescape``, whatever
            the file's encoding, so ``text.encode("utf-8", "surrogateescape")`` gives its bytes back exactly.
        input: The input that it is in, where there are several; empty: the one there is.
    """

    row: int
    reason: str
    text: str
    input: str = ""

    def __str__(self) -> str:
        return f"{_place(self.input, self.row)}: {self.reason}"


@attrs.frozen
class PendingCall:
    """A call that is not complete yet, and therefore not stored.

    Attributes:
        call: What identifies it in its native format.
        reason: What is missing, in one plain sentence.
        row: The number of the line on which its first row starts.
        rows: How many rows of it were read.
        input: The input that it is in, where there are several; empty: the one there is.
        text: Its rows, a line each, as the text of a `Reject`: whoever follows a file reads them again with those
            that come later. Empty where they are not needed, because a later row will hold all of the call.
    """

    call: str
    reason: str
    row: int
    rows: int = 1
    input: str = ""
    text: str = ""

    def __str__(self) -> str:
        return f"{_place(self.input, self.row)}, {self.call}: {self.reason}"


def _place(input: str, row: int) -> str:
    return f"{input}, row {row}" if input else f"row {row}"


@attrs.frozen(kw_only=True)
class SourceBatch:
    """Some rows of a file, in its order.

    Attributes:
        frame: The good rows; its columns are fields of the catalogue.
        rejects: The rows that cannot be taken.
        pending: Calls whose other rows are not there yet; a source gives them in its last batch.
        merged: How many rows are in *frame* only as a part of another one's call.
        contradictions: How many of the rejected rows contradict themselves, by kind; those of *frame* are
            counted by whoever called the source.
        repeated_hour: How many local stamps of the good rows fell into an hour that the clock went through
            twice.
        missing_hour: How many of them fell into an hour that the clock skipped.
        bytes_read: How far into the stream the batch reaches; over several inputs, how far into all of them.
        header: The lines above the rows that they are read by, where there are any, such as the one of names: without
            the last one's end, decoded as the text of a `Reject` is. Rejects are written below them, and so are rows
            that come later.
    """

    frame: pl.DataFrame
    rejects: tuple[Reject, ...] = ()
    pending: tuple[PendingCall, ...] = ()
    merged: int = 0
    contradictions: Mapping[str, int] = attrs.field(factory=dict, hash=False)
    repeated_hour: int = 0
    missing_hour: int = 0
    bytes_read: int = 0
    header: str = ""

    @property
    def read(self) -> int:
        """How many rows were read for this batch: good, joined to another, rejected and held back."""
        held = sum(call.rows for call in self.pending)
        return self.frame.height + self.merged + len(self.rejects) + held


@attrs.frozen(kw_only=True)
class SourceInput:
    """One of the inputs of a source: a file, a member of an archive, a document.

    Attributes:
        name: What people call it.
        stream: Its bytes, decompressed; to be read before the next input is asked for.
    """

    name: str
    stream: IO[bytes]


def is_only_input(opened: int, rest: Iterator[object]) -> bool:
    """Return whether an input is the only one: then whoever handed it in names it, and an error here need not.

    Args:
        opened: How many there were so far, it included.
        rest: Those after it, of which one is taken: ask when no more will be read.
    """
    try:
        return opened == 1 and next(rest, None) is None
    except CdrError:  # there is one, which cannot be opened
        return False


class OwnStream(io.BufferedReader):
    """A stream that cdrkit opened: as nobody else uses it, another thread may read it."""


class Source(Protocol):
    """Reads one format: called with a stream of bytes, it yields batches whose memory is bounded.

    It reads and nothing else: no number is normalised, no price computed, nothing stored. A row is in a
    batch's ``frame`` or in its ``rejects``, joined to one in ``frame`` and counted in ``merged``, or among those of
    ``pending``; never in none of them. The same row gets the same ``call_id`` at each reading, and every native
    column without a field goes into ``extra``.
    """

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield what *stream* holds.

        Raises:
            SchemaError: When it is empty or not of this format at all.
            ConfigError: When an option is needed that only the rows could tell.
        """
        ...


@runtime_checkable
class JoiningSource(Source, Protocol):
    """A source that reads all inputs of one ingest together, instead of one after the other."""

    def read_all(self, inputs: Iterable[SourceInput], /) -> Iterator[SourceBatch]:
        """Yield what *inputs* hold, having read each before asking for the next.

        Rejects and calls held back name the input that they are in.

        Raises:
            SchemaError: When none of them has anything of this format.
            ConfigError: When an option is needed that only the rows could tell.
        """
        ...


@runtime_checkable
class DatabaseSource(Source, Protocol):
    """A source that reads a table of a database as well."""

    def read_connection(self, connection: Any, /) -> Iterator[SourceBatch]:
        """Yield what is in the table.

        Args:
            connection: A connection as PEP 249 (DB-API 2.0) has it, which ADBC's is, too; it stays open.

        Raises:
            StorageError: When the database fails.
            SchemaError: When it has no such table, or that lacks a column.
        """
        ...


class Sniff(Protocol):
    """Tells whether a file may be of a format; the format's factory has it as its static method ``sniff``."""

    def __call__(self, head: bytes, name: str, /) -> str | None:
        """Return why a file fits, in a few words ("18 columns, the start in column 10"), or None.

        Args:
            head: Its first bytes, decompressed, 64 KiB at most; the last line may be cut off.
            name: Its name.
        """
        ...
