"""Generated calls: the generator's laws and shares, the office's file and recordings."""

from __future__ import annotations

import collections
import csv
import hashlib
import io
import json
import os
import stat
import wave
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdrkit._model import SCHEMA, CallRecord, records_to_arrow
from cdrkit.errors import AccessDeniedError, ConfigError, StorageError
from cdrkit.samples.asterisk_lines import asterisk_lines
from cdrkit.samples.calls import END, call_frames, call_table, synthesize_calls, synthesize_tables
from cdrkit.samples.catalogue import CARDS, HOSTILE_NAMES, PROVIDERS
from cdrkit.samples.office import Office, write_office
from cdrkit.samples.random_numbers import GAMMA, draw, mix

NOW = datetime(2026, 10, 27, 16, 40, 12, 345678, tzinfo=UTC)  # two days after Britain put its clocks back
LONDON = ZoneInfo("Europe/London")
KNOWN_CALL = ("1794633228.000000000", "+44 20 8192 2111", "+447700900263", 23)
KNOWN_DIGEST = "9b0ed4978316930efc0299f69c112086e93fd5de4e09a8a3081667bb7e79be68"


@pytest.fixture(scope="module")
def calls() -> pl.DataFrame:
    """A table large enough for shares to settle."""
    frame = pl.from_arrow(synthesize_calls(120_000, days=28))
    assert isinstance(frame, pl.DataFrame)
    return frame


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """An office over the week in which Britain puts its clocks back."""
    return write_office(tmp_path_factory.mktemp("office") / "new" / "folder", calls=2000, days=7, now=NOW)


def lines(office: Office) -> list[list[str]]:
    with Path(office.master).open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def share(frame: pl.DataFrame, condition: pl.Expr) -> float:
    return float(frame.select(condition.fill_null(False).mean()).item())


# The generator of random numbers


def test_splitmix64_gives_its_published_numbers() -> None:
    """The mixing is splitmix64's: from state 1234567 come the numbers that everyone's gives."""
    states = [1234567 + step * GAMMA for step in (1, 2, 3)]
    assert [mix(state) for state in states] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


@given(st.integers(0, 2**64 - 1), st.integers(0, 30), st.lists(st.integers(0, 2**64 - 1), min_size=1))
def test_expressions_draw_what_whole_numbers_draw(seed: int, stream: int, rows: list[int]) -> None:
    """An expression over any counters, however large, gives what Python's whole numbers give."""
    frame = pl.DataFrame({"row": pl.Series(rows, dtype=pl.UInt64)})
    key = mix(seed + (stream + 2) * GAMMA)
    assert frame.select(draw(seed, stream, pl.col("row"))).to_series().to_list() == [
        mix(key + row * GAMMA) for row in rows
    ]


# The table


def test_table_has_the_schema_exactly() -> None:
    """Names, order, types, nullability and metadata are those of SCHEMA, with rows and without."""
    for rows in (0, 1, 5000):
        table = synthesize_calls(rows)
        assert table.schema.equals(SCHEMA, check_metadata=True)
        assert table.num_rows == rows
        table.validate(full=True)


def test_known_answer() -> None:
    """A seed gives the same calls on every machine and with every version of what computes them."""
    table = synthesize_calls(3000, days=9, seed=42)
    digest = hashlib.sha256()
    for name in SCHEMA.names:
        digest.update(json.dumps([name, table[name].to_pylist()], default=str, sort_keys=True).encode())
    first = table.slice(0, 1).to_pylist()[0]
    assert (first["call_id"], first["source"], first["destination"], first["duration"]) == KNOWN_CALL
    assert digest.hexdigest() == KNOWN_DIGEST


def test_seeds_and_ends_differ() -> None:
    """Another seed gives other calls; another end moves them."""
    table = synthesize_calls(500, days=7)
    assert table == synthesize_calls(500, days=7, seed=1, end=END)
    assert table != synthesize_calls(500, days=7, seed=2)
    earlier = synthesize_calls(500, days=7, end=END - timedelta(days=7))
    assert max(filter(None, earlier["start"].to_pylist())) < END - timedelta(days=7)


