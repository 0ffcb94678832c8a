"""Reports over calls: totals per day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, overload

import attrs
import polars as pl
import pyarrow as pa

from cdrkit._model import TimeRange, day_start
from cdrkit._output import display_text
from cdrkit._text import html_report, html_table

__all__ = ["OUTCOME", "DailyTotal", "DailyTotals", "daily_totals"]

#: The fields that say how a call ended: a query on one of them leaves attempts out.
OUTCOME: Final = frozenset(
    {
        "answer",
        "billed_duration",
        "disposition",
        "duration",
        "hangup_party",
        "q850_cause",
        "release_reason",
        "sip_code",
    }
)
#: ISO 4217's code for "no currency is involved"; charges that name none are totalled under it.
NO_CURRENCY: Final = "XXX"
#: The attribute of a total that each sum goes into.
_COUNTED: Final = {
    "attempts": "attempts",
    "connections": "connected",
    "duration": "duration",
    "billed_duration": "billed_duration",
}


def _copied(charges: Mapping[str, Decimal]) -> Mapping[str, Decimal]:
    return dict(charges)


@attrs.frozen(kw_only=True)
class DailyTotal:
    """The calls that began on one day, summed up: a UTC day, unless another zone was asked for.

    Attributes:
        day: The day.
        attempts: How many calls, connected or not.
        connected: How many of them were connected (``duration`` above 0).
        duration: Their connected time, in seconds.
        billed_duration: Their billed time, in seconds.
        charges: What customers are billed, by currency (ISO 4217; ``XXX``: the record names none). Amounts of
            different currencies are never added up.
        by_outcome: Whether the query chose calls by how they ended, so that attempts are missing.
        timezone: The zone whose day it is.
    """

    day: date
    attempts: int
    connected: int
    duration: int
    billed_duration: int
    charges: Mapping[str, Decimal] = attrs.field(converter=_copied, hash=False)
    by_outcome: bool = False
    timezone: str = "UTC"

    @property
    def period(self) -> TimeRange:
        """When the day began, and when the next one did: 23 or 25 hours where clocks changed."""
        return TimeRange(
            day_start(self.day, self.timezone), day_start(self.day + timedelta(days=1), self.timezone)
        )

    @property
    def asr(self) -> float | None:
        """Answer-seizure ratio in percent: connected / attempts x 100 (ITU-T E.425, with attempts as seizures).

        None without attempts, and when the query chose calls by how they ended, such as connected ones: it would say
        100 whatever happened.
        """
        if self.by_outcome or not self.attempts:
            return None
        return 100 * self.connected / self.attempts

    @property
    def acd(self) -> float | None:
        """Average call duration in seconds: connected time / connected calls; None without any."""
        return self.duration / self.connected if self.connected else None

    def _repr_html_(self) -> str:
        return html_report(
            self, "day", "timezone", "attempts", "connected", "asr", "acd", "duration", "charges"
        )


class DailyTotals(Sequence[DailyTotal]):
    """Totals per day, earliest first; days without calls are left out.

    Example:
        >>> from datetime import datetime, timezone
        >>> import cdrkit
        >>> store = cdrkit.open_store("memory://totals-example")
        >>> at = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
        >>> _ = store.append([cdrkit.CallRecord(call_id="1", start=at, duration=60, charge="0.25", currency="GBP"),
        ...                   cdrkit.CallRecord(call_id="2", start=at, duration=0)])
        >>> total = store.daily_totals()[0]
        >>> str(total.day), total.attempts, total.connected, total.asr, dict(total.charges)
        ('2026-11-22', 2, 1, 50.0, {'GBP': Decimal('0.250000')})
    """

    def __init__(self, totals: Iterable[DailyTotal]) -> None:
        self._totals = tuple(totals)

    @overload
    def __getitem__(self, index: int) -> DailyTotal: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[DailyTotal]: ...
    def __getitem__(self, index: int | slice) -> DailyTotal | Sequence[DailyTotal]:
        """Return one total, or some."""
        return self._totals[index]

    def __len__(self) -> int:
        """Return how many days had calls."""
        return len(self._totals)

    def __iter__(self) -> Iterator[DailyTotal]:
        """Iterate over the days, earliest first."""
        return iter(self._totals)

    def __eq__(self, other: object) -> bool:
        """Return whether both hold the same totals."""
        return isinstance(other, DailyTotals) and self._totals == other._totals

    def __hash__(self) -> int:
        """Return a hash that equal totals share."""
        return hash(self._totals)

    def __repr__(self) -> str:
        return f"DailyTotals({list(self._totals)!r})"

    def _repr_html_(self) -> str:
        frame = display_text(self.to_polars(), "UTC", labels=False)
        zones = ", ".join(sorted({total.timezone for total in self._totals})) or "UTC"
        heads = {"day": f"Day ({zones})", "asr": "ASR %", "acd": "ACD s"}
        columns = [heads.get(name) or name.replace("_", " ").capitalize() for name in frame.columns]
        return html_table(columns, frame.rows(), note=f"{len(self):,} days with calls, of {zones}.")

    def to_polars(self) -> pl.DataFrame:
        """Return a row a day with the attributes of `DailyTotal`, and a column ``charge_GBP`` etc. a currency."""
        currencies = sorted({currency for total in self._totals for currency in total.charges})
        kinds: dict[str, pl.DataType] = {
            "day": pl.Date(),
            **dict.fromkeys(("attempts", "connected", "duration", "billed_duration"), pl.Int64()),
            **dict.fromkeys(("asr", "acd"), pl.Float64()),
        }
        columns = [
            pl.Series(name, [getattr(total, name) for total in self._totals], dtype=kind)
            for name, kind in kinds.items()
        ]
        for currency in currencies:
            charges = [total.charges.get(currency) for total in self._totals]
            columns.append(pl.Series(f"charge_{currency}", charges, dtype=pl.Decimal(38, 6)))
        return pl.DataFrame(columns)

    def to_arrow(self) -> pa.Table:
        """Return the same as an Arrow table."""
        return self.to_polars().to_arrow()


def daily_totals(sums: pl.DataFrame, *, by_outcome: bool, timezone: str = "UTC") -> DailyTotals:
    """Return the totals whose *sums* are those of each day of the zone, and currency."""
    days: dict[date, dict[str, Any]] = {}
    rows = zip(*(sums[name].to_list() for name in ("day", "currency", "charge", *_COUNTED)), strict=True)
    for day, currency, charge, *counts in sorted(rows, key=lambda row: (row[0], row[1] or NO_CURRENCY)):
        total = days.setdefault(day, {"charges": {}, **dict.fromkeys(_COUNTED.values(), 0)})
        for attribute, counted in zip(_COUNTED.values(), counts, strict=True):
            total[attribute] += counted
        if charge is not None:
            charges = total["charges"]
            charges[currency or NO_CURRENCY] = charges.get(currency or NO_CURRENCY, 0) + charge
    return DailyTotals(
        DailyTotal(day=day, by_outcome=by_outcome, timezone=timezone, **total) for day, total in days.items()
    )
