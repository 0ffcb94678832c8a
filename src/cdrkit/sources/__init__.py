"""Sources: one module a switch's format, found by name, or through the entry point group ``cdrkit.sources``."""

from __future__ import annotations

from cdrkit.sources.contract import (
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
from cdrkit.sources.detection import Detected, detect
from cdrkit.sources.inputs import Input, Inputs, decompressed
from cdrkit.sources.registry import SourceFactory, available, find_factory, make_source

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
