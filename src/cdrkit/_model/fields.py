"""The fields of a call record: their types, units and allowed values."""

from __future__ import annotations

import enum
from typing import Final

import attrs
import pyarrow as pa

__all__ = [
    "CHOICE",
    "FRACTION",
    "INSTANT",
    "INTEGER",
    "MONEY",
    "WORD",
    "Direction",
    "Disposition",
    "FieldInfo",
    "HangupParty",
]


class Direction(enum.StrEnum):
    """The direction of a call, seen from the customer.

    Example:
        >>> from cdrkit import Direction, field
        >>> Direction("inbound") is Direction.INBOUND
        True
        >>> field("direction") == Direction.INBOUND
        field('direction') == 'inbound'
    """

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"


class Disposition(enum.StrEnum):
    """The outcome of a call attempt, in words common to all switches.

    ``release_reason`` contains the switch's own word for the disposition.

    Example:
        >>> from cdrkit import Disposition, Query
        >>> Query().disposition(Disposition.BUSY)
        Query().where(field('disposition').is_in(['busy']))
        >>> str(Disposition.NO_ANSWER)
        'no_answer'
    """

    ANSWERED = "answered"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    FAILED = "failed"
    UNKNOWN = "unknown"


class HangupParty(enum.StrEnum):
    """The party that ended the call.

    Example:
        >>> from cdrkit import HangupParty, field
        >>> field("hangup_party") == HangupParty.CALLEE
        field('hangup_party') == 'callee'
    """

    CALLER = "caller"
    CALLEE = "callee"
    SYSTEM = "system"


#: An instant in UTC, to the microsecond.
INSTANT: Final = pa.timestamp("us", tz="UTC")
#: An amount of money with six decimals.
MONEY: Final = pa.decimal128(18, 6)
#: Text with few distinct values, such as the name of a switch.
WORD: Final = pa.dictionary(pa.int32(), pa.string())
#: One of a fixed list of words.
CHOICE: Final = pa.dictionary(pa.int8(), pa.string())

INTEGER: Final = (pa.int32(), pa.int16())
FRACTION: Final = (pa.float64(), pa.float32())


@attrs.frozen(kw_only=True)
class FieldInfo:
    """The description of one field in the field catalogue.

    Attributes:
        name: The field's name in code, Arrow and CSV.
        label: The field's name in portals.
        type: The Arrow type of the field's values.
        meaning: One sentence that explains the field.
        unit: ``s`` for seconds, ``UTC`` for instants, and so on; None for a field without a unit.
        choices: The words that the field may hold; empty if the field has no fixed list of words.
        required: Whether every record has the field.

    Example:
        >>> from cdrkit import FIELDS
        >>> FIELDS["duration"].label, FIELDS["duration"].unit
        ('Duration', 's')
    """

    name: str
    label: str
    type: pa.DataType
    meaning: str
    unit: str | None = None
    choices: tuple[str, ...] = ()
    required: bool = False

    @property
    def is_text(self) -> bool:
        """Return whether the field holds free text.

        Example:
            >>> from cdrkit import FIELDS
            >>> FIELDS["source_name"].is_text, FIELDS["duration"].is_text
            (True, False)
        """
        return bool(self.type == pa.string() or self.type == WORD)
