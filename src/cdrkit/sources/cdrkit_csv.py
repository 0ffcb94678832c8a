"""cdrkit's own CSV export, read back: field names or labels on top, instants in UTC."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import IO, Final

import attrs
import polars as pl

from cdrkit._model import CHOICE, FIELDS, FRACTION, FRAME_TYPES, INSTANT, INTEGER, MONEY, FieldInfo
from cdrkit.errors import SchemaError, suggestion
from cdrkit.sources.contract import Reject, SourceBatch
from cdrkit.sources.readers.csv_blocks import CsvBlock, read_blocks, read_first_line
from cdrkit.sources.readers.csv_layout import CsvLayout
from cdrkit.sources.readers.csv_row import QuoteFlaw, first_rows, split_row

__all__ = ["CdrkitCsv"]

_ORIGIN: Final = "cdrkit-csv"
_LABELS: Final = {info.label: name for name, info in FIELDS.items()}
_REQUIRED: Final = tuple(name for name, info in FIELDS.items() if info.required)
#: What the writer made by a ``'`` in front; see `cdrkit._output.csv.guarded`.
_GUARDED: Final = r"^'+(?:[=\-@\t\r\n\x00＝＋－＠]|\+(?:$|[0-9]{0,15}[^0-9]|[0-9]{16}))"
_TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z$"
_PATTERNS: Final = {
    "number": r"^-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?$",
    "amount": r"^-?[0-9]{1,12}(?:\.[0-9]{1,6})?$",
}
_SHOWN: Final = 80


@attrs.frozen(kw_only=True)
class CdrkitCsv:
    """Reads the CSV that `Result.write_csv` and ``cdrkit export`` write.

    The columns are fields, by name or by label, in any order and number; ``call_id`` and ``start`` are needed. What was
    exported with every field comes back as equal records.

    Example:
        >>> import io
        >>> [batch] = CdrkitCsv()(io.BytesIO(b"call_id,start,duration\\r\\na1,2026-07-22T08:00:00Z,34\\r\\n"))
        >>> batch.frame["start"][0].isoformat(), batch.frame["duration"][0]
        ('2026-07-22T08:00:00+00:00', 34)

    Args:
        guarded: Whether the file was written with the formula guard, as it is by default: the ``'`` that it put in
            front of a text is taken away again.
    """

    guard_formulas: bool = True

    @staticmethod
    def sniff(head: bytes, name: str) -> str | None:  # an export has whatever name
        """Return why a file fits: the names on top are fields, and the start is an instant in UTC."""
        rows = first_rows(head, ",")
        names = [_LABELS.get(column, column) for column in rows[0]] if rows else []
        if not set(_REQUIRED) <= set(names) or not all(name in FIELDS for name in names):
            return None
        starts = pl.Series(
            [row[names.index("start")] for row in rows[1:] if len(row) == len(names)], dtype=pl.String
        )
        return "the names on top are cdrkit's fields" if starts.str.contains(_TIME).all() else None

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream*, in its order.

        Raises:
            SchemaError: When the stream is empty, a column is no field, or one that is needed is missing.
        """
        header, rest = read_first_line(stream)
        text = header.decode("utf-8", "replace")
        if not text.strip():
            raise SchemaError("The file is empty: there is no line of names. Check that it is the right one.")
        names = _names(text)
        layout = CsvLayout(
            widths=(len(names),),
            expected=f"there are {len(names)} names on top",
            encoding="utf-8",
            is_row=lambda row: all(row[names.index(name)] for name in _REQUIRED),
            empty_is_null=True,
        )
        for rows in read_blocks(rest, layout, number=2):
            batch = self._batch(rows, names, text)
            if batch.read:
                yield batch

    def _batch(self, rows: CsvBlock, names: Sequence[str], header: str) -> SourceBatch:
        rejects: list[Reject] = list(rows.rejects)
        schema = {"row": pl.Int64(), **dict.fromkeys(names, pl.String())}
        texts = pl.DataFrame(schema=schema)
        for values in rows.groups.values():
            texts = values.rename(dict(zip(map(str, range(len(names))), names, strict=True))).sort("row")
        found: dict[str, pl.Series] = {}
        wrong: dict[int, str] = {}
        for name in names:
            info = FIELDS[name]
            column = texts[name]
            if self.guard_formulas and info.is_text:
                column = texts.select(_unguarded(pl.col(name))).to_series()
            value = _value(column, info)
            bad = value.is_null() & column.is_not_null()
            if info.required:
                bad |= value.is_null()
            for at in bad.arg_true():
                shown = repr((column[at] or "")[:_SHOWN])
                reason = (
                    f"Its {name}, {shown}, is not {_wanted(info)}." if column[at] else f"It has no {name}."
                )
                wrong.setdefault(at, reason)
            found[name] = value
        frame = pl.DataFrame(found)
        if wrong:
            rejects += [rows.reject(texts["row"][at], reason) for at, reason in wrong.items()]
            frame = frame.filter(~pl.int_range(pl.len()).is_in(list(wrong)))
        if "origin" not in names:
            frame = frame.with_columns(origin=pl.lit(_ORIGIN))
        return SourceBatch(
            frame=frame,
            rejects=tuple(sorted(rejects, key=lambda reject: reject.row)),
            bytes_read=rows.position,
            header=header,
        )


