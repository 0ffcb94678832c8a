"""The commands that read switch files: ingest and detect."""

from __future__ import annotations

import os
from typing import Any

import click

import cdrkit
from cdrkit.cli.options import command_text, open_store_argument, region_option, store_argument
from cdrkit.cli.terminal import print_text, progress_bar

__all__ = ["detect_formats", "ingest_files"]

_REJECTED = 3  # the exit status of an ingest that rejected rows


class _FormatOption(click.Option):
    """The option --format, whose help lists the formats.

    Listing the formats imports the sources.
    """

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        names = ", ".join(cdrkit.sources.available())
        self.help = f"One of: {names}. The default is the format that fits the file, if only one fits."
        return super().get_help_record(ctx)


@click.command("ingest")
@store_argument
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--format", "format_", cls=_FormatOption, metavar="NAME")
@click.option("--timezone", metavar="ZONE", help="IANA name of the switch's time zone, for local times.")
@region_option
@click.option("--replace", is_flag=True, help="Replace a call's older content with newer content.")
@click.option("--rejects", metavar="FILE", help="Write the rejected rows to this CSV file.")
@click.option(
    "--option", "-o", "options", multiple=True, metavar="NAME=VALUE", help="An option of the format."
)
@click.option("--follow", is_flag=True, help="Keep running, and store new lines of FILE as they appear.")
@click.option(
    "--poll",
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="With --follow: the time between reads.",
)
def ingest_files(
    store: str,
    files: tuple[str, ...],
    format_: str | None,
    timezone: str | None,
    region: str | None,
    replace: bool,
    rejects: str | None,
    options: tuple[str, ...],
    follow: bool,
    poll: float,
) -> None:
    """Read a switch's files into STORE.

    STORE is a folder or URL, which is created if it does not exist. FILE is a path, a URL, a glob, a folder or an
    archive, and may be compressed. The exit status is 3 if rows were rejected.
    """
    opened = open_store_argument(store, region=region)
    settings: dict[str, Any] = dict(map(_parse_option, options))
    settings["on_conflict"] = "replace" if replace else "report"
    if timezone is not None:
        settings["timezone"] = timezone
    if follow:
        if len(files) != 1 or rejects is not None:
            raise click.UsageError("--follow works with exactly one FILE and without --rejects.")
        for report in opened.follow(
            files[0], format=format_ or _print_format(files[0]), poll=poll, **settings
        ):
            print_text(command_text(str(report)))
        return
    rejected = 0
    for number, file in enumerate(files):
        with progress_bar(os.path.basename(file)) as report_progress:
            report = opened.ingest(
                file, format=format_ or _print_format(file), progress=report_progress, **settings
            )
        print_text(command_text(str(report)))
        rejected += report.rejected
        if rejects is not None and report.rejected:
            target = rejects if len(files) == 1 else f"{rejects}.{number + 1}"
            report.write_rejects(target)
            print_text(f"  rejected rows written to {target}")
    if rejected:
        raise click.exceptions.Exit(_REJECTED)


def _print_format(file: str) -> str:
    """Detect a file's format, print the format, and return it."""
    detected = cdrkit.sources.detect(file)
    print_text(f"{file}: {detected.format} ({detected.reason})")
    return detected.format


def _parse_option(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"-o {text} is not valid. Write -o NAME=VALUE.")
    return name.replace("-", "_"), {"true": True, "false": False}.get(value.lower(), value)


@click.command("detect")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
def detect_formats(files: tuple[str, ...]) -> None:
    """Show the format of each FILE, and why cdrkit detected this format."""
    for file in files:
        _print_format(file)
