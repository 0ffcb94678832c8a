"""Random numbers as Polars expressions.

The generator is splitmix64 over counters, in arithmetic modulo 2**64.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Sequence
from typing import Final

import polars as pl

__all__ = ["GAMMA", "SLICE", "draw", "draw_below", "duration_steps", "look_up", "mix", "thousandths", "u64"]

_MASK: Final = 2**64 - 1
GAMMA: Final = 0x9E3779B97F4A7C15
_MIX_1: Final = 0xBF58476D1CE4E5B9
_MIX_2: Final = 0x94D049BB133111EB
SLICE: Final = 2**16


def mix(number: int) -> int:
    """Return the output of splitmix64 for the state *number*."""
    number &= _MASK
    number = (number ^ (number >> 30)) * _MIX_1 & _MASK
    number = (number ^ (number >> 27)) * _MIX_2 & _MASK
    return number ^ (number >> 31)


def u64(value: int) -> pl.Expr:
    """Return *value* as an unsigned 64-bit integer.

    Sums and products with a column of such integers wrap.
    """
    return pl.lit(value, dtype=pl.UInt64)


def draw_below(bits: str, place: int, choices: int) -> pl.Expr:
    """Return a random whole number from 0 to *choices* - 1.

    The number comes from the *place*-th 16 bits of the column *bits*.
    """
    chosen = pl.col(bits) // u64(SLICE**place) % u64(SLICE)
    return chosen * u64(choices) // u64(SLICE)


def look_up(values: Sequence[int | str | None], index: pl.Expr, dtype: type[pl.DataType]) -> pl.Expr:
    """Return the items of *values* at the positions in *index*; positions start at 0."""
    return pl.lit(pl.Series(values, dtype=dtype)).gather(index)


def thousandths(index: pl.Expr) -> pl.Expr:
    """Return *index* / 1000, correctly rounded, for indexes below 60,000.

    Polars may divide by multiplying by a reciprocal. The result can then differ in its last bit, but only for some
    frame lengths.
    """
    return pl.lit(_thousandths()).gather(index)


@functools.cache
def _thousandths() -> pl.Series:
    return pl.Series([number / 1000 for number in range(60_000)], dtype=pl.Float64)


@functools.cache
def duration_steps() -> tuple[int, ...]:
    """Return 4,096 durations, in seconds, that follow a log-normal distribution.

    The median is 70 seconds, the maximum four hours.
    """
    normal = statistics.NormalDist(math.log(70), 1.25)
    steps = (math.exp(normal.inv_cdf((step + 0.5) / 4096)) for step in range(4096))
    return (*(max(1, round(step)) for step in steps), 4 * 3600)


def draw(seed: int, stream: int, index: pl.Expr) -> pl.Expr:
    """Return 64 random bits for each number in *index*.

    The streams of one seed are independent of each other.
    """
    state = index * u64(GAMMA) + u64(mix(seed + (stream + 2) * GAMMA))
    state = (state ^ (state // u64(2**30))) * u64(_MIX_1)
    state = (state ^ (state // u64(2**27))) * u64(_MIX_2)
    return state ^ (state // u64(2**31))
