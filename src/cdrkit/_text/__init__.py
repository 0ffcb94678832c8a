"""Text for display: sanitised untrusted text, and HTML tables."""

from __future__ import annotations

from cdrkit._text.html import escape_html, html_facts, html_report, html_table
from cdrkit._text.sanitize import sanitize_text

__all__ = ["escape_html", "html_facts", "html_report", "html_table", "sanitize_text"]
