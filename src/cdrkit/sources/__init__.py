"""Sources: one module a switch's format, found by name, or through the entry point group ``cdrkit.sources``."""

from __future__ import annotations

from cdrkit.sources.contract import (
    CONTRADICTIONS,
    DatabaseSource,
    JoiningSource,
    PendingCall,
    Reject,
    Sniff,
    Source,
    SourceBatch,
    SourceInput,
)
from cdrkit.sources.detection import Detected, detect
from cdrkit.sources.inputs import Input, Inputs, decompress
from cdrkit.sources.registry import SourceFactory, available, find_factory, make_source

__all__ = [
    "CONTRADICTIONS",
    "DatabaseSource",
    "Detected",
    "Input",
    "Inputs",
    "JoiningSource",
    "PendingCall",
    "Reject",
    "Sniff",
    "Source",
    "SourceBatch",
    "SourceFactory",
    "SourceInput",
    "available",
    "decompress",
    "detect",
    "find_factory",
    "make_source",
]
