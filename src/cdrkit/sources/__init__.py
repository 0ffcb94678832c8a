"""Sources: one module a switch's format, found by name, or through the entry point group ``cdrkit.sources``."""

from __future__ import annotations

from ._contract import (
    CONTRADICTIONS,
    DatabaseSource,
    HeldBack,
    JoiningSource,
    Reject,
    Sniff,
    Source,
    SourceBatch,
    SourceInput,
)
from ._detection import Detected, detect
from ._inputs import Input, Inputs, decompressed
from ._registry import SourceFactory, available, find_factory, make_source

__all__ = [
    "CONTRADICTIONS",
    "DatabaseSource",
    "Detected",
    "HeldBack",
    "Input",
    "Inputs",
    "JoiningSource",
    "Reject",
    "Sniff",
    "Source",
    "SourceBatch",
    "SourceFactory",
    "SourceInput",
    "available",
    "decompressed",
    "detect",
    "find_factory",
    "make_source",
]
