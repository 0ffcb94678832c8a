"""Format instants, durations, money and untrusted text for safe display.

Displayed instants are in the display zone, and include their offset. Storage, totals and exports keep instants in UTC.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final, Literal, TypeAlias

import polars as pl

from cdrkit._model import FIELDS, check_zone, day_start
from cdrkit.errors import ConfigError

__all__ = ["TimeStyle", "check_style", "display_text", "local_days", "localize"]

#: A style of instants for display.
TimeStyle: TypeAlias = Literal["iso", "day_first", "month_first"]

_STYLES: Final[dict[TimeStyle, str]] = {
    "iso": "%Y-%m-%d %H:%M:%S %:z",
    "day_first": "%d/%m/%Y %H:%M:%S %:z",
    "month_first": "%m/%d/%Y %I:%M:%S %p %:z",
}

# The characters that `cdrkit._text` replaces, as a pattern of Polars.
_UNSAFE: Final = r"[\p{Cc}\p{Bidi_Control}\x{2028}\x{2029}\x{FEFF}]"


def localize(frame: pl.DataFrame, timezone: str) -> pl.DataFrame:
    """Return *frame* with its instants converted to *timezone*.

    Args:
        frame: Any frame; only columns that contain instants change.
        timezone: An IANA name, such as ``"Europe/London"``.

    Raises:
        ConfigError: When the zone is unknown.
    """
    zone = check_zone(timezone)
    kinds = [(name, kind) for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    instants = [name for name, kind in kinds if kind.time_zone != zone]
    return frame if not instants else frame.with_columns(pl.col(instants).dt.convert_time_zone(zone))


def local_days(instants: pl.Series, timezone: str) -> pl.Series:
    """Return each instant's local day in *timezone*.

    A day with a clock change lasts 23 or 25 hours. If clocks go back over midnight, the repeated hour belongs to the
    new day, as in the presets of a query.

    Raises:
        ConfigError: When the zone is unknown.
    """
    zone = check_zone(timezone)
    days = instants.dt.convert_time_zone(zone).dt.date()
    known = days.drop_nulls().unique()
    nexts = pl.Series([_next_day(day, zone) for day in known], dtype=instants.dtype)
    late = (instants >= days.replace_strict(known, nexts, return_dtype=instants.dtype)).fill_null(False)
    tomorrow = pl.col("day").dt.offset_by("1d")
    return days.to_frame("day").select(pl.when(late).then(tomorrow).otherwise("day").alias("day"))["day"]


def _next_day(day: date, zone: str) -> datetime | None:
    try:
        return day_start(day + timedelta(days=1), zone)
    except OverflowError:  # the calendar ends
        return None


def display_text(
    frame: pl.DataFrame, timezone: str, *, labels: bool = True, times: TimeStyle = "iso"
) -> pl.DataFrame:
    """Format the values of *frame* as text for display.

    Instants have whole seconds and an offset, ``2026-10-25 01:30:00 +01:00``, so a repeated hour is unambiguous.
    Durations become ``0:01:23`` for whole seconds, or ``4.2 s`` for fractional seconds. Money has at least two
    decimals. Absent values are empty. Characters that could control a terminal or reorder text become U+FFFD.

    Args:
        frame: Any frame; a column that is a field is formatted by its unit.
        timezone: IANA name of the display zone.
        labels: Use portal labels as column names instead of field names.
        times: ``iso``; ``day_first``, ``25/10/2026 13:30:00 +00:00``; or ``month_first``,
            ``10/25/2026 01:30:00 PM +00:00``.

    Raises:
        ConfigError: When the zone or the time style is unknown.
    """
    zone = check_zone(timezone)
    pattern = _STYLES[check_style(times)]
    texts = frame.select(
        _display_expr(name, kind, zone, pattern).fill_null("").alias(name)
        for name, kind in frame.schema.items()
    )
    if not labels:
        return texts
    return texts.rename({name: FIELDS[name].label for name in texts.columns if name in FIELDS})


def check_style(times: TimeStyle) -> TimeStyle:
    """Return *times* if it names a time style; otherwise raise an error.

    Raises:
        ConfigError: When the time style is unknown.
    """
    if times not in _STYLES:
        raise ConfigError(f"times={times!r} is not valid. Give one of {', '.join(map(repr, _STYLES))}.")
    return times


def _display_expr(name: str, kind: pl.DataType, zone: str, pattern: str) -> pl.Expr:
    column = pl.col(name)
    if isinstance(kind, pl.Datetime):
        return column.dt.convert_time_zone(zone).dt.strftime(pattern)
    if isinstance(kind, pl.Decimal):
        return column.cast(pl.String).str.replace(r"(\.\d\d\d*?)0+$", "$1")
    unit = FIELDS[name].unit if name in FIELDS else None
    if kind.is_integer() and unit == "s":
        return _clock(column.cast(pl.Int64))
    if kind.is_float():
        return _decimals(column, 1) + " s" if unit == "s" else _decimals(column, 2)
    return column.cast(pl.String).str.replace_all(_UNSAFE, "\N{REPLACEMENT CHARACTER}")


def _clock(seconds: pl.Expr) -> pl.Expr:
    length = seconds.abs()
    return pl.concat_str(
        pl.when(seconds < 0).then(pl.lit("-")).otherwise(pl.lit("")),
        (length // 3600).cast(pl.String),
        pl.lit(":"),
        _two_digits(length // 60 % 60),
        pl.lit(":"),
        _two_digits(length % 60),
    )


def _two_digits(number: pl.Expr) -> pl.Expr:
    return number.cast(pl.String).str.pad_start(2, "0")


def _decimals(number: pl.Expr, places: int) -> pl.Expr:
    return number.cast(pl.Float64).cast(pl.Decimal(38, places), strict=False).cast(pl.String)
