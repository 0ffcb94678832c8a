"""Render rows, labelled values and reports as HTML tables for notebooks."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from cdrkit._text.sanitize import sanitize_text

__all__ = ["escape_html", "html_facts", "html_report", "html_table"]

_MAX_ROWS: Final = 100
_MAX_ITEMS: Final = 5
# The longest text of a cell.
_MAX_CHARACTERS: Final = 160
# The tables set no colours: the notebook's own colours serve light and dark themes alike.
_LEFT: Final = ' style="text-align: left"'


def html_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", note: str = ""
) -> str:
    """Render rows of text as an HTML table in the style of a data frame.

    Args:
        columns: The column headings.
        rows: The cell texts, row by row. The table shows the first 100 rows; if rows are left out, the note states the
            total.
        title: A line above the table.
        note: A line below the table.

    Returns:
        An HTML fragment. All text is escaped, and a cell shows at most 160 characters.
    """
    every = list(rows)
    shown = every[:_MAX_ROWS]
    if len(every) > len(shown):
        note = f"{len(shown):,} of {len(every):,} rows. {note}".rstrip()
    head = "".join(f'<th scope="col"{_LEFT}>{escape_html(name)}</th>' for name in columns)
    body = "".join(
        f"<tr>{''.join(f'<td{_LEFT}>{escape_html(cell)}</td>' for cell in row)}</tr>" for row in shown
    )
    table = f'<table class="dataframe"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return (
        f'<div style="overflow-x: auto">{_paragraph(title, "strong")}{table}{_paragraph(note, "small")}</div>'
    )


def html_facts(title: str, facts: Mapping[str, object], *, note: str = "") -> str:
    """Render labels and values as an HTML table with one row per label.

    Args:
        title: A line above the table.
        facts: The values by label. A list or a mapping shows its first five items, one item per line.
        note: A line below the table.

    Returns:
        An HTML fragment in which all text is escaped.
    """
    lines = "".join(
        f'<tr><th scope="row"{_LEFT}>{escape_html(name)}</th><td{_LEFT}>{_cell(value)}</td></tr>'
        for name, value in facts.items()
    )
    table = f'<table class="dataframe"><tbody>{lines}</tbody></table>'
    return (
        f'<div style="overflow-x: auto">{_paragraph(title, "strong")}{table}{_paragraph(note, "small")}</div>'
    )


def html_report(report: attrs.AttrsInstance, *names: str) -> str:
    """Render attributes of a report as an HTML table with one row per attribute.

    Args:
        report: An attrs object; its class name becomes the title.
        names: The attributes to show, in this order; by default, every attribute of the class.

    Returns:
        An HTML fragment, as `html_facts` returns it.
    """
    chosen = names or tuple(attribute.name for attribute in attrs.fields(type(report)))
    facts = {name.replace("_", " ").capitalize(): getattr(report, name) for name in chosen}
    return html_facts(type(report).__name__, facts)


def _paragraph(text: str, tag: str) -> str:
    return f"<div><{tag}>{escape_html(text, 1_000)}</{tag}></div>" if text else ""


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return escape_html(value.isoformat(" ", "seconds"))
    if isinstance(value, Mapping):
        value = tuple(f"{key} {amount}" for key, amount in value.items())
    if isinstance(value, (tuple, list)):
        if not value:
            return "none"
        more = len(value) - _MAX_ITEMS
        lines = [escape_html(str(item)) for item in value[:_MAX_ITEMS]]
        return "<br>".join([*lines, f"… and {more:,} more"] if more > 0 else lines)
    return escape_html("" if value is None else str(value))


def escape_html(text: str, max_characters: int = _MAX_CHARACTERS) -> str:
    """Sanitise and escape *text* for HTML, and shorten long text.

    Args:
        text: Untrusted text.
        max_characters: The greatest number of characters to show. A longer text ends with ``…``.

    Returns:
        Text for an element or a quoted attribute of an HTML page. Lone surrogates become ``?``.

    Example:
        >>> escape_html("<b>Bob</b>")
        '&lt;b&gt;Bob&lt;/b&gt;'
    """
    cut = text if len(text) <= max_characters else text[: max_characters - 1] + "…"
    return html.escape(sanitize_text(cut).encode("utf-8", "replace").decode())
