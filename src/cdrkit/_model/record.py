"""The call record: its catalogue of fields, its Arrow schema, and records as a table."""

from __future__ import annotations

import enum
import json
import math
import struct
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, Final, TypeVar

import attrs
import pyarrow as pa

from cdrkit.errors import SchemaError, UnknownFieldError, suggestion

__all__ = [
    "FIELDS",
    "SCHEMA",
    "CallRecord",
    "Direction",
    "Disposition",
    "FieldInfo",
    "HangupParty",
    "convert_value",
    "find_field",
    "records_to_arrow",
]


class Direction(enum.StrEnum):
    """Which way a call went, seen from the customer."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"


class Disposition(enum.StrEnum):
    """How an attempt ended, in neutral words; the switch's own word stays in ``release_reason``."""

    ANSWERED = "answered"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    FAILED = "failed"
    UNKNOWN = "unknown"


class HangupParty(enum.StrEnum):
    """Who ended the call."""

    CALLER = "caller"
    CALLEE = "callee"
    SYSTEM = "system"


INSTANT: Final = pa.timestamp("us", tz="UTC")
MONEY: Final = pa.decimal128(18, 6)
WORD: Final = pa.dictionary(pa.int32(), pa.string())
CHOICE: Final = pa.dictionary(pa.int8(), pa.string())

INTEGER: Final = (pa.int32(), pa.int16())
FRACTION: Final = (pa.float64(), pa.float32())

_MONEY_LIMIT: Final = Decimal(10) ** 12
_MONEY_STEP: Final = Decimal("0.000001")


@attrs.frozen(kw_only=True)
class FieldInfo:
    """What the catalogue knows of one field.

    Attributes:
        name: The field's name in code, Arrow and CSV.
        label: What portals call it.
        type: Its Arrow type.
        meaning: One sentence.
        unit: ``s`` for seconds, ``UTC`` for instants, and so on; None where there is none.
        choices: The words it may hold, where they are fixed; otherwise empty.
        required: Whether every record has it.
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
        """Whether its values are text, whatever text."""
        return bool(self.type == pa.string() or self.type == WORD)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text is needed")
    value.encode()  # a lone surrogate cannot be stored
    return str(value)


def _instant(value: object) -> datetime:
    if not isinstance(value, datetime):
        raise TypeError("a datetime is needed")
    if value.tzinfo is None or value.utcoffset() is None:
        raise ValueError("it has no time zone; make it aware, for example with .replace(tzinfo=...)")
    return value.astimezone(UTC)


def _integer(bits: int) -> Callable[[object], int]:
    def convert(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError("a whole number is needed")
        if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
            raise ValueError(f"it does not fit {bits} bits")
        return int(value)

    return convert


def _float(value: object) -> float | None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError("a number is needed")
    if math.isnan(value):  # how pandas spells absent
        return None
    if math.isinf(value):
        raise ValueError("a finite number is needed")
    return float(value)


def _float32(value: object) -> float | None:
    number = _float(value)
    if number is None:
        return None
    # Stored in 32 bits: five decimals are certain, so what is kept here is what comes back.
    try:
        stored: float = struct.unpack("f", struct.pack("f", number))[0]
    except OverflowError:
        raise ValueError("it does not fit 32 bits") from None
    return round(stored * 1e5) / 1e5


def _money(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, str)):
        raise TypeError("a Decimal, a whole number or a text is needed (a float cannot hold money exactly)")
    try:
        amount = Decimal(value)
        if not amount.is_finite() or abs(amount) >= _MONEY_LIMIT or amount.quantize(_MONEY_STEP) != amount:
            raise ValueError("at most 12 digits before the point and 6 after it are stored")
    except InvalidOperation:
        raise ValueError("it is not an amount") from None
    return amount.quantize(_MONEY_STEP)


def _json_object(value: object) -> str:
    if isinstance(value, Mapping):
        return json.dumps(dict(value), ensure_ascii=False, sort_keys=True)
    text = _text(value)
    if not isinstance(json.loads(text), dict):
        raise ValueError("a JSON object is needed")
    return text


_E = TypeVar("_E", bound=enum.StrEnum)


def _choice(kind: type[_E]) -> Callable[[object], _E]:
    def convert(value: object) -> _E:
        try:
            return kind(value)  # type: ignore[arg-type]  # StrEnum takes any object and raises ValueError
        except ValueError:
            raise ValueError(f"one of {', '.join(kind)} is needed") from None

    return convert


def _short(value: object) -> str:
    """Return how a message shows a value: a part of it, when it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python refuses to write out very long numbers
        return f"a {type(value).__name__} that is too long to show"
    return text if len(text) <= 200 else f"{text[:200]}…"


