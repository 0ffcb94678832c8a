"""Fixtures of the browser tests: Debian's Chromium, driven by Playwright. Without either, the tests are skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_FLAGS = [
    "--no-sandbox",  # the sandbox refuses root, and the pages are our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Start the browser once, without a screen."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium, args=_FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def snap() -> Callable[[Any, str], None]:
    """Return what keeps a picture of a page or a part of it, in the folder that CDRKIT_SCREENSHOTS names, if any."""
    folder = os.environ.get("CDRKIT_SCREENSHOTS")

    def keep(part: Any, name: str) -> None:
        if folder:
            part.screenshot(path=Path(folder) / f"{name}.png")

    return keep
