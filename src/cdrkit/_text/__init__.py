"""Text made safe for terminals and HTML, and HTML tables."""

from __future__ import annotations

from cdrkit._text.html import html_facts, html_report, html_table, visible

__all__ = ["html_facts", "html_report", "html_table", "visible"]
