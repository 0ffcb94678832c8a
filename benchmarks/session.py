"""One run: load the calls into each peer, query them, compare the results and measure."""

from __future__ import annotations

import contextlib
import json
import shutil
import statistics
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs
import polars as pl

from . import tasks, workloads
from .data import DAYS, Calls, fresh_batches
from .measurement import interleaved, peak_memory, seconds
from .peers import PEERS, Answer, Cdrkit, Peer, folder_bytes
from .report import Line, Report
from .workloads import Workload

_APPENDS: Final = 20
_MOST_LINES: Final = 1_000_000


@attrs.frozen(kw_only=True)
class Options:
    """The options of a run.

    Attributes:
        calls: The number of calls.
        peers: Names of peers. cdrkit always runs.
        only: Names of tasks. Empty means all.
        rounds: The number of rounds.
        work: The folder for data and databases.
    """

    calls: int
    peers: Collection[str] = tuple(PEERS)
    only: Collection[str] = ()
    rounds: int = 5
    work: Path

    def wants(self, work: Workload) -> bool:
        """Return whether the run includes *work*."""
        return not self.only or work.name in self.only


def run(options: Options) -> Report:
    """Run the benchmarks with *options*."""
    say(f"generate {options.calls:,} calls")
    calls = Calls.made(options.work, options.calls)
    chosen = [kind for name, kind in PEERS.items() if name in options.peers or kind is Cdrkit]
    left_out = {kind.name: why for kind in chosen if (why := kind.missing())}
    peers = [kind(calls) for kind in chosen if kind.name not in left_out]
    for name, why in left_out.items():
        say(f"NOT RUN: {name}: {why}")
    lines: list[Line] = []
    with contextlib.ExitStack() as stack:
        load = Line(workloads.LOAD, {})
        kept = [peer.name for peer in peers if _bring_in(peer, load, stack)]
        versions = {peer.name: peer.version() for peer in peers}
        lines += _kept_room(options, calls, peers)
        lines[:0] = list(_asked(options, peers))
        if options.wants(workloads.LOAD):
            lines.append(load)
        if options.wants(workloads.APPEND):
            lines.append(_appended(peers))
    lines += _alone(options, calls, peers)
    order = [work.name for work in workloads.ALL]
    return Report(
        calls=options.calls,
        days=DAYS,
        lines=sorted((line for line in lines if line.figures), key=lambda line: order.index(line.work.name)),
        peers=versions,
        left_out=left_out,
        notes=[f"Loaded by an earlier run: {', '.join(kept)}."] if kept else [],
    )


