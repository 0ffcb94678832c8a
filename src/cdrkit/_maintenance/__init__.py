"""Maintenance: compaction, tiering, vacuum, verification, rebuild and erasure."""

from __future__ import annotations

from cdrkit._maintenance.erasure import EraseReport, check_reason, erase_calls
from cdrkit._maintenance.lease import lease
from cdrkit._maintenance.rewrite import MoveReport, compact_days, move_months
from cdrkit._maintenance.vacuum import VacuumReport, VerifyReport, rebuild_log, vacuum_store, verify_store

__all__ = [
    "EraseReport",
    "MoveReport",
    "VacuumReport",
    "VerifyReport",
    "check_reason",
    "compact_days",
    "erase_calls",
    "lease",
    "move_months",
    "rebuild_log",
    "vacuum_store",
    "verify_store",
]
