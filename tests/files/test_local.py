"""Files on the local disk: the folders that they flush, and folders that they cannot open."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cdrkit._files import local, open_files
from tests.files.flushes import flushes


def test_a_folder_that_another_has_just_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is there need not be durable in its parent: that is flushed before the first file is put in."""
    (tmp_path / "hot" / "day=2026-05-01").mkdir(parents=True)
    files = open_files(tmp_path / "hot")
    flushed = flushes(monkeypatch)
    files.put("day=2026-05-01/x", b"1")
    assert flushed == [str(tmp_path / "hot"), str(tmp_path / "hot" / "day=2026-05-01")]
    flushed.clear()
    files.put("day=2026-05-01/y", b"1")
    assert flushed == [str(tmp_path / "hot" / "day=2026-05-01")]


def test_a_file_in_a_folder_whose_parent_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder whose parent may not be opened, such as one below another user's, can be written to."""
    original = local._sync_folder

    def refusing(folder: str) -> None:
        if folder == str(tmp_path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        original(folder)

    (tmp_path / "hot").mkdir()
    monkeypatch.setattr(local, "_sync_folder", refusing)
    open_files(tmp_path / "hot").put("x", b"1")
    assert open_files(tmp_path / "hot").read("x") == b"1"
