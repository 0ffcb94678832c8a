"""The display of calls, compared with the standard library's zoneinfo."""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cdrkit._model import FIELDS
from cdrkit._output.display import display_text, local_days, localize
from cdrkit._output.settings import DEFAULT_COLUMNS, DisplaySettings
from cdrkit.errors import ConfigError, UnknownFieldError

INSTANT = pl.Datetime("us", "UTC")

# Each zone with the two days of 2026 on which its clocks change (none in Kathmandu).
CHANGES = {
    "Europe/London": (date(2026, 3, 29), date(2026, 10, 25)),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "America/St_Johns": (date(2026, 3, 8), date(2026, 11, 1)),
    "Australia/Lord_Howe": (date(2026, 4, 5), date(2026, 10, 4)),
    "Pacific/Auckland": (date(2026, 4, 5), date(2026, 9, 27)),
    "Asia/Kathmandu": (date(2026, 3, 29), date(2026, 10, 25)),
}


def instants(*values: datetime | None) -> pl.DataFrame:
    """Return a frame of one column of instants."""
    return pl.DataFrame({"start": pl.Series(values, dtype=INSTANT)})


def column(name: str, values: list[Any], kind: Any, **options: Any) -> list[str]:
    """Return how the values of one field are shown."""
    frame = pl.DataFrame({name: pl.Series(values, dtype=kind)})
    return display_text(frame, "UTC", labels=False, **options)[name].to_list()


def zoneinfo_text(instant: datetime, zone: str) -> str:
    """Return what the standard library says the clock on the wall shows."""
    local = instant.astimezone(ZoneInfo(zone))
    offset = local.strftime("%z")
    return f"{local:%Y-%m-%d %H:%M:%S} {offset[:3]}:{offset[3:5]}"


class TestZones:
    """Law: a display zone changes what is shown and nothing else; it agrees with zoneinfo."""

    @pytest.mark.parametrize("zone", CHANGES)
    @pytest.mark.parametrize("which", [0, 1])
    def test_across_a_change(self, zone: str, which: int) -> None:
        """Every quarter of an hour around a change day shows zoneinfo's wall clock, offset and day."""
        start = datetime.combine(CHANGES[zone][which] - timedelta(days=1), datetime.min.time(), tzinfo=UTC)
        moments = [start + timedelta(minutes=15 * step) for step in range(4 * 72)]
        frame = instants(*moments)
        assert display_text(frame, zone, labels=False)["start"].to_list() == [
            zoneinfo_text(moment, zone) for moment in moments
        ]
        days = local_days(frame["start"], zone).to_list()
        assert days == [moment.astimezone(ZoneInfo(zone)).date() for moment in moments]

    @pytest.mark.parametrize("zone", CHANGES)
    def test_length_of_days(self, zone: str) -> None:
        """A day is as long as the zone makes it: 23 and 25 hours on change days in London."""
        for day in CHANGES[zone]:
            start = datetime.combine(day - timedelta(days=1), datetime.min.time(), tzinfo=UTC)
            minutes = pl.datetime_range(start, start + timedelta(days=3), "1m", eager=True, time_zone="UTC")
            shown = local_days(minutes, zone)
            local_start = datetime.combine(day, datetime.min.time(), tzinfo=ZoneInfo(zone))
            local_stop = datetime.combine(day + timedelta(days=1), datetime.min.time(), tzinfo=ZoneInfo(zone))
            expected = (local_stop.astimezone(UTC) - local_start.astimezone(UTC)) / timedelta(minutes=1)
            assert (shown == day).sum() == expected
            if zone == "Europe/London":
                assert expected in (23 * 60, 25 * 60)

    @given(
        st.datetimes(datetime(1970, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC)),
        st.sampled_from(sorted(CHANGES)),
    )
    def test_any_instant(self, moment: datetime, zone: str) -> None:
        """Any instant shows as zoneinfo shows it, and parses back to the same second."""
        shown = display_text(instants(moment), zone, labels=False)["start"][0]
        assert shown == zoneinfo_text(moment, zone)
        assert datetime.strptime(shown, "%Y-%m-%d %H:%M:%S %z") == moment.replace(microsecond=0)

    @given(
        st.lists(
            st.none() | st.datetimes(datetime(1970, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))
        ),
        st.sampled_from(sorted(CHANGES)),
    )
    def test_localize_keeps_instants(self, moments: list[datetime | None], zone: str) -> None:
        """The column changes its zone; the instants stay, to the microsecond."""
        local = localize(instants(*moments), zone)
        assert local.schema["start"] == pl.Datetime("us", zone)
        assert local["start"].dt.convert_time_zone("UTC").to_list() == moments

    def test_localize_leaves_the_rest(self) -> None:
        """Only instants are touched; a frame without any comes back equal."""
        frame = pl.DataFrame({"source": ["2026-10-25"], "duration": [5], "day": [date(2026, 10, 25)]})
        assert localize(frame, "Asia/Kathmandu").equals(frame)

    def test_repeated_hour(self) -> None:
        """The two 01:30 of a London October night differ by their offset."""
        first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
        shown = display_text(instants(first, first + timedelta(hours=1)), "Europe/London")
        assert shown.columns == ["Call Time"]
        assert shown["Call Time"].to_list() == ["2026-10-25 01:30:00 +01:00", "2026-10-25 01:30:00 +00:00"]

    @pytest.mark.parametrize("zone", ["Mars/Olympus", "", "Europe", "../etc/passwd"])
    def test_unknown_zone(self, zone: str) -> None:
        """An unknown zone is refused by every function that accepts a zone."""
        frame = instants(datetime(2026, 1, 1, tzinfo=UTC))
        with pytest.raises(ConfigError):
            localize(frame, zone)
        with pytest.raises(ConfigError):
            display_text(frame, zone)
        with pytest.raises(ConfigError):
            local_days(instants()["start"], zone)
        with pytest.raises(ConfigError):
            DisplaySettings(timezone=zone)


