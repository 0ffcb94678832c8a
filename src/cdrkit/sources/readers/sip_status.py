"""The disposition for each SIP status code.

No Q.850 cause is derived from a status code.
"""

from __future__ import annotations

from typing import Final

import polars as pl

__all__ = ["dispositions"]

_DISPOSITIONS: Final = {
    **dict.fromkeys((486, 600), "busy"),
    **dict.fromkeys((408, 480), "no_answer"),
    487: "cancelled",
    **dict.fromkeys((401, 403, 407, 603, 607, 608), "rejected"),
}


def dispositions(codes: pl.Series) -> pl.Series:
    """Return the disposition of each final SIP status code.

    A code from 200 to 299 means answered. A code from 300 to 699 that has no specific disposition means failed.

    Example:
        >>> dispositions(pl.Series([200, 486, 404, None])).to_list()
        ['answered', 'busy', 'failed', 'unknown']

    Args:
        codes: The status codes; null where the code is unknown.
    """
    code = pl.col("code")
    own = code.replace_strict(_DISPOSITIONS, default=None, return_dtype=pl.String)
    disposition = (
        pl.when(code.is_between(200, 299))
        .then(pl.lit("answered"))
        .when(own.is_not_null())
        .then(own)
        .when(code.is_between(300, 699))
        .then(pl.lit("failed"))
        .otherwise(pl.lit("unknown"))
    )
    return pl.DataFrame({"code": codes.cast(pl.Int64)}).select(disposition.alias("disposition")).to_series()
