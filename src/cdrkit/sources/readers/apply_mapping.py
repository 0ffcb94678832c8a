"""Convert native rows to calls, as a mapping specifies.

Each column is converted as a whole. Rows that cannot be converted are returned as problems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

import attrs
import polars as pl

from cdrkit._model import FIELDS, FRAME_TYPES, INSTANT
from cdrkit.errors import ConfigError, SchemaError, suggestion
from cdrkit.sources.readers.field_rule import FieldRule
from cdrkit.sources.readers.local_time import resolve_instants
from cdrkit.sources.readers.mapping import SourceMapping
from cdrkit.sources.readers.native_rows import digest_rows, json_objects
from cdrkit.sources.readers.parsers import NEGATIVE, make_parser
from cdrkit.sources.readers.reject_reasons import quote_value

__all__ = ["ComputeFields", "MappingResult", "RowProblem", "apply_mapping", "resolve_columns"]

#: Computes the fields that no rule can make. Its arguments are the native columns and the fields that rules made, of
#: the rows that can be stored; it returns further fields.
ComputeFields: TypeAlias = Callable[[pl.DataFrame, Mapping[str, pl.Series]], Mapping[str, pl.Series]]

_SHOWN_NAMES: Final = 40


@attrs.frozen
class RowProblem:
    """A row that cannot be stored, with the reason.

    Attributes:
        row: The number of the row.
        reason: The reason, in one plain sentence.
        negative: Whether the row is rejected because of a negative length.
    """

    row: int
    reason: str
    negative: bool = False


@attrs.frozen(kw_only=True)
class MappingResult:
    """The calls that a mapping created from native rows.

    Attributes:
        frame: The calls.
        native: The native rows of the calls, in the same order.
        problems: The rows that cannot be stored.
        repeated: The number of local times in an hour that occurs twice, because clocks go back.
        missing: The number of local times in an hour that does not exist, because clocks go forward.
    """

    frame: pl.DataFrame
    native: pl.DataFrame
    problems: list[RowProblem]
    repeated: int = 0
    missing: int = 0

    @property
    def contradictions(self) -> dict[str, int]:
        """For each kind of contradiction, the number of rows rejected for it."""
        negative = sum(problem.negative for problem in self.problems)
        return {"negative_length": negative} if negative else {}


@attrs.define
class _FieldTexts:
    """The source's strings for one field, and the values parsed from them.

    Attributes:
        name: The field.
        rule: The rule of the field.
        texts: The string in each row; null where the row has none.
        chosen: For each column, the rows whose string comes from that column.
        absent: For each column, the rows whose string means that the value is absent.
        values: The value of each string, and whether the value keeps all information in the string. The value of a
            string that cannot be parsed is a ValueError. None: every string is its own value.
    """

    name: str
    rule: FieldRule
    texts: pl.Series
    chosen: dict[str, pl.Series]
    absent: dict[str, pl.Series]
    values: dict[str, tuple[Any, bool]] | None

    def keep(self, rows: pl.Series) -> None:
        """Keep only the rows for which the Boolean series *rows* is true."""
        self.texts = self.texts.filter(rows)
        self.chosen = {column: mask.filter(rows) for column, mask in self.chosen.items()}
        self.absent = {column: mask.filter(rows) for column, mask in self.absent.items()}


def resolve_columns(mapping: SourceMapping, names: Sequence[str], *, table: str) -> SourceMapping:
    """Change a mapping's column names to the spelling that a table uses.

    If the table lacks a name, a name that differs only in case or in surrounding blanks matches.

    Args:
        mapping: The mapping.
        names: The names of the table's columns.
        table: What error messages call the table.

    Raises:
        SchemaError: When the table lacks a required column.
    """
    folded = {name.strip().casefold(): name for name in reversed(names)}

    def name_of(column: str) -> str | None:
        return column if column in names else folded.get(column.strip().casefold())

    def column_error(columns: Iterable[str], purpose: str) -> SchemaError:
        hint, _ = suggestion(next(iter(columns)), names)
        listed = " or ".join(map(repr, columns))
        return SchemaError(
            f"{table} has no column {listed}, {purpose}; it has {', '.join(map(repr, names[:_SHOWN_NAMES]))}.{hint} "
            "Check that you gave the right file, and check its separator."
        )

    fields: dict[str, FieldRule] = {}
    for name, rule in mapping.fields.items():
        columns = tuple(dict.fromkeys(own for column in rule.columns if (own := name_of(column)) is not None))
        needed = rule.required or name in ("start", "call_id") or not mapping.optional
        if not columns or (
            len(columns) < len(rule.columns) and not mapping.optional and rule.join is not None
        ):
            if needed:
                raise column_error(rule.columns, f"which the field {name} needs")
            continue
        fields[name] = attrs.evolve(rule, columns=columns)
    only: dict[str, tuple[str, ...]] = {}
    for column, words in mapping.only.items():
        own = name_of(column)
        if own is None:
            raise column_error([column], "which distinguishes calls from other rows")
        only[own] = words
    identity = [name_of(column) for column in mapping.identity]
    if None in identity:
        raise column_error([mapping.identity[identity.index(None)]], "which identifies a call")
    own_identity = [column for column in identity if column is not None]
    return attrs.evolve(mapping, fields=fields, only=only, identity=own_identity, columns=(), positions={})


def apply_mapping(
    native: pl.DataFrame, mapping: SourceMapping, *, compute: ComputeFields | None = None
) -> MappingResult:
    """Convert native rows to calls; also return the rows that have problems.

    Args:
        native: The rows. The column ``row`` is the row number; the other columns are the table's, as strings.
        mapping: The mapping of columns to fields; it uses the column names of *native*.
        compute: A function that computes the fields that no rule can produce.

    Raises:
        ConfigError: When a time has no offset and the mapping has no zone, or a constant is invalid for its field.
    """
    problems: dict[int, RowProblem] = {}
    for problem in _find_other_rows(native, mapping):
        problems.setdefault(problem.row, problem)
    if problems:
        native = native.filter(~pl.col("row").is_in(list(problems)))
    fields = [_read_field(native, name, rule, mapping) for name, rule in mapping.fields.items()]
    bad: set[int] = set()
    for field in fields:
        for at, problem in _find_problems(native, field):
            problems.setdefault(problem.row, problem)
            bad.add(at)
    if bad:
        good = pl.Series([at not in bad for at in range(native.height)], dtype=pl.Boolean)
        native = native.filter(good)
        for field in fields:
            field.keep(good)
    return _make_calls(native, fields, mapping, compute, list(problems.values()))


def _find_other_rows(native: pl.DataFrame, mapping: SourceMapping) -> Iterable[RowProblem]:
    """Yield a problem for each row excluded by the mapping's option ``only``."""
    for column, words in mapping.only.items():
        others = native.filter(~pl.col(column).fill_null("").is_in(list(words)))
        for row, text in others.select("row", column).rows():
            reason = (
                f"{column} is {quote_value(text)}, so the row is not a call."
                if text
                else f"The {column} is missing."
            )
            yield RowProblem(row, reason)


