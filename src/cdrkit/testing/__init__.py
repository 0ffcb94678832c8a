"""Made-up calls for tests, tutorials, demonstrations and benchmarks."""

from __future__ import annotations

from ._lines import asterisk_lines
from ._office import Office, write_office
from ._synthesis import synthesize_calls

__all__ = ["Office", "asterisk_lines", "synthesize_calls", "write_office"]
