"""The number index and the rollups of a segment, and the file that stores them."""

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
    "INDEXED",
    "INDEXED_ROWS",
    "NO_TOTALS",
    "TOTAL_FIELDS",
    "BlockIndex",
    "IndexFile",
    "NumberIndex",
    "Totals",
    "TotalsOfMany",
    "check_index",
    "hot_index",
    "index_path",
    "index_paths",
    "is_answerable",
    "load_index_facts",
    "parse_index",
    "sum_totals",
    "totals_of",
    "warm_index",
    "whole_days",
]
