"""Sources, which read the call records of switches and providers."""

from __future__ import annotations

from cdrkit.sources.compression import decompress
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
from cdrkit.sources.inputs import Input, Inputs
from cdrkit.sources.registry import FormatName, SourceFactory, available, find_factory, make_source

__all__ = [
    "CONTRADICTIONS",
    "DatabaseSource",
    "Detected",
    "FormatName",
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