def say(text: str) -> None:
    """Print a line of progress with the time."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def _bring_in(peer: Peer, line: Line, stack: contextlib.ExitStack) -> bool:
    """Start *peer* and load the calls. Return whether an earlier run had loaded them."""
    marker = peer.folder.with_suffix(".loaded")
    kept = peer.kept and marker.exists()
    if not kept:
        marker.unlink(missing_ok=True)
        shutil.rmtree(peer.folder, ignore_errors=True)
    peer.start()
    stack.callback(peer.close)
    if kept:
        rate = json.loads(marker.read_text())
    else:
        say(f"{peer.name}: load")
        tables, started = peer.calls.tables(), time.perf_counter()
        loaded = peer.load(tables)
        took = time.perf_counter() - started
        peer.settle()
        rate = peer.calls.rows / took if loaded else None
        marker.write_text(json.dumps(rate))
    if rate is not None:
        line.figures[peer.name] = rate
    return kept and rate is not None


def _kept_room(options: Options, calls: Calls, peers: Sequence[Peer]) -> Iterator[Line]:
    """Yield the sizes of the calls, and the speed of the move to warm."""
    if options.wants(workloads.BYTES):
        sizes = {peer.name: size for peer in peers if (size := peer.size_bytes()) is not None}
        yield Line(workloads.BYTES, {name: size / calls.rows for name, size in sizes.items()})
    if any(options.wants(work) for work in workloads.IN_WARM):
        (ours,) = (peer for peer in peers if isinstance(peer, Cdrkit))
        say("cdrkit: move to warm")
        copied = ours.copied("cdrkit-warm")
        yield Line(workloads.ROLLOVER, {"cdrkit": calls.rows / seconds(lambda: ours.roll_over(copied))})
    if options.wants(workloads.WARM_BYTES):
        room = {"cdrkit": folder_bytes(calls.warm), "pyarrow": calls.default_parquet_bytes()}
        yield Line(workloads.WARM_BYTES, {name: size / calls.rows for name, size in room.items()})


def _asked(options: Options, peers: Sequence[Peer]) -> Iterator[Line]:
    """Yield the times of the queries. Run each once before, to compare the results."""
    questions = {peer.name: peer.questions() for peer in peers}
    for work in filter(options.wants, workloads.QUESTIONS):
        asked = {name: known[work.name] for name, known in questions.items() if work.name in known}
        say(f"{work.name}: {', '.join(asked)}")
        first: dict[str, float] = {}
        answers: dict[str, pl.DataFrame | int] = {}
        for name, question in asked.items():
            answer: list[Answer] = []
            first[name] = seconds(lambda: answer.append(question()))  # noqa: B023  # called at once
            answers[name] = workloads.comparable(answer[0])
        taken = interleaved(asked, rounds=options.rounds, first=first)
        scale = 1 if work.unit == "s" else 1000
        figures = {name: scale * statistics.median(each) for name, each in taken.items()}
        agreed, differing = majority(answers)
        for name in differing:
            say(f"{work.name}: RESULT DIFFERS: {name}")
        yield Line(work, figures, rows=workloads.rows_in(answers[agreed]), differing=differing)


def majority(answers: dict[str, pl.DataFrame | int]) -> tuple[str, list[str]]:
    """Return one peer of the majority, and the peers with other results."""
    alike = {
        name: [other for other, theirs in answers.items() if workloads.same(answer, theirs)]
        for name, answer in answers.items()
    }
    agreed = max(alike, key=lambda name: len(alike[name]))
    return agreed, [name for name in answers if name not in alike[agreed]]


def _appended(peers: Sequence[Peer]) -> Line:
    """Return the times of durable appends. All peers append the same calls, one after the other."""
    appenders = {peer.name: append for peer in peers if (append := peer.appender())}
    say(f"append: {', '.join(appenders)}")
    taken: dict[str, list[float]] = {name: [] for name in appenders}
    for batch in fresh_batches(_APPENDS + 1):
        for name, append in appenders.items():
            taken[name].append(seconds(lambda: append(batch)))  # noqa: B023  # called at once
    for peer in peers:
        peer.tidy()
    figures = {
        name: 1000 * statistics.median(each[1:]) for name, each in taken.items()
    }  # the first warms caches
    return Line(workloads.APPEND, figures)


def _alone(options: Options, calls: Calls, peers: Sequence[Peer]) -> Iterator[Line]:
    """Yield the tasks of cdrkit alone, and the tasks in separate processes."""
    if options.wants(workloads.INGEST):
        say("ingest")
        number = min(options.calls, _MOST_LINES)
        rate = tasks.ingested(options.work, number, rounds=3)
        yield Line(workloads.INGEST, {"cdrkit": rate}, rows=number)
    if options.wants(workloads.OPEN) or options.wants(workloads.REFRESH):
        say("a store of many segments")
        folder = tasks.many_segments(options.work)
        yield Line(workloads.OPEN, {"cdrkit": tasks.opened(folder, rounds=options.rounds)})
        yield Line(workloads.REFRESH, {"cdrkit": tasks.refreshed(folder)})
    for work in filter(options.wants, workloads.MEMORY):
        say(f"{work.name}: memory")
        able = [peer.name for peer in peers if peer.name in workloads.WATCHED]
        peaks = {name: peak_memory(calls.folder, calls.rows, name, work.name) / 1e6 for name in able}
        yield Line(work, peaks)
