"""The shipped tiers on S3."""

from __future__ import annotations

import itertools

import fsspec
import pytest

from cdrkit._files import Files, open_files
from cdrkit.storage.tiers.hot import HotTier
from cdrkit.storage.tiers.tier import Tier
from cdrkit.storage.tiers.warm import WarmTier
from cdrkit.testing.tier_tests import TierTests

pytestmark = pytest.mark.s3

_numbers = itertools.count()


@pytest.fixture
def files(s3_options: dict[str, object]) -> Files:
    """Return an empty bucket."""
    name = f"tiers-{next(_numbers)}"
    fsspec.filesystem("s3", **s3_options).mkdir(name)
    return open_files(f"s3://{name}/calls", s3_options)


class TestHot(TierTests):
    """Arrow IPC on S3."""

    def make_tier(self, files: Files) -> Tier:
        return HotTier(files)


class TestWarm(TierTests):
    """Parquet on S3."""

    def make_tier(self, files: Files) -> Tier:
        return WarmTier(files)
