"""Locations of files: invalid ones, and files in the place of a folder, are errors that name them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cdrkit import open_store
from cdrkit.errors import CdrError, ConfigError, StorageError
from cdrkit.samples import synthesize_calls


@pytest.mark.parametrize(
    "junk",
    [
        5,
        b"x",
        "a\0b",
        "\ud800",
        "zip://a::/nonexist.zip",
        "ftp://127.0.0.1:1/x",
        "nope://x",
        ["x"],
    ],
    ids=repr,
)
def test_places_that_cannot_be(junk: Any) -> None:
    """Whatever cannot be a folder or URL is a ConfigError, not an error of whatever lies below."""
    with pytest.raises(ConfigError):
        open_store(junk)
    with pytest.raises(CdrError):
        open_store("memory://junk").ingest(junk, format="asterisk-csv", timezone="UTC")


@pytest.mark.parametrize("way", ["url", "hot"])
def test_a_file_is_no_store(tmp_path: Path, way: str) -> None:
    """A file in the store's place is named, as it was given, with what to do; opening it touches nothing."""
    path = tmp_path / "calls.bin"
    path.write_bytes(b"not a folder")
    given: dict[str, Any] = {way: path}
    store = open_store(**given)
    for use in (
        store.count,
        lambda: store.exists,
        lambda: list(store.run()),
        lambda: store.append(synthesize_calls(1)),
        lambda: store.ingest(b"x", format="asterisk-csv", timezone="UTC"),
        store.scoped(customer_id="1003").count,
        store.maintenance.move_to_warm,
    ):
        with pytest.raises(
            StorageError, match=f"^{path} is a file, but a store is a folder. Give a folder, or ingest"
        ):
            use()
    assert path.read_bytes() == b"not a folder"


def test_a_file_above_a_store(tmp_path: Path) -> None:
    """Where a folder above the store is a file, the error names it; so it does for what is written below a file."""
    path = tmp_path / "calls.bin"
    path.write_bytes(b"")
    for url in (path / "calls", path / "some" / "calls", f"file://{path}"):
        with pytest.raises(StorageError, match=f": {path} is a file, not a folder"):
            open_store(url).count()
    with pytest.raises(StorageError, match=f": {path} is a file, not a folder"):
        open_store(tmp_path / "calls").run().write_csv(path / "calls.csv")
