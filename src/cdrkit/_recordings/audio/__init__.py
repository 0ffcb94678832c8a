"""What a sound file is, how it sounds and how long it plays, by its first bytes, its size, and little more."""

from __future__ import annotations

from typing import Final

from cdrkit._recordings.audio.mpeg import is_mpeg_frame, mp3_sound
from cdrkit._recordings.audio.ogg import ogg_sound
from cdrkit._recordings.audio.sound import Piece, Sound
from cdrkit._recordings.audio.wav import is_wav, wav_sound

__all__ = ["SUFFIXES", "Piece", "Sound", "content_type_of", "format_of", "sound_of"]

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
#: The format that each suffix means, as Asterisk, FreeSWITCH and the rest spell them.
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
# Formats without a header: bytes a second, samples a second, bytes that belong together.
_RAW: Final = {
    "alaw": (8_000, 8_000, 1),
    "g722": (8_000, 16_000, 1),
    "g729": (1_000, 8_000, 10),
    "gsm": (1_650, 8_000, 33),
    "sln": (16_000, 8_000, 2),
    "ulaw": (8_000, 8_000, 1),
}


def format_of(head: bytes, suffix: str) -> str | None:
    """Return the format that the first bytes of a file tell, else its suffix (without the dot); or None."""
    known = SUFFIXES.get(suffix.lower())
    # An MPEG frame begins with few fixed bits, which samples of a raw format may well have.
    return _marked_format(head) or (None if known in _RAW else _mpeg_format(head)) or known


def content_type_of(kind: str | None) -> str:
    """Return the media type of a format, or ``application/octet-stream`` when it has none."""
    return _CONTENT_TYPES.get(kind or "", "application/octet-stream")


def sound_of(kind: str | None, piece: Piece, size: int) -> Sound:
    """Return what a file of *size* bytes tells of itself.

    Args:
        kind: Its format.
        piece: What returns its bytes from a first one up to and without a last one.
        size: What is really there; a header is believed only so far.
    """
    if size == 0:
        return Sound(seconds=0.0, is_whole=False)
    if kind == "wav":
        return wav_sound(piece, size)
    if kind == "mp3":
        return mp3_sound(piece, size)
    if kind == "ogg":
        return ogg_sound(piece, size)
    if kind in _RAW:
        bytes_per_second, rate, block = _RAW[kind]
        return Sound(seconds=size / bytes_per_second, channels=1, rate=rate, is_whole=size % block == 0)
    return Sound()


def _marked_format(head: bytes) -> str | None:
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
