"""Made-up calls for tests, tutorials, demonstrations and benchmarks; and the suite that a tier must pass."""

from __future__ import annotations

from cdrkit.testing._lines import asterisk_lines
from cdrkit.testing._office import Office, write_office
from cdrkit.testing._synthesis import synthesize_calls, synthesize_tables
from cdrkit.testing._tiers import TierTests

__all__ = ["Office", "TierTests", "asterisk_lines", "synthesize_calls", "synthesize_tables", "write_office"]
