"""Tiers of other kinds: given as objects, or by the name of a package's entry point."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from cdrkit import Query, Store, TierOptions, open_store
from cdrkit._files import open_files
from cdrkit.errors import ConfigError
from cdrkit.storage.tiers.hot import HotTier
from cdrkit.storage.tiers.warm import WarmTier
from tests.months import MONTHS, NOW, calls_of, inside, months_in
from tests.storage.tiers.test_conformance import ForeignTier


def live(store: Store) -> None:
    """Let *store* live through everything, and hold it against one of the usual kind."""
    usual = open_store(f"memory://tier-kinds-{id(store)}", region="GB")
    for each in (usual, store):
        each.append(calls_of(*MONTHS))
        assert each.maintenance.move_to_warm(now=NOW).months == MONTHS[:4]
        assert each.append(calls_of("2026-05", part="-late")).added
        each.append(calls_of("2026-06", duration=9)[:2], on_conflict="replace")
        each.maintenance.compact()
        assert each.maintenance.move_to_warm(now=NOW).months == ("2026-05", "2026-06")
        assert each.erase(Query().customer("1002"), reason="why", dry_run=False).rows == 18
        each.maintenance.vacuum(now=datetime.now(UTC) + timedelta(days=2))
        assert each.maintenance.verify().problems == ()
    calls = list(usual.run())
    assert list(store.run()) == calls
    assert list(store.daily_totals()) == list(usual.daily_totals())
    for query in (
        Query().connected(),
        Query().number(calls[0].source or ""),
        Query().newest_first().limit(3),
    ):
        assert list(store.run(query, now=NOW)) == list(usual.run(query, now=NOW))
    assert store.archive.months()[0].rows == usual.archive.months()[0].rows


def test_a_warm_tier_that_is_given(tmp_path: Path) -> None:
    """A tier made with public names stores the warm calls in a place of its own; the log can be rebuilt from both."""
    warm = ForeignTier(open_files(tmp_path / "elsewhere"))
    store = open_store(tmp_path / "calls", region="GB", warm=warm)
    live(store)
    assert months_in(store, "foreign")
    assert not (tmp_path / "calls" / "warm").exists()
    calls = list(store.run())
    (tmp_path / "calls" / "hot" / "_log").rename(tmp_path / "lost")
    again = open_store(tmp_path / "calls", region="GB", warm=warm)
    assert again.maintenance.rebuild_log() == len(calls)
    assert list(again.run()) == calls


def test_a_hot_tier_that_is_given(tmp_path: Path) -> None:
    """The same for the hot calls; the log stays in the store's folder."""
    hot = ForeignTier(open_files(tmp_path / "elsewhere"))
    store = open_store(tmp_path / "calls", region="GB", hot=hot)
    live(store)
    assert {path.name for path in (tmp_path / "calls" / "hot").iterdir()} == {"_log"}
    calls = list(store.run())
    (tmp_path / "calls" / "hot" / "_log").rename(tmp_path / "lost")
    assert open_store(tmp_path / "calls", region="GB", hot=hot).maintenance.rebuild_log() == len(calls)


def test_a_tier_that_grows_out_of_ours(tmp_path: Path) -> None:
    """One that is a kind of ours keeps what ours knows: segments that are gone are let go of."""

    class Plain(HotTier):
        """The hot tier without roll-ups."""

        def totals(self, segment: object) -> None:  # type: ignore[override]
            return None

    store = open_store(tmp_path, region="GB", hot=Plain(open_files(tmp_path / "hot")))
    live(store)
    assert open_store(tmp_path).count() == store.count()  # the format is ours, and so is the name