def _checked(convert: Callable[[object], Any]) -> Any:
    """Return an attrs converter that turns any failure into a SchemaError naming field and value."""

    def apply(value: object, self_: object, attribute: attrs.Attribute[Any]) -> Any:
        required = attribute.default is attrs.NOTHING
        if value is None and not required:
            return None
        try:
            if value is None:
                raise ValueError("every record has one")
            return convert(value)
        except (TypeError, ValueError, ArithmeticError, RecursionError) as exc:
            raise SchemaError(
                f"{attribute.name} cannot be {_short(value)}: {exc}.", field=attribute.name
            ) from exc

    return attrs.Converter(apply, takes_self=True, takes_field=True)


def convert_value(info: FieldInfo, value: object) -> Any:
    """Return *value* as a record would hold it in that field.

    Raises:
        SchemaError: When it does not fit.
    """
    attribute = getattr(attrs.fields(CallRecord), info.name)
    return attribute.converter(value, None, attribute)


def _describe(
    label: str, type_: pa.DataType, meaning: str, unit: str | None, kind: type[enum.StrEnum] | None
) -> dict[str, Any]:
    choices = () if kind is None else tuple(kind)
    return {
        "label": label,
        "type": type_,
        "meaning": meaning,
        "unit": unit,
        "choices": tuple(map(str, choices)),
    }


_CONVERTERS: Final[list[tuple[pa.DataType, Callable[[object], Any]]]] = [
    (pa.string(), _text),
    (WORD, _text),
    (INSTANT, _instant),
    (MONEY, _money),
    (pa.int32(), _integer(32)),
    (pa.int16(), _integer(16)),
    (pa.float64(), _float),
    (pa.float32(), _float32),
]


def _optional(
    label: str,
    type_: pa.DataType,
    meaning: str,
    *,
    unit: str | None = None,
    kind: type[enum.StrEnum] | None = None,
    convert: Callable[[object], Any] | None = None,
) -> Any:
    if kind is not None:
        convert = _choice(kind)
    if convert is None:
        convert = next(function for known, function in _CONVERTERS if known == type_)
    return attrs.field(
        default=None, converter=_checked(convert), metadata=_describe(label, type_, meaning, unit, kind)
    )


