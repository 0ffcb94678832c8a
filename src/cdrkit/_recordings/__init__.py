"""Recordings: their location, properties, playback and download."""

from __future__ import annotations

from cdrkit._recordings.http_range import RangeResponse
from cdrkit._recordings.locator import Locator, RecordingLocation, make_locator
from cdrkit._recordings.recording import Recording
from cdrkit._recordings.zip_stream import stream_zip

__all__ = ["Locator", "RangeResponse", "Recording", "RecordingLocation", "make_locator", "stream_zip"]
