"""A format written down as data: which native column becomes which field, and how its texts are read.

A `SourceMapping` is a value. It can be kept as JSON or TOML, so that one more switch needs no code.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import attrs

from cdrkit._model import FIELDS, check_zone, parse_instant
from cdrkit.errors import CdrError, ConfigError, NotFoundError, QueryError, StorageError, suggestion
from cdrkit.sources.readers.encoding import check_encoding

__all__ = ["FieldRule", "SourceMapping", "TimeFormat", "Unit"]

#: The words for usual times; anything else with a ``%`` is a pattern of `datetime.strptime`.
TimeFormat: TypeAlias = Literal["iso", "rfc2822", "epoch", "epoch_ms", "epoch_us"]
#: What a length is counted in.
Unit: TypeAlias = Literal["s", "ms", "us", "min", "h:mm:ss", "mm:ss"]

#: Fields that no rule makes: the first is the mapping's name, the other holds what no rule takes.
_OURS: Final = ("origin", "extra")
_TIMES: Final = ("start", "answer", "end")
_LENGTHS: Final = ("duration", "billed_duration", "ring_duration", "pdd", "pdd_in")


def _texts(value: str | Iterable[str]) -> tuple[str, ...]:
    found = (value,) if isinstance(value, str) else _listed(value)
    if not all(isinstance(text, str) for text in found):
        raise ConfigError(f"{value!r} is not a text or a list of texts.")
    return found


def _listed(value: object) -> tuple[Any, ...]:
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise ConfigError(f"{value!r} is not a list.")
    return tuple(value)


def _table(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(text, str) for text in [*value, *value.values()]):
        raise ConfigError(f"{value!r} is not a table of texts, such as {{'ANSWERED': 'answered'}}.")
    return dict(value)


def _pattern(value: str | None) -> str | None:
    if value is not None:
        try:
            re.compile(value)
        except (re.error, TypeError, RecursionError, OverflowError) as exc:
            raise ConfigError(f"The pattern {value!r} is not a regular expression: {exc}.") from exc
    return value


def _one_of(name: str, value: str, words: tuple[str, ...]) -> str:
    if value not in words:
        raise ConfigError(f"{name} cannot be {value!r}; give {', '.join(map(repr, words))}.")
    return value


def _unit(value: str) -> str:
    return _one_of("unit", value, get_args(Unit))


def _rounding(value: str) -> str:
    return _one_of("rounding", value, ("down", "up", "nearest"))


def _decimal(value: str) -> str:
    return _one_of("decimal", value, (".", ","))


def _formats(value: str | Iterable[str]) -> tuple[str, ...]:
    found = _texts(value)
    words = get_args(TimeFormat)
    for text in found:
        if text in words:
            continue
        if "%" not in text or "%Z" in text:
            hint, _ = suggestion(text, words)
            why = "%Z is a name that no rule makes an offset of" if "%Z" in text else "it is no pattern"
            raise ConfigError(
                f"A time cannot be read by {text!r}: {why}. Give {', '.join(words)}, or a pattern such as "
                f"'%d.%m.%Y %H:%M:%S'.{hint}"
            )
    if not found:
        raise ConfigError(f"formats is empty; give {', '.join(words)}, or a pattern of strptime.")
    return found


def _since(value: str | None) -> str | None:
    if value is not None:
        try:
            parse_instant(value)
        except QueryError as exc:
            raise ConfigError(f"since cannot be {value!r}: {exc}") from exc
    return value


def _optional_text(value: str | None) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"{value!r} is not a text.")
    return value


@attrs.frozen(kw_only=True)
class FieldRule:
    r"""How one field is made from a row's native columns.

    A text is read in this order: the first column that holds something, or all of them joined; nothing, where it
    is blank or one of *absent*; the part that *pattern* finds; its entry of *values*; then as its field is.

    Example:
        >>> FieldRule(columns="Result", values={"OK": "answered"}, otherwise="unknown").columns
        ('Result',)

    Args:
        columns: The native column, or several: the first that holds something is taken.
        join: What to put between the texts of all columns, instead of taking the first.
        absent: Texts that stand for nothing, such as ``0`` or ``none``.
        pattern: A regular expression; its first group is the value of a text it is found in.
        values: What a text stands for, whatever its capitals; on ``disposition``, ``direction`` and
            ``hangup_party`` the neutral words.
        otherwise: What a text stands for that is not in *values*; empty: nothing. Without it, a text that is no
            word of the field costs the row.
        missing: What stands for nothing, where nothing has a meaning.
        required: Whether a row without it cannot be taken; ``start`` and ``call_id`` always are.
        formats: How a time is written: ``iso``, ``rfc2822``, ``epoch`` (seconds), ``epoch_ms``, ``epoch_us``, or a
            pattern of `datetime.strptime`; the first that fits is taken.
        since: The instant from which an epoch counts, instead of 1970.
        timezone: The zone of a time without an offset, instead of the mapping's.
        unit: What a length is counted in.
        rounding: What becomes of a part of a second where whole ones are stored.
        decimal: The decimal sign of numbers.
        negate: Whether the sign of an amount is turned, for those who write a charge as negative.

    Raises:
        ConfigError: When an argument cannot work.
    """

    columns: tuple[str, ...] = attrs.field(converter=_texts)
    join: str | None = attrs.field(default=None, converter=_optional_text)
    absent: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    pattern: str | None = attrs.field(default=None, converter=_pattern)
    values: Mapping[str, str] = attrs.field(factory=dict, converter=_table, hash=False)
    otherwise: str | None = attrs.field(default=None, converter=_optional_text)
    missing: str | None = attrs.field(default=None, converter=_optional_text)
    required: bool = False
    formats: tuple[str, ...] = attrs.field(default=("iso",), converter=_formats)
    since: str | None = attrs.field(default=None, converter=_since)
    timezone: str | None = attrs.field(default=None, converter=attrs.converters.optional(check_zone))
    unit: str = attrs.field(default="s", converter=_unit)
    rounding: str = attrs.field(default="down", converter=_rounding)
    decimal: str = attrs.field(default=".", converter=_decimal)
    negate: bool = False

    def __attrs_post_init__(self) -> None:
        if not self.columns:
            raise ConfigError("A rule without columns makes nothing; name one.")
        if self.pattern is not None and re.compile(self.pattern).groups < 1:
            raise ConfigError(
                f"The pattern {self.pattern!r} has no group; put what is wanted in parentheses."
            )


def _rule(name: object, value: object) -> FieldRule:
    if isinstance(value, FieldRule):
        return value
    if isinstance(value, Mapping):
        built: FieldRule = _built(FieldRule, value, f"the rule of {name!r}")
        return built
    if isinstance(value, (str, list, tuple)):
        return FieldRule(columns=value)
    raise ConfigError(
        f"The rule of {name!r} is {value!r}; give a column's name, a list of names, or a table."
    )


def _rules(value: object) -> dict[str, FieldRule]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"fields is {value!r}; give a table of fields and their rules.")
    return {name: _rule(name, rule) for name, rule in value.items()}


def _positions(value: object) -> dict[str, tuple[int, int]]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"positions is {value!r}; give a table such as {{'caller': [1, 15]}}.")
    found: dict[str, tuple[int, int]] = {}
    for name, place in value.items():
        match _listed(place):
            case (int(first), int(last)) if isinstance(name, str) and 1 <= first <= last:
                found[name] = (first, last)
            case _:
                raise ConfigError(
                    f"The position of {name!r} cannot be {place!r}; give the first and the last character, "
                    "counted from 1, such as [1, 15]."
                )
    return found


def _only(value: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"only is {value!r}; give a table such as {{'kind': ['call']}}.")
    return {str(name): _texts(words) for name, words in value.items()}


def _one_sign(name: str, value: str) -> str:
    if not isinstance(value, str) or len(value) != 1 or value in "\r\n\0":
        raise ConfigError(f"{name} cannot be {value!r}; give one character.")
    return value


def _separator(value: str | None) -> str | None:
    return None if value is None else _one_sign("separator", value)


def _quote(value: str | None) -> str | None:
    # TOML knows no null: an empty text is none, too.
    return None if value is None or value == "" else _one_sign("quote", value)


def _escape(value: str | None) -> str | None:
    return None if value is None or value == "" else _one_sign("escape", value)


@attrs.frozen(kw_only=True)
class SourceMapping:
    """A table's format: how its lines become rows, and its rows become calls.

    Every native column that no rule takes as it is goes into ``extra``.

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
        fields: The rule of each field; a column's name alone is the plainest rule. ``start`` must have one.
        name: What the records' ``origin`` says.
        constants: Fields that have one value in every row, as text.
        columns: The names of the columns, in order, of a table without a line of names.
        positions: The first and last character of each column, counted from 1, of a table without separators.
        separator: What stands between columns; None: the one of ``, ; tab |`` by which the first line has the
            columns that are needed.
        quote: What texts are quoted with, doubled inside; None or empty: nothing is quoted.
        escape: What makes the next character an ordinary one.
        encoding: The encoding of the text; a byte order mark of UTF-8 is taken off.
        timezone: The zone of times without an offset. None: such times are refused.
        absent: Texts that stand for nothing in any column, such as ``NULL``.
        skip: How many lines at the top are no part of the table.
        header: A regular expression of lines at the top that are no rows; its group ``count``, if it has one, is
            how many rows there must be.
        trailer: The same of the line after the rows; without that line the file is cut off.
        only: The texts a column may have in a row that is a call; other rows are rejected by that reason.
        identity: Without a rule for ``call_id``, the columns whose digest it is; none: all of them.
        optional: Whether columns may be missing from the table, but for those of ``start``, ``call_id`` and
            required rules.
        line_ends: Whether a last line without a line end is torn, as in a file that is still being written.

    Raises:
        ConfigError: When an argument cannot work.
    """

    fields: Mapping[str, FieldRule] = attrs.field(converter=_rules, hash=False)
    name: str = "generic"
    constants: Mapping[str, str] = attrs.field(factory=dict, converter=_table, hash=False)
    columns: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    positions: Mapping[str, tuple[int, int]] = attrs.field(factory=dict, converter=_positions, hash=False)
    separator: str | None = attrs.field(default=",", converter=_separator)
    quote: str | None = attrs.field(default='"', converter=_quote)
    escape: str | None = attrs.field(default=None, converter=_escape)
    encoding: str = attrs.field(default="utf-8", converter=check_encoding)
    timezone: str | None = attrs.field(default=None, converter=attrs.converters.optional(check_zone))
    absent: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    skip: int = 0
    header: str | None = attrs.field(default=None, converter=_pattern)
    trailer: str | None = attrs.field(default=None, converter=_pattern)
    only: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict, converter=_only, hash=False)
    identity: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    optional: bool = False
    line_ends: bool = False

    def __attrs_post_init__(self) -> None:
        _refuse_unknown([*self.fields, *self.constants])
        if "start" not in self.fields:
            raise ConfigError(
                "The mapping has no rule for 'start'; every call has a start: say which column it is."
            )
        both = self.fields.keys() & self.constants
        if both:
            raise ConfigError(f"{min(both)!r} has a rule and is a constant; it can be one of the two.")
        if self.identity and "call_id" in self.fields:
            raise ConfigError("identity is for mappings without a rule for 'call_id'; leave one of them out.")
        if self.columns and self.positions:
            raise ConfigError("A table has columns or positions; leave one of them out.")
        if self.separator is None and self.columns:
            raise ConfigError("Without a line of names nothing tells the separator; give it.")
        if not isinstance(self.name, str) or not self.name:
            raise ConfigError(f"The mapping's name cannot be {self.name!r}; give a text.")
        if not isinstance(self.skip, int) or self.skip < 0:
            raise ConfigError(f"skip cannot be {self.skip!r}; give a count of lines.")
        for names, where in ((self.columns, "columns"), (tuple(self.positions), "positions")):
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ConfigError(f"{where} names {min(twice)!r} twice.")
            if names:
                self._refuse_unnamed(names, where)
        for name, rule in self.fields.items():
            for option in ("since", "timezone"):
                if getattr(rule, option) is not None and name not in _TIMES:
                    raise ConfigError(f"{option} is for times; {name!r} is none.")
            if rule.unit != "s" and name not in _LENGTHS:
                raise ConfigError(f"unit is for lengths; {name!r} is none.")

    def _refuse_unnamed(self, names: tuple[str, ...], where: str) -> None:
        used = [column for rule in self.fields.values() for column in rule.columns if not self.optional]
        for column in [*used, *self.only, *self.identity]:
            if column not in names:
                hint, _ = suggestion(column, names)
                raise ConfigError(f"{where} has no column {column!r}: {', '.join(names)}.{hint}")

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping as values that JSON and TOML know; what is as usual is left out.

        Example:
            >>> SourceMapping(fields={"start": "when"}).to_dict()
            {'fields': {'start': {'columns': ['when']}}}
        """
        found = _written(self)
        found["fields"] = {name: _written(rule) for name, rule in self.fields.items()}
        return found

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SourceMapping:
        """Return the mapping that `to_dict` gave, or that was written by hand.

        Raises:
            ConfigError: When a key is unknown or a value cannot work.
        """
        if not isinstance(data, Mapping):
            raise ConfigError(f"A mapping is a table, not {type(data).__name__}.")
        built: SourceMapping = _built(cls, data, "the mapping")
        return built

    @classmethod
    def load(cls, path: str | Path) -> SourceMapping:
        """Return the mapping in a local file, JSON or TOML by its ending.

        Raises:
            StorageError: When it cannot be read.
            ConfigError: When it is no mapping.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except FileNotFoundError as exc:
            raise NotFoundError(f"There is no mapping {str(path)!r}.", url=str(path)) from exc
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


def _refuse_unknown(names: Iterable[object]) -> None:
    for name in names:
        if name in _OURS:
            raise ConfigError(f"{name!r} is not for a mapping to fill: it is made by the reading.")
        if name not in FIELDS:
            hint, _ = suggestion(str(name), FIELDS)
            raise ConfigError(f"There is no field {name!r}.{hint} All fields: {', '.join(FIELDS)}.")


def _built(cls: Any, data: Mapping[Any, Any], what: str) -> Any:
    known = [attribute.name for attribute in attrs.fields(cls)]
    for key in data:
        if key not in known:
            hint, _ = suggestion(str(key), known)
            raise ConfigError(f"There is no {key!r} in {what}; there are {', '.join(known)}.{hint}")
    try:
        return cls(**data)
    except CdrError as exc:
        raise ConfigError(f"In {what}: {exc}") from exc
    except TypeError as exc:
        raise ConfigError(f"In {what} something is missing or of the wrong kind: {exc}.") from exc


def _written(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for attribute in attrs.fields(type(value)):
        item = getattr(value, attribute.name)
        usual = attribute.default
        if isinstance(usual, attrs.Factory):  # type: ignore[arg-type]  # a class at runtime
            usual = {}
        if item != usual:
            found[attribute.name] = _plain(item)
    return found


def _plain(item: Any) -> Any:
    if isinstance(item, Mapping):
        return {key: _plain(value) for key, value in item.items()}
    return list(map(_plain, item)) if isinstance(item, tuple) else item
