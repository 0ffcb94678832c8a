"""The shipped tiers in memory."""

from __future__ import annotations

import itertools

import pytest

from cdrkit._files import Files, open_files
from cdrkit.storage.tiers.hot import HotTier
from cdrkit.storage.tiers.tier import Tier
from cdrkit.storage.tiers.warm import WarmTier
from cdrkit.testing.tier_tests import TierTests

_numbers = itertools.count()


@pytest.fixture
def files() -> Files:
    """Return a place that nobody uses yet."""
    return open_files(f"memory://tiers-{next(_numbers)}")


class TestHot(TierTests):
    """Arrow IPC in memory."""

    def make_tier(self, files: Files) -> Tier:
        return HotTier(files)


class TestWarm(TierTests):
    """Parquet in memory."""

    def make_tier(self, files: Files) -> Tier:
        return WarmTier(files)
