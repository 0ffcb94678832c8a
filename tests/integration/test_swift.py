"""Stores on OpenStack Swift: a real S3 service without exclusive creation.

The environment variables CDRKIT_SWIFT_ENDPOINT, CDRKIT_SWIFT_KEY and CDRKIT_SWIFT_SECRET say where it is; `swift.sh`,
beside this file, starts one.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrkit import Query, Store, TierOptions, open_store
from cdrkit._files import Files, open_files
from cdrkit.errors import ConfigError, CorruptDataError, NotFoundError
from cdrkit.storage.tiers.tier import Tier
from cdrkit.storage.tiers.warm import WarmTier
from cdrkit.testing.tier_tests import TierTests
from tests.months import MONTHS, NOW, calls_of, every_file, inside, months_in, seldom
from tests.property.test_tiers_agree import (
    LATER,
    History,
    agree,
    happenings,
    histories,
    paged,
    paged_while_calls_come,
    wide_queries,
)
from tests.property.test_tiers_agree import NOW as ASKED
from tests.thresholds import Small, made_small, small

pytestmark = pytest.mark.swift

_numbers = itertools.count()


@pytest.fixture(scope="session")
def options() -> dict[str, object]:
    """Return the options that reach the service; skip when none is named."""
    names = ("CDRKIT_SWIFT_ENDPOINT", "CDRKIT_SWIFT_KEY", "CDRKIT_SWIFT_SECRET")
    endpoint, key, secret = (os.environ.get(name) for name in names)
    if not (endpoint and key and secret):
        pytest.skip(f"{', '.join(names)} name no service")
    return {
        "key": key,
        "secret": secret,
        "client_kwargs": {"endpoint_url": endpoint, "region_name": "us-east-1"},
        "config_kwargs": {"s3": {"addressing_style": "path"}},
    }


@pytest.fixture(scope="session")
def bucket(options: dict[str, object]) -> str:
    """Return the name of a new bucket."""
    name = f"cdrkit-{os.getpid()}-{os.urandom(4).hex()}"
    fsspec.filesystem("s3", **options).mkdir(name)
    return name


@pytest.fixture(scope="session")
def make_store(
    bucket: str, options: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Store]:
    """Return a maker of stores whose hot tier is on the local disk and whose warm one is there."""

    def make() -> Store:
        hot = tmp_path_factory.mktemp("swift") / "hot"
        warm = f"s3://{bucket}/{next(_numbers)}/warm"
        return open_store(hot=hot, warm=TierOptions(warm, storage_options=options), region="GB")

    return make


class TestWarmTier(TierTests):
    """The conformance suite of tiers."""

    @pytest.fixture
    def files(self, bucket: str, options: dict[str, object]) -> Files:
        """Return an empty place."""
        return open_files(f"s3://{bucket}/tier-{next(_numbers)}", options)

    def make_tier(self, files: Files) -> Tier:
        return WarmTier(files)


class TestAgree:
    """A store whose warm calls are there answers as one that has them all in the hot tier."""

    @seldom
    @given(histories, st.lists(wide_queries(), min_size=5, max_size=5), small)
    def test_the_same_answers(
        self, make_store: Callable[[], Store], history: History, asked: list[Query], sizes: Small
    ) -> None:
        """Records, counts, tables, CSV and totals are the same, whatever moved when."""
        with made_small(sizes):
            agree(make_store(), [*history, ([], (LATER, 0))], asked)

    @seldom
    @given(histories, wide_queries(), st.integers(1, 4))
    def test_cursors_live_through_moves(
        self, make_store: Callable[[], Store], history: History, query: Query, size: int
    ) -> None:
        """Pages give every call once, in order, though calls move between the pages."""
        paged(make_store(), history, query, size, [(ASKED, 0), (LATER, 0)])

    @seldom
    @given(histories, st.booleans(), st.integers(1, 4), happenings, small)
    def test_cursors_live_through_late_calls(
        self,
        make_store: Callable[[], Store],
        history: History,
        descending: bool,
        size: int,
        happening: list[object],
        sizes: Small,
    ) -> None:
        """Pages in either order miss nothing and give nothing twice, though calls come late, are replaced and move."""
        with made_small(sizes):
            paged_while_calls_come(make_store(), history, descending, size, happening)


def test_a_life(make_store: Callable[[], Store], tmp_path: Path) -> None:
    """Roll-over, late calls, replacement, erasure, download and vacuum do there what they do elsewhere."""
    store = make_store()
    made = calls_of(*MONTHS)
    store.append(made)
    assert store.maintenance.move_to_warm(now=NOW).months == MONTHS[:4]
    assert store.append(made).duplicates == len(made)
    store.append(calls_of("2026-05", part="-late"))
    store.append(calls_of("2026-06", duration=9)[:2], on_conflict="replace")
    assert store.maintenance.move_to_warm(now=NOW).months == ("2026-05", "2026-06")
    assert months_in(store, "hot") == list(MONTHS[4:])
    assert store.erase(Query().customer("1002"), reason="why", dry_run=False).rows == 18
    expected = list(store.run())
    assert len(expected) == 36
    report = store.maintenance.vacuum(now=datetime.now(UTC) + timedelta(days=2))
    assert report.waiting == 0
    lying = {found.id for tier in inside(store).tiers.values() for found in tier.list_segments()}
    assert lying == set(inside(store).log.snapshot().segments)
    assert list(store.run()) == expected
    assert store.maintenance.verify().problems == ()
    assert [month.rows for month in store.archive.months()] == [4, 8, 4, 4]
    store.archive.download("2026-05", tmp_path / "may")
    assert pl.read_parquet(tmp_path / "may" / "*.parquet").height == 8


def test_damage_is_named(make_store: Callable[[], Store], bucket: str, options: dict[str, object]) -> None:
    """A warm file that was changed, cut off or removed there is named; never are other calls returned."""
    store = make_store()
    store.append(calls_of("2026-05", each=60))
    store.maintenance.move_to_warm(now=NOW)
    files = inside(store).warm._files  # type: ignore[attr-defined]
    (segment,) = inside(store).log.snapshot().segments.values()
    good = files.read(segment.path)
    flipped = bytearray(good)
    flipped[len(good) // 4] ^= 1
    name = segment.path.rpartition("/")[2]
    for bad in (bytes(flipped), good[:-100], good[:10], b""):
        files.put(segment.path, bad)
        again = open_store(hot=inside(store).files.url, warm=TierOptions(files.url, storage_options=options))
        with pytest.raises(CorruptDataError, match=name):
            list(again.run())
        assert name in again.maintenance.verify().problems[0]
    files.remove(segment.path)
    again = open_store(hot=inside(store).files.url, warm=TierOptions(files.url, storage_options=options))
    with pytest.raises(NotFoundError, match=name):
        list(again.run())
    assert name in again.maintenance.verify().problems[0]
    files.put(segment.path, good)
    assert (
        open_store(hot=inside(store).files.url, warm=TierOptions(files.url, storage_options=options))
        .maintenance.verify()
        .ok
    )


def test_no_hot_tier_there(bucket: str, options: dict[str, object], tmp_path: Path) -> None:
    """A hot tier there is refused, with the reason and what to do; nothing is left behind."""
    url = f"s3://{bucket}/hot-{next(_numbers)}"
    for store in (
        open_store(url, storage_options=options),
        open_store(hot=url, warm=tmp_path / "warm", storage_options=options),
    ):
        with pytest.raises(
            ConfigError, match=r"no exclusive creation.*Keep the hot tier on another filesystem"
        ) as caught:
            store.append(calls_of("2026-05"))
        assert url in str(caught.value)
        assert store.count() == 0
        assert not store.exists
    assert open_files(url, options).list("") == []
    assert every_file(tmp_path) == {}
