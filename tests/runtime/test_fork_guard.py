"""Forks: a child that cannot compute gets an error; one that can compute works."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_FORK = """
import os, sys, warnings
from datetime import UTC, datetime
import cdrkit
from cdrkit.errors import ConfigError
warnings.simplefilter("ignore")  # newer Pythons warn of forks where threads are
calls = [cdrkit.CallRecord(call_id="a", start=datetime(2026, 11, 22, tzinfo=UTC), source="2041")]
store = cdrkit.open_store(sys.argv[1])
if sys.argv[2] == "used":
    store.append(calls)
    assert store.count() == 1

def child():
    try:
        if sys.argv[3] == "append":
            store.append(calls)
        print("did", store.count(cdrkit.Query().number("2041")))
    except ConfigError as exc:
        print("refused", "spawn" in str(exc))

def forked(work):
    sys.stdout.flush()
    if (pid := os.fork()) == 0:
        work()
        sys.stdout.flush()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

forked(lambda: forked(child) if sys.argv[4] == "grandchild" else child())
if sys.argv[2] == "used":
    print("parent", store.count())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.parametrize("generation", ["child", "grandchild"])
@pytest.mark.parametrize("work", ["append", "ask"])
def test_after_use(tmp_path_factory: pytest.TempPathFactory, work: str, generation: str) -> None:
    """A process forked from one that had used a store is refused at once, not left waiting; its parent goes on."""
    assert _output_lines(tmp_path_factory, "used", work, generation) == ["refused True", "parent 1"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.parametrize("generation", ["child", "grandchild"])
def test_before_use(tmp_path_factory: pytest.TempPathFactory, generation: str) -> None:
    """A store that was opened, but not used, before the fork works in the child."""
    assert _output_lines(tmp_path_factory, "new", "append", generation) == ["did 1"]


def _output_lines(factory: pytest.TempPathFactory, *arguments: str) -> list[str]:
    folder = str(factory.mktemp("forks"))
    done = subprocess.run(
        [sys.executable, "-c", _FORK, folder, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.splitlines()
