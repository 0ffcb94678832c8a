"""Compaction and the move to warm: the segments that move, and no swap for segments with other calls."""

from __future__ import annotations

import calendar
import itertools
import json
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrkit import FIELDS, CallRecord, Query, Store, open_store
from cdrkit._files import open_files
from cdrkit._maintenance import compaction, tiering
from cdrkit._maintenance.compaction import compact_days
from cdrkit._maintenance.fingerprint import Fingerprint
from cdrkit._maintenance.move_report import MoveReport
from cdrkit._maintenance.tiering import move_months
from cdrkit._model import FieldInfo
from cdrkit.errors import ConfigError, CorruptDataError, NotFoundError
from cdrkit.storage.log.segment import Segment
from cdrkit.storage.tiers.hot import HotTier
from cdrkit.storage.tiers.tier import Tier
from cdrkit.storage.tiers.warm import WarmTier
from tests.months import MONTHS, NOW, calls_of, every_file, fewer, in_order, inside, months_in
from tests.strategies import records

_names = itertools.count()


def new_store() -> Store:
    """Return an empty store in memory."""
    return open_store(f"memory://moving-{next(_names)}", region="GB")


def filled(store: Store) -> list[CallRecord]:
    """Fill *store* with eight months of calls, in three appends, and return them in order."""
    whole = calls_of(*MONTHS, each=3)
    store.append(whole[::2])
    store.append(whole[1::2])
    return in_order(whole)


# -- which months move -----------------------------------------------------------------------------------------


def earlier(instant: datetime, months: int) -> datetime:
    """Return the same day and time of the month so many *months* before, or the last day of it: plain calendar."""
    instant = instant.astimezone(UTC)
    year, month = instant.year, instant.month
    for _ in range(months):
        year, month = (year - 1, 12) if month == 1 else (year, month - 1)
    return instant.replace(year=year, month=month, day=min(instant.day, calendar.monthrange(year, month)[1]))


def month_end(instant: datetime) -> datetime:
    """Return when the UTC month of *instant* ends: the first instant that is not in it."""
    instant = instant.astimezone(UTC)
    first = datetime(instant.year, instant.month, 1, tzinfo=UTC)
    return first + timedelta(days=calendar.monthrange(instant.year, instant.month)[1])


