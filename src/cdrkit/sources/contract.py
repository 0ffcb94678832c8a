"""The interface of a source, which converts bytes into batches of calls.

Every source is a `Source`. A source that needs several inputs at once is a `JoiningSource` as well. For example, a
call may have rows in two files, or each file may contain a single call. A source that reads tables of databases is a
`DatabaseSource`. The factory of a source that detects its format has a static method ``sniff`` (`Sniff`).
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

#: The kinds of contradiction in a row, each with the treatment of such a row.
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
    """A row that a source could not read, with the reason.

    Example:
        >>> from cdrkit.sources import Reject
        >>> print(Reject(7, "The start time is missing.", "2041,2042,,34"))
        row 7: The start time is missing.

    Attributes:
        row: The number of the line on which the row starts, counted from 1. For a document, its number in the input.
        reason: The reason, in one plain sentence.
        text: The row itself, without its line end. It is decoded as UTF-8 with ``surrogateescape``, whatever the
            encoding of the file: ``text.encode("utf-8", "surrogateescape")`` returns the bytes of the row.
        input: The name of the input that has the row; empty if there is only one input.
    """

    row: int
    reason: str
    text: str
    input: str = ""

    def __str__(self) -> str:
        """Return the location of the row, and the reason why it was rejected."""
        return f"{_location(self.input, self.row)}: {self.reason}"


@attrs.frozen
class PendingCall:
    """A call that a source could read only in part.

    A pending call is not stored. An example is a call whose end is missing.

    Example:
        >>> from cdrkit.sources import PendingCall
        >>> print(PendingCall("a84b4c76e667", "The BYE is missing.", 12))
        row 12, a84b4c76e667: The BYE is missing.

    Attributes:
        call: The native identifier of the call.
        reason: The missing part, in one plain sentence.
        row: The number of the line on which the first row of the call starts, counted from 1.
        rows: The number of rows of the call that were read.
        input: The name of the input that has the rows; empty if there is only one input.
        text: The rows of the call, one per line, decoded like the text of a `Reject`. If a file is followed, the
            rows are read again together with later rows. Empty if a later row will contain the whole call.
    """

    call: str
    reason: str
    row: int
    rows: int = 1
    input: str = ""
    text: str = ""

    def __str__(self) -> str:
        """Return the call's input, row and identifier, and why the call is pending."""
        return f"{_location(self.input, self.row)}, {self.call}: {self.reason}"


def _location(input: str, row: int) -> str:
    return f"{input}, row {row}" if input else f"row {row}"


@attrs.frozen(kw_only=True)
class SourceBatch:
    """A batch of a file's rows, in file order.

    Example:
        >>> import polars as pl
        >>> from cdrkit.sources import Reject, SourceBatch
        >>> frame = pl.DataFrame({"call_id": ["a", "b"]})
        >>> SourceBatch(frame=frame, rejects=(Reject(3, "The start time is missing.", "c,"),)).read
        3

    Attributes:
        frame: The good rows. Its columns are fields of the catalogue.
        rejects: The rows that the source could not read.
        pending: The calls that were read only in part. A source reports them in its last batch.
        merged: The number of rows that complete the other rows of a call in *frame*.
        contradictions: The number of rejects that contradict themselves, by kind; see `CONTRADICTIONS`. The caller of
            the source counts the contradictions in *frame*.
        repeated_hour: The number of local times in an hour that occurs twice, because clocks go back. Only good rows
            count.
        missing_hour: The number of local times in an hour that does not exist, because clocks go forward. Only good
            rows count.
        bytes_read: The number of bytes of the stream before the end of the batch. If the source reads several
            inputs, the number of bytes of all of them.
        header: The lines above the rows that a reader needs, such as the line of names; empty: no lines. The
            last line has no line end, and the lines are decoded like the text of a `Reject`. Rejects are written
            below the header, and rows that come later are read below it.
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
        """The number of all rows that were read: good, merged, rejected and pending.

        Example:
            >>> import polars as pl
            >>> from cdrkit.sources import SourceBatch
            >>> SourceBatch(frame=pl.DataFrame({"call_id": ["a"]}), merged=2).read
            3
        """
        pending_rows = sum(call.rows for call in self.pending)
        return self.frame.height + self.merged + len(self.rejects) + pending_rows


@attrs.frozen(kw_only=True)
class SourceInput:
    """One input of a source: a file, a member of an archive, or a document.

    Example:
        >>> import io
        >>> from cdrkit.sources import SourceInput
        >>> SourceInput(name="cdr_1.csv", stream=io.BytesIO(b"id,begin\\n")).name
        'cdr_1.csv'

    Attributes:
        name: The name of the input, for messages.
        stream: The decompressed bytes. They must be read before the next input is requested.
    """

    name: str
    stream: IO[bytes]


def is_only_input(opened: int, rest: Iterator[object]) -> bool:
    """Return whether the source has only one input.

    Errors about a single input need not name the input.

    Args:
        opened: The number of inputs opened so far, including this input.
        rest: The inputs after it. This function consumes one of them: call it when no more inputs will be read.
    """
    try:
        return opened == 1 and next(rest, None) is None
    except CdrError:  # Another input exists and cannot be opened.
        return False


class OwnStream(io.BufferedReader):
    """A stream that was opened by cdrkit, not by the caller.

    No other code uses the stream, so another thread may read it.
    """


class Source(Protocol):
    """A reader of one call record format.

    A source takes a stream of bytes and yields batches of limited size.

    A source only reads. It does not normalise numbers, compute prices or store calls. Every row of the stream is in
    the ``frame`` or the ``rejects`` of a batch, counts in ``merged``, or belongs to a call in ``pending``. A row has
    the same ``call_id`` each time it is read. Native columns that fill no field go into ``extra``.

    Example:
        >>> import io
        >>> import polars as pl
        >>> from cdrkit.sources import SourceBatch
        >>> def read_ids(stream):
        ...     yield SourceBatch(frame=pl.DataFrame({"call_id": stream.read().decode().split()}))
        >>> [batch.read for batch in read_ids(io.BytesIO(b"17 18"))]
        [2]
    """

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the rows of a stream in batches.

        Example:
            >>> import io
            >>> from cdrkit.sources import make_source
            >>> mapping = {"call_id": "id", "start": {"columns": "begin", "formats": ["epoch"]}}
            >>> source = make_source("generic", {"mapping": {"fields": mapping}})
            >>> [batch.read for batch in source(io.BytesIO(b"id,begin\\n17,1795341600\\n"))]
            [1]

        Args:
            stream: The decompressed bytes of one input.

        Raises:
            SchemaError: When the stream is empty or has another format.
            ConfigError: When the rows need an option that was not given.
        """
        ...


