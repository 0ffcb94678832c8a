"""Sample calls as the lines of a large Asterisk ``Master.csv``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import polars as pl

from cdrkit._model import Disposition, check_zone
from cdrkit.samples.calls import call_frames

__all__ = ["asterisk_lines"]

_WORDS: Final = {
    Disposition.ANSWERED: "ANSWERED",
    Disposition.NO_ANSWER: "NO ANSWER",
    Disposition.CANCELLED: "NO ANSWER",
    Disposition.BUSY: "BUSY",
    Disposition.REJECTED: "BUSY",
    Disposition.FAILED: "FAILED",
    Disposition.UNKNOWN: "FAILED",
}


def asterisk_lines(
    rows: int,
    *,
    days: int = 30,
    seed: int = 1,
    end: datetime | None = None,
    customers: int = 200,
    region: str = "GB",
    timezone: str = "Europe/London",
) -> Iterator[bytes]:
    r"""Generate the lines of a large Asterisk ``Master.csv``, for benchmarks.

    The lines hold the calls of `synthesize_calls`, in the 18 columns that `write_office` writes and in the order in
    which calls began. A million lines take a few seconds; memory does not grow with the number of lines.

    Example:
        >>> from cdrkit.samples import asterisk_lines
        >>> sum(block.count(b"\n") for block in asterisk_lines(500))
        500

    Args:
        rows: The number of lines.
        days: As for `synthesize_calls`.
        seed: As for `synthesize_calls`.
        end: As for `synthesize_calls`.
        customers: As for `synthesize_calls`.
        region: As for `synthesize_calls`.
        timezone: IANA name of the time zone of the timestamps, which have no offset.

    Returns:
        Blocks of complete lines.

    Raises:
        ConfigError: When an argument is out of its range, *end* is naive, or the region or the zone is unknown. The
            error is raised before the first block.
    """
    timezone = check_zone(timezone)
    frames = call_frames(
        rows, days=days, seed=seed, end=end, customers=customers, region=region, rows_at_once=50_000
    )
    return (_format_lines(frame, timezone).encode() for frame in frames)


def _format_lines(frame: pl.DataFrame, timezone: str) -> str:
    def stamp(name: str) -> pl.Expr:
        return pl.col(name).dt.convert_time_zone(timezone).dt.strftime('"%Y-%m-%d %H:%M:%S"').fill_null("")

    def second(name: str) -> pl.Expr:
        return pl.col(name).dt.epoch("us") // 1_000_000

    def quote(*parts: str | pl.Expr) -> pl.Expr:
        return pl.concat_str(
            pl.lit('"'), *(pl.lit(p) if isinstance(p, str) else p for p in parts), pl.lit('"')
        )

    # Asterisk writes a caller's name on one line.
    name = pl.col("source_name").fill_null("").str.replace_all("\n", " ", literal=True)
    words = pl.Series([_WORDS[word] for word in Disposition])
    near = pl.when(pl.col("direction") == 0).then(pl.lit("trunk")).otherwise(pl.col("customer_id"))
    far = pl.when(pl.col("direction") == 1).then(pl.lit("trunk")).otherwise(pl.col("customer_id"))
    serial = pl.col("call_id").str.slice(12)
    columns = (
        quote(pl.col("customer_id")),
        quote(pl.col("source")),
        quote(pl.col("destination")),
        quote(
            pl.when(pl.col("direction") == 0).then(pl.lit("from-trunk")).otherwise(pl.lit("from-internal"))
        ),
        quote('""', name.str.replace_all('"', '""', literal=True), '"" <', pl.col("source"), ">"),
        quote("PJSIP/", near, "-", pl.col("linked_id").str.slice(12)),
        quote("PJSIP/", far, "-", serial),
        quote("Dial"),
        quote("PJSIP/", pl.col("destination"), "@trunk,60"),
        stamp("start"),
        stamp("answer"),
        stamp("end"),
        second("end") - second("start"),
        pl.col("duration"),
        quote(pl.lit(words).gather(pl.col("disposition"))),
        quote("DOCUMENTATION"),
        quote(pl.col("linked_id")),
        quote(pl.col("recording").fill_null("")),
    )
    lines = frame.select(pl.concat_str(*columns, separator=",").str.join("\n")).item()
    return f"{lines}\n"
