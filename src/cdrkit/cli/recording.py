"""The recording command: describe and copy a recording."""

from __future__ import annotations

import os

import click

import cdrkit
from cdrkit.cli.options import open_existing, store_argument
from cdrkit.cli.terminal import print_text
from cdrkit.errors import NotFoundError

__all__ = ["copy_recording"]


@click.command("recording")
@store_argument
@click.argument("call_id")
@click.argument("dest", required=False)
@click.option(
    "--recordings",
    required=True,
    metavar="TEMPLATE",
    help="The location of recordings: /var/spool/.../{recording}",
)
@click.option("--overwrite", is_flag=True, help="Replace DEST if it exists.")
def copy_recording(store: str, call_id: str, dest: str | None, recordings: str, overwrite: bool) -> None:
    """Describe a recording, and copy it to DEST."""
    opened = open_existing(store, recordings=recordings)
    calls = list(opened.run(cdrkit.Query().where(cdrkit.field("call_id") == call_id).limit(2)))
    if len(calls) != 1:
        raise NotFoundError(f"{'No call has' if not calls else 'Several calls have'} the id {call_id!r}.")
    recording = opened.recording(calls[0])
    length = "length unknown" if recording.duration is None else f"{recording.duration:.1f} s"
    print_text(
        f"{recording.location}: {recording.format or 'unknown format'}, {length}, {recording.size_bytes:,} bytes"
    )
    if dest is not None:
        if not overwrite and os.path.isfile(dest):
            raise click.UsageError(f"{dest} already exists. Add --overwrite to replace it.")
        print_text(f"copied to {recording.download(dest, overwrite=overwrite)}")
