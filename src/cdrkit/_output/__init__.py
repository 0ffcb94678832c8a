"""Output: CSV, display text and display settings."""

from __future__ import annotations

from cdrkit._output.csv import (
    Collector,
    Compression,
    Headers,
    check_csv_suffix,
    compression_of,
    guard_formulas,
    iter_csv_frames,
    write_frames,
)
from cdrkit._output.display import TimeStyle, display_text, local_days, localize
from cdrkit._output.settings import DEFAULT_COLUMNS, DisplaySettings, DisplaySettingsStore

__all__ = [
    "DEFAULT_COLUMNS",
    "Collector",
    "Compression",
    "DisplaySettings",
    "DisplaySettingsStore",
    "Headers",
    "TimeStyle",
    "check_csv_suffix",
    "compression_of",
    "display_text",
    "guard_formulas",
    "iter_csv_frames",
    "local_days",
    "localize",
    "write_frames",
]
