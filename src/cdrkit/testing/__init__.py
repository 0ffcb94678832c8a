"""Made-up calls for tests, tutorials, demonstrations and benchmarks; and the suite that a tier must pass."""

from __future__ import annotations

from cdrkit.samples.asterisk_lines import asterisk_lines
from cdrkit.samples.office import Office, write_office
from cdrkit.samples.synthesis import synthesize_calls, synthesize_tables
from cdrkit.testing.tier_tests import TierTests

__all__ = ["Office", "TierTests", "asterisk_lines", "synthesize_calls", "synthesize_tables", "write_office"]
