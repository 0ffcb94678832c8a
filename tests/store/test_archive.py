"""Bulk download of warm months: the three formats, resumption, checksums and refusals."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import polars as pl
import pyarrow as pa
import pytest

from cdrkit import CallRecord, Query, Store, open_store
from cdrkit._maintenance import tiering
from cdrkit.errors import ConfigError, CorruptDataError, NotFoundError, QueryError, StorageError
from tests.months import MONTHS, NOW, calls_of, every_file, in_order, inside

MONTH = "2026-05"
IN_MONTH = Query().between("2026-05-01", "2026-06-01").oldest_first()
CSV = pytest.mark.parametrize("format", ["csv.gz", "csv.zst"])


def fill(store: Store) -> list[CallRecord]:
    """Fill *store*, move months to the warm tier, one of them in several files; return that month's calls."""
    odd = calls_of(
        MONTH, each=20, part="-odd", source_name='=1+1, "é😀"\nline', destination="+44 20 7946 0018"
    )
    store.append(calls_of(*MONTHS, each=4) + odd)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiering, "_ROWS_A_WARM_SEGMENT", 6)
        store.maintenance.move_to_warm(now=NOW)
    return list(store.run(IN_MONTH))


@pytest.fixture
def filled(tmp_path: Path) -> Store:
    """Return a store on the local disk with four warm months."""
    store = open_store(tmp_path / "store")
    assert len(fill(store)) == 24
    return store


def unpacked(path: Path) -> bytes:
    """Return the content of a compressed file."""
    if path.name.endswith(".gz"):
        return gzip.decompress(path.read_bytes())
    return pa.CompressedInputStream(io.BytesIO(path.read_bytes()), "zstd").read()


def csv_of(store: Store) -> bytes:
    """Return the month as `Result.write_csv` writes it."""
    buffer = io.BytesIO()
    store.run(IN_MONTH).write_csv(buffer)
    return buffer.getvalue()


def sums_hold(folder: Path, name: str) -> bool:
    """Return whether ``sha256sum --check`` is content with a file of sums."""
    found = subprocess.run(
        ["sha256sum", "--check", "--strict", name], cwd=folder, capture_output=True, check=False
    )
    return found.returncode == 0


def test_months(store: Store) -> None:
    """The warm months are listed with their files, calls and bytes, earliest first; hot ones are not."""
    assert store.archive.months() == []
    fill(store)
    months = store.archive.months()
    assert [(month.month, month.items, month.rows) for month in months] == [
        ("2026-04", 1, 4),
        ("2026-05", 4, 24),
        ("2026-06", 1, 4),
        ("2026-07", 1, 4),
    ]
    segments = [
        s for s in inside(store).log.snapshot().segments.values() if s.path.startswith("month=2026-05/")
    ]
    assert months[1].size_bytes == sum(segment.size_bytes for segment in segments)


def test_parquet(store: Store, tmp_path: Path) -> None:
    """The folder holds the month's files as they are, readable by other tools, and sums that sha256sum checks."""
    made = fill(store)
    dest = tmp_path / "down" / MONTH
    seen: list[tuple[int, int | None]] = []
    assert store.archive.download(
        MONTH, dest, progress=lambda done, total: seen.append((done, total))
    ) == str(dest)
    names = sorted(path.name for path in dest.iterdir())
    assert len(names) == 5
    names.remove("SHA256SUMS")
    assert sums_hold(dest, "SHA256SUMS")
    frame = pl.read_parquet(dest / "*.parquet").sort("start", "call_id")
    assert frame["call_id"].to_list() == [call.call_id for call in made]
    assert frame["source_name"].to_list() == [call.source_name for call in made]
    assert [total for _, total in seen] == [24] * 4
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (24, 24)
    pandas = pytest.importorskip("pandas")
    parts = [pandas.read_parquet(dest / name) for name in names]
    assert sorted(pandas.concat(parts)["call_id"]) == sorted(call.call_id for call in made)


