"""The report: a table of figures, ratios to cdrkit, and goals."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from .workloads import MORE_IS_BETTER, Workload


@attrs.define
class Line:
    """The figures of one task.

    Attributes:
        work: The task.
        figures: The figure of each peer by name, in the unit of the task.
        rows: The number of rows in the result, or None.
        differing: Peers whose result differs from that of the majority.
    """

    work: Workload
    figures: dict[str, float]
    rows: int | None = None
    differing: list[str] = attrs.field(factory=list)

    def ratio(self, peer: str) -> float | None:
        """Return the factor by which cdrkit is better than *peer*, or None."""
        if peer not in self.figures or "cdrkit" not in self.figures:
            return None
        theirs, ours = self.figures[peer], self.figures["cdrkit"]
        return ours / theirs if self.work.unit in MORE_IS_BETTER else theirs / ours

    def shortfalls(self) -> list[str] | None:
        """Return the parts of the goal that were missed, or None without figures to compare."""
        ours, goal = self.figures.get("cdrkit"), self.work.goal
        if ours is None:
            return None
        missed, judged = [], False
        for peer, factor in goal.times.items():
            ratios = [self.ratio(name) for name in self.figures if name != "cdrkit"]
            known = [ratio for ratio in ratios if ratio is not None]
            ratio = (min(known) if known else None) if peer == "fastest" else self.ratio(peer)
            if ratio is not None:
                judged = True
                if ratio < factor:
                    missed.append(f"{peer} {ratio:.3g}x, not {factor:.3g}x")
        if goal.bound is not None:
            judged = True
            over = ours < goal.bound if self.work.unit in MORE_IS_BETTER else ours > goal.bound
            if over:
                missed.append(f"{_figure(ours)}, not {_figure(goal.bound)} {self.work.unit}")
        return missed if judged else None


@attrs.frozen(kw_only=True)
class Report:
    """The results of one run.

    Attributes:
        calls: The number of calls.
        days: The number of days.
        lines: The figures of each task.
        peers: The version of each peer that took part.
        left_out: The reason for each peer that did not take part.
        notes: Notes for the reader.
    """

    calls: int
    days: int
    lines: Sequence[Line]
    peers: dict[str, str]
    left_out: dict[str, str]
    notes: Sequence[str]

    @property
    def agree(self) -> bool:
        """Whether all peers returned the same results."""
        return not any(line.differing for line in self.lines)

    def markdown(self) -> str:
        """Return the report as Markdown: each figure, with the factor to cdrkit in brackets."""
        names = list(self.peers)
        text = [
            f"# {self.calls:,} calls over {self.days} days",
            "",
            f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}. Medians. In "
            "brackets: the factor by which cdrkit is better.",
            "",
            "| task | rows | " + " | ".join(names) + " | goal |",
            "| --- | ---: | " + " | ".join(["---:"] * len(names)) + " | --- |",
        ]
        for line in self.lines:
            cells = [self._cell(line, name) for name in names]
            rows = "" if line.rows is None else f"{line.rows:,}"
            text.append(
                f"| {line.work.title}, {line.work.unit} | {rows} | {' | '.join(cells)} | {_verdict(line)} |"
            )
        text += [
            "",
            "Versions: " + "; ".join(f"{name} {version}" for name, version in self.peers.items()) + ".",
        ]
        text += [f"Not run: {name}, {why}." for name, why in self.left_out.items()]
        different = [
            f"{line.work.name}: {', '.join(line.differing)}" for line in self.lines if line.differing
        ]
        text.append(f"**Answers differ**: {'; '.join(different)}." if different else "All answers agree.")
        text += self.notes
        return "\n".join(text) + "\n"

    def write(self, folder: Path) -> Path:
        """Write the report into *folder* as Markdown and JSON. Return the path of the Markdown."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.calls}.md"
        path.write_text(self.markdown())
        path.with_suffix(".json").write_text(json.dumps(self._values(), indent=1) + "\n")
        return path

    def _values(self) -> dict[str, Any]:
        return {
            "calls": self.calls,
            "days": self.days,
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "peers": self.peers,
            "left_out": self.left_out,
            "agree": self.agree,
            "lines": [
                {
                    "work": line.work.name,
                    "title": line.work.title,
                    "unit": line.work.unit,
                    "rows": line.rows,
                    "figures": line.figures,
                    "ratios": {name: line.ratio(name) for name in line.figures if name != "cdrkit"},
                    "differing": line.differing,
                    "shortfalls": line.shortfalls(),
                }
                for line in self.lines
            ],
            "notes": list(self.notes),
        }

    def _cell(self, line: Line, name: str) -> str:
        if name not in line.figures:
            return ""
        figure = _figure(line.figures[name])
        ratio = line.ratio(name)
        return figure if name == "cdrkit" or ratio is None else f"{figure} ({ratio:.3g})"


def growth_of(small: Report, large: Report) -> list[str]:
    """Return a table that compares cdrkit's figures at two sizes."""
    ours = {line.work.name: line.figures["cdrkit"] for line in small.lines if "cdrkit" in line.figures}
    text = [
        "",
        f"| cdrkit, from {small.calls:,} to {large.calls:,} calls | from | to | times |",
        "| --- | ---: | ---: | ---: |",
    ]
    for line in large.lines:
        if line.work.name in ours and line.work.unit not in MORE_IS_BETTER:
            before, after = ours[line.work.name], line.figures["cdrkit"]
            title = f"{line.work.title}, {line.work.unit}"
            text.append(f"| {title} | {_figure(before)} | {_figure(after)} | {after / before:.2f} |")
    return text


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _verdict(line: Line) -> str:
    missed = line.shortfalls()
    if missed is None:
        return ""
    return f"missed: {'; '.join(missed)}" if missed else "reached"
