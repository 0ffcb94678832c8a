"""Compute digests of native rows, and convert the rows to JSON for ``extra``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final

import polars as pl

__all__ = ["JSON_ESCAPES", "add_json_member", "digest_rows", "json_objects"]

#: The characters that a JSON text escapes, and their escapes.
JSON_ESCAPES: Final = {"\\": "\\\\", '"': '\\"'} | {chr(code): f"\\u{code:04x}" for code in range(32)}


def digest_rows(native: pl.DataFrame) -> pl.Series:
    """Return one digest for each row, computed from the strings in the row.

    Equal rows have equal digests, whatever the order of the columns.
    """
    parts = [pl.concat_str(pl.lit(f"{name}\0"), pl.col(name)) for name in sorted(native.columns)]
    joined = (
        native.select(pl.concat_str(parts, separator="\0\0", ignore_nulls=True)).to_series().cast(pl.Binary)
    )
    return pl.Series([blake2b(row, digest_size=8).hexdigest() for row in joined], dtype=pl.String)


def json_objects(
    native: pl.DataFrame, *, skip: Mapping[str, pl.Series] | None = None, absent: Sequence[str] = ()
) -> pl.Series:
    """Return each row's non-blank strings as a JSON object.

    Args:
        native: The rows, with a string in each column.
        skip: For some columns, the rows whose string is omitted.
        absent: Strings that mean that a value is absent.

    Returns:
        The objects; null where a row has no strings. Keys are sorted, so that the order of the table's columns
        does not affect the objects.
    """
    columns: dict[str, pl.Series] = {}
    parts: list[pl.Expr] = []
    for name in sorted(native.columns):
        keep = native[name].is_not_null() & (native[name].str.strip_chars() != "")
        if absent:
            keep &= ~native[name].is_in(list(absent))
        if skip is not None and name in skip:
            keep &= ~skip[name]
        if not keep.any():
            continue
        texts = native[name]
        if texts.str.contains(r'["\\\x00-\x1f]').any():
            texts = texts.str.replace_many(JSON_ESCAPES)
        columns[name] = pl.select(pl.when(keep).then(texts)).to_series()
        key = json.dumps(name, ensure_ascii=False)
        parts.append(pl.concat_str(pl.lit(f'{key}:"'), pl.col(name), pl.lit('"')))
    if not parts:
        return pl.Series([None] * native.height, dtype=pl.String)
    inner = pl.concat_str(parts, separator=",", ignore_nulls=True)
    objects = pl.DataFrame(columns).select(pl.concat_str(pl.lit("{"), inner, pl.lit("}")).alias("extra"))
    return objects.select(pl.when(pl.col("extra") != "{}").then("extra")).to_series()


def add_json_member(objects: pl.Expr, key: str, value: pl.Expr) -> pl.Expr:
    """Add one member to each JSON object.

    Example:
        >>> rows = pl.DataFrame({"extra": ['{"a":"1"}', None, None], "bye": ["{}", "{}", None]})
        >>> rows.select(add_json_member(pl.col("extra"), "bye", pl.col("bye"))).to_series().to_list()
        ['{"a":"1","bye":{}}', '{"bye":{}}', None]

    Args:
        objects: The objects, as `json_objects` returns them; a null becomes an object.
        key: The key of the member.
        value: The JSON text of the member's value. Where it is null, the object is unchanged.
    """
    members = objects.fill_null("{}").str.head(-1).str.slice(1)
    comma = pl.when(members == "").then(pl.lit("")).otherwise(pl.lit(","))
    name = pl.lit(f"{json.dumps(key, ensure_ascii=False)}:")
    extended = pl.concat_str(pl.lit("{"), members, comma, name, value, pl.lit("}"))
    return pl.when(value.is_not_null()).then(extended).otherwise(objects)
