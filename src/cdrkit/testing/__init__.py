"""Test suites for the authors of tiers and sources."""

from __future__ import annotations

from cdrkit.testing.source_tests import SourceTests
from cdrkit.testing.tier_tests import TierTests

__all__ = ["SourceTests", "TierTests"]
