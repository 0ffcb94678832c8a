"""Time zones: validation of their names, and suggestions for wrong names."""

from __future__ import annotations

import functools
import re
from datetime import tzinfo
from typing import Final

import pendulum
import polars as pl

from cdrkit.errors import ConfigError, suggestion

__all__ = ["check_zone", "zone", "zone_names"]

# Abbreviations that are not IANA names, with places whose clocks show them in some part of the year.
_ABBREVIATIONS: Final[dict[str, tuple[str, ...]]] = {
    "bst": ("Europe/London",),
    "ist": ("Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"),
    "west": ("Europe/Lisbon",),
    "cest": ("Europe/Berlin", "Europe/Paris", "Europe/Madrid"),
    "mez": ("Europe/Berlin", "Europe/Vienna", "Europe/Zurich"),
    "mesz": ("Europe/Berlin", "Europe/Vienna", "Europe/Zurich"),
    "eest": ("Europe/Athens", "Europe/Helsinki", "Europe/Bucharest"),
    "msk": ("Europe/Moscow",),
    "edt": ("America/New_York", "America/Toronto"),
    "cst": ("America/Chicago", "Asia/Shanghai"),
    "cdt": ("America/Chicago",),
    "mdt": ("America/Denver",),
    "pst": ("America/Los_Angeles",),
    "pdt": ("America/Los_Angeles",),
    "akst": ("America/Anchorage",),
    "akdt": ("America/Anchorage",),
    "ast": ("America/Halifax", "America/Puerto_Rico"),
    "adt": ("America/Halifax",),
    "nst": ("America/St_Johns",),
    "ndt": ("America/St_Johns",),
    "brt": ("America/Sao_Paulo",),
    "sast": ("Africa/Johannesburg",),
    "gst": ("Asia/Dubai",),
    "pkt": ("Asia/Karachi",),
    "sgt": ("Asia/Singapore",),
    "hkt": ("Asia/Hong_Kong",),
    "jst": ("Asia/Tokyo",),
    "kst": ("Asia/Seoul",),
    "awst": ("Australia/Perth",),
    "acst": ("Australia/Adelaide", "Australia/Darwin"),
    "acdt": ("Australia/Adelaide",),
    "aest": ("Australia/Sydney", "Australia/Brisbane"),
    "aedt": ("Australia/Sydney",),
    "nzst": ("Pacific/Auckland",),
    "nzdt": ("Pacific/Auckland",),
}
_FIXED_OFFSET: Final = re.compile(r"(?:utc|gmt)?\s*[+-]\s*\d.*", re.ASCII | re.IGNORECASE)


def check_zone(name: str) -> str:
    """Validate a time zone name, and return its official IANA spelling.

    Args:
        name: An IANA name; case does not matter.

    Raises:
        ConfigError: When the zone is unknown.
    """
    if not isinstance(name, str):
        raise ConfigError(f"A time zone must be a name such as 'Europe/London', not {name!r}.")
    return _find_zone(name)


def zone(name: str) -> tzinfo:
    """Return the time zone with this name as a ``tzinfo`` object.

    Raises:
        ConfigError: When the zone is unknown.
    """
    return pendulum.timezone(check_zone(name))


def zone_names() -> list[str]:
    """Return the names of all known time zones, sorted."""
    return sorted(_zones_by_key().values())


@functools.lru_cache(maxsize=1024)
def _find_zone(name: str) -> str:
    known = _zones_by_key()
    full_name = known.get(name.casefold())
    if full_name is not None:
        try:
            # Polars has a zone table of its own and cannot show a zone that only the system knows. An empty column
            # computes nothing: a computation would start threads, which do not survive a fork.
            pl.Series([], dtype=pl.Datetime("us", full_name))
            return full_name
        except pl.exceptions.ComputeError as exc:
            raise ConfigError(
                f"The time zone {name!r} is not in the IANA list; give a name such as 'Europe/London'."
            ) from exc
    if _FIXED_OFFSET.fullmatch(name.strip()):
        raise ConfigError(
            f"The time zone {name!r} is a fixed offset, but the offset of a place can change. "
            "Give an IANA time zone name, such as 'Asia/Kolkata' or 'UTC'."
        )
    if places := _ABBREVIATIONS.get(name.strip().casefold()):
        raise ConfigError(
            f"The time zone {name!r} is an abbreviation, which does not cover clock changes. "
            f"Give an IANA time zone name. Did you mean {' or '.join(map(repr, places))}?"
        )
    place = name.strip().replace(" ", "_")
    same_place = sorted(full for key, full in known.items() if place and key.endswith("/" + place.casefold()))
    if same_place:
        hint = f" Did you mean {' or '.join(map(repr, same_place[:3]))}?"
    else:
        hint, _ = suggestion(place, sorted(known.values()))
    raise ConfigError(
        f"Unknown time zone {name!r}; give an IANA name, such as 'Europe/London' or 'UTC'.{hint}"
    )


@functools.lru_cache(maxsize=1)
def _zones_by_key() -> dict[str, str]:
    return {name.casefold(): name for name in pendulum.timezones()}
