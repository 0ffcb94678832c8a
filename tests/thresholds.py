"""Thresholds of the library, lowered, so that tests reach every path with few calls."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import strategies as st

from cdrkit._engine import order, scan
from cdrkit._maintenance import compaction, tiering
from cdrkit.storage.indexes import number_index
from cdrkit.storage.tiers import column_reader, hot, parquet, warm

#: The module and the name of each threshold, and its value in tests.
SIZES = {
    "segments that get an index file": (hot, "INDEXED_ROWS", 1),
    "segments whose roll-ups are asked for customers": (scan, "_MIN_SKIPPABLE", 1),
    "hits that are fetched together": (order, "_FEW_HITS", 2),
    "rows that are looked at first": (scan, "_FIRST_STEP", 2),
    "rows of a frame": (order, "_FRAME_ROWS", 3),
    "places that are taken one by one": (number_index, "_FEW_POSTINGS", 1),
    "numbers of a block": (number_index, "_BLOCK_POSTINGS", 2),
    "rows of a row group": (parquet, "_GROUP_ROWS", 3),
    "rows of a hot segment that was compacted": (compaction, "_ROWS_A_HOT_SEGMENT", 4),
    "rows of a warm segment": (tiering, "_ROWS_A_WARM_SEGMENT", 5),
    "rows whose groups are found one by one": (column_reader, "_FEW", 1),
    "rows of many hot segments that are taken one by one": (hot, "_FEW_EACH", 1),
    "rows of many warm segments that are taken one by one": (warm, "_FEW_ROWS", 1),
}
Small = Mapping[str, bool]

#: The thresholds to lower: all, none, or any.
small: st.SearchStrategy[Small] = st.one_of(
    st.just(dict.fromkeys(SIZES, True)),
    st.just(dict.fromkeys(SIZES, False)),
    st.fixed_dictionaries({name: st.booleans() for name in SIZES}),
)


@contextlib.contextmanager
def made_small(chosen: Small) -> Iterator[None]:
    """Lower the *chosen* thresholds within the block."""
    with pytest.MonkeyPatch.context() as patch:
        for name, (module, attribute, size) in SIZES.items():
            if chosen[name]:
                patch.setattr(module, attribute, size)
        yield


@contextlib.contextmanager
def all_small() -> Iterator[None]:
    """Lower all thresholds within the block."""
    with made_small(dict.fromkeys(SIZES, True)):
        yield
