"""Ingesting a file: from a source's batches to one append, and the report of what became of every row."""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, Literal, TypeAlias

import attrs
import polars as pl

from ._csv import guarded
from ._rendering import visible
from ._tables import conformed
from .errors import CdrError, ConfigError, SchemaError, StorageError
from .sources import HeldBack, Reject, Source, SourceBatch
from .storage import Append, AppendReport, open_files, split_url

__all__ = ["IngestReport", "Input", "Progress", "ingest_stream", "opened"]

#: Called with the bytes read so far and the bytes there are (None where that is not known).
Progress: TypeAlias = Callable[[int, int | None], None]
#: A path, a URL, the bytes themselves, or a file opened for reading bytes.
Input: TypeAlias = "str | os.PathLike[str] | bytes | IO[bytes]"


@attrs.frozen(kw_only=True)
class IngestReport(AppendReport):
    """What became of every row that was read.

    ``read`` is ``added + duplicates + conflicts + rejected + merged + waiting``; most formats have a row a call, and
    the last two are 0. (With ``on_conflict="replace"``, rows of the file that a later row of it replaced are in
    ``replaced`` instead.)

    Attributes:
        source: What was read.
        format: The source format.
        inputs: How many files, members of archives or documents that was.
        read: Rows in them.
        rejects: The rows that could not be taken, each with its number in the file, the reason and the row itself.
        held_back: Calls that are still open, with what identifies them: not stored, ingest them again later.
        merged: Rows that are a part of another row's call, such as the end of a call whose beginning is one, too.
        repeated_hour: Local stamps that fell into an hour that the clock went through twice.
        missing_hour: Local stamps that fell into an hour that the clock skipped.
        contradictions: How many rows contradict themselves, by kind; `cdrkit.sources.CONTRADICTIONS` says what was
            done.
    """

    source: str = ""
    format: str = ""
    inputs: int = 1
    read: int = 0
    rejects: tuple[Reject, ...] = ()
    held_back: tuple[HeldBack, ...] = ()
    merged: int = 0
    repeated_hour: int = 0
    missing_hour: int = 0
    contradictions: Mapping[str, int] = attrs.field(factory=dict, hash=False)

    @property
    def rejected(self) -> int:
        """How many rows could not be taken."""
        return len(self.rejects)

    @property
    def waiting(self) -> int:
        """How many rows belong to calls that were held back."""
        return sum(call.rows for call in self.held_back)

    def __str__(self) -> str:
        lines = [
            f"{self.source or 'input'} ({self.format}): {self.read:,} rows read, {self.added:,} added, "
            f"{self.duplicates:,} duplicates, {self.conflicts:,} conflicts, {self.rejected:,} rejected"
        ]
        if self.replaced:
            lines.append(f"  {self.replaced:,} older rows replaced")
        for count, what in (
            (self.repeated_hour, "an hour that came twice"),
            (self.missing_hour, "a skipped hour"),
        ):
            if count:
                lines.append(f"  {count:,} local times in {what} (clock change)")
        lines += [f"  row {reject.row}: {reject.reason}" for reject in self.rejects[:5]]
        lines += [f"  … and {self.rejected - 5:,} more rejects"] if self.rejected > 5 else []
        lines += [
            f"  conflict: {c.call_id} at {c.start:%Y-%m-%dT%H:%M:%SZ}: {', '.join(c.fields)}"
            for c in self.conflicting[:5]
        ]
        if self.conflicts > 5:
            lines.append(
                f"  … and {self.conflicts - 5:,} more conflicts; were the options the same the last time?"
            )
        return "\n".join(map(visible, lines))

    def write_rejects(self, dest: str | os.PathLike[str], *, raw: bool = False) -> int:
        """Write the rejected rows to a path or URL and return how many there are.

        Args:
            dest: Where to.
            raw: Write the rows alone, byte for byte, to be mended and ingested again; otherwise a CSV of
                ``row, reason, text``, safe to open in a spreadsheet.

        Raises:
            StorageError: When it cannot be written.
        """
        folder, name = split_url(dest)
        with open_files(folder).writer(name) as file:
            if raw:
                file.writelines(
                    reject.text.encode("utf-8", "surrogateescape") + b"\n" for reject in self.rejects
                )
                return self.rejected
            texts = pl.DataFrame({"text": [r.text.encode("utf-8", "replace").decode() for r in self.rejects]})
            safe = texts.select(guarded(pl.col("text").cast(pl.String))).to_series()
            page = io.StringIO(newline="")
            writer = csv.writer(page)
            writer.writerow(["row", "reason", "text"])
            writer.writerows(
                [reject.row, reject.reason, text] for reject, text in zip(self.rejects, safe, strict=True)
            )
            file.write(page.getvalue().encode())
        return self.rejected