def _read_field(native: pl.DataFrame, name: str, rule: FieldRule, mapping: SourceMapping) -> _FieldTexts:
    """Read the strings of one field from native rows, and parse them."""
    absent_texts = [*rule.absent, *mapping.absent]
    parts = []
    for column in rule.columns:
        nothing = native[column].is_null() | (native[column].str.strip_chars() == "")
        if absent_texts:
            nothing |= native[column].is_in(absent_texts)
        parts.append(native.select(pl.when(~nothing).then(pl.col(column))).to_series())
    chosen: dict[str, pl.Series] = {}
    absent: dict[str, pl.Series] = {}
    if rule.absent:
        absent = {column: native[column].is_in(list(rule.absent)) for column in rule.columns}
    if rule.join is not None:
        texts = pl.select(pl.concat_str(parts, separator=rule.join, ignore_nulls=True)).to_series()
        texts = pl.select(pl.when(texts != "").then(texts)).to_series()
        chosen = {column: part.is_not_null() for column, part in zip(rule.columns, parts, strict=True)}
    else:
        texts = parts[0]
        chosen[rule.columns[0]] = texts.is_not_null()
        for column, part in zip(rule.columns[1:], parts[1:], strict=True):
            chosen[column] = texts.is_null() & part.is_not_null()
            texts = pl.select(pl.coalesce(texts, part)).to_series()
    texts = texts.alias(name)
    if rule.missing is not None:
        texts = texts.fill_null(rule.missing or None)
    parse = make_parser(FIELDS[name], rule)
    if parse is None:
        return _FieldTexts(name, rule, texts, chosen, absent, None)
    values: dict[str, tuple[Any, bool]] = {}
    for text in texts.unique().drop_nulls().to_list():
        try:
            values[text] = parse(text)
        except ValueError as exc:
            values[text] = (exc, False)
    return _FieldTexts(name, rule, texts, chosen, absent, values)


def _find_problems(native: pl.DataFrame, field: _FieldTexts) -> list[tuple[int, RowProblem]]:
    """Return the problems in one field, each with the index of its row."""
    joins = field.rule.join is not None
    label = " and ".join(field.rule.columns) if joins else field.rule.columns[0]
    problems: list[tuple[int, RowProblem]] = []
    rows = native["row"]
    if field.values is not None:
        errors = {text: exc for text, (exc, _) in field.values.items() if isinstance(exc, ValueError)}
        for at in field.texts.is_in(list(errors)).fill_null(False).arg_true() if errors else ():
            text = field.texts[at]
            column = label
            if not joins:
                column = next((name for name, mask in field.chosen.items() if mask[at]), label)
            flaw = str(errors[text])
            reason = f"The value {quote_value(text)} of {column} {flaw}."
            problems.append((at, RowProblem(rows[at], reason, flaw == NEGATIVE)))
    if field.rule.required or field.name in ("start", "call_id"):
        problems += [
            (at, RowProblem(rows[at], f"The {label} is missing.")) for at in field.texts.is_null().arg_true()
        ]
    return problems


