"""Records as dicts of JSON values, and dicts as records."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import attrs
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrkit._model import FIELDS, CallRecord, Direction, Disposition, HangupParty, frames_of, records_of
from cdrkit.errors import SchemaError
from tests import strategies

START = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "string": text,
    "dictionary<values=string, indices=int32, ordered=0>": text,
    "timestamp[us, tz=UTC]": st.datetimes(timezones=st.just(UTC)),
    "decimal128(18, 6)": strategies.money,
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int16": st.integers(-(2**15), 2**15 - 1),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "float": st.floats(-1000, 1000, width=32),
}
CHOICES: dict[str, st.SearchStrategy[Any]] = {
    "direction": st.sampled_from(Direction),
    "disposition": st.sampled_from(Disposition),
    "hangup_party": st.sampled_from(HangupParty),
    "extra": st.dictionaries(text, st.integers() | text, max_size=3),
}


@st.composite
def records(draw: st.DrawFn) -> CallRecord:
    """Return a record with any fields and any values that fit them."""
    values: dict[str, Any] = {}
    for name, info in FIELDS.items():
        kind = CHOICES[name] if name in CHOICES else KINDS[str(info.type)]
        values[name] = draw(kind if info.required else st.none() | kind)
    return CallRecord(**values)


class TestDicts:
    """``to_dict`` and ``from_dict``."""

    @given(records())
    def test_round_trip_through_json(self, record: CallRecord) -> None:
        """Law: a record's dict goes through JSON and becomes the same record."""
        data = record.to_dict()
        assert CallRecord.from_dict(json.loads(json.dumps(data))) == record
        assert all(value is not None for value in data.values())
        assert list(data) == [name for name in FIELDS if getattr(record, name) is not None]

    @given(records())
    def test_python_values(self, record: CallRecord) -> None:
        """Law: a dict of a record's own values, absent ones included, becomes the record."""
        assert CallRecord.from_dict(attrs.asdict(record)) == record

    def test_values(self) -> None:
        """Instants are ISO 8601 in UTC, amounts and words are text, extra is the text of an object."""
        local = START.astimezone(timezone(timedelta(hours=1)))
        record = CallRecord(
            call_id="1", start=local, direction="inbound", duration=3, mos=4.4, charge=1, extra={"queue": "a"}
        )
        assert record.to_dict() == {
            "call_id": "1",
            "direction": "inbound",
            "start": "2026-11-22T09:30:00Z",
            "duration": 3,
            "charge": "1.000000",
            "mos": 4.4,
            "extra": '{"queue": "a"}',
        }
        assert type(record.to_dict()["direction"]) is str

    @pytest.mark.parametrize(
        ("change", "field", "words"),
        [
            ({"sorce": "1"}, "sorce", "Did you mean 'source'"),
            ({5: "1"}, "5", "Unknown field 5"),
            ({"start": "2026-11-22T09:30:00"}, "start", "no time zone"),
            ({"start": "2026-11-22"}, "start", "no time zone"),
            ({"start": "yesterday"}, "start", "not ISO 8601"),
            ({"start": 1763942400}, "start", "a datetime is needed"),
            ({"start": None}, "start", "every record needs this field"),
            ({"charge": 0.5}, "charge", "a float cannot hold money exactly"),
            ({"disposition": "ANSWERED"}, "disposition", "answered, busy"),
            ({"duration": "3"}, "duration", "a whole number is needed"),
            ({"mos": 1e300}, "mos", "does not fit into 32 bits"),
        ],
    )
    def test_wrong(self, change: dict[Any, Any], field: str, words: str) -> None:
        """A value that does not fit and an unknown key are refused, with the field."""
        with pytest.raises(SchemaError) as caught:
            CallRecord.from_dict({"call_id": "1", "start": "2026-11-22T09:30:00Z", **change})
        assert caught.value.field == field
        assert words in str(caught.value)

    @pytest.mark.parametrize("name", ["call_id", "start"])
    def test_missing(self, name: str) -> None:
        """A dict without a required field is refused."""
        data = CallRecord(call_id="1", start=START).to_dict()
        del data[name]
        with pytest.raises(SchemaError, match=f"'{name}' is missing") as caught:
            CallRecord.from_dict(data)
        assert caught.value.field == name

    @pytest.mark.parametrize("wrong", [None, "{}", [("call_id", "1")], 5])
    def test_not_a_dict(self, wrong: Any) -> None:
        """Only a mapping is a record's dict."""
        with pytest.raises(SchemaError, match="must be a dict"):
            CallRecord.from_dict(wrong)


class TestFrames:
    """Dicts as call data."""

    ROWS: tuple[Any, ...] = (
        {"call_id": "1", "start": "2026-11-22T09:30:00Z", "charge": "0.25"},
        CallRecord(call_id="2", start=START, duration=3),
        {"call_id": "3", "start": START, "disposition": "busy"},
    )

    @pytest.mark.parametrize("rows", [ROWS, ROWS[::-1], iter(ROWS)])
    def test_dicts_and_records(self, rows: Any) -> None:
        """Dicts, of JSON or of Python values, and records make one frame."""
        found = sorted(records_of(pl.concat(frames_of(rows))), key=lambda record: record.call_id)
        assert [record.call_id for record in found] == ["1", "2", "3"]
        assert found[0].charge == Decimal("0.25")
        assert found[2].disposition is Disposition.BUSY
        assert {record.start for record in found} == {START}

    def test_one_dict(self) -> None:
        """A dict alone is one record, as a record alone is."""
        assert [frame.height for frame in frames_of(self.ROWS[0])] == [1]

    def test_wrong_row(self) -> None:
        """The error names the row, the field and the value."""
        with pytest.raises(SchemaError, match=r"Row 1: The field duration cannot be 'x'") as caught:
            list(frames_of((self.ROWS[1], {"call_id": "2", "start": START, "duration": "x"})))
        assert (caught.value.row, caught.value.field) == (1, "duration")

    def test_rows_count_over_all(self) -> None:
        """The row of an error counts from the beginning of the data, however long the data is."""
        record = CallRecord(call_id="1", start=START)
        with pytest.raises(SchemaError, match="Row 50001") as caught:
            list(frames_of([record] * 50_001 + [{"call_id": "2"}]))
        assert caught.value.row == 50_001
