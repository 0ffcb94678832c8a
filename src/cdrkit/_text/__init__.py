"""Prepare text for display: sanitise untrusted text, format counts, build HTML."""

from __future__ import annotations

from cdrkit._text.html import escape_html, html_facts, html_report, html_table
from cdrkit._text.plural import format_count
from cdrkit._text.sanitize import sanitize_text

__all__ = ["escape_html", "format_count", "html_facts", "html_report", "html_table", "sanitize_text"]
