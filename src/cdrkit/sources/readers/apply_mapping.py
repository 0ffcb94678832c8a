"""Rows of native texts made into calls by a mapping, whole columns at a time; what cannot be taken, with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, TypeAlias

import attrs
import polars as pl

from cdrkit._model import FIELDS, FRAME_TYPES, INSTANT
from cdrkit.errors import ConfigError, SchemaError, suggestion
from cdrkit.sources.readers.local_time import resolve_instants
from cdrkit.sources.readers.mapping import FieldRule, SourceMapping
from cdrkit.sources.readers.parsers import NEGATIVE, make_parser
from cdrkit.sources.readers.reject_reasons import shorten

__all__ = [
    "ComputeFields",
    "MappingResult",
    "RowProblem",
    "apply_mapping",
    "digest_rows",
    "json_objects",
    "resolve_columns",
]

#: Makes fields that no rule can, from rows that can be taken: from their native columns, and the fields made by rule.
ComputeFields: TypeAlias = Callable[[pl.DataFrame, Mapping[str, pl.Series]], Mapping[str, pl.Series]]

_ESCAPES: Final = {"\\": "\\\\", '"': '\\"'} | {chr(code): f"\\u{code:04x}" for code in range(32)}


@attrs.frozen
class RowProblem:
    """Why a row cannot be taken: its number, the reason, and whether a length of it is negative."""

    row: int
    reason: str
    negative: bool = False


@attrs.frozen(kw_only=True)
class MappingResult:
    """What became of some rows.

    Attributes:
        frame: The calls.
        native: The native rows that they were, in the same order.
        wrong: The rows that cannot be taken.
        repeated: How many local stamps fell into an hour that came twice.
        missing: How many fell into an hour that was skipped.
    """

    frame: pl.DataFrame
    native: pl.DataFrame
    wrong: list[RowProblem]
    repeated: int = 0
    missing: int = 0

    @property
    def contradictions(self) -> dict[str, int]:
        """How many of the rows that cannot be taken contradict themselves, by kind."""
        negative = sum(one.negative for one in self.wrong)
        return {"negative_length": negative} if negative else {}


@attrs.define
class _Field:
    """One field on its way.

    Attributes:
        name: The field.
        rule: Its rule.
        texts: The text of each row, null where there is none.
        chosen: Which rows have it from which column.
        said: Which rows have a text there that stands for nothing.
        known: What each text is, and whether that says all of it; None: it is the value.
    """

    name: str
    rule: FieldRule
    texts: pl.Series
    chosen: dict[str, pl.Series]
    said: dict[str, pl.Series]
    known: dict[str, tuple[Any, bool]] | None


def resolve_columns(mapping: SourceMapping, names: Sequence[str], *, shown: str) -> SourceMapping:
    """Return *mapping* with its columns named as the table has them; *shown* is what the table is called.

    Names are the same whatever their capitals and the blanks around them, when none is the same exactly.

    Raises:
        SchemaError: When a column that is needed is not there.
    """
    folded = {name.strip().casefold(): name for name in reversed(names)}

    def known(column: str) -> str | None:
        return column if column in names else folded.get(column.strip().casefold())

    def missing(columns: Iterable[str], what: str) -> SchemaError:
        hint, _ = suggestion(next(iter(columns)), names)
        listed = " or ".join(map(repr, columns))
        return SchemaError(
            f"{shown} has no column {listed}, {what}; it has {', '.join(map(repr, names[:40]))}.{hint} "
            "Check that it is the right file, and its separator."
        )

    fields: dict[str, FieldRule] = {}
    for name, rule in mapping.fields.items():
        found = tuple(dict.fromkeys(column for one in rule.columns if (column := known(one)) is not None))
        needed = rule.required or name in ("start", "call_id") or not mapping.optional
        if not found or (len(found) < len(rule.columns) and not mapping.optional and rule.join is not None):
            if needed:
                raise missing(rule.columns, f"which {name} is made of")
            continue
        fields[name] = attrs.evolve(rule, columns=found)
    only: dict[str, tuple[str, ...]] = {}
    for column, words in mapping.only.items():
        there = known(column)
        if there is None:
            raise missing([column], "which tells calls from other rows")
        only[there] = words
    identity = [known(column) for column in mapping.identity]
    if None in identity:
        raise missing([mapping.identity[identity.index(None)]], "which identifies a call")
    kept = [column for column in identity if column is not None]
    return attrs.evolve(mapping, fields=fields, only=only, identity=kept, columns=(), positions={})


def apply_mapping(
    native: pl.DataFrame, mapping: SourceMapping, *, compute: ComputeFields | None = None
) -> MappingResult:
    """Return the calls of *native*, whose columns are ``row`` and those of the table, as texts.

    Args:
        native: The rows; ``row`` is the number of each.
        mapping: How to read them; its columns are named as *native* has them.
        computed: What fills further fields.

    Raises:
        ConfigError: When a time has no offset, and the mapping no zone.
    """
    wrong: dict[int, RowProblem] = {}
    for column, words in mapping.only.items():
        for row, text in (
            native.filter(~pl.col(column).fill_null("").is_in(list(words))).select("row", column).rows()
        ):
            reason = (
                f"Its {column} is {shorten(text or '')}, which is no call."
                if text
                else f"It has no {column}."
            )
            wrong.setdefault(row, RowProblem(row, reason))
    if wrong:
        native = native.filter(~pl.col("row").is_in(list(wrong)))
    fields = [_field(native, name, rule, mapping) for name, rule in mapping.fields.items()]
    bad: set[int] = set()
    for field in fields:
        for at, one in _wrong(native, field):
            wrong.setdefault(one.row, one)
            bad.add(at)
    if bad:
        good = pl.Series([at not in bad for at in range(native.height)], dtype=pl.Boolean)
        native = native.filter(good)
        for field in fields:
            field.texts = field.texts.filter(good)
            field.chosen = {column: mask.filter(good) for column, mask in field.chosen.items()}
            field.said = {column: mask.filter(good) for column, mask in field.said.items()}
    return _calls(native, fields, mapping, compute, list(wrong.values()))


def _field(native: pl.DataFrame, name: str, rule: FieldRule, mapping: SourceMapping) -> _Field:
    absent = [*rule.absent, *mapping.absent]
    parts = []
    for column in rule.columns:
        nothing = native[column].is_null() | (native[column].str.strip_chars() == "")
        if absent:
            nothing |= native[column].is_in(absent)
        parts.append(native.select(pl.when(~nothing).then(pl.col(column))).to_series())
    chosen: dict[str, pl.Series] = {}
    said = {column: native[column].is_in(list(rule.absent)) for column in rule.columns} if rule.absent else {}
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
    read = make_parser(FIELDS[name], rule)
    if read is None:
        return _Field(name, rule, texts, chosen, said, None)
    known: dict[str, tuple[Any, bool]] = {}
    for text in texts.unique().drop_nulls().to_list():
        try:
            known[text] = read(text)
        except ValueError as exc:
            known[text] = (exc, False)
    return _Field(name, rule, texts, chosen, said, known)


def _wrong(native: pl.DataFrame, field: _Field) -> list[tuple[int, RowProblem]]:
    called = " and ".join(field.rule.columns) if field.rule.join is not None else field.rule.columns[0]
    found: list[tuple[int, RowProblem]] = []
    rows = native["row"]
    if field.known is not None:
        failed = {text: exc for text, (exc, _) in field.known.items() if isinstance(exc, ValueError)}
        for at in field.texts.is_in(list(failed)).fill_null(False).arg_true() if failed else ():
            text = field.texts[at]
            source = next((name for name, mask in field.chosen.items() if mask[at]), called)
            source = called if field.rule.join is not None else source
            what = str(failed[text])
            reason = f"Its {source}, {shorten(text)}, {what}."
            found.append((at, RowProblem(rows[at], reason, what == NEGATIVE)))
    if field.rule.required or field.name in ("start", "call_id"):
        found += [
            (at, RowProblem(rows[at], f"It has no {called}.")) for at in field.texts.is_null().arg_true()
        ]
    return found


def _calls(
    native: pl.DataFrame,
    fields: Sequence[_Field],
    mapping: SourceMapping,
    compute: ComputeFields | None,
    wrong: list[RowProblem],
) -> MappingResult:
    values: dict[str, pl.Series] = {}
    held: dict[str, pl.Series] = {}
    repeated = missing = 0
    # An answer or an end in an hour that came twice is not before the start.
    for field in sorted(fields, key=lambda one: one.name != "start"):
        found = (
            [None] * native.height
            if field.known is None
            else [None if text is None else field.known[text][0] for text in field.texts]
        )
        if field.known is None:
            values[field.name] = field.texts
        elif FIELDS[field.name].type == INSTANT:
            values[field.name], again, skipped = _instants(found, native, field, mapping, values.get("start"))
            repeated, missing = repeated + again, missing + skipped
        else:
            values[field.name] = pl.Series(field.name, found, dtype=_dtype(field.name), strict=True)
        exact = _exact(field)
        for column, mask in field.chosen.items():
            kept = mask & exact
            if column in field.said:
                kept |= field.said[column].fill_null(False)
            held[column] = held[column] | kept if column in held else kept
    for name, text in mapping.constants.items():
        values[name] = _constant(name, text, native.height)
    if compute is not None:
        values |= compute(native, values)
    values["origin"] = pl.Series([mapping.name]).new_from_index(0, native.height)
    if "call_id" not in values:
        names = mapping.identity or [name for name in native.columns if name != "row"]
        ids = digest_rows(native.select(names))
        values["call_id"] = pl.select(pl.concat_str(pl.lit(f"{mapping.name}-"), ids)).to_series()
    extra = json_objects(native.drop("row"), skip=held, absent=mapping.absent)
    values["extra"] = extra
    frame = pl.DataFrame(
        [values[name].alias(name).cast(FRAME_TYPES[name]) for name in FIELDS if name in values]
    )
    return MappingResult(frame=frame, native=native, wrong=wrong, repeated=repeated, missing=missing)


def _dtype(name: str) -> Any:
    return pl.String() if isinstance(FRAME_TYPES[name], pl.Categorical) else FRAME_TYPES[name]


def _exact(field: _Field) -> pl.Series:
    lossy = [text for text, (_, exact) in (field.known or {}).items() if not exact]
    return ~field.texts.is_in(lossy).fill_null(False)


def _instants(
    found: Sequence[Any], native: pl.DataFrame, field: _Field, mapping: SourceMapping, start: pl.Series | None
) -> tuple[pl.Series, int, int]:
    local = [None if at is None or at.tzinfo is not None else at for at in found]
    aware = [None if at is None or at.tzinfo is None else at for at in found]
    utc = pl.Series(field.name, aware, dtype=pl.Datetime("us", "UTC"))
    stamps = pl.Series(field.name, local, dtype=pl.Datetime("us"))
    if stamps.null_count() == len(stamps):
        return utc, 0, 0
    timezone = field.rule.timezone or mapping.timezone
    if timezone is None:
        at = stamps.is_not_null().arg_true()[0]
        raise ConfigError(
            f"Row {native['row'][at]} has the {field.name} {shorten(field.texts[at])}, a local time without an "
            "offset: say whose, for example timezone='Europe/London' or timezone='UTC'."
        )
    made = resolve_instants(stamps, timezone, not_before=start)
    return utc.fill_null(made.utc) if utc.null_count() else utc, made.repeated, made.missing


def _constant(name: str, text: str, height: int) -> pl.Series:
    read = make_parser(FIELDS[name], FieldRule(columns="constants"))
    value: Any = text
    if read is not None:
        try:
            value, _ = read(text)
        except ValueError as exc:
            raise ConfigError(f"The constant {name} cannot be {text!r}: it {exc}.") from exc
    if isinstance(value, datetime):
        raise ConfigError(f"{name} cannot be a constant: it is each call's own.")
    return pl.Series([value], dtype=_dtype(name)).new_from_index(0, height)


def digest_rows(native: pl.DataFrame) -> pl.Series:
    """Return a digest of each row's texts, the same at every reading."""
    parts = [pl.concat_str(pl.lit(f"{name}\0"), pl.col(name)) for name in sorted(native.columns)]
    joined = (
        native.select(pl.concat_str(parts, separator="\0\0", ignore_nulls=True)).to_series().cast(pl.Binary)
    )
    return pl.Series([blake2b(row, digest_size=8).hexdigest() for row in joined], dtype=pl.String)


