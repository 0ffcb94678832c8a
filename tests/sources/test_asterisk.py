"""Asterisk's cdr_csv, compared with a plain parse by the standard library's csv, zoneinfo and json."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cdrkit._model import FRAME_TYPES
from cdrkit.errors import ConfigError, SchemaError
from cdrkit.sources import Reject, SourceBatch
from cdrkit.sources.asterisk.cdr_csv import AsteriskCsv
from cdrkit.sources.readers import csv_blocks, limits
from cdrkit.sources.readers.csv_layout import CsvLayout
from cdrkit.sources.readers.csv_row import QuoteFlaw, split_row

BASE = [
    "accountcode",
    "src",
    "dst",
    "dcontext",
    "clid",
    "channel",
    "dstchannel",
    "lastapp",
    "lastdata",
    "start",
    "answer",
    "end",
    "duration",
    "billsec",
    "disposition",
    "amaflags",
]
NEW = ["peeraccount", "linkedid", "sequence"]
LAYOUTS = {
    16: BASE,
    18: [*BASE, "uniqueid", "userfield"],
    19: [*BASE, *NEW],
    21: [*BASE, "uniqueid", "userfield", *NEW],
}
FIELDED = {"accountcode", "src", "dst", "start", "answer", "end", "billsec", "disposition", "linkedid"}
OTHERS = sorted({*LAYOUTS[21]} - FIELDED)
DISPOSITIONS = {
    "ANSWERED": "answered",
    "NO ANSWER": "no_answer",
    "BUSY": "busy",
    "FAILED": "failed",
    "CONGESTION": "failed",
    "CANCEL": "cancelled",
}
ROW = {
    "accountcode": "1001",
    "src": "02079460018",
    "dst": "2041",
    "dcontext": "office",
    "clid": '"Ann" <02079460018>',
    "channel": "SIP/a-1",
    "dstchannel": "SIP/b-2",
    "lastapp": "Dial",
    "lastdata": "SIP/b,30",
    "start": "2026-11-22 09:00:00",
    "answer": "2026-11-22 09:00:04",
    "end": "2026-11-22 09:00:38",
    "duration": "38",
    "billsec": "34",
    "disposition": "ANSWERED",
    "amaflags": "DOCUMENTATION",
    "uniqueid": "1763802000.1",
    "userfield": "",
    "peeraccount": "",
    "linkedid": "1763802000.0",
    "sequence": "7",
}


def line(names: Sequence[str] = LAYOUTS[18], **given: str) -> str:
    """Return a line as Asterisk writes it: text quoted, numbers bare."""
    row = ROW | given
    bare = ("duration", "billsec", "sequence")
    return ",".join(row[n] if n in bare else '"' + row[n].replace('"', '""') + '"' for n in names)


def read(data: bytes | str, **options: Any) -> list[SourceBatch]:
    """Return the batches of *data*, in UTC unless *options* name another zone."""
    raw = data if isinstance(data, bytes) else data.encode()
    return list(AsteriskCsv(**({"timezone": "UTC"} | options))(io.BytesIO(raw)))


def frame_of(data: bytes | str, **options: Any) -> pl.DataFrame:
    """Return the good rows of *data*; there must be no others."""
    batches = read(data, **options)
    assert [reject for batch in batches for reject in batch.rejects] == []
    return pl.concat([batch.frame for batch in batches])


def rejects_of(data: bytes | str, **options: Any) -> list[Reject]:
    """Return the rejects of *data*."""
    return [reject for batch in read(data, **options) for reject in batch.rejects]


def in_utc(stamp: str, zone: str, not_before: datetime | None = None) -> tuple[datetime, str]:
    """Return the instant of a local stamp by the rule, and whether its hour is repeated or missing."""
    naive = datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S")
    first, second = (naive.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1))
    if first.astimezone(ZoneInfo(zone)).replace(tzinfo=None) != naive:
        return first, "missing"
    if first == second:
        return first, ""
    return (second if not_before is not None and first < not_before else first), "repeated"


def plain(row: dict[str, str], zone: str) -> dict[str, Any]:
    """Return what a row says, in plain Python, without its call_id."""
    start = in_utc(row["start"], zone)[0]
    answer, end = (in_utc(row[name], zone, start)[0] if row[name] else None for name in ("answer", "end"))
    ringing = None if answer is None else (answer - start).total_seconds()
    name = re.fullmatch(r"[ \t]*(.*?)[ \t]*<[^<>]*>[ \t]*", row["clid"], re.DOTALL)
    caller = name[1] if name else row["clid"].strip(" \t")
    if not name and (row["clid"] == row["src"] or set(row["clid"]) <= set("0123456789+*#(). -")):
        caller = ""
    if len(caller) >= 2 and caller[0] == caller[-1] == '"':
        caller = caller[1:-1]
    return {
        "linked_id": row.get("linkedid") or row.get("uniqueid") or None,
        "start": start,
        "answer": answer,
        "end": end,
        "source": row["src"] or None,
        "source_name": caller.strip(" \t") or None,
        "destination": row["dst"] or None,
        "account": row["accountcode"] or None,
        "duration": int(row["billsec"]),
        "ring_duration": float(row["duration"]) if ringing is None else ringing if ringing >= 0 else None,
        "disposition": DISPOSITIONS.get(row["disposition"], "unknown"),
        "release_reason": row["disposition"] or None,
        "origin": "asterisk-csv",
        "extra": {name: row[name] for name in OTHERS if row.get(name)},
    }


def without_id(frame: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the rows of a frame as `plain` has them."""
    for row in frame.drop("call_id").iter_rows(named=True):
        yield row | {"extra": json.loads(row["extra"])}