def test_tables_are_the_same_calls_piece_by_piece() -> None:
    """What is too large for memory comes in tables of a bounded size, checked before the first is made."""
    tables = list(synthesize_tables(250_001, days=3, seed=7, customers=9, region="DE"))
    assert [table.num_rows for table in tables] == [100_000, 100_000, 50_001]
    assert pa.concat_tables(tables) == synthesize_calls(250_001, days=3, seed=7, customers=9, region="DE")
    assert list(synthesize_tables(0)) == []
    with pytest.raises(ConfigError, match="customers=0 is not valid"):
        synthesize_tables(10, customers=0)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 400),
    days=st.integers(1, 60),
    seed=st.integers(0, 2**64 - 1),
    customers=st.sampled_from([1, 2, 200, 60_000]),
    region=st.sampled_from(["GB", "US", "DE", "FR", "AU"]),
    parts=st.integers(1, 6),
)
def test_laws_of_the_table(rows: int, days: int, seed: int, customers: int, region: str, parts: int) -> None:
    """Rows do not depend on how many are made at once, are in order and in range, and are valid records."""
    chosen: dict[str, Any] = {"days": days, "seed": seed, "customers": customers, "region": region}
    table = synthesize_calls(rows, **chosen)
    frames = list(call_frames(rows, rows_at_once=-(-rows // parts), **chosen))
    assert pa.concat_tables(map(call_table, frames)).to_pylist() == table.to_pylist()
    assert len(frames) <= parts
    records = [CallRecord(**row) for row in table.to_pylist()]
    identities = [(record.start, record.call_id) for record in records]
    assert identities == sorted(set(identities))
    assert END - timedelta(days=days) <= records[0].start
    assert records[-1].start < END
    assert {record.customer_id for record in records} <= {str(1001 + rank) for rank in range(customers)}
    # What a record makes of the values is what the table holds.
    assert records_to_arrow(records).to_pylist() == table.to_pylist()


def test_times_add_up(calls: pl.DataFrame) -> None:
    """Answer is start and ringing, end is that and the talk; only connected calls have an answer."""
    ringing = pl.duration(microseconds=(pl.col("ring_duration") * 1e6).round().cast(pl.Int64))
    talk = pl.duration(seconds=pl.col("duration"))
    connected = pl.col("duration") > 0
    assert calls.select((pl.col("end") == pl.col("start") + ringing + talk).all()).item()
    assert calls.filter(connected).select((pl.col("answer") == pl.col("start") + ringing).all()).item()
    assert calls.select((connected == pl.col("answer").is_not_null()).all()).item()
    assert calls.select((connected == (pl.col("disposition").cast(pl.String) == "answered")).all()).item()
    assert calls.select((connected == pl.col("mos").is_not_null()).all()).item()
    assert calls["mos"].is_between(1, 5).drop_nulls().all()
    assert calls["start"].n_unique() > 0.9 * calls.height


def test_shares(calls: pl.DataFrame) -> None:
    """45 % connect for about 70 s, a tenth belongs to the first customer, and so on."""
    connected = calls.filter(pl.col("duration") > 0)
    assert share(calls, pl.col("duration") > 0) == pytest.approx(0.45, abs=0.015)
    assert connected["duration"].median() == pytest.approx(70, abs=4)
    assert 3600 < connected.select(pl.col("duration").max()).item() <= 4 * 3600
    assert share(calls, pl.col("customer_id") == "1001") == pytest.approx(0.10, abs=0.01)
    assert share(calls, pl.col("recording").is_not_null()) == pytest.approx(0.05, abs=0.01)
    odd = pl.col("source").is_in(["anonymous", "withheld"]) | pl.col("source").str.contains(r"^\d{4}$")
    assert share(calls, odd) == pytest.approx(0.155, abs=0.02)
    abroad = pl.col("direction").cast(pl.String).eq("outbound") & pl.col("destination").str.contains(
        r"^(?:\+(?:[^4]|4[^4])|00(?:[^4]|4[^4]))"
    )
    assert share(calls, abroad) == pytest.approx(0.10, abs=0.02)
    assert set(calls["disposition"].cast(pl.String)) == {
        "answered", "busy", "no_answer", "cancelled", "rejected", "failed",
    }  # fmt: skip
    assert set(calls["direction"].cast(pl.String)) == {"inbound", "outbound", "internal"}
    assert set(calls["currency"]) == {"GBP", "USD", "EUR", None}
    assert calls["currency"].value_counts(sort=True)["currency"][0] == "GBP"


def test_hours_and_weekdays(calls: pl.DataFrame) -> None:
    """Weekdays are busy from ten to twelve and two to four by the region's clock, nights and weekends are not."""
    local = calls.with_columns(pl.col("start").dt.convert_time_zone("Europe/London"))
    hours = dict(local.group_by(pl.col("start").dt.hour()).len().iter_rows())
    assert min(hours[hour] for hour in (10, 11, 14, 15)) > max(hours[hour] for hour in (12, 13, 9, 17, 18))
    assert max(hours[hour] for hour in range(6)) < hours[11] / 10
    weekdays = dict(local.group_by(pl.col("start").dt.weekday()).len().iter_rows())
    assert max(weekdays[6], weekdays[7]) < min(weekdays[day] for day in range(1, 6)) / 3


def test_numbers_are_popular_and_written_in_several_ways(calls: pl.DataFrame) -> None:
    """A few numbers have many calls and most have few; each form that people dial occurs."""
    destinations = calls["destination"].value_counts(sort=True)
    assert destinations["count"][0] > 50 * destinations.select(pl.col("count").median()).item()
    assert len(destinations) > calls.height / 5
    for form in (
        r"^\+44\d{9,10}$",
        r"^0044\d{9,10}$",
        r"^0[1-9]\d{8,9}$",
        r"^\+44 \d\d \d{4} \d+$",
        r"^00[^4]",
    ):
        assert share(calls, pl.col("destination").str.contains(form)) > 0.005, form
    assert share(calls, pl.col("tech_prefix").is_not_null()) > 0.01


def test_legs_share_a_call(calls: pl.DataFrame) -> None:
    """Legs of one linked id begin together, from one caller for one customer; at most one of them talks."""
    groups = calls.group_by("linked_id").agg(
        pl.len(),
        pl.col("start", "source", "customer_id", "did").n_unique(),
        (pl.col("duration") > 0).sum().alias("talks"),
    )
    legs = groups.filter(pl.col("len") > 1)
    assert len(legs) * 3 == pytest.approx(0.06 * calls.height, rel=0.1)
    assert set(legs["len"]) == {3}
    assert legs.select(pl.col("start", "source", "customer_id", "did").max()).row(0) == (1, 1, 1, 1)
    assert set(legs["talks"]) == {0, 1}


def test_money_is_what_the_cards_say(calls: pl.DataFrame) -> None:
    """Billed time and charges are what decimals in plain Python make of duration, card and rate."""
    cards = {card.id: card for card in CARDS}
    shares = {provider.id: provider.share for provider in PROVIDERS}
    step = Decimal("0.000001")
    seen: collections.Counter[str | None] = collections.Counter()
    for row in calls.sample(4000, seed=7).iter_rows(named=True):
        talk = row["duration"]
        seen[row["card_id"]] += 1
        if row["direction"] == "internal":
            assert (row["rate"], row["charge"], row["currency"], row["card_id"]) == (None, None, None, None)
        elif row["direction"] == "inbound":
            assert (row["rate"], row["charge"], row["provider_charge"]) == (0, 0, 0)
            assert row["billed_duration"] == talk
        elif talk == 0:
            assert (row["billed_duration"], row["charge"], row["provider_charge"]) == (0, 0, 0)
        else:
            card = cards[row["card_id"]]
            billed = card.least
            while billed < talk:
                billed += card.step
            assert row["billed_duration"] == billed
            charge = (row["rate"] * billed / 60).quantize(step, ROUND_HALF_UP) + row["connect_cost"]
            assert row["charge"] == charge
            asked = (row["rate"] * shares[row["provider_id"]] / 100).quantize(step, ROUND_FLOOR)
            assert row["provider_charge"] == (asked * talk / 60).quantize(step, ROUND_HALF_UP)
            assert row["rate"] > 0
    assert set(seen) == {None, *cards}


def test_text_is_hostile_here_and_there(calls: pl.DataFrame) -> None:
    """Each name that a spreadsheet, a page or a reader could trip over occurs, in few rows; extra is JSON."""
    assert set(HOSTILE_NAMES) <= set(calls["source_name"])
    assert 0 < share(calls, pl.col("source_name").is_in(HOSTILE_NAMES)) < 0.003
    extras = calls["extra"].drop_nulls().unique().to_list()
    assert extras
    assert all(isinstance(json.loads(extra), dict) for extra in extras)


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        ({"rows": -1}, "rows=-1 is not valid"),
        ({"rows": 1.5}, "rows=1.5 is not valid"),
        ({"rows": True}, "rows=True is not valid"),
        ({"days": 0}, "days=0 is not valid"),
        ({"days": 36_525, "end": datetime(50, 1, 1, tzinfo=UTC)}, "days=36525 is too many"),
        ({"seed": -3}, "seed=-3 is not valid"),
        ({"customers": 0}, "customers=0 is not valid"),
        ({"customers": 60_001}, "customers=60001 is not valid"),
        ({"region": "XX"}, "region 'XX'"),
        ({"end": datetime(2026, 1, 1)}, "end=datetime"),
        ({"end": "2026-01-01"}, "end='2026-01-01' is not valid"),
    ],
)
def test_arguments_that_cannot_work(chosen: dict[str, Any], named: str) -> None:
    """A value out of range is a ConfigError that names it, at the call and not at the first row."""
    with pytest.raises(ConfigError, match=named):
        synthesize_calls(**{"rows": 10, **chosen})
    with pytest.raises(ConfigError, match=named):
        asterisk_lines(**{"rows": 10, **chosen})


# Lines for benchmarks


def test_lines_are_the_calls() -> None:
    """Each call of the table is one line of 18 columns, local stamps and whole seconds, quoted as needed."""
    table = synthesize_calls(60_000, days=60, seed=5).to_pylist()
    blocks = list(asterisk_lines(60_000, days=60, seed=5, timezone="America/New_York"))
    assert all(block.endswith(b"\n") for block in blocks)
    rows = list(csv.reader(io.StringIO(b"".join(blocks).decode(), newline="")))
    assert len(blocks) > 1
    assert sum(block.count(b"\n") for block in blocks) == len(rows) == len(table)
    local = ZoneInfo("America/New_York")
    names = {name.replace("\n", " ") for name in HOSTILE_NAMES}
    seen = set()
    for row, call in zip(rows, table, strict=True):
        assert len(row) == 18
        stamps = [
            call[name] and f"{call[name].astimezone(local):%F %T}" for name in ("start", "answer", "end")
        ]
        assert row[9:12] == [stamp or "" for stamp in stamps]
        assert row[:3] == [call["customer_id"], call["source"], call["destination"]]
        assert int(row[13]) == call["duration"]
        assert int(row[12]) == int(call["end"].timestamp()) - int(call["start"].timestamp())
        assert (row[14] == "ANSWERED") is (call["duration"] > 0)
        assert row[16:] == [call["linked_id"], call["recording"] or ""]
        name = row[4][1 : row[4].rindex('" <')]
        assert name == (call["source_name"] or "").replace("\n", " ")
        seen.add(name)
    assert len(seen & names) > 5


def test_lines_refuse_a_zone_that_is_none() -> None:
    """An unknown zone is a ConfigError before the first block."""
    with pytest.raises(ConfigError, match="Mars/Base"):
        asterisk_lines(10, timezone="Mars/Base")


# The office


def test_office_says_what_it_wrote(office: Office) -> None:
    """The file has as many rows as the office says, each of 18 columns, and nothing else lies in the folder."""
    rows = lines(office)
    assert office.calls == len(rows) == 2000
    assert {len(row) for row in rows} == {18}
    assert sorted(os.listdir(office.folder)) == ["Master.csv", "recordings"]
    assert Path(office.master) == Path(office.folder, "Master.csv")
    assert Path(office.recordings) == Path(office.folder, "recordings")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        office.calls = 1  # type: ignore[misc]  # that it cannot be set is the point


def test_office_is_written_as_asterisk_writes(office: Office) -> None:
    """Texts are quoted, numbers and unset answers bare, lines end in LF, in the order in which calls ended."""
    text = Path(office.master).read_bytes()
    assert b"\r" not in text
    assert text.endswith(b'"\n')
    for line in text.decode().splitlines():
        fields = next(csv.reader([line]))
        bare = {10, 12, 13} if not fields[10] else {12, 13}
        written = [
            value if place in bare else '"' + value.replace('"', '""') + '"'
            for place, value in enumerate(fields)
        ]
        assert line == ",".join(written)
        assert (fields[14] == "ANSWERED") is (fields[10] != "")


def test_office_stamps_are_local_and_add_up(office: Office) -> None:
    """Stamps are the zone's wall clock, both hours of a change included; lengths are what lies between them."""
    ends = []
    for row in lines(office):
        began = datetime.fromtimestamp(int(row[16].partition(".")[0]), UTC)
        length, talk = int(row[12]), int(row[13])
        end = began + timedelta(seconds=length)
        assert row[9] == f"{began.astimezone(LONDON):%F %T}"
        assert row[11] == f"{end.astimezone(LONDON):%F %T}"
        if row[10]:
            assert row[10] == f"{end.astimezone(LONDON) - timedelta(seconds=talk):%F %T}"
            assert talk > 0
        else:
            assert talk == 0
        assert NOW - timedelta(days=7, seconds=1) <= began <= end <= NOW
        ends.append(end)
    assert ends == sorted(ends)


def test_office_has_everything_a_demonstration_needs(office: Office) -> None:
    """Every disposition, parallel legs, numbers in several forms, hostile names, the accounts, office hours."""
    rows = lines(office)
    assert {row[14] for row in rows} == {"ANSWERED", "NO ANSWER", "BUSY", "FAILED"}
    assert {row[0] for row in rows} == {"1001", "1002", "1003", "1004"}
    assert sum(row[4].startswith('"=cmd|') for row in rows) in {2, 4, 6}
    legs = collections.Counter(row[16] for row in rows)
    assert set(legs.values()) == {1, 3}
    for unique_id, count in legs.items():
        group = [row for row in rows if row[16] == unique_id]
        assert len({(row[6], row[16]) for row in group}) == count
        assert len({(row[1], row[2], row[5], row[9]) for row in group}) == 1
        assert sum(row[14] == "ANSWERED" for row in group) <= 1
    sides = {side for row in rows for side in row[1:3]}
    for start in (
        "02079460",
        "01632960",
        "07700900",
        "+44",
        "0044",
        "+1212555",
        "001212555",
        "anonymous",
        "2",
    ):
        assert any(side.startswith(start) for side in sides), start
    sought = office.number.replace(" ", "").removeprefix("0")
    spellings = collections.Counter(
        side for row in rows for side in row[1:3] if side.replace(" ", "").endswith(sought)
    )
    assert spellings.total() >= 20
    assert set(spellings) >= {f"0{sought}", f"+44{sought}", f"0044{sought}"}
    hours = collections.Counter(int(row[9][11:13]) for row in rows)
    assert sum(hours[hour] for hour in range(8, 18)) > 0.9 * len(rows)


@pytest.mark.parametrize("seed", range(5))
def test_the_number_is_sought_in_a_small_office_too(tmp_path: Path, seed: int) -> None:
    """From 200 calls on, the number is in 20 rows or more."""
    office = write_office(tmp_path, calls=200, days=1, seed=seed, now=NOW)
    rows = lines(office)
    assert sum(any(side.replace(" ", "").endswith("2079460018") for side in row[1:3]) for row in rows) >= 20


def test_recordings_are_of_the_latest_answered_calls(office: Office) -> None:
    """40 answered calls name a file; each is WAV, 16 bits mono at 8 kHz, as long as the talk up to six seconds."""
    rows = lines(office)
    recorded = [row for row in rows if row[17]]
    assert len(recorded) == 40
    answered = [row for row in rows if row[14] == "ANSWERED" and row[7] == "Dial"]
    assert recorded == answered[-40:]
    for row in recorded:
        assert row[17] == f"{row[9][:10].replace('-', '/')}/{row[16]}.wav"
        with wave.open(str(Path(office.recordings, row[17])), "rb") as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
            assert file.getnframes() == min(int(row[13]), 6) * 8000
            samples = memoryview(file.readframes(file.getnframes())).cast("h")
        assert 5000 < max(samples) < 20_000
    files = [path for path in Path(office.recordings).rglob("*") if path.is_file()]
    assert len(files) == 40


def test_office_is_the_same_again(tmp_path: Path) -> None:
    """The same seed and now write the same bytes, over what was there; another seed writes others."""

    def contents(folder: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }

    write_office(tmp_path / "a", calls=60, days=2, now=NOW)
    before = contents(tmp_path / "a")
    write_office(str(tmp_path / "a"), calls=60, days=2, now=NOW.astimezone(ZoneInfo("Asia/Tokyo")))
    assert contents(tmp_path / "a") == before
    write_office(tmp_path / "b", calls=60, days=2, now=NOW, seed=2)
    assert contents(tmp_path / "b") != before


@settings(max_examples=25, deadline=None)
@given(calls=st.integers(1, 40), days=st.integers(1, 20), seed=st.integers(0, 2**64 - 1))
def test_office_of_any_size(
    tmp_path_factory: pytest.TempPathFactory, calls: int, days: int, seed: int
) -> None:
    """However few calls are asked for, that many rows are written, and all have ended."""
    office = write_office(tmp_path_factory.mktemp("any"), calls=calls, days=days, seed=seed, now=NOW)
    rows = lines(office)
    assert len(rows) == office.calls == calls
    assert max(row[11] for row in rows) <= f"{NOW.astimezone(LONDON):%F %T}"


def test_office_ends_now_by_default(tmp_path: Path) -> None:
    """Without *now*, the last day of calls is the one before the current time."""
    office = write_office(tmp_path, calls=30, days=1, timezone="UTC")
    last = datetime.fromisoformat(lines(office)[-1][11]).replace(tzinfo=UTC)
    assert timedelta(0) <= datetime.now(UTC) - last < timedelta(days=1)


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        ({"calls": 0}, "calls=0 is not valid"),
        ({"days": 0}, "days=0 is not valid"),
        ({"seed": 0.5}, "seed=0.5 is not valid"),
        ({"now": datetime(2026, 1, 1)}, "now=datetime"),
        ({"now": datetime(1, 1, 2, tzinfo=UTC)}, "now=0001-01-02"),
        ({"timezone": "Nowhere"}, "Nowhere"),
    ],
)
def test_office_refuses_what_cannot_work(tmp_path: Path, chosen: dict[str, Any], named: str) -> None:
    """A value out of range is a ConfigError that names it, and nothing is written."""
    with pytest.raises(ConfigError, match=named):
        write_office(tmp_path / "office", **chosen)
    assert not (tmp_path / "office").exists()


def test_office_where_no_folder_can_be(tmp_path: Path) -> None:
    """A file in the folder's place is a StorageError with its path."""
    taken = tmp_path / "taken"
    taken.write_text("here already")
    with pytest.raises(StorageError, match="taken") as caught:
        write_office(taken, calls=5, now=NOW)
    assert caught.value.url == str(taken)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_office_in_a_folder_that_is_read_only(tmp_path: Path) -> None:
    """A folder that may not be written to is an AccessDeniedError."""
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(AccessDeniedError, match="cannot be written"):
        write_office(tmp_path, calls=5, now=NOW)