def json_objects(
    native: pl.DataFrame, *, skip: Mapping[str, pl.Series] | None = None, absent: Sequence[str] = ()
) -> pl.Series:
    """Return a JSON object of each row's texts, without the empty ones, and those that *skip* marks."""
    columns: dict[str, pl.Series] = {}
    parts: list[pl.Expr] = []
    for name in sorted(native.columns):  # so that a table whose columns were moved gives the same calls
        keep = native[name].is_not_null() & (native[name].str.strip_chars() != "")
        if absent:
            keep &= ~native[name].is_in(list(absent))
        if skip is not None and name in skip:
            keep &= ~skip[name]
        if not keep.any():
            continue
        texts = native[name]
        if texts.str.contains(r'["\\\x00-\x1f]').any():
            texts = texts.str.replace_many(_ESCAPES)
        columns[name] = pl.select(pl.when(keep).then(texts)).to_series()
        key = json.dumps(name, ensure_ascii=False)
        parts.append(pl.concat_str(pl.lit(f'{key}:"'), pl.col(name), pl.lit('"')))
    if not parts:
        return pl.Series([None] * native.height, dtype=pl.String)
    inner = pl.concat_str(parts, separator=",", ignore_nulls=True)
    objects = pl.DataFrame(columns).select(pl.concat_str(pl.lit("{"), inner, pl.lit("}")).alias("extra"))
    return objects.select(pl.when(pl.col("extra") != "{}").then("extra")).to_series()
