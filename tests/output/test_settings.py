"""Display settings of portal viewers: the value and its store."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdrkit import DisplaySettings, DisplaySettingsStore
from cdrkit._output.settings import DEFAULT_COLUMNS
from cdrkit.errors import ConfigError, CorruptDataError
from tests.conftest import Place

CHOSEN = DisplaySettings(
    timezone="Asia/Kolkata", columns=["start", "charge"], page_size=25, times="day_first"
)


class TestRemembering:
    """A viewer's choice is kept until the next one, and nobody else sees it."""

    def test_round_trip(self, place: Place) -> None:
        """On every filesystem, a reopened store returns the stored settings, and the defaults after `forget`."""
        kept = DisplaySettingsStore(f"{place.url}/settings", storage_options=place.options)
        assert kept.get("ann") == DisplaySettings()
        kept.put("ann", CHOSEN)
        kept.put("ann", CHOSEN)
        again = DisplaySettingsStore(f"{place.url}/settings", storage_options=place.options)
        assert again.get("ann") == CHOSEN
        assert again.get("bob") == again.get("Ann") == DisplaySettings()
        again.forget("ann")
        again.forget("ann")
        assert kept.get("ann") == DisplaySettings()

    def test_default(self, tmp_path: Path) -> None:
        """Who chose nothing sees what the application gives."""
        kept = DisplaySettingsStore(tmp_path, default=CHOSEN)
        assert kept.get("ann") == CHOSEN
        assert list(tmp_path.iterdir()) == []

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        viewer=st.text(st.characters(), min_size=1).filter(str.strip),
        other=st.text(min_size=1).filter(str.strip),
    )
    def test_any_name(self, tmp_path: Path, viewer: str, other: str) -> None:
        """Any name is kept apart from any other, as a file below the folder."""
        kept = DisplaySettingsStore(tmp_path / "settings")
        kept.put(viewer, CHOSEN)
        kept.put(other, DisplaySettings(page_size=7))
        assert kept.get(other).page_size == 7
        assert kept.get(viewer) == (CHOSEN if viewer != other else DisplaySettings(page_size=7))
        assert [path.name for path in tmp_path.iterdir()] == ["settings"]

    @pytest.mark.parametrize(
        "viewer",
        [
            "../../etc/passwd",
            "/etc/passwd",
            "a/b",
            "..",
            "a\0b",
            "x" * 5000,
            "\ud800",
            "CON",
            "a\\b",
            "%2e%2e",
        ],
    )
    def test_hostile_names(self, tmp_path: Path, viewer: str) -> None:
        """A name chooses no place, and cannot be read off the name of its file."""
        kept = DisplaySettingsStore(tmp_path / "settings")
        kept.put(viewer, CHOSEN)
        assert kept.get(viewer) == CHOSEN
        (path,) = (found for found in tmp_path.rglob("*") if found.is_file())
        assert path.parent == tmp_path / "settings"
        assert path.stem.isalnum()
        assert len(path.name) == 69

    @pytest.mark.parametrize("viewer", ["", " ", None, 7, b"ann"])
    def test_nobody(self, tmp_path: Path, viewer: Any) -> None:
        """A viewer without a name is refused, so that such viewers do not share settings."""
        kept = DisplaySettingsStore(tmp_path)
        for use in (lambda: kept.get(viewer), lambda: kept.put(viewer, CHOSEN), lambda: kept.forget(viewer)):
            with pytest.raises(ConfigError, match="viewer=.* is not a portal viewer's name"):
                use()

    def test_what_is_no_setting(self, tmp_path: Path) -> None:
        """Only settings are remembered."""
        with pytest.raises(ConfigError):
            DisplaySettingsStore(tmp_path).put("ann", {"timezone": "UTC"})  # type: ignore[arg-type]
        with pytest.raises(ConfigError):
            DisplaySettingsStore(tmp_path, default="UTC")  # type: ignore[arg-type]

    @pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
    def test_damaged(self, tmp_path: Path, data: bytes) -> None:
        """A damaged file says so, and can be replaced."""
        kept = DisplaySettingsStore(tmp_path)
        kept.put("ann", CHOSEN)
        (path,) = tmp_path.iterdir()
        path.write_bytes(data)
        with pytest.raises(CorruptDataError, match="damaged"):
            kept.get("ann")
        kept.put("ann", CHOSEN)
        assert kept.get("ann") == CHOSEN

    def test_what_no_longer_holds(self, tmp_path: Path) -> None:
        """A zone or column that there is no more, and a setting of another version, are left out; the rest stays."""
        kept = DisplaySettingsStore(tmp_path)
        kept.put("ann", CHOSEN)
        (path,) = tmp_path.iterdir()
        old = CHOSEN.to_dict() | {"timezone": "Mars/Base", "columns": ["start", "gone"], "colour": "red"}
        path.write_text(json.dumps(old))
        assert kept.get("ann") == DisplaySettings(page_size=25, times="day_first")

    def test_at_once(self, tmp_path: Path) -> None:
        """Of many writers one wins, and every reader sees a whole choice."""
        kept = DisplaySettingsStore(tmp_path)
        choices = [DisplaySettings(page_size=size, columns=["start"] * 1) for size in range(1, 9)]
        kept.put("ann", choices[0])
        seen: list[DisplaySettings] = []

        def write(choice: DisplaySettings) -> None:
            for _ in range(10):
                kept.put("ann", choice)
                seen.append(kept.get("ann"))

        threads = [threading.Thread(target=write, args=[choice]) for choice in choices]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 80
        assert set(seen) <= set(choices)
        assert len(list(tmp_path.iterdir())) == 1


class TestWithin:
    """Columns that a scope hides are not shown, also when a viewer chose them."""

    def test_columns(self) -> None:
        """The order chosen stays; where nothing is left, the usual columns are shown."""
        assert CHOSEN.within(["charge", "start", "source"]) == CHOSEN
        assert CHOSEN.within(["start"]).columns == ("start",)
        assert CHOSEN.within(["source", "call_id", "duration"]).columns == ("source", "duration")
        assert DisplaySettings().within(DEFAULT_COLUMNS) == DisplaySettings()