class TestStyles:
    """Instants are written as people of a place expect them, with the offset in each style."""

    @pytest.mark.parametrize(
        ("times", "expected"),
        [
            (
                "iso",
                ["2026-10-25 01:30:00 +01:00", "2026-10-25 01:30:00 +00:00", "2026-10-25 13:05:09 +00:00"],
            ),
            (
                "day_first",
                ["25/10/2026 01:30:00 +01:00", "25/10/2026 01:30:00 +00:00", "25/10/2026 13:05:09 +00:00"],
            ),
            (
                "month_first",
                [
                    "10/25/2026 01:30:00 AM +01:00",
                    "10/25/2026 01:30:00 AM +00:00",
                    "10/25/2026 01:05:09 PM +00:00",
                ],
            ),
        ],
    )
    def test_styles(self, times: Any, expected: list[str]) -> None:
        """Every style distinguishes the two runs of the repeated hour."""
        moments = [datetime(2026, 10, 25, hour, minute, second, tzinfo=UTC)
                   for hour, minute, second in ((0, 30, 0), (1, 30, 0), (13, 5, 9))]  # fmt: skip
        shown = display_text(instants(*moments), "Europe/London", labels=False, times=times)
        assert shown["start"].to_list() == expected

    @pytest.mark.parametrize("times", ["", "%s", "ISO", None, 7])
    def test_unknown(self, times: Any) -> None:
        """A style is one of those; no pattern of a caller's own reaches the formatter."""
        with pytest.raises(ConfigError, match=r"^times=.* is not valid\. Give one of 'iso', "):
            display_text(instants(), "UTC", times=times)
        with pytest.raises(ConfigError, match=r"^times=.* is not valid\. Give one of 'iso', "):
            DisplaySettings(times=times)


class TestCells:
    """Each kind of value, made readable."""

    @given(st.lists(st.none() | st.integers(-(2**31), 2**31 - 1), max_size=5))
    @example([0, 59, 60, 3599, 3600, 360_000, -1, None])
    def test_lengths(self, values: list[int | None]) -> None:
        """Whole seconds are h:mm:ss, and nothing is lost."""
        for shown, value in zip(column("duration", values, pl.Int32), values, strict=True):
            if value is None:
                assert shown == ""
            else:
                assert re.fullmatch(r"-?\d+:[0-5]\d:[0-5]\d", shown)
                hours, minutes, seconds = map(int, shown.lstrip("-").split(":"))
                assert (-1 if shown.startswith("-") else 1) * (hours * 3600 + minutes * 60 + seconds) == value

    def test_length_examples(self) -> None:
        """Sums of seconds are lengths too."""
        assert column("duration", [83, 0, 360_000], pl.Int64) == ["0:01:23", "0:00:00", "100:00:00"]

    @given(st.lists(st.none() | st.decimals(-(10**11), 10**11, places=6, allow_nan=False), max_size=5))
    @example([Decimal(0), Decimal(100), Decimal("0.000001"), Decimal("-1.500000"), Decimal("10.10")])
    def test_money(self, values: list[Decimal | None]) -> None:
        """Money is exact, with at least two decimals and no zeros after those."""
        for shown, value in zip(column("charge", values, pl.Decimal(18, 6)), values, strict=True):
            if value is None:
                assert shown == ""
            else:
                assert Decimal(shown) == value
                assert re.fullmatch(r"-?\d+\.\d\d(\d*[1-9])?", shown)

    @pytest.mark.parametrize(
        ("name", "kind", "value", "expected"),
        [
            ("charge", pl.Decimal(18, 6), Decimal("1.5"), "1.50"),
            ("pdd", pl.Float64, 4.21, "4.2 s"),
            ("ring_duration", pl.Float64, 0.0, "0.0 s"),
            ("mos", pl.Float32, 4.31, "4.31"),
            ("pdd", pl.Float64, None, ""),
            ("sip_code", pl.Int16, 200, "200"),
            ("source", pl.String, "+442079460018", "+442079460018"),
            ("source", pl.String, None, ""),
            ("direction", pl.Categorical, "inbound", "inbound"),
            ("direction", pl.Categorical, None, ""),
            (
                "start",
                INSTANT,
                datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC),
                "2026-01-02 03:04:05 +00:00",
            ),
            ("start", INSTANT, None, ""),
            ("day", pl.Date, date(2026, 10, 25), "2026-10-25"),
        ],
    )
    def test_examples(self, name: str, kind: Any, value: Any, expected: str) -> None:
        """One example of each kind."""
        assert column(name, [value], kind) == [expected]

    @given(st.text(st.characters(exclude_categories=["Cs"])))
    @example("a\x1b[31mred\x9b0m\u202e\u2066\u2028\u200f\ufeff\r\n\0")
    @example("Zoë 日本 👩\u200d💻")
    def test_text_cannot_drive_a_terminal(self, value: str) -> None:
        """Control characters and bidi marks become U+FFFD, one for one; every other character stays."""
        invisible = "\u061c\u200e\u200f\u2028\u2029\ufeff"
        classes = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
        expected = "".join(
            "\ufffd"
            if unicodedata.category(c) == "Cc" or unicodedata.bidirectional(c) in classes or c in invisible
            else c
            for c in value
        )
        for kind in (pl.String, pl.Categorical):
            assert column("source_name", [value], kind) == [expected]


