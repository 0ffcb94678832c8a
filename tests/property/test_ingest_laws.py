"""Laws of ingest: every row of any file is accounted for; the store does not depend on the kind of input."""

from __future__ import annotations

import io
import itertools
import json
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdrkit import IngestReport, Store, open_store
from cdrkit._output.csv import write_frames
from cdrkit.errors import CdrError
from cdrkit.samples import asterisk_lines
from cdrkit.sources import SourceBatch, available, detect, make_source
from tests import strategies
from tests.sources import test_asterisk as asterisk
from tests.sources.test_asterisk_tables import FREEPBX, SAMPLE, dump
from tests.sources.test_freeswitch import DOCUMENT, TEMPLATES, row

_numbers = itertools.count()

#: For each format a small whole file of its own, and the options that it needs.
FILES: dict[str, tuple[bytes, dict[str, Any]]] = {
    "asterisk-csv": (
        "".join(
            asterisk.line(uniqueid=str(n), clid='"Zo\u00eb, "" B" <1>') + "\n" for n in range(12)
        ).encode(),
        {"timezone": "Europe/London"},
    ),
    "asterisk-custom": (
        "".join(asterisk.line(SAMPLE, uniqueid=str(n)) + "\n" for n in range(12)).encode(),
        {"timezone": "Europe/London"},
    ),
    "asterisk-sql": (
        dump([*asterisk.ROW], [{"uniqueid": str(n)} for n in range(12)], ";").encode(),
        {"timezone": "Europe/London"},
    ),
    "freepbx": (
        dump(FREEPBX, [{"uniqueid": str(n)} for n in range(12)]).encode(),
        {"timezone": "Europe/London"},
    ),
    "freeswitch-csv": (
        "".join(
            row(name, uuid=str(n)) + "\n" for n, name in enumerate([*TEMPLATES, "example", "snom"])
        ).encode(),
        {"timezone": "Europe/London"},
    ),
    "freeswitch-json": (
        "".join(
            json.dumps({"core-uuid": "c", "variables": DOCUMENT | {"uuid": str(n)}}) + "\n" for n in range(9)
        ).encode(),
        {},
    ),
    "freeswitch-xml": (
        "".join(
            f'<?xml version="1.0"?>\n<cdr core-uuid="c"><variables><uuid>{n}</uuid><x>a%20b</x>'
            "<start_epoch>1784707200</start_epoch></variables></cdr>\n"
            for n in range(9)
        ).encode(),
        {},
    ),
    "cdrkit-csv": (
        b"call_id,start,duration,charge,extra,source\r\n"
        + b"".join(b'%d,2026-07-22T08:00:00Z,34,1.25,"{""a"":1}",+44%d\r\n' % (n, n) for n in range(12)),
        {},
    ),
}


def test_every_format_is_here() -> None:
    """What is asked of one format is asked of each: those that other tests ask it of are named."""
    assert {*FILES} <= {*available()}


@pytest.mark.parametrize("format", FILES)
def test_detected(format: str) -> None:
    """A file of each format is detected as of that one, and no other."""
    assert detect(FILES[format][0]).format == format


def spoilt(data: bytes, how: Sequence[str], chance: random.Random) -> bytes:
    """Return *data* with damage of the kinds named."""
    for kind in how:
        if not data:
            break
        at = chance.randrange(len(data))
        lines = data.split(b"\n")
        pick = chance.randrange(len(lines))
        if kind == "flip":
            data = data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]
        elif kind == "byte":
            data = (
                data[:at]
                + chance.choice([b"\0", b'"', b"\r", b"\n", b",", b"\xff", b"<", b"%", b"\\"])
                + data[at:]
            )
        elif kind == "cut":
            data = data[:at]
        elif kind == "drop":
            data = data[:at] + data[at + chance.randrange(1, 60) :]
        elif kind == "column":
            lines[pick] = b",".join(lines[pick].split(b",")[1:])
            data = b"\n".join(lines)
        elif kind == "half":
            lines[pick] = lines[pick][: len(lines[pick]) // 2]
            data = b"\n".join(lines)
        elif kind == "encoding":
            lines[pick] = lines[pick].decode("utf-8", "replace").encode("latin-1", "replace") + b"\xe9"
            data = b"\n".join(lines)
        elif kind == "line":
            lines.insert(pick, chance.choice([b"", b"x", lines[pick], b"\xff\xfe", b"a,b,c"]))
            data = b"\n".join(lines)
    return data


DAMAGE = st.lists(
    st.sampled_from(["flip", "byte", "cut", "drop", "column", "half", "encoding", "line"]),
    min_size=1,
    max_size=4,
)


def taken(data: bytes, format: str, options: dict[str, Any]) -> list[SourceBatch]:
    """Return the batches of *data*; none where it cannot be read as a whole."""
    try:
        return list(make_source(format, options)(io.BytesIO(data)))
    except CdrError:
        return []


@pytest.mark.parametrize("format", FILES)
@settings(max_examples=40, deadline=None)
@given(how=DAMAGE, chance=st.randoms(use_true_random=False))
def test_damage(format: str, how: list[str], chance: random.Random) -> None:
    """Damage of any kind ends in rejects or in an error of ours; no row is lost, and what is whole stays as it was."""
    whole, options = FILES[format]
    data = spoilt(whole, how, chance)
    batches = taken(data, format, options)
    rejects = [reject for batch in batches for reject in batch.rejects]
    good = sum(batch.frame.height for batch in batches)
    assert sum(batch.read for batch in batches) == good + len(rejects)
    assert all(reject.reason for reject in rejects)
    plain = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for reject in rejects:
        text = reject.text.encode("utf-8", "surrogateescape")
        assert text.replace(b"\r\n", b"\n").replace(b"\r", b"\n") in plain


@pytest.mark.parametrize("format", ["asterisk-csv", "asterisk-custom", "freeswitch-csv"])
@settings(max_examples=15, deadline=None)
@given(
    how=st.lists(st.sampled_from(["column", "half", "encoding", "line"]), min_size=1, max_size=4),
    chance=st.randoms(use_true_random=False),
)
def test_damage_costs_its_own_lines(format: str, how: list[str], chance: random.Random) -> None:
    """A line that nothing was done to is taken as it was, whatever became of the others."""
    whole, options = FILES[format]
    data = spoilt(whole, how, chance)
    before = {
        line: taken(line + b"\n", format, options)[0].frame.to_dicts()[0] for line in whole.splitlines()
    }
    after = {
        call["call_id"]: call for batch in taken(data, format, options) for call in batch.frame.to_dicts()
    }
    for line in {*data.split(b"\n")} & {*before}:
        assert after[before[line]["call_id"]] == before[line]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["asterisk/cdr.csv", "asterisk/smallcdr.csv", "freeswitch/freeswitch_cdr.json"]),
    DAMAGE,
    st.randoms(),
)
def test_damage_of_real_files(samples: Path, name: str, how: list[str], chance: random.Random) -> None:
    """A real file that was damaged is read or refused, and the report accounts for each row of it."""
    data = spoilt((samples / name).read_bytes(), how, chance)
    form = "freeswitch-json" if name.endswith("json") else "asterisk-csv"
    options: dict[str, Any] = {} if name.endswith("json") else {"timezone": "America/New_York"}
    store = open_store(f"memory://damage-{next(_numbers)}")
    try:
        report = store.ingest(data, format=form, **options)
    except CdrError:
        assert not store.exists
        return
    assert report.read == report.added + report.duplicates + report.conflicts + report.rejected
    assert report.added == store.count()
    assert sum(report.reasons.values()) == report.rejected
    json.dumps(report.to_dict())
    str(report)


