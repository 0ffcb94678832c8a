"""Ordered reads: return a query's calls as sorted, limited and masked frames.

Segments whose time ranges overlap form a group, so groups never overlap. Reading one group after another gives the
calls in chronological order, with at most one group in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from cdrkit._engine.bound_query import all_field_names
from cdrkit._engine.scan import Candidates, Scan
from cdrkit._engine.sort_keys import sort_frame
from cdrkit._model import empty_frame
from cdrkit.storage.log import Segment, overlapping_groups

__all__ = ["gather_rows", "read_frames", "split_batches"]

#: The largest number of rows in a frame.
_FRAME_ROWS: Final = 131_072
#: A group with at most this many hits is fetched together with other groups.
_FEW_HITS: Final = 16_384


def read_frames(scan: Scan, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Yield the calls in order, as non-empty frames of bounded size."""
    query = scan.query
    left = query.maximum
    for frame in _read_sorted(scan, query.scope.visible_columns(columns)):
        if left is not None:
            frame = frame.head(left)
            left -= frame.height
        for at in range(0, frame.height, _FRAME_ROWS):
            yield query.scope.mask_frame(frame.slice(at, _FRAME_ROWS), columns, query.region)
        if left == 0:
            return


def _read_sorted(scan: Scan, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    query = scan.query
    if query.maximum == 0 or query.period.is_empty:
        return
    if not query.is_chronological:
        yield _sort_all(scan, columns)
        return
    batch: list[Candidates] = []
    batch_hits = 0
    for group in overlapping_groups(scan.list_segments(), newest_first=query.newest_first):
        parts = [part for segment in group if (part := scan.find_rows(segment))]
        if not parts:
            continue
        hits = sum(len(part.rows) for part in parts)
        if hits <= _FEW_HITS:
            batch += parts
            batch_hits += hits
            if batch_hits < (_FEW_HITS if query.maximum is None else min(query.maximum, _FEW_HITS)):
                continue
            parts = []
        if batch:  # the batch precedes this group, or includes all of it
            yield gather_rows(scan, batch, columns)
            batch, batch_hits = [], 0
        if len(parts) == 1:
            yield from _read_segment(scan, scan.recheck(parts[0]), columns)
        elif parts:
            yield from _merge_segments(scan, [scan.recheck(part) for part in parts], columns)
    if batch:
        yield gather_rows(scan, batch, columns)


def gather_rows(scan: Scan, parts: Sequence[Candidates], columns: Sequence[str]) -> pl.DataFrame:
    """Find the matching rows of *parts*, and return their *columns* in query order."""
    query = scan.query
    conditions = () if all(part.exact for part in parts) else query.conditions
    if len(parts) == 1 and not conditions:  # a segment has the query's order already, or its reverse
        frame = scan.fetch(parts[0].segment, columns, parts[0].rows)
        return frame.reverse() if query.newest_first else frame
    names = [*columns, *all_field_names(conditions), *(name for name, _ in query.order)]
    by_tier: dict[str, list[tuple[Segment, pl.Series]]] = {}
    for part in parts:
        by_tier.setdefault(part.segment.tier, []).append((part.segment, part.series()))
    unique = list(dict.fromkeys(names))
    frame = pl.concat([query.tiers[tier].gather(rows, unique) for tier, rows in by_tier.items()])
    scan.counters.fetched += frame.height
    if conditions:
        frame = frame.filter(scan.mask(frame, conditions))
    return sort_frame(frame, query.order, nulls_first=query.reverse).select(columns) if columns else frame


def split_batches(parts: Sequence[Candidates]) -> Iterator[Sequence[Candidates]]:
    """Group *parts* into batches of limited size, but never split a part."""
    batch: list[Candidates] = []
    for part in parts:
        if batch and sum(len(other.rows) for other in batch) + len(part.rows) > _FRAME_ROWS:
            yield batch
            batch = []
        batch.append(part)
    if batch:
        yield batch


def _read_segment(scan: Scan, part: Candidates, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Yield the calls of a segment that overlaps no other segment, without sorting."""
    rows = part.rows
    for at in range(0, len(rows), _FRAME_ROWS):
        if scan.query.newest_first:
            end = len(rows) - at
            yield scan.fetch(part.segment, columns, rows[max(0, end - _FRAME_ROWS) : end]).reverse()
        else:
            yield scan.fetch(part.segment, columns, rows[at : at + _FRAME_ROWS])


def _merge_segments(
    scan: Scan, parts: Sequence[Candidates], columns: Sequence[str]
) -> Iterator[pl.DataFrame]:
    """Merge overlapping segments: yield *columns* of their calls, in query order."""
    query = scan.query
    keys = []
    for number, part in enumerate(parts):
        origin = (part.series().alias("_row"), pl.lit(number, dtype=pl.UInt32).alias("_segment"))
        keys.append(scan.read(part.segment, ["start", "call_id"], part.rows).with_columns(*origin))
    merged = sort_frame(pl.concat(keys), query.order, nulls_first=query.reverse)
    merged = merged.head(query.maximum if query.maximum is not None else 1 << 62)
    for slice_ in merged.iter_slices(_FRAME_ROWS):
        frames, positions = [], []
        for (number,), rows in slice_.with_row_index("_position").group_by("_segment", maintain_order=True):
            ascending = rows.sort("_row")
            frames.append(scan.fetch(parts[int(str(number))].segment, columns, ascending["_row"]))
            positions.append(ascending["_position"])
        yield pl.concat(frames)[pl.concat(positions).arg_sort()]


def _sort_all(scan: Scan, columns: Sequence[str]) -> pl.DataFrame:
    """Read the calls, and sort them in memory by the query's order.

    This function supports every order. If the query has a limit, the limit also bounds the memory used.
    """
    query = scan.query
    names = list(dict.fromkeys([*columns, *(name for name, _ in query.order)]))
    best = empty_frame(names)
    frames: list[pl.DataFrame] = []
    for segment in scan.list_segments():
        part = scan.find_rows(segment)
        if part is None or not len(rows := scan.recheck(part).rows):
            continue
        frames.append(scan.fetch(segment, names, rows))
        if query.maximum is not None:
            best = sort_frame(pl.concat([best, *frames]), query.order, nulls_first=query.reverse).head(
                query.maximum
            )
            frames = []
    return sort_frame(pl.concat([best, *frames]), query.order, nulls_first=query.reverse).select(columns)