@CSV
def test_csv(store: Store, tmp_path: Path, format: Literal["csv.gz", "csv.zst"]) -> None:
    """The file holds what write_csv gives for the month, oldest first, byte by byte, and its sum is right."""
    fill(store)
    dest = tmp_path / "down" / f"calls.{format}"
    seen: list[tuple[int, int | None]] = []
    store.archive.download(MONTH, dest, format=format, progress=lambda *at: seen.append(at))
    assert unpacked(dest) == csv_of(store)
    assert sorted(os.listdir(dest.parent)) == [dest.name, f"{dest.name}.sha256"]
    assert sums_hold(dest.parent, f"{dest.name}.sha256")
    assert seen[-1] == (24, 24)
    assert seen == sorted(seen)


@pytest.mark.parametrize("tool", ["gzip", "zstd"])
def test_common_tools_read_it(filled: Store, tmp_path: Path, tool: str) -> None:
    """What gzip and zstd unpack is the whole month, though it was written in pieces."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    dest = tmp_path / f"calls.{'csv.gz' if tool == 'gzip' else 'csv.zst'}"
    filled.archive.download(MONTH, dest, format="csv.gz" if tool == "gzip" else "csv.zst")
    done = subprocess.run([tool, "-dc", str(dest)], capture_output=True, check=True)
    assert done.stdout == csv_of(filled)


# -- going on --------------------------------------------------------------------------------------------------


class _CutError(Exception):
    """Raised to end a download in its midst."""


def cut_after(pieces: int) -> Callable[[int, int | None], None]:
    """Return a progress callback that cuts the download off after so many pieces."""
    seen: list[int] = []

    def progress(done: int, total: int | None) -> None:
        seen.append(done)
        if len(seen) == pieces:
            raise _CutError

    return progress


@pytest.mark.parametrize("format", ["parquet", "csv.gz", "csv.zst"])
def test_pieces_that_are_whole_stay(
    filled: Store, tmp_path: Path, format: Literal["parquet", "csv.gz"]
) -> None:
    """After an interruption, complete pieces are not fetched again, and the result is equal."""
    dest, whole = tmp_path / "cut", tmp_path / "whole"
    with pytest.raises(_CutError):
        filled.archive.download(MONTH, dest, format=format, progress=cut_after(2))
    assert format == "parquet" or not dest.exists(), "nothing shows before it is whole"
    folder = dest if format == "parquet" else tmp_path / "cut.parts"
    before = {path.name: path.stat().st_ino for path in folder.iterdir() if path.name != "SHA256SUMS"}
    assert len(before) == 2
    with pytest.raises(_CutError):
        filled.archive.download(MONTH, dest, format=format, progress=cut_after(3))
    after = {path.name: path.stat().st_ino for path in folder.iterdir() if path.name != "SHA256SUMS"}
    assert len(after) == 3
    assert before.items() <= after.items()
    filled.archive.download(MONTH, dest, format=format)
    filled.archive.download(MONTH, whole, format=format)
    if format == "parquet":
        assert every_file(dest) == every_file(whole)
    else:
        assert dest.read_bytes() == whole.read_bytes()
        assert not folder.exists()


@pytest.mark.parametrize("there", [0, 1, 300, None], ids=["nothing", "a byte", "some", "all"])
def test_a_piece_goes_on_where_it_stopped(filled: Store, tmp_path: Path, there: int | None) -> None:
    """Of a file that was cut off in its midst only the rest is fetched."""
    dest = tmp_path / "down"
    dest.mkdir()
    segments = inside(filled).log.snapshot().segments.values()
    segment = min((s for s in segments if s.path.startswith("month=2026-05/")), key=lambda s: s.first)
    source = tmp_path / "store" / "warm" / segment.path
    name = source.name
    data = source.read_bytes()
    kept = len(data) if there is None else there
    (dest / f"{name}.{MONTH}.part").write_bytes(data[:kept])
    source.write_bytes(bytes(kept) + data[kept:])  # what is there already must not be read again
    filled.archive.download(MONTH, dest)
    assert (dest / name).read_bytes() == data
    assert not list(dest.glob("*.part"))
    assert sums_hold(dest, "SHA256SUMS")


@pytest.mark.parametrize("rest", [b"x", b"x" * 10_000, bytes(3_000)], ids=["wrong", "too long", "zeros"])
def test_a_wrong_beginning_is_not_gone_on_from(filled: Store, tmp_path: Path, rest: bytes) -> None:
    """A wrong first part, as after a loss of power, is detected, and the file is fetched again."""
    dest = tmp_path / "down"
    dest.mkdir()
    segments = inside(filled).log.snapshot().segments.values()
    segment = next(s for s in segments if s.path.startswith("month=2026-05/"))
    name = segment.path.rpartition("/")[2]
    (dest / f"{name}.{MONTH}.part").write_bytes(rest)
    filled.archive.download(MONTH, dest)
    assert sums_hold(dest, "SHA256SUMS")
    assert pl.read_parquet(dest / "*.parquet").height == 24
    assert not list(dest.glob("*.part"))


@pytest.mark.parametrize("format", ["parquet", "csv.gz"])
@pytest.mark.parametrize("how", ["flipped", "cut", "gone", "sums gone", "sums damaged"])
def test_a_damaged_piece_is_fetched_again(
    filled: Store, tmp_path: Path, format: Literal["parquet", "csv.gz"], how: str
) -> None:
    """A piece that is not what its sum says, or of which no sum is known, is not taken for whole."""
    dest = tmp_path / "down"
    with pytest.raises(_CutError):
        filled.archive.download(MONTH, dest, format=format, progress=cut_after(3))
    folder = dest if format == "parquet" else tmp_path / "down.parts"
    piece = min(path for path in folder.iterdir() if path.name != "SHA256SUMS")
    data = bytearray(piece.read_bytes())
    if how == "flipped":
        data[len(data) // 2] ^= 1
        piece.write_bytes(data)
    elif how == "cut":
        piece.write_bytes(data[:-1])
    elif how == "gone":
        piece.unlink()
    elif how == "sums gone":
        (folder / "SHA256SUMS").unlink()
    else:
        (folder / "SHA256SUMS").write_bytes(b"\0\xff\n\nnonsense")
    filled.archive.download(MONTH, dest, format=format)
    if format == "parquet":
        assert sums_hold(dest, "SHA256SUMS")
        assert pl.read_parquet(dest / "*.parquet").height == 24
    else:
        assert gzip.decompress(dest.read_bytes()) == csv_of(filled)


@pytest.mark.parametrize("format", ["csv.gz", "csv.zst"])
def test_the_folder_of_pieces_may_be_somebodys(
    filled: Store, tmp_path: Path, format: Literal["csv.gz", "csv.zst"]
) -> None:
    """Where there is a folder of that name already, only pieces are removed from it, also earlier ones."""
    folder = tmp_path / "down.parts"
    folder.mkdir()
    (folder / "mine").write_text("precious")
    (folder / "SHA256SUMS").write_text("0123  mine\n")
    with pytest.raises(_CutError):
        filled.archive.download(MONTH, tmp_path / "down", format=format, progress=cut_after(3))
    assert len([*folder.iterdir()]) > 2
    filled.append(calls_of(MONTH, part="late"))
    filled.maintenance.move_to_warm(now=NOW)
    filled.archive.download(MONTH, tmp_path / "down", format=format)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "mine": "precious",
        "SHA256SUMS": "0123  mine\n",
    }


_KILLED = """
import os, sys
import cdrkit
pieces = iter(range(int(sys.argv[4])))
def progress(done, total):
    if next(pieces, None) is None:
        os._exit(9)
