"""Recordings: where they lie, what they hold, and how they are served."""

from __future__ import annotations

from cdrkit._recordings.locator import Locator, RecordingPlace, recording_locator
from cdrkit._recordings.recording import Recording
from cdrkit._recordings.zip_stream import zipped

__all__ = ["Locator", "Recording", "RecordingPlace", "recording_locator", "zipped"]
