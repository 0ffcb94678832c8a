"""Daily totals: the number, duration and charges of the calls on each day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, overload

import attrs
import polars as pl
import pyarrow as pa

from cdrkit._engine import Plan
from cdrkit._model import FRAME_TYPES, TimeRange, check_zone, day_start
from cdrkit._output import display_text, local_days
from cdrkit._query import field_names
from cdrkit._text import html_report, html_table
from cdrkit.storage.indexes import NO_TOTALS, TOTAL_FIELDS, Totals, sum_totals, totals_of

__all__ = ["OUTCOME", "DailyTotal", "DailyTotals", "sum_days"]

#: The fields that depend on how a call ended. A query with a condition on one of them selects part of the attempts.
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
#: ISO 4217's code for "no currency is involved". Charges without a currency are totalled under it.
NO_CURRENCY: Final = "XXX"
#: The attribute of `DailyTotal` that each sum belongs to.
_COUNTED: Final = {
    "attempts": "attempts",
    "connections": "connected",
    "duration": "duration",
    "billed_duration": "billed_duration",
}


def _copy_charges(charges: Mapping[str, Decimal]) -> Mapping[str, Decimal]:
    return dict(charges)


@attrs.frozen(kw_only=True)
class DailyTotal:
    """The totals of calls that started on one day, in UTC or another time zone.

    Example:
        >>> from datetime import date
        >>> import cdrkit
        >>> total = cdrkit.DailyTotal(
        ...     day=date(2026, 11, 22), attempts=4, connected=3, duration=180, billed_duration=180, charges={}
        ... )
        >>> total.asr, total.acd
        (75.0, 60.0)

    Attributes:
        day: The day.
        attempts: Calls, connected or not.
        connected: Connected calls: calls with a ``duration`` above 0.
        duration: Connected time of all calls, in seconds.
        billed_duration: Billed time of all calls, in seconds.
        charges: The charges to customers, by ISO 4217 currency (``XXX`` for records without a currency). Amounts in
            different currencies are never added together.
        by_outcome: Whether the query selected calls by how they ended, so that `attempts` omits all other calls.
        timezone: The IANA name of the day's time zone.
    """

    day: date
    attempts: int
    connected: int
    duration: int
    billed_duration: int
    charges: Mapping[str, Decimal] = attrs.field(converter=_copy_charges, hash=False)
    by_outcome: bool = False
    timezone: str = "UTC"

    @property
    def period(self) -> TimeRange:
        """The time range from the start of the day to the start of the next day.

        A day on which the clocks change usually has 23 or 25 hours.

        Raises:
            ConfigError: When *timezone* is not a known zone.

        Example:
            >>> from datetime import date
            >>> import cdrkit
            >>> total = cdrkit.DailyTotal(
            ...     day=date(2026, 10, 25), timezone="Europe/London",
            ...     attempts=1, connected=1, duration=60, billed_duration=60, charges={},
            ... )
            >>> period = total.period
            >>> str(period.end - period.start)
            '1 day, 1:00:00'
        """
        return TimeRange(
            day_start(self.day, self.timezone), day_start(self.day + timedelta(days=1), self.timezone)
        )

    @property
    def asr(self) -> float | None:
        """The answer-seizure ratio in percent: connected / attempts x 100.

        The ratio follows ITU-T E.425 and counts attempts as seizures. It is None if the day has no attempts.

        The ratio is also None if the query selected calls by how they ended: connected calls alone, for example, would
        always give 100.

        Example:
            >>> from datetime import date
            >>> total = DailyTotal(
            ...     day=date(2026, 11, 22), attempts=4, connected=3, duration=180, billed_duration=180, charges={}
            ... )
            >>> total.asr
            75.0
        """
        if self.by_outcome or not self.attempts:
            return None
        return 100 * self.connected / self.attempts

    @property
    def acd(self) -> float | None:
        """The average call duration in seconds: connected time / connected calls.

        The average is None if no call was connected.

        Example:
            >>> from datetime import date
            >>> total = DailyTotal(
            ...     day=date(2026, 11, 22), attempts=4, connected=3, duration=180, billed_duration=180, charges={}
            ... )
            >>> total.acd
            60.0
        """
        return self.duration / self.connected if self.connected else None

    def _repr_html_(self) -> str:
        return html_report(
            self, "day", "timezone", "attempts", "connected", "asr", "acd", "duration", "charges"
        )


class DailyTotals(Sequence[DailyTotal]):
    """A sequence of daily totals, earliest first; days without calls are omitted.

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
        """Return the total at an index, or the totals in a slice."""
        return self._totals[index]

    def __len__(self) -> int:
        """Return the number of days with calls."""
        return len(self._totals)

    def __iter__(self) -> Iterator[DailyTotal]:
        """Iterate over the totals, earliest day first."""
        return iter(self._totals)

    def __eq__(self, other: object) -> bool:
        """Return whether *other* is a `DailyTotals` with equal totals."""
        return isinstance(other, DailyTotals) and self._totals == other._totals

    def __hash__(self) -> int:
        """Return a hash value; equal sequences have equal hashes."""
        return hash(self._totals)

    def __repr__(self) -> str:
        """Return the Python expression that creates these totals."""
        return f"DailyTotals({list(self._totals)!r})"

    def _repr_html_(self) -> str:
        frame = display_text(self.to_polars(), "UTC", labels=False)
        zones = ", ".join(sorted({total.timezone for total in self._totals})) or "UTC"
        heads = {"day": f"Day ({zones})", "asr": "ASR %", "acd": "ACD s"}
        columns = [heads.get(name) or name.replace("_", " ").capitalize() for name in frame.columns]
        return html_table(columns, frame.rows(), note=f"{len(self):,} days with calls, of {zones}.")

    def to_polars(self) -> pl.DataFrame:
        """Return a Polars frame with one row per day.

        The columns are ``day``, ``attempts``, ``connected``, ``duration``, ``billed_duration``, ``asr`` and ``acd``,
        followed by one column for each currency, such as ``charge_GBP``.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://totals-polars").daily_totals().to_polars().columns
            ['day', 'attempts', 'connected', 'duration', 'billed_duration', 'asr', 'acd']
        """
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
        """Return an Arrow table with one row per day.

        The columns are those that `to_polars` returns.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://totals-arrow").daily_totals().to_arrow().num_rows
            0
        """
        return self.to_polars().to_arrow()