@attrs.frozen(kw_only=True, repr=False)
class CallRecord:
    """One call, or one leg of a call, as a switch recorded it.

    Frozen and hashable. Instants are aware datetimes and come back in UTC; lengths are seconds; money is
    `decimal.Decimal` with at most six places; what is absent is None. A record is identified by
    (``start``, ``call_id``). The fields are described in the :doc:`catalogue </reference/fields>`.

    Example:
        >>> from datetime import datetime, timezone
        >>> call = CallRecord(
        ...     call_id="1700000000.17",
        ...     start=datetime(2026, 11, 22, 9, 30, tzinfo=timezone.utc),
        ...     source="+442079460018",
        ...     duration=34,
        ... )
        >>> call.connected
        True

    Raises:
        SchemaError: When a value does not fit its field; a naive datetime does not.
    """

    call_id: str = attrs.field(
        converter=_checked(_text),  # type: ignore[misc]  # mypy does not know converters that are objects
        metadata=_describe("Call ID", pa.string(), "Unique for one record (leg).", None, None),
    )
    linked_id: str | None = _optional("Linked ID", pa.string(), "Shared by the legs of one call.")
    switch: str | None = _optional("Switch", WORD, "The node that handled the call.")
    direction: Direction | None = _optional(
        "Direction", CHOICE, "Which way the call went, seen from the customer.", kind=Direction
    )
    start: datetime = attrs.field(
        converter=_checked(_instant),  # type: ignore[misc]  # mypy does not know converters that are objects
        metadata=_describe("Call Time", INSTANT, "When the attempt began.", "UTC", None),
    )
    answer: datetime | None = _optional("Answer Time", INSTANT, "When it was answered.", unit="UTC")
    end: datetime | None = _optional("End Time", INSTANT, "When it ended.", unit="UTC")
    source: str | None = _optional("Source Number", pa.string(), "Calling number (CLI), as received.")
    source_name: str | None = _optional("Source Name", pa.string(), "Caller's name as sent: untrusted text.")
    destination: str | None = _optional(
        "Destination", pa.string(), "Number dialled, after the switch's processing."
    )
    dialled: str | None = _optional(
        "Dialled Number", pa.string(), "Number dialled, as received from the customer."
    )
    did: str | None = _optional("DID", pa.string(), "Direct inward dialling number that was called.")
    lrn: str | None = _optional(
        "LRN Number", pa.string(), "Location routing number, after the portability lookup."
    )
    tech_prefix: str | None = _optional("Tech Prefix", pa.string(), "Routing prefix that was dialled.")
    source_ip: str | None = _optional("Source IP", pa.string(), "Address the signalling came from.")
    customer_id: str | None = _optional("Customer", pa.string(), "Customer the call belongs to.")
    reseller_id: str | None = _optional("Reseller", pa.string(), "Reseller of that customer.")
    provider_id: str | None = _optional("Provider", pa.string(), "Carrier that terminated the call.")
    card_id: str | None = _optional("Card ID", pa.string(), "Rate card that authorised it.")
    account: str | None = _optional("Account", pa.string(), "The switch's account code.")
    duration: int | None = _optional(
        "Duration",
        pa.int32(),
        "Connected (talk) time, as the switch states it; 0 = not connected.",
        unit="s",
    )
    billed_duration: int | None = _optional(
        "Billed Duration", pa.int32(), "Time billed, after minimum and increment.", unit="s"
    )
    ring_duration: float | None = _optional(
        "Ring Duration", pa.float64(), "Ringing until answer or end.", unit="s"
    )
    pdd: float | None = _optional(
        "PDD", pa.float64(), "Post-dial delay: from the INVITE sent to the first response.", unit="s"
    )
    pdd_in: float | None = _optional(
        "PDD In", pa.float64(), "From dialling to the first response signal, customer side.", unit="s"
    )
    disposition: Disposition | None = _optional(
        "Disposition", CHOICE, "How it ended, in neutral words.", kind=Disposition
    )
    sip_code: int | None = _optional("SIP Code", pa.int16(), "Final SIP status; never derived from Q.850.")
    q850_cause: int | None = _optional(
        "Q.850 Cause", pa.int16(), "ITU-T Q.850 release cause; never derived from SIP."
    )
    sip_reason: str | None = _optional("SIP Reason", pa.string(), "Text of the SIP status.")
    release_reason: str | None = _optional(
        "Release Reason", pa.string(), "Why it ended, in the switch's own words."
    )
    hangup_party: HangupParty | None = _optional(
        "Hangup Party", CHOICE, "Who ended the call.", kind=HangupParty
    )
    destination_code: str | None = _optional(
        "Destination Code", pa.string(), "Rate deck's code for the destination; not its digits."
    )
    destination_name: str | None = _optional(
        "Destination Name", pa.string(), "Rate deck's name: country, region or operator."
    )
    rate: Decimal | None = _optional("Rate", MONEY, "Price per minute or interval.", unit="currency")
    connect_cost: Decimal | None = _optional(
        "Connect Cost", MONEY, "One-off price of connecting.", unit="currency"
    )
    charge: Decimal | None = _optional("Charge", MONEY, "What the customer is billed.", unit="currency")
    provider_charge: Decimal | None = _optional(
        "Provider Charge", MONEY, "What the provider bills.", unit="currency"
    )
    currency: str | None = _optional("Currency", pa.string(), "ISO 4217 code of the amounts.")
    dtmf: str | None = _optional("DTMF", pa.string(), "Digits pressed during the call.")
    codec: str | None = _optional("Codec", pa.string(), "Audio codec.")
    mos: float | None = _optional("MOS", pa.float32(), "Mean opinion score (ITU-T P.800).", unit="1-5")
    recording: str | None = _optional(
        "Recording File", pa.string(), "Path or URL of the recording, resolved by the store."
    )
    origin: str | None = _optional("Origin", WORD, "Source format that brought the record.")
    extra: str | None = _optional(
        "Extra",
        pa.string(),
        "JSON object of every native column that has no field here.",
        convert=_json_object,
    )

    def __repr__(self) -> str:
        given = ((name, getattr(self, name)) for name in FIELDS)
        return f"CallRecord({', '.join(f'{name}={value!r}' for name, value in given if value is not None)})"

    @property
    def connected(self) -> bool:
        """Whether anyone talked: ``duration`` is above 0."""
        return self.duration is not None and self.duration > 0

    @property
    def has_recording(self) -> bool:
        """Whether a recording is named; whether its file exists is known to `Store.recording` only."""
        return self.recording is not None


