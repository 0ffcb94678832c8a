"""The command line, run in separate processes."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cdrkit import CallRecord, Query, open_store
from cdrkit.cli.options import command_text
from cdrkit.samples import Office, synthesize_calls, write_office

pytest.importorskip("click")
pytest.importorskip("rich")

_LOCAL = ["--timezone", "UTC", "--format", "asterisk-csv"]
_FREESWITCH = ["--timezone", "UTC", "--format", "freeswitch-csv"]


def cdrkit(*words: object, status: int = 0) -> tuple[str, str]:
    """Run the command, check its exit status, and return its standard output and standard error."""
    done = subprocess.run(
        [sys.executable, "-c", "from cdrkit.cli import main; main()", *map(str, words)],
        capture_output=True,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == status, (out, err)
    return out, err


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """Return a small made-up office."""
    return write_office(tmp_path_factory.mktemp("office"), calls=300, now=datetime(2026, 11, 23, tzinfo=UTC))


@pytest.fixture(scope="module")
def filled(office: Office, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of a store that the command filled."""
    folder = str(tmp_path_factory.mktemp("store"))
    words = ["--timezone", "Europe/London", "--region", "GB", "-o", "recording_column=userfield"]
    out, _ = cdrkit("ingest", folder, office.master, *words)
    assert "300 rows read" in out
    return folder


def test_query_shows_what_the_library_gives(filled: str, office: Office) -> None:
    """The table has the calls of the query, in order, and the cursor of the next page."""
    words = ["--connected", "--number", office.number, "--timezone", "Europe/London"]
    out, _ = cdrkit("query", filled, *words, "--limit", 5)
    result = (
        open_store(filled)
        .run(Query().connected().number(office.number).newest_first())
        .in_timezone("Europe/London")
    )
    shown = [row["start"] for row in result.page(5).rows()]
    assert re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d\d:\d\d", out) == shown
    assert f"5 of {result.count()} calls" in out
    cursor = re.search(r"--cursor (\S+)", out)
    assert cursor is not None
    following, _ = cdrkit("query", filled, *words, "--limit", 5, "--cursor", cursor[1])
    assert result.page(6).rows()[5]["start"] in following


def test_export(filled: str, tmp_path: Path) -> None:
    """A CSV goes to a file or to standard output, always in UTC."""
    out, _ = cdrkit("export", filled, tmp_path / "calls.csv", "--connected", "--columns", "start,source")
    store = open_store(filled)
    result = store.run(Query().connected().columns("start", "source"))
    assert f"{result.count():,} calls" in out
    assert (tmp_path / "calls.csv").read_bytes() == b"".join(result.iter_csv())
    piped, _ = cdrkit("export", filled, "-", "--labels", "--columns", "start,charge")
    rows = list(csv.reader(io.StringIO(piped)))
    assert rows[0] == ["Call Time", "Charge"]
    assert len(rows) == store.count() + 1


def test_totals(filled: str) -> None:
    """There is a line a day, with its attempts."""
    out, _ = cdrkit("totals", filled)
    for total in open_store(filled).daily_totals():
        assert re.search(rf"{total.day}\s+{total.attempts}\s+{total.connected}\s", out)


def test_recording(filled: str, office: Office, tmp_path: Path) -> None:
    """A recording is described and copied."""
    template = f"{office.recordings}/{{recording}}"
    call = next(iter(open_store(filled).run(Query().has_recording().newest_first())))
    out, _ = cdrkit("recording", filled, call.call_id, tmp_path / "call.wav", "--recordings", template)
    assert "wav" in out
    assert call.recording is not None
    assert (tmp_path / "call.wav").read_bytes() == Path(office.recordings, call.recording).read_bytes()


def test_rejects_are_written_and_the_status_says_so(tmp_path: Path, office: Office) -> None:
    """With rejects the exit status is 3, the rest is stored, and the rows are in the named file."""
    broken = Path(office.master).read_bytes() + b"not,a,call\n"
    (tmp_path / "Master.csv").write_bytes(broken)
    words = ["--timezone", "UTC", "--rejects", tmp_path / "rejects.csv"]
    out, _ = cdrkit("ingest", tmp_path / "store", tmp_path / "Master.csv", *words, status=3)
    assert "1 rejected" in out
    assert "not,a,call" in (tmp_path / "rejects.csv").read_text()
    assert open_store(tmp_path / "store").count() == 300


