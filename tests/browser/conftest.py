"""The service and Chromium; without Chromium tests skip, or fail if NAMEWAVE_NO_SKIP is set."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.pages import OpenPage
from tests.clients.service import address as address
from tests.harness.service import ROOT

SCREENSHOTS = Path(os.environ.get("NAMEWAVE_SCREENSHOTS", ROOT / ".namewave/screenshots"))
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


# Not for the session, because its event loop would disturb later tests.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        reason = "Chromium is not installed: make system-packages"
        if os.environ.get("NAMEWAVE_NO_SKIP"):
            pytest.fail(reason)
        pytest.skip(reason)
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[OpenPage]:
    """Return a function like open_page("/#/models", width=360, dark=True); page errors fail the test at its end."""
    pages: list[Page] = []
    errors: list[str] = []
    own = (address, "blob:", "data:")

    def check_message(message: ConsoleMessage) -> None:
        # The page itself reports failed responses.
        if message.type == "error" and "Failed to load resource" not in message.text:
            errors.append(message.text)

    def opened(path: str = "/", width: int = 1280, height: int = 900, dark: bool = False, **options: object) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
            permissions=["clipboard-read", "clipboard-write"],
            **options,  # type: ignore[arg-type]
        )
        page = context.new_page()
        pages.append(page)
        page.set_default_timeout(60_000)
        page.on("console", check_message)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda sent: sent.url.startswith(own) or errors.append(sent.url))
        page.goto(address + path)
        return page

    yield opened
    # The last state of each page, for a person to look at.
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for i, page in enumerate(pages):
        page.screenshot(path=SCREENSHOTS / f"{re.sub(r'[^a-z0-9]+', '-', request.node.name.lower())}-{i}.png")
        page.context.close()
    assert errors == []
