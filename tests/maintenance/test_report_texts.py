"""The texts of reports: sentences for people, with a number and a noun that agree."""

from __future__ import annotations

import attrs
import pytest

from cdrkit._maintenance.erasure import EraseReport
from cdrkit._maintenance.move_report import MoveReport
from cdrkit._maintenance.vacuum import VacuumReport
from cdrkit._maintenance.verification import VerifyReport

INTACT = VerifyReport(version=3, segments=2, rows=1_200)


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (MoveReport(), "No calls were moved."),
        (MoveReport(dry_run=True), "No calls would be moved."),
        (MoveReport(rows=1, read=1, written=1), "1 call was moved: from 1 segment to 1."),
        (
            MoveReport(rows=1_200, read=7, written=1, months=("2026-05", "2026-06")),
            "1,200 calls were moved: from 7 segments to 1. Months: 2026-05, 2026-06.",
        ),
        (MoveReport(rows=4, read=2, dry_run=True), "4 calls in 2 segments would be moved."),
        (MoveReport(compaction=True), "No segments were merged."),
        (MoveReport(compaction=True, dry_run=True), "No segments would be merged."),
        (MoveReport(compaction=True, rows=1, read=1, written=1), "1 call was merged: from 1 segment to 1."),
        (
            MoveReport(compaction=True, rows=1_200, read=7, written=1),
            "1,200 calls were merged: from 7 segments to 1.",
        ),
        (
            MoveReport(compaction=True, rows=4, read=2, dry_run=True),
            "4 calls in 2 segments would be merged.",
        ),
        (
            MoveReport(skipped=("2026-05",)),
            "No calls were moved. Skipped, because other writers changed them: 2026-05. Run the job again.",
        ),
        (VacuumReport(), "Removed 0 segments and 0 log objects."),
        (VacuumReport(segments=1, dry_run=True), "Would remove 1 segment."),
        (
            VacuumReport(segments=1_200, commits=1, leftovers=2, waiting=3, older=4),
            "Removed 1,200 segments and 1 log object. Removed 2 temporary files of interrupted writes. Too recent "
            "to remove: 3 unused segments; a later vacuum removes them. Left in place: 4 segments from before the log; "
            "run verify().",
        ),
        (INTACT, "Version 3 is intact: 2 segments with 1,200 calls."),
        (
            attrs.evolve(INTACT, orphans=1),
            "Version 3 is intact: 2 segments with 1,200 calls.\n1 unused segment is also stored. This is normal "
            "after recent appends and maintenance: a vacuum removes replaced segments after an hour, and segments of "
            "unfinished appends after a day.",
        ),
        (
            attrs.evolve(
                INTACT, orphans=2, problems=("Segment a is damaged: it holds 3 rows instead of 4.",)
            ),
            "Segment a is damaged: it holds 3 rows instead of 4.\n"
            "Version 3 has 1 problem: 2 segments with 1,200 calls.",
        ),
        (EraseReport(rows=1, segments=1), "1 call in 1 segment was erased."),
        (EraseReport(rows=2, segments=1, dry_run=True), "2 calls in 1 segment would be erased."),
        (EraseReport(), "0 calls in 0 segments were erased."),
    ],
)
def test_texts(report: object, text: str) -> None:
    """A report says in sentences what was done, and what to do where something is left."""
    assert str(report) == text
