"""The warning of numbers in national form at the first ingest of a store without a region."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from cdrkit import Query, open_store
from cdrkit._ingest import RegionCheck

ROW = (
    '"1001","{}","2041","office","","SIP/a","SIP/b","Dial","","2026-11-22 09:00:00","2026-11-22 09:00:04",'
    '"2026-11-22 09:00:38",38,34,"ANSWERED","BILLING","{}.1",""\n'
)


def rows(*numbers: str) -> bytes:
    """Return a file of Asterisk with a call to each number."""
    return "".join(ROW.format(number, index) for index, number in enumerate(numbers)).encode()


def test_warns_once(tmp_path: Path) -> None:
    """The first ingest warns, with an example and the way to set a region; later ones do not."""
    store = open_store(tmp_path)
    report = store.ingest(rows("02079460018", "+442079460019"), format="asterisk-csv", timezone="UTC")
    finding, remedy = report.notes
    assert "1 of the first 3 numbers is in national form, such as '02079460018'" in finding
    steps = ("vacuum STORE", "folder STORE/hot/_log", "rebuild-log STORE --region CODE", "compact STORE")
    assert sorted(steps, key=remedy.index) == list(steps)
    assert str(report).splitlines()[-2:] == [f"  note: {finding}", f"  note: {remedy}"]
    assert report.to_dict()["notes"] == [finding, remedy]
    assert "the store has no region" in report._repr_html_()
    again = store.ingest(rows("02079460020"), format="asterisk-csv", timezone="UTC")
    assert again.notes == ()


@pytest.mark.parametrize(
    "number", ["+442079460018", "2041", "*98", "anonymous", "442079460018", "00442079460018"]
)
def test_does_not_warn_without_national_numbers(tmp_path: Path, number: str) -> None:
    """Extensions, services, words and international numbers need no region."""
    report = open_store(tmp_path).ingest(rows(number), format="asterisk-csv", timezone="UTC")
    assert report.notes == ()
    assert "note" not in str(report)


def test_follow_warns_once(tmp_path: Path) -> None:
    """Of the reports of the first follow, one has the warning."""
    path = tmp_path / "Master.csv"
    path.write_bytes(rows("+442079460018", "02079460018"))
    store = open_store(tmp_path / "store")
    reports = store.follow(path, format="asterisk-csv", timezone="UTC", poll=0.01)
    assert "national form" in next(reports).notes[0]
    with path.open("ab") as file:
        file.write(rows("", "", "02079460020").splitlines(keepends=True)[2])
    assert next(reports).notes == ()
    [last] = open_store(tmp_path / "other", region="GB").follow(
        path, format="asterisk-csv", timezone="UTC", wait=False
    )
    assert last.notes == ()


def test_does_not_warn_with_a_region(tmp_path: Path) -> None:
    """A store with a region finds numbers in national form."""
    store = open_store(tmp_path, region="GB")
    assert store.ingest(rows("02079460018"), format="asterisk-csv", timezone="UTC").notes == ()


def test_the_way_that_the_note_shows(tmp_path: Path) -> None:
    """A new log with a region makes the numbers findable."""
    store = open_store(tmp_path)
    store.ingest(rows("02079460018"), format="asterisk-csv", timezone="UTC")
    search = Query().number("+44 20 7946 0018")
    assert store.count(search) == 0
    (tmp_path / "hot" / "_log").rename(tmp_path / "log-before")
    store = open_store(tmp_path, region="GB")
    store.maintenance.rebuild_log()
    assert store.count(search) == 1


def test_examines_a_bounded_number_of_texts() -> None:
    """No more than the first thousand distinct numbers are examined."""
    check = RegionCheck()
    for start in range(0, 5_000, 500):
        check.examine(pl.DataFrame({"source": [f"+4420{number:08}" for number in range(start, start + 500)]}))
    check.examine(pl.DataFrame({"source": ["02079460018"]}))
    assert check.take_notes() == ()


def test_a_frame_without_numbers() -> None:
    """A source without numbers has nothing to examine."""
    check = RegionCheck()
    check.examine(pl.DataFrame({"call_id": ["1"]}))
    check.examine(pl.DataFrame({"source": pl.Series([None], dtype=pl.String)}))
    assert check.take_notes() == ()
