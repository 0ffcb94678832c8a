"""The report of an ingest: the result for every row, as numbers, sentences and JSON values."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import attrs
import polars as pl
import pytest

from cdrkit import IngestReport, open_store
from cdrkit._ingest import Tally, ingest_inputs
from cdrkit.errors import SchemaError
from cdrkit.sources import CONTRADICTIONS, Inputs, PendingCall, Reject, SourceBatch, SourceInput
from tests.sources.test_asterisk import line

BEGUN = datetime(2026, 11, 22, 9, tzinfo=UTC)


def stored(*lines: str) -> IngestReport:
    """Return the report of some of Asterisk's lines."""
    store = open_store(f"memory://report-{id(lines)}")
    return store.ingest("\n".join([*lines, ""]).encode(), format="asterisk-csv", timezone="Europe/London")


def test_contradictions_are_counted_by_kind() -> None:
    """Each kind of contradiction is counted, rows are kept as written, and it is said what was done."""
    report = stored(
        line(uniqueid="1", answer="2026-11-22 08:59:59"),
        line(uniqueid="2", answer="", end="2026-11-22 08:00:00"),
        line(uniqueid="3", answer="2026-11-22 09:01:00"),
        line(uniqueid="4", billsec="41"),
        line(uniqueid="5", billsec="40"),  # two seconds: the stamps may have been rounded
        line(uniqueid="6", billsec="-1"),
        line(uniqueid="7"),
    )
    assert report.contradictions == {
        "answer_before_start": 1,
        "end_before_start": 1,
        "end_before_answer": 1,
        "talk_longer_than_call": 1,
        "negative_length": 1,
    }
    assert set(report.contradictions) == set(CONTRADICTIONS)
    assert (report.read, report.added, report.rejected) == (7, 6, 1)
    for kind, done in CONTRADICTIONS.items():
        assert f"1 row with {kind.replace('_', ' ')}: {done}" in str(report)


def test_rejects_are_counted_by_reason() -> None:
    """Reasons are counted without the values in them, most first, each with an example."""
    report = stored(
        line(), *(line(start=f"2026-13-0{n} 00:00:00") for n in (1, 2, 3)), "a,b", "a,b,c", line(start="")
    )
    assert list(report.reasons.values()) == [3, 2, 1]
    found = report.to_dict()
    assert json.loads(json.dumps(found)) == found
    assert [each["rows"] for each in found["reasons"]] == [3, 2, 1]
    assert found["reasons"][0]["example"]["row"] == 2
    assert found["reasons"][0]["example"]["text"] == report.rejects[0].text
    assert "3 rejected: The value … of start is not a time such as …." in str(report)
    assert (found["read"], found["added"], found["rejected"]) == (7, 1, 6)


@attrs.frozen
class Pairs:
    """A source of lines ``call,open`` and ``call,close``, which make a call only together, wherever they are."""

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        return self.read_all([SourceInput(name="", stream=stream)])

    def read_all(self, inputs: Iterable[SourceInput], /) -> Iterator[SourceBatch]:
        waiting: dict[str, tuple[str, int]] = {}
        for each in inputs:
            done: list[str] = []
            rejects: list[Reject] = []
            for row, raw in enumerate(each.stream.read().decode().splitlines(), 1):
                call, _, what = raw.partition(",")
                if what == "open":
                    waiting[call] = (each.name, row)
                elif what == "close" and call in waiting:
                    del waiting[call]
                    done.append(call)
                else:
                    rejects.append(Reject(row, "It is neither.", raw, each.name))
            starts = [BEGUN + timedelta(seconds=len(call)) for call in done]
            calls = {
                "call_id": pl.Series(done, dtype=pl.String),
                "start": pl.Series(starts, dtype=pl.Datetime("us", "UTC")),
            }
            frame = pl.DataFrame(calls)
            yield SourceBatch(frame=frame, rejects=tuple(rejects), merged=len(done))
        yield SourceBatch(
            frame=pl.DataFrame(schema={"call_id": pl.String, "start": pl.Datetime("us", "UTC")}),
            pending=tuple(
                PendingCall(call, "It is not closed.", row, 1, name) for call, (name, row) in waiting.items()
            ),
        )


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("cucm", {}),
        ("kamailio-acc", {"timezone": "UTC"}),
        ("freeswitch-json", {}),
        ("asterisk-csv", {"timezone": "UTC"}),
    ],
)
def test_a_refused_file_is_named_once(tmp_path: Path, form: str, options: dict[str, Any]) -> None:
    """The error of a file that is of another format begins with its name, and does not repeat it; of several, it is
    named which.
    """
    store = open_store(f"memory://refused-{form}")
    for name in ("One.csv", "Two.csv"):
        (tmp_path / name).write_text("a,b\n1,2\n")
    for source in (tmp_path / "One.csv", f"file://{tmp_path}/One.csv"):
        with pytest.raises(SchemaError) as caught:
            store.ingest(source, format=form, **options)
        assert str(caught.value).startswith(f"{source}: ")
        assert str(caught.value).count("One.csv") == 1
    with pytest.raises(SchemaError, match=f"{tmp_path}/One.csv"):
        store.ingest(tmp_path, format=form, **options)