cdrkit.open_store(sys.argv[1]).archive.download("2026-05", sys.argv[2], format=sys.argv[3], progress=progress)
"""


@pytest.mark.parametrize("format", ["parquet", "csv.zst"])
def test_a_killed_download_goes_on(
    filled: Store, tmp_path: Path, format: Literal["parquet", "csv.zst"]
) -> None:
    """A process that dies in the midst leaves nothing that the next one could take for whole wrongly."""
    dest = tmp_path / f"down.{format}"
    arguments = [str(tmp_path / "store"), str(dest), format]
    for pieces in (0, 2):
        done = subprocess.run([sys.executable, "-c", _KILLED, *arguments, str(pieces)], check=False)
        assert done.returncode == 9
    filled.archive.download(MONTH, dest, format=format)
    if format == "parquet":
        assert sums_hold(dest, "SHA256SUMS")
        assert pl.read_parquet(dest / "*.parquet").height == 24
    else:
        assert unpacked(dest) == csv_of(filled)


@pytest.mark.parametrize("format", ["parquet", "csv.gz"])
def test_a_rewritten_month(filled: Store, tmp_path: Path, format: Literal["parquet", "csv.gz"]) -> None:
    """Pieces from before late calls were folded in do not stay among those of now, after a cut or a whole download."""
    dest = tmp_path / "down"
    with pytest.raises(_CutError):
        filled.archive.download(MONTH, dest, format=format, progress=cut_after(2))
    filled.append(calls_of(MONTH, part="-late"))
    filled.maintenance.move_to_warm(now=NOW)
    for _ in range(2):
        filled.archive.download(MONTH, dest, format=format)
        if format == "parquet":
            frame = pl.read_parquet(dest / "*.parquet").sort("start", "call_id")
            assert frame["call_id"].to_list() == [call.call_id for call in filled.run(IN_MONTH)]
            assert sums_hold(dest, "SHA256SUMS")
        else:
            assert gzip.decompress(dest.read_bytes()) == csv_of(filled)


def test_other_files_of_the_folder_stay(filled: Store, tmp_path: Path) -> None:
    """A folder that holds other things, with sums of their own, loses none of them."""
    dest = tmp_path / "down"
    dest.mkdir()
    (dest / "mine.iso").write_bytes(b"mine")
    (dest / "mine.parquet").write_bytes(b"mine")
    digest = hashlib.sha256(b"mine").hexdigest()
    (dest / "SHA256SUMS").write_text(f"{digest}  mine.iso\n{digest}  mine.parquet\n")
    filled.archive.download(MONTH, dest)
    assert (dest / "mine.iso").read_bytes() == (dest / "mine.parquet").read_bytes() == b"mine"
    assert len((dest / "SHA256SUMS").read_text().splitlines()) == 6
    assert sums_hold(dest, "SHA256SUMS")


def test_years_of_few_digits(store: Store, tmp_path: Path) -> None:
    """A stamp that was never set, as year 1 of some systems, is of a month that can be named and downloaded, too."""
    made = [CallRecord(call_id=f"{year}", start=datetime(year, 1, 1, tzinfo=UTC)) for year in (1, 999)]
    store.append(made)
    assert store.maintenance.move_to_warm(now=NOW).months == ("0001-01", "0999-01")
    assert [month.month for month in store.archive.months()] == ["0001-01", "0999-01"]
    store.archive.download("0999-01", tmp_path / "down")
    assert pl.read_parquet(tmp_path / "down" / "*.parquet")["call_id"].to_list() == ["999"]
    assert list(store.run()) == made


def test_months_may_share_a_folder(filled: Store, tmp_path: Path) -> None:
    """A month that is downloaded into another month's folder removes none of its files, also after a rewrite."""
    dest = tmp_path / "down"
    for month in (MONTH, "2026-06"):
        filled.archive.download(month, dest)
    (dest / "month").touch()
    filled.append(calls_of("2026-06", part="-late"))
    filled.maintenance.move_to_warm(now=NOW)
    cut_off = dest / f"{'0' * 12}-{'0' * 32}.parquet.{MONTH}.part"
    cut_off.touch()
    filled.archive.download("2026-06", dest)
    assert cut_off.exists(), "it is of the other month"
    expected = list(filled.run(Query().between("2026-05-01", "2026-07-01").oldest_first()))
    found = pl.read_parquet(dest / "*.parquet").sort("start", "call_id")
    assert found["call_id"].to_list() == [call.call_id for call in expected]
    assert sums_hold(dest, "SHA256SUMS")