def test_a_tier_by_name(tmp_path: Path, plug_in: Callable[..., str]) -> None:
    """A package's tier is made in the warm place when it is asked for, and not loaded before."""
    module = plug_in("other_vault", group="cdrkit.tiers", vault="other_vault:Vault")
    open_store(tmp_path)
    assert module not in sys.modules
    store = open_store(tmp_path, region="GB", warm=TierOptions(kind="vault"))
    assert module in sys.modules
    live(store)
    assert months_in(store, "vault")
    assert list((tmp_path / "warm").glob("month=*/*.parquet"))
    with pytest.raises(ConfigError, match="Unknown kind of tier 'vaul'. Did you mean 'vault'"):
        open_store(tmp_path, warm=TierOptions(kind="vaul"))


def test_opened_without_it(tmp_path: Path) -> None:
    """Calls in a tier that is not there are an error that says what to do, never left out."""
    store = open_store(tmp_path / "calls", warm=ForeignTier(open_files(tmp_path / "elsewhere")))
    store.append(calls_of("2026-05"))
    store.maintenance.move_to_warm(now=NOW)
    without = open_store(tmp_path / "calls")
    for ask in (
        without.count,
        lambda: list(without.run()),
        without.daily_totals,
        lambda: without.run().page(3),
    ):
        with pytest.raises(
            ConfigError, match="the tier 'foreign', but the store was opened with hot and warm only.*warm="
        ):
            ask()
    assert "opened without this tier" in without.maintenance.verify().problems[0]
    with pytest.raises(ConfigError, match="the tier 'foreign'"):
        without.append(calls_of("2026-05"))
    assert store.count() == 6


def test_download(tmp_path: Path) -> None:
    """A month of another kind is downloaded as CSV; that it has no Parquet is said before anything is written."""
    store = open_store(tmp_path / "calls", warm=ForeignTier(open_files(tmp_path / "elsewhere")))
    store.append(calls_of("2026-05"))
    store.maintenance.move_to_warm(now=NOW)
    with pytest.raises(ConfigError, match=r"'foreign' does not store Parquet.*csv\.gz"):
        store.archive.download("2026-05", tmp_path / "may")
    assert not (tmp_path / "may").exists()
    store.archive.download("2026-05", tmp_path / "may.csv.gz", format="csv.gz")
    assert pl.read_csv(gzip.decompress((tmp_path / "may.csv.gz").read_bytes())).height == 6


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (
            {"warm": TierOptions(kind="parquett")},
            "(?i)unknown kind of tier 'parquett'. Did you mean 'parquet'",
        ),
        ({"hot": TierOptions(kind="parquet")}, "(?i)unknown kind of tier 'parquet'.*Kinds: arrow"),
        ({"warm": object()}, "is not a tier: it lacks name, write, read"),
        ({"warm": WarmTier}, "is a class. Give an instance"),
        ({"warm": HotTier(open_files("memory://tier-kinds"))}, "Both tiers are named 'hot'"),
        ({"hot": ForeignTier(open_files("memory://tier-kinds")), "cache": "x"}, "cache= works only with"),
    ],
)
def test_refused(tmp_path: Path, given: dict[str, object], what: str) -> None:
    """What cannot be a tier is refused when the store is opened, with what there is."""
    with pytest.raises(ConfigError, match=what):
        open_store(tmp_path, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("point", ["no_such_module_at_all:Tier", "other_poor:number", "other_poor:Lines"])
def test_broken_packages(tmp_path: Path, plug_in: Callable[..., str], point: str) -> None:
    """A package that brings something else, or nothing, is named."""
    plug_in("other_poor", group="cdrkit.tiers", poor=point)
    with pytest.raises(ConfigError, match="poor"):
        open_store(tmp_path, warm=TierOptions(kind="poor"))


def test_a_name_is_a_text(tmp_path: Path) -> None:
    """A tier without a name is refused: the log records the tier of a segment by its name."""
    tier = ForeignTier(open_files(tmp_path))
    tier.name = ""
    with pytest.raises(ConfigError, match="The name of a tier must be a string"):
        open_store(tmp_path, warm=tier)
    assert inside(open_store(tmp_path)).tiers.keys() == {"hot", "warm"}