def test_calls_over_several_inputs() -> None:
    """A source that joins sees all inputs; what is merged, open and rejected is in the account, with its input."""
    store = open_store("memory://pairs")
    given: Any = [b"a,open\nb,open\nx\n", b"b,close\nc,open\n", b"a,close\n"]
    with Inputs(given) as inputs, store._append("report") as append:
        report = ingest_inputs(inputs, Pairs(), append, Tally(inputs.name, "pairs", "report"), progress=None)
    assert (report.inputs, report.read, report.added, report.merged, report.pending_rows) == (3, 6, 2, 2, 1)
    assert report.read == report.added + report.merged + report.rejected + report.pending_rows
    assert [(call.call, call.input, call.row) for call in report.pending] == [("c", "document 2", 2)]
    assert [(reject.input, reject.row) for reject in report.rejects] == [("document 1", 3)]
    assert "1 pending calls (1 rows), not stored" in str(report)
    assert "pending: document 2, row 2, c: It is not closed." in str(report)
    assert report.to_dict()["pending"] == [
        {"call": "c", "reason": "It is not closed.", "row": 2, "rows": 1, "input": "document 2"}
    ]


def test_raising_names_the_input() -> None:
    """With on_reject="raise" the first reject is an error that says where it is, and nothing is stored."""
    store = open_store("memory://raising")
    with pytest.raises(SchemaError, match="document 2, row 1: The row has 2 columns.*Nothing was stored"):
        store.ingest(
            [line().encode() + b"\n", b"a,b\n" + line(uniqueid="2").encode() + b"\n"],
            format="asterisk-csv",
            timezone="UTC",
            on_reject="raise",
        )
    assert not store.exists


def test_progress_over_several_inputs() -> None:
    """Progress counts the bytes of all inputs, as they lie there."""
    seen: list[tuple[int, int | None]] = []
    rows = [(line(uniqueid=str(n)) + "\n").encode() for n in range(3)]
    open_store("memory://progress").ingest(
        [io.BytesIO(row) for row in rows],
        format="asterisk-csv",
        timezone="UTC",
        progress=lambda *at: seen.append(at),
    )
    assert [done for done, _ in seen] == [len(rows[0]), len(rows[0]) * 2, len(rows[0]) * 3]


def test_repr_shows_what_occurred(tmp_path: Path) -> None:
    """The repr omits counts of zero and other defaults. As code, it gives an equal report."""
    report = open_store(tmp_path).ingest(b"call_id,start\n1,2026-11-22T09:00:00Z\n", format="cdrkit-csv")
    expected = "IngestReport(added=1, source='bytes', format='cdrkit-csv', read=1, header='call_id,start')"
    assert repr(report) == expected
    for each in (
        report,
        IngestReport(inputs=0),
        IngestReport(inputs=2, contradictions={"negative_length": 1}),
    ):
        assert eval(repr(each), {"IngestReport": IngestReport}) == each
