"""WAV, of any coding: PCM, µ-law, A-law, GSM 06.10 and what else announces its bytes a second."""

from __future__ import annotations

from typing import Final

from cdrkit._recordings.audio.sound import Piece, Sound, number

__all__ = ["is_wav", "wav_sound"]

_MAX_CHUNKS: Final = 100
_UNKNOWN_SIZES: Final = (0, 0xFFFFFFFF)
_SAMPLED: Final = (1, 3, 6, 7)  # WAVE format tags of PCM, float, A-law and µ-law: one sample after the other
_EXTENSIBLE: Final = 0xFFFE


def is_wav(head: bytes) -> bool:
    """Return whether a file begins as a WAV does."""
    return head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE"


def wav_sound(piece: Piece, size: int) -> Sound:
    """Return what a WAV of *size* bytes tells, finished or not."""
    riff = piece(0, min(12, size))
    if not is_wav(riff):
        return Sound(is_whole=False)
    finished = number(riff, 4, 4) + 8 == size
    form, samples = b"", None
    at = 12
    for _ in range(_MAX_CHUNKS):
        if at + 8 > size:
            return Sound(seconds=0.0, is_whole=False)  # cut off before the sound began
        header = piece(at, at + 8)
        name, length = header[:4], number(header, 4, 4)
        at += 8
        if name == b"data":
            unknown = length in _UNKNOWN_SIZES and not (length == 0 and finished)
            there = size - at if unknown else min(length, size - at)
            return _sound(form, there, samples, is_whole=not unknown and there == length)
        if name == b"fmt ":
            form = piece(at, min(at + min(length, 40), size))
        elif name == b"fact" and length >= 4:
            samples = number(piece(at, min(at + 4, size)), 0, 4)
        at += length + length % 2  # chunks begin at even bytes
    return Sound(is_whole=False)


def _sound(form: bytes, length: int, samples: int | None, *, is_whole: bool) -> Sound:
    if len(form) < 16:
        return Sound(is_whole=False)
    tag, channels, bits = (number(form, at, 2) for at in (0, 2, 14))
    rate, bytes_per_second = (number(form, at, 4) for at in (4, 8))
    if tag == _EXTENSIBLE and len(form) >= 26:
        tag = number(form, 24, 2)
    frame = channels * ((bits + 7) // 8)
    seconds: float | None = None
    if tag in _SAMPLED and frame and rate:
        seconds = length // frame / rate
    elif bytes_per_second:
        seconds = length / bytes_per_second
        if samples and rate:  # the last block of a coded sound may be filled up
            seconds = min(seconds, samples / rate)
    return Sound(seconds=seconds, channels=channels or None, rate=rate or None, is_whole=is_whole)
