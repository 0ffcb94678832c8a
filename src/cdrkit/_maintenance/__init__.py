"""Maintenance: compaction, tiering, vacuum, verification, rebuild and erasure."""

from __future__ import annotations

from cdrkit._maintenance.compaction import compact_days
from cdrkit._maintenance.erasure import EraseReport, check_reason, erase_calls
from cdrkit._maintenance.lease import acquire_lease
from cdrkit._maintenance.move_report import MoveReport
from cdrkit._maintenance.rebuild import write_new_log
from cdrkit._maintenance.status import StoreStatus, TierStatus, read_status
from cdrkit._maintenance.tiering import move_months
from cdrkit._maintenance.vacuum import VacuumReport, vacuum_store
from cdrkit._maintenance.verification import VerifyReport, verify_store

__all__ = [
    "EraseReport",
    "MoveReport",
    "StoreStatus",
    "TierStatus",
    "VacuumReport",
    "VerifyReport",
    "acquire_lease",
    "check_reason",
    "compact_days",
    "erase_calls",
    "move_months",
    "read_status",
    "vacuum_store",
    "verify_store",
    "write_new_log",
]
