"""A made-up office's telephone system: its Asterisk ``Master.csv``, and recordings made of tones."""

from __future__ import annotations

import bisect
import itertools
import math
import os
import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final, TypeVar

import attrs

from cdrkit._model import UTC, check_zone, zone
from cdrkit.errors import AccessDeniedError, ConfigError, StorageError
from cdrkit.samples.calls import check_count, check_instant
from cdrkit.samples.recordings import write_tones

__all__ = ["Office", "write_office"]

_T = TypeVar("_T")

_RECORDED: Final = 40
_LONGEST_RECORDING: Final = 6  # seconds

_ACCOUNTS: Final = ("1001", "1002", "1003", "1004")
_STAFF: Final = (
    ("201", "Alice Example"), ("202", "Bob Sample"), ("203", "Carol Muster"), ("204", "Dan Placeholder"),
    ("205", "Erin Specimen"), ("206", "Frank Template"), ("207", "Grace Dummy"), ("208", "Henry Mock"),
    ("209", "Iris Made-Up"), ("210", "Jack Fictional"), ("211", "Reception"), ("212", "Workshop"),
)  # fmt: skip
# The office's own numbers, one an account, and the one that demonstrations search for.
_OWN: Final = ("02079460100", "02079460101", "02079460102", "02079460103")
_SOUGHT: Final = "020 7946 0018"
_SOUGHT_SPELLINGS: Final = ("02079460018", "+442079460018", "00442079460018", "020 7946 0018")
_SOUGHT_NAME: Final = "Harbour Books"
_COMPANIES: Final = (
    "Northgate Dental", "Zoë's Bakery", 'The "Crown" Inn', "Smith, Jones & Co", "Quayside Garage", "", "", "",
    "Mill Lane School", "Łukasz Wzór", "Green Taxis", "", "",
)  # fmt: skip
_HOSTILE_NAME: Final = "=cmd|' /C calc'!A0"
# How busy each local hour of a working day is.
_WEEKDAY: Final = (
    1, 0, 0, 0, 0, 1, 2, 15, 70, 130, 170, 160, 100, 120, 165, 150, 120, 60, 20, 8, 4, 3, 2, 1,
)  # fmt: skip
_SATURDAY: Final = (0, 0, 0, 0, 0, 0, 0, 0, 2, 15, 25, 20, 10, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)

_ANSWERED: Final = "ANSWERED"
_NO_ANSWER: Final = "NO ANSWER"
_BUSY: Final = "BUSY"
_FAILED: Final = "FAILED"


@attrs.frozen(kw_only=True)
class Office:
    """What `write_office` wrote.

    Attributes:
        folder: The folder all of it is in.
        master: The Asterisk ``Master.csv``; its stamps are local times of *timezone*.
        recordings: The folder of recordings; ``userfield`` holds paths below it.
        calls: How many rows the file has.
        number: A number as people of the country write it. From 200 calls on it is in 20 rows or more, in
            several spellings.
        timezone: The zone of the stamps.
    """

    folder: str
    master: str
    recordings: str
    calls: int
    number: str
    timezone: str


@attrs.frozen(kw_only=True)
class _Leg:
    """One row of the file."""

    account: str
    source: str
    destination: str
    context: str
    name: str
    channel: str
    far_channel: str
    application: str
    argument: str
    start: datetime
    ring: int
    talk: int
    disposition: str
    unique_id: str
    recording: str = ""

    @property
    def end(self) -> datetime:
        return self.start + timedelta(seconds=self.ring + self.talk)

    def line(self, local: tzinfo) -> str:
        """Return the row as Asterisk's cdr_csv writes it: texts quoted, numbers and what is unset bare."""
        answer = self.start + timedelta(seconds=self.ring)
        columns = (
            _quoted(self.account),
            _quoted(self.source),
            _quoted(self.destination),
            _quoted(self.context),
            _quoted(f'"{self.name}" <{self.source}>'),
            _quoted(self.channel),
            _quoted(self.far_channel),
            _quoted(self.application),
            _quoted(self.argument),
            _stamp(self.start, local),
            _stamp(answer, local) if self.disposition == _ANSWERED else "",
            _stamp(self.end, local),
            str(self.ring + self.talk),
            str(self.talk),
            _quoted(self.disposition),
            _quoted("DOCUMENTATION"),
            _quoted(self.unique_id),
            _quoted(self.recording),
        )
        return f"{','.join(columns)}\n"


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _stamp(instant: datetime, local: tzinfo) -> str:
    return f'"{instant.astimezone(local):%Y-%m-%d %H:%M:%S}"'


