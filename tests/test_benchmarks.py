"""The benchmarks: a small run in which cdrkit and three peers must agree, and reports of given figures."""

from __future__ import annotations

import collections
import json
import re
from pathlib import Path

import polars as pl
import pytest

from benchmarks import sql, workloads
from benchmarks.data import DAYS, END, Calls
from benchmarks.peers import PEERS
from benchmarks.report import Line, Report, growth_of
from benchmarks.session import Options, majority, run
from cdrkit.samples import synthesize_calls

ROWS = 3000
PEOPLE = ("cdrkit", "polars", "pyarrow", "sqlite")
ASKED = ("page", "page_quiet", "number_5", "prefix", "warm_5", "totals", "totals_customer", "count", "csv")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def report(work: Path) -> Report:
    """A run with what needs no database server and no further package."""
    only = (*ASKED, "load", "append", "bytes", "warm_bytes", "csv_tenth")
    return run(Options(calls=ROWS, peers=PEOPLE, only=only, rounds=1, work=work))


def plain(number: str) -> str:
    """Normalise a number, without a data frame."""
    digits = number.replace(" ", "")
    if digits.startswith("00"):
        return f"+{digits[2:]}"
    return re.sub(r"^0", "+44", digits)


class TestRun:
    """A run."""

    def test_answers_agree(self, report: Report) -> None:
        """Everybody gives the same rows for every question, and the questions find some."""
        lines = {line.work.name: line for line in report.lines}
        assert [name for name in ASKED if lines[name].differing] == []
        assert report.agree
        assert all(lines[name].rows for name in ASKED if name != "page_quiet")
        for name in ASKED:
            expected = {"cdrkit", "polars"} if name == "warm_5" else set(PEOPLE)
            assert set(lines[name].figures) == expected

    def test_answers_are_those_of_plain_python(self, report: Report, work: Path) -> None:
        """What all agree on is what loops over the calls find."""
        asked = Calls.made(work, ROWS).asked
        calls = synthesize_calls(ROWS, days=DAYS, end=END).to_pylist()
        both = [{plain(call["source"]), plain(call["destination"])} for call in calls]
        rows = {line.work.name: line.rows for line in report.lines}
        connected = [call for call in calls if call["duration"] > 0]
        busiest = collections.Counter(call["customer_id"] for call in calls).most_common(1)
        assert busiest[0][0] == asked.customer
        assert rows["number_5"] == sum(asked.five in numbers for numbers in both)
        assert rows["prefix"] == sum(any(n.startswith(asked.prefix) for n in numbers) for numbers in both)
        assert rows["count"] == sum(call["start"] >= asked.month for call in connected) == rows["csv"]
        assert rows["totals"] == len({call["start"].date() for call in calls})
        assert rows["page"] == min(
            100,
            sum(call["start"] >= asked.week and call["customer_id"] == asked.customer for call in connected),
        )

    def test_figures_are_there_for_what_was_wanted(self, report: Report) -> None:
        """Loads, appends, room and memory have a figure above 0 for who does them; works not asked for have no line."""
        figures = {line.work.name: line.figures for line in report.lines}
        assert set(figures["load"]) == set(figures["append"]) == {"cdrkit", "sqlite"}
        assert set(figures["bytes"]) == set(PEOPLE)
        assert set(figures["warm_bytes"]) == {"cdrkit", "pyarrow"}
        assert set(figures["csv_tenth"]) == {"cdrkit", "polars", "pyarrow"}
        assert all(value > 0 for each in figures.values() for value in each.values())
        assert not {"ingest", "open", "number_50"} & set(figures)

    def test_report_is_written(self, report: Report, tmp_path: Path) -> None:
        """Markdown and JSON hold every line."""
        path = report.write(tmp_path / "results")
        values = json.loads(path.with_suffix(".json").read_text())
        assert [line["work"] for line in values["lines"]] == [line.work.name for line in report.lines]
        assert all(line.work.title in path.read_text() for line in report.lines)
        assert "All answers agree." in path.read_text()

    def test_next_run_takes_what_is_there(self, work: Path, report: Report) -> None:
        """Peers keep the calls that they loaded, cdrkit loads them again, and appended calls are gone."""
        database = work / f"calls-{ROWS}" / "sqlite" / "calls.sqlite"
        made = database.stat().st_ino
        again = run(Options(calls=ROWS, peers=PEOPLE, only=("count", "totals"), rounds=1, work=work))
        assert again.agree
        assert again.notes == ["Loaded by an earlier run: sqlite."]
        assert database.stat().st_ino == made
        assert [line.rows for line in again.lines] == [
            line.rows for line in report.lines if line.work.name in ("count", "totals")
        ]