def plain_rows(data: str, zone: str) -> list[dict[str, Any]]:
    """Return what the standard library reads."""
    rows = csv.reader(io.StringIO(data, newline=""))
    return [plain(dict(zip(LAYOUTS[len(row)], row, strict=True)), zone) for row in rows]


# -- real files -----------------------------------------


@pytest.mark.parametrize(("name", "rows"), [("cdr.csv", 218), ("smallcdr.csv", 45)])
def test_real_file(samples: Path, name: str, rows: int) -> None:
    """A real file gives what the standard library reads in it, row for row."""
    path = samples / "asterisk" / name
    text = re.sub(r'" +(?=,|$)', '"', path.read_text(), flags=re.MULTILINE)
    [batch] = read(path.read_bytes(), timezone="America/New_York")
    assert (batch.read, batch.rejects, batch.bytes_read) == (rows, (), path.stat().st_size)
    assert list(without_id(batch.frame)) == plain_rows(text, "America/New_York")


def test_real_legs_stay_apart(samples: Path) -> None:
    """No two different rows of a real file share an identity, exact copies do; legs of a call are linked."""
    raw = (samples / "asterisk" / "cdr.csv").read_bytes()
    frame = frame_of(raw, timezone="America/New_York")
    assert frame.n_unique() == frame.n_unique(["start", "call_id"]) == len(set(raw.splitlines())) == 210
    assert frame["linked_id"].n_unique() == 174


# -- values -----------------------------------------

characters = st.characters(exclude_characters="\0\ufeff", codec="utf-8")
texts = st.text(
    st.sampled_from('"",,\n\r \t\\/<>{}\'=+aZé€😀\x01\x1f\x7f\u2028') | characters,
    max_size=12,
)
stamps = st.datetimes(datetime(1970, 1, 2), datetime(2099, 12, 30)).map("{:%Y-%m-%d %H:%M:%S}".format)
lengths = st.integers(0, 2**31 - 1).map(str)
native_rows = st.fixed_dictionaries(
    dict.fromkeys(ROW, texts)
    | {"start": stamps, "answer": stamps | st.just(""), "end": stamps | st.just("")}
    | {"duration": lengths, "billsec": lengths}
    | {"disposition": st.sampled_from([*DISPOSITIONS, "", "UNKNOWN", "answered"])}
    | {"clid": texts | texts.map('"{}" <2041>'.format) | texts.map("{} <2041>".format) | st.just("2041")}
    | {"uniqueid": texts | st.just("1763802000.1")}
)