def test_parts_from_before_a_rewrite_of_a_month_go(filled: Store, tmp_path: Path) -> None:
    """The beginning of a file that is not the month's any more is not left behind."""
    dest = tmp_path / "down"
    dest.mkdir()
    segments = inside(filled).log.snapshot().segments.values()
    for segment in segments:
        if segment.path.startswith("month=2026-05/"):
            (dest / f"{segment.path.rpartition('/')[2]}.{MONTH}.part").write_bytes(b"PAR1")
    filled.append(calls_of(MONTH, part="-late"))
    filled.maintenance.move_to_warm(now=NOW)
    filled.archive.download(MONTH, dest)
    assert not list(dest.glob("*.part"))
    assert pl.read_parquet(dest / "*.parquet").height == 30
    assert sums_hold(dest, "SHA256SUMS")


@pytest.mark.parametrize("format", ["parquet", "csv.gz"])
def test_a_full_disk(filled: Store, tmp_path: Path, format: Literal["parquet", "csv.gz"]) -> None:
    """A disk that is full makes a StorageError, as elsewhere; once there is room, the download goes on."""
    dest = tmp_path / "down"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (700, hard))
        with pytest.raises(StorageError, match="Make room"):
            filled.archive.download(MONTH, dest, format=format)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    filled.archive.download(MONTH, dest, format=format)
    if format == "parquet":
        assert sums_hold(dest, "SHA256SUMS")
        assert pl.read_parquet(dest / "*.parquet").height == 24
    else:
        assert gzip.decompress(dest.read_bytes()) == csv_of(filled)


