"""The cache of segments of a remote hot tier: on S3, with processes of their own."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest

from cdrkit import CallRecord, Query, field, open_store
from cdrkit.errors import ConfigError, CorruptDataError, StorageError

START = datetime(2026, 11, 20, tzinfo=UTC)
_buckets = itertools.count()

pytestmark = pytest.mark.s3


@pytest.fixture
def remote(s3_options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return a store of three days on S3, and the options that reach it."""
    bucket = f"cached-{next(_buckets)}"
    fsspec.filesystem("s3", **s3_options).mkdir(bucket)
    url = f"s3://{bucket}/calls"
    store = open_store(url, storage_options=s3_options, cache_bytes=0)
    for day in range(3):
        at = START + timedelta(days=day)
        store.append(
            [CallRecord(call_id=f"{day}-{n}", start=at + timedelta(minutes=n), duration=n) for n in range(50)]
        )
    return url, s3_options


def copies(folder: Path) -> list[str]:
    """Return the names of the copies in a cache."""
    return sorted(os.listdir(folder)) if folder.exists() else []


def test_segments_are_fetched_once(remote: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    """A second process that shares the cache reads the segments from it, and gives the same calls."""
    url, options = remote
    cache = tmp_path / "cache"
    store = open_store(url, storage_options=options, cache=cache)
    expected = list(store.run())
    assert len(expected) == 150
    held = copies(cache)
    assert len(held) == 3
    assert os.stat(cache).st_mode & 0o077 == 0
    for entry in fsspec.filesystem("s3", **options).find(url):
        if entry.endswith(".arrow"):
            fsspec.filesystem("s3", **options).rm_file(entry)  # the copies are all there is now
    script = (
        "import json, sys, cdrkit; url, options, cache = json.loads(sys.argv[1]);"
        "print([c.call_id for c in cdrkit.open_store(url, storage_options=options, cache=cache).run()])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps([url, options, str(cache)])],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str([call.call_id for call in expected])
    assert copies(cache) == held


def test_room_is_bounded(remote: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    """The cache keeps to its room: the copies that were opened longest ago go."""
    url, options = remote
    cache = tmp_path / "cache"
    open_store(url, storage_options=options, cache=cache).count(Query().where())
    store = open_store(url, storage_options=options, cache=cache)
    list(store.run())
    size = max((cache / name).stat().st_size for name in copies(cache))
    small = tmp_path / "small"
    narrow = open_store(url, storage_options=options, cache=small, cache_bytes=size + size // 2)
    assert list(narrow.run()) == list(store.run())
    assert len(copies(small)) == 1


def test_a_damaged_copy_is_fetched_anew(remote: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    """A damaged copy is an error once, never other calls; then it is fetched anew. A short one is fetched at once."""
    url, options = remote
    cache = tmp_path / "cache"
    expected = list(open_store(url, storage_options=options, cache=cache).run())
    path = cache / copies(cache)[0]
    whole = path.read_bytes()
    path.write_bytes(bytes(len(whole)))
    store = open_store(url, storage_options=options, cache=cache)
    with pytest.raises(CorruptDataError, match="copy of .* try again"):
        list(store.run())
    assert list(store.run()) == expected
    path.write_bytes(whole[:100])
    assert list(open_store(url, storage_options=options, cache=cache).run()) == expected


def test_unusable_caches_are_named(remote: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    """A cache that cannot be written says what to do; a local store takes none."""
    url, options = remote
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cache_bytes=0"):
        list(open_store(url, storage_options=options, cache=tmp_path / "file" / "cache").run())
    with pytest.raises(ConfigError, match="needs no cache"):
        open_store(tmp_path, cache=tmp_path / "cache")


def test_copies_of_erased_calls_go_everywhere(remote: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    """Calls that one machine erases leave another one's cache when that next looks, also when it begins anew."""
    url, options = remote
    one, other, late = (
        open_store(url, storage_options=options, cache=tmp_path / name) for name in ("one", "other", "late")
    )
    for store in (one, other, late):
        assert len(list(store.run())) == 150
    held = set(copies(tmp_path / "other"))
    one.erase(Query().where(field("call_id") == "1-7"), reason="asked", dry_run=False)
    assert other.count() == 149
    restarted = open_store(url, storage_options=options, cache=tmp_path / "late")
    assert restarted.count() == 149
    for name in ("one", "other", "late"):
        assert len(held & set(copies(tmp_path / name))) == 2
