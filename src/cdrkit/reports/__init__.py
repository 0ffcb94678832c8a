"""Reports: compute totals of calls."""

from __future__ import annotations

from cdrkit.reports.daily import OUTCOME, DailyTotal, DailyTotals, sum_days

__all__ = ["OUTCOME", "DailyTotal", "DailyTotals", "sum_days"]
