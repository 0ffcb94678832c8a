"""Sample calls, offices and recordings for tests, tutorials and demonstrations."""

from __future__ import annotations

from cdrkit.samples.asterisk_lines import asterisk_lines
from cdrkit.samples.calls import synthesize_calls, synthesize_tables
from cdrkit.samples.office import Office, write_office

__all__ = ["Office", "asterisk_lines", "synthesize_calls", "synthesize_tables", "write_office"]
