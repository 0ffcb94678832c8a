"""Terminal output: lines, tables, JSON and progress bars.

Text from calls is never read as markup.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from cdrkit._text import sanitize_text

__all__ = [
    "print_error",
    "print_heading",
    "print_json_lines",
    "print_note",
    "print_table",
    "print_text",
    "progress_bar",
]

#: The width of a table that is written to a file or pipe.
_FILE_WIDTH: Final = 200

_out = Console(width=None if sys.stdout.isatty() else _FILE_WIDTH)
_err = Console(stderr=True)


@contextmanager
def progress_bar(title: str, *, rows: bool = False) -> Iterator[Callable[[int, int | None], None]]:
    """Show a progress bar for bytes or rows if standard error is a terminal."""
    amount = MofNCompleteColumn() if rows else DownloadColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=_err, transient=True, disable=not _err.is_terminal) as bar:
        task = bar.add_task(escape(title), total=None)

        def update(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield update


def print_table(rows: list[dict[str, str]], caption: str) -> None:
    """Print rows as a table, with a caption below."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold underline")
    for name in rows[0] if rows else ():
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row.values()))  # Text: a cell contains no markup
    if rows:
        _out.print(table)
    print_text(caption)


def print_text(text: str) -> None:
    """Print a line without markup or wrapping, so that paths stay intact."""
    _out.print(_sanitize_lines(text), soft_wrap=True)


def print_note(text: str) -> None:
    """Print a line on standard error, because programs read standard output."""
    _err.print(_sanitize_lines(text), soft_wrap=True)


def print_json_lines(values: Iterable[Mapping[str, object]]) -> None:
    """Print each value as ASCII JSON on a separate line."""
    for value in values:
        print(json.dumps(value))


def print_heading(title: str) -> None:
    """Print a heading."""
    _out.print()
    _out.print(Text(title, style="bold"))


def print_error(text: str) -> None:
    """Print an error on standard error."""
    _err.print(Text(f"cdrkit: {sanitize_text(text)}", style="bold red"), soft_wrap=True)


def _sanitize_lines(text: str) -> Text:
    return Text("\n".join(map(sanitize_text, text.split("\n"))))
