"""Frames: Polars tables of call data, and conversions from and to other types.

Call data is an Arrow, Polars or pandas table, records, or dicts.

A *frame* is a `polars.DataFrame` whose columns are catalogue fields, in catalogue order and with the types in
`FRAME_TYPES`. The library works on frames, and converts them to Arrow tables or records for its callers.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

import polars as pl
import pyarrow as pa

from cdrkit._model.fields import CHOICE, FRACTION, INSTANT, INTEGER, MONEY, WORD, FieldInfo
from cdrkit._model.record import FIELDS, SCHEMA, CallRecord
from cdrkit._runtime import prefetch_items
from cdrkit.errors import SchemaError, suggestion

__all__ = [
    "FRAME_TYPES",
    "CallData",
    "arrow_table",
    "conform_frame",
    "empty_frame",
    "frames_of",
    "records_of",
    "records_to_arrow",
]

_RECORDS_AT_ONCE: Final = 50_000
_ROWS_AT_ONCE: Final = 250_000
_SAMPLE: Final = 1_000
#: The earliest and the latest instant of Python's datetime, in microseconds since 1970.
_EARLIEST: Final = -62_135_596_800_000_000
_LATEST: Final = 253_402_300_799_999_999


@runtime_checkable
class ArrowExportable(Protocol):
    """An object that exports its rows through the Arrow C stream interface.

    Examples are pandas and DuckDB tables.
    """

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


Table: TypeAlias = "pa.Table | pa.RecordBatch | pl.DataFrame | pl.LazyFrame | ArrowExportable"
#: Data that can be appended: records, dicts of records, one table, or an iterable of either.
CallData: TypeAlias = (
    "Table | CallRecord | Mapping[str, Any] | Iterable[CallRecord | Mapping[str, Any]] | Iterable[Table]"
)


def _frame_type(info: FieldInfo) -> pl.DataType:
    if info.type in (WORD, CHOICE):
        return pl.Categorical()
    if info.type == INSTANT:
        return pl.Datetime("us", "UTC")
    if info.type == MONEY:
        return pl.Decimal(18, 6)
    plain: dict[pa.DataType, pl.DataType] = {
        pa.string(): pl.String(),
        pa.int32(): pl.Int32(),
        pa.int16(): pl.Int16(),
        pa.float64(): pl.Float64(),
        pa.float32(): pl.Float32(),
    }
    return plain[info.type]


#: The Polars type of each field inside the library.
FRAME_TYPES: Final[dict[str, pl.DataType]] = {name: _frame_type(info) for name, info in FIELDS.items()}


def empty_frame(columns: Sequence[str] = tuple(FIELDS)) -> pl.DataFrame:
    """Return an empty frame with the given *columns*."""
    return pl.DataFrame(schema={name: FRAME_TYPES[name] for name in columns})


def frames_of(data: CallData) -> Iterator[pl.DataFrame]:
    """Yield the given call data as frames.

    Each frame has a bounded number of rows.

    Args:
        data: A record, a dict that `CallRecord.from_dict` accepts, a table, an iterable of records and dicts, or an
            iterable of tables.

    Raises:
        SchemaError: When *data* is not call data, or a value does not fit its field.
    """
    if isinstance(data, (CallRecord, Mapping)):
        data = [data]
    if _is_table(data):
        yield from _conform_slices(data)
        return
    if not isinstance(data, Iterable) or isinstance(data, (str, bytes)):
        raise _not_calls(data)
    items = iter(data)
    for first in items:
        rest = itertools.chain([first], items)
        if isinstance(first, (CallRecord, Mapping)):
            for number, chunk in enumerate(_chunks(rest)):
                table = records_to_arrow(chunk, first_row=number * _RECORDS_AT_ONCE)
                yield conform_frame(_to_polars(table))
        else:
            for item in rest:
                if not _is_table(item):
                    raise _not_calls(item)
                yield from _conform_slices(item)


def _chunks(items: Iterator[Any]) -> Iterator[list[Any]]:
    while chunk := list(itertools.islice(items, _RECORDS_AT_ONCE)):
        yield chunk


def _is_table(data: object) -> bool:
    return isinstance(data, (pa.Table, pa.RecordBatch, pl.DataFrame, pl.LazyFrame, ArrowExportable))


def _not_calls(data: object) -> SchemaError:
    return SchemaError(
        f"A {type(data).__name__} is not call data; give CallRecords, dicts, an Arrow, Polars or pandas table, "
        "or an iterable of those."
    )


def _to_polars(data: Any) -> pl.DataFrame:
    if isinstance(data, pl.LazyFrame):
        try:
            return data.collect()
        except pl.exceptions.PolarsError as exc:
            raise SchemaError(f"The LazyFrame cannot be collected: {exc}.") from exc
    if isinstance(data, pl.DataFrame):
        return data
    try:
        if type(data).__module__.partition(".")[0] == "pandas":
            table = pa.Table.from_pandas(data, preserve_index=False)
        elif isinstance(data, pa.RecordBatch):
            table = pa.Table.from_batches([data])
        elif isinstance(data, pa.Table):
            table = data
        else:
            table = pa.table(data)
        table.validate(full=True)  # Polars itself checks neither UTF-8 nor offsets
        columns = [_to_utc(column) for column in table.columns]
        frame = pl.from_arrow(pa.table(columns, names=table.column_names))
    except (pa.ArrowException, pl.exceptions.PolarsError, TypeError, ValueError, AttributeError) as exc:
        raise SchemaError(f"The {type(data).__name__} cannot be read as a table: {exc}.") from exc
    assert isinstance(frame, pl.DataFrame)
    return frame


def _conform_slices(table: Any) -> Iterator[pl.DataFrame]:
    """Split a table into frames of limited size, and prefetch the next frame."""
    if not isinstance(table, (pa.Table, pa.RecordBatch, pl.DataFrame)) or len(table) <= _ROWS_AT_ONCE:
        yield conform_frame(_to_polars(table))
        return
    yield from prefetch_items(_conform_slice(table, at) for at in range(0, len(table), _ROWS_AT_ONCE))


def _conform_slice(table: pa.Table | pa.RecordBatch | pl.DataFrame, at: int) -> pl.DataFrame:
    try:
        return conform_frame(_to_polars(table.slice(at, _ROWS_AT_ONCE)))
    except SchemaError as exc:
        if exc.row is None or not at:
            raise
        message = str(exc).replace(f"(row {exc.row})", f"(row {exc.row + at})")
        raise SchemaError(message, field=exc.field, row=exc.row + at) from exc


def _to_utc(column: pa.ChunkedArray[Any]) -> pa.ChunkedArray[Any]:
    """Return the column with its instants converted to UTC.

    Polars does not support zones such as ``+01:00``.
    """
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        return column.cast(pa.timestamp(column.type.unit, tz="UTC"))
    return column


def conform_frame(frame: pl.DataFrame) -> pl.DataFrame:
    """Convert a frame to the column order and column types of the field catalogue.

    Args:
        frame: A frame whose column names are field names; optional fields may be absent.

    Raises:
        SchemaError: When a column is unknown or of the wrong kind, a required column is missing, or a value does
            not fit its field.
    """
    for name in frame.columns:
        if name not in FIELDS:
            hint, _ = suggestion(name, FIELDS)
            raise SchemaError(
                f"Unknown field {name!r}.{hint} Rename the column, or put its values into 'extra'.",
                field=name,
            )
    for info in FIELDS.values():
        if info.required and info.name not in frame.columns:
            raise SchemaError(
                f"The column {info.name!r} is missing. Every record needs this field.", field=info.name
            )
    try:
        return pl.DataFrame(
            [_conform_column(frame[name], FIELDS[name]) for name in FIELDS if name in frame.columns]
        )
    except pl.exceptions.PolarsError as exc:
        raise SchemaError(f"A column does not fit its field: {exc}.") from exc


def _conform_column(column: pl.Series, info: FieldInfo) -> pl.Series:
    target = FRAME_TYPES[info.name]
    if info.required and column.null_count():
        _refuse(info, column, column.is_null(), "every record needs this field")
    if column.dtype == pl.Null:
        return pl.Series(column.name, [None] * len(column), dtype=target)
    if info.type == INSTANT:
        return _conform_instants(column, info)
    if info.type == MONEY:
        return _conform_amounts(column, info)
    if info.type in INTEGER:
        return _conform_integers(column, info, target)
    if info.type in FRACTION:
        return _conform_fractions(column, info, target)
    return _conform_texts(column, info, target)


def _wrong_kind(column: pl.Series, info: FieldInfo, wanted: str) -> SchemaError:
    return SchemaError(
        f"The column {info.name!r} has the type {column.dtype}; {wanted} needed.", field=info.name
    )


def _refuse(info: FieldInfo, column: pl.Series, bad: pl.Series, why: str) -> None:
    """Raise a SchemaError for the first row whose value in *bad* is True.

    If no value is True, the function does nothing.
    """
    row = bad.fill_null(False).arg_max() if bad.any() else None
    if row is not None:
        raise SchemaError(
            f"The field {info.name} cannot be {column[row]!r} (row {row}): {why}.", field=info.name, row=row
        )


def _conform_texts(column: pl.Series, info: FieldInfo, target: pl.DataType) -> pl.Series:
    if column.dtype.is_integer():  # account and customer numbers
        column = column.cast(pl.String)
    elif not isinstance(column.dtype, (pl.String, pl.Categorical, pl.Enum)):
        raise _wrong_kind(column, info, "text is")
    if info.choices:
        texts = column.cast(pl.String)
        if not set(texts.unique().to_list()) <= {*info.choices, None}:
            _refuse(
                info, column, ~texts.is_in(list(info.choices)), f"one of {', '.join(info.choices)} is needed"
            )
    if info.name == "extra":
        _refuse_non_objects(info, column.cast(pl.String))
    return column.cast(target)


def _refuse_non_objects(info: FieldInfo, column: pl.Series) -> None:
    """Raise a SchemaError for the first text that is not a JSON object.

    Polars checks all rows at once. Python checks row by row only if Polars rejects a row.
    """
    sample = column.head(_SAMPLE)
    repeats = len(column) > _SAMPLE and 2 * sample.n_unique() < _SAMPLE
    try:
        (column.unique() if repeats else column).str.json_decode(pl.Struct({"": pl.String}))
    except pl.exceptions.PolarsError:
        bad = [not _is_object(text) for text in column.to_list()]
        _refuse(info, column, pl.Series(bad, dtype=pl.Boolean), "a JSON object is needed")


def _is_object(text: str | None) -> bool:
    try:
        return text is None or isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _conform_instants(column: pl.Series, info: FieldInfo) -> pl.Series:
    kind = column.dtype
    if not isinstance(kind, pl.Datetime):
        raise _wrong_kind(column, info, "instants with a time zone are")
    if kind.time_zone is None:
        raise SchemaError(
            f"The column {info.name!r} has times without a time zone; set the time zone, "
            "for example with .dt.replace_time_zone('Europe/London').",
            field=info.name,
        )
    if kind.time_unit == "ns":
        _refuse(info, column, column.dt.nanosecond() % 1000 != 0, "instants are stored to the microsecond")
    instants = column
    if kind != FRAME_TYPES[info.name]:
        instants = column.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    physical = instants.to_physical()
    least, greatest = physical.min(), physical.max()
    if least is not None and (least < _EARLIEST or greatest > _LATEST):  # type: ignore[operator]  # whole numbers
        _refuse(
            info, physical, (physical < _EARLIEST) | (physical > _LATEST), "it is outside the years 1 to 9999"
        )
    return instants


def _conform_integers(column: pl.Series, info: FieldInfo, target: pl.DataType) -> pl.Series:
    if column.dtype == target:
        return column
    if column.dtype.is_float():  # pandas holds whole numbers with gaps as floats
        column = column.fill_nan(None)
        _refuse(info, column, column != column.round(0), "a whole number is needed")
    elif not column.dtype.is_integer():
        raise _wrong_kind(column, info, "whole numbers are")
    cast = column.cast(target, strict=False)
    _refuse(info, column, cast.is_null() & column.is_not_null(), f"it does not fit {info.type}")
    return cast


def _conform_fractions(column: pl.Series, info: FieldInfo, target: pl.DataType) -> pl.Series:
    if not column.dtype.is_numeric():
        raise _wrong_kind(column, info, "numbers are")
    numbers = column.cast(target)
    if not math.isfinite(numbers.sum()):  # otherwise every number is finite
        numbers = numbers.fill_nan(None)
        _refuse(info, column, numbers.is_infinite(), "a finite number that fits is needed")
    if target == pl.Float32():  # rounded as in records: see converters.py
        numbers = ((numbers.cast(pl.Float64) * 1e5).round(mode="half_to_even") / 1e5).cast(pl.Float32)
    return numbers


def _conform_amounts(column: pl.Series, info: FieldInfo) -> pl.Series:
    target = pl.Decimal(18, 6)
    if column.dtype == target:
        return column
    if not column.dtype.is_numeric():
        raise _wrong_kind(column, info, "amounts are")
    if column.dtype.is_float():
        column = column.fill_nan(None)
    amounts = column.cast(target, strict=False)
    _refuse(
        info,
        column,
        amounts.is_null() & column.is_not_null(),
        "at most 12 digits before the point are stored",
    )
    if isinstance(column.dtype, pl.Decimal) and column.dtype.scale > 6:
        _refuse(
            info, column, amounts.cast(column.dtype, strict=False) != column, "at most 6 decimals are stored"
        )
    return amounts


def arrow_table(frame: pl.DataFrame) -> pa.Table:
    """Convert a frame to an Arrow table with the types in `SCHEMA`.

    Instants keep their column's time zone.
    """
    columns: list[pa.ChunkedArray[Any]] = []
    fields: list[pa.Field[Any]] = []
    for name in frame.columns:
        wanted = SCHEMA.field(name)
        series = frame[name]
        if wanted.type == INSTANT:
            zone = series.dtype.time_zone if isinstance(series.dtype, pl.Datetime) else "UTC"
            wanted = wanted.with_type(pa.timestamp("us", tz=zone))
        if isinstance(series.dtype, pl.Categorical):
            words = series.cast(pl.String).to_arrow().cast(pa.string())
            array: pa.Array[Any] = words.dictionary_encode().cast(wanted.type)
        else:
            array = series.to_arrow()
            array = array if array.type == wanted.type else array.cast(wanted.type)
        columns.append(pa.chunked_array([array], type=wanted.type))
        fields.append(wanted)
    return pa.table(columns, schema=pa.schema(fields))


def records_of(frame: pl.DataFrame) -> Iterator[CallRecord]:
    """Yield the rows of a frame as records.

    A field is None in each record if the frame has no column for the field.
    """
    names = frame.columns
    for values in frame.iter_rows():
        yield CallRecord(**dict(zip(names, values, strict=True)))


def records_to_arrow(records: Iterable[CallRecord], *, first_row: int = 0) -> pa.Table:
    """Convert records to an Arrow table that has the schema `SCHEMA`.

    The rows are in the order of the records.

    Args:
        records: Records, or dicts that `CallRecord.from_dict` accepts.
        first_row: The row of the first record, for error messages.

    Raises:
        SchemaError: When an item is neither a record nor a valid dict of a record.
    """
    columns: dict[str, list[object]] = {name: [] for name in FIELDS}
    for row, item in enumerate(records, first_row):
        record = item if isinstance(item, CallRecord) else _read_record(item, row)
        for name, values in columns.items():
            values.append(getattr(record, name))
    return pa.table(
        {name: pa.array(values, type=FIELDS[name].type) for name, values in columns.items()}, schema=SCHEMA
    )


def _read_record(item: object, row: int) -> CallRecord:
    if not isinstance(item, Mapping):
        raise SchemaError(f"Row {row} is a {type(item).__name__}, not a CallRecord or a dict.", row=row)
    try:
        return CallRecord.from_dict(item)
    except SchemaError as exc:
        raise SchemaError(f"Row {row}: {exc}", field=exc.field, row=row) from exc