def test_a_torn_file_without_a_format(tmp_path: Path, office: Office) -> None:
    """The format of a file with a torn row is detected, and its other rows are stored."""
    rows = Path(office.master).read_bytes().splitlines(keepends=True)[:3]
    (tmp_path / "torn.csv").write_bytes(b"".join(rows) + b'"1003","02079460102"\n')
    out, _ = cdrkit("ingest", tmp_path / "store", tmp_path / "torn.csv", "--timezone", "UTC", status=3)
    assert "in 3 of the first 4 rows" in out
    assert "3 added, 1 rejected" in out
    assert "row 4: The row has 2 columns; Asterisk writes 16 to 21." in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["query", "/nowhere/store"], "No store exists at"),
        (["query", "{store}", "--during", "last_weak"], "last_week"),
        (["query", "{store}", "--columns", "srce"], "source"),
        (["query", "{store}", "--start", "2026-02-01", "--end", "2026-01-01"], "before the start"),
        (["totals", "{store}", "--timezone", "Mars"], "Mars"),
        (["ingest", "{store}", "/nowhere.csv", "--timezone", "UTC"], "nowhere.csv"),
        (["ingest", "{store}", "/etc/hostname", "--format", "cisco"], "asterisk-csv"),
        (["recording", "{store}", "no-such-call", "--recordings", "/rec/{recording}"], "no-such-call"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_errors_are_one_line(filled: str, words: list[str], says: str) -> None:
    """An error is a sentence on standard error, without a traceback, and the exit status is 1."""
    _, err = cdrkit(*(word.replace("{store}", filled) for word in words), status=1)
    assert says in " ".join(err.split())
    assert "Traceback" not in err


def test_demo(tmp_path: Path) -> None:
    """The demo does the main job from file to recording, and everything it names is there."""
    out, _ = cdrkit("demo", tmp_path / "demo", "--calls", 300)
    for file in ("Master.csv", "connected-last-7-days.csv", "recording.wav", "store/hot"):
        assert (tmp_path / "demo" / file).exists()
        assert file.split("/")[0] in out
    assert "0 added, 300 duplicates" in out
    _, err = cdrkit("demo", tmp_path / "demo", "--calls", 300, status=2)
    assert "holds an earlier demo" in err


def test_no_calls(filled: str) -> None:
    """A query without calls prints their number."""
    assert "0 of 0 calls" in cdrkit("query", filled, "--customer", "nobody")[0]
    assert "0 days" in cdrkit("totals", filled, "--customer", "nobody")[0]


def test_maintenance_of_both_tiers(tmp_path: Path) -> None:
    """Move, list, download, verify, erase and rebuild by command; the calls stay until they are erased."""
    store = open_store(tmp_path / "store", region="GB")
    store.append(synthesize_calls(400, days=200))
    before = list(store.run())
    folder = tmp_path / "store"
    assert "would be moved" in cdrkit("move-to-warm", folder, "--dry-run")[0]
    assert not open_store(folder).archive.months()
    assert "2026-0" in cdrkit("move-to-warm", folder)[0]
    assert list(open_store(folder).run()) == before
    listed, _ = cdrkit("months", folder)
    month = open_store(folder).archive.months()[0].month
    assert month in listed
    cdrkit("download", folder, month, tmp_path / "month.csv.gz", "--format", "csv.gz")
    assert (tmp_path / "month.csv.gz").exists()
    cdrkit("compact", folder)
    cdrkit("vacuum", folder)
    assert "is intact" in cdrkit("verify", folder)[0]
    customer = before[0].customer_id
    assert "would be erased" in cdrkit("erase", folder, "--customer", customer, "--reason", "asked")[0]
    assert open_store(folder).count() == len(before)
    cdrkit("erase", folder, "--customer", customer, "--reason", "asked", "--really")
    left = [call for call in before if call.customer_id != customer]
    assert list(open_store(folder).run()) == left
    assert "would be erased" in cdrkit("expire", folder, "2026-06-01")[0]
    stray = folder / "hot" / "day=2026-11-20" / f"{'0' * 12}-{'0' * 32}.arrow"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"damaged")
    known = max((folder / "hot").glob("day=*/*.arrow"))  # of the newest day, which no month has taken along
    whole = known.read_bytes()
    known.write_bytes(whole[:-9])
    assert known.name in cdrkit("verify", folder, status=4)[0]
    known.write_bytes(whole)
    assert "is intact" in cdrkit("verify", folder)[0]
    shutil.rmtree(folder / "hot" / "_log")
    assert stray.name in cdrkit("rebuild-log", folder, "--region", "GB", status=1)[1].replace("\n", "")
    stray.unlink()
    cdrkit("rebuild-log", folder, "--region", "GB")
    assert list(open_store(folder).run()) == left