# -- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "month", ["2026-5", "2026-13", "2026-00", "202605", "2026-05-01", " 2026-05", "", None, 7]
)
def test_no_such_way_to_write_a_month(filled: Store, tmp_path: Path, month: str) -> None:
    """What is no month is refused."""
    with pytest.raises(QueryError, match="2026-08"):
        filled.archive.download(month, tmp_path / "down")
    assert not (tmp_path / "down").exists()


@pytest.mark.parametrize("month", ["2026-11", "1999-01"])
def test_months_that_are_not_warm(filled: Store, tmp_path: Path, month: str) -> None:
    """A month that is still hot, or of which there are no calls, is named together with those that there are."""
    with pytest.raises(NotFoundError, match=rf"{month} .*2026-04, 2026-05, 2026-06, 2026-07"):
        filled.archive.download(month, tmp_path / "down")
    assert not (tmp_path / "down").exists()
    with pytest.raises(NotFoundError, match="none"):
        open_store(tmp_path / "empty").archive.download(MONTH, tmp_path / "down")


def test_other_things_that_are_refused(filled: Store, tmp_path: Path) -> None:
    """Another format and a URL are refused, with what to give."""
    with pytest.raises(ConfigError, match=r"csv\.gz"):
        filled.archive.download(MONTH, tmp_path / "down", format="csv")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="local path"):
        filled.archive.download(MONTH, "memory://down")


@pytest.mark.parametrize("format", ["parquet", "csv.gz"])
@pytest.mark.parametrize(
    "dest", [io.BytesIO(), b"down", None, 7], ids=["a file", "bytes", "nothing", "a number"]
)
def test_no_place_to_go_to(filled: Store, dest: str, format: Literal["parquet", "csv.gz"]) -> None:
    """What is no path is refused, with what it was."""
    with pytest.raises(ConfigError, match="path"):
        filled.archive.download(MONTH, dest, format=format)


