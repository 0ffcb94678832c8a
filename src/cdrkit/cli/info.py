"""The info command: show a store's size and age, and the maintenance that is due."""

from __future__ import annotations

import click

from cdrkit.cli.options import command_text, keep_option, open_existing, store_argument
from cdrkit.cli.terminal import print_json_lines, print_text

__all__ = ["show_info"]


@click.command("info")
@store_argument
@keep_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show_info(store: str, keep: int, as_json: bool) -> None:
    """Show STORE's size and age, and the maintenance that is due.

    The command shows each tier's calls, bytes and segments, the first and last call, the last append, and the
    maintenance that is due. Give the same --keep as to maintain.
    """
    opened = open_existing(store)
    status = opened.maintenance.status(keep)
    if as_json:
        print_json_lines([{"store": store, "region": opened.region, **status.to_dict()}])
    else:
        print_text(f"Store: {store}\nRegion: {opened.region or 'none'}\n{command_text(str(status))}")
