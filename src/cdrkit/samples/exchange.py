"""The sample calls of a small office, as rows of an Asterisk ``Master.csv``."""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Final, TypeVar

import attrs

__all__ = ["KNOWN_NUMBER", "Exchange", "Leg"]

_T = TypeVar("_T")
#: The number of the latest answered calls with a recording.
_RECORDED: Final = 40
_ACCOUNTS: Final = ("1001", "1002", "1003", "1004")
_STAFF: Final = (
    ("201", "Alice Example"), ("202", "Bob Sample"), ("203", "Carol Muster"), ("204", "Dan Placeholder"),
    ("205", "Erin Specimen"), ("206", "Frank Template"), ("207", "Grace Dummy"), ("208", "Henry Mock"),
    ("209", "Iris Made-Up"), ("210", "Jack Fictional"), ("211", "Reception"), ("212", "Workshop"),
)  # fmt: skip
# The office's own numbers, one for each account.
_OWN: Final = ("02079460100", "02079460101", "02079460102", "02079460103")
#: The number that demonstrations search for.
KNOWN_NUMBER: Final = "020 7946 0018"
_KNOWN_SPELLINGS: Final = ("02079460018", "+442079460018", "00442079460018", "020 7946 0018")
_KNOWN_NAME: Final = "Harbour Books"
_COMPANIES: Final = (
    "Northgate Dental", "Zoë's Bakery", 'The "Crown" Inn', "Smith, Jones & Co", "Quayside Garage", "", "", "",
    "Mill Lane School", "Łukasz Wzór", "Green Taxis", "", "",
)  # fmt: skip
_HOSTILE_NAME: Final = "=cmd|' /C calc'!A0"
# Relative number of calls in each local hour of a working day.
_WEEKDAY: Final = (
    1, 0, 0, 0, 0, 1, 2, 15, 70, 130, 170, 160, 100, 120, 165, 150, 120, 60, 20, 8, 4, 3, 2, 1,
)  # fmt: skip
_SATURDAY: Final = (0, 0, 0, 0, 0, 0, 0, 0, 2, 15, 25, 20, 10, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)

_ANSWERED: Final = "ANSWERED"
_NO_ANSWER: Final = "NO ANSWER"
_BUSY: Final = "BUSY"
_FAILED: Final = "FAILED"


@attrs.frozen(kw_only=True)
class Leg:
    """A row of ``Master.csv``: one leg of a call."""

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
        """The time at which the leg ended."""
        return self.start + timedelta(seconds=self.ring + self.talk)

    def line(self, local: tzinfo) -> str:
        """Return the row as a line in the format of Asterisk's cdr_csv.

        Only text values are quoted. A timestamp that is not set is empty.
        """
        answer = self.start + timedelta(seconds=self.ring)
        columns = (
            _quote(self.account),
            _quote(self.source),
            _quote(self.destination),
            _quote(self.context),
            _quote(f'"{self.name}" <{self.source}>'),
            _quote(self.channel),
            _quote(self.far_channel),
            _quote(self.application),
            _quote(self.argument),
            _stamp(self.start, local),
            _stamp(answer, local) if self.disposition == _ANSWERED else "",
            _stamp(self.end, local),
            str(self.ring + self.talk),
            str(self.talk),
            _quote(self.disposition),
            _quote("DOCUMENTATION"),
            _quote(self.unique_id),
            _quote(self.recording),
        )
        return f"{','.join(columns)}\n"


