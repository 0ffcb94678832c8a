"""The record of one call, and the catalogue of its fields."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import attrs
import pyarrow as pa

from cdrkit._model.converters import (
    show_value,
    to_direction,
    to_disposition,
    to_float32,
    to_float64,
    to_hangup_party,
    to_instant,
    to_int16,
    to_int32,
    to_json_object,
    to_money,
    to_required_instant,
    to_required_text,
    to_text,
)
from cdrkit._model.fields import (
    CHOICE,
    INSTANT,
    MONEY,
    WORD,
    Direction,
    Disposition,
    FieldInfo,
    HangupParty,
)
from cdrkit._model.times import format_instant, parse_offset_instant
from cdrkit.errors import QueryError, SchemaError, UnknownFieldError, suggestion

__all__ = ["FIELDS", "SCHEMA", "CallRecord", "convert_value", "find_field", "json_value"]


def json_value(value: Any) -> Any:
    """Convert a field's value to a JSON value.

    Instants become ISO 8601 text in UTC; amounts and words become text.
    """
    if isinstance(value, datetime):
        return format_instant(value)
    return str(value) if isinstance(value, (Decimal, enum.StrEnum)) else value


def convert_value(info: FieldInfo, value: object) -> Any:
    """Convert *value* to the type that a record uses for the field *info*.

    Raises:
        SchemaError: When the value does not fit the field.
    """
    attribute = getattr(attrs.fields(CallRecord), info.name)
    return attribute.converter(value, None, attribute)


def _describe(
    label: str,
    type_: pa.DataType,
    meaning: str,
    *,
    unit: str | None = None,
    kind: type[enum.StrEnum] | None = None,
) -> dict[str, Any]:
    choices = () if kind is None else tuple(map(str, kind))
    return {"label": label, "type": type_, "meaning": meaning, "unit": unit, "choices": choices}


@attrs.frozen(kw_only=True, repr=False)
class CallRecord:
    """A call, or one leg of a call, as a switch recorded it.

    A record is frozen and hashable. A store identifies a record by (``start``, ``call_id``). Instants are aware
    datetimes and are kept in UTC, durations are seconds, and amounts of money are `decimal.Decimal` with at most six
    decimals. An absent value is None. The :doc:`catalogue </reference/fields>` describes every field.

    Example:
        >>> from datetime import datetime, timezone
        >>> call = CallRecord(
        ...     call_id="1700000000.17",
        ...     start=datetime(2026, 11, 22, 9, 30, tzinfo=timezone.utc),
        ...     source="+442079460018",
        ...     duration=34,
        ...     charge="0.25",
        ... )
        >>> call.connected
        True
        >>> call.charge
        Decimal('0.250000')

    Raises:
        SchemaError: When a value does not fit its field; for example, a datetime without a time zone.
    """

    call_id: str = attrs.field(
        converter=to_required_text, metadata=_describe("Call ID", pa.string(), "Unique for one record (leg).")
    )
    linked_id: str | None = attrs.field(
        default=None,
        converter=to_text,
        metadata=_describe("Linked ID", pa.string(), "Shared by the legs of one call."),
    )
    switch: str | None = attrs.field(
        default=None, converter=to_text, metadata=_describe("Switch", WORD, "The node that handled the call.")
    )
    direction: Direction | None = attrs.field(
        default=None,
        converter=to_direction,
        metadata=_describe(
            "Direction", CHOICE, "Direction of the call, seen from the customer.", kind=Direction
        ),
    )
    start: datetime = attrs.field(
        converter=to_required_instant,
        metadata=_describe("Call Time", INSTANT, "Instant at which the attempt began.", unit="UTC"),
    )
    answer: datetime | None = attrs.field(
        default=None,
        converter=to_instant,
        metadata=_describe("Answer Time", INSTANT, "Instant at which the call was answered.", unit="UTC"),
    )
    end: datetime | None = attrs.field(
        default=None,
        converter=to_instant,
        metadata=_describe("End Time", INSTANT, "Instant at which the call ended.", unit="UTC"),
    )
    source: str | None = attrs.field(
        default=None,
        converter=to_text,
        metadata=_describe("Source Number", pa.string(), "Calling number (CLI), as received."),
    )
    source_name: str | None = attrs.field(
        default=None,
        converter=to_text,
        metadata=_describe("Source Name", pa.string(), "Caller's name as sent: untrusted text."),
    )
    destination: str | None = attrs.field(
        default=None,
        converter=to_text,
        metadata=_describe("Destination", pa.string(), "Number dialled, after the switch's processing."),
    )
    dialled: str | None = attrs.field(
        default=None,
        converter=to_text,
        metadata=_describe("Dialled Number", pa.string(), "Number dialled, as received from the customer."),
    )
    did: str | None = attrs.field(
        default=None,
        converter=to_text,
        metadata=_describe("DID", pa.string(), "Direct inward dialling number that was called."),
    )
    lrn: str | None = attrs.field(
        default=None,
        converter=to_text,
        metadata=_describe(
            "LRN Number", pa.string(), "Location routing number, after the portability lookup."
        ),
    )
    tech_prefix: str | None = attrs.field(
        default=None,
        converter=to_text,
        metadata=_describe("Tech Prefix", pa.string(), "Routing prefix that was dialled."),
    )
    source_ip: str | None = attrs.field(
        default=None,
        converter=to_text,
        metadata=_describe("Source IP", pa.string(), "Address the signalling came from."),
    )
    customer_id: str | None = attrs.field(
        default=None,
        converter=to_text,
        metadata=_describe("Customer", pa.string(), "Customer the call belongs to."),
    )
    reseller_id: str | None = attrs.field(
        default=None,
        converter=to_text,
        metadata=_describe("Reseller", pa.string(), "Reseller of that customer."),
    )
    provider_id: str | None = attrs.field(
        default=None,
        converter=to_text,
        metadata=_describe("Provider", pa.string(), "Carrier that terminated the call."),
    )
    card_id: str | None = attrs.field(
        default=None,
        converter=to_text,
        metadata=_describe("Card ID", pa.string(), "Rate card that authorised the call."),
    )
    account: str | None = attrs.field(
        default=None,
        converter=to_text,
        metadata=_describe("Account", pa.string(), "The switch's account code."),
    )
    duration: int | None = attrs.field(
        default=None,
        converter=to_int32,
        metadata=_describe(
            "Duration",
            pa.int32(),
            "Connected (talk) time, as the switch states it; 0 = not connected.",
            unit="s",
        ),
    )
    billed_duration: int | None = attrs.field(
        default=None,
        converter=to_int32,
        metadata=_describe(
            "Billed Duration", pa.int32(), "Time billed, after minimum and increment.", unit="s"
        ),
    )
    ring_duration: float | None = attrs.field(
        default=None,
        converter=to_float64,
        metadata=_describe(
            "Ring Duration", pa.float64(), "Ringing time until the answer or the end.", unit="s"
        ),
    )
    pdd: float | None = attrs.field(
        default=None,
        converter=to_float64,
        metadata=_describe(
            "PDD", pa.float64(), "Post-dial delay: from the INVITE sent to the first response.", unit="s"
        ),
    )
    pdd_in: float | None = attrs.field(
        default=None,
        converter=to_float64,
        metadata=_describe(
            "PDD In", pa.float64(), "From dialling to the first response signal, customer side.", unit="s"
        ),
    )
    disposition: Disposition | None = attrs.field(
        default=None,
        converter=to_disposition,
        metadata=_describe(
            "Disposition",
            CHOICE,
            "Outcome of the attempt, in words common to all switches.",
            kind=Disposition,
        ),
    )
    sip_code: int | None = attrs.field(
        default=None,
        converter=to_int16,
        metadata=_describe("SIP Code", pa.int16(), "Final SIP status; never derived from Q.850."),
    )
    q850_cause: int | None = attrs.field(
        default=None,
        converter=to_int16,
        metadata=_describe("Q.850 Cause", pa.int16(), "ITU-T Q.850 release cause; never derived from SIP."),
    )
    sip_reason: str | None = attrs.field(
        default=None,
        converter=to_text,
        metadata=_describe("SIP Reason", pa.string(), "Text of the SIP status."),
    )
    release_reason: str | None = attrs.field(
        default=None,
        converter=to_text,
        metadata=_describe(
            "Release Reason", pa.string(), "Reason for the end of the call, in the switch's own words."
        ),
    )
    hangup_party: HangupParty | None = attrs.field(
        default=None,
        converter=to_hangup_party,
        metadata=_describe("Hangup Party", CHOICE, "Party that ended the call.", kind=HangupParty),
    )
    destination_code: str | None = attrs.field(
        default=None,
        converter=to_text,
        metadata=_describe(
            "Destination Code", pa.string(), "Rate deck's code for the destination; not its digits."
        ),
    )
    destination_name: str | None = attrs.field(
        default=None,
        converter=to_text,
        metadata=_describe("Destination Name", pa.string(), "Rate deck's name: country, region or operator."),
    )
    rate: Decimal | None = attrs.field(
        default=None,
        converter=to_money,
        metadata=_describe("Rate", MONEY, "Price per minute or interval.", unit="currency"),
    )
    connect_cost: Decimal | None = attrs.field(
        default=None,
        converter=to_money,
        metadata=_describe("Connect Cost", MONEY, "One-off price of a connected call.", unit="currency"),
    )
    charge: Decimal | None = attrs.field(
        default=None,
        converter=to_money,
        metadata=_describe("Charge", MONEY, "Amount billed to the customer.", unit="currency"),
    )
    provider_charge: Decimal | None = attrs.field(
        default=None,
        converter=to_money,
        metadata=_describe("Provider Charge", MONEY, "Amount billed by the provider.", unit="currency"),
    )
    currency: str | None = attrs.field(
        default=None,
        converter=to_text,
        metadata=_describe("Currency", pa.string(), "ISO 4217 code of the amounts."),
    )
    dtmf: str | None = attrs.field(
        default=None,
        converter=to_text,
        metadata=_describe("DTMF", pa.string(), "Digits pressed during the call."),
    )
    codec: str | None = attrs.field(
        default=None, converter=to_text, metadata=_describe("Codec", pa.string(), "Audio codec.")
    )
    mos: float | None = attrs.field(
        default=None,
        converter=to_float32,
        metadata=_describe("MOS", pa.float32(), "Mean opinion score (ITU-T P.800).", unit="1-5"),
    )
    recording: str | None = attrs.field(
        default=None,
        converter=to_text,
        metadata=_describe(
            "Recording File", pa.string(), "Path or URL of the recording, resolved by the store."
        ),
    )
    origin: str | None = attrs.field(
        default=None,
        converter=to_text,
        metadata=_describe("Origin", WORD, "Source format that brought the record."),
    )
    extra: str | None = attrs.field(
        default=None,
        converter=to_json_object,
        metadata=_describe(
            "Extra", pa.string(), "JSON object of every native column that has no field here."
        ),
    )

    def __repr__(self) -> str:
        given = ((name, getattr(self, name)) for name in FIELDS)
        return f"CallRecord({', '.join(f'{name}={value!r}' for name, value in given if value is not None)})"

    @property
    def connected(self) -> bool:
        """Return whether the call was connected: its ``duration`` is above 0.

        Example:
            >>> CallRecord.from_dict({"call_id": "17", "start": "2026-11-22T09:30:00Z", "duration": 0}).connected
            False
        """
        return self.duration is not None and self.duration > 0

    @property
    def has_recording(self) -> bool:
        """Return whether the field ``recording`` has a value.

        The file itself may be absent; see `Store.recording`.

        Example:
            >>> CallRecord.from_dict({"call_id": "17", "start": "2026-11-22T09:30:00Z"}).has_recording
            False
        """
        return self.recording is not None

    def to_dict(self) -> dict[str, Any]:
        """Return the record as a dict of JSON values that `from_dict` accepts.

        Returns:
            The fields in the catalogue's order, without absent ones. Instants are ISO 8601 text in UTC
            (``2026-11-22T09:30:00Z``). Amounts of money and the words of enumerations are text. ``extra`` is the
            text of a JSON object.

        Example:
            >>> from datetime import datetime, timezone
            >>> start = datetime(2026, 11, 22, 9, 30, tzinfo=timezone.utc)
            >>> CallRecord(call_id="17", start=start, duration=34, charge="0.25").to_dict()
            {'call_id': '17', 'start': '2026-11-22T09:30:00Z', 'duration': 34, 'charge': '0.250000'}
        """
        values = ((name, getattr(self, name)) for name in FIELDS)
        return {name: json_value(value) for name, value in values if value is not None}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CallRecord:
        """Build a record from a dict.

        The dict has JSON values, as `to_dict` returns them, or Python values.

        Args:
            data: A value for each field. Instants are aware datetimes, or ISO 8601 text with an offset or ``Z``.
                ``extra`` is a dict or the text of a JSON object. None stands for an absent value.

        Raises:
            SchemaError: When *data* is not a dict, has an unknown key or lacks ``call_id`` or ``start``, or when a
                value does not fit its field. The error suggests the nearest field for an unknown key.

        Example:
            >>> CallRecord.from_dict({"call_id": "17", "start": "2026-11-22T09:30:00Z", "charge": "0.25"})
            CallRecord(call_id='17', start=datetime.datetime(2026, 11, 22, 9, 30, tzinfo=datetime.timezone.utc), \
charge=Decimal('0.250000'))
        """
        if not isinstance(data, Mapping):
            raise SchemaError(f"A record must be a dict, not {show_value(data)}.")
        values = dict(data)
        for name, value in data.items():
            info = FIELDS.get(name)
            if info is None:
                hint, _ = suggestion(str(name), FIELDS)
                raise SchemaError(
                    f"Unknown field {name!r}.{hint} Rename the key, or put its value into 'extra'.",
                    field=str(name),
                )
            if info.type == INSTANT and isinstance(value, str):
                values[name] = _parse_instant(info, value)
        for name in _REQUIRED:
            if name not in values:
                raise SchemaError(
                    f"The field {name!r} is missing. Every record needs this field.", field=name
                )
        return cls(**values)


def _parse_instant(info: FieldInfo, text: str) -> datetime:
    try:
        return parse_offset_instant(text, parameter=info.name)
    except QueryError as exc:
        raise SchemaError(
            f"The field {info.name} cannot be {show_value(text)}: {exc}", field=info.name
        ) from exc


#: The catalogue: a description of each field of a `CallRecord`, in the order in which portals show fields.
FIELDS: Final[Mapping[str, FieldInfo]] = MappingProxyType(
    {
        a.name: FieldInfo(name=a.name, required=a.default is attrs.NOTHING, **a.metadata)
        for a in attrs.fields(CallRecord)
    }
)
_REQUIRED: Final = tuple(info.name for info in FIELDS.values() if info.required)

#: The Arrow schema of call records. The metadata of each field has its label, unit and meaning.
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
    """Return the description of the field *name* from the field catalogue.

    Args:
        name: The name of a field.
        among: The names of the fields to search; None for every field.

    Raises:
        UnknownFieldError: When the field is unknown. The error suggests the nearest names.
    """
    allowed = FIELDS if among is None else {key: FIELDS[key] for key in among}
    info = allowed.get(name) if isinstance(name, str) else None
    if info is None:
        hint, close = suggestion(str(name), allowed)
        raise UnknownFieldError(
            f"Unknown field {name!r}.{hint} All fields: {', '.join(allowed)}.",
            field=str(name),
            close_matches=close,
        )
    return info
