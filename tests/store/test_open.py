"""Opening a store: locations, groups of options, and errors that name them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cdrkit import CacheOptions, CallRecord, Recordings, TierOptions, open_store
from cdrkit.errors import ConfigError, NotFoundError, RecordingNotFoundError
from cdrkit.storage.tiers import HotTier, WarmTier
from tests.months import NOW, calls_of

CALL = CallRecord(call_id="16", start=datetime(2026, 11, 22, 9, tzinfo=UTC))


class TestLocations:
    """The folder or URL of the store and of its tiers."""

    def test_tiers_lie_below_the_url(self, tmp_path: Path) -> None:
        """One folder holds both tiers."""
        store = open_store(tmp_path / "calls")
        store.append(calls_of("2026-05"))
        store.maintenance.move_to_warm(now=NOW)
        assert {path.name for path in (tmp_path / "calls").iterdir()} == {"hot", "warm"}

    @pytest.mark.parametrize("group", [False, True])
    def test_apart(self, tmp_path: Path, group: bool) -> None:
        """Each tier may have a folder of its own, given as a path or in a group."""
        hot: Any = tmp_path / "near"
        warm: Any = tmp_path / "far"
        store = open_store(
            hot=TierOptions(hot) if group else hot, warm=TierOptions(warm) if group else str(warm)
        )
        store.append(calls_of("2026-05"))
        store.maintenance.move_to_warm(now=NOW)
        assert (tmp_path / "far" / "month=2026-05").is_dir()
        assert (tmp_path / "near" / "_log").is_dir()
        assert open_store(hot=hot, warm=warm).count() == len(calls_of("2026-05"))

    def test_a_url_with_a_warm_folder(self, tmp_path: Path) -> None:
        """The warm tier alone may have a folder of its own."""
        store = open_store(tmp_path / "calls", warm=tmp_path / "far")
        store.append(calls_of("2026-05"))
        store.maintenance.move_to_warm(now=NOW)
        assert {path.name for path in tmp_path.iterdir()} == {"calls", "far"}


class TestRefusals:
    """Wrong combinations of options."""

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({}, "Give the store's folder or URL, or give the hot tier's location as hot="),
            ({"url": "a", "hot": "b"}, "two locations, 'a' and hot='b'"),
            ({"url": "a", "hot": TierOptions("b")}, "two locations"),
            ({"hot": HotTier}, "has no location"),
            ({"url": ""}, "'' is not a folder or URL"),
            ({"url": 7}, "7 is not a folder or URL"),
            ({"url": "a", "warm": ""}, "warm='' is not a folder"),
            ({"url": "a", "warm": TierOptions(storage_options={"key": "k"})}, "Give both: warm=TierOptions"),
            ({"url": "a", "hot": 7}, "is not a tier: it lacks name"),
            ({"url": "a", "warm": WarmTier}, "is a class"),
            ({"url": "a", "cache": 7}, "Give a folder's path or a CacheOptions object"),
            ({"url": "a", "cache": "b"}, "Omit cache="),
            ({"url": "a", "cache": CacheOptions("b")}, "Omit cache="),
            ({"url": "a", "recordings": lambda call: "x"}, "Give Recordings(callable, root=...)"),
            ({"url": "a", "recordings": 7}, "7"),
            ({"url": "a", "recordings": Recordings("/rec/{recording}", timezone="Mars")}, "Mars"),
            ({"url": "a", "recordings": Recordings("/rec/{recording}", suffixes=["exe"])}, "exe"),
        ],
    )
    def test_names_the_option(self, options: dict[str, Any], words: str) -> None:
        """The error names the option and what to give."""
        with pytest.raises(ConfigError) as caught:
            open_store(**options)
        assert words in str(caught.value)

    @pytest.mark.parametrize(
        ("group", "options", "words"),
        [
            (Recordings, {"root": ""}, "root='' in Recordings"),
            (Recordings, {"root": 7}, "root=7 in Recordings"),
            (CacheOptions, {"path": b"x"}, "path=b'x' in CacheOptions"),
            (CacheOptions, {"max_bytes": -1}, "max_bytes=-1"),
            (CacheOptions, {"max_bytes": True}, "max_bytes=True"),
            (TierOptions, {"url": ""}, "url='' in TierOptions"),
            (TierOptions, {"kind": WarmTier}, "pass a Tier object directly"),
        ],
    )
    def test_a_group_checks_its_values(self, group: Any, options: dict[str, Any], words: str) -> None:
        """A group of options refuses a value that cannot work."""
        with pytest.raises(ConfigError) as caught:
            group(**options)
        assert words in str(caught.value)

    def test_credentials_are_not_shown(self) -> None:
        """The storage options of a group are absent from its text."""
        for group in (TierOptions("s3://b", storage_options={"secret": "s3cret"}),
                      Recordings("s3://b/{recording}", storage_options={"secret": "s3cret"})):  # fmt: skip
            assert "s3cret" not in repr(group)


class TestRecordings:
    """The location of recordings."""

    def test_a_callable_below_a_root(self, tmp_path: Path) -> None:
        """A callable in a group with its root finds a file."""
        (tmp_path / "17.wav").write_bytes(b"RIFF")
        recordings = Recordings(lambda call: f"{call.call_id}.mp3", root=tmp_path, suffixes=["wav"])
        store = open_store(tmp_path / "store", recordings=recordings)
        assert store.recording(CallRecord(call_id="17", start=CALL.start)).exists

    def test_a_root_alone(self, tmp_path: Path) -> None:
        """A root without a template holds the file that the call names."""
        (tmp_path / "17.wav").write_bytes(b"RIFF")
        store = open_store(tmp_path / "store", recordings=Recordings(root=tmp_path))
        assert store.recording(CallRecord(call_id="17", start=CALL.start, recording="17.wav")).exists

    def test_none(self, tmp_path: Path) -> None:
        """A store without recordings= names that option."""
        with pytest.raises(RecordingNotFoundError, match="recordings="):
            open_store(tmp_path).recording(CALL)


class TestMustExist:
    """The option must_exist."""

    def test_refuses_a_store_that_was_not_made(self, tmp_path: Path) -> None:
        """The error names the store and the ways to make one; nothing is made."""
        with pytest.raises(NotFoundError) as caught:
            open_store(tmp_path / "typo", must_exist=True)
        assert str(tmp_path / "typo") in str(caught.value)
        assert "cdrkit ingest" in str(caught.value)
        assert "append()" in str(caught.value)
        assert caught.value.url == str(tmp_path / "typo")
        assert not (tmp_path / "typo").exists()

    def test_opens_one_that_was_made(self, tmp_path: Path) -> None:
        """An empty store that was made exists."""
        open_store(tmp_path).append([])
        open_store(tmp_path).append([CALL])
        assert open_store(tmp_path, must_exist=True).count() == 1

    @pytest.mark.parametrize("tier", ["hot", "warm"])
    def test_a_tier_is_not_a_store(self, tmp_path: Path, tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error names the folder of the store, also for a relative path."""
        open_store(tmp_path).append(calls_of("2026-05"))
        open_store(tmp_path).maintenance.move_to_warm(now=NOW)
        monkeypatch.chdir(tmp_path)
        for url in (str(tmp_path / tier), tier, f"{tier}/"):
            with pytest.raises(
                NotFoundError, match=f"is a tier of a store. Give the store's folder '{tmp_path}'"
            ):
                open_store(url, must_exist=True)

    def test_a_lost_log(self, tmp_path: Path) -> None:
        """Segments without a log are reported, with the way to make a new log."""
        store = open_store(tmp_path)
        store.append([CALL])
        for path in (tmp_path / "hot" / "_log").iterdir():
            path.unlink()
        with pytest.raises(NotFoundError, match="rebuild"):
            open_store(tmp_path, must_exist=True)
