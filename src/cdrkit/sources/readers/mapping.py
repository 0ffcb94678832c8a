"""Mappings: table formats that are defined by data instead of code."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from cdrkit._model import FIELDS, check_zone
from cdrkit.errors import ConfigError, NotFoundError, StorageError, suggestion
from cdrkit.sources.readers.encoding import check_encoding
from cdrkit.sources.readers.field_rule import FieldRule, check_rules
from cdrkit.sources.readers.mapping_data import build_value, plain_data
from cdrkit.sources.readers.option_checks import (
    check_character,
    check_list,
    check_pattern,
    check_text_table,
    check_texts,
)

__all__ = ["SourceMapping"]

#: Fields that no rule fills: ``origin`` is the mapping's name, ``extra`` holds the columns without a rule.
_COMPUTED_FIELDS: Final = ("origin", "extra")
_TIMES: Final = ("start", "answer", "end")
_LENGTHS: Final = ("duration", "billed_duration", "ring_duration", "pdd", "pdd_in")


def _check_positions(value: object) -> dict[str, tuple[int, int]]:
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"The mapping option 'positions' cannot be {value!r}; give a dict such as {{'caller': [1, 15]}}."
        )
    positions: dict[str, tuple[int, int]] = {}
    for name, position in value.items():
        match check_list(position):
            case (int(first), int(last)) if isinstance(name, str) and 1 <= first <= last:
                positions[name] = (first, last)
            case _:
                raise ConfigError(
                    f"The position of the column {name!r} cannot be {position!r}; give the numbers of the first and "
                    "last characters, counted from 1, such as [1, 15]."
                )
    return positions


def _check_only(value: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"The mapping option 'only' cannot be {value!r}; give a dict such as {{'kind': ['call']}}."
        )
    return {str(name): check_texts(words) for name, words in value.items()}


def _check_separator(value: str | None) -> str | None:
    return None if value is None else check_character("separator", value)


def _check_quote(value: str | None) -> str | None:
    # TOML has no null: an empty text means no quote, too.
    return None if value is None or value == "" else check_character("quote", value)


def _check_escape(value: str | None) -> str | None:
    return None if value is None or value == "" else check_character("escape", value)


@attrs.frozen(kw_only=True)
class SourceMapping:
    """The definition of a table's format: how lines become rows and then calls.

    If no rule keeps all of a native column's information, the column goes into the field ``extra``. A mapping is
    immutable: `to_dict` and `from_dict` convert it to and from data for JSON and TOML.

    Example:
        >>> mapping = SourceMapping(
        ...     name="acme",
        ...     separator=";",
        ...     timezone="Europe/Berlin",
        ...     fields={
        ...         "call_id": "Id",
        ...         "start": {"columns": ["Date", "Time"], "join": " ", "formats": ["%d.%m.%Y %H:%M:%S"]},
        ...         "duration": {"columns": "Talk", "unit": "h:mm:ss"},
        ...     },
        ... )
        >>> SourceMapping.from_dict(mapping.to_dict()) == mapping
        True

    Args:
        fields: The rule of each field: a `FieldRule`, its dict, or the name of a column. ``start`` must have one.
        name: The value of the field ``origin`` in every call.
        constants: Fields that have the same value in every row, as strings.
        columns: The column names, in order, of a table that does not contain column names.
        positions: For a table without separators, the first and last character of each column, counted from 1 and
            both inclusive.
        separator: The character between columns. None: comma, semicolon, tab or ``|``, whichever yields the
            required column names.
        quote: The character around quoted values; it is doubled inside them. None or empty: values are not quoted.
        escape: The character that makes the next character ordinary. None or empty: no escape character.
        encoding: The encoding of the text. A byte order mark of UTF-8 is removed.
        timezone: The IANA zone of times without an offset. None: such times raise an error.
        absent: Strings that mean, in every column, that a value is absent, such as ``NULL``.
        skip: The number of lines to skip at the top.
        header: A regular expression that matches lines at the top that are not rows. If it has a group ``count``,
            that group is the number of rows that the table must have.
        trailer: A regular expression that matches the line after the rows; it may also have a group ``count``. If the
            line is missing, the table is truncated, which raises an error.
        only: For some columns, the values that mark a row as a call. Other rows are rejected.
        identity: The columns whose digest is the ``call_id``, if ``call_id`` has no rule. Empty: all columns.
        optional: Whether the table may lack columns. The columns for ``start``, ``call_id`` and required rules are
            always required.
        line_ends: Whether a last line without a line end is rejected, because the file may still be being written.

    Raises:
        ConfigError: When an argument is invalid.
    """

    fields: Mapping[str, FieldRule] = attrs.field(converter=check_rules, hash=False)
    name: str = "generic"
    constants: Mapping[str, str] = attrs.field(factory=dict, converter=check_text_table, hash=False)
    columns: tuple[str, ...] = attrs.field(default=(), converter=check_texts)
    positions: Mapping[str, tuple[int, int]] = attrs.field(
        factory=dict, converter=_check_positions, hash=False
    )
    separator: str | None = attrs.field(default=",", converter=_check_separator)
    quote: str | None = attrs.field(default='"', converter=_check_quote)
    escape: str | None = attrs.field(default=None, converter=_check_escape)
    encoding: str = attrs.field(default="utf-8", converter=check_encoding)
    timezone: str | None = attrs.field(default=None, converter=attrs.converters.optional(check_zone))
    absent: tuple[str, ...] = attrs.field(default=(), converter=check_texts)
    skip: int = 0
    header: str | None = attrs.field(default=None, converter=check_pattern)
    trailer: str | None = attrs.field(default=None, converter=check_pattern)
    only: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict, converter=_check_only, hash=False)
    identity: tuple[str, ...] = attrs.field(default=(), converter=check_texts)
    optional: bool = False
    line_ends: bool = False

    def __attrs_post_init__(self) -> None:
        """Raise an error if an option is invalid or conflicts with another option."""
        _check_fields([*self.fields, *self.constants])
        if "start" not in self.fields:
            raise ConfigError("The mapping has no rule for 'start', which every call needs; give its column.")
        both = self.fields.keys() & self.constants
        if both:
            raise ConfigError(f"The field {min(both)!r} has both a rule and a constant; remove one of them.")
        if self.identity and "call_id" in self.fields:
            raise ConfigError(
                "A mapping cannot have both the option 'identity' and a rule for 'call_id'; remove one of them."
            )
        if self.columns and self.positions:
            raise ConfigError("A mapping cannot have both 'columns' and 'positions'; remove one of them.")
        if self.separator is None and self.columns:
            raise ConfigError(
                "The separator cannot be detected in a table that does not contain column names; give the separator."
            )
        if not isinstance(self.name, str) or not self.name:
            raise ConfigError(f"The mapping's name cannot be {self.name!r}; give a string.")
        if not isinstance(self.skip, int) or self.skip < 0:
            raise ConfigError(
                f"The mapping option 'skip' cannot be {self.skip!r}; give the number of lines to skip."
            )
        self._check_names()
        self._check_rule_options()

    def _check_names(self) -> None:
        """Check that column names are unique, and that every rule's column exists."""
        for names, option in ((self.columns, "columns"), (tuple(self.positions), "positions")):
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ConfigError(
                    f"The mapping option {option!r} contains {min(twice)!r} twice; give each column once."
                )
            if not names:
                continue
            used = [column for rule in self.fields.values() for column in rule.columns if not self.optional]
            for column in [*used, *self.only, *self.identity]:
                if column not in names:
                    hint, _ = suggestion(column, names)
                    raise ConfigError(
                        f"The mapping uses the column {column!r}, which is not in the option {option!r}. "
                        f"The columns in this option are {', '.join(names)}.{hint}"
                    )

    def _check_rule_options(self) -> None:
        for name, rule in self.fields.items():
            for option in ("since", "timezone"):
                if getattr(rule, option) is not None and name not in _TIMES:
                    raise ConfigError(
                        f"The rule for {name!r} cannot have the option {option!r}, which applies only to "
                        f"{', '.join(_TIMES)}. Remove the option."
                    )
            if rule.unit != "s" and name not in _LENGTHS:
                raise ConfigError(
                    f"The rule for {name!r} cannot have the option 'unit', which applies only to durations. Remove the "
                    "option."
                )

    def to_dict(self) -> dict[str, Any]:
        """Return this source mapping as a dict that JSON and TOML can represent.

        Arguments that have their default value are omitted.

        Example:
            >>> SourceMapping(fields={"start": "when"}).to_dict()
            {'fields': {'start': {'columns': ['when']}}}
        """
        data = plain_data(self)
        data["fields"] = {name: plain_data(rule) for name, rule in self.fields.items()}
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SourceMapping:
        """Build a source mapping from a dict of its arguments.

        Example:
            >>> SourceMapping.from_dict({"fields": {"start": "when"}}).fields["start"].columns
            ('when',)

        Args:
            data: The arguments of the mapping, as `to_dict` returns them or as written by hand.

        Raises:
            ConfigError: When a key is unknown, or an argument is invalid.
        """
        if not isinstance(data, Mapping):
            raise ConfigError(f"A mapping must be a dict or a JSON object, not {type(data).__name__}.")
        mapping: SourceMapping = build_value(cls, data, "the mapping")
        return mapping

    @classmethod
    def load(cls, path: str | Path) -> SourceMapping:
        """Load a mapping from a local file.

        Args:
            path: The file, in UTF-8: TOML if its name ends in ``.toml``, and JSON otherwise.

        Raises:
            NotFoundError: When the file does not exist.
            StorageError: When the file cannot be read.
            ConfigError: When the file does not contain a valid mapping.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except FileNotFoundError as exc:
            raise NotFoundError(f"The mapping {str(path)!r} does not exist.", url=str(path)) from exc
        except UnicodeDecodeError as exc:
            raise ConfigError(f"The mapping {str(path)!r} is not UTF-8: {exc}.") from exc
        except (OSError, ValueError) as exc:
            raise StorageError(f"The mapping {str(path)!r} cannot be read: {exc}.", url=str(path)) from exc
        try:
            data = tomllib.loads(text) if str(path).lower().endswith(".toml") else json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise ConfigError(f"The mapping {str(path)!r} cannot be parsed: {exc}.") from exc
        try:
            return cls.from_dict(data)
        except ConfigError as exc:
            raise ConfigError(f"{path}: {exc}") from exc


def _check_fields(names: Iterable[object]) -> None:
    for name in names:
        if name in _COMPUTED_FIELDS:
            raise ConfigError(f"The field {name!r} cannot have a rule or a constant: cdrkit computes it.")
        if name not in FIELDS:
            hint, _ = suggestion(str(name), FIELDS)
            raise ConfigError(f"Unknown field {name!r}.{hint} All fields: {', '.join(FIELDS)}.")