@given(
    st.lists(st.tuples(native_rows, st.sampled_from(list(LAYOUTS))), min_size=1, max_size=6),
    st.sampled_from([(csv.QUOTE_ALL, "\n"), (csv.QUOTE_ALL, "\r\n"), (csv.QUOTE_MINIMAL, "\r\n")]),
)
def test_same_as_csv_and_json(rows: list[tuple[dict[str, str], int]], dialect: tuple[Any, str]) -> None:
    """Whatever the texts, a well-formed file gives what ``csv`` reads; ``extra`` is JSON of all the rest."""
    page = io.StringIO(newline="")
    writer = csv.writer(page, quoting=dialect[0], lineterminator=dialect[1])
    writer.writerows([row[name] for name in LAYOUTS[width]] for row, width in rows)
    frame = frame_of(page.getvalue(), timezone="Europe/London")
    assert list(without_id(frame)) == plain_rows(page.getvalue(), "Europe/London")
    assert {name: frame.schema[name] for name in frame.columns} == {
        name: FRAME_TYPES[name] for name in frame.columns
    }


odd_lines = st.text(st.sampled_from('""",,, \ta\r\ufeff\u2028é'), min_size=1, max_size=14)


@given(st.lists(odd_lines, min_size=1, max_size=8))
@example(['"a ""b"" ," ,c', "\ufeffa,b", "a,b\r\r", 'a"b,c', '"a"b,c'])
def test_both_paths_agree(lines: list[str]) -> None:
    """A line gives the same values alone and among others, whether it is regular or not; none is lost."""
    layout = CsvLayout(widths=(2, 3, 4), expected="2 to 4 are", encoding="utf-8", is_row=lambda values: True)
    data = "".join(f"x,{text}\nstands,alone\n" for text in lines)
    [rows] = csv_blocks.read_blocks(io.BytesIO(data.encode()), layout)
    found = {row: list(values) for frame in rows.groups.values() for row, *values in frame.iter_rows()}
    for number, text in zip(range(1, 2 * len(lines), 2), lines, strict=True):
        values = split_row(f"x,{text.removesuffix(chr(13))}")
        if isinstance(values, QuoteFlaw) or len(values) > 4:
            assert number not in found
        else:
            assert found[number] == values
    assert sorted([*found, *(reject.row for reject in rows.rejects)]) == list(range(1, 2 * len(lines) + 1))


@given(odd_lines)
def test_row_is_as_csv_reads_it(text: str) -> None:
    """A row that is well formed has the values that ``csv`` gives it."""
    values = split_row(text, strict=True)
    if (
        not isinstance(values, QuoteFlaw)
        and not re.search(r'"[ \t]+(,|$)', text)
        and not re.search(r"[\r\u2028]", text)
    ):
        assert values == next(csv.reader([text]))


def test_blanks_after_a_quote() -> None:
    """Blanks after a closing quote are dropped; blanks inside quotes stay."""
    odd = line(lastdata='say "hi" , "x" ', userfield=" y ").replace('","', '" ,"') + " \t"
    [row] = frame_of(odd + "\n").iter_rows(named=True)
    assert json.loads(row["extra"])["lastdata"] == 'say "hi" , "x" '
    assert json.loads(row["extra"])["userfield"] == " y "
    assert row["source"] == ROW["src"]


@pytest.mark.parametrize(
    ("clid", "name"),
    [
        ('"Bob Smith" <123>', "Bob Smith"),
        ("Bob Smith <123>", "Bob Smith"),
        ('"" <123>', None),
        ("<123>", None),
        ("123", None),
        ("", None),
        ("Bob", "Bob"),
        ('"Bob "the" B" <1>', 'Bob "the" B'),
        ('"a <b> c" <1>', "a <b> c"),
    ],
)
def test_caller_name(clid: str, name: str | None) -> None:
    """The caller's name comes from ``clid``; a number is no name."""
    assert frame_of(line(clid=clid) + "\n")["source_name"].to_list() == [name]


def test_answer_before_start() -> None:
    """A clock set back while it rang leaves the ring duration unknown; the stamps stay as they are."""
    [row] = frame_of(line(answer="2026-11-22 08:59:59") + "\n").iter_rows(named=True)
    assert row["ring_duration"] is None
    assert row["answer"] < row["start"]


def test_columns_for_recording_and_customer() -> None:
    """A native column can name the recording and the customer; an empty one gives null."""
    data = line(userfield="2026/a.wav") + "\n" + line(accountcode="") + "\n"
    frame = frame_of(data, recording_column="userfield", customer_column="accountcode")
    assert frame["recording"].to_list() == ["2026/a.wav", None]
    assert frame["customer_id"].to_list() == ["1001", None]
    assert json.loads(frame["extra"][0])["userfield"] == "2026/a.wav"
    assert "recording" not in frame_of(data).columns