def test_a_damaged_or_lost_log(filled: str, tmp_path: Path) -> None:
    """Verification ends with 4 for any damage of the log; no command takes a lost log for a new store."""
    shutil.copytree(filled, tmp_path / "store")
    for path in (tmp_path / "store").glob("hot/_log/0*.json"):
        path.write_bytes(b"damaged")
    out, _ = cdrkit("verify", tmp_path / "store", status=4)
    assert out.count("is damaged") == len(list((tmp_path / "store").glob("hot/_log/0*.json")))
    shutil.rmtree(tmp_path / "store" / "hot" / "_log")
    assert "cdrkit rebuild-log" in cdrkit("verify", tmp_path / "store", status=4)[0]
    for words in (
        ["query"],
        ["totals"],
        ["months"],
        ["move-to-warm"],
        ["erase", "--customer", "1", "--reason", "asked"],
    ):
        _, err = cdrkit(words[0], tmp_path / "store", *words[1:], status=1)
        assert "cdrkit rebuild-log" in err
        assert "ingest" not in err


def test_nothing_is_made_where_no_store_is(tmp_path: Path) -> None:
    """Every command but ingest and demo fails for a misspelt name, and makes nothing there."""
    place = tmp_path / "typo"
    for command in (
        "query",
        "totals",
        "move-to-warm",
        "compact",
        "vacuum",
        "maintain",
        "verify",
        "months",
        "rebuild-log",
        "info",
    ):
        _, err = cdrkit(command, place, status=1)
        assert str(place) in err
        assert err.count("\n") == 1
    cdrkit("download", place, "2026-08", tmp_path / "out", status=1)
    cdrkit("erase", place, "--customer", "1", "--reason", "asked", "--really", status=1)
    cdrkit("expire", place, "2026-01-01", "--really", status=1)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_store(office: Office) -> None:
    """A switch's file in the store's place is named, with what to do."""
    for command in ("query", "totals", "verify"):
        _, err = cdrkit(command, office.master, status=1)
        assert f"{office.master}isafile,butastoreisafolder." in "".join(err.split())  # wrapped anywhere


def test_detect_and_ingest_by_it(office: Office, tmp_path: Path) -> None:
    """The format is detected and shown; ingest uses it when it is the only one, and fails otherwise."""
    out, _ = cdrkit("detect", office.master)
    assert f"{office.master}: asterisk-csv (18 columns" in out
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    _, err = cdrkit("detect", tmp_path / "other.csv", status=1)
    assert "cannotbedetected" in "".join(err.split())
    out, _ = cdrkit("ingest", tmp_path / "store", office.master, "--timezone", "UTC", "--region", "GB")
    assert "asterisk-csv (18 columns" in out
    assert "300 added" in out
    _, err = cdrkit("ingest", tmp_path / "store", tmp_path / "other.csv", status=1)
    assert "cannotbedetected" in "".join(err.split())


