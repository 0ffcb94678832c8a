"""The FastAPI example in a real browser: filter, zone, pages, seeking in a recording, and the CSV."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.examples.portal_servers import PASSWORDS, Portal, filled_store, served


@pytest.fixture(scope="module")
def portal(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """Run the portal."""
    folder = tmp_path_factory.mktemp("portal")
    with served("fastapi", filled_store(folder), folder / "display") as running:
        yield running


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Any, portal: Portal) -> Iterator[Any]:
    """Return the page of bob's calls."""
    context = browser.new_context(
        http_credentials={"username": "bob", "password": PASSWORDS["bob"]},
        color_scheme=request.param,
        viewport={"width": 1280, "height": 900},
    )
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    wrong: list[str] = []
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    opened.goto(f"http://127.0.0.1:{portal.port}/")
    opened.scheme = request.param
    yield opened
    assert [text for text in wrong if "Failed to load resource" not in text] == []  # a 400 is asked for
    context.close()


def test_a_session(page: Any, portal: Portal, snap: Callable[[Any, str], None], tmp_path: Path) -> None:
    """What a customer does with the page works, in one go."""
    assert "bob, customer 1002" in page.locator("header").inner_text()
    snap(page, f"portal-{page.scheme}")

    page.get_by_label("Time zone").fill("Asia/Kolkata")
    page.get_by_role("button", name="Remember").click()
    page.wait_for_load_state()
    times = page.locator("tbody td:first-child").all_inner_texts()
    assert times
    assert all(text.endswith("+05:30") for text in times)
    assert portal.display.get("bob").timezone == "Asia/Kolkata"

    page.get_by_label("Connected only").check()
    page.get_by_label("Number").fill("020 7946 0*")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url(re.compile("connected=1"))
    assert page.get_by_label("Connected only").is_checked()
    assert "0:00:00" not in page.locator("tbody").inner_text()
    first = page.locator("tbody").inner_text()
    page.get_by_role("link", name="Next page").click()
    page.wait_for_url(re.compile("cursor="))
    assert page.locator("tbody").inner_text() != first
    page.get_by_role("link", name="First page").click()
    assert page.locator("tbody").inner_text() == first

    with page.expect_download() as download:
        page.get_by_role("link", name="All of them as CSV").click()
    download.value.save_as(tmp_path / "calls.csv")
    lines = (tmp_path / "calls.csv").read_text().splitlines()
    assert len(lines) > 25
    assert all("Z," in line for line in lines[1:])

    page.goto(f"http://127.0.0.1:{portal.port}/?recording=1&connected=1")
    seconds = page.locator("audio").first.evaluate(
        """async sound => {
            const once = name => new Promise((done, fail) => { sound['on' + name] = done; sound.onerror = fail; });
            await sound.play();
            sound.pause();
            sound.currentTime = sound.duration / 2;
            await once('seeked');
            return [sound.duration, sound.currentTime];
        }"""
    )
    assert seconds[0] > 1
    assert seconds[1] == pytest.approx(seconds[0] / 2, abs=0.1)
    snap(page, f"portal-sounds-{page.scheme}")

    page.goto(f"http://127.0.0.1:{portal.port}/?during=last_seven_days")
    assert "last_seven_days" in page.get_by_role("alert").inner_text()
    snap(page, f"portal-mistake-{page.scheme}")
    portal.display.forget("bob")
