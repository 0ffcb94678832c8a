"""Read the properties of WAV files whose codec has a fixed byte rate.

Examples are PCM, µ-law, A-law and GSM 06.10.
"""

from __future__ import annotations

from typing import Final

from cdrkit._recordings.audio.properties import AudioProperties, ReadBytes, read_uint

__all__ = ["is_wav", "wav_properties"]

_MAX_CHUNKS: Final = 100
_UNKNOWN_SIZES: Final = (0, 0xFFFFFFFF)
_SAMPLED: Final = (1, 3, 6, 7)  # WAVE format tags of PCM, float, A-law and µ-law: samples of fixed size
_EXTENSIBLE: Final = 0xFFFE


def is_wav(head: bytes) -> bool:
    """Return whether *head* starts with a WAV header."""
    return head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE"


def wav_properties(read: ReadBytes, size: int) -> AudioProperties:
    """Return the properties of a WAV file of *size* bytes.

    The recorder may still be writing the file.
    """
    riff = read(0, min(12, size))
    if not is_wav(riff):
        return AudioProperties(is_whole=False)
    finished = read_uint(riff, 4, 4) + 8 == size
    form, samples = b"", None
    at = 12
    for _ in range(_MAX_CHUNKS):
        if at + 8 > size:
            return AudioProperties(seconds=0.0, is_whole=False)  # truncated before the audio data
        header = read(at, at + 8)
        name, length = header[:4], read_uint(header, 4, 4)
        at += 8
        if name == b"data":
            unknown = length in _UNKNOWN_SIZES and not (length == 0 and finished)
            existing = size - at if unknown else min(length, size - at)
            return _data_properties(form, existing, samples, is_whole=not unknown and existing == length)
        if name == b"fmt ":
            form = read(at, min(at + min(length, 40), size))
        elif name == b"fact" and length >= 4:
            samples = read_uint(read(at, min(at + 4, size)), 0, 4)
        at += length + length % 2  # chunks start at even offsets
    return AudioProperties(is_whole=False)


def _data_properties(form: bytes, length: int, samples: int | None, *, is_whole: bool) -> AudioProperties:
    if len(form) < 16:
        return AudioProperties(is_whole=False)
    tag, channels, bits = (read_uint(form, at, 2) for at in (0, 2, 14))
    rate, bytes_per_second = (read_uint(form, at, 4) for at in (4, 8))
    if tag == _EXTENSIBLE and len(form) >= 26:
        tag = read_uint(form, 24, 2)
    frame = channels * ((bits + 7) // 8)
    seconds: float | None = None
    if tag in _SAMPLED and frame and rate:
        seconds = length // frame / rate
    elif bytes_per_second:
        seconds = length / bytes_per_second
        if samples and rate:  # the last block of a compressed file may be padded
            seconds = min(seconds, samples / rate)
    return AudioProperties(seconds=seconds, channels=channels or None, rate=rate or None, is_whole=is_whole)
