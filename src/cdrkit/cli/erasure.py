"""The erasure commands, which permanently erase calls: erase and expire."""

from __future__ import annotations

from typing import Any

import click

import cdrkit
from cdrkit.cli.options import (
    build_query,
    filter_options,
    open_existing,
    really_option,
    store_argument,
    timezone_option,
)
from cdrkit.cli.terminal import print_text

__all__ = ["erase", "expire"]


@click.command("erase")
@store_argument
@filter_options
@timezone_option
@click.option("--reason", required=True, help="The reason to record in the log.")
@really_option
def erase(store: str, timezone: str, reason: str, dry_run: bool, **filters: Any) -> None:
    """Permanently erase calls from both tiers.

    Without --really, the command only counts the calls.
    """
    query = build_query(timezone, filters)
    _print_report(open_existing(store).erase(query, reason=reason, dry_run=dry_run), dry_run)


@click.command("expire")
@store_argument
@click.argument("before", metavar="BEFORE")
@click.option("--customer", multiple=True, metavar="ID", help="Erase only these customers' calls.")
@really_option
def expire(store: str, before: str, customer: tuple[str, ...], dry_run: bool) -> None:
    """Erase calls that began before a time.

    BEFORE is ISO 8601 text in UTC, exclusive. Without --really, the command only counts the calls.
    """
    _print_report(open_existing(store).expire(before, *customer, dry_run=dry_run), dry_run)


def _print_report(report: cdrkit.EraseReport, dry_run: bool) -> None:
    print_text(f"{report} Add --really to erase them." if dry_run else str(report))