def _quote(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _stamp(instant: datetime, local: tzinfo) -> str:
    return f'"{instant.astimezone(local):%Y-%m-%d %H:%M:%S}"'


@attrs.frozen(kw_only=True)
class _Attempt:
    """A call whose direction and result are not decided yet.

    Attributes:
        start: The start of the call.
        telephones: The number of telephones that ring at once.
        number: The number outside the office.
        name: The caller name transmitted with the number.
        member: The index of the member of staff.
        unique_id: Asterisk's unique id.
        from_outside: Whether the call is inbound.
        with_outside: Whether a call from the office goes to an outside number.
    """

    start: datetime
    telephones: int
    number: str
    name: str
    member: int
    unique_id: str
    from_outside: bool
    with_outside: bool


@attrs.frozen(kw_only=True)
class Exchange:
    """The telephone system that generates the calls of the sample office.

    The calls are generated in the order of their start times.

    Attributes:
        random: The source of random choices.
        first: The beginning of the period.
        until: The instant by which every call has ended.
        local: The zone of the office.
        channels: The numbers of channels.
    """

    random: random.Random
    first: datetime
    until: datetime
    local: tzinfo
    channels: Iterator[int] = attrs.field(factory=lambda: itertools.count(1))

    def legs(self, count: int) -> list[Leg]:
        """Generate *count* rows, sorted by end time.

        The latest answered calls have a recording.
        """
        legs = [leg for attempt in self._attempts(count) for leg in self._call(attempt)]
        legs.sort(key=lambda leg: leg.end)
        talks = [index for index, leg in enumerate(legs) if leg.talk and leg.application == "Dial"]
        for index in talks[-_RECORDED:]:
            day = f"{legs[index].start.astimezone(self.local):%Y/%m/%d}"
            legs[index] = attrs.evolve(legs[index], recording=f"{day}/{legs[index].unique_id}.wav")
        return legs

    def _attempts(self, count: int) -> Iterator[_Attempt]:
        every = max(1, min(30, count // 40))
        telephones: list[int] = []
        while count:
            telephones.append(3 if count >= 3 and self.random.random() < 0.06 else 1)
            count -= telephones[-1]
        hostile = {len(telephones) // 3, 2 * len(telephones) // 3}
        contacts = self._contacts()
        for index, start in enumerate(self._starts(len(telephones))):
            is_known = index % every == 0
            if is_known:
                number, name = _KNOWN_SPELLINGS[index // every % len(_KNOWN_SPELLINGS)], _KNOWN_NAME
            else:
                number, name = contacts[min(self._below(len(contacts)), self._below(len(contacts)))]
                if self.random.random() < 0.02:
                    number, name = "anonymous", "Anonymous"
            incoming = number == "anonymous" or index in hostile or telephones[index] > 1
            yield _Attempt(
                start=start,
                telephones=telephones[index],
                number=number,
                name=_HOSTILE_NAME if index in hostile else name,
                member=self._below(len(_STAFF)),
                unique_id=f"{int(start.timestamp())}.{next(self.channels)}",
                from_outside=incoming or self.random.random() < 0.42,
                with_outside=is_known or self.random.random() < 0.83,
            )

    def _below(self, limit: int) -> int:
        return int(self.random.random() * limit)

    def _one_of(self, choices: Sequence[_T]) -> _T:
        return choices[self._below(len(choices))]

    def _contacts(self) -> list[tuple[str, str]]:
        """Return the contacts: pairs of a telephone number and the caller's name.

        The numbers are written in several notations. The busiest contact comes first.
        """
        contacts = []
        for index in range(90):
            style = self._below(20)
            if style < 2:
                number = f"{self._one_of(('+1', '001'))}212555{100 + self._below(100):04}"
            elif style < 3:
                number = f"004930231250{self._below(100):02}"
            else:
                block = self._one_of(("2079460", "1632960", "7700900"))
                trunk = "0" if style < 15 else "+44" if style < 18 else "0044"
                number = f"{trunk}{block}{200 + self._below(800):03}"
            contacts.append((number, _COMPANIES[index % len(_COMPANIES)]))
        return contacts

    def _starts(self, count: int) -> list[datetime]:
        """Return *count* sorted instants in office hours.

        The last instant is at least one minute before the end of the period.
        """
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

    def _call(self, attempt: _Attempt) -> Iterator[Leg]:
        """Yield the rows of a call.

        A call has one row, or three where three telephones ring at once.
        """
        if attempt.from_outside:
            return self._inbound(attempt)
        return iter([self._outbound(attempt) if attempt.with_outside else self._internal(attempt)])

    def _inbound(self, attempt: _Attempt) -> Iterator[Leg]:
        extensions = [_STAFF[(attempt.member + step) % len(_STAFF)][0] for step in range(attempt.telephones)]
        ring, talk, disposition = self._outcome(attempt.start, (0.7, 0.92, 0.98))
        voicemail = len(extensions) == 1 and disposition == _ANSWERED and self.random.random() < 0.1
        winner = self._one_of(extensions)
        incoming = self._channel("trunk")
        dialled = "&".join(f"PJSIP/{extension}" for extension in extensions)
        for extension in extensions:
            lost = disposition == _ANSWERED and extension != winner
            yield Leg(
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

    def _outbound(self, attempt: _Attempt) -> Leg:
        extension, name = _STAFF[attempt.member]
        own = _OWN[attempt.member % len(_OWN)]
        dialled = attempt.number.replace(" ", "")
        ring, talk, disposition = self._outcome(attempt.start, (0.68, 0.86, 0.95))
        return Leg(
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

    def _internal(self, attempt: _Attempt) -> Leg:
        extension, name = _STAFF[attempt.member]
        other = _STAFF[(attempt.member + 1 + self._below(len(_STAFF) - 1)) % len(_STAFF)][0]
        ring, talk, disposition = self._outcome(attempt.start, (0.75, 0.95, 1.0))
        return Leg(
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
        """Draw a random ringing time and talk time in seconds, and a random disposition.

        Args:
            start: The start of the call.
            shares: Cumulative shares of the calls that are answered, not answered and busy.
        """
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
