"""The data model: call records, their fields, tables of calls, and time ranges."""

from __future__ import annotations

from cdrkit._model.epoch import MICROSECOND, from_microseconds, to_microseconds
from cdrkit._model.fields import (
    CHOICE,
    FRACTION,
    INSTANT,
    INTEGER,
    MONEY,
    WORD,
    Direction,
    Disposition,
    FieldInfo,
    HangupParty,
)
from cdrkit._model.frames import (
    FRAME_TYPES,
    CallData,
    arrow_table,
    conform_frame,
    empty_frame,
    frames_of,
    records_of,
    records_to_arrow,
)
from cdrkit._model.names import DirectionName, DispositionName, FieldName, HangupPartyName, PresetName
from cdrkit._model.presets import PRESETS, Preset, check_preset, months_before, resolve_preset
from cdrkit._model.record import (
    FIELDS,
    SCHEMA,
    CallRecord,
    convert_value,
    find_field,
    json_value,
)
from cdrkit._model.times import UTC, TimeRange, day_start, format_instant, parse_instant
from cdrkit._model.zones import check_zone, zone, zone_names

__all__ = [
    "CHOICE",
    "FIELDS",
    "FRACTION",
    "FRAME_TYPES",
    "INSTANT",
    "INTEGER",
    "MICROSECOND",
    "MONEY",
    "PRESETS",
    "SCHEMA",
    "UTC",
    "WORD",
    "CallData",
    "CallRecord",
    "Direction",
    "DirectionName",
    "Disposition",
    "DispositionName",
    "FieldInfo",
    "FieldName",
    "HangupParty",
    "HangupPartyName",
    "Preset",
    "PresetName",
    "TimeRange",
    "arrow_table",
    "check_preset",
    "check_zone",
    "conform_frame",
    "convert_value",
    "day_start",
    "empty_frame",
    "find_field",
    "format_instant",
    "frames_of",
    "from_microseconds",
    "json_value",
    "months_before",
    "parse_instant",
    "records_of",
    "records_to_arrow",
    "resolve_preset",
    "to_microseconds",
    "zone",
    "zone_names",
]