# -- identity -----------------------------------------


def test_identity_is_of_the_row() -> None:
    """The same row has the same id however it is quoted, placed and zoned; each leg of a call has its own."""
    legs = [line(), line(dst="2042"), line(billsec="0", disposition="NO ANSWER", answer="")]
    ids = frame_of("\n".join(legs) + "\n")["call_id"].to_list()
    assert len(set(ids)) == 3
    assert all(re.fullmatch(r"1763802000\.1-[0-9a-f]{12}", one) for one in ids)
    bare = re.sub(r'"([^",]*)"', r"\1", "\r\n".join(reversed(legs)) + "\r\n")
    assert frame_of(bare, timezone="Asia/Tehran")["call_id"].to_list() == ids[::-1]
    # Stored ids must never change: this one was given by the first release.
    assert ids[0] == "1763802000.1-50b834858c49"


def test_identity_without_uniqueid() -> None:
    """Without a native id, a difference in any column gives another call id."""
    data = f"{line(BASE)}\n{line(BASE, src='1')}\n{line(uniqueid='')}\n{line()}\n"
    ids = frame_of(data)["call_id"].to_list()
    assert ids[0] == ids[2] != ids[1]
    assert [one.startswith("asterisk-") for one in ids] == [True, True, True, False]
    assert frame_of(data)["linked_id"].to_list() == [None, None, None, ROW["uniqueid"]]


# -- columns -----------------------------------------


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, LAYOUTS[16]),
        ({}, LAYOUTS[18]),
        ({}, LAYOUTS[19]),
        ({}, LAYOUTS[21]),
        ({"loguniqueid": True}, [*BASE, "uniqueid"]),
        ({"loguniqueid": False}, [*BASE, "userfield"]),
        ({"loguserfield": "no"}, [*BASE, "uniqueid"]),
        ({"loguserfield": "Yes"}, [*BASE, "userfield"]),
        ({"loguserfield": False}, [*BASE, "uniqueid", *NEW]),
        ({"loguniqueid": False}, [*BASE, "userfield", *NEW]),
        ({"loguniqueid": True, "loguserfield": True, "newcdrcolumns": True}, LAYOUTS[21]),
    ],
)
def test_layouts(settings: dict[str, Any], names: list[str]) -> None:
    """The count of columns, 16 to 21, selects the layout; for an ambiguous count, the settings do."""
    [row] = without_id(frame_of(line(names, userfield="u") + "\n", **settings))
    assert row == plain({name: (ROW | {"userfield": "u"})[name] for name in names}, "UTC")


@pytest.mark.parametrize("names", [[*BASE, "uniqueid"], [*BASE, "userfield", *NEW]])
def test_ambiguous_count(names: list[str]) -> None:
    """17 and 20 columns need a setting; without one nothing is guessed."""
    with pytest.raises(ConfigError, match=rf"Row 2 has {len(names)} columns.*loguniqueid=True"):
        read(f"{line()}\n{line(names)}\n")


def test_damaged_row_of_an_ambiguous_count() -> None:
    """A row that is wrong in other ways as well is rejected, not asked about."""
    [reject] = rejects_of(f"{line()}\n{line([*BASE, 'uniqueid'], start='soon')}\n")
    assert (reject.row, reject.reason[:10]) == (2, "The value ")


def test_settings_against_the_count() -> None:
    """Rows that contradict the settings are rejected with the counts they would allow."""
    options = {"loguniqueid": True, "loguserfield": True}
    [reject] = rejects_of(f"{line()}\n{line(BASE)}\n{line(LAYOUTS[21])}\n", **options)
    assert reject.row == 2
    assert (
        reject.reason
        == "The row has 16 columns; with loguniqueid=True, loguserfield=True, Asterisk writes 18 or 21."
    )


