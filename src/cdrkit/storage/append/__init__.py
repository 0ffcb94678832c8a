"""Append calls: buffer and deduplicate them, write segments, commit in one step."""

from __future__ import annotations

from cdrkit.storage.append.append import Append
from cdrkit.storage.append.result import AppendResult, Conflict

__all__ = ["Append", "AppendResult", "Conflict"]