#: The catalogue: what each field of a `CallRecord` is, in the order portals show them.
FIELDS: Final[Mapping[str, FieldInfo]] = MappingProxyType(
    {
        a.name: FieldInfo(name=a.name, required=a.default is attrs.NOTHING, **a.metadata)
        for a in attrs.fields(CallRecord)
    }
)

#: The Arrow schema of call records; label, unit and meaning are in each field's metadata.
SCHEMA: Final[pa.Schema] = pa.schema(
    [
        pa.field(
            info.name,
            info.type,
            nullable=not info.required,
            metadata={
                key: value
                for key, value in (("label", info.label), ("unit", info.unit), ("meaning", info.meaning))
                if value
            },
        )
        for info in FIELDS.values()
    ]
)


def find_field(name: str, *, among: Iterable[str] | None = None) -> FieldInfo:
    """Return the catalogue's entry for *name*; *among* narrows the fields that are known.

    Raises:
        UnknownFieldError: When there is no such field; it names the nearest ones.
    """
    allowed = FIELDS if among is None else {key: FIELDS[key] for key in among}
    info = allowed.get(name) if isinstance(name, str) else None
    if info is None:
        hint, close = suggestion(str(name), allowed)
        raise UnknownFieldError(
            f"There is no field {name!r}.{hint} All fields: {', '.join(allowed)}.",
            field=str(name),
            close_matches=close,
        )
    return info


def records_to_arrow(records: Iterable[CallRecord]) -> pa.Table:
    """Return *records* as a table of `SCHEMA`, in their order.

    Raises:
        SchemaError: When one of them is not a `CallRecord`.
    """
    columns: dict[str, list[object]] = {name: [] for name in FIELDS}
    for row, record in enumerate(records):
        if not isinstance(record, CallRecord):
            raise SchemaError(f"Row {row} is a {type(record).__name__}, not a CallRecord.", row=row)
        for name, values in columns.items():
            values.append(getattr(record, name))
    return pa.table(
        {name: pa.array(values, type=FIELDS[name].type) for name, values in columns.items()}, schema=SCHEMA
    )