# -- rejects -----------------------------------------


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (line(start=""), "The start time is missing."),
        (line(start="22/11/2026 09:00"), "The value '22/11/2026 09:00' of start is not a time"),
        (line(start="2026-02-30 09:00:00"), "The value '2026-02-30 09:00:00' of start is not a time"),
        (line(start="2026-11-22 09:00:00Z"), "The value '2026-11-22 09:00:00Z' of start is not a time"),
        (line(start="1026-11-22 09:00:00"), "The value '1026-11-22 09:00:00' of start is not a time"),
        (line(start="x" * 500), f"The value '{'x' * 80}…' of start is not a time"),
        (line(answer="never"), "The value 'never' of answer is not a time"),
        (line(end="24:00"), "The value '24:00' of end is not a time"),
        (line(duration=""), "The duration is missing."),
        (line(billsec=""), "The billsec is missing."),
        (line(billsec="-1"), "The value '-1' of billsec is negative."),
        (line(billsec="1.5"), "The value '1.5' of billsec is not a whole number of seconds."),
        (line(duration="٣"), "The value '٣' of duration is not a whole number of seconds."),
        (
            line(billsec="2147483648"),
            "The value '2147483648' of billsec is too large for a length in seconds.",
        ),
        (line(billsec="9" * 30), f"The value '{'9' * 30}' of billsec is too large for a length in seconds."),
        (line(BASE[:15]), "The row has 15 columns; Asterisk writes 16 to 21."),
        (line([*LAYOUTS[21], "src"]), "The row has 22 columns; Asterisk writes 16 to 21."),
        ("total", "The row has 1 column; Asterisk writes 16 to 21."),
        ("," * 17, "The start time is missing."),
        (line(clid="Bo\0b"), "The row contains NUL bytes: the file is damaged there."),
        (line(userfield="x")[:-1], "The quote opened in column 18 is never closed."),
        (line().replace('"office"', '"office"x'), "Column 4 has text after the closing quote."),
    ],
)
def test_reasons(bad: str, reason: str) -> None:
    """Each row that cannot be taken is rejected with its number, one plain sentence and the row itself."""
    [reject] = rejects_of(f"{line()}\n\n{bad}\n{line()}\n")
    assert (reject.row, reject.text) == (3, bad)
    assert reject.reason.startswith(reason)
    assert reject.reason.endswith(".")


def test_not_utf8() -> None:
    """A row that is not UTF-8 is rejected byte for byte; with its encoding given, the source reads it."""
    raw = f"{line()}\r\n{line(clid='Zoë <1>')}\r\n".encode("latin-1")
    [reject] = rejects_of(raw)
    assert (reject.row, "latin-1" in reject.reason) == (2, True)
    assert reject.text.encode("utf-8", "surrogateescape") == raw.splitlines()[1]
    assert frame_of(raw, encoding="latin-1")["source_name"].to_list() == ["Ann", "Zoë"]


@given(
    st.lists(
        st.binary(min_size=1, max_size=30).filter(lambda b: b"\n" not in b and b.strip(b" \t\r")), max_size=6
    )
)
def test_every_byte_of_a_reject_is_kept(junk: list[bytes]) -> None:
    """The texts of the rejects, encoded again, are the lines that were rejected, in order."""
    data = b"".join(b"%s\n" % one for one in [line().encode(), *junk])
    [batch] = read(data)
    kept = [reject.text.encode("utf-8", "surrogateescape") for reject in batch.rejects]
    assert kept == [one.removesuffix(b"\r") for one in junk]
    assert [reject.row for reject in batch.rejects] == list(range(2, len(junk) + 2))


# -- lines -----------------------------------------


def test_line_ends_marks_and_blank_lines() -> None:
    """A byte order mark, CRLF and blank lines change nothing; blank lines count as lines, not as rows."""
    data = f"\ufeff{line()}\r\n\r\n \t\r\n{line(src='2')}\n\nbad\n"
    [batch] = read(data)
    assert batch.frame["source"].to_list() == [ROW["src"], "2"]
    assert [reject.row for reject in batch.rejects] == [6]
    assert batch.read == 3


def test_line_ends_in_quotes() -> None:
    """A quoted field may hold line ends, also blank lines; the rows after it keep their numbers."""
    text = "one\r\ntwo\n\n,three"
    [batch] = read(f"{line()}\n{line(userfield=text, src='2')}\nbad\n{line(src='3')}\n")
    assert batch.frame["source"].to_list() == [ROW["src"], "2", "3"]
    assert json.loads(batch.frame["extra"][1])["userfield"] == text
    assert [reject.row for reject in batch.rejects] == [6]
    odd = line(userfield=text, start="soon")
    assert [(reject.row, reject.text) for reject in rejects_of(f"{line()}\n{odd}\n")] == [(2, odd)]