def _make_calls(
    native: pl.DataFrame,
    fields: Sequence[_FieldTexts],
    mapping: SourceMapping,
    compute: ComputeFields | None,
    problems: list[RowProblem],
) -> MappingResult:
    columns: dict[str, pl.Series] = {}
    stored: dict[
        str, pl.Series
    ] = {}  # For each native column, the rows whose text a field stores completely.
    repeated = missing = 0
    # The start comes first: it decides which instant an answer or an end in a repeated hour is.
    for field in sorted(fields, key=lambda each: each.name != "start"):
        if field.values is None:
            columns[field.name] = field.texts
        else:
            values = [None if text is None else field.values[text][0] for text in field.texts]
            if FIELDS[field.name].type == INSTANT:
                columns[field.name], again, skipped = _make_instants(
                    values, native, field, mapping, columns.get("start")
                )
                repeated, missing = repeated + again, missing + skipped
            else:
                columns[field.name] = pl.Series(
                    field.name, values, dtype=_plain_type(field.name), strict=True
                )
        exact = _exact_rows(field)
        for column, mask in field.chosen.items():
            complete = mask & exact
            if column in field.absent:
                complete |= field.absent[column].fill_null(False)
            stored[column] = stored[column] | complete if column in stored else complete
    for name, text in mapping.constants.items():
        columns[name] = _make_constant(name, text, native.height)
    if compute is not None:
        columns |= compute(native, columns)
    columns["origin"] = pl.Series([mapping.name]).new_from_index(0, native.height)
    if "call_id" not in columns:
        names = mapping.identity or [name for name in native.columns if name != "row"]
        ids = digest_rows(native.select(names))
        columns["call_id"] = pl.select(pl.concat_str(pl.lit(f"{mapping.name}-"), ids)).to_series()
    columns["extra"] = json_objects(native.drop("row"), skip=stored, absent=mapping.absent)
    frame = pl.DataFrame(
        [columns[name].alias(name).cast(FRAME_TYPES[name]) for name in FIELDS if name in columns]
    )
    return MappingResult(frame=frame, native=native, problems=problems, repeated=repeated, missing=missing)


def _plain_type(name: str) -> Any:
    """Return the Polars type of a field, but String for a categorical field."""
    return pl.String() if isinstance(FRAME_TYPES[name], pl.Categorical) else FRAME_TYPES[name]


def _exact_rows(field: _FieldTexts) -> pl.Series:
    """Return True for each row that was parsed without loss of information."""
    lossy = [text for text, (_, exact) in (field.values or {}).items() if not exact]
    return ~field.texts.is_in(lossy).fill_null(False)


def _make_instants(
    values: Sequence[Any],
    native: pl.DataFrame,
    field: _FieldTexts,
    mapping: SourceMapping,
    start: pl.Series | None,
) -> tuple[pl.Series, int, int]:
    """Convert times to instants; count how many lie in repeated or skipped hours.

    The first count is for hours that occur twice, and the second for hours that do not exist.
    """
    local = [None if at is None or at.tzinfo is not None else at for at in values]
    aware = [None if at is None or at.tzinfo is None else at for at in values]
    utc = pl.Series(field.name, aware, dtype=pl.Datetime("us", "UTC"))
    stamps = pl.Series(field.name, local, dtype=pl.Datetime("us"))
    if stamps.null_count() == len(stamps):
        return utc, 0, 0
    timezone = field.rule.timezone or mapping.timezone
    if timezone is None:
        at = stamps.is_not_null().arg_true()[0]
        raise ConfigError(
            f"The {field.name} in row {native['row'][at]}, {quote_value(field.texts[at])}, is a local time without an "
            "offset. Give its time zone, for example timezone='Europe/London' or timezone='UTC'."
        )
    resolved = resolve_instants(stamps, timezone, not_before=start)
    return utc.fill_null(resolved.utc) if utc.null_count() else utc, resolved.repeated, resolved.missing


def _make_constant(name: str, text: str, height: int) -> pl.Series:
    parse = make_parser(FIELDS[name], FieldRule(columns="constants"))
    value: Any = text
    if parse is not None:
        try:
            value, _ = parse(text)
        except ValueError as exc:
            raise ConfigError(
                f"The constant for {name} cannot be {text!r}, because this value {exc}."
            ) from exc
    if isinstance(value, datetime):
        raise ConfigError(
            f"The field {name!r} cannot be a constant: each call has its own time. Read it from a column."
        )
    return pl.Series([value], dtype=_plain_type(name)).new_from_index(0, height)
