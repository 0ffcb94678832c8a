"""The commands that read calls: query, export and totals."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

import click

import cdrkit
from cdrkit._text import format_count
from cdrkit.cli.options import build_query, filter_options, open_existing, store_argument, timezone_option
from cdrkit.cli.terminal import print_json_lines, print_note, print_table, print_text

__all__ = ["export_calls", "print_totals", "query_calls", "show_totals"]

_COLUMNS: Final = ("start", "source", "destination", "duration", "disposition")

_columns_option = click.option("--columns", metavar="NAMES", help="Field names, separated by commas.")


@click.command("query")
@store_argument
@filter_options
@timezone_option
@_columns_option
@click.option(
    "--order",
    metavar="NAMES",
    default="-start",
    show_default=True,
    help="Field names, separated by commas. A - before a name sorts in descending order.",
)
@click.option("--limit", default=20, show_default=True, metavar="N", help="The number of calls per page.")
@click.option("--cursor", metavar="CURSOR", help="Continue after an earlier page.")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object per line, with all fields or those of --columns."
)
def query_calls(
    store: str,
    timezone: str,
    columns: str | None,
    order: str,
    limit: int,
    cursor: str | None,
    as_json: bool,
    **filters: Any,
) -> None:
    """Show calls of STORE as a table or as JSON.

    The newest calls come first unless --order is given.
    """
    opened = open_existing(store)
    chosen = columns or ("" if as_json else ",".join(_COLUMNS))
    query = build_query(timezone, {**filters, "columns": chosen, "order": order, "cursor": cursor})
    result = opened.run(query).in_timezone(timezone)
    page = result.page(limit)
    if as_json:
        print_json_lines(_json_records(page))
    else:
        rows = page.rows(labels=True)
        total = opened.count(cdrkit.Query(query.conditions, query.presets, query.period))
        print_table(rows, f"{len(rows):,} of {format_count(total, 'call')}, times in {timezone}")
    print_hint = print_note if as_json else print_text
    for title, page_cursor in (("next", page.next_cursor), ("previous", page.previous_cursor)):
        if page_cursor is not None:
            print_hint(f"{title} page: --cursor {page_cursor}")


def _json_records(page: cdrkit.Page) -> Iterator[Mapping[str, object]]:
    for record in page.records:
        values = record.to_dict()
        yield {name: values[name] for name in page.columns if name in values}


@click.command("export")
@store_argument
@click.argument("dest", metavar="DEST")
@filter_options
@timezone_option
@_columns_option
@click.option("--labels", is_flag=True, help="Write labels instead of field names in the first line.")
@click.option(
    "--no-guard",
    is_flag=True,
    help="Do not escape text that a spreadsheet would read as a formula. Use this for other programs.",
)
def export_calls(
    store: str, dest: str, timezone: str, columns: str | None, labels: bool, no_guard: bool, **filters: Any
) -> None:
    """Write calls of STORE to DEST as CSV.

    Instants are in UTC. DEST ends in .csv, .csv.gz or .csv.zst, or has no suffix. Use - for
    standard output.
    """
    result = open_existing(store).run(build_query(timezone, {**filters, "columns": columns}))
    headers: Any = "labels" if labels else "names"
    if dest == "-":
        result.write_csv(sys.stdout.buffer, guard=not no_guard, headers=headers)
        return
    count = result.write_csv(dest, guard=not no_guard, headers=headers)
    print_text(f"{format_count(count, 'call')} written to {dest}")


@click.command("totals")
@store_argument
@filter_options
@timezone_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object per day.")
def show_totals(store: str, timezone: str, as_json: bool, **filters: Any) -> None:
    """Show totals of STORE per UTC day.

    --timezone applies only to dates in filters.
    """
    totals = open_existing(store).daily_totals(build_query(timezone, filters))
    if as_json:
        print_json_lines(_json_totals(totals))
    else:
        print_totals(totals)


def _json_totals(totals: cdrkit.DailyTotals) -> Iterator[Mapping[str, object]]:
    for total in totals:
        yield {
            "day": total.day.isoformat(),
            "attempts": total.attempts,
            "connected": total.connected,
            "duration": total.duration,
            "billed_duration": total.billed_duration,
            "asr": total.asr,
            "acd": total.acd,
            "charges": {currency: str(amount) for currency, amount in total.charges.items()},
        }


def print_totals(totals: cdrkit.DailyTotals) -> None:
    """Print daily totals as a table."""
    rows: list[dict[str, str]] = []
    for total in totals:
        charges = ", ".join(
            f"{amount.normalize():,f} {currency}" for currency, amount in total.charges.items()
        )
        rows.append(
            {
                "Day (UTC)": str(total.day),
                "Attempts": f"{total.attempts:,}",
                "Connected": f"{total.connected:,}",
                "ASR %": "" if total.asr is None else f"{total.asr:.1f}",
                "ACD s": "" if total.acd is None else f"{total.acd:.1f}",
                "Duration s": f"{total.duration:,}",
                "Charge": charges,
            }
        )
    print_table(rows, format_count(len(rows), "day"))
