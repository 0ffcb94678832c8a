"""The viewer in a real notebook server: filter, zone, pages, sound, CSV, and use by keyboard."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "notebooks" / "look-at-calls.ipynb"
TOKEN = "only-for-this-test"  # of a server on loopback


def free_port() -> int:
    """Return a port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def jupyter(folder: Path, theme: str) -> Iterator[str]:
    """Run JupyterLab in *folder*, and give its address."""
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed")
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "themes.jupyterlab-settings").write_text(json.dumps({"theme": theme}))
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
    (folder / "root").mkdir()
    (folder / "root" / "calls.ipynb").write_text(NOTEBOOK.read_text())
    home = {
        name: str(folder / name)
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "HOME")
    }
    port = free_port()
    options = {"port": port, "root_dir": folder / "root", "allow_root": True, "open_browser": False}
    command = [sys.executable, "-m", "jupyterlab", f"--IdentityProvider.token={TOKEN}"]
    command += [f"--ServerApp.{name}={value}" for name, value in options.items()]
    env = os.environ | home | {"JUPYTERLAB_SETTINGS_DIR": str(folder / "settings")}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(240):
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(f"{address}/api?token={TOKEN}").close()
                break
            assert server.poll() is None, (folder / "log").read_text()
            time.sleep(0.25)
        yield address
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def notebook(browser: Any, folder: Path, theme: str) -> Iterator[Any]:
    """Give a page with the notebook, all of its cells run; nothing in it may go wrong."""
    with jupyter(folder, f"JupyterLab {theme.capitalize()}") as address:
        opened = browser.new_page(viewport={"width": 1400, "height": 1400})
        opened.set_default_timeout(30_000)
        wrong: list[str] = []
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        opened.goto(f"{address}/doc/tree/calls.ipynb?token={TOKEN}")
        opened.locator(".jp-Notebook").wait_for()
        opened.get_by_text(re.compile(r"Python 3 .*\| Idle")).wait_for()
        opened.get_by_role("menuitem", name="Run", exact=True).click()
        opened.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        opened.locator(".cdrkit tbody tr").first.wait_for()
        yield opened
        assert wrong == []
        opened.close()


