"""Ingest: read inputs with a source, and store their calls in one append."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from typing import TypeAlias

import attrs

from cdrkit._ingest.report import IngestReport
from cdrkit._ingest.tally import Tally
from cdrkit._runtime import prefetch_items
from cdrkit.errors import ConfigError, SchemaError
from cdrkit.sources import DatabaseSource, Inputs, JoiningSource, Source, SourceBatch
from cdrkit.storage.append import Append

__all__ = ["Progress", "ingest_inputs"]

#: A function that is called with the bytes read and the total bytes (None where unknown).
Progress: TypeAlias = Callable[[int, int | None], None]


def ingest_inputs(
    inputs: Inputs, source: Source, append: Append, tally: Tally, *, progress: Progress | None
) -> IngestReport:
    """Read *inputs*, pass their calls to *append*, commit, and return the report.

    Args:
        inputs: The files, documents or database to read.
        source: The source that reads their format.
        append: The append that stores the calls.
        tally: The tally for the report; all of its counts must be 0.
        progress: A function to call after each batch.

    Raises:
        ConfigError: When the source cannot read a database.
        SchemaError: When the inputs have another format, or the tally raises an error for a rejected row. In both
            cases no call is stored.
    """
    batches = _read_batches(inputs, source)
    # However the loop ends, the thread that reads ahead stops before this function returns.
    with contextlib.closing(prefetch_items(batches) if inputs.is_self_contained else batches) as prefetched:
        for batch in prefetched:
            append.add(tally.count(batch))
            if progress is not None:
                progress(inputs.bytes_read, inputs.size_bytes)
    return tally.report(append.commit(tally.facts()), inputs=inputs.count)


def _read_batches(inputs: Inputs, source: Source) -> Generator[SourceBatch]:
    """Yield the batches of all inputs.

    A joining source reads all inputs together. Any other source reads one input after another.
    """
    if inputs.connection is not None:
        if not isinstance(source, DatabaseSource):
            raise ConfigError("This format cannot be read from a database. Give a path, URL or bytes.")
        yield from source.read_connection(inputs.connection)
        inputs.count = 1
    elif isinstance(source, JoiningSource):
        for batch in _name_errors(source.read_all(inputs), inputs.name):
            yield batch if inputs.are_many else _name_input(batch, "")
    else:
        for each in inputs:
            for batch in _name_errors(source(each.stream), each.name):
                yield _name_input(batch, each.name) if inputs.are_many else batch


def _name_input(batch: SourceBatch, name: str) -> SourceBatch:
    """Add the input's name to the rejects and pending calls of *batch*."""
    if not batch.rejects and not batch.pending:
        return batch
    return attrs.evolve(
        batch,
        rejects=tuple(attrs.evolve(reject, input=name) for reject in batch.rejects),
        pending=tuple(attrs.evolve(call, input=name) for call in batch.pending),
    )


def _name_errors(batches: Iterator[SourceBatch], name: str) -> Iterator[SourceBatch]:
    """Yield *batches*; if a schema error occurs, add the input's name to it."""
    try:
        yield from batches
    except SchemaError as exc:
        raise SchemaError(f"{name}: {exc}", field=exc.field, row=exc.row) from exc
