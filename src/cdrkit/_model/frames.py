"""Tables of calls: whatever came in as Arrow, Polars, pandas or records, made into frames that fit the catalogue.

A *frame* here is a `polars.DataFrame` whose columns are fields of the catalogue in its order, in the types
of `FRAME_TYPES`. Everything above works on frames; tables of `SCHEMA` and records are made from them on the
way out.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

import polars as pl
import pyarrow as pa

from cdrkit._model.record import (
    CHOICE,
    FIELDS,
    FRACTION,
    INSTANT,
    INTEGER,
    MONEY,
    SCHEMA,
    WORD,
    CallRecord,
    FieldInfo,
    records_to_arrow,
)
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
]

_RECORDS_AT_ONCE: Final = 50_000
_ROWS_AT_ONCE: Final = 250_000
_SAMPLE: Final = 1_000
#: The instants that Python's datetime holds, in microseconds since 1970.
_EARLIEST: Final = -62_135_596_800_000_000
_LATEST: Final = 253_402_300_799_999_999


@runtime_checkable
class ArrowExportable(Protocol):
    """Anything that hands out its rows through Arrow's C stream: pandas, DuckDB, nanoarrow and so on."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


Table: TypeAlias = "pa.Table | pa.RecordBatch | pl.DataFrame | pl.LazyFrame | ArrowExportable"
#: What can be appended: records, one table, or an iterable of either.
CallData: TypeAlias = "Table | CallRecord | Iterable[CallRecord] | Iterable[Table]"


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
    """Return a frame of *columns* without rows."""
    return pl.DataFrame(schema={name: FRAME_TYPES[name] for name in columns})


def frames_of(data: CallData) -> Iterator[pl.DataFrame]:
    """Yield *data* as frames that fit the catalogue, in its order, a bounded number of rows at a time.

    Raises:
        SchemaError: When it is nothing that holds calls, or a value does not fit its field.
    """
    if isinstance(data, CallRecord):
        data = [data]
    if _is_table(data):
        yield from _conformed_parts(data)
        return
    if not isinstance(data, Iterable) or isinstance(data, (str, bytes, dict)):
        raise _not_calls(data)
    items = iter(data)
    for first in items:
        rest = itertools.chain([first], items)
        if isinstance(first, CallRecord):
            for chunk in _chunks(rest):
                yield conform_frame(_as_polars(records_to_arrow(chunk)))
        else:
            for table in rest:
                if not _is_table(table):
                    raise _not_calls(table)
                yield from _conformed_parts(table)


def _chunks(items: Iterator[Any]) -> Iterator[list[Any]]:
    while chunk := list(itertools.islice(items, _RECORDS_AT_ONCE)):
        yield chunk


def _is_table(data: object) -> bool:
    return isinstance(data, (pa.Table, pa.RecordBatch, pl.DataFrame, pl.LazyFrame, ArrowExportable))


def _not_calls(data: object) -> SchemaError:
    return SchemaError(
        f"A {type(data).__name__} does not hold calls; give CallRecords, an Arrow, Polars or pandas table, "
        "or an iterable of those."
    )


def _as_polars(data: Any) -> pl.DataFrame:
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
        table.validate(full=True)  # Polars takes text for UTF-8 and offsets for right
        columns = [_utc(column) for column in table.columns]
        frame = pl.from_arrow(pa.table(columns, names=table.column_names))
    except (pa.ArrowException, pl.exceptions.PolarsError, TypeError, ValueError, AttributeError) as exc:
        raise SchemaError(f"The {type(data).__name__} cannot be read as a table: {exc}.") from exc
    assert isinstance(frame, pl.DataFrame)
    return frame


def _conformed_parts(table: Any) -> Iterator[pl.DataFrame]:
    """Yield *table* as frames of a bounded number of rows, the next one being made while one is in use."""
    if not isinstance(table, (pa.Table, pa.RecordBatch, pl.DataFrame)) or len(table) <= _ROWS_AT_ONCE:
        yield conform_frame(_as_polars(table))
        return
    yield from prefetch_items(_conformed_part(table, at) for at in range(0, len(table), _ROWS_AT_ONCE))


def _conformed_part(table: pa.Table | pa.RecordBatch | pl.DataFrame, at: int) -> pl.DataFrame:
    try:
        return conform_frame(_as_polars(table.slice(at, _ROWS_AT_ONCE)))
    except SchemaError as exc:
        if exc.row is None or not at:
            raise
        message = str(exc).replace(f"(row {exc.row})", f"(row {exc.row + at})")
        raise SchemaError(message, field=exc.field, row=exc.row + at) from exc


def _utc(column: pa.ChunkedArray[Any]) -> pa.ChunkedArray[Any]:
    """Return instants of any offset in UTC (Polars does not know zones such as ``+01:00``)."""
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        return column.cast(pa.timestamp(column.type.unit, tz="UTC"))
    return column


