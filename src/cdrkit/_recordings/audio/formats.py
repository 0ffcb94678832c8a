"""Audio formats: detection, media types and properties."""

from __future__ import annotations

from typing import Final

from cdrkit._recordings.audio.mpeg import is_mpeg_frame, mp3_properties
from cdrkit._recordings.audio.ogg import ogg_properties
from cdrkit._recordings.audio.properties import AudioProperties, ReadBytes
from cdrkit._recordings.audio.wav import is_wav, wav_properties

__all__ = ["SUFFIXES", "detect_format", "media_type", "read_properties"]

_CONTENT_TYPES: Final = {
    "aac": "audio/aac",
    "aiff": "audio/aiff",
    "alaw": "audio/PCMA",
    "amr": "audio/AMR",
    "au": "audio/basic",
    "flac": "audio/flac",
    "g722": "audio/G722",
    "g729": "audio/G729",
    "gsm": "audio/GSM",
    "m4a": "audio/mp4",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "ulaw": "audio/PCMU",
    "wav": "audio/wav",
    "webm": "audio/webm",
}
#: Formats by file suffix, as Asterisk, FreeSWITCH and other switches spell them.
SUFFIXES: Final = {
    **{name: name for name in (*_CONTENT_TYPES, "sln")},
    "aif": "aiff",
    "al": "alaw",
    "alw": "alaw",
    "mp4": "m4a",
    "mu": "ulaw",
    "oga": "ogg",
    "opus": "ogg",
    "ul": "ulaw",
    "ulw": "ulaw",
    "wav49": "wav",
    "wave": "wav",
}
# Formats without a header: bytes per second, samples per second, bytes per block.
_RAW: Final = {
    "alaw": (8_000, 8_000, 1),
    "g722": (8_000, 16_000, 1),
    "g729": (1_000, 8_000, 10),
    "gsm": (1_650, 8_000, 33),
    "sln": (16_000, 8_000, 2),
    "ulaw": (8_000, 8_000, 1),
}


def detect_format(head: bytes, suffix: str) -> str | None:
    """Return the format of an audio file; None if the format is unknown.

    The first bytes of the file decide. If they are inconclusive, the *suffix* (without a dot) decides.
    """
    known = SUFFIXES.get(suffix.lower())
    # An MPEG frame starts with few fixed bits, which samples of a raw format can equal by chance.
    return _format_by_signature(head) or (None if known in _RAW else _mpeg_format(head)) or known


def media_type(kind: str | None) -> str:
    """Return the media type of an audio format.

    The media type of an unknown format is ``application/octet-stream``.
    """
    return _CONTENT_TYPES.get(kind or "", "application/octet-stream")


def read_properties(kind: str | None, read: ReadBytes, size: int) -> AudioProperties:
    """Return the properties of an audio file.

    Args:
        kind: The format that `detect_format` returned.
        read: The function that reads bytes of the file.
        size: The actual number of bytes. This number counts, even if a header announces more bytes.
    """
    if size == 0:
        return AudioProperties(seconds=0.0, is_whole=False)
    if kind == "wav":
        return wav_properties(read, size)
    if kind == "mp3":
        return mp3_properties(read, size)
    if kind == "ogg":
        return ogg_properties(read, size)
    if kind in _RAW:
        bytes_per_second, rate, block = _RAW[kind]
        return AudioProperties(
            seconds=size / bytes_per_second, channels=1, rate=rate, is_whole=size % block == 0
        )
    return AudioProperties()


def _format_by_signature(head: bytes) -> str | None:
    if is_wav(head):
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[4:8] == b"ftyp":
        return "m4a"
    for mark, name in (
        (b"ID3", "mp3"),
        (b"OggS", "ogg"),
        (b"fLaC", "flac"),
        (b"#!AMR", "amr"),
        (b".snd", "au"),
        (b"\x1aE\xdf\xa3", "webm"),
    ):
        if head.startswith(mark):
            return name
    return None


def _mpeg_format(head: bytes) -> str | None:
    if len(head) >= 4 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0 and head[2] & 0x3C <= 0x30:
        return "aac"
    return "mp3" if is_mpeg_frame(head) else None
