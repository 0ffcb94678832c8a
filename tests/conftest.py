"""Fixtures that several test modules share."""

from __future__ import annotations

import importlib
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import fsspec
import pytest

from cdrkit import CallRecord, Store, open_store
from cdrkit.samples import synthesize_calls

_numbers = itertools.count()


@pytest.fixture(scope="session")
def samples() -> Path:
    """Return the folder of real files that the environment variable CDRKIT_SAMPLES names; skip without one."""
    folder = os.environ.get("CDRKIT_SAMPLES")
    if not folder:
        pytest.skip("CDRKIT_SAMPLES names no folder of samples")
    return Path(folder)


@pytest.fixture(scope="session")
def busy() -> Store:
    """Return a store of 5,000 generated calls in the ten days before 23 November 2026, for reading only."""
    store = open_store("memory://busy", region="GB")
    store.append(synthesize_calls(5_000, days=10, end=datetime(2026, 11, 23, tzinfo=UTC)))
    return store


@pytest.fixture
def make_call() -> Callable[..., CallRecord]:
    """Return a maker of plausible calls, a minute apart, each with an id of its own; what is given goes first."""
    first = datetime(2026, 11, 22, 9, tzinfo=UTC)
    numbers = itertools.count()

    def make(**given: Any) -> CallRecord:
        number = next(numbers)
        usual: dict[str, Any] = {
            "call_id": f"call-{number}",
            "start": first + timedelta(minutes=number),
            "source": "+442079460018",
            "destination": "+12125550100",
            "duration": 34,
        }
        return CallRecord(**(usual | given))

    return make


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep copies of remote segments out of the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@attrs.frozen
class Place:
    """A URL that nobody uses yet, and the options that its filesystem needs."""

    url: str
    options: dict[str, object]


@pytest.fixture(scope="session")
def s3_options() -> Iterator[dict[str, object]]:
    """Start an S3 server on this machine, and return the options that reach it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "key": "key",
        "secret": "secret",
        "client_kwargs": {"endpoint_url": f"http://{host}:{port}", "region_name": "eu-west-2"},
    }
    server.stop()


@pytest.fixture(params=["local", "memory", pytest.param("s3", marks=pytest.mark.s3)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Return a new place on each kind of filesystem in turn: the local disk, memory, S3."""
    name = f"place-{next(_numbers)}"
    if request.param == "local":
        return Place(str(tmp_path / name), {})
    if request.param == "memory":
        return Place(f"memory://{name}", {})
    options = request.getfixturevalue("s3_options")
    fsspec.filesystem("s3", **options).mkdir(name)
    return Place(f"s3://{name}/calls", options)


@pytest.fixture
def store(place: Place) -> Store:
    """Return an empty store, on each kind of filesystem in turn."""
    return open_store(place.url, region="GB", storage_options=place.options)


_SOURCES = """
import io
from cdrkit.sources import SourceBatch
import polars as pl

class Lines:
    def __init__(self, *, switch, upper=False):
        self.switch, self.upper = switch, upper

    def __call__(self, stream):
        yield SourceBatch(frame=pl.DataFrame({"switch": [self.switch]}), bytes_read=len(stream.read()))

def anything(**options):
    return options

number = 7

from cdrkit.storage.tiers import WarmTier

class Vault(WarmTier):
    name = "vault"
"""


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that installs a package with given entry points and returns the name of its module."""

    def install(name: str, *, group: str = "cdrkit.sources", **points: str) -> str:
        folder = tmp_path / name
        info = folder / f"{name}-0.1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
        lines = [f"{key.replace('_', '-')} = {value}" for key, value in points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]) + "\n")
        (folder / f"{name}.py").write_text(_SOURCES)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()
        return name

    return install
