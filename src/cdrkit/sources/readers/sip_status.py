"""SIP statuses as neutral words; a Q.850 cause is never made of one."""

from __future__ import annotations

from typing import Final

import polars as pl

__all__ = ["dispositions"]

_WORDS: Final = {
    **dict.fromkeys((486, 600), "busy"),
    **dict.fromkeys((408, 480), "no_answer"),
    487: "cancelled",
    **dict.fromkeys((401, 403, 407, 603, 607, 608), "rejected"),
}


def dispositions(codes: pl.Series) -> pl.Series:
    """Return the neutral word of each final SIP status: 2xx is an answer, what has no word of its own a failure.

    >>> dispositions(pl.Series([200, 486, 404, None])).to_list()
    ['answered', 'busy', 'failed', 'unknown']
    """
    code = pl.col("code")
    word = code.replace_strict(_WORDS, default=None, return_dtype=pl.String)
    said = (
        pl.when(code.is_between(200, 299))
        .then(pl.lit("answered"))
        .when(word.is_not_null())
        .then(word)
        .when(code.is_between(300, 699))
        .then(pl.lit("failed"))
        .otherwise(pl.lit("unknown"))
    )
    return pl.DataFrame({"code": codes.cast(pl.Int64)}).select(said.alias("disposition")).to_series()
