"""Detection of formats: one that fits is returned with its reason; no format, or two, is an error."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from cdrkit import open_store
from cdrkit.errors import ConfigError, SchemaError, UnknownFormatError
from cdrkit.samples import synthesize_calls
from cdrkit.sources import detect
from tests.sources.test_asterisk import LAYOUTS, line
from tests.sources.test_asterisk_tables import SAMPLE

ROW = (line() + "\n").encode()
RIVAL = """
class Rival:
    @staticmethod
    def sniff(head, name):
        return "it looks nice" if name.endswith("nice.csv") else None
"""


def test_real_files(samples: Path) -> None:
    """Every file of Asterisk and FreeSWITCH is detected, by itself and by its folder."""
    for folder, form in (("asterisk", "asterisk-csv"), ("freeswitch", "freeswitch-json")):
        assert detect(samples / folder).format == form
        for path in (samples / folder).iterdir():
            found = detect(path)
            assert (found.format, bool(found.reason)) == (form, True)


def test_whatever_it_is_in(tmp_path: Path) -> None:
    """Compression and archives are looked through; a caller's file stays where it was."""
    path = tmp_path / "x.bin"
    path.write_bytes(gzip.compress(ROW))
    assert detect(path).format == detect(str(tmp_path)).format == detect(ROW).format == "asterisk-csv"
    with path.open("rb") as file:
        assert detect(file).format == "asterisk-csv"
        assert file.tell() == 0
    ahead = io.BytesIO(b"12" + ROW)
    ahead.seek(2)
    assert (detect(ahead).format, ahead.tell()) == ("asterisk-csv", 2)
    assert detect([ROW, ROW]).format == "asterisk-csv"
    assert detect([{"core-uuid": "c", "variables": {}}]).format == "freeswitch-json"


def test_none_fits() -> None:
    """A file that fits no format is an error that names the formats; so is an empty file."""
    with pytest.raises(UnknownFormatError, match=r"cannot be detected.*asterisk-csv") as caught:
        detect(b"a,b,c\n1,2,3\n")
    assert caught.value.available == ()
    with pytest.raises(SchemaError, match="empty"):
        detect(b"")


@pytest.mark.parametrize("torn", [b'"1003","02079460102"', b'"1003","020794', b"\x00\xff", b"a,b,c"])
@pytest.mark.parametrize("at", [0, 2, 3])
def test_most_rows_fit(torn: bytes, at: int) -> None:
    """A few torn rows at any place do not hide the format of the others, and the reason counts them."""
    rows = [ROW] * 3
    rows.insert(at, torn + b"\n")
    found = detect(b"".join(rows))
    assert found.format == "asterisk-csv"
    assert found.reason == "18 columns without a header, the start in column 10, in 3 of the first 4 rows"


def test_as_many_rows_do_not_fit() -> None:
    """Half of the rows are not most of them, and two orders of columns in one file fit no format."""
    custom = (line(SAMPLE) + "\n").encode()
    for doubtful in (ROW + b"1003\n", b"1003\n" + ROW, ROW + custom, (ROW + custom) * 2):
        with pytest.raises(UnknownFormatError, match="cannot be detected"):
            detect(doubtful)
    assert detect(ROW + custom + ROW).format == "asterisk-csv"
    assert detect(custom + ROW + custom).format == "asterisk-custom"


def test_names_on_top_go_before_the_order() -> None:
    """A table with the names on top, though in the order of cdr_csv, is that table alone, with torn rows too."""
    names = (",".join(LAYOUTS[18]) + "\n").encode()
    for table in (names + ROW * 4, names + ROW + b"1003\n" + ROW * 2):
        assert detect(table).format == "asterisk-sql"


def test_two_fit(plug_in: Callable[..., str], tmp_path: Path) -> None:
    """When another package's format fits, too, the error says which they are and why."""
    module = plug_in("rival_switch", rival="rival_switch:Rival", broken="rival_switch:nothing")
    (tmp_path / module / f"{module}.py").write_text(RIVAL)
    sys.modules.pop(module, None)
    path = tmp_path / "nice.csv"
    path.write_bytes(ROW)
    with pytest.raises(
        UnknownFormatError, match=r"asterisk-csv \(18 columns.*rival \(it looks nice\)"
    ) as caught:
        detect(path)
    assert caught.value.available == ("asterisk-csv", "rival")
    assert detect(ROW).format == "asterisk-csv"


def test_what_cannot_be_read_again() -> None:
    """An input that can be read only once is refused."""

    class Pipe:
        """A file that cannot seek."""

        def read(self, size: int = -1) -> bytes:
            return ROW

    for given in (Pipe(), iter([ROW])):
        with pytest.raises(ConfigError, match="read only once"):
            detect(given)  # type: ignore[arg-type]


@pytest.mark.parametrize("headers", ["names", "labels"])
def test_own_export_is_distinguished_from_connexcs(headers: Literal["names", "labels"]) -> None:
    """An export has the labels of ConnexCS, and its instants distinguish it; files of ConnexCS are detected, too."""
    store = open_store(f"memory://export-{headers}")
    store.append(synthesize_calls(5))
    page = io.BytesIO()
    store.run().write_csv(page, headers=headers)
    assert detect(page.getvalue()).format == "cdrkit-csv"
    portal = b"Call ID,Call Time,Source Number,Duration\n1@x,2026-07-22 08:00:00,2041,34\n"
    assert detect(portal).format == "connexcs-csv"
