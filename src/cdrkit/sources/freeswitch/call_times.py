"""The times of a FreeSWITCH channel: Unix times or local timestamps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs

from cdrkit.sources.freeswitch.channel import Channel, callflows
from cdrkit.sources.readers.batch_builder import RowError
from cdrkit.sources.readers.reject_reasons import quote_value

__all__ = ["CallTimes", "parse_seconds"]

_1970: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_YEAR: Final = 2099
_LOCAL_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?", re.ASCII)
_MOST_SECONDS: Final = 2**31 - 1
_TIMES_OF_CALLFLOW: Final = {"start": "created_time", "answer": "answered_time", "end": "hangup_time"}


@attrs.frozen
class CallTimes:
    """The times of one channel, as instants or as naive local times.

    Attributes:
        start: When the channel was created.
        answer: When the call was answered, or None.
        end: When the call was hung up; None if unknown.
        progress: When the call first made progress (ringing or early media); None for local times.
    """

    start: datetime
    answer: datetime | None
    end: datetime | None
    progress: datetime | None

    @classmethod
    def parse(cls, channel: Channel) -> CallTimes:
        """Parse the times of *channel*.

        Raises:
            RowError: When the start is absent, or a time is malformed.
        """
        start, answer, end = (_parse_time(channel, name) for name in ("start", "answer", "end"))
        is_local = channel.has_local_times
        if start is None and is_local and "start_stamp" not in channel.document["variables"]:
            start = answer or end  # the template opencdrrate has no start
        if start is None:
            raise RowError("The start time is missing.")
        times = [_parse_instant(channel, name) for name in ("progress", "progress_media")]
        progress = min((at for at in times if at is not None), default=None)
        return cls(start, answer, end, None if is_local else progress)

    @property
    def post_dial_delay(self) -> float | None:
        """The post-dial delay in seconds; None if unknown or negative.

        The delay is the time from the start to the first ringing or early media.
        """
        return None if self.progress is None else _seconds_between(self.start, self.progress)

    @property
    def ring_duration(self) -> float | None:
        """The ringing time in seconds; None if unknown or negative.

        The time runs from the first ringing or early media to the answer, or to the end of an unanswered call.
        """
        stop = self.answer or self.end
        return None if self.progress is None or stop is None else _seconds_between(self.progress, stop)

    def local_ring_duration(self, variables: Mapping[str, str], *, is_answered: bool) -> float | None:
        """Return the ringing time in seconds, computed from a row's local times.

        Local times do not include the first progress. If the call was not answered, the ringing lasts the whole
        ``duration``.

        Raises:
            RowError: When the variable ``duration`` is malformed.
        """
        if not is_answered:
            length = parse_seconds(variables, "duration")
            return None if length is None else float(length)
        return None if self.answer is None else _seconds_between(self.start, self.answer)


def parse_seconds(variables: Mapping[str, str], name: str) -> int | None:
    """Parse a variable as whole seconds; return None if the variable is absent.

    Raises:
        RowError: When the value is negative or not a whole number.
    """
    text = variables.get(name)
    if not text:
        return None
    if re.fullmatch(r"-[0-9]+", text):
        raise RowError(f"The value {quote_value(text)} of {name} is negative.", "negative_length")
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > _MOST_SECONDS:
        raise RowError(f"The value {quote_value(text)} of {name} is not a whole number of seconds.")
    return int(text)


def _seconds_between(start: datetime, end: datetime) -> float | None:
    seconds = (end - start).total_seconds()
    return seconds if seconds >= 0 else None


def _parse_time(channel: Channel, name: str) -> datetime | None:
    return _parse_local_time(channel, name) if channel.has_local_times else _parse_instant(channel, name)


def _parse_local_time(channel: Channel, name: str) -> datetime | None:
    text = channel.variables.get(f"{name}_stamp", "")
    if not text:
        return None
    try:
        if not _LOCAL_TIME.fullmatch(text):
            raise ValueError
        local = datetime.fromisoformat(text)
        if not _1970.year <= local.year <= _LAST_YEAR:
            raise ValueError
        return local
    except ValueError:
        raise RowError(
            f"The value {quote_value(text)} of {name}_stamp is not a time such as '2026-11-22 09:30:00'."
        ) from None


def _parse_instant(channel: Channel, name: str) -> datetime | None:
    for variable, unit in ((f"{name}_uepoch", 1), (f"{name}_epoch", 1_000_000)):
        text = channel.variables.get(variable, "")
        if text and text != "0":
            return _since_1970(variable, text, unit)
    key = _TIMES_OF_CALLFLOW.get(name, f"{name}_time")
    for flow in callflows(channel.document):
        times = flow.get("times") if isinstance(flow, Mapping) else None
        text = str(times.get(key, "0")) if isinstance(times, Mapping) else "0"
        if text not in ("0", ""):
            return _since_1970(name, text, 1)
    return None


def _since_1970(variable: str, text: str, microseconds: int) -> datetime:
    if not re.fullmatch(r"[0-9]{1,17}", text):
        raise RowError(f"The value {quote_value(text)} of {variable} is not a Unix time.")
    try:
        instant = _1970 + timedelta(microseconds=int(text) * microseconds)
    except OverflowError:
        instant = None
    if instant is None or instant.year > _LAST_YEAR:
        raise RowError(f"The value {quote_value(text)} of {variable} is not in the years 1970 to 2099.")
    return instant
