"""The names of fields and presets, for editors and type checkers.

The catalogues are `FIELDS`, `PRESETS` and the enumerations. A test compares the aliases of this module with them.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = ["DirectionName", "DispositionName", "FieldName", "HangupPartyName", "PresetName"]

#: The name of a field of a call record.
FieldName: TypeAlias = Literal[
    "call_id", "linked_id", "switch", "direction", "start", "answer", "end", "source", "source_name", "destination",
    "dialled", "did", "lrn", "tech_prefix", "source_ip", "customer_id", "reseller_id", "provider_id", "card_id",
    "account", "duration", "billed_duration", "ring_duration", "pdd", "pdd_in", "disposition", "sip_code",
    "q850_cause", "sip_reason", "release_reason", "hangup_party", "destination_code", "destination_name",
    "rate", "connect_cost", "charge", "provider_charge", "currency", "dtmf", "codec", "mos", "recording",
    "origin", "extra",
]  # fmt: skip
#: The name of a calendar period. Presets with a number, such as ``last_7_days``, are text beyond this list.
PresetName: TypeAlias = Literal[
    "today", "yesterday", "this_week", "last_week", "this_month", "last_month", "this_quarter", "last_quarter",
    "this_year", "last_year",
]  # fmt: skip
#: A word of `Disposition`.
DispositionName: TypeAlias = Literal[
    "answered", "busy", "no_answer", "cancelled", "rejected", "failed", "unknown",
]  # fmt: skip
#: A word of `Direction`.
DirectionName: TypeAlias = Literal["inbound", "outbound", "internal"]
#: A word of `HangupParty`.
HangupPartyName: TypeAlias = Literal["caller", "callee", "system"]
