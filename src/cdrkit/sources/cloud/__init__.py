"""Read call records of cloud providers: Twilio, Telnyx, Plivo and Vonage."""

from __future__ import annotations

__all__: list[str] = []
