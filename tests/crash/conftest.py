"""The extent of the crash tests: a sample, or all when the environment variable CDRKIT_CRASH is ``full``."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.crash.model import Runs, State, fill


@pytest.fixture(scope="session")
def runs() -> Runs:
    """Return how much of everything is to be done; CDRKIT_CRASH_SEED repeats what was drawn in a full run."""
    full = os.environ.get("CDRKIT_CRASH") == "full"
    seed = os.environ.get("CDRKIT_CRASH_SEED")
    return Runs(full, int(seed) if seed else random.SystemRandom().getrandbits(32) if full else 1)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, State]:
    """Return a store in which every operation has something to do, to be copied, and what it holds."""
    folder = tmp_path_factory.mktemp("template") / "store"
    return folder, fill(folder)