@given(st.integers(0, 5), st.data())
def test_damage_costs_its_own_line(place: int, data: st.DataObject) -> None:
    """A line that lost a quote, or was cut, never swallows the rows around it, quoted or bare."""
    quoted = [line(src=str(number)) for number in range(6)]
    lines = data.draw(
        st.sampled_from([quoted, [one.replace('"', "").replace("SIP/b,30", "") for one in quoted]])
    )
    hurt = data.draw(st.sampled_from([line(clid="A, B"), lines[0]]))
    cut = data.draw(st.integers(1, len(hurt) - 1))
    hurt = data.draw(
        st.sampled_from([hurt[:cut], hurt[:cut] + '"' + hurt[cut:], hurt[:cut] + hurt[cut + 1 :]])
    )
    lines = [*lines[:place], hurt, *lines[place:]]
    [batch] = read("\n".join(lines) + "\n", loguniqueid=True, loguserfield=True, newcdrcolumns=False)
    assert batch.read == 7
    left = [number for number in batch.frame["source"].to_list() if number in set("012345")]
    assert sorted(set(left)) == list("012345")
    assert all(reject.row == place + 1 for reject in batch.rejects)


def test_two_open_quotes_swallow_nothing() -> None:
    """Rows between two stray quotes are rows, even where the quotes would pair up."""
    bare = line().replace('"', "").replace("SIP/b,30", "")
    start, end = bare.replace("office", '"office'), bare.replace("office", 'office"')
    [batch] = read(f"{bare}\n{start}\n{bare}\n{bare}\n{end}\n{bare}\n")
    assert [reject.row for reject in batch.rejects] == [2]
    assert batch.frame.height == 5


@pytest.mark.parametrize(
    "after",
    [
        ["with NUL\0", 'x"'],
        [*["more"] * 150, 'x"'],
        ["y" * 70_000, 'x"'],
        ['x"' + ",more" * 9],
        ['x" y'],
        ["never"],
    ],
)
def test_quote_that_closes_nothing(after: list[str]) -> None:
    """What follows an open quote is read on its own, unless both are one row; each line is accounted for."""
    [batch] = read("\n".join([line(), line(userfield="x")[:-1], *after, line(src="2")]) + "\n")
    assert batch.frame["source"].to_list() == [ROW["src"], "2"]
    assert [reject.row for reject in batch.rejects] == list(range(2, 3 + len(after)))
    assert batch.rejects[0].reason == "The quote opened in column 18 is never closed."


def test_regular_lines_inside_quotes() -> None:
    """A line inside quotes is no row, even one with as many columns as a row."""
    text = "\n" + "," * 17 + "\n"
    [row] = frame_of(line(userfield=text) + "\n \t").iter_rows(named=True)
    assert json.loads(row["extra"])["userfield"] == text


@pytest.mark.parametrize(
    ("last", "taken"),
    [
        (line(), True),
        (line() + "\r", True),
        (line()[:-1], False),
        (line()[:-4], False),
        (line([*BASE, "uniqueid"]), False),
        (line(BASE), False),
        (line(LAYOUTS[21]), False),
        (line(userfield='x"')[:-1], False),
        (line(userfield="one\ntwo")[:-1].split("\n")[0], False),
        ('"', False),
        ("\0", False),
        ("é", False),
    ],
)
def test_torn_last_line(last: str, taken: bool) -> None:
    """A last line without a line end counts only if it is certainly whole; else it is still being written."""
    [batch] = read(f"{line()}\n{last}")
    assert batch.frame.height == 1 + taken
    assert batch.read == 2
    for reject in batch.rejects:
        assert reject.row == 2
        assert (
            reject.reason
            == "The row has no line end: the file is still being written; ingest it again later."
        )


def test_torn_number_is_not_taken() -> None:
    """A last line that ends with a number may have lost digits: it is not taken, whatever its count."""
    whole = line(LAYOUTS[21])
    assert [reject.row for reject in rejects_of(f"{whole}\n{whole}")] == [2]


