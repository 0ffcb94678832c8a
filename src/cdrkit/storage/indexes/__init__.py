"""Indexes of one segment: number index, rollups and the index file."""

from __future__ import annotations

from cdrkit.storage.indexes.index_file import (
    INDEXED_ROWS,
    IndexFile,
    check_index,
    hot_index,
    index_path,
    index_paths,
    load_index_facts,
    parse_index,
    warm_index,
)
from cdrkit.storage.indexes.number_index import INDEXED, BlockIndex, NumberIndex
from cdrkit.storage.indexes.rollups import (
    NO_TOTALS,
    TOTAL_FIELDS,
    Totals,
    TotalsOfMany,
    is_answerable,
    sum_totals,
    totals_of,
    whole_days,
)

__all__ = [
    "BlockIndex",
    "INDEXED",
    "INDEXED_ROWS",
    "IndexFile",
    "NO_TOTALS",
    "NumberIndex",
    "TOTAL_FIELDS",
    "Totals",
    "TotalsOfMany",
    "is_answerable",
    "check_index",
    "load_index_facts",
    "hot_index",
    "index_path",
    "index_paths",
    "parse_index",
    "sum_totals",
    "totals_of",
    "warm_index",
    "whole_days",
]