# 36 instants about the ends of twelve months, a leap February among them.
BOUNDARIES = [
    datetime(2027 + month // 12, month % 12 + 1, 1, tzinfo=UTC) + timedelta(microseconds=step)
    for month in range(6, 18)
    for step in (-1, 0, 1)
]
NOWS = [
    datetime(2028, month, day, hour, minute, tzinfo=UTC)
    for month, day in [(3, 1), (3, 31), (5, 31), (6, 30), (2, 29), (1, 1)]
    for hour, minute in [(0, 0), (23, 59)]
] + [
    datetime(2028, 3, 1, 1, tzinfo=timezone(timedelta(hours=5))),  # in UTC it still is February
    datetime(2028, 2, 29, 23, tzinfo=timezone(timedelta(hours=-5))),  # in UTC it is March by now
    datetime(2028, 3, 1, tzinfo=UTC) - timedelta(microseconds=1),
]


class TestWindow:
    """A month moves when it ended at least *keep* calendar months ago; nothing younger than that ever does."""

    @pytest.mark.parametrize("keep", range(7))
    def test_every_boundary(self, keep: int) -> None:
        """At month ends of every length, in any zone, just the whole months past the window move."""
        made = [CallRecord(call_id=str(n), start=start) for n, start in enumerate(BOUNDARIES)]
        store = new_store()
        store.append(made)
        for now in sorted(NOWS):
            store.maintenance.move_to_warm(now=now, keep_months=keep)
            parts = inside(store)
            moved = [
                start
                for segment in parts.log.snapshot().segments.values()
                if segment.tier == "warm"
                for start in parts.warm.read(segment, ["start"])["start"]
            ]
            # By the dates alone; where the month before is shorter, its last day counts for the missing ones.
            expected = [call.start for call in made if month_end(call.start) <= earlier(now, keep)]
            assert sorted(moved) == expected, now
            assert all(start < earlier(now, keep) for start in moved), now
        assert list(store.run()) == in_order(made)

    @fewer
    @given(
        st.lists(
            records(st.datetimes(datetime(2027, 1, 1), datetime(2028, 6, 1), timezones=st.just(UTC))),
            max_size=8,
        ),
        st.datetimes(datetime(2027, 6, 1), datetime(2028, 7, 1), timezones=st.just(UTC)),
        st.integers(0, 6),
    )
    def test_any_instant(self, made: list[CallRecord], now: datetime, keep: int) -> None:
        """For any calls and any instant the months in the warm tier are those that the calendar says."""
        store = new_store()
        store.append(made)
        report = store.maintenance.move_to_warm(now=now, keep_months=keep)
        expected = {f"{c.start:%Y-%m}" for c in made if month_end(c.start) <= earlier(now, keep)}
        assert set(report.months) == expected == set(months_in(store, "warm"))
        assert set(months_in(store, "hot")) == {f"{c.start:%Y-%m}" for c in made} - expected

    @pytest.mark.parametrize("keep", [-1, 1.0, True, "3", None, 10**5, 10**9])
    def test_no_such_window(self, keep: object) -> None:
        """A window that is no whole number of months, or begins before all calendars, is refused."""
        store = new_store()
        filled(store)
        with pytest.raises(ConfigError, match="keep"):
            store.maintenance.move_to_warm(now=NOW, keep_months=keep)  # type: ignore[arg-type]


# -- roll-over -------------------------------------------------------------------------------------------------


def test_rollover_says_what_it_did(store: Store) -> None:
    """The report names months, calls and segments, the answers stay, and the months lie in the archive."""
    made = filled(store)
    report = store.maintenance.move_to_warm(now=NOW, keep_months=3)
    assert report.months == ("2026-04", "2026-05", "2026-06", "2026-07")
    assert (report.rows, report.read, report.written, report.skipped) == (12, 12, 4, ())
    assert list(store.run()) == made
    assert months_in(store, "hot") == ["2026-08", "2026-09", "2026-10", "2026-11"]
    assert [(month.month, month.rows) for month in store.archive.months()] == [(m, 3) for m in report.months]
    assert store.maintenance.verify().ok


def test_rollover_again_does_nothing() -> None:
    """A second roll-over finds nothing to do and makes no version."""
    store = new_store()
    filled(store)
    store.maintenance.move_to_warm(now=NOW, keep_months=3)
    version = inside(store).log.snapshot().version
    assert store.maintenance.move_to_warm(now=NOW, keep_months=3) == MoveReport()
    assert inside(store).log.snapshot().version == version


def test_late_calls_are_folded_in(store: Store) -> None:
    """Calls that come late for a warm month are found at once, and lie in that month after the next roll-over."""
    made = filled(store)
    store.maintenance.move_to_warm(now=NOW, keep_months=3)
    late = calls_of("2026-05", each=5, part="-late")
    assert store.append(late).added == 5
    assert store.append(late).duplicates == 5
    expected = in_order(made + late)
    assert list(store.run()) == expected
    report = store.maintenance.move_to_warm(now=NOW, keep_months=3)
    assert (report.months, report.rows) == (("2026-05",), 8)
    assert list(store.run()) == expected
    assert months_in(store, "hot") == ["2026-08", "2026-09", "2026-10", "2026-11"]
    assert {month.month: month.rows for month in store.archive.months()}["2026-05"] == 8
    assert store.append(late + made).duplicates == len(late + made)
    assert store.maintenance.verify().ok


def test_late_calls_beside_a_month_leave_it_alone(store: Store) -> None:
    """Late calls that lie before all of their month need not have it read or written again."""
    store.append(calls_of("2026-05")[2:])
    store.maintenance.move_to_warm(now=NOW, keep_months=3)
    (before,) = inside(store).log.snapshot().segments
    store.append(calls_of("2026-05")[:2])
    assert store.maintenance.move_to_warm(now=NOW, keep_months=3).rows == 2
    assert before in inside(store).log.snapshot().segments
    assert list(store.run()) == calls_of("2026-05")
    assert store.maintenance.verify().ok


def test_a_warm_call_is_replaced() -> None:
    """on_conflict="replace" reaches calls in the warm tier; the next roll-over brings the newer ones there."""
    store = new_store()
    made = filled(store)
    store.maintenance.move_to_warm(now=NOW, keep_months=3)
    newer = calls_of("2026-06", duration=77)[1:3]
    assert store.append(newer).conflicts == 2
    report = store.append(newer, on_conflict="replace")
    assert (report.added, report.replaced) == (2, 2)
    ids = {call.call_id for call in newer}
    expected = in_order([call for call in made if call.call_id not in ids] + newer)
    assert list(store.run()) == expected
    assert store.maintenance.move_to_warm(now=NOW, keep_months=3).months == ("2026-06",)
    assert list(store.run()) == expected
    assert "2026-06" not in months_in(store, "hot")
    assert store.maintenance.verify().ok


def test_dry_run_changes_nothing(tmp_path: Path) -> None:
    """A dry run says what there is to do and leaves every file as it is."""
    store = open_store(tmp_path)
    filled(store)
    store.append(calls_of("2026-11", part="-more", each=3))
    before = every_file(tmp_path)
    moved, merged = (
        store.maintenance.move_to_warm(now=NOW, keep_months=3, dry_run=True),
        store.maintenance.compact(dry_run=True),
    )
    assert (moved.dry_run, moved.rows, moved.written) == (True, 12, 0)
    assert moved.months == ("2026-04", "2026-05", "2026-06", "2026-07")
    assert (merged.dry_run, merged.rows, merged.read, merged.written) == (True, 6, 6, 0)
    assert every_file(tmp_path) == before
    done = store.maintenance.move_to_warm(now=NOW, keep_months=3)
    assert (done.months, done.rows, done.read) == (moved.months, moved.rows, moved.read)
    done = store.maintenance.compact()
    assert (done.rows, done.read, done.written) == (6, 6, 3)


def test_large_months_are_several_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """A month with more calls than a segment takes is cut in pieces; calls of one instant may lie on both sides."""
    monkeypatch.setattr(tiering, "_ROWS_A_WARM_SEGMENT", 7)
    store = new_store()
    start = datetime(2026, 5, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    made = in_order(
        calls_of("2026-05", each=20) + [CallRecord(call_id=f"{n}", start=start) for n in range(21)]
    )
    store.append(made)
    assert store.maintenance.move_to_warm(now=NOW).written == 5
    assert list(store.run()) == made
    assert list(store.run(Query().newest_first())) == made[::-1]
    assert sum(month.rows for month in store.archive.months()) == 41
    store.append(calls_of("2026-05", each=1, part="-late"))
    store.maintenance.move_to_warm(now=NOW)
    assert store.count() == 42
    assert store.maintenance.verify().ok


@pytest.mark.parametrize("at_once", [1, 3, 40, 400])
def test_calls_of_one_instant_stay_together(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """Segments share no instant, though calls have whole seconds: a page of the newest calls reads one segment."""
    monkeypatch.setattr(tiering, "_ROWS_A_WARM_SEGMENT", 100)
    monkeypatch.setattr(compaction, "_ROWS_A_HOT_SEGMENT", 150)
    store, start = new_store(), datetime(2026, 5, 1, tzinfo=UTC)
    made = [CallRecord(call_id=f"{n:03}", start=start + timedelta(seconds=n // at_once)) for n in range(399)]
    store.append(made[::2])
    store.append(made[1::2])
    for move, pieces in (("compact", 3), ("rollover", 4)):
        store.maintenance.compact() if move == "compact" else store.maintenance.move_to_warm(now=NOW)
        segments = inside(store).log.snapshot().ordered
        if at_once < 50:
            assert all(one.last < other.first for one, other in itertools.pairwise(segments))
        assert len(segments) == pieces
        assert max(segment.rows for segment in segments) <= 190 + at_once
        assert list(store.run()) == made


def test_late_calls_do_not_scatter_a_month(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often few calls come late, a month's segments stay half full, and no two cover the same time."""
    monkeypatch.setattr(tiering, "_ROWS_A_WARM_SEGMENT", 100)
    store, start = new_store(), datetime(2026, 5, 1, tzinfo=UTC)
    made = [CallRecord(call_id=str(n), start=start + timedelta(minutes=n)) for n in range(1000)]
    store.append(made)
    assert store.maintenance.move_to_warm(now=NOW).written == 8
    for number in range(20):
        late = [
            CallRecord(call_id=f"late-{number}-{at}", start=start + timedelta(minutes=at % 999, seconds=30))
            for at in (number * 37, number * 37 + 400)  # in segments with others between them
        ]
        store.append(late)
        assert store.maintenance.move_to_warm(now=NOW).months == ("2026-05",)
        made += late
    segments = inside(store).log.snapshot().ordered
    assert sum(segment.rows for segment in segments) == len(made)
    assert all(one.last < other.first for one, other in itertools.pairwise(segments))
    assert sum(segment.rows < 62 for segment in segments) <= 2  # calls that came between two segments
    assert list(store.run()) == in_order(made)
    assert store.maintenance.verify().ok


# -- side by side ----------------------------------------------------------------------------------------------


def test_two_rollovers_side_by_side(tmp_path: Path) -> None:
    """Without any lease, roll-overs that run at once move each month once and lose nothing."""
    store = open_store(tmp_path)
    made = filled(store)
    reports: list[MoveReport] = []
    together = threading.Barrier(3)

    def work() -> None:
        parts = inside(open_store(tmp_path))
        together.wait()
        reports.append(move_months(parts.log, parts.tiers, parts.hot, parts.warm, now=NOW, keep_months=3))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(open_store(tmp_path).run()) == made
    moved = [month for report in reports for month in report.months]
    assert sorted(moved) == ["2026-04", "2026-05", "2026-06", "2026-07"]
    assert sum(report.rows for report in reports) == 12
    assert len(inside(store).log.snapshot().segments) == 4 + 12
    verified = open_store(tmp_path).maintenance.verify()
    assert verified.ok
    assert verified.orphans == 12, "only the hot files that were moved; what lost the race is gone"


def test_a_month_that_changes_meanwhile_is_left(tmp_path: Path) -> None:
    """A month in which a call is replaced while it moves stays for the next time; nothing of the attempt remains."""
    store = open_store(tmp_path)
    made = filled(store)
    parts = inside(store)

    class Disturbed(WarmTier):
        """A warm tier in whose first write another writer is faster."""

        disturbed = False

        def write(self, frame: pl.DataFrame, region: str | None) -> Segment:
            if not Disturbed.disturbed:
                Disturbed.disturbed = True
                store.append(calls_of("2026-04", duration=9)[:1], on_conflict="replace")
            return super().write(frame, region)

    warm = Disturbed(open_files(tmp_path / "warm"))
    report = move_months(parts.log, {"hot": parts.hot, "warm": warm}, parts.hot, warm, now=NOW, keep_months=3)
    assert report.skipped == ("2026-04",)
    assert report.months == ("2026-05", "2026-06", "2026-07")
    assert not list(tmp_path.glob("warm/month=2026-04/*"))
    expected = in_order(calls_of("2026-04", duration=9)[:1] + made[1:])
    assert list(store.run()) == expected
    assert store.maintenance.move_to_warm(now=NOW, keep_months=3).months == ("2026-04",)
    assert list(store.run()) == expected


def test_readers_keep_to_their_version() -> None:
    """A result from before reads on during and after compaction and roll-over, and so does one half read."""
    store = new_store()
    made = filled(store)
    store.append(calls_of("2026-11", part="-x"))
    expected = in_order(made + calls_of("2026-11", part="-x"))
    held, half = store.run(), iter(store.run())
    seen = [next(half) for _ in range(3)]
    store.maintenance.compact()
    assert list(held) == expected
    store.maintenance.move_to_warm(now=NOW, keep_months=3)
    store.append(calls_of("2026-05", part="-y"))
    store.maintenance.move_to_warm(now=NOW, keep_months=0)
    assert list(held) == expected
    assert held.count() == len(expected)
    assert [*seen, *half] == expected


# -- compaction ------------------------------------------------------------------------------------------------


def test_compact_merges_each_day() -> None:
    """Small segments of a day become one; a day that has one already, and what is warm, stay."""
    store = new_store()
    for part in range(4):
        store.append(calls_of("2026-10", "2026-11", part=f"-{part}")[part // 3 :])
    expected = list(store.run())
    report = store.maintenance.compact()
    assert (report.rows, report.read, report.written, report.months) == (47, 47, 12, ())
    assert list(store.run()) == expected
    assert store.maintenance.compact() == MoveReport(compaction=True)
    store.maintenance.move_to_warm(now=NOW, keep_months=0)
    assert store.maintenance.compact() == MoveReport(compaction=True)
    assert list(store.run()) == expected
    assert store.maintenance.verify().ok


@fewer
@given(
    st.lists(st.lists(records(), min_size=1, max_size=8), min_size=1, max_size=5),
    st.lists(st.sampled_from(["compact", "rollover", "replace"]), max_size=4),
)
def test_moving_changes_no_answer(batches: list[list[CallRecord]], steps: list[str]) -> None:
    """Whatever moves, in whatever order, the store holds the same calls, each once."""
    store, kept = new_store(), dict[object, CallRecord]()
    later = NOW + timedelta(days=100)
    for number, batch in enumerate(batches):
        store.append(batch, on_conflict="replace")
        kept |= {(call.start, call.call_id): call for call in batch}
        step = steps[number] if number < len(steps) else ""
        if step == "compact":
            store.maintenance.compact()
        elif step == "rollover":
            store.maintenance.move_to_warm(now=later, keep_months=0)
        elif step == "replace":
            store.append(batch[::-1], on_conflict="replace")
            kept |= {(call.start, call.call_id): call for call in batch[::-1]}
        assert list(store.run()) == in_order(list(kept.values()))
    assert store.maintenance.verify().problems == ()


# -- what is read back -----------------------------------------------------------------------------------------


def _without_last(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.head(frame.height - 1)


def _one_twice(frame: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([frame.head(1), frame.head(frame.height - 1)])


def _one_value(frame: pl.DataFrame) -> pl.DataFrame:
    last = pl.int_range(pl.len()) == pl.len() - 1
    return frame.with_columns(
        duration=pl.when(last).then(1).otherwise("duration").cast(frame.schema["duration"])
    )


def _one_lost_value(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(source=pl.lit(None, pl.String))


def _values_swapped(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(duration=frame["duration"].reverse())


WRONG = [_without_last, _one_twice, _one_value, _one_lost_value, _values_swapped]


@pytest.mark.parametrize("change", WRONG)
@pytest.mark.parametrize("move", ["compact", "rollover"])
def test_what_is_not_the_same_is_not_swapped(tmp_path: Path, change: object, move: str) -> None:
    """When a tier keeps other rows than it was given, the move stops: no version, no file, no call is different."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05", each=12)[::2])
    store.append(calls_of("2026-05", each=12)[1::2])
    store.append(calls_of("2026-05", each=12, part="-b", duration=3))
    parts = inside(store)
    expected, before = list(store.run()), every_file(tmp_path)

    def spoil(tier: type[HotTier | WarmTier], folder: str) -> Tier:
        class Spoiling(tier):  # type: ignore[misc,valid-type]
            """A tier that writes something else."""

            def write(self, frame: pl.DataFrame, region: str | None) -> Segment:
                return super().write(change(frame), region)  # type: ignore[operator,no-any-return]

        made: Tier = Spoiling(open_files(tmp_path / folder))
        return made

    def run() -> None:
        if move == "compact":
            hot = spoil(HotTier, "hot")
            compact_days(parts.log, {"hot": hot, "warm": parts.warm}, hot)
        else:
            warm = spoil(WarmTier, "warm")
            move_months(parts.log, {"hot": parts.hot, "warm": warm}, parts.hot, warm, now=NOW, keep_months=3)

    with pytest.raises(CorruptDataError, match="store is unchanged"):
        run()
    assert every_file(tmp_path) == before
    assert list(store.run()) == expected
    assert store.maintenance.move_to_warm(now=NOW).rows == 24
    assert list(store.run()) == expected


def full_calls(count: int) -> list[CallRecord]:
    """Return calls of one month in order, with every field filled, and no two neighbours alike in any."""
    start = datetime(2026, 5, 3, tzinfo=UTC)

    def value(info: FieldInfo, number: int) -> object:
        if info.choices:
            return info.choices[number % len(info.choices)]
        if info.type == pa.timestamp("us", tz="UTC"):
            return start + timedelta(minutes=number)
        if info.name == "currency":
            return ("GBP", "EUR", "USD")[number % 3]
        if info.name == "extra":
            return json.dumps({"n": number})
        return f"{info.name}-{number:04}" if info.is_text else 1 + number % 4

    return [CallRecord(**{name: value(FIELDS[name], n) for name in FIELDS}) for n in range(count)]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("how", ["lost", "gone", "swapped", "moved"])
def test_any_column_of_a_warm_file_counts(name: str, how: str) -> None:
    """Whatever column of a warm file is not what the hot one had, for one call or for all, nothing is swapped."""
    store = new_store()
    made = full_calls(12)
    store.append(made)
    parts = inside(store)
    before = set(parts.log.snapshot().segments)

    class Spoiling(WarmTier):
        """A warm tier whose file has one column that is not right."""

        def write(self, frame: pl.DataFrame, region: str | None) -> Segment:
            column = frame[name]
            last = pl.int_range(frame.height, eager=True) == frame.height - 1
            nothing = pl.Series(name, [None], dtype=column.dtype).new_from_index(0, frame.height)
            if name in ("start", "call_id") and how in ("lost", "gone"):
                frame = frame.tail(-1)  # these are never absent
            elif how == "lost":
                frame = frame.with_columns(nothing.zip_with(last, column))
            elif how == "gone":
                frame = frame.drop(name)
            elif how == "swapped":
                frame = frame.with_columns(column.reverse())
            else:
                frame = frame.with_columns(column.gather([1, *range(1, frame.height)]))
            return super().write(frame, region)

    warm = Spoiling(open_files(f"memory://moving-{next(_names)}/warm"))
    with pytest.raises(CorruptDataError, match="store is unchanged"):
        move_months(parts.log, {"hot": parts.hot, "warm": warm}, parts.hot, warm, now=NOW, keep_months=3)
    assert list(warm.list_segments()) == []
    assert set(parts.log.snapshot().segments) == before
    assert list(store.run()) == made


@pytest.mark.parametrize("at", [4, 0.25, 0.5, 0.75, -200, -1], ids=str)
@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_a_warm_file_that_is_damaged_is_not_swapped_in(tmp_path: Path, at: float, how: str) -> None:
    """Bytes that do not come back as they were written stop the roll-over; every call stays in the hot tier."""
    store = open_store(tmp_path)
    made = full_calls(60)
    store.append(made)
    parts = inside(store)
    expected = every_file(tmp_path)

    class Damaging(WarmTier):
        """A warm tier on a disk that does not keep what it was given."""

        def write(self, frame: pl.DataFrame, region: str | None) -> Segment:
            segment = super().write(frame, region)
            path = tmp_path / "warm" / segment.path
            data = bytearray(path.read_bytes())
            place = int(at * len(data)) if isinstance(at, float) else at
            if how == "gone":
                path.unlink()
            elif how == "cut":
                path.write_bytes(data[:place])
            else:
                data[place] ^= 0x55
                path.write_bytes(data)
            return segment

    warm = Damaging(open_files(tmp_path / "warm"))
    with pytest.raises((CorruptDataError, NotFoundError)):
        move_months(parts.log, {"hot": parts.hot, "warm": warm}, parts.hot, warm, now=NOW, keep_months=3)
    assert every_file(tmp_path) == expected
    assert list(open_store(tmp_path).run()) == made
    assert store.maintenance.move_to_warm(now=NOW).rows == 60
    assert list(store.run()) == made


class TestFingerprint:
    """Rows have the same fingerprint when they are the same, in whatever order and frames, and only then."""

    @fewer
    @given(
        st.lists(records(), min_size=1, max_size=8, unique_by=lambda r: (r.start, r.call_id)), st.randoms()
    )
    def test_order_and_cut_do_not_matter(self, made: list[CallRecord], random: object) -> None:
        """Shuffled and cut in two, the rows keep their fingerprint."""
        frame = _frame(made)
        other = frame.sample(fraction=1, shuffle=True, seed=random.randrange(99))  # type: ignore[attr-defined]
        cut = random.randrange(frame.height + 1)  # type: ignore[attr-defined]
        assert Fingerprint.of([frame]) == Fingerprint.of([other.head(cut), other.slice(cut)])

    @fewer
    @given(
        st.lists(records(), min_size=1, max_size=4, unique_by=lambda r: (r.start, r.call_id)),
        st.lists(records(), min_size=1, max_size=4, unique_by=lambda r: (r.start, r.call_id)),
    )
    def test_other_rows_have_another(self, one: list[CallRecord], other: list[CallRecord]) -> None:
        """Two sets of calls share a fingerprint just when they are equal."""
        same = in_order(one) == in_order(other)
        assert (Fingerprint.of([_frame(one)]) == Fingerprint.of([_frame(other)])) is same


def _frame(made: Sequence[CallRecord]) -> pl.DataFrame:
    from cdrkit._model import frames_of

    return pl.concat(list(frames_of(list(made))), how="diagonal").select(pl.all())
