"""What the command line writes to a terminal: lines, tables and bars. None of what is shown is taken for markup."""

from __future__ import annotations

import sys
from collections.abc import Iterator
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

from cdrkit._ingest import Progress as ProgressCallback
from cdrkit._text import visible

__all__ = ["complain", "progress", "say", "show", "tell"]

_UNWATCHED_WIDTH: Final = 200

_out = Console(width=None if sys.stdout.isatty() else _UNWATCHED_WIDTH)
_err = Console(stderr=True)


@contextmanager
def progress(what: str, *, rows: bool = False) -> Iterator[ProgressCallback]:
    """Show a bar on standard error while a terminal watches; it counts bytes, or rows."""
    amount = MofNCompleteColumn() if rows else DownloadColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=_err, transient=True, disable=not _err.is_terminal) as bar:
        task = bar.add_task(escape(what), total=None)

        def advance(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield advance


def show(rows: list[dict[str, str]], caption: str) -> None:
    """Print rows as a table, and a caption below."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold underline")
    for name in rows[0] if rows else ():
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row.values()))  # Text: what is in a cell is no markup
    if rows:
        _out.print(table)
    tell(caption)


def tell(text: str) -> None:
    """Print a line as it is: paths stay whole, and nothing in it is markup."""
    _out.print(Text("\n".join(map(visible, text.split("\n")))), soft_wrap=True)


def say(title: str) -> None:
    """Print a heading."""
    _out.print()
    _out.print(Text(title, style="bold"))


def complain(text: str) -> None:
    """Print an error on standard error."""
    _err.print(Text(f"cdrkit: {visible(text)}", style="bold red"), soft_wrap=True)
