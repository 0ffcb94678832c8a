"""Sources by name: the table of built-in sources, and sources that other packages register as entry points."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import get_args

import polars as pl
import pytest

from cdrkit.errors import ConfigError, UnknownFormatError
from cdrkit.sources import FormatName, Reject, SourceBatch, available, make_source
from cdrkit.sources.asterisk.cdr_csv import AsteriskCsv


def test_built_in_format() -> None:
    """A format of this package is listed, and made with its options."""
    assert "asterisk-csv" in available()
    assert list(available()) == sorted(available())
    assert make_source("asterisk-csv", {"timezone": "Europe/London"}) == AsteriskCsv(timezone="Europe/London")


def test_format_name_lists_built_in_formats() -> None:
    """The alias for editors and type checkers has exactly the formats of this package, sorted."""
    assert get_args(FormatName) == available()


@pytest.mark.parametrize("name", ["asterisk", "asterisk_csv", "ASTERISK-CSV", "", "pcap", None, 7])
def test_unknown_format(name: object) -> None:
    """An unknown format is an error that names it and the formats there are."""
    with pytest.raises(UnknownFormatError, match="Unknown format") as caught:
        make_source(name, {})  # type: ignore[arg-type]
    assert caught.value.name == str(name)
    assert caught.value.available == available()
    assert "asterisk-csv" in str(caught.value)


def test_close_name_is_suggested() -> None:
    """A slip of the finger is answered with the format that was meant."""
    with pytest.raises(UnknownFormatError, match="Did you mean 'asterisk-csv'"):
        make_source("asterix-csv", {})


def test_unknown_option() -> None:
    """An option that the format does not know is refused, never ignored; those it knows are named."""
    with pytest.raises(
        ConfigError, match=r"no option 'timezon'; its options are timezone, .*Did you mean 'timezone'"
    ):
        make_source("asterisk-csv", {"timezon": "UTC"})


def test_entry_point_is_listed_without_loading(plug_in: Callable[..., str]) -> None:
    """Another package's format is listed without importing its module, and loaded when it is asked for."""
    module = plug_in("other_switch", other_lines="other_switch:Lines")
    assert "other-lines" in available()
    assert module not in sys.modules
    make_source("asterisk-csv", {"timezone": "UTC"})
    assert module not in sys.modules
    source = make_source("other-lines", {"switch": "sw1", "upper": True})
    assert module in sys.modules
    assert type(source).__name__ == "Lines"


def test_entry_point_options(plug_in: Callable[..., str]) -> None:
    """Options of another package's format are checked as those of this package are."""
    plug_in("other_options", other_lines="other_options:Lines", anything="other_options:anything")
    with pytest.raises(ConfigError, match="needs the option 'switch'"):
        make_source("other-lines", {})
    with pytest.raises(ConfigError, match="no option 'colour'; its options are switch, upper"):
        make_source("other-lines", {"switch": "sw1", "colour": "red"})
    assert make_source("anything", {"colour": "red"}) == {"colour": "red"}  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(
    ("point", "what"),
    [
        ("no_such_module_at_all:Source", "cannot be loaded"),
        ("other_broken:nothing", "cannot be loaded"),
        ("other_broken:number", "cannot create a source"),
    ],
)
def test_broken_entry_point(plug_in: Callable[..., str], point: str, what: str) -> None:
    """A format whose package is broken says so, with the cause."""
    plug_in("other_broken", broken=point)
    with pytest.raises(ConfigError, match=what) as caught:
        make_source("broken", {})
    assert caught.value.__cause__ is not None


def test_own_format_comes_first(plug_in: Callable[..., str]) -> None:
    """Another package cannot take the place of a built-in format."""
    plug_in("other_same", asterisk_csv="other_same:Lines")
    assert isinstance(make_source("asterisk-csv", {"timezone": "UTC"}), AsteriskCsv)
    assert available().count("asterisk-csv") == 1


def test_batch_counts_its_rows() -> None:
    """A batch counts the rows in its frame and its rejects."""
    frame = pl.DataFrame({"call_id": ["a", "b"]})
    assert SourceBatch(frame=frame, rejects=(Reject(3, "No.", "x"),)).read == 3
