"""The source for ``cdrkit-csv``, the CSV that cdrkit exports."""

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
#: Texts to which the formula guard of the export has added an apostrophe.
_GUARDED: Final = r"^'+(?:[=\-@\t\r\n\x00＝＋－＠]|\+(?:$|[0-9]{0,15}[^0-9]|[0-9]{16}))"
_TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z$"
_NUMBER: Final = r"^-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?$"
_AMOUNT: Final = r"^-?[0-9]{1,12}(?:\.[0-9]{1,6})?$"
_SHOWN_CHARACTERS: Final = 80


@attrs.frozen(kw_only=True)
class CdrkitCsv:
    """A source that reads the CSV of `Result.write_csv` and ``cdrkit export``.

    The columns are fields, by name or by label, in any order; ``call_id`` and ``start`` are needed. Calls that were
    exported with all fields are identical when they are read again.

    Example:
        >>> import io
        >>> from cdrkit.sources.cdrkit_csv import CdrkitCsv
        >>> [batch] = CdrkitCsv()(io.BytesIO(b"call_id,start,duration\\r\\na1,2026-07-22T08:00:00Z,34\\r\\n"))
        >>> batch.frame["start"][0].isoformat(), batch.frame["duration"][0]
        ('2026-07-22T08:00:00+00:00', 34)

    Args:
        guarded: Whether the file was written with the formula guard, which is the default of an export. If so, the
            apostrophe that the guard added to a text is removed.
    """

    guarded: bool = True

    @staticmethod
    def sniff(head: bytes, name: str) -> str | None:
        """Return the reason why the file matches this format, or None if it does not.

        In an export, every column is a field, and every start is a UTC time.

        Args:
            head: The first bytes of the file.
            name: The name of the file. It is ignored: an export can have any name.
        """
        rows = first_rows(head, ",")
        names = [_LABELS.get(column, column) for column in rows[0]] if rows else []
        if not set(_REQUIRED) <= set(names) or not all(name in FIELDS for name in names):
            return None
        starts = pl.Series(
            [row[names.index("start")] for row in rows[1:] if len(row) == len(names)], dtype=pl.String
        )
        return "the column names are cdrkit's fields" if starts.str.contains(_TIME).all() else None

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of an export in file order.

        Args:
            stream: The bytes of the file.

        Raises:
            SchemaError: When the stream is empty, a column is not a field, or a required field is missing.
        """
        header, rest = read_first_line(stream)
        text = header.decode("utf-8", "replace")
        if not text.strip():
            raise SchemaError(
                "The file is empty: it does not contain column names. Check that you gave the right file."
            )
        names = _parse_names(text)
        layout = CsvLayout(
            widths=(len(names),),
            expected=f"the first line has {len(names)} names",
            encoding="utf-8",
            is_row=lambda row: all(row[names.index(name)] for name in _REQUIRED),
            empty_is_null=True,
        )
        for block in read_blocks(rest, layout, number=2):
            batch = self._make_batch(block, names, text)
            if batch.read:
                yield batch

    def _make_batch(self, block: CsvBlock, names: Sequence[str], header: str) -> SourceBatch:
        schema = {"row": pl.Int64(), **dict.fromkeys(names, pl.String())}
        texts = pl.DataFrame(schema=schema)
        for values in block.groups.values():
            texts = values.rename(dict(zip(map(str, range(len(names))), names, strict=True))).sort("row")
        columns: dict[str, pl.Series] = {}
        reasons: dict[int, str] = {}
        for name in names:
            info = FIELDS[name]
            column = texts[name]
            if self.guarded and info.is_text:
                column = texts.select(_remove_guard(pl.col(name))).to_series()
            columns[name] = _parse_column(column, info)
            bad = columns[name].is_null()
            if not info.required:
                bad &= column.is_not_null()
            for at in bad.arg_true():
                shown = repr((column[at] or "")[:_SHOWN_CHARACTERS])
                reason = f"The value {shown} of {name} is not {_describe_values(info)}."
                reasons.setdefault(at, reason if column[at] else f"The {name} is missing.")
        frame = pl.DataFrame(columns)
        rejects: list[Reject] = list(block.rejects)
        if reasons:
            rejects += [block.reject(texts["row"][at], reason) for at, reason in reasons.items()]
            frame = frame.filter(~pl.int_range(pl.len()).is_in(list(reasons)))
        if "origin" not in names:
            frame = frame.with_columns(origin=pl.lit(_ORIGIN))
        return SourceBatch(
            frame=frame,
            rejects=tuple(sorted(rejects, key=lambda reject: reject.row)),
            bytes_read=block.position,
            header=header,
        )


def _parse_names(text: str) -> tuple[str, ...]:
    """Parse the line that contains the column names, and return the field names.

    Raises:
        SchemaError: When a name is not a field, a field is repeated, or a required field is missing.
    """
    values = split_row(text)
    if isinstance(values, QuoteFlaw):
        raise SchemaError(
            f"The line with the column names is invalid: the quote in column {values.column} is not closed.",
            row=1,
        )
    names = tuple(_LABELS.get(name, name) for name in values)
    for name in names:
        if name not in FIELDS:
            hint, _ = suggestion(name, [*FIELDS, *_LABELS])
            raise SchemaError(
                f"The column {name!r} is neither the name nor the label of a field.{hint}", row=1, field=name
            )
    missing = [name for name in _REQUIRED if name not in names]
    if missing or len(set(names)) != len(names):
        flaw = f"The column {missing[0]!r} is missing" if missing else "Two columns are the same field"
        raise SchemaError(f"{flaw}; the columns are {', '.join(names)}.", row=1)
    return names


def _remove_guard(text: pl.Expr) -> pl.Expr:
    return pl.when(text.str.contains(_GUARDED)).then(text.str.slice(1)).otherwise(text)


def _describe_values(info: FieldInfo) -> str:
    """Describe the values that a field can have, for an error message."""
    if info.choices:
        return f"one of {', '.join(info.choices)}"
    if info.type == INSTANT:
        return "a time in UTC such as '2026-11-22T09:30:00Z'"
    return "a JSON object" if info.name == "extra" else f"a value of {info.type}"


def _parse_column(texts: pl.Series, info: FieldInfo) -> pl.Series:
    """Convert strings to values of a field, with null for each invalid string."""
    kind = FRAME_TYPES[info.name]
    if info.type == CHOICE:
        return texts.set(~texts.is_in(list(info.choices)).fill_null(True), None).cast(kind)
    if info.type == INSTANT:
        instants = _keep_matches(texts, _TIME).str.to_datetime(
            "%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", strict=False
        )
        return instants.dt.replace_time_zone("UTC")
    if info.type == MONEY:
        return _keep_matches(texts, _AMOUNT).cast(kind, strict=False)
    if info.type in INTEGER or info.type in FRACTION:
        numbers = _keep_matches(texts, _NUMBER).cast(kind, strict=False)
        return numbers.set(numbers.is_infinite().fill_null(False), None) if info.type in FRACTION else numbers
    if info.name == "extra":
        return pl.Series(
            texts.name, [text if _is_json_object(text) else None for text in texts], dtype=pl.String
        )
    return texts.cast(kind)


def _keep_matches(texts: pl.Series, pattern: str) -> pl.Series:
    """Return the strings that match a pattern, and null for the others."""
    return texts.set(~texts.str.contains(pattern).fill_null(True), None)


def _is_json_object(text: str | None) -> bool:
    try:
        return text is not None and isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
