"""The demo command: generate sample calls, and demonstrate the main tasks."""

from __future__ import annotations

import os
import sys
import tempfile
import time

import click

import cdrkit
from cdrkit.cli.query import print_totals
from cdrkit.cli.terminal import print_heading, print_table, print_text, progress_bar

__all__ = ["demo"]


@click.command("demo")
@click.argument("folder", required=False)
@click.option("--calls", default=3000, show_default=True, help="The number of sample calls.")
@click.option("--timezone", default="Europe/London", show_default=True, help="The time zone of the office.")
@click.option("--seed", default=1, show_default=True, help="Equal seeds generate equal calls.")
def demo(folder: str | None, calls: int, timezone: str, seed: int) -> None:
    """Demonstrate the main tasks on sample calls.

    The command creates a sample office's calls, recordings and store in FOLDER, by default a temporary folder.
    """
    home = os.path.abspath(folder) if folder else tempfile.mkdtemp(prefix="cdrkit-demo-")
    path = os.path.join(home, "store")
    if os.path.exists(path):
        raise click.UsageError(f"{home} holds an earlier demo. Give another folder, or remove this folder.")
    print_heading("1. A sample office: its switch's CDR file and its recordings")
    office = cdrkit.samples.write_office(home, calls=calls, timezone=timezone, seed=seed)
    print_text(f"{office.calls:,} calls in {office.master}")

    print_heading(f"2. Ingest: Asterisk's local times ({timezone}) become UTC; a second time adds nothing")
    store = cdrkit.open_store(path, region="GB", recordings=os.path.join(office.recordings, "{recording}"))
    for _ in range(2):
        _ingest_office(store, office, timezone)

    print_heading(f"3. The newest connected calls, times shown in {timezone}")
    connected = (
        cdrkit.Query().connected().newest_first().columns("start", "source", "destination", "duration")
    )
    page = store.run(connected).in_timezone(timezone).page(10)
    print_table(page.rows(labels=True), f"10 of {store.count(connected):,} calls")

    print_heading("4. Totals per UTC day")
    print_totals(store.daily_totals(cdrkit.Query().during("last_7_days")))

    print_heading(f"5. One number, typed in national form: {office.number}")
    _print_notations(store, office.number)

    print_heading("6. CSV, always in UTC")
    csv = os.path.join(home, "connected-last-7-days.csv")
    count = store.run(cdrkit.Query().connected().during("last_7_days", timezone)).write_csv(csv)
    print_text(f"{count:,} calls in {csv}")

    print_heading("7. A recording")
    (call,) = store.run(cdrkit.Query().has_recording().connected().newest_first().limit(1))
    recording = store.recording(call)
    copy = recording.download(os.path.join(home, "recording.wav"), overwrite=True)
    print_text(f"call {call.call_id}: {recording.duration:.1f} s of {recording.format}, copied to {copy}")

    print_heading("All files")
    for title, location in (
        ("store", path),
        ("switch's file", office.master),
        ("recordings", office.recordings),
        ("CSV", csv),
        ("recording", copy),
    ):
        print_text(f"  {title:14} {location}")
    command = sys.argv[0] if os.path.basename(sys.argv[0]) == "cdrkit" else "cdrkit"
    print_text(f"Query the store: {command} query {path} --number '{office.number}'")


def _ingest_office(store: cdrkit.Store, office: cdrkit.samples.Office, timezone: str) -> None:
    begin = time.perf_counter()
    with progress_bar("Master.csv") as report_progress:
        report = store.ingest(
            office.master,
            format="asterisk-csv",
            timezone=timezone,
            recording_column="userfield",
            customer_column="accountcode",
            progress=report_progress,
        )
    print_text(f"{report} [{time.perf_counter() - begin:.2f} s]")


def _print_notations(store: cdrkit.Store, number: str) -> None:
    """Print each notation of *number* that occurs in the calls."""
    query = cdrkit.Query()
    notations = {call.source for call in store.run(query.number(number, "source"))}
    notations |= {call.destination for call in store.run(query.number(number, "destination"))}
    print_text(
        f"{store.count(query.number(number)):,} calls, written as: {', '.join(sorted(map(str, notations)))}"
    )
