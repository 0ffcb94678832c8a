"""What is shown to eyes: instants in a display zone, with their offset; lengths, money and text made readable.

Nothing here changes what is stored, totalled or exported: that is UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs
import polars as pl

from ._records import FIELDS, known_field
from ._times import check_zone
from .errors import ConfigError, suggestion

__all__ = ["DEFAULT_COLUMNS", "DisplaySettings", "display_text", "local_day", "localize", "visible"]

#: The columns a portal shows until its viewer chooses others.
DEFAULT_COLUMNS: Final = (
    "start",
    "source",
    "destination",
    "destination_name",
    "direction",
    "disposition",
    "duration",
    "billed_duration",
    "charge",
    "currency",
    "recording",
)

_MAX_PAGE_SIZE: Final = 10_000
# Callers choose their names: a control character could drive a terminal, a bidi mark could reorder digits,
# and a line separator or a byte order mark has no business in a cell.
_STEERING: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_UNSAFE: Final = r"[\p{Cc}\p{Bidi_Control}\x{2028}\x{2029}\x{FEFF}]"


def visible(text: str) -> str:
    """Return *text* with what would steer a terminal, or reverse what is read, shown as U+FFFD."""
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text)


def localize(frame: pl.DataFrame, timezone: str) -> pl.DataFrame:
    """Return *frame* with its instants in *timezone*: the same instants, another wall clock.

    Args:
        frame: Any frame; only columns of instants are touched.
        timezone: An IANA name, such as ``"Europe/London"``.

    Raises:
        ConfigError: When there is no such zone.
    """
    zone = _zone(timezone)
    kinds = [(name, kind) for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    instants = [name for name, kind in kinds if kind.time_zone != zone]
    return frame if not instants else frame.with_columns(pl.col(instants).dt.convert_time_zone(zone))


def local_day(instant: pl.Expr, timezone: str) -> pl.Expr:
    """Return the calendar day of *instant* in *timezone*; on change days it lasts 23 or 25 hours.

    Raises:
        ConfigError: When there is no such zone.
    """
    return instant.dt.convert_time_zone(_zone(timezone)).dt.date()


def display_text(frame: pl.DataFrame, timezone: str, *, labels: bool = True) -> pl.DataFrame:
    """Return *frame* as text to be read by people.

    Instants show whole seconds and the offset, ``2026-10-25 01:30:00 +01:00``, so a repeated hour is
    unambiguous. Whole seconds become ``0:01:23``, fractions of seconds ``4.2 s``. Money keeps at least two
    decimals. What is absent is empty. Characters that could drive a terminal or reorder text become U+FFFD.

    Args:
        frame: Any frame; columns that are fields are shown by their unit.
        timezone: The zone to show instants in.
        labels: Whether columns are named as portals label them, rather than by field name.

    Raises:
        ConfigError: When there is no such zone.
    """
    zone = _zone(timezone)
    shown = frame.select(
        _shown(name, kind, zone).fill_null("").alias(name) for name, kind in frame.schema.items()
    )
    if not labels:
        return shown
    return shown.rename({name: FIELDS[name].label for name in shown.columns if name in FIELDS})


def _zone(timezone: str) -> str:
    zone = check_zone(timezone)
    try:
        pl.Series([], dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone(zone)
    except pl.exceptions.PolarsError as exc:
        raise ConfigError(
            f"Times cannot be shown in the zone {zone!r}; give an IANA name, such as 'Europe/London'."
        ) from exc
    return zone


def _shown(name: str, kind: pl.DataType, zone: str) -> pl.Expr:
    column = pl.col(name)
    if isinstance(kind, pl.Datetime):
        return column.dt.convert_time_zone(zone).dt.strftime("%Y-%m-%d %H:%M:%S %:z")
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


def _as_columns(value: Iterable[str]) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ConfigError(f"columns cannot be {value!r}; give a list of field names.")
    columns = tuple(known_field(name).name for name in value)
    if not columns or len(set(columns)) != len(columns):
        raise ConfigError(f"Choose each column once, and at least one; {list(columns)} was given.")
    return columns


def _as_page_size(value: int) -> int:
    if type(value) is not int or not 1 <= value <= _MAX_PAGE_SIZE:
        raise ConfigError(f"page_size cannot be {value!r}; give a whole number from 1 to {_MAX_PAGE_SIZE}.")
    return value


@attrs.frozen(kw_only=True)
class DisplaySettings:
    """How one viewer wants calls shown: the zone, the columns, the length of a page.

    A value: compare it, keep it as a dict, copy it with `attrs.evolve`.

    Example:
        >>> settings = DisplaySettings(timezone="Europe/London", columns=["start", "source", "duration"])
        >>> settings.page_size
        50
        >>> DisplaySettings.from_dict(settings.to_dict()) == settings
        True

    Attributes:
        timezone: The zone that instants are shown in, as an IANA name.
        columns: The fields shown, in their order.
        page_size: How many calls a page holds, 1 to 10,000.

    Raises:
        ConfigError: When there is no such zone, no column or a column twice, or the page size is out of range.
        UnknownFieldError: When a column is not a field.
    """

    timezone: str = attrs.field(default="UTC", converter=_zone)
    columns: tuple[str, ...] = attrs.field(default=DEFAULT_COLUMNS, converter=_as_columns)
    page_size: int = attrs.field(default=50, converter=_as_page_size)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values that JSON can hold."""
        return {"timezone": self.timezone, "columns": list(self.columns), "page_size": self.page_size}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DisplaySettings:
        """Return the settings that `to_dict` gave; what is left out takes its default.

        Raises:
            ConfigError: When *values* is no mapping, holds an unknown key, or a value cannot work.
            UnknownFieldError: When a column is not a field.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"Display settings cannot be made of {values!r}; give a mapping.")
        known = [attribute.name for attribute in attrs.fields(cls)]
        for key in values:
            if key not in known:
                hint, _ = suggestion(str(key), known)
                raise ConfigError(
                    f"There is no display setting {key!r}.{hint} All settings: {', '.join(known)}."
                )
        return cls(**values)
