"""Loss of power at any step: flushed content is kept, and no acknowledged call is lost."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from cdrkit import open_store
from tests.crash.model import (
    FAR,
    STEPPED,
    Operation,
    Runs,
    State,
    after,
    log_of,
    perform,
)
from tests.crash.power import FATES, Disk, Image, write_image
from tests.crash.test_kill import check_after_kill

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc shows what is flushed")


def power_fails(source: Path, before: State, operation: Operation, tmp_path: Path, runs: Runs) -> list[str]:
    """Do *operation* on a copy of *source*; at each of its steps let power fail, and look; return the steps."""
    folder, steps = tmp_path / "store", list[str]()
    shutil.copytree(source, folder)
    store, log = open_store(folder), log_of(folder)
    pulled: dict[tuple[Image, int], str] = {}  # most steps leave what the one before it leaves, too

    def pull(what: str, states: list[State]) -> None:
        steps.append(what)
        for fate in FATES:
            story = f"{operation}, power failed after {what}; of the rest {fate}"
            pulled.setdefault((disk.image(fate), len(states)), story)

    states = [before, after(before, operation)]
    disk = Disk(folder, lambda what: pull(what, states))
    with pytest.MonkeyPatch.context() as patch:
        disk.install(patch)
        perform(store, log, operation)
        pull("it returned", states[1:])
    # All that is acknowledged is looked at; of the others, as many as there is time for.
    under_way, returned = ([key for key in pulled if key[1] == number] for number in (2, 1))
    for key in [*runs.some(under_way, 3), *returned]:
        image, story = tmp_path / "image", pulled[key]
        write_image(key[0], image)
        possible = states[-key[1] :]
        if operation[0] == "rebuild" and not open_store(image).exists:
            open_store(image).maintenance.rebuild_log()
        check_after_kill(image, possible, story)
        shutil.rmtree(image)
    return steps


@pytest.mark.parametrize("name", STEPPED)
def test_power_fails(name: str, template: tuple[Path, State], tmp_path: Path, runs: Runs) -> None:
    """Power that fails at any step of any operation leaves what was before it or after it; when it returned, after."""
    steps = power_fails(*template, STEPPED[name], tmp_path, runs)
    assert any("fsync" in step for step in steps)


def test_power_fails_while_a_store_is_made(tmp_path: Path, runs: Runs) -> None:
    """The same of the first append of all, which makes the folders."""
    (tmp_path / "none").mkdir()
    steps = power_fails(tmp_path / "none", {}, ["append", 35], tmp_path, runs)
    assert sum("mkdir" in step for step in steps) == 5  # hot, its log, three days


def test_power_fails_while_a_lost_log_is_rebuilt(
    template: tuple[Path, State], tmp_path: Path, runs: Runs
) -> None:
    """The same of a rebuild: the new log is whole or not there."""
    source = tmp_path / "source"
    shutil.copytree(template[0], source)
    open_store(source).maintenance.vacuum(now=FAR)
    shutil.rmtree(source / "hot" / "_log")
    assert power_fails(source, template[1], ["rebuild"], tmp_path, runs)
