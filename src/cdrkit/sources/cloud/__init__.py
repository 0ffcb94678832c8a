"""Sources for call records of Twilio, Telnyx, Plivo and Vonage."""

from __future__ import annotations

__all__: list[str] = []
