"""Fixtures for the tests of scopes."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

import cdrkit
from cdrkit import Store
from tests.access.tenants import MINE, SECRET, THEIRS


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of recordings, one a call, and a file above it that is not a recording."""
    root = tmp_path_factory.mktemp("sounds")
    (root / "rec").mkdir()
    (root / "secret.wav").write_bytes(b"above the root")
    for record in (*MINE, *THEIRS):
        (root / "rec" / f"{record.call_id}.wav").write_bytes(f"sound of {record.call_id}".encode())
    return root / "rec"


@pytest.fixture(scope="session")
def store(sounds: Path) -> Store:
    """Return a store of two tenants; every call has a recording."""
    made = cdrkit.open_store(
        "memory://attacked", region="GB", recordings=f"{sounds}/{{recording}}", secret=SECRET
    )
    made.append(attrs.evolve(record, recording=f"{record.call_id}.wav") for record in (*MINE, *THEIRS))
    return made
