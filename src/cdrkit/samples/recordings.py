"""Recordings of tones: ringing, key tones and two alternating voices."""

from __future__ import annotations

import array
import functools
import math
import random
import sys
import wave
from pathlib import Path
from typing import Final

__all__ = ["write_tones"]

_SAMPLES: Final = 8000  # a second


@functools.cache
def _phrase(notes: tuple[tuple[float, float], ...], milliseconds: int) -> bytes:
    """Return consecutive tones as 16-bit samples.

    Each tone is the sum of two frequencies.
    """
    count = _SAMPLES * milliseconds // 1000
    samples = array.array("h")
    for low, high in notes:
        for n in range(count):
            swell = min(1.0, n / 120, (count - n) / 400)  # fades in and out, so that no tone clicks
            angle = 2 * math.pi * n / _SAMPLES
            samples.append(round(6500 * swell * (math.sin(low * angle) + 0.5 * math.sin(high * angle))))
    samples.extend([0] * (_SAMPLES // 10))
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


_RINGBACK: Final = (((400.0, 450.0),), 400)
_KEYS: Final = (((697.0, 1209.0), (770.0, 1336.0), (852.0, 1477.0)), 110)
_VOICES: Final = (
    (((392.0, 784.0), (494.0, 988.0), (587.0, 1174.0)), 170),
    (((220.0, 440.0), (277.0, 554.0), (330.0, 660.0)), 190),
    (((440.0, 880.0), (392.0, 784.0), (330.0, 660.0)), 160),
    (((196.0, 392.0), (220.0, 440.0), (247.0, 494.0)), 200),
)


def write_tones(target: Path, seconds: int, chance: random.Random) -> None:
    """Write the sounds of a simulated call as a 16-bit WAV file at 8 kHz.

    The sound is ringing, sometimes keys, then two alternating voices.

    Args:
        target: The path of the file.
        seconds: The length of the recording.
        chance: The source of random choices.
    """
    size = seconds * _SAMPLES * 2
    parts = [_phrase(*_RINGBACK)] + ([_phrase(*_KEYS)] if chance.random() < 0.3 else [])
    turn = 0
    while sum(map(len, parts)) < size:
        parts.append(_phrase(*_VOICES[turn % 2 + 2 * int(chance.random() * 2)]))
        turn += 1
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_SAMPLES)
        file.writeframes(b"".join(parts)[:size])