def sum_days(plan: Plan, timezone: str) -> DailyTotals:
    """Return the daily totals of a query's calls, with days in the given time zone.

    Totals by UTC day are taken from rollups, if rollups can answer the query. Totals by day in another zone are
    computed from the calls.

    Args:
        plan: The plan of the query.
        timezone: The IANA name of the zone.

    Raises:
        ConfigError: When the zone is unknown.
    """
    zone = check_zone(timezone)
    if zone == "UTC":
        sums = plan.totals("day", "currency")
    else:
        parts = [Totals(totals_of(_local_frame(frame, zone))).brief for frame in plan.frames(TOTAL_FIELDS)]
        sums = sum_totals(pl.concat([NO_TOTALS, *parts]), "day", "currency")
    by_outcome = any(field_names(condition) & OUTCOME for condition in plan.conditions)
    return _group_days(sums, by_outcome=by_outcome, timezone=zone)


def _local_frame(frame: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Return *frame* with each start replaced by its local day.

    The local day is stored as midnight UTC of that date, so that totals can group by it.
    """
    return frame.with_columns(local_days(frame["start"], zone).cast(FRAME_TYPES["start"]).alias("start"))


def _group_days(sums: pl.DataFrame, *, by_outcome: bool, timezone: str) -> DailyTotals:
    """Build daily totals from sums grouped by day and currency."""
    days: dict[date, dict[str, Any]] = {}
    rows = zip(*(sums[name].to_list() for name in ("day", "currency", "charge", *_COUNTED)), strict=True)
    for day, currency, charge, *counts in sorted(rows, key=lambda row: (row[0], row[1] or NO_CURRENCY)):
        total = days.setdefault(day, {"charges": {}, **dict.fromkeys(_COUNTED.values(), 0)})
        for attribute, count in zip(_COUNTED.values(), counts, strict=True):
            total[attribute] += count
        if charge is not None:
            charges = total["charges"]
            charges[currency or NO_CURRENCY] = charges.get(currency or NO_CURRENCY, 0) + charge
    return DailyTotals(
        DailyTotal(day=day, by_outcome=by_outcome, timezone=timezone, **total) for day, total in days.items()
    )