def test_follow(office: Office, tmp_path: Path) -> None:
    """The command follows one file until it is stopped; started again, it goes on."""
    path = tmp_path / "Master.csv"
    lines = Path(office.master).read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:200]))
    words = [
        "ingest",
        tmp_path / "store",
        path,
        "--follow",
        "--poll",
        "0.01",
        "--timezone",
        "UTC",
        "--region",
        "GB",
    ]
    for added in (b"200 added", b"100 added"):
        command = [sys.executable, "-uc", "from cdrkit.cli import main; main()", *map(str, words)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for shown in process.stdout:
                if added in shown:
                    break
            process.kill()
        path.write_bytes(b"".join(lines))
    assert open_store(tmp_path / "store").count() == 300
    _, err = cdrkit(*words, path, status=2)
    assert "--follow works with exactly one FILE" in err


def test_json(filled: str) -> None:
    """Queries, totals and facts are JSON for programs, and hints go to standard error."""
    out, err = cdrkit("query", filled, "--json", "--limit", 3, "--timezone", "Europe/London")
    store = open_store(filled)
    page = store.run(Query().newest_first()).page(3)
    assert [CallRecord.from_dict(json.loads(line)) for line in out.splitlines()] == list(page.records)
    cursor = re.search(r"--cursor (\S+)", err)
    assert cursor is not None
    following, _ = cdrkit("query", filled, "--json", "--limit", 3, "--cursor", cursor[1])
    assert json.loads(following.splitlines()[0])["call_id"] not in {call.call_id for call in page.records}
    out, _ = cdrkit("query", filled, "--json", "--columns", "start,call_id", "--limit", 1)
    assert list(json.loads(out)) == ["start", "call_id"]
    totals, err = cdrkit("totals", filled, "--json")
    days = [json.loads(line) for line in totals.splitlines()]
    assert [(day["day"], day["attempts"]) for day in days] == [
        (str(total.day), total.attempts) for total in store.daily_totals()
    ]
    assert err == ""
    facts = json.loads(cdrkit("info", filled, "--json")[0])
    assert (facts["store"], facts["region"], facts["calls"]) == (filled, "GB", 300)


def test_info(filled: str) -> None:
    """The facts of a store are shown in lines."""
    out, _ = cdrkit("info", filled)
    assert f"Store: {filled}\nRegion: GB\nCalls: 300\n" in out
    assert "Work due" in out


def test_maintain_in_sentences(tmp_path: Path) -> None:
    """Daily maintenance reports each job in a sentence."""
    store = open_store(tmp_path / "store", region="GB")
    for part in range(3):
        store.append(synthesize_calls(50, days=200, seed=part))
    lines = cdrkit("maintain", tmp_path / "store")[0].splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["move to warm", "compaction", "vacuum"]
    assert re.search(r"calls? w(as|ere) moved: from", lines[0])
    assert all(line.endswith(".") for line in lines)


def test_orphans_are_explained(filled: str, tmp_path: Path) -> None:
    """Beside good news, verify explains files of an append that did not finish."""
    shutil.copytree(filled, tmp_path / "store")
    known = next((tmp_path / "store" / "hot").glob("day=*/*.arrow"))
    version = int(known.name.partition("-")[0], 16) + 50
    shutil.copy(known, known.with_name(f"{version:012x}-{'1' * 32}.arrow"))
    out, _ = cdrkit("verify", tmp_path / "store")
    assert "is intact" in out
    assert "1 unused segment" in out
    assert "after a day" in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["query", "{store}", "--min-duration", "x"], "--min-duration x: "),
        (["query", "{store}", "--max-duration", "-1"], "--max-duration -1: "),
        (["totals", "{store}", "--during", "last_weak"], "--during last_weak: "),
        (["export", "{store}", "-", "--where", "nonsense"], "--where nonsense: "),
        (["query", "{store}", "--cursor", "old"], "Pass the cursor of a page unchanged"),
        (["query", "{store}", "--limit", "0"], "--limit 0 is not a page size"),
        (["query", "{store}", "--disposition", "nope"], "--disposition nope: "),
        (["move-to-warm", "{store}", "--keep", "-1"], "--keep -1 is not valid"),
        (["maintain", "{store}", "--keep", "99999"], "--keep 99999 is too large"),
        (["expire", "{store}", "nonsense"], "The time for BEFORE 'nonsense'"),
        (
            ["ingest", "{plain}", "{master}", *_LOCAL, "--region", "US"],
            "Open the store without --region, or see the help of cdrkit rebuild-log to change its region.",
        ),
        (["ingest", "{store}", "{master}", *_LOCAL, "--follow", "--poll", "0"], "--poll 0.0 is not valid"),
        (["ingest", "{store}", "{odd}", *_LOCAL], "Give -o loguniqueid=true or -o loguserfield=true"),
        (["ingest", "{folder}", "{master}", *_FREESWITCH, "-o", "template=x"], "or give -o columns=VALUE."),
        (["query", "{damaged}"], "make a new log with cdrkit rebuild-log."),
        (["ingest", "{folder}", "{master}"], "--timezone Europe/London"),
        (["query", "{typo}"], "cdrkit ingest {typo} FILE"),
        (["rebuild-log", "{store}", "--region", "US"], "{store}"),
        (["export", "{store}", "{folder}/calls.parquet"], ".csv, .csv.gz or .csv.zst"),
    ],
    ids=str,
)
def test_errors_say_options_as_typed(
    filled: str, office: Office, tmp_path: Path, words: list[str], says: str
) -> None:
    """An error names an option with its dashes, and other commands as one types them."""
    places = {
        "store": filled,
        "folder": str(tmp_path),
        "master": office.master,
        "typo": str(tmp_path / "typo"),
        "plain": str(tmp_path / "plain"),
        "odd": str(tmp_path / "odd.csv"),
        "damaged": str(tmp_path / "damaged"),
    }
    open_store(places["plain"]).append([CallRecord(call_id="1", start=datetime(2026, 11, 22, tzinfo=UTC))])
    shutil.copytree(filled, places["damaged"])
    for path in (tmp_path / "damaged" / "hot" / "_log").rglob("*.json"):
        path.write_bytes(b"{}")
    row = Path(office.master).read_text().splitlines()[0]
    (tmp_path / "odd.csv").write_text(f"{row.rpartition(',')[0]}\n")

    def fill(text: str) -> str:
        for name, path in places.items():
            text = text.replace(f"{{{name}}}", path)
        return text

    _, err = cdrkit(*map(fill, words), status=1)
    assert fill(says) in " ".join(err.split())
    assert "_duration" not in err
    assert not re.search(r"from_params|Store\.|open_store|field\(|next_cursor|keep_months|\bregion=", err)


