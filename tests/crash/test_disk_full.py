"""A disk that fills up at any file of any operation: it is refused, changes nothing, and works again with room."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdrkit import open_store
from cdrkit.errors import StorageError
from tests.crash.model import FAR, STEPPED, Runs, State, calls_of, start


@pytest.mark.parametrize("name", STEPPED)
def test_no_room(name: str, template: tuple[Path, State], tmp_path: Path, runs: Runs) -> None:
    """Whatever cannot be written, the operation is refused and the store as before; with room again, it works."""
    source, held = template
    sample = str(runs.of(1, 0))
    process = start(
        "full_disk", str(source), str(tmp_path / "store"), json.dumps(held), json.dumps(STEPPED[name]), sample
    )
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    refused, cases = map(int, output.split())
    assert 0 < refused <= cases


@contextlib.contextmanager
def room_of(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond *size* bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 100, 4000])
def test_no_room_for_a_new_log(size: int, template: tuple[Path, State], tmp_path: Path) -> None:
    """A rebuild that finds no room makes no log and loses no call; with room again, it works."""
    folder = tmp_path / "store"
    shutil.copytree(template[0], folder)
    shutil.rmtree(folder / "hot" / "_log")
    with room_of(size), pytest.raises(StorageError, match="Make room"):
        open_store(folder).maintenance.rebuild_log()
    store = open_store(folder)
    assert not store.exists
    assert store.maintenance.rebuild_log() == len(calls_of(template[1]))
    store.maintenance.vacuum(now=FAR)
    assert list(store.run()) == calls_of(template[1])
    assert store.maintenance.verify().ok


@pytest.mark.parametrize("size", [0, 100])
@pytest.mark.parametrize("format", ["parquet", "csv.gz", "csv.zst"])
def test_no_room_for_a_download(size: int, format: str, template: tuple[Path, State], tmp_path: Path) -> None:
    """A download that finds no room says so, and shows nothing as whole; with room again, it is whole."""
    archive = open_store(template[0]).archive
    month = archive.months()[0].month
    dest, sound = tmp_path / "full", tmp_path / "sound"
    with room_of(size), pytest.raises(StorageError, match="Make room"):
        archive.download(month, dest, format=format)  # type: ignore[arg-type]
    assert not dest.is_file()
    for place in (dest, sound):
        archive.download(month, place, format=format)  # type: ignore[arg-type]
    if format == "parquet":
        assert {name: (dest / name).read_bytes() for name in os.listdir(dest)} == {
            name: (sound / name).read_bytes() for name in os.listdir(sound)
        }
    else:
        assert dest.read_bytes() == sound.read_bytes()
