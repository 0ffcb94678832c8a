"""Test suites for the authors of plugins: what a tier must pass."""

from __future__ import annotations

from cdrkit.testing.tier_tests import TierTests

__all__ = ["TierTests"]