class TestComparing:
    """Answers side by side."""

    def test_the_odd_one_out_is_named(self) -> None:
        """Who gives another answer than most is named, be it the library itself."""
        frame = pl.DataFrame({"day": [1, 2]})
        other = frame.reverse()
        assert majority({"cdrkit": 3, "polars": 4, "sqlite": 4}) == ("polars", ["cdrkit"])
        assert majority({"cdrkit": frame, "polars": frame.clone(), "sqlite": other}) == ("cdrkit", ["sqlite"])
        assert majority({"cdrkit": 3, "polars": 3}) == ("cdrkit", [])

    def test_exports_are_read_back(self, tmp_path: Path) -> None:
        """Stamps of any ISO form, the guard, and trailing zeros make no difference; another text does."""
        head = ",".join(sql.EXPORTED)
        rows = (
            "2026-11-01T10:00:00.5Z,2026-11-01T10:00:09.000000Z,a,1001,inbound,+44,'=x,2,UK,9,answered,0.25",
            "2026-11-01 10:00:00.5+00,2026-11-01 10:00:09+00,a,1001,inbound,+44,=x,2,UK,9,answered,0.250000",
            "2026-11-01T10:00:00.5Z,2026-11-01T10:00:09Z,a,1001,inbound,+44,=y,2,UK,9,answered,0.25",
        )
        read = []
        for row in rows:
            path = tmp_path / "calls.csv"
            path.write_text(f"{head}\n{row}\n")
            read.append(workloads.comparable(path))
        assert workloads.same(read[0], read[1])
        assert not workloads.same(read[0], read[2])


class TestReport:
    """Figures, ratios and goals."""

    def test_ratio_is_how_many_times_better(self) -> None:
        """Of milliseconds less is better, of calls a second more."""
        page = Line(workloads.QUESTIONS[0], {"cdrkit": 2.0, "polars": 80.0, "postgresql": 1.0})
        load = Line(workloads.LOAD, {"cdrkit": 600_000.0, "postgresql": 100_000.0})
        assert (page.ratio("polars"), page.ratio("postgresql"), page.ratio("duckdb")) == (40, 0.5, None)
        assert load.ratio("postgresql") == 6

    def test_shortfalls_say_by_how_much(self) -> None:
        """A goal that was missed says what was reached, and one without figures says nothing."""
        page = Line(workloads.QUESTIONS[0], {"cdrkit": 2.0, "polars": 80.0, "postgresql": 1.0})
        assert page.shortfalls() == ["postgresql 0.5x, not 1x"]
        assert Line(workloads.LOAD, {"cdrkit": 600_000.0, "postgresql": 100_000.0}).shortfalls() == []
        assert Line(workloads.LOAD, {"cdrkit": 400_000.0}).shortfalls() == ["400,000, not 500,000 calls/s"]
        assert Line(workloads.LOAD, {"postgresql": 100_000.0}).shortfalls() is None
        totals = next(work for work in workloads.QUESTIONS if work.name == "totals")
        assert Line(totals, {"cdrkit": 1.0, "polars": 300.0, "duckdb": 99.0}).shortfalls() == [
            "fastest 99x, not 100x"
        ]

    def test_growth_is_reported(self) -> None:
        """From one size to another, cdrkit's own figures have a ratio."""
        small, large = (
            Report(
                calls=calls, days=DAYS, lines=[Line(workloads.QUESTIONS[0], {"cdrkit": ms})], peers={},
                left_out={}, notes=(),
            )
            for calls, ms in ((10, 2.0), (40, 2.5))
        )  # fmt: skip
        assert "| 2 | 2.5 | 1.25 |" in "\n".join(growth_of(small, large))

    def test_goals_name_peers(self) -> None:
        """A goal beside somebody who does not exist could never be missed."""
        named = {peer for work in workloads.ALL for peer in work.goal.times}
        assert named <= {*PEERS, "fastest"}
