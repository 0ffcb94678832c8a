"""The archive commands: list the months of the warm tier, and download a month."""

from __future__ import annotations

from typing import Any

import click

from cdrkit._text import format_count
from cdrkit.cli.options import open_existing, store_argument
from cdrkit.cli.terminal import print_table, print_text, progress_bar

__all__ = ["download_month", "list_months"]


@click.command("months")
@store_argument
def list_months(store: str) -> None:
    """List the months of the warm tier."""
    rows = [
        {
            "Month": month.month,
            "Items": f"{month.items:,}",
            "Rows": f"{month.rows:,}",
            "Bytes": f"{month.size_bytes:,}",
        }
        for month in open_existing(store).archive.months()
    ]
    print_table(rows, f"{format_count(len(rows), 'month')} in the warm tier")


@click.command("download")
@store_argument
@click.argument("month")
@click.argument("dest")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["parquet", "csv.gz", "csv.zst"]),
    default="parquet",
    show_default=True,
    help="parquet: DEST is a folder. csv.gz, csv.zst: DEST is a file.",
)
def download_month(store: str, month: str, dest: str, format_: Any) -> None:
    """Download a month of the warm tier to DEST.

    Write MONTH as 2026-08. Run the command again to continue an interrupted download.
    """
    with progress_bar(month, rows=True) as report_progress:
        open_existing(store).archive.download(month, dest, format=format_, progress=report_progress)
    print_text(f"{month} is in {dest}")