class TestNames:
    """The names of columns."""

    def test_labels(self) -> None:
        """Fields are named as portals label them; a column that is no field keeps its name."""
        frame = pl.DataFrame({"start": pl.Series([], dtype=INSTANT), "sip_code": [], "attempts": []})
        assert display_text(frame, "UTC").columns == ["Call Time", "SIP Code", "attempts"]
        assert display_text(frame, "UTC", labels=False).columns == ["start", "sip_code", "attempts"]

    def test_all_text(self) -> None:
        """Every field of the catalogue comes out as text, with a label of its own."""
        kinds = {name: pl.Series([None], dtype=pl.String) for name in FIELDS}
        shown = display_text(pl.DataFrame(kinds), "UTC")
        assert shown.width == len(FIELDS)
        assert set(shown.dtypes) == {pl.String()}
        assert shown.row(0) == ("",) * len(FIELDS)


class TestDisplaySettings:
    """What one viewer prefers: a value that checks itself."""

    def test_defaults(self) -> None:
        """UTC, the portal's columns, pages of fifty."""
        default = DisplaySettings()
        assert (default.timezone, default.columns, default.page_size) == ("UTC", DEFAULT_COLUMNS, 50)

    @given(
        st.sampled_from(sorted(CHANGES)),
        st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, unique=True),
        st.integers(1, 10_000),
    )
    def test_dict(self, zone: str, columns: list[str], page_size: int) -> None:
        """It comes back equal from its dict, through JSON too, and hashes the same."""
        value = DisplaySettings(timezone=zone, columns=columns, page_size=page_size)
        back = DisplaySettings.from_dict(json.loads(json.dumps(value.to_dict())))
        assert back == value
        assert hash(back) == hash(value)

    def test_partial_dict(self) -> None:
        """What a dict leaves out takes its default."""
        assert DisplaySettings.from_dict({"page_size": 10}) == DisplaySettings(page_size=10)

    def test_evolve(self) -> None:
        """A copy with a change is checked like a new one, and the old one stays as it was."""
        old = DisplaySettings()
        new = attrs.evolve(old, timezone="Asia/Kathmandu")
        assert (old.timezone, new.timezone) == ("UTC", "Asia/Kathmandu")
        with pytest.raises(ConfigError):
            attrs.evolve(old, page_size=0)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            old.page_size = 3  # type: ignore[misc]  # this is the error looked for

    @pytest.mark.parametrize(
        "values",
        [
            {"page_size": 0},
            {"page_size": 10_001},
            {"page_size": True},
            {"page_size": "50"},
            {"page_size": 5.0},
            {"columns": "start"},
            {"columns": []},
            {"columns": ["start", "start"]},
            {"columns": 7},
            {"timezone": "Nowhere"},
            {"timezone": None},
            {"timezone": []},
        ],
    )
    def test_bad_values(self, values: dict[str, Any]) -> None:
        """Each value that cannot work is refused, and the message shows it."""
        with pytest.raises(ConfigError) as caught:
            DisplaySettings.from_dict(values)
        assert str(next(iter(values.values()))) in str(caught.value)

    def test_unknown_column(self) -> None:
        """A column that is no field names the nearest ones."""
        with pytest.raises(UnknownFieldError) as caught:
            DisplaySettings(columns=["destnation"])
        assert caught.value.close_matches[0] == "destination"

    def test_unknown_key(self) -> None:
        """An unknown setting is refused; the error names the nearest one."""
        with pytest.raises(ConfigError, match=r"'page_sise'.*'page_size'"):
            DisplaySettings.from_dict({"page_sise": 10})

    def test_no_mapping(self) -> None:
        """Anything but a mapping is refused."""
        with pytest.raises(ConfigError, match="mapping"):
            DisplaySettings.from_dict([("page_size", 10)])  # type: ignore[arg-type]
