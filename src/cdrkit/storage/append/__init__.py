"""Append calls: buffer, deduplicate, write segments, commit once."""

from __future__ import annotations

from cdrkit.storage.append.append import Append
from cdrkit.storage.append.result import AppendResult, Conflict

__all__ = ["Append", "AppendResult", "Conflict"]
