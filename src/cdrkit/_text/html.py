"""Text that strangers wrote, made safe for eyes: on a terminal, and in the HTML tables that notebooks show.

Callers choose their names and switches write what they like, so nothing is shown as it came.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import attrs

__all__ = ["escaped", "html_facts", "html_report", "html_table", "visible"]

# A control character could drive a terminal, a bidi mark could reorder digits, and a line separator or a byte order
# mark has no business in a cell.
_STEERING: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_LONGEST: Final = 160
_MOST_ROWS: Final = 100
_MOST_ITEMS: Final = 5
# No colour: the notebook's own serve light and dark alike.
_LEFT: Final = ' style="text-align: left"'


def visible(text: str) -> str:
    """Return *text* with what would steer a terminal, or reverse what is read, shown as U+FFFD."""
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text)


def escaped(text: str, longest: int = _LONGEST) -> str:
    """Return *text* as HTML shows it, character by character, cut when it has more than *longest* of them."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    return html.escape(visible(cut).encode("utf-8", "replace").decode())


def html_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", note: str = ""
) -> str:
    """Return a table as a notebook shows data frames: at most 100 rows, cells of bounded length.

    Args:
        columns: The heads of the columns.
        rows: Their texts; what is more than 100 is counted, not shown.
        title: Stands above the table.
        note: Stands below it.
    """
    every = list(rows)
    shown = every[:_MOST_ROWS]
    if len(every) > len(shown):
        note = f"{len(shown):,} of {len(every):,} rows. {note}".rstrip()
    head = "".join(f'<th scope="col"{_LEFT}>{escaped(name)}</th>' for name in columns)
    body = "".join(f"<tr>{''.join(f'<td{_LEFT}>{escaped(cell)}</td>' for cell in row)}</tr>" for row in shown)
    table = f'<table class="dataframe"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return (
        f'<div style="overflow-x: auto">{_paragraph(title, "strong")}{table}{_paragraph(note, "small")}</div>'
    )


def html_facts(title: str, facts: Mapping[str, object], *, note: str = "") -> str:
    """Return what is known of one thing: a line a fact; texts one below the other, five at most."""
    lines = "".join(
        f'<tr><th scope="row"{_LEFT}>{escaped(name)}</th><td{_LEFT}>{_fact(value)}</td></tr>'
        for name, value in facts.items()
    )
    table = f'<table class="dataframe"><tbody>{lines}</tbody></table>'
    return (
        f'<div style="overflow-x: auto">{_paragraph(title, "strong")}{table}{_paragraph(note, "small")}</div>'
    )


def html_report(report: attrs.AttrsInstance, *names: str) -> str:
    """Return a report's attributes as facts: those that are named, else all that it is made of."""
    chosen = names or tuple(attribute.name for attribute in attrs.fields(type(report)))
    facts = {name.replace("_", " ").capitalize(): getattr(report, name) for name in chosen}
    return html_facts(type(report).__name__, facts)


def _paragraph(text: str, tag: str) -> str:
    return f"<div><{tag}>{escaped(text, 1_000)}</{tag}></div>" if text else ""


def _fact(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return escaped(value.isoformat(" ", "seconds"))
    if isinstance(value, Mapping):
        value = tuple(f"{key} {amount}" for key, amount in value.items())
    if isinstance(value, (tuple, list)):
        if not value:
            return "none"
        more = len(value) - _MOST_ITEMS
        lines = [escaped(str(item)) for item in value[:_MOST_ITEMS]]
        return "<br>".join([*lines, f"… and {more:,} more"] if more > 0 else lines)
    return escaped("" if value is None else str(value))
