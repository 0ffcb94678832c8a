"""Damaged files: correct rows or an error that names the file, never wrong rows; verification finds all damage."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cdrkit import Query, Store, open_store
from cdrkit.errors import CorruptDataError, NotFoundError, StorageError
from tests.crash.model import Runs, State, calls_of, log_of

#: Kinds of files: where they lie, and which of them it is: the first or the last by name.
KINDS = {
    "commit": ("hot/_log/[0-9]*.json", -1),
    "commit that a checkpoint made superfluous": ("hot/_log/[0-9]*.json", 0),
    "checkpoint": ("hot/_log/checkpoint-*.json", -1),
    "older checkpoint": ("hot/_log/checkpoint-*.json", 0),
    "hot segment": ("hot/day=*/*.arrow", -1),
    "warm segment": ("warm/month=*/*.parquet", -1),
    "index of a hot segment": ("hot/day=*/*.index", -1),
    "index of a warm segment": ("warm/_index/month=*/*.index", -1),
}
SEGMENTS = [kind for kind in KINDS if "segment" in kind]

QUERIES: list[Callable[[Store], object]] = [
    lambda store: list(store.run()),
    lambda store: store.count(),
    lambda store: store.run(Query().columns("call_id", "charge").newest_first()).to_polars().rows(),
    lambda store: store.count(Query().connected()),
    lambda store: [call.call_id for call in store.run(Query().switch("switch-1"))],
    lambda store: store.run(Query().number("+442079400004")).count(),
    lambda store: list(store.run(Query().number(["+442079400004", "+442079400050"]))),
    lambda store: store.count(Query().number("+4420794*")),
    lambda store: store.daily_totals().to_polars().rows(),
]


@pytest.fixture
def damaged(template: tuple[Path, State], tmp_path: Path) -> tuple[Path, list[object]]:
    """Return a store with files of every kind, to be damaged, and the right answers of all queries."""
    source, held = template
    folder = tmp_path / "store"
    shutil.copytree(source, folder)
    log = log_of(folder)
    log.checkpoint(log.snapshot())
    store = open_store(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cdrkit.storage.tiers.hot.INDEXED_ROWS", 1)
        store.append(calls_of({50: 0}))
    state = {**held, 50: 0}
    # The segments that come last by name, whatever their random ids are: no other lies on those days.
    used = {segment.path.rpartition(".")[0] for segment in log.snapshot().segments.values()}
    for tier in ("hot", "warm"):
        for path in [
            p
            for p in (folder / tier).rglob("*=*/*")
            if str(p.relative_to(folder / tier).with_suffix("")).removeprefix("_index/") not in used
        ]:
            path.unlink()
    assert list(store.run()) == calls_of(state)
    assert store.maintenance.verify().ok
    return folder, [query(store) for query in QUERIES]


def one_of(folder: Path, kind: str) -> Path:
    """Return the file of that *kind*."""
    pattern, at = KINDS[kind]
    return sorted(folder.glob(pattern))[at]


def check_damage(
    folder: Path, path: Path, truths: list[object], story: str, *, also: Path | None = None
) -> bool:
    """Check every query, and the verification; return whether any query was refused."""
    refused = False
    names = [path.name] if also is None else [path.name, also.name]
    asked = QUERIES if path.suffix != ".json" else QUERIES[:1]  # the log is read whole by each of them
    for number, query in enumerate(asked):
        try:
            assert query(open_store(folder)) == truths[number], f"wrong rows from query {number}: {story}"
        except (CorruptDataError, NotFoundError) as exc:
            refused = True
            assert any(name in str(exc) and name in str(exc.url) for name in names), story
    report = open_store(folder).maintenance.verify()
    assert not report.ok, story
    for name in names:
        assert any(name in problem for problem in report.problems), (report.problems, story)
    return refused


@pytest.mark.parametrize("kind", KINDS)
def test_flipped_byte(kind: str, damaged: tuple[Path, list[object]], runs: Runs) -> None:
    """Any byte of any file changed: right rows or CorruptDataError with its name; verification names it."""
    folder, truths = damaged
    path = one_of(folder, kind)
    whole = path.read_bytes()
    rng = random.Random(runs.seed)
    ends = [0, len(whole) // 2, len(whole) - 5, len(whole) - 1]
    refused = 0
    for at in [*ends, *rng.sample(range(len(whole)), min(runs.of(1, 400), len(whole)))]:
        changed = rng.randrange(1, 256)
        data = bytearray(whole)
        data[at] ^= changed
        path.write_bytes(data)
        refused += check_damage(folder, path, truths, f"byte {at} of {path} changed by {changed}")
    assert refused or "superfluous" in kind or "older" in kind
    path.write_bytes(whole)
    assert open_store(folder).maintenance.verify().ok


@pytest.mark.parametrize("kind", KINDS)
def test_cut_off(kind: str, damaged: tuple[Path, list[object]], runs: Runs) -> None:
    """Any file that lost its end: right rows or CorruptDataError with its name; verification names it."""
    folder, truths = damaged
    path = one_of(folder, kind)
    whole = path.read_bytes()
    rng = random.Random(runs.seed)
    for size in [0, len(whole) - 1, *rng.sample(range(len(whole)), runs.of(1, 50))]:
        path.write_bytes(whole[:size])
        check_damage(folder, path, truths, f"{path} cut off after {size} bytes")


@pytest.mark.parametrize("kind", SEGMENTS)
def test_lost_segment(kind: str, damaged: tuple[Path, list[object]]) -> None:
    """A segment that is gone is named; what does not need it is answered."""
    folder, truths = damaged
    path = one_of(folder, kind)
    path.unlink()
    assert check_damage(folder, path, truths, f"{path} removed")


@pytest.mark.parametrize("pattern", sorted({pattern for pattern, _ in KINDS.values()}))
def test_exchanged_files(pattern: str, damaged: tuple[Path, list[object]]) -> None:
    """Two whole files of a kind that took each other's place are damaged, both of them."""
    folder, truths = damaged
    first, *_, last = sorted(folder.glob(pattern))
    one, other = first.read_bytes(), last.read_bytes()
    first.write_bytes(other)
    last.write_bytes(one)
    check_damage(folder, first, truths, f"{first} and {last} exchanged", also=last)
    first.write_bytes(one)
    last.write_bytes(other)
    assert open_store(folder).maintenance.verify().ok


