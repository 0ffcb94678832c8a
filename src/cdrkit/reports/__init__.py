"""Reports: totals of calls."""

from __future__ import annotations

from cdrkit.reports.daily import OUTCOME, DailyTotal, DailyTotals, daily_totals

__all__ = ["DailyTotal", "DailyTotals", "OUTCOME", "daily_totals"]
