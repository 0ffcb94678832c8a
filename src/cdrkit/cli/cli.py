"""The command line ``cdrkit`` (extra ``cli``): from ingest and query to the keeping of both tiers, and a demo."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, Final

from cdrkit.errors import CdrError, CorruptDataError, NotFoundError, missing_extra

try:
    import click

    from cdrkit.cli.terminal import complain, progress, say, show, tell
except ImportError as _missing:
    raise SystemExit(str(missing_extra("The command line", "cli"))) from _missing

from cdrkit._query import Query, field
from cdrkit._store import Store, open_store
from cdrkit.reports import DailyTotals
from cdrkit.samples import write_office
from cdrkit.sources import available, detect

__all__ = ["main"]

_COLUMNS: Final = ("start", "source", "destination", "duration", "disposition")


def main() -> None:
    """Run the command line; an error of cdrkit's is one line on standard error and exit status 1."""
    try:
        status = cli.main(standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except CdrError as exc:
        complain(str(exc))
        sys.exit(1)
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:  # `cdrkit query … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cdrkit")
@click.option(
    "--warm", metavar="URL", envvar="CDRKIT_WARM", help="The warm tier, where it lies apart from STORE."
)
@click.pass_context
def cli(context: click.Context, warm: str | None) -> None:
    """Store, ask, show and export telephone call detail records."""
    context.obj = warm


def _opened(store: str, **options: Any) -> Store:
    """Open STORE: one folder; or its hot tier, when the warm one lies apart."""
    warm: str | None = click.get_current_context().obj
    return open_store(store, **options) if warm is None else open_store(hot=store, warm=warm, **options)


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which calls are wanted; they are gathered into the command's ``query``."""
    options = [
        click.option("--connected", is_flag=True, help="Connected calls only."),
        click.option("--during", metavar="PRESET", help="today, last_7_days, this_month, ..."),
        click.option(
            "--start", metavar="TIME", help="At or after (ISO 8601; local to --timezone without an offset)."
        ),
        click.option("--end", metavar="TIME", help="Before."),
        click.option(
            "--number",
            multiple=True,
            metavar="NUMBER",
            help="However written; * at an end: any.",
        ),
        click.option(
            "--role", type=click.Choice(["source", "destination", "either"]), help="Where to look for it."
        ),
        click.option(
            "--match", type=click.Choice(["exact", "prefix", "suffix", "contains"]), help="How to compare it."
        ),
        click.option("--did", multiple=True, metavar="NUMBER", help="Came in on this DID."),
        click.option("--customer", multiple=True, metavar="ID"),
        click.option("--provider", multiple=True, metavar="ID"),
        click.option("--direction", multiple=True, metavar="WORD", help="inbound, outbound, internal."),
        click.option("--disposition", multiple=True, metavar="WORD", help="answered, busy, no_answer, ..."),
        click.option("--switch", multiple=True, metavar="NAME"),
        click.option("--min-duration", metavar="SECONDS"),
        click.option("--max-duration", metavar="SECONDS"),
        click.option("--recorded", "recording", is_flag=True, help="Calls that name a recording."),
        click.option("--where", multiple=True, metavar="JSON", help="A condition in the query format."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


_timezone = click.option(
    "--timezone", default="UTC", show_default=True, metavar="ZONE", help="IANA name; for days and eyes."
)
_region = click.option("--region", metavar="CODE", help="Region of numbers in national form (GB, US, ...).")
_store_argument = click.argument("store", metavar="STORE")


def _query(timezone: str, given: dict[str, Any]) -> Query:
    pairs: list[tuple[str, str]] = [("timezone", timezone)]
    for name, value in given.items():
        if value is True:
            pairs.append((name, "1"))
        elif isinstance(value, tuple):
            pairs += [(name, item) for item in value]
        elif value:
            pairs.append((name, str(value)))
    return Query.from_params(pairs)


def _existing(store: str, **options: Any) -> Store:
    """Open a store that is to be read: a misspelt name is not an empty store, and neither is one without its log."""
    opened = _opened(store, **options)
    if not opened.exists:
        for problem in opened.maintenance.verify().problems:
            raise NotFoundError(problem, url=store)
        raise _no_store(store)
    return opened


def _no_store(store: str) -> NotFoundError:
    return NotFoundError(
        f"There is no store at {store!r}; make one with: cdrkit ingest {store} FILE ...", url=store
    )


@cli.command()
@_store_argument
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--format",
    "format_",
    metavar="NAME",
    help="One of: " + ", ".join(available()) + ". Without it, the one that fits, when exactly one does.",
)
@click.option(
    "--timezone", metavar="ZONE", help="IANA name of the zone that the switch writes local times in."
)
@_region
@click.option("--replace", is_flag=True, help="Let newer content take the place of older.")
@click.option("--rejects", metavar="FILE", help="Write rows that cannot be taken to this CSV.")
@click.option(
    "--option", "-o", "options", multiple=True, metavar="NAME=VALUE", help="An option of the format."
)
@click.option("--follow", is_flag=True, help="Go on for ever: take new lines of the one FILE as they come.")
@click.option(
    "--poll", default=1.0, show_default=True, metavar="SECONDS", help="With --follow: between two looks."
)
def ingest(
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
    """Read a switch's files into STORE (a folder or URL, made when it is not there).

    FILE is a path, a URL, a glob, a folder or an archive; it may be compressed.
    """
    opened = _opened(store, region=region)
    settings: dict[str, Any] = dict(_option(text) for text in options)
    if timezone is not None:
        settings["timezone"] = timezone
    if follow:
        if len(files) != 1 or rejects is not None:
            raise click.UsageError("--follow takes one FILE, and no --rejects.")
        settings |= {
            "format": format_ or _detected(files[0]),
            "on_conflict": "replace" if replace else "report",
        }
        for report in opened.follow(files[0], poll=poll, **settings):
            tell(str(report))
        return
    refused = 0
    for number, file in enumerate(files):
        with progress(os.path.basename(file)) as report_progress:
            report = opened.ingest(
                file,
                format=format_ or _detected(file),
                on_conflict="replace" if replace else "report",
                progress=report_progress,
                **settings,
            )
        tell(str(report))
        refused += report.rejected
        if rejects is not None and report.rejected:
            target = rejects if len(files) == 1 else f"{rejects}.{number + 1}"
            report.write_rejects(target)
            tell(f"  rejects are in {target}")
    if opened.region is None:
        tell(
            "note: without --region, numbers in national form are not recognised as such; it is settled for this store"
        )
    if refused:
        raise click.exceptions.Exit(3)


def _detected(file: str) -> str:
    """Return the one format that fits, and say so."""
    found = detect(file)
    tell(f"{file}: {found.format} ({found.reason})")
    return found.format


@cli.command("detect")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
def detect_(files: tuple[str, ...]) -> None:
    """Say which format each FILE is in, and why."""
    for file in files:
        _detected(file)


def _option(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"-o {text}: write NAME=VALUE.")
    return name.replace("-", "_"), {"true": True, "false": False}.get(value.lower(), value)


@cli.command()
@_store_argument
@_filters
@_timezone
@click.option("--columns", metavar="NAMES", help="Field names with commas between.")
@click.option(
    "--order",
    metavar="NAMES",
    default="-start",
    show_default=True,
    help="Field names; - in front: descending.",
)
@click.option("--limit", default=20, show_default=True, metavar="N")
@click.option("--cursor", metavar="CURSOR", help="Go on where an earlier page ended.")
def query(
    store: str, timezone: str, columns: str | None, order: str, limit: int, cursor: str | None, **given: Any
) -> None:
    """Show calls of STORE as a table, newest first."""
    opened = _existing(store)
    wanted = _query(
        timezone, {**given, "columns": columns or ",".join(_COLUMNS), "order": order, "cursor": cursor}
    )
    page = opened.run(wanted).in_timezone(timezone).page(limit)
    rows = page.rows(labels=True)
    total = opened.count(Query(wanted.conditions, wanted.presets, wanted.period))
    show(rows, f"{len(rows):,} of {total:,} calls, times in {timezone}")
    if page.next_cursor is not None:
        tell(f"next page: --cursor {page.next_cursor}")


@cli.command()
@_store_argument
@click.argument("dest", metavar="DEST")
@_filters
@_timezone
@click.option("--columns", metavar="NAMES", help="Field names with commas between.")
@click.option("--labels", is_flag=True, help="Labels instead of field names in the first line.")
@click.option("--no-guard", is_flag=True, help="For machines: leave text alone that a spreadsheet could run.")
def export(
    store: str, dest: str, timezone: str, columns: str | None, labels: bool, no_guard: bool, **given: Any
) -> None:
    """Write calls of STORE to DEST as CSV, always in UTC; DEST may end in .gz or .zst, or be - for standard output."""
    result = _existing(store).run(_query(timezone, {**given, "columns": columns}))
    headers: Any = "labels" if labels else "names"
    if dest == "-":
        result.write_csv(sys.stdout.buffer, guard=not no_guard, headers=headers)
        return
    written = result.write_csv(dest, guard=not no_guard, headers=headers)
    tell(f"{written:,} calls written to {dest}")


@cli.command()
@_store_argument
@_filters
@_timezone
def totals(store: str, timezone: str, **given: Any) -> None:
    """Show totals of STORE per UTC day; --timezone is that of the filters' dates."""
    _show_totals(_existing(store).daily_totals(_query(timezone, given)))


def _show_totals(totals: DailyTotals) -> None:
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
    show(rows, f"{len(rows)} days")


@cli.command()
@_store_argument
@click.argument("call_id")
@click.argument("dest", required=False)
@click.option(
    "--recordings", required=True, metavar="TEMPLATE", help="Where they lie: /var/spool/.../{recording}"
)
@click.option("--overwrite", is_flag=True, help="Replace DEST when it exists.")
def recording(store: str, call_id: str, dest: str | None, recordings: str, overwrite: bool) -> None:
    """Say what the recording of call CALL_ID is, and copy it to DEST."""
    opened = _existing(store, recordings=recordings)
    calls = list(opened.run(Query().where(field("call_id") == call_id).limit(2)))
    if len(calls) != 1:
        raise NotFoundError(f"{'No call has' if not calls else 'Several calls have'} the id {call_id!r}.")
    found = opened.recording(calls[0])
    length = "length unknown" if found.duration is None else f"{found.duration:.1f} s"
    tell(f"{found.location}: {found.format or 'unknown format'}, {length}, {found.size_bytes:,} bytes")
    if dest is not None:
        if not overwrite and os.path.isfile(dest):
            raise click.UsageError(f"{dest} exists; add --overwrite to replace it.")
        tell(f"copied to {found.download(dest, overwrite=overwrite)}")


_really = click.option("--dry-run/--really", default=True, show_default=True, help="Only count, or erase.")
_dry_run = click.option("--dry-run", is_flag=True, help="Only say what there is to do.")


@cli.command()
@_store_argument
@click.option("--keep", default=3, show_default=True, metavar="MONTHS", help="Calendar months that stay hot.")
@_dry_run
def rollover(store: str, keep: int, dry_run: bool) -> None:
    """Move whole UTC months past the hot window to the warm tier, verified."""
    report = _existing(store).maintenance.move_to_warm(keep, dry_run=dry_run)
    months = ", ".join(report.months) or "none"
    tell(f"{_would(dry_run)}move {report.rows:,} calls in {report.read} segments; months: {months}")
    _skipped(report.skipped)


@cli.command()
@_store_argument
@_dry_run
def compact(store: str, dry_run: bool) -> None:
    """Merge small hot segments."""
    report = _existing(store).maintenance.compact(dry_run=dry_run)
    tell(
        f"{_would(dry_run)}merge {report.read} segments with {report.rows:,} calls; written: {report.written}"
    )
    _skipped(report.skipped)


@cli.command()
@_store_argument
@_dry_run
def vacuum(store: str, dry_run: bool) -> None:
    """Remove files that no reader needs any more."""
    report = _existing(store).maintenance.vacuum(dry_run=dry_run)
    tell(f"{_would(dry_run)}remove {report.segments} segments; too young yet: {report.waiting}")


@cli.command()
@_store_argument
def maintain(store: str) -> None:
    """Do what is due: rollover, compact, vacuum. For a daily timer."""
    moved, merged, swept = _existing(store).maintenance.run()
    tell(f"moved {moved.rows:,} calls, merged {merged.read} segments, removed {swept.segments} segments")
    _skipped((*moved.skipped, *merged.skipped))


def _would(dry_run: bool) -> str:
    return "would " if dry_run else "done: "


def _skipped(skipped: tuple[str, ...]) -> None:
    if skipped:
        tell(f"left for the next time, changed meanwhile: {', '.join(skipped)}")


@cli.command()
@_store_argument
def verify(store: str) -> None:
    """Read every byte and check everything; the exit status is 4 when something is wrong."""
    opened = _opened(store)
    try:
        is_made = opened.exists
    except CorruptDataError:  # the report tells of it, and of what else is wrong
        is_made = True
    report = opened.maintenance.verify()
    if report.ok and not is_made:
        raise _no_store(store)
    for problem in report.problems:
        tell(problem)
    tell(
        f"version {report.version}: {report.segments} segments, {report.rows:,} calls, {report.orphans} orphans"
    )
    tell("all is well" if report.ok else f"{len(report.problems)} problems")
    if not report.ok:
        raise click.exceptions.Exit(4)


@cli.command()
@_store_argument
@_region
def rebuild(store: str, region: str | None) -> None:
    """Make a new log from the segments alone, after the log was lost; give the --region that the store had."""
    tell(f"the new log has {_opened(store, region=region).maintenance.rebuild_log():,} calls; run verify now")


@cli.command()
@_store_argument
def months(store: str) -> None:
    """List the warm months."""
    found = _existing(store).archive.months()
    rows = [
        {"Month": m.month, "Items": f"{m.items:,}", "Rows": f"{m.rows:,}", "Bytes": f"{m.size_bytes:,}"}
        for m in found
    ]
    show(rows, f"{len(rows)} months in the warm tier")


@cli.command()
@_store_argument
@click.argument("month")
@click.argument("dest")
@click.option("--format", "format_", type=click.Choice(["parquet", "csv.gz", "csv.zst"]), default="parquet")
def download(store: str, month: str, dest: str, format_: Any) -> None:
    """Copy the warm MONTH (2026-08) to DEST; what was cut off goes on where it stopped."""
    with progress(month, rows=True) as report_progress:
        _existing(store).archive.download(month, dest, format=format_, progress=report_progress)
    tell(f"{month} is in {dest}")


@cli.command()
@_store_argument
@_filters
@_timezone
@click.option("--reason", required=True, help="Why; kept in the log.")
@_really
def erase(store: str, timezone: str, reason: str, dry_run: bool, **given: Any) -> None:
    """Erase calls from both tiers, for good. Without --really it only says how many."""
    report = _existing(store).erase(_query(timezone, given), reason=reason, dry_run=dry_run)
    tell(f"{_would(dry_run)}erase {report.rows:,} calls from {report.segments} segments")


@cli.command()
@_store_argument
@click.argument("before", metavar="BEFORE")
@click.option("--customer", multiple=True, metavar="ID", help="Of these customers only.")
@_really
def expire(store: str, before: str, customer: tuple[str, ...], dry_run: bool) -> None:
    """Erase calls that began before BEFORE (ISO 8601, UTC). Without --really it only says how many."""
    report = _existing(store).expire(before, *customer, dry_run=dry_run)
    tell(f"{_would(dry_run)}erase {report.rows:,} calls from {report.segments} segments")


@cli.command()
@click.argument("folder", required=False)
@click.option("--calls", default=3000, show_default=True, help="How many calls to make up.")
@click.option("--timezone", default="Europe/London", show_default=True, help="The office's zone.")
@click.option("--seed", default=1, show_default=True, help="The same seed makes up the same calls.")
def demo(folder: str | None, calls: int, timezone: str, seed: int) -> None:
    """Make up an office in FOLDER (default: a new temporary one) and do the main job on it, step by step."""
    place = os.path.abspath(folder) if folder else tempfile.mkdtemp(prefix="cdrkit-demo-")
    if os.path.exists(os.path.join(place, "store")):
        raise click.UsageError(f"{place} holds an earlier demo; name another folder, or remove that one.")
    say("1. A made-up office: its switch's CDR file and its recordings")
    office = write_office(place, calls=calls, timezone=timezone, seed=seed)
    tell(f"{office.calls:,} calls in {office.master}")

    say(f"2. Ingest: Asterisk's local times ({timezone}) become UTC; again, and nothing is added")
    store = open_store(
        os.path.join(place, "store"), region="GB", recordings=os.path.join(office.recordings, "{recording}")
    )
    for _ in range(2):
        began = time.perf_counter()
        with progress("Master.csv") as report_progress:
            report = store.ingest(
                office.master,
                format="asterisk-csv",
                timezone=timezone,
                recording_column="userfield",
                customer_column="accountcode",
                progress=report_progress,
            )
        tell(f"{report} [{time.perf_counter() - began:.2f} s]")

    say(f"3. The newest connected calls, times shown in {timezone}")
    connected = Query().connected().newest_first().columns("start", "source", "destination", "duration")
    show(
        store.run(connected).in_timezone(timezone).page(10).rows(labels=True),
        f"10 of {store.count(connected):,} calls",
    )

    say("4. Totals per UTC day")
    _show_totals(store.daily_totals(Query().during("last_7_days")))

    say(f"5. One number, typed in national form: {office.number}")
    search = Query().number(office.number)
    ways = {
        str(getattr(call, role))
        for role in ("source", "destination")
        for call in store.run(Query().number(office.number, "source" if role == "source" else "destination"))
    }
    tell(f"{store.count(search):,} calls, written as: {', '.join(sorted(ways))}")

    say("6. CSV, always in UTC")
    csv = os.path.join(place, "connected-last-7-days.csv")
    written = store.run(Query().connected().during("last_7_days", timezone)).write_csv(csv)
    tell(f"{written:,} calls in {csv}")

    say("7. A recording")
    (recorded,) = store.run(Query().has_recording().connected().newest_first().limit(1))
    found = store.recording(recorded)
    copy = found.download(os.path.join(place, "recording.wav"), overwrite=True)
    tell(f"call {recorded.call_id}: {found.duration:.1f} s of {found.format}, copied to {copy}")

    say("Everything lies in")
    for what, where in (
        ("store", os.path.join(place, "store")),
        ("switch's file", office.master),
        ("recordings", office.recordings),
        ("CSV", csv),
        ("recording", copy),
    ):
        tell(f"  {what:14} {where}")
    command = sys.argv[0] if os.path.basename(sys.argv[0]) == "cdrkit" else "cdrkit"
    tell(f"Ask it: {command} query {os.path.join(place, 'store')} --number '{office.number}'")
