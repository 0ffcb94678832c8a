"""What a sound file is and how long it plays, by its first bytes and its size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["content_type_of", "duration_of", "format_of"]

_MAX_CHUNKS: Final = 100
_UNKNOWN_SIZES: Final = (0, 0xFFFFFFFF)
_SAMPLED: Final = (1, 3, 6, 7)  # WAVE format tags of PCM, float, A-law and µ-law: one sample after the other
_EXTENSIBLE: Final = 0xFFFE

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
# How Asterisk, FreeSWITCH and the rest spell them.
_SUFFIXES: Final = {
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
# Formats without a header, whose rate is fixed.
_BYTES_PER_SECOND: Final = {
    "alaw": 8_000,
    "g722": 8_000,
    "g729": 1_000,
    "gsm": 1_650,
    "sln": 16_000,
    "ulaw": 8_000,
}


def format_of(head: bytes, suffix: str) -> str | None:
    """Return the format that the first bytes of a file tell, else its suffix (without the dot); or None."""
    known = _SUFFIXES.get(suffix.lower())
    # An MPEG frame begins with few fixed bits, which samples of a raw format may well have.
    return _marked_format(head) or (None if known in _BYTES_PER_SECOND else _mpeg_format(head)) or known


def content_type_of(kind: str | None) -> str:
    """Return the media type of a format, or ``application/octet-stream`` when it has none."""
    return _CONTENT_TYPES.get(kind or "", "application/octet-stream")


def duration_of(kind: str | None, piece: Callable[[int, int], bytes], size: int) -> float | None:
    """Return how many seconds a file of *size* bytes plays, or None when its format does not tell.

    Args:
        kind: Its format.
        piece: What returns its bytes from a first one up to and without a last one.
        size: What is really there; a header is believed only so far.
    """
    if size == 0:
        return 0.0
    if kind == "wav":
        return _wav_duration(piece, size)
    rate = _BYTES_PER_SECOND.get(kind or "")
    return size / rate if rate else None


def _marked_format(head: bytes) -> str | None:
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
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
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    second, third = head[1:3]
    if second & 0xF6 == 0xF0 and third & 0x3C <= 0x30:
        return "aac"
    layer_3 = second & 0x06 == 0x02 and second & 0x18 != 0x08
    return "mp3" if layer_3 and third >> 4 not in (0, 15) and third & 0x0C != 0x0C else None


def _wav_duration(piece: Callable[[int, int], bytes], size: int) -> float | None:
    riff = piece(0, min(12, size))
    if _marked_format(riff) != "wav":
        return None
    finished = int.from_bytes(riff[4:8], "little") + 8 == size
    form = b""
    at = 12
    for _ in range(_MAX_CHUNKS):
        if at + 8 > size:
            return 0.0  # cut off before the sound began
        header = piece(at, at + 8)
        name, length = header[:4], int.from_bytes(header[4:], "little")
        at += 8
        if name == b"data":
            unknown = length in _UNKNOWN_SIZES and not (length == 0 and finished)
            return _sound_duration(form, size - at if unknown else min(length, size - at))
        if name == b"fmt ":
            form = piece(at, min(at + min(length, 40), size))
        at += length + length % 2  # chunks begin at even bytes
    return None


def _sound_duration(form: bytes, length: int) -> float | None:
    if len(form) < 16:
        return None
    tag, channels, bits = (int.from_bytes(form[at : at + 2], "little") for at in (0, 2, 14))
    rate, bytes_per_second = (int.from_bytes(form[at : at + 4], "little") for at in (4, 8))
    if tag == _EXTENSIBLE and len(form) >= 26:
        tag = int.from_bytes(form[24:26], "little")
    frame = channels * ((bits + 7) // 8)
    if tag in _SAMPLED and frame and rate:
        return length // frame / rate
    return length / bytes_per_second if bytes_per_second else None