@pytest.mark.parametrize("name", ["down", "down/", ""])
def test_a_csv_needs_a_name(
    filled: Store, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder is no place for the one file of a CSV; that is said before anything is fetched or written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "down").mkdir()
    before = every_file(tmp_path)
    with pytest.raises(ConfigError, match="name of a file"):
        filled.archive.download(MONTH, name, format="csv.gz")
    assert every_file(tmp_path) == before
    assert sorted(os.listdir(tmp_path)) == ["down", "store"]


@pytest.mark.parametrize("format", ["parquet", "csv.gz"])
def test_damage_in_the_store_is_not_handed_on(
    filled: Store, tmp_path: Path, format: Literal["parquet", "csv.gz"]
) -> None:
    """A damaged warm file is named; no result appears that holds something of it."""
    segments = inside(filled).log.snapshot().segments.values()
    segment = max((s for s in segments if s.path.startswith("month=2026-05/")), key=lambda s: s.first)
    path = tmp_path / "store" / "warm" / segment.path
    data = bytearray(path.read_bytes())
    data[8] ^= 1
    path.write_bytes(data)
    for _ in range(2):
        with pytest.raises(CorruptDataError, match=path.name):
            open_store(tmp_path / "store").archive.download(MONTH, tmp_path / "down", format=format)
    assert format == "parquet" or not (tmp_path / "down").exists()
    assert not (tmp_path / "down" / path.name).exists()


def test_the_sum_is_that_of_the_file(filled: Store, tmp_path: Path) -> None:
    """The sum beside a CSV is the SHA-256 of the file as it lies there, and the order is that of time."""
    dest = tmp_path / "calls.csv.gz"
    filled.archive.download(MONTH, os.fspath(dest), format="csv.gz")
    text = (tmp_path / "calls.csv.gz.sha256").read_text()
    assert text == f"{hashlib.sha256(dest.read_bytes()).hexdigest()}  calls.csv.gz\n"
    starts = pl.read_csv(io.BytesIO(gzip.decompress(dest.read_bytes())))["start"].to_list()
    assert starts == sorted(starts)
    assert in_order(list(filled.run(IN_MONTH))) == list(filled.run(IN_MONTH))


@pytest.mark.parametrize("name", ["2026.05", "calls-v1.2", ".archive", "acme.2026-05"])
def test_a_folder_may_have_a_dot(filled: Store, tmp_path: Path, name: str) -> None:
    """A dot that begins no suffix of letters is part of a folder's name."""
    assert filled.archive.download(MONTH, tmp_path / name) == str(tmp_path / name)
    assert (tmp_path / name / "SHA256SUMS").exists()


@pytest.mark.parametrize(
    ("name", "format", "words"),
    [
        ("july.csv", "parquet", r"format='csv\.gz'"),
        ("july.csv.gz", "parquet", r"format='csv\.gz'"),
        ("july.txt", "parquet", "needs a folder"),
        ("july.TSV", "parquet", "needs a folder"),
        ("july.xml", "parquet", "needs a folder"),
        ("july.csv", "csv.gz", r"needs a file name that ends in \.csv\.gz"),
        ("july.csv.gz", "csv.zst", r"needs a file name that ends in \.csv\.zst"),
        ("july.parquet", "csv.gz", r"needs a file name that ends in \.csv\.gz"),
    ],
)
def test_a_suffix_of_another_format(
    filled: Store, tmp_path: Path, name: str, format: str, words: str
) -> None:
    """A name that ends like another format is refused before anything is written."""
    with pytest.raises(ConfigError, match=words):
        filled.archive.download(MONTH, tmp_path / name, format=format)  # type: ignore[arg-type]
    assert not (tmp_path / name).exists()