def _names(text: str) -> tuple[str, ...]:
    split = split_row(text)
    if isinstance(split, QuoteFlaw):
        raise SchemaError(f"The line of names is no row: column {split.column} is not closed.", row=1)
    names = tuple(_LABELS.get(name, name) for name in split)
    for name in names:
        if name not in FIELDS:
            hint, _ = suggestion(name, [*FIELDS, *_LABELS])
            raise SchemaError(
                f"{name!r} on top is neither the name nor the label of a field.{hint}", row=1, field=name
            )
    missing = [name for name in _REQUIRED if name not in names]
    if missing or len(set(names)) != len(names):
        what = f"There is no column {missing[0]!r}" if missing else "Two columns are the same field"
        raise SchemaError(f"{what}; there are {', '.join(names)}.", row=1)
    return names


def _unguarded(text: pl.Expr) -> pl.Expr:
    return pl.when(text.str.contains(_GUARDED)).then(text.str.slice(1)).otherwise(text)


def _wanted(info: FieldInfo) -> str:
    if info.choices:
        return f"one of {', '.join(info.choices)}"
    if info.type == INSTANT:
        return "a time in UTC such as '2026-11-22T09:30:00Z'"
    return "a JSON object" if info.name == "extra" else f"a value of {info.type}"


def _value(texts: pl.Series, info: FieldInfo) -> pl.Series:
    """Return *texts* as values of a field, null where one cannot be."""
    kind = FRAME_TYPES[info.name]
    if info.type == CHOICE:
        return texts.set(~texts.is_in(list(info.choices)).fill_null(True), None).cast(kind)
    if info.type == INSTANT:
        plain = texts.set(~texts.str.contains(_TIME).fill_null(True), None)
        found = plain.str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", strict=False)
        return found.dt.replace_time_zone("UTC")
    if info.type == MONEY:
        return texts.set(~texts.str.contains(_PATTERNS["amount"]).fill_null(True), None).cast(
            kind, strict=False
        )
    if info.type in INTEGER or info.type in FRACTION:
        numbers = texts.set(~texts.str.contains(_PATTERNS["number"]).fill_null(True), None).cast(
            kind, strict=False
        )
        return numbers.set(numbers.is_infinite().fill_null(False), None) if info.type in FRACTION else numbers
    if info.name == "extra":
        return pl.Series(texts.name, [text if _is_object(text) else None for text in texts], dtype=pl.String)
    return texts.cast(kind)


def _is_object(text: str | None) -> bool:
    try:
        return text is not None and isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