def test_torn_row_of_several_lines() -> None:
    """A row with line ends in it, cut in the middle, is rejected as one that is still being written."""
    first, second = rejects_of(f"{line()}\n{line(clid='one' + chr(10) + 'two')[:-9]}")
    assert (first.row, second.row) == (2, 3)
    assert "when it is complete" in first.reason
    assert "still being written" in second.reason


class Trickle(io.RawIOBase):
    """A stream that gives a few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        """Return at most seven bytes."""
        return self._data.read(min(size, 7))


@pytest.mark.parametrize("size", [1, 100, 1000, 5000])
def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Wherever a block ends, in a row or in a quote, the same rows are read, with the same numbers."""
    some = [line(src=str(n)) for n in range(20)]
    some[3] = line(src="3", userfield="a\n\r\nb")
    some[7] = "bad"
    some[9] = line().replace('"office"', '"office')
    some[12] = line(BASE)
    data = ("\ufeff" + "\n".join(some)).encode()
    [whole] = read(data)
    monkeypatch.setattr(csv_blocks, "_BLOCK_BYTES", size)
    batches = list(AsteriskCsv(timezone="UTC")(Trickle(data)))  # type: ignore[arg-type]
    assert pl.concat([batch.frame for batch in batches]).equals(whole.frame)
    assert tuple(reject for batch in batches for reject in batch.rejects) == whole.rejects
    positions = [batch.bytes_read for batch in batches]
    assert positions == sorted(positions)
    assert positions[-1] == len(data)


def test_many_blocks() -> None:
    """A long file comes in several batches, each of bounded size."""
    data = (line() + "\n").encode() * 50_000
    batches = read(data)
    assert len(batches) > 1
    assert sum(batch.frame.height for batch in batches) == 50_000
    assert batches[-1].bytes_read == len(data)


# -- what is no such file -----------------------------------------


@pytest.mark.parametrize("data", ["", "\n", "\r\n \n", "\ufeff"])
def test_empty(data: str) -> None:
    """A file without a row is an error that says so."""
    with pytest.raises(SchemaError, match="is empty"):
        read(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b'{"sid": "CA1", "duration": "15"}',
        b"start,source,destination\n2026-11-22,1,2\n",
        ",".join(BASE).encode() + b"\n",
        ",".join(LAYOUTS[18]).encode() + b"\n" + b"1," * 17 + b"2\n",
        b"\xff\xfe" + line().encode("utf-16-le"),
        line(start="soon").encode() + b"\n",
        line().encode(),
        bytes(range(256)) * 50,
    ],
)
def test_not_such_a_file(data: bytes) -> None:
    """A file without one acceptable row is an error: what was expected, what row 1 is, what to do."""
    with pytest.raises(SchemaError, match=r"(?s)16 to 21 columns.*Row 1 is '.*Check the file") as caught:
        read(data)
    assert caught.value.row == 1
    assert len(str(caught.value)) < 600
    str(caught.value).encode()