def write_office(
    folder: str | os.PathLike[str],
    *,
    calls: int = 3000,
    days: int = 14,
    seed: int = 1,
    now: datetime | None = None,
    timezone: str = "Europe/London",
) -> Office:
    """Write what a small office's Asterisk leaves behind: ``Master.csv``, and recordings of its last calls.

    The file has 18 columns (``loguniqueid`` and ``loguserfield`` are on) and naive local stamps, in the order
    in which calls ended. Inbound calls may ring three telephones at once, which gives three rows of one
    unique id. Numbers are mostly British ones reserved for drama, in national form. Up to 40 of the latest answered
    calls have a recording: at most six seconds of tones, WAV, 16 bits, mono, 8 kHz.

    The same arguments write the same bytes. An earlier ``Master.csv`` in that folder is replaced; recordings stay.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> office = write_office(folder.name, calls=250)
        >>> office.number
        '020 7946 0018'
        >>> folder.cleanup()

    Args:
        folder: A local folder; made when it is not there.
        calls: How many rows, 1 to 1,000,000.
        days: How far back they go, in days of 24 hours.
        seed: Another seed gives other calls.
        now: The aware instant that all of them have ended by; the current time unless given.
        timezone: The zone of the office and of its stamps.

    Returns:
        Where everything lies, and a number worth searching for.

    Raises:
        ConfigError: When a count is out of its range, *now* is naive, or there is no such zone.
        AccessDeniedError: When the folder may not be written to.
        StorageError: When it cannot be written for another reason.
    """
    check_count("calls", calls, at_least=1, at_most=1_000_000)
    check_count("days", days, at_least=1, at_most=3650)
    check_count("seed", seed, at_least=0, at_most=2**64 - 1)
    now = datetime.now(UTC) if now is None else check_instant("now", now)
    timezone = check_zone(timezone)
    local = zone(timezone)
    try:
        until = now.astimezone(UTC).replace(microsecond=0)
        legs = _Exchange(
            random=random.Random(seed), first=until - timedelta(days=days), until=until, local=local
        ).legs(calls)
    except OverflowError as exc:
        raise ConfigError(
            f"now cannot be {now.isoformat()} with {days} days before it: dates end there."
        ) from exc
    root = Path(folder).absolute()
    office = Office(
        folder=str(root),
        master=str(root / "Master.csv"),
        recordings=str(root / "recordings"),
        calls=len(legs),
        number=_SOUGHT,
        timezone=timezone,
    )
    try:
        root.mkdir(parents=True, exist_ok=True)
        for leg in legs:
            if leg.recording:
                target = Path(office.recordings, leg.recording)
                target.parent.mkdir(parents=True, exist_ok=True)
                write_tones(target, min(leg.talk, _LONGEST_RECORDING), random.Random(leg.unique_id))
        Path(office.master).write_bytes("".join(leg.line(local) for leg in legs).encode())
    except PermissionError as exc:
        raise AccessDeniedError(
            f"The office cannot be written to {root}: {exc.strerror}. Choose a folder that you may write to.",
            url=str(root),
        ) from exc
    except OSError as exc:
        raise StorageError(
            f"The office cannot be written to {root}: {exc.strerror}. Choose another folder.", url=str(root)
        ) from exc
    return office


@attrs.frozen(kw_only=True)
class _Attempt:
    """One call before it is known which way it goes: with whom outside, who inside, how many telephones ring."""

    start: datetime
    telephones: int
    number: str
    name: str
    member: int
    unique_id: str
    from_outside: bool
    with_outside: bool