LINES = b"".join(asterisk_lines(40, days=2, seed=9)).splitlines(keepends=True)


def ingested(pieces: Sequence[bytes], into: Callable[[Store, bytes], IngestReport]) -> list[Any]:
    store = open_store(f"memory://pieces-{next(_numbers)}")
    reports = [into(store, piece) for piece in pieces]
    assert sum(report.added for report in reports) == store.count()
    assert sum(report.conflicts + report.rejected for report in reports) == 0
    return list(store.run())


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_order_split_and_overlap_mean_nothing(data: st.DataObject) -> None:
    """A file in whatever pieces, in whatever order, overlapping and again, gives the same store."""
    count = data.draw(st.integers(1, 5))
    bounds = st.tuples(st.integers(0, len(LINES) - 1), st.integers(1, len(LINES)))
    spans = data.draw(st.lists(bounds, min_size=count, max_size=count))
    pieces = [b"".join(LINES[low : max(high, low + 1)]) for low, high in spans]
    cut = data.draw(st.integers(1, len(LINES) - 1))
    pieces = data.draw(st.permutations([*pieces, b"".join(LINES[:cut]), b"".join(LINES[cut:])]))
    options: dict[str, Any] = {"format": "asterisk-csv", "timezone": "Europe/London"}
    once = ingested([b"".join(LINES)], lambda store, piece: store.ingest(piece, **options))
    assert ingested(pieces, lambda store, piece: store.ingest(piece, **options)) == once
    store = open_store(f"memory://pieces-{next(_numbers)}")
    assert store.ingest(pieces, **options).inputs == len(pieces)
    assert list(store.run()) == once


@settings(max_examples=25, deadline=None)
@given(st.lists(strategies.records(), max_size=12), st.sampled_from(["names", "labels"]), st.booleans())
def test_round_trip(records: list[Any], headers: Any, guard: bool) -> None:
    """cdrkit's own CSV with every field comes back as equal records, with the guard and without it."""
    first = open_store(f"memory://trip-{next(_numbers)}")
    first.append(records)
    page = io.BytesIO()
    first.run().write_csv(page, headers=headers, guard=guard)
    second = open_store(f"memory://trip-{next(_numbers)}")
    report = second.ingest(page.getvalue(), format="cdrkit-csv", guarded=guard)
    assert (report.read, report.added) == (first.count(), first.count())
    assert list(map(repr, second.run())) == list(map(repr, first.run()))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("'=+-@＝1a \t\r\n\"", max_size=18), min_size=1, max_size=30))
def test_guarded_texts_come_back(texts: list[str]) -> None:
    """Law: whatever the guard does to texts, and whatever they looked like before, reading them takes it back."""
    ids = [f"c{at}" for at in range(len(texts))]
    start = [datetime(2026, 11, 22, tzinfo=UTC)] * len(texts)
    frame = pl.DataFrame({"call_id": ids, "start": start, "source_name": texts, "switch": texts})
    page = io.BytesIO()
    write_frames([frame], frame.columns, page)
    page.seek(0)
    read = pl.concat([batch.frame for batch in make_source("cdrkit-csv", {})(page)])
    assert read["source_name"].to_list() == read["switch"].cast(pl.String).to_list() == texts
