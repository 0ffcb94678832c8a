"""Audio files: format, length, channels and completeness.

cdrkit usually needs only a few bytes of a file.
"""

from __future__ import annotations

from cdrkit._recordings.audio.formats import SUFFIXES, detect_format, media_type, read_properties
from cdrkit._recordings.audio.properties import AudioProperties, ReadBytes

__all__ = ["SUFFIXES", "AudioProperties", "ReadBytes", "detect_format", "media_type", "read_properties"]