def conform_frame(frame: pl.DataFrame) -> pl.DataFrame:
    """Return *frame* with the catalogue's columns that it has, in the catalogue's order and types.

    Raises:
        SchemaError: When a column is unknown or of the wrong kind, or a value does not fit its field.
    """
    for name in frame.columns:
        if name not in FIELDS:
            hint, _ = suggestion(name, FIELDS)
            raise SchemaError(
                f"There is no field {name!r} to store that column in.{hint} Rename it, or put it into 'extra'.",
                field=name,
            )
    for info in FIELDS.values():
        if info.required and info.name not in frame.columns:
            raise SchemaError(f"The column {info.name!r} is missing: every record has one.", field=info.name)
    try:
        return pl.DataFrame([_column(frame[name], FIELDS[name]) for name in FIELDS if name in frame.columns])
    except pl.exceptions.PolarsError as exc:
        raise SchemaError(f"A column cannot be stored as its field: {exc}.") from exc


def _column(column: pl.Series, info: FieldInfo) -> pl.Series:
    target = FRAME_TYPES[info.name]
    if info.required and column.null_count():
        _refuse(info, column, column.is_null(), "every record has one")
    if column.dtype == pl.Null:
        return pl.Series(column.name, [None] * len(column), dtype=target)
    if info.type == INSTANT:
        return _instants(column, info)
    if info.type == MONEY:
        return _amounts(column, info)
    if info.type in INTEGER:
        return _integers(column, info, target)
    if info.type in FRACTION:
        return _fractions(column, info, target)
    return _texts(column, info, target)


def _wrong_kind(column: pl.Series, info: FieldInfo, wanted: str) -> SchemaError:
    return SchemaError(f"The column {info.name!r} is {column.dtype}; {wanted} needed.", field=info.name)


def _refuse(info: FieldInfo, column: pl.Series, bad: pl.Series, why: str) -> None:
    """Raise for the first row that is *bad*, if any."""
    row = bad.fill_null(False).arg_max() if bad.any() else None
    if row is not None:
        raise SchemaError(
            f"{info.name} cannot be {column[row]!r} (row {row}): {why}.", field=info.name, row=row
        )


def _texts(column: pl.Series, info: FieldInfo, target: pl.DataType) -> pl.Series:
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
        _refuse_no_objects(info, column.cast(pl.String))
    return column.cast(target)


def _refuse_no_objects(info: FieldInfo, column: pl.Series) -> None:
    """Refuse text that is no JSON object: by Polars for all at once, and only where it objects, one by one."""
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


def _instants(column: pl.Series, info: FieldInfo) -> pl.Series:
    kind = column.dtype
    if not isinstance(kind, pl.Datetime):
        raise _wrong_kind(column, info, "instants with a time zone are")
    if kind.time_zone is None:
        raise SchemaError(
            f"The column {info.name!r} has times without a zone; say which they are in, "
            "for example with .dt.replace_time_zone('Europe/London').",
            field=info.name,
        )
    if kind.time_unit == "ns":
        _refuse(info, column, column.dt.nanosecond() % 1000 != 0, "instants are stored to the microsecond")
    found = column
    if kind != FRAME_TYPES[info.name]:
        found = column.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    physical = found.to_physical()
    least, greatest = physical.min(), physical.max()
    if least is not None and (least < _EARLIEST or greatest > _LATEST):  # type: ignore[operator]  # whole numbers
        _refuse(
            info, physical, (physical < _EARLIEST) | (physical > _LATEST), "it is not in the years 1 to 9999"
        )
    return found


def _integers(column: pl.Series, info: FieldInfo, target: pl.DataType) -> pl.Series:
    if column.dtype == target:
        return column
    if column.dtype.is_float():  # how pandas holds whole numbers with gaps
        column = column.fill_nan(None)
        _refuse(info, column, column != column.round(0), "a whole number is needed")
    elif not column.dtype.is_integer():
        raise _wrong_kind(column, info, "whole numbers are")
    cast = column.cast(target, strict=False)
    _refuse(info, column, cast.is_null() & column.is_not_null(), f"it does not fit {info.type}")
    return cast


def _fractions(column: pl.Series, info: FieldInfo, target: pl.DataType) -> pl.Series:
    if not column.dtype.is_numeric():
        raise _wrong_kind(column, info, "numbers are")
    numbers = column.cast(target)
    if not math.isfinite(numbers.sum()):  # only then is there anything to look for
        numbers = numbers.fill_nan(None)
        _refuse(info, column, numbers.is_infinite(), "a finite number that fits is needed")
    if target == pl.Float32():  # as records hold it: see _records
        numbers = ((numbers.cast(pl.Float64) * 1e5).round(mode="half_to_even") / 1e5).cast(pl.Float32)
    return numbers


def _amounts(column: pl.Series, info: FieldInfo) -> pl.Series:
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
    """Return *frame* as an Arrow table in the types of `SCHEMA`; instants keep the zone they are shown in."""
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
    """Yield the rows of *frame*, or of some of its columns, as records, in its order."""
    names = frame.columns
    for values in frame.iter_rows():
        yield CallRecord(**dict(zip(names, values, strict=True)))
