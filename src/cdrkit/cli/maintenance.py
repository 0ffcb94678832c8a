"""The maintenance commands: move-to-warm, compact, vacuum, verify, rebuild-log."""

from __future__ import annotations

from typing import Final

import click

from cdrkit._text import format_count
from cdrkit.cli.options import (
    command_text,
    dry_run_option,
    keep_option,
    open_existing,
    open_store_argument,
    region_option,
    store_argument,
)
from cdrkit.cli.terminal import print_text
from cdrkit.errors import CorruptDataError

__all__ = ["compact", "maintain", "move_to_warm", "rebuild_log", "vacuum", "verify"]

_PROBLEMS: Final = 4  # the exit status of verify


@click.command("move-to-warm")
@store_argument
@keep_option
@dry_run_option
def move_to_warm(store: str, keep: int, dry_run: bool) -> None:
    """Move whole months to the warm tier.

    A UTC month moves when it ended more than --keep calendar months ago.
    """
    print_text(command_text(str(open_existing(store).maintenance.move_to_warm(keep, dry_run=dry_run))))


@click.command("compact")
@store_argument
@dry_run_option
def compact(store: str, dry_run: bool) -> None:
    """Merge small hot segments."""
    print_text(command_text(str(open_existing(store).maintenance.compact(dry_run=dry_run))))


@click.command("vacuum")
@store_argument
@dry_run_option
def vacuum(store: str, dry_run: bool) -> None:
    """Remove files that no reader needs."""
    print_text(command_text(str(open_existing(store).maintenance.vacuum(dry_run=dry_run))))


@click.command("maintain")
@store_argument
@keep_option
def maintain(store: str, keep: int) -> None:
    """Run all maintenance that is due.

    The command runs move-to-warm, compact and vacuum. Run it from a daily timer.
    """
    reports = open_existing(store).maintenance.run(keep)
    for job, report in zip(("move to warm", "compaction", "vacuum"), reports, strict=True):
        print_text(f"{job}: {command_text(str(report))}")


@click.command("verify")
@store_argument
def verify(store: str) -> None:
    """Read and check every byte of STORE.

    The exit status is 4 if the verification finds a problem.
    """
    opened = open_store_argument(store)
    try:
        exists = opened.exists
    except CorruptDataError:  # the report names this damage and all other
        exists = True
    report = opened.maintenance.verify()
    if report.ok and not exists:
        open_existing(store)  # raises the error of a missing store
    print_text(command_text(str(report)))
    if not report.ok:
        raise click.exceptions.Exit(_PROBLEMS)


@click.command("rebuild-log")
@store_argument
@region_option
def rebuild_log(store: str, region: str | None) -> None:
    """Make a new log from the segments.

    Use this command after the log was lost, and give the store's --region. Without --region, the new log has no region.
    To change the region of a store, stop all processes that use it. Run vacuum more than an hour after the last job.
    Move the folder STORE/hot/_log away (with --warm: STORE/_log), run this command with the new --region, and run
    compact.
    """
    count = open_store_argument(store, region=region).maintenance.rebuild_log()
    region_text = "no region" if region is None else f"the region {region}"
    print_text(f"The new log has {format_count(count, 'call')} and {region_text}. Run cdrkit verify now.")
