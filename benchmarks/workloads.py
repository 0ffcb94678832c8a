"""The tasks, their goals, and the comparison of results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import attrs
import polars as pl

from . import sql
from .peers import Answer

#: The units of figures.
Unit = Literal["ms", "s", "bytes a call", "MB", "calls/s", "lines/s", "times"]
MORE_IS_BETTER: Final = ("calls/s", "lines/s")


@attrs.frozen(kw_only=True, eq=False)
class Goal:
    """The goal of a task, for 10 million calls on two cores.

    Attributes:
        times: The required factor to each peer, by its name. 1 means at least as good.
        bound: The limit of cdrkit's own figure, in the unit of the task.
    """

    times: Mapping[str, float] = attrs.field(factory=dict)
    bound: float | None = None


@attrs.frozen(eq=False)
class Workload:
    """A task: one line of the report.

    Attributes:
        name: The name for the option ``--only``.
        title: The title in the report.
        unit: The unit of the figures.
        goal: The goal.
    """

    name: str
    title: str
    unit: Unit
    goal: Goal = attrs.field(factory=Goal)


_OVER_PARQUET: Final = ("duckdb-parquet", "polars")


def _times(factor: float, *peers: str, **more: float) -> dict[str, float]:
    return dict.fromkeys(peers, factor) | more


QUESTIONS: Final = (
    Workload(
        "page", "newest 100 connected calls of the busiest customer in 7 days", "ms",
        Goal(times=_times(20, *_OVER_PARQUET, postgresql=1)),
    ),
    Workload(
        "page_quiet", "newest 100 connected calls of the customer with the fewest calls", "ms",
        Goal(times=_times(20, *_OVER_PARQUET, postgresql=1)),
    ),
    Workload(
        "number_5", "one number with 5 calls, both roles, all days", "ms",
        Goal(times=_times(100, *_OVER_PARQUET, clickhouse=10), bound=5),
    ),
    Workload(
        "number_50", "one number with 50 calls, both roles, all days", "ms",
        Goal(times=_times(100, *_OVER_PARQUET, clickhouse=10), bound=5),
    ),
    Workload("prefix", "a prefix of 6 digits, both roles, all days", "ms", Goal(times=_times(20, "duckdb-parquet"))),
    Workload("warm_5", "the number with 5 calls, warm tier", "ms", Goal(times=_times(20, *_OVER_PARQUET))),
    Workload("warm_50", "the number with 50 calls, warm tier", "ms", Goal(times=_times(5, *_OVER_PARQUET))),
    Workload("totals", "daily totals, all days", "ms", Goal(times=_times(100, "fastest"))),
    Workload("totals_customer", "daily totals of the busiest customer", "ms", Goal(times=_times(100, "fastest"))),
    Workload("count", "count of connected calls in 30 days", "ms", Goal(bound=1)),
    Workload("csv", "CSV of connected calls in 30 days, 12 columns", "s", Goal(times={"polars": 1, "pyarrow": 5})),
)  # fmt: skip
LOAD: Final = Workload(
    "load", "load of all calls from Arrow, with indexes", "calls/s",
    Goal(times={"postgresql": 5}, bound=500_000),
)  # fmt: skip
APPEND: Final = Workload(
    "append", "durable append of 100 calls", "ms", Goal(times={"postgresql": 1, "delta": 10, "iceberg": 10})
)
BYTES: Final = Workload("bytes", "size with indexes", "bytes a call", Goal(bound=250))
WARM_BYTES: Final = Workload(
    "warm_bytes", "size in the warm tier, compared with pyarrow's default Parquet", "bytes a call",
    Goal(times={"pyarrow": 1 / 0.7}),
)  # fmt: skip
ROLLOVER: Final = Workload("rollover", "move of all calls to the warm tier", "calls/s")
INGEST: Final = Workload("ingest", "ingest of Asterisk's CSV", "lines/s", Goal(bound=250_000))
OPEN: Final = Workload(
    "open", "open a store of 1,000 segments in a new process, without import", "ms", Goal(bound=150)
)
REFRESH: Final = Workload("refresh", "check that store for new versions, without any", "ms", Goal(bound=0.2))
MEMORY: Final = (
    Workload(
        "csv_tenth", "peak memory without mapped files: CSV of 10 days, all calls", "MB", Goal(bound=400)
    ),
    Workload("csv_all", "peak memory without mapped files: CSV of all 100 days", "MB", Goal(bound=400)),
)
#: The tasks that need the move to warm, and the move itself.
IN_WARM: Final = (*(work for work in QUESTIONS if work.name.startswith("warm")), WARM_BYTES, ROLLOVER)
#: The peers whose memory is measured.
WATCHED: Final = ("cdrkit", "polars", "pyarrow")
ALL: Final = (
    *QUESTIONS, LOAD, INGEST, APPEND, OPEN, REFRESH, BYTES, WARM_BYTES, ROLLOVER, *MEMORY,
)  # fmt: skip

_KINDS: Final = {
    "start": pl.Datetime("us", "UTC"),
    "end": pl.Datetime("us", "UTC"),
    "duration": pl.Int64(),
    "charge": pl.Decimal(38, 6),
}


def comparable(answer: Answer) -> pl.DataFrame | int:
    """Return a result in a form in which the results of all peers can be compared."""
    if isinstance(answer, int):
        return answer
    if isinstance(answer, Path):
        return _exported(answer)
    frame = pl.DataFrame(pl.from_arrow(answer))
    if "day" in frame.columns:
        charges = sorted(name for name in frame.columns if name.startswith("charge_"))
        numbers = ("attempts", "connected", "duration", "billed_duration")
        return frame.select(
            pl.col("day").cast(pl.Date),
            pl.col(numbers).cast(pl.Int64),
            pl.col(charges).cast(pl.Decimal(38, 6)),
        )
    return frame.select(pl.col(name).cast(_KINDS.get(name, pl.String())) for name in sql.SHOWN)


def same(one: pl.DataFrame | int, other: pl.DataFrame | int) -> bool:
    """Return whether two comparable results have equal rows in the same order."""
    if isinstance(one, pl.DataFrame) and isinstance(other, pl.DataFrame):
        return one.columns == other.columns and one.equals(other)
    return one is other or (isinstance(one, int) and isinstance(other, int) and one == other)


def rows_in(answer: pl.DataFrame | int) -> int:
    """Return the number of rows of a result, or the count itself."""
    return answer if isinstance(answer, int) else answer.height


def _exported(path: Path) -> pl.DataFrame:
    """Return the rows of a CSV: any ISO instants, null for empty cells, without the formula guard."""
    frame = pl.read_csv(path, infer_schema=False)
    path.unlink()
    return frame.select(_cell(name) for name in sql.EXPORTED)


def _cell(name: str) -> pl.Expr:
    cell = pl.col(name)
    if name in ("start", "end"):
        plain = cell.str.replace(" ", "T", literal=True).str.replace(r"(Z|\+00(:?00)?)$", "")
        return plain.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us")
    if name == "duration":
        return cell.cast(pl.Int64)
    if name == "charge":
        return cell.cast(pl.Float64).round(6)
    return cell.str.replace(r"^'([=+\-@\t\r\n\x00＝＋－＠])", "$1")