@runtime_checkable
class JoiningSource(Source, Protocol):
    """A source that reads all inputs of an ingest together.

    Example:
        >>> from cdrkit.sources import JoiningSource, make_source
        >>> isinstance(make_source("cucm", {}), JoiningSource)
        True
    """

    def read_all(self, inputs: Iterable[SourceInput], /) -> Iterator[SourceBatch]:
        """Yield the rows of all inputs in batches.

        Each reject and each pending call names the input that it comes from.

        Example:
            >>> import io
            >>> from cdrkit.sources import SourceInput, make_source
            >>> document = b'{"callflow": [], "variables": {"uuid": "17", "start_epoch": "1795341600"}}'
            >>> inputs = [SourceInput(name="17.json", stream=io.BytesIO(document))]
            >>> [batch.read for batch in make_source("freeswitch-json", {}).read_all(inputs)]
            [1]

        Args:
            inputs: The inputs. Each is read before the next is requested.

        Raises:
            SchemaError: When no input has rows of this format.
            ConfigError: When the rows need an option that was not given.
        """
        ...


@runtime_checkable
class DatabaseSource(Source, Protocol):
    """A source that can also read a database table.

    Example:
        >>> from cdrkit.sources import DatabaseSource, make_source
        >>> isinstance(make_source("freepbx", {"timezone": "Europe/London"}), DatabaseSource)
        True
    """

    def read_connection(self, connection: Any, /) -> Iterator[SourceBatch]:
        """Yield the rows of the database table in batches.

        Example:
            >>> import sqlite3
            >>> from cdrkit.sources import make_source
            >>> source = make_source("asterisk-sql", {"timezone": "Europe/London"})
            >>> list(source.read_connection(sqlite3.connect(":memory:")))
            Traceback (most recent call last):
            cdrkit.errors.StorageError: The database cannot be read: no such table: cdr. Nothing was stored.

        Args:
            connection: An open PEP 249 (DB-API 2.0) or ADBC connection. It stays open.

        Raises:
            StorageError: When the database fails, for example because the table does not exist.
            SchemaError: When the table lacks a column.
        """
        ...


class Sniff(Protocol):
    """A function that detects whether a file has a certain format.

    It is the static method ``sniff`` of the format's factory.

    Example:
        >>> from cdrkit.sources import find_factory
        >>> find_factory("twilio").sniff(b"name,age", "people.csv") is None
        True
    """

    def __call__(self, head: bytes, name: str, /) -> str | None:
        """Return the reason why a file matches the format, or None if it does not.

        An example of a reason is "18 columns, the start in column 10".

        Args:
            head: The first bytes of the decompressed file, at most 64 KiB. The last line may be cut off.
            name: The name of the file.
        """
        ...
