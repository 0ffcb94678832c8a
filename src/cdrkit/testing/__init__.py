"""Made-up calls for tests, tutorials, demonstrations and benchmarks; and the suite that a tier must pass."""

from __future__ import annotations

from ._lines import asterisk_lines
from ._office import Office, write_office
from ._synthesis import synthesize_calls, synthesize_tables
from ._tiers import TierTests

__all__ = ["Office", "TierTests", "asterisk_lines", "synthesize_calls", "synthesize_tables", "write_office"]
