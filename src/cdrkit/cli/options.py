"""Options that several commands share, and functions that use their values."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import click

import cdrkit
from cdrkit.errors import CdrError, QueryError

__all__ = [
    "build_query",
    "command_text",
    "dry_run_option",
    "filter_options",
    "keep_option",
    "open_existing",
    "open_store_argument",
    "option_message",
    "really_option",
    "region_option",
    "store_argument",
    "timezone_option",
]

# The options whose names differ from the parameters of Query.from_params.
_OPTION_NAMES: Final = {"recording": "--recorded", "size": "--limit"}

# Words in library messages that differ on the command line.
_NEEDED: Final = re.compile(r"needs the option '(\w+)'")
_ARGUMENT: Final = re.compile(
    r"(?<![^\s(])([a-z]\w*)=(?:'([^']*)'|(True|False|CODE\b)|(-?\d+(?:\.\d+)?)|(?=[\s,.;:)]|$))"
)
_METHOD: Final = re.compile(r"\b(?:[Ss]tore\.)?(?:maintenance\.)?(rebuild_log|verify|vacuum|compact)\(\)")
_BEFORE: Final = re.compile(r"\bThe time for before\b")
_PYTHON: Final = re.compile(r" (?:In Python, [^.]*|The query compares field\([^)]*\) with this value)\.")

# The library's parameters that are options or arguments of a command. Any other parameter is an option of a format.
_PARAMETERS: Final = {
    "format": "--format",
    "hot": "STORE",
    "keep_months": "--keep",
    "overwrite": "--overwrite",
    "poll": "--poll",
    "recordings": "--recordings",
    "region": "--region",
    "timezone": "--timezone",
    "warm": "--warm",
}

#: A decorator that adds an option or an argument to a command.
_Decorator: TypeAlias = Callable[[Callable[..., None]], Callable[..., None]]

store_argument: _Decorator = click.argument("store", metavar="STORE")
timezone_option: _Decorator = click.option(
    "--timezone",
    default="UTC",
    show_default=True,
    metavar="ZONE",
    help="IANA name of the time zone for dates and displayed times.",
)
region_option: _Decorator = click.option(
    "--region", metavar="CODE", help="Region for numbers in national form (GB, US, ...)."
)
keep_option: _Decorator = click.option(
    "--keep", default=3, show_default=True, metavar="MONTHS", help="Calendar months to keep in the hot tier."
)
dry_run_option: _Decorator = click.option("--dry-run", is_flag=True, help="Only show the work that is due.")
really_option: _Decorator = click.option(
    "--dry-run/--really", default=True, show_default=True, help="Count the calls only, or really erase them."
)


def filter_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that select calls; `build_query` takes their values."""
    options = [
        click.option("--connected", is_flag=True, help="Connected calls only."),
        click.option("--during", metavar="PRESET", help="today, last_7_days, this_month, ..."),
        click.option(
            "--start",
            metavar="TIME",
            help="Starting at or after this time (ISO 8601; in --timezone if it has no offset).",
        ),
        click.option("--end", metavar="TIME", help="Starting before this time."),
        click.option(
            "--number",
            multiple=True,
            metavar="NUMBER",
            help="A number in any notation. A * at either end matches any digits.",
        ),
        click.option(
            "--role",
            type=click.Choice(["source", "destination", "either"]),
            help="The field to search for the number.",
        ),
        click.option(
            "--match",
            type=click.Choice(["exact", "prefix", "suffix", "contains"]),
            help="How to compare the number.",
        ),
        click.option("--did", multiple=True, metavar="NUMBER", help="Calls to this DID."),
        click.option("--customer", multiple=True, metavar="ID"),
        click.option("--provider", multiple=True, metavar="ID"),
        click.option("--direction", multiple=True, metavar="WORD", help="inbound, outbound, internal."),
        click.option("--disposition", multiple=True, metavar="WORD", help="answered, busy, no_answer, ..."),
        click.option("--switch", multiple=True, metavar="NAME"),
        click.option("--min-duration", metavar="SECONDS"),
        click.option("--max-duration", metavar="SECONDS"),
        click.option("--recorded", "recording", is_flag=True, help="Calls whose recording field is set."),
        click.option("--where", multiple=True, metavar="JSON", help="A condition in the query format."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def build_query(timezone: str, values: dict[str, Any]) -> cdrkit.Query:
    """Build a query from the values of a command's options.

    The options are those of `filter_options`, and ``columns``, ``order`` and ``cursor``.

    Raises:
        QueryError: When a value is not allowed; `option_message` names the option.
    """
    pairs: list[tuple[str, str]] = [("timezone", timezone)]
    for name, value in values.items():
        if value is True:
            pairs.append((name, "1"))
        elif isinstance(value, tuple):
            pairs += [(name, item) for item in value]
        elif value:
            pairs.append((name, str(value)))
    return cdrkit.Query.from_params(pairs)


def option_message(error: CdrError) -> str:
    """Return an error's message, reworded for the command line.

    The library's own messages name parameters and methods, such as ``timezone='Europe/London'`` and ``rebuild_log()``.
    The result names options and commands instead.
    """
    text = str(error)
    if isinstance(error, QueryError) and error.parameter and text.startswith(f"{error.parameter}="):
        option = _OPTION_NAMES.get(error.parameter) or f"--{error.parameter.replace('_', '-')}"
        text = f"{option} {text.removeprefix(f'{error.parameter}=')}"
    return command_text(text)


def command_text(text: str) -> str:
    """Reword a message: name options and commands, not parameters and methods."""
    text = _NEEDED.sub(lambda match: f"needs the option {_source_option(match[1])}", text)
    text = _BEFORE.sub("The time for BEFORE", _PYTHON.sub("", text))
    text = _ARGUMENT.sub(_rewrite_argument, text)
    return _METHOD.sub(lambda match: f"cdrkit {match[1].replace('_', '-')}", text)


def _rewrite_argument(match: re.Match[str]) -> str:
    name, text, word, number = match.groups()
    if name in _PARAMETERS:
        value = text or (word if word == "CODE" else "") or number or ""
        return f"{_PARAMETERS[name]} {value}".rstrip()
    if number:  # a setting of a switch, such as cdr_start_on_confirmed=1
        return match[0]
    return f"-o {name}={text or (word or 'VALUE').replace('True', 'true').replace('False', 'false')}"


def _source_option(name: str) -> str:
    return f"--{name}" if name == "timezone" else f"-o {name}=VALUE"


def open_store_argument(store: str, **options: Any) -> cdrkit.Store:
    """Open STORE; if --warm is given, STORE is the hot tier."""
    warm: str | None = click.get_current_context().obj
    if warm is None:
        return cdrkit.open_store(store, **options)
    return cdrkit.open_store(hot=store, warm=warm, **options)


def open_existing(store: str, **options: Any) -> cdrkit.Store:
    """Open an existing store for reading or maintenance.

    A misspelt name is an error, and so is a store that has lost its log.

    Raises:
        NotFoundError: When the store does not exist, or its log is missing.
    """
    return open_store_argument(store, must_exist=True, **options)