@attrs.frozen(kw_only=True)
class _Exchange:
    """The office's telephone system: makes up calls in the order in which they begin."""

    random: random.Random
    first: datetime
    until: datetime
    local: tzinfo
    channels: Iterator[int] = attrs.field(factory=lambda: itertools.count(1))

    def legs(self, count: int) -> list[_Leg]:
        """Return *count* rows in the order in which they ended, the latest answered ones with a recording."""
        legs = [leg for attempt in self._attempts(count) for leg in self._call(attempt)]
        legs.sort(key=lambda leg: leg.end)
        talks = [place for place, leg in enumerate(legs) if leg.talk and leg.application == "Dial"]
        for place in talks[-_RECORDED:]:
            day = f"{legs[place].start.astimezone(self.local):%Y/%m/%d}"
            legs[place] = attrs.evolve(legs[place], recording=f"{day}/{legs[place].unique_id}.wav")
        return legs

    def _attempts(self, count: int) -> Iterator[_Attempt]:
        every = max(1, min(30, count // 40))
        telephones: list[int] = []
        while count:
            telephones.append(3 if count >= 3 and self.random.random() < 0.06 else 1)
            count -= telephones[-1]
        hostile = {len(telephones) // 3, 2 * len(telephones) // 3}
        contacts = self._contacts()
        for place, start in enumerate(self._starts(len(telephones))):
            sought = place % every == 0
            if sought:
                number, name = _SOUGHT_SPELLINGS[place // every % len(_SOUGHT_SPELLINGS)], _SOUGHT_NAME
            else:
                number, name = contacts[min(self._below(len(contacts)), self._below(len(contacts)))]
                if self.random.random() < 0.02:
                    number, name = "anonymous", "Anonymous"
            incoming = number == "anonymous" or place in hostile or telephones[place] > 1
            yield _Attempt(
                start=start,
                telephones=telephones[place],
                number=number,
                name=_HOSTILE_NAME if place in hostile else name,
                member=self._below(len(_STAFF)),
                unique_id=f"{int(start.timestamp())}.{next(self.channels)}",
                from_outside=incoming or self.random.random() < 0.42,
                with_outside=sought or self.random.random() < 0.83,
            )

    def _below(self, limit: int) -> int:
        return int(self.random.random() * limit)

    def _one_of(self, choices: Sequence[_T]) -> _T:
        return choices[self._below(len(choices))]

    def _contacts(self) -> list[tuple[str, str]]:
        """Return numbers as they are written, with the names that come with them; the busiest first."""
        contacts = []
        for place in range(90):
            style = self._below(20)
            if style < 2:
                number = f"{self._one_of(('+1', '001'))}212555{100 + self._below(100):04}"
            elif style < 3:
                number = f"004930231250{self._below(100):02}"
            else:
                block = self._one_of(("2079460", "1632960", "7700900"))
                trunk = "0" if style < 15 else "+44" if style < 18 else "0044"
                number = f"{trunk}{block}{200 + self._below(800):03}"
            contacts.append((number, _COMPANIES[place % len(_COMPANIES)]))
        return contacts

    def _starts(self, count: int) -> list[datetime]:
        """Return *count* instants in office hours, in order, the last a minute or more before the end."""
        weights = []
        for hour in range((self.until - self.first) // timedelta(hours=1)):
            there = (self.first + timedelta(hours=hour, minutes=30)).astimezone(self.local)
            profile = _WEEKDAY if there.weekday() < 5 else _SATURDAY
            weights.append(0.25 + (profile[there.hour] if there.weekday() < 6 else 0))
        steps = list(itertools.accumulate(weights))
        starts = []
        for _ in range(count):
            hour = bisect.bisect_right(steps, self.random.random() * steps[-1], hi=len(steps) - 1)
            starts.append(self.first + timedelta(hours=hour, seconds=self._below(3600 - 60)))
        return sorted(starts)

    def _call(self, attempt: _Attempt) -> Iterator[_Leg]:
        """Yield the rows of one call: one, or three where three telephones ring at once."""
        if attempt.from_outside:
            return self._inbound(attempt)
        return iter([self._outbound(attempt) if attempt.with_outside else self._internal(attempt)])

    def _inbound(self, attempt: _Attempt) -> Iterator[_Leg]:
        rung = [_STAFF[(attempt.member + step) % len(_STAFF)][0] for step in range(attempt.telephones)]
        ring, talk, disposition = self._outcome(attempt.start, (0.7, 0.92, 0.98))
        voicemail = len(rung) == 1 and disposition == _ANSWERED and self.random.random() < 0.1
        winner = self._one_of(rung)
        incoming = self._channel("trunk")
        dialled = "&".join(f"PJSIP/{extension}" for extension in rung)
        for extension in rung:
            lost = disposition == _ANSWERED and extension != winner
            yield _Leg(
                account=_ACCOUNTS[attempt.member % len(_ACCOUNTS)],
                source=attempt.number,
                destination=_OWN[attempt.member % len(_OWN)],
                context="from-trunk",
                name=attempt.name,
                channel=incoming,
                far_channel="" if voicemail else self._channel(extension),
                application="VoiceMail" if voicemail else "Dial",
                argument=f"{extension}@office,u" if voicemail else f"{dialled},20,tT",
                start=attempt.start,
                ring=ring,
                talk=0 if lost else talk,
                disposition=_NO_ANSWER if lost else disposition,
                unique_id=attempt.unique_id,
            )

    def _outbound(self, attempt: _Attempt) -> _Leg:
        extension, name = _STAFF[attempt.member]
        own = _OWN[attempt.member % len(_OWN)]
        dialled = attempt.number.replace(" ", "")
        ring, talk, disposition = self._outcome(attempt.start, (0.68, 0.86, 0.95))
        return _Leg(
            account=_ACCOUNTS[attempt.member % len(_ACCOUNTS)],
            source=extension if self.random.random() < 0.4 else own,
            destination=dialled,
            context="from-internal",
            name=name,
            channel=self._channel(extension),
            far_channel="" if disposition == _FAILED else self._channel("trunk"),
            application="Dial",
            argument=f"PJSIP/{dialled}@trunk,60,T",
            start=attempt.start,
            ring=ring,
            talk=talk,
            disposition=disposition,
            unique_id=attempt.unique_id,
        )

    def _internal(self, attempt: _Attempt) -> _Leg:
        extension, name = _STAFF[attempt.member]
        other = _STAFF[(attempt.member + 1 + self._below(len(_STAFF) - 1)) % len(_STAFF)][0]
        ring, talk, disposition = self._outcome(attempt.start, (0.75, 0.95, 1.0))
        return _Leg(
            account=_ACCOUNTS[attempt.member % len(_ACCOUNTS)],
            source=extension,
            destination=other,
            context="from-internal",
            name=name,
            channel=self._channel(extension),
            far_channel=self._channel(other),
            application="Dial",
            argument=f"PJSIP/{other},30,tT",
            start=attempt.start,
            ring=ring,
            talk=talk,
            disposition=disposition,
            unique_id=attempt.unique_id,
        )

    def _channel(self, name: str) -> str:
        return f"PJSIP/{name}-{next(self.channels):08x}"

    def _outcome(self, start: datetime, shares: tuple[float, float, float]) -> tuple[int, int, str]:
        """Return seconds of ringing and of talk, and the disposition; *shares* add up as they go on."""
        room = int((self.until - start).total_seconds())
        chance = self.random.random()
        if chance < shares[0]:
            ring = 2 + self._below(17)
            talk = max(1, min(3600, round(self.random.lognormvariate(math.log(75), 1.1)), room - ring))
            return ring, talk, _ANSWERED
        if chance < shares[1]:
            return 15 + self._below(30), 0, _NO_ANSWER
        if chance < shares[2]:
            return self._below(3), 0, _BUSY
        return self._below(2), 0, _FAILED
