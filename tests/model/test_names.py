"""The Literal aliases, compared with the catalogues whose names they list."""

from __future__ import annotations

from typing import get_args

from cdrkit._model import (
    FIELDS,
    PRESETS,
    Direction,
    DirectionName,
    Disposition,
    DispositionName,
    FieldName,
    HangupParty,
    HangupPartyName,
    PresetName,
)


def test_field_names() -> None:
    """``FieldName`` has every field, in the catalogue's order."""
    assert get_args(FieldName) == tuple(FIELDS)


def test_preset_names() -> None:
    """``PresetName`` has every calendar period."""
    assert get_args(PresetName) == PRESETS


def test_choices() -> None:
    """The aliases of choices have the words of their enumerations."""
    assert get_args(DispositionName) == tuple(map(str, Disposition))
    assert get_args(DirectionName) == tuple(map(str, Direction))
    assert get_args(HangupPartyName) == tuple(map(str, HangupParty))
