"""The command that shows the size, the age and the due work of a store."""

from __future__ import annotations

import click

from cdrkit.cli.options import command_text, open_existing, store_argument
from cdrkit.cli.terminal import print_json_lines, print_text

__all__ = ["show_info"]


@click.command("info")
@store_argument
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show_info(store: str, as_json: bool) -> None:
    """Show size, age and due work of STORE.

    Calls, bytes and segments of each tier, the first and the last call, the last append, and the maintenance that is
    due.
    """
    opened = open_existing(store)
    status = opened.maintenance.status()
    if as_json:
        print_json_lines([{"store": store, "region": opened.region, **status.to_dict()}])
    else:
        print_text(f"Store: {store}\nRegion: {opened.region or 'none'}\n{command_text(str(status))}")
