"""What is shown to eyes: instants in a display zone, with their offset; lengths, money and text made readable.

Nothing here changes what is stored, totalled or exported: that is UTC.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final, Literal, TypeAlias

import polars as pl

from cdrkit._model import FIELDS, check_zone, day_start
from cdrkit.errors import ConfigError

__all__ = ["TimeStyle", "check_style", "display_text", "local_days", "localize"]

#: How instants are written for eyes.
TimeStyle: TypeAlias = Literal["iso", "day_first", "month_first"]

_STYLES: Final[dict[TimeStyle, str]] = {
    "iso": "%Y-%m-%d %H:%M:%S %:z",
    "day_first": "%d/%m/%Y %H:%M:%S %:z",
    "month_first": "%m/%d/%Y %I:%M:%S %p %:z",
}

# What `cdrkit._text.html.visible` replaces, as frames spell it.
_UNSAFE: Final = r"[\p{Cc}\p{Bidi_Control}\x{2028}\x{2029}\x{FEFF}]"


def localize(frame: pl.DataFrame, timezone: str) -> pl.DataFrame:
    """Return *frame* with its instants in *timezone*: the same instants, another wall clock.

    Args:
        frame: Any frame; only columns of instants are touched.
        timezone: An IANA name, such as ``"Europe/London"``.

    Raises:
        ConfigError: When there is no such zone.
    """
    zone = check_zone(timezone)
    kinds = [(name, kind) for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    instants = [name for name, kind in kinds if kind.time_zone != zone]
    return frame if not instants else frame.with_columns(pl.col(instants).dt.convert_time_zone(zone))


def local_days(instants: pl.Series, timezone: str) -> pl.Series:
    """Return the day of *timezone* that each instant lies in; on change days it lasts 23 or 25 hours.

    That is the calendar's day; but where clocks go back over midnight, the new day has begun all the same, as it has
    for the presets of a query.

    Raises:
        ConfigError: When there is no such zone.
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
    """Return *frame* as text to be read by people.

    Instants show whole seconds and the offset, ``2026-10-25 01:30:00 +01:00``, so a repeated hour is
    unambiguous. Whole seconds become ``0:01:23``, fractions of seconds ``4.2 s``. Money keeps at least two
    decimals. What is absent is empty. Characters that could drive a terminal or reorder text become U+FFFD.

    Args:
        frame: Any frame; columns that are fields are shown by their unit.
        timezone: The zone to show instants in.
        labels: Whether columns are named as portals label them, rather than by field name.
        times: ``iso``; ``day_first``, ``25/10/2026 13:30:00 +00:00``; or ``month_first``,
            ``10/25/2026 01:30:00 PM +00:00``.

    Raises:
        ConfigError: When there is no such zone, or no such way to write times.
    """
    zone = check_zone(timezone)
    pattern = _STYLES[check_style(times)]
    shown = frame.select(
        _shown(name, kind, zone, pattern).fill_null("").alias(name) for name, kind in frame.schema.items()
    )
    if not labels:
        return shown
    return shown.rename({name: FIELDS[name].label for name in shown.columns if name in FIELDS})


def check_style(times: TimeStyle) -> TimeStyle:
    """Return *times* when it is a way to write them.

    Raises:
        ConfigError: When it is none.
    """
    if times not in _STYLES:
        raise ConfigError(f"times cannot be {times!r}; give one of {', '.join(map(repr, _STYLES))}.")
    return times


def _shown(name: str, kind: pl.DataType, zone: str, pattern: str) -> pl.Expr:
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