def test_damage_is_not_spread(damaged: tuple[Path, list[object]]) -> None:
    """Maintenance that meets a damaged segment leaves the store as it was, and says which file it is."""
    folder, truths = damaged
    for kind in SEGMENTS:
        path = one_of(folder, kind)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] + b"!" + whole[len(whole) // 2 + 1 :])
        store = open_store(folder)
        for job in (store.maintenance.compact, store.maintenance.move_to_warm):
            try:
                job()
            except StorageError as exc:
                assert path.name in str(exc)
        assert one_of(folder, kind) == path, "it is still needed"
        path.write_bytes(whole)
        assert [query(open_store(folder)) for query in QUERIES] == truths
        assert open_store(folder).maintenance.verify().ok


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "older" not in kind and kind != "checkpoint"])
@pytest.mark.parametrize("both", [True, False], ids=["swapped", "one in the place of both"])
def test_mixed_up(kind: str, both: bool, damaged: tuple[Path, list[object]]) -> None:
    """Whole files under each other's names, as a careless restore leaves them, are refused and named."""
    folder, truths = damaged
    paths = sorted(folder.glob(KINDS[kind][0]))
    one, other = paths[:2] if "superfluous" in kind else paths[-2:]
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    if both:
        other.write_bytes(first)
    names = {one.name, other.name}
    refused = False
    for number, query in enumerate(QUERIES):
        try:
            assert query(open_store(folder)) == truths[number], f"wrong rows from query {number}"
        except CorruptDataError as exc:
            refused = True
            assert any(name in str(exc) for name in names)
    assert refused or "commit" in kind, "a checkpoint may hold what it said"
    report = open_store(folder).maintenance.verify()
    assert any(one.name in problem for problem in report.problems)
    assert any(other.name in problem for problem in report.problems) or not both
    other.write_bytes(second)
    one.write_bytes(first)
    assert [query(open_store(folder)) for query in QUERIES] == truths