@pytest.fixture(scope="module")
def page(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a page with the notebook, as it comes."""
    with notebook(browser, tmp_path_factory.mktemp("jupyter"), "light") as opened:
        yield opened


class Shown:
    """The viewer on the page, and what stands in it."""

    def __init__(self, page: Any) -> None:
        self.root = page.locator(".cdrkit").first

    def status(self, pattern: str) -> None:
        """Wait until all is answered, and the line of the state says this."""
        self.root.page.locator(".cdrkit:not([aria-busy])").first.wait_for()
        self.root.get_by_role("status").filter(has_text=re.compile(pattern)).wait_for()

    def column(self, label: str) -> list[str]:
        """Return the texts of a column."""
        heads = [text.strip() for text in self.root.get_by_role("columnheader").all_inner_texts()]
        rows = self.root.locator("tbody tr").all()
        return [row.locator("td").nth(heads.index(label)).inner_text() for row in rows[:5]]


@pytest.fixture
def viewer(page: Any) -> Shown:
    """Return the viewer without any filter."""
    shown = Shown(page)
    shown.root.scroll_into_view_if_needed()
    shown.root.get_by_role("button", name="Clear").click()
    shown.status("^1–25 of 500 calls. Times in Europe/London.")
    return shown


def look(page: Any, theme: str, snap: Callable[[Any, str], None]) -> None:
    """See that all parts are there, in the notebook's colours."""
    root = Shown(page).root
    snap(page, f"notebook-{theme}")
    root.get_by_text("Columns (").click()
    root.get_by_label("Period").select_option("custom")
    snap(root, f"viewer-{theme}")
    root.get_by_text("Columns (").click()
    assert root.get_by_role("columnheader").count() == 11
    background = root.locator("th").first.evaluate("cell => getComputedStyle(cell).backgroundColor")
    channels = [int(part) for part in re.findall(r"\d+", background)[:3]]
    assert (max(channels) < 80) == (theme == "dark")


def test_in_the_light(page: Any, viewer: Shown, snap: Callable[[Any, str], None]) -> None:
    """It looks as the notebook does."""
    look(page, "light", snap)


def test_in_the_dark(browser: Any, tmp_path: Path, snap: Callable[[Any, str], None]) -> None:
    """So it does in the dark."""
    with notebook(browser, tmp_path, "dark") as page:
        look(page, "dark", snap)


def test_filters(viewer: Shown) -> None:
    """Connected only; a number however written, in a role; a period; and all of it cleared."""
    viewer.root.get_by_label("Connected only").check()
    viewer.status(r"of [1-4]\d\d calls")
    assert "0:00:00" not in viewer.column("Duration")
    viewer.root.get_by_label("as", exact=True).select_option("destination")
    viewer.root.get_by_role("searchbox").fill("+44 20 7946 0018")
    viewer.root.get_by_role("searchbox").press("Enter")
    viewer.status(r"of \d{1,2} calls")
    assert all(re.sub(r"\D", "", text).endswith("2079460018") for text in viewer.column("Destination"))
    viewer.root.get_by_label("Period").select_option("last_year")
    viewer.status("^0 calls")


def test_a_mistake_is_said(page: Any, viewer: Shown, snap: Callable[[Any, str], None]) -> None:
    """An unknown zone is a message, and the table stays."""
    zone = viewer.root.get_by_label("Time zone")
    zone.fill("London")
    zone.press("Enter")
    alert = viewer.root.get_by_role("alert")
    alert.filter(has_text="Did you mean 'Europe/London'?").wait_for()
    snap(viewer.root, "mistake")
    assert viewer.root.locator("tbody tr").count() == 25
    zone.fill("Asia/Kolkata")
    zone.press("Enter")
    viewer.status("Times in Asia/Kolkata")
    assert all(text.endswith("+05:30") for text in viewer.column("Call Time"))
    zone.fill("Europe/London")
    zone.press("Enter")
    viewer.status("Times in Europe/London")


def test_pages_and_order_by_keyboard(page: Any, viewer: Shown) -> None:
    """Pages are turned and columns sorted without a mouse; the focus stays where it was."""
    first = viewer.column("Call Time")
    viewer.root.get_by_role("button", name="Next").focus()
    page.keyboard.press("Enter")
    viewer.status("^26–50 of 500")
    assert viewer.column("Call Time")[0] < first[-1]
    viewer.root.get_by_role("button", name="First").click()
    viewer.status("^1–25 of 500")
    viewer.root.get_by_role("button", name="Duration", exact=True).focus()
    page.keyboard.press("Enter")
    viewer.root.locator("th[aria-sort=ascending]", has_text="Duration").wait_for()
    page.keyboard.press("Enter")
    viewer.root.locator("th[aria-sort=descending]", has_text="Duration").wait_for()
    lengths = viewer.column("Duration")
    assert lengths == sorted(lengths, reverse=True)
    assert page.evaluate("document.activeElement.textContent") == "Duration"
    viewer.root.get_by_role("button", name="Call Time").click()
    viewer.root.get_by_role("button", name="Call Time").click()
    viewer.root.locator("th[aria-sort=descending]", has_text="Call Time").wait_for()


def test_columns(viewer: Shown) -> None:
    """A column is added at the end and taken away again; none at all is refused."""
    viewer.root.get_by_text("Columns (").click()
    viewer.root.get_by_label("Source Name").check()
    viewer.root.get_by_role("columnheader", name="Source Name").wait_for()
    assert viewer.root.get_by_role("columnheader").last.inner_text().strip() == "Source Name"
    viewer.root.get_by_label("Source Name").uncheck()
    viewer.root.get_by_role("columnheader", name="Source Name").wait_for(state="detached")
    viewer.root.get_by_text("Columns (").click()


def test_sound(page: Any, viewer: Shown, snap: Callable[[Any, str], None]) -> None:
    """A recording plays, and can be sought in."""
    viewer.root.get_by_role("button", name="Play").first.click()
    viewer.status("^Playing ")
    sound = viewer.root.locator("audio")
    seconds = sound.evaluate(
        """async sound => {
            while (!(sound.duration > 0)) await new Promise(done => setTimeout(done, 50));
            sound.pause();
            sound.currentTime = sound.duration / 2;
            await new Promise(done => sound.onseeked = done);
            return [sound.duration, sound.currentTime];
        }"""
    )
    assert seconds[0] > 1
    assert seconds[1] == pytest.approx(seconds[0] / 2, abs=0.1)
    snap(viewer.root, "player")


def test_csv(page: Any, viewer: Shown, tmp_path: Path) -> None:
    """The CSV of what is shown is downloaded, all pages of it, in UTC."""
    viewer.root.get_by_label("Connected only").check()
    viewer.status(r"of [1-4]\d\d calls")
    total = int(re.findall(r"of (\d+) calls", viewer.root.get_by_role("status").inner_text())[0])
    with page.expect_download() as download:
        viewer.root.get_by_role("button", name="CSV").click()
    assert download.value.suggested_filename == "calls.csv"
    download.value.save_as(tmp_path / "calls.csv")
    lines = (tmp_path / "calls.csv").read_text().splitlines()
    assert lines[0].startswith("Call Time,Source Number,Destination")
    assert len(lines) == total + 1
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ,", line) for line in lines[1:])
