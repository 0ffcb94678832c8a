"""Run the benchmarks: ``python -m benchmarks --calls 1000000``."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import attrs

from . import workloads
from .peers import PEERS
from .report import growth_of
from .session import Options, run

_RESULTS: Final = Path(__file__).parent / "results"
_GROWING: Final = ("page", "page_quiet", "number_5", "number_50", "csv_tenth", "csv_all")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks, and return 1 if results differ."""
    chosen = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that PostgreSQL is stopped
    with contextlib.ExitStack() as stack:
        folder = chosen.work or stack.enter_context(tempfile.TemporaryDirectory(prefix="cdr-bench-"))
        work = Path(folder).absolute()
        work.mkdir(parents=True, exist_ok=True)
        work.chmod(0o755)  # PostgreSQL runs as another user
        options = Options(
            calls=chosen.calls, peers=chosen.peers, only=chosen.only, rounds=chosen.rounds, work=work
        )
        report = run(options)
        if chosen.grow:
            only = [name for name in _GROWING if not chosen.only or name in chosen.only]
            grown = run(attrs.evolve(options, calls=chosen.grow, peers=["cdrkit"], only=only))
            report = attrs.evolve(report, notes=[*report.notes, *growth_of(report, grown)])
    path = report.write(chosen.results)
    print(f"\n{report.markdown()}\nWritten to {path} and {path.with_suffix('.json')}.")
    return 0 if report.agree else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nox -s bench --", description="Measure cdrkit beside its peers.")
    names = [work.name for work in workloads.ALL]
    parser.add_argument("--calls", type=int, default=1_000_000, help="number of calls (1000000)")
    parser.add_argument("--grow", type=int, help="also measure pages and searches with this number of calls")
    parser.add_argument("--peers", type=_some(list(PEERS)), default=list(PEERS), help=", ".join(PEERS))
    parser.add_argument("--only", type=_some(names), default=[], help=f"workloads: {', '.join(names)}")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds (5)")
    parser.add_argument("--work", type=Path, help="keep data and databases in this folder, for the next run")
    parser.add_argument("--results", type=Path, default=_RESULTS, help="folder for the report")
    return parser


def _some(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Return a parser for known names, separated by commas."""

    def read(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is unknown. Known names: {', '.join(known)}.")
        return names

    return read


if __name__ == "__main__":
    sys.exit(main())
