"""Reports: compute totals of calls."""

from __future__ import annotations

from cdrkit.reports.daily import DailyTotal, DailyTotals
from cdrkit.reports.daily import sum_days as sum_days  # internal

__all__ = ["DailyTotal", "DailyTotals"]