def test_endless_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that never ends is an error before memory is: the file holds no rows."""
    monkeypatch.setattr(limits, "LINE_BYTES", 1 << 16)
    monkeypatch.setattr(csv_blocks, "_BLOCK_BYTES", 1 << 14)
    with pytest.raises(SchemaError, match="Line 2 is longer") as caught:
        read(line() + "\n" + "x" * (1 << 20))
    assert caught.value.row == 2


def test_film_is_not_read_to_its_end() -> None:
    """What is clearly no such file is given up after the first block."""
    stream = io.BytesIO(b"not a call\n" * 2_000_000)
    with pytest.raises(SchemaError):
        list(AsteriskCsv(timezone="UTC")(stream))
    assert stream.tell() < 9 << 20


def test_text_stream() -> None:
    """A file opened as text is refused with the mode to use."""
    with pytest.raises(ConfigError, match="'rb'"):
        list(AsteriskCsv(timezone="UTC")(io.StringIO(line())))  # type: ignore[arg-type]


# -- options -----------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"without an offset.*timezone='Europe/London'.*usegmtime"),
        ({"timezone": None}, "without an offset"),
        ({"timezone": "Mars"}, "Unknown time zone 'Mars'"),
        ({"timezone": "UTC", "loguniqueid": "maybe"}, "loguniqueid='maybe' is not valid"),
        ({"timezone": "UTC", "newcdrcolumns": 1}, "newcdrcolumns=1 is not valid"),
        ({"timezone": "UTC", "encoding": "klingon"}, "encoding 'klingon'"),
        ({"timezone": "UTC", "encoding": "utf-16"}, "encoding 'utf-16'"),
        ({"timezone": "UTC", "encoding": "rot13"}, "encoding 'rot13'"),
        ({"timezone": "UTC", "encoding": None}, "encoding None"),
        ({"timezone": "UTC", "recording_column": "userfeld"}, "Did you mean 'userfield'"),
        ({"timezone": "UTC", "customer_column": "customer"}, "customer_column='customer' is not valid"),
        (
            {"timezone": "UTC", "loguserfield": False, "recording_column": "userfield"},
            "Asterisk does not write this column if loguserfield=False",
        ),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    """An option that cannot work is refused when the source is made."""
    with pytest.raises(ConfigError, match=message):
        AsteriskCsv(**options)


# -- clocks that change -----------------------------------------

CHANGES = [
    ("Europe/London", "2026-03-29"),
    ("Europe/London", "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("Asia/Tehran", "2021-03-22"),
    ("Asia/Tehran", "2021-09-22"),
    ("Pacific/Apia", "2011-12-30"),
]


def clocked(start: str, answer: str, end: str, zone: str) -> None:
    """Check one row's instants and its counts against zoneinfo."""
    [batch] = read(line(start=start, answer=answer, end=end) + "\n", timezone=zone)
    begun, kind = in_utc(start, zone)
    others = [in_utc(stamp, zone, begun) for stamp in (answer, end)]
    assert batch.frame.select("start", "answer", "end").row(0) == (begun, *(instant for instant, _ in others))
    kinds = [kind, *(kind for _, kind in others)]
    assert (batch.repeated_hour, batch.missing_hour) == (kinds.count("repeated"), kinds.count("missing"))


@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_change_day(zone: str, day: str) -> None:
    """Around a change of clocks stamps are read as zoneinfo reads them, or later by the rule, and counted."""
    first = datetime.fromisoformat(day) - timedelta(hours=2)
    local = [f"{first + timedelta(minutes=n):%Y-%m-%d %H:%M:%S}" for n in range(0, 30 * 60, 10)]
    rows = [(start, local[min(n + 1, len(local) - 1)], local[max(n - 3, 0)]) for n, start in enumerate(local)]
    data = "".join(line(start=a, answer=b, end=c) + "\n" for a, b, c in rows)
    [batch] = read(data, timezone=zone)
    expected, kinds = [], []
    for start, *later in rows:
        begun, kind = in_utc(start, zone)
        others = [in_utc(stamp, zone, begun) for stamp in later]
        expected.append((begun, *(instant for instant, _ in others)))
        kinds += [kind, *(kind for _, kind in others)]
    assert batch.frame.select("start", "answer", "end").rows() == expected
    assert (batch.repeated_hour, batch.missing_hour) == (kinds.count("repeated"), kinds.count("missing"))
    assert batch.repeated_hour + batch.missing_hour > 0


@given(
    st.sampled_from(
        [*sorted({zone for zone, _ in CHANGES}), "Africa/Casablanca", "America/Havana", "Asia/Kolkata"]
    ),
    st.datetimes(datetime(1970, 1, 3), datetime(2037, 12, 30)),
    st.integers(-7200, 7200),
    st.integers(-7200, 7200),
)
@example("Europe/London", datetime(2026, 10, 25, 1, 50), -2400, -1200)
def test_any_time_in_any_zone(zone: str, start: datetime, ringing: int, length: int) -> None:
    """A stamp is the instant that zoneinfo gives it."""
    moments = (start, start + timedelta(seconds=ringing), start + timedelta(seconds=length))
    first, answer, end = (f"{moment:%Y-%m-%d %H:%M:%S}" for moment in moments)
    clocked(first, answer, end, zone)


def test_call_across_the_repeated_hour() -> None:
    """A call from before the clock went back to after it does not end before it began."""
    data = line(start="2026-10-25 01:50:00", answer="2026-10-25 01:50:05", end="2026-10-25 01:10:00") + "\n"
    [batch] = read(data, timezone="Europe/London")
    start, end = batch.frame.select("start", "end").row(0)
    assert (end - start, batch.repeated_hour) == (timedelta(minutes=20), 3)
