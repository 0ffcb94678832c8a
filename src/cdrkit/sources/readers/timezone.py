"""The option ``timezone``, for sources whose times have no offset."""

from __future__ import annotations

from cdrkit._model import check_zone
from cdrkit.errors import ConfigError

__all__ = ["check_timezone"]


def check_timezone(value: str | None, writer: str, utc_case: str | None = None) -> str:
    """Validate and return the time zone of a switch's local times.

    Example:
        >>> check_timezone("Europe/London", "FreeSWITCH")
        'Europe/London'

    Args:
        value: IANA name of the zone, or None if the option was not given.
        writer: The program that writes the times, for the message.
        utc_case: When the times are in UTC, as a clause for the message. None: the message does not
            mention UTC.

    Raises:
        ConfigError: When the zone is absent or unknown.
    """
    if value is None:
        utc = "" if utc_case is None else f", or timezone='UTC' when {utc_case}"
        raise ConfigError(
            f"{writer} writes local times without an offset. Give their zone, for example "
            f"timezone='Europe/London'{utc}."
        )
    return check_zone(value)