@contextlib.contextmanager
def opened(source: Input) -> Iterator[tuple[IO[bytes], str, int | None]]:
    """Give *source* as a file, what to call it, and its size where that is known; a caller's own file stays open.

    Raises:
        StorageError: When it cannot be opened.
        ConfigError: When it is nothing that can be read.
    """
    if isinstance(source, bytes):
        yield io.BytesIO(source), "bytes", len(source)
    elif isinstance(source, (str, os.PathLike)):
        folder, name = split_url(source)
        files = open_files(folder)
        with files.open(name) as stream:
            yield stream, os.fspath(source), files.size(name)
    elif isinstance(source, io.TextIOBase) or not hasattr(source, "read"):
        raise ConfigError(f"{source!r} is neither a path, a URL, bytes nor a file opened with mode 'rb'.")
    else:
        yield source, str(getattr(source, "name", "file")), None


def _translated(batches: Iterator[SourceBatch], name: str) -> Iterator[SourceBatch]:
    try:
        yield from batches
    except SchemaError as exc:
        raise SchemaError(f"{name}: {exc}", field=exc.field, row=exc.row) from exc
    except OSError as exc:
        if isinstance(exc, CdrError):
            raise
        raise StorageError(
            f"Cannot read {name} on: {exc.strerror or exc}. Nothing was stored.", url=name
        ) from exc


def ingest_stream(
    stream: IO[bytes],
    source: Source,
    append: Append,
    *,
    name: str,
    format: str,
    size: int | None,
    on_reject: Literal["report", "raise"],
    progress: Progress | None,
) -> IngestReport:
    """Read *stream* by *source* into *append*, commit, and report.

    Raises:
        SchemaError: When a row cannot be taken and *on_reject* says ``raise``; nothing is stored then.
    """
    if on_reject not in ("report", "raise"):
        raise ConfigError(f"on_reject cannot be {on_reject!r}; give 'report' or 'raise'.")
    rejects: list[Reject] = []
    counts = {"read": 0, "repeated_hour": 0, "missing_hour": 0}
    for batch in _translated(source(stream), name):
        if batch.rejects and on_reject == "raise":
            first = batch.rejects[0]
            raise SchemaError(f"{name}, row {first.row}: {first.reason} Nothing was stored.", row=first.row)
        append.add(conformed(batch.frame))  # whoever wrote the source
        rejects += batch.rejects
        for key in counts:
            counts[key] += getattr(batch, key)
        if progress is not None:
            progress(batch.bytes_read, size)
    name = name.encode("utf-8", "backslashreplace").decode()  # the name of a file need not be UTF-8
    facts: dict[str, Any] = {
        "source": name,
        "format": format,
        "rows": counts["read"],
        "rejected": len(rejects),
    }
    done = append.commit(facts)
    return IngestReport(
        added=done.added,
        duplicates=done.duplicates,
        conflicts=done.conflicts,
        replaced=done.replaced,
        conflicting=done.conflicting,
        source=name,
        format=format,
        read=counts["read"],
        rejects=tuple(rejects),
        repeated_hour=counts["repeated_hour"],
        missing_hour=counts["missing_hour"],
    )
