"""A disk that fills up at any file that any operation writes: refused, as before, and working when there is room."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.crash.model import STEPPED, Runs, State, start


@pytest.mark.parametrize("name", STEPPED)
def test_no_room(name: str, template: tuple[Path, State], tmp_path: Path, runs: Runs) -> None:
    """Whatever cannot be written, the operation is refused and the store as before; with room again, it works."""
    source, held = template
    sample = str(runs.of(1, 0))
    process = start(
        "cramped", str(source), str(tmp_path / "store"), json.dumps(held), json.dumps(STEPPED[name]), sample
    )
    told, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    refused, cases = map(int, told.split())
    assert 0 < refused <= cases
