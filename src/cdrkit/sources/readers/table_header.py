"""Read the lines above a table's rows: header lines, then the column names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

import attrs

from cdrkit.errors import ConfigError, SchemaError
from cdrkit.sources.readers.apply_mapping import resolve_columns
from cdrkit.sources.readers.encoding import BYTE_ORDER_MARK
from cdrkit.sources.readers.field_rule import FieldRule
from cdrkit.sources.readers.lines import Line, LineReader
from cdrkit.sources.readers.mapping import SourceMapping
from cdrkit.sources.readers.reject_reasons import quote_value
from cdrkit.sources.readers.table_line import split_line

__all__ = [
    "check_row_count",
    "column_names",
    "parse_names",
    "parse_row_count",
    "select_rules",
    "skip_header",
]

_SEPARATORS: Final = (",", ";", "\t", "|")


def column_names(head: bytes) -> set[str]:
    """Return the names in a table's first line, for detecting its format.

    Args:
        head: The first bytes of the file.

    Returns:
        The names in lower case, without quotes, as split by each possible separator.
    """
    first = head.removeprefix(BYTE_ORDER_MARK).lstrip(b"\r\n").replace(b"\r", b"\n").partition(b"\n")[0]
    text = first.decode("utf-8", "replace").casefold()
    return {name.strip(' "') for separator in _SEPARATORS for name in text.split(separator)}


def skip_header(lines: LineReader, mapping: SourceMapping) -> int | None:
    """Read the header lines and blank lines above a table.

    Returns:
        The number of rows that the header states, or None if the header states no number.

    Raises:
        SchemaError: When the number of rows is malformed, or two lines state different numbers.
    """
    promised = None
    header = None if mapping.header is None else re.compile(mapping.header)
    while (line := lines.peek()) is not None:
        match = None if header is None else header.search(line.text)
        if match is not None:
            promised = parse_row_count(match, line, promised)
        elif line.raw.strip():
            break
        lines.take(1)
    return promised


def parse_names(line: Line, mapping: SourceMapping) -> tuple[SourceMapping, tuple[str, ...], str]:
    """Parse the line that contains the column names of a table.

    This line is at the top of the table. If the mapping has no separator, each common separator is tried.

    Returns:
        The mapping with column names spelled as in the table, the column names, and the separator.

    Raises:
        SchemaError: When the line is not text in the mapping's encoding, names a column twice, or lacks a column
            that the mapping needs.
    """
    try:
        text = line.raw.decode(mapping.encoding)
    except UnicodeDecodeError as exc:
        raise SchemaError(
            f"Byte {exc.start + 1} of the line with the column names is not valid {mapping.encoding}. "
            "Check that you gave the right file, or give the file's encoding, for example encoding='latin-1'."
        ) from exc
    errors: list[tuple[int, SchemaError]] = []
    for separator in _SEPARATORS if mapping.separator is None else (mapping.separator,):
        texts = split_line(text, attrs.evolve(mapping, separator=separator))
        names = tuple(name.strip() or f"column {at}" for at, name in enumerate(texts or [], 1))
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        try:
            if texts is None or twice:
                flaw = (
                    f"contains the column {twice[0]!r} twice" if twice else "has a quote that is not closed"
                )
                raise SchemaError(
                    f"The line with the column names {flaw}: {quote_value(text)}. "
                    "Check that you gave the right file."
                )
            return resolve_columns(mapping, names, table="The table"), names, separator
        except SchemaError as exc:
            errors.append((len(names), exc))
    # The separator that gives most names is most likely the right one: its error helps most.
    raise max(errors, key=lambda error: error[0])[1]


def select_rules(mapping: SourceMapping, names: Sequence[str]) -> dict[str, FieldRule]:
    """Select the mapping's rules for a table that does not contain column names.

    A rule is omitted if the table has none of its columns. Each returned rule keeps only the columns that the table
    has.

    Raises:
        ConfigError: When the table has no column for ``start`` or ``call_id``.
    """
    rules: dict[str, FieldRule] = {}
    for name, rule in mapping.fields.items():
        columns = [column for column in rule.columns if column in names]
        if columns:
            rules[name] = attrs.evolve(rule, columns=columns)
        elif name in ("start", "call_id"):
            raise ConfigError(
                f"The rule for {name} needs the column {' or '.join(rule.columns)}. Add the column."
            )
    return rules


def parse_row_count(match: re.Match[str], line: Line, promised: int | None) -> int | None:
    """Return the row count that a header or a trailer states.

    Args:
        match: The match of the header or trailer pattern; the group ``count`` is the number.
        line: The line that matched.
        promised: The number that an earlier line stated.

    Returns:
        The number in this line, or the earlier number if this line has none.

    Raises:
        SchemaError: When the number is malformed, or differs from the earlier number.
    """
    text = match.groupdict().get("count")
    if text is None:
        return promised
    if not re.fullmatch(r"\s*[0-9]{1,15}\s*", text):
        raise SchemaError(
            f"Line {line.number} should state the number of rows, but it contains {quote_value(text)} instead. "
            "Check that you gave the right file.",
            row=line.number,
        )
    if promised is not None and promised != int(text):
        raise SchemaError(
            f"The header states {promised:,} rows, but the trailer on line {line.number} states {int(text):,}."
        )
    return int(text)


def check_row_count(promised: int | None, read: int, line: int | None) -> None:
    """Raise an error if a table does not have the stated number of rows.

    Args:
        promised: The stated number; None: no number was stated.
        read: The number of rows that were read.
        line: The number of the trailer's line; None: the header stated the number.

    Raises:
        SchemaError: When the numbers differ.
    """
    if promised is not None and promised != read:
        where = "The header" if line is None else f"Line {line}"
        raise SchemaError(
            f"{where} states {promised:,} rows, but cdrkit read {read:,}: the file is cut off or damaged. "
            "Nothing was stored."
        )
