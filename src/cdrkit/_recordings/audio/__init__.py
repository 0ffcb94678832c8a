"""Audio files: their format, length, channels and completeness, from a few bytes of each."""

from __future__ import annotations

from cdrkit._recordings.audio.formats import SUFFIXES, detect_format, media_type, read_properties
from cdrkit._recordings.audio.properties import AudioProperties, ReadBytes

__all__ = ["SUFFIXES", "AudioProperties", "ReadBytes", "detect_format", "media_type", "read_properties"]
