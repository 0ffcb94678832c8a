"""The shipped tiers on the local disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdrkit._files import Files, open_files
from cdrkit.storage.tiers.hot import HotTier
from cdrkit.storage.tiers.tier import Tier
from cdrkit.storage.tiers.warm import WarmTier
from cdrkit.testing.tier_tests import TierTests


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Return an empty folder."""
    return open_files(tmp_path / "calls")


class TestHot(TierTests):
    """Arrow IPC on the local disk."""

    def make_tier(self, files: Files) -> Tier:
        return HotTier(files)


class TestWarm(TierTests):
    """Parquet on the local disk."""

    def make_tier(self, files: Files) -> Tier:
        return WarmTier(files)
