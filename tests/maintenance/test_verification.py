"""Verification: every damage, gap and repeat is found, and an orphan is not a problem."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import attrs
import polars as pl
import pytest

from cdrkit import Store, open_store
from cdrkit._maintenance.verification import verify_store
from cdrkit._model import FIELDS
from cdrkit.storage.log.log import Log
from cdrkit.storage.log.segment import Segment
from tests.maintenance.segments import HOUR, flip_byte
from tests.months import calls_of, inside


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


@pytest.mark.parametrize("damage", [flip_byte, _cut, _lengthen, Path.unlink])
@pytest.mark.parametrize(
    "kind", ["hot/day=*/*.arrow", "warm/month=*/*.parquet", "hot/_log/checkpoint-*.json"]
)
def test_damage_is_found(verified: Store, tmp_path: Path, kind: str, damage: Callable[[Path], None]) -> None:
    """A file with a changed byte, one too few, one too many, or none at all, is named, though its content is cached."""
    path = max(tmp_path.glob(kind))
    damage(path)
    report = verified.maintenance.verify()
    if kind.startswith("hot/_log") and damage is Path.unlink:
        assert report.ok, "its commits are still there"
        return
    assert not report.ok
    assert len(report.problems) == 1
    assert path.name in report.problems[0]
    if kind.startswith("hot/_log"):
        assert (report.version, report.segments, report.rows) == (-1, 0, 0)


def test_every_damaged_segment_is_named(verified: Store, tmp_path: Path) -> None:
    """One damaged file does not hide another."""
    paths = [*tmp_path.glob("hot/day=*/*.arrow"), *tmp_path.glob("warm/month=*/*.parquet")]
    for path in paths:
        flip_byte(path)
    report = verified.maintenance.verify()
    assert len(report.problems) == len(paths) == 7
    assert all(any(path.name in problem for problem in report.problems) for path in paths)


def test_a_gap_in_the_log_is_found(tmp_path: Path) -> None:
    """A commit that is gone, or damaged, is named."""
    store = open_store(tmp_path)
    for part in range(3):
        store.append(calls_of("2026-06", part=f"-{part}"))
    commits = sorted(tmp_path.glob("hot/_log/0*.json"))
    data = commits[2].read_bytes()
    commits[2].unlink()
    (problem,) = store.maintenance.verify().problems
    assert commits[2].name in problem
    commits[2].write_bytes(data.replace(b'"append"', b'"appenD"'))
    (problem,) = store.maintenance.verify().problems
    assert commits[2].name in problem
    commits[2].write_bytes(data)
    assert store.maintenance.verify().ok


def _frame(store: Store) -> tuple[Segment, pl.DataFrame]:
    """Return a segment of *store*, and the calls of a day of their own that it does not have."""
    parts = inside(store)
    segment = next(s for s in parts.log.snapshot().segments.values() if s.tier == "hot")
    frame = pl.concat([parts.hot.read(segment, [*FIELDS])] * 4)
    start = pl.lit(datetime(2026, 12, 1, tzinfo=UTC)).dt.cast_time_unit("us") + pl.duration(
        minutes=pl.int_range(4)
    )
    return segment, frame.with_columns(start=start)


@pytest.mark.parametrize("tier", ["hot", "warm"])
def test_what_a_segment_says_wrongly_is_found(verified: Store, tier: str) -> None:
    """Calls out of order, another count, another range, and calls stored twice are found in whole files as well."""
    parts = inside(verified)
    _, frame = _frame(verified)
    place = parts.tiers[tier]
    good = place.write(frame, "GB")
    cases = {
        "not in chronological order": place.write(frame[[0, 2, 1, 3]], "GB"),
        good.id: attrs.evolve(good, rows=3),
        "first or last call": attrs.evolve(place.write(frame, "GB"), last=good.last + HOUR),
        "stored more than once": place.write(frame[[0, 1, 1, 3]], "GB"),
    }
    for words, segment in cases.items():
        log = Log(parts.files)
        assert log.commit(log.snapshot(), "append", added=[segment]) is not None
        report = verify_store(log, parts.tiers)
        assert len(report.problems) == 1, words
        assert words in report.problems[0]
        assert log.commit(log.snapshot(), "compact", removed=[segment.id]) is not None
        assert verify_store(log, parts.tiers).ok


def test_calls_in_two_segments_are_found(verified: Store) -> None:
    """A call that is stored in two segments, of one tier or of both, is found and counted."""
    parts = inside(verified)
    _, frame = _frame(verified)
    log = Log(parts.files)
    for other, repeated in ((parts.hot, frame[1:3]), (parts.warm, frame[3:])):
        twice = other.write(repeated, "GB")
        base = log.commit(log.snapshot(), "append", added=[parts.hot.write(frame, "GB"), twice])
        assert base is not None
        (problem,) = verify_store(log, parts.tiers).problems
        assert f"{repeated.height} calls are stored more than once" in problem
        gone = [s.id for s in base.segments.values() if s.first >= datetime(2026, 12, 1, tzinfo=UTC)]
        assert log.commit(base, "compact", removed=gone) is not None


def test_a_log_that_is_gone_is_found(verified: Store, tmp_path: Path) -> None:
    """Segments without any log are a problem: the log was lost. An empty place is not a problem."""
    shutil.rmtree(tmp_path / "hot" / "_log")
    report = open_store(tmp_path).maintenance.verify()
    assert (report.ok, report.version, report.orphans) == (False, -1, 7)
    (problem,) = report.problems
    assert "7 segments" in problem
    assert "rebuild_log()" in problem
    assert open_store(tmp_path / "empty").maintenance.verify().ok


def test_a_tier_that_is_not_there_is_found(verified: Store) -> None:
    """Segments of a tier that the store was opened without are named."""
    parts = inside(verified)
    (problem,) = verify_store(parts.log, {"hot": parts.hot}).problems
    assert "'warm'" in problem


def test_orphans_are_counted_and_no_problem(verified: Store) -> None:
    """Files that no commit names are counted; nothing is wrong with the store because of them."""
    _, frame = _frame(verified)
    for tier in inside(verified).tiers.values():
        tier.write(frame, "GB")
    report = verified.maintenance.verify()
    assert report.ok
    assert report.orphans == 2