def test_no_region(office: Office, tmp_path: Path) -> None:
    """The first ingest without --region warns of numbers in national form; later ones and others do not."""
    words = ["--timezone", "UTC", "--format", "asterisk-csv"]
    out, _ = cdrkit("ingest", tmp_path / "store", office.master, *words)
    assert "numbers are in national form" in " ".join(out.split())
    assert "cdrkit rebuild-log STORE --region CODE" in " ".join(out.split())
    assert "Python" not in out
    assert "national form" not in cdrkit("ingest", tmp_path / "store", office.master, *words)[0]
    assert (
        "national form" not in cdrkit("ingest", tmp_path / "gb", office.master, *words, "--region", "GB")[0]
    )


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        (
            "Open the store with the hot= or warm= of the calls.",
            "Open the store with the STORE or --warm of the calls.",
        ),
        ("Give format='asterisk-sql'.", "Give --format asterisk-sql."),
        ("For one CSV, give format='csv.gz' and a name.", "For one CSV, give --format csv.gz and a name."),
        ("Give template= or columns=, not both.", "Give -o template=VALUE or -o columns=VALUE, not both."),
        (
            "Give its encoding, for example encoding='latin-1'.",
            "Give its encoding, for example -o encoding=latin-1.",
        ),
        ("Pass overwrite=True to replace it.", "Pass --overwrite to replace it."),
        ("kamailio.cfg has cdr_start_on_confirmed=1.", "kamailio.cfg has cdr_start_on_confirmed=1."),
        ("hot/day=2026-11-22/a.arrow is damaged.", "hot/day=2026-11-22/a.arrow is damaged."),
        ("Run Store.maintenance.rebuild_log().", "Run cdrkit rebuild-log."),
        ("Run maintenance.verify() or vacuum().", "Run cdrkit verify or cdrkit vacuum."),
    ],
)
def test_library_terms_become_options(text: str, typed: str) -> None:
    """Parameters and methods in a message become options and commands; other text stays."""
    assert command_text(text) == typed


def test_info_keeps_the_given_months(tmp_path: Path) -> None:
    """With the --keep of maintain, info shows no move as due that maintain does not make; nouns agree."""
    start = datetime.now(UTC) - timedelta(days=200)
    open_store(tmp_path / "store").append([CallRecord(call_id="1", start=start)])
    assert "Move to warm" in cdrkit("info", tmp_path / "store")[0]
    out, _ = cdrkit("info", tmp_path / "store", "--keep", 12)
    assert "Work due: none" in out
    assert re.search(r"Tier hot: 1 call, [0-9,]+ bytes, 1 segment\n", out)
    assert "1 of 1 call, times in" in cdrkit("query", tmp_path / "store")[0]
    cdrkit("maintain", tmp_path / "store")
    assert "1 month in the warm tier" in cdrkit("months", tmp_path / "store")[0]


@pytest.mark.parametrize("name", ["rollover", "rebuild"])
def test_old_names_are_gone(name: str) -> None:
    """A command of before is an unknown command."""
    assert f"No such command '{name}'" in cdrkit(name, "store", status=2)[1]


def test_help_lists_every_command() -> None:
    """The help has every command with its first sentence, and the help of each works."""
    out, _ = cdrkit("--help")
    for name in ("ingest", "query", "info", "move-to-warm", "rebuild-log", "demo"):
        assert re.search(rf"^  {name}  +[A-Z].+", out, re.MULTILINE)
    assert "asterisk-csv" in cdrkit("ingest", "--help")[0]
