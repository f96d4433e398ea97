"""A real service over the models that ship, and the system's Chromium. Without Chromium these tests are skipped, or
fail where NAMEWAVE_NO_SKIP is set, as continuous integration does.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

ROOT = Path(__file__).parents[2]
# Pictures of the run, to be looked at.
SCREENSHOTS = Path(os.environ.get("NAMEWAVE_SCREENSHOTS", ROOT / ".namewave/screenshots"))
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service in a process of its own."""
    environment = {**os.environ, "NAMEWAVE_STORE": str(tmp_path_factory.mktemp("store")), "NAMEWAVE_PORT": "0"}
    log = tmp_path_factory.mktemp("log") / "serve.log"
    with log.open("w") as out:
        command = [sys.executable, "-m", "app", "serve"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=out, stdout=subprocess.DEVNULL)
        try:
            yield _address(log, process)
        finally:
            process.terminate()
            process.wait(20)


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    """Wait until the service is ready, a minute at most, and return where it listens."""
    for _ in range(600):
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        try:
            if found and httpx.get(f"{found[0]}/health/ready").status_code == 200:
                return found[0]
        except httpx.TransportError:
            pass
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(f"the service did not start: {log.read_text()}")


# Not for the session: its event loop would stand in the way of the tests that come after.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, headless."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        reason = "Chromium is not installed: make system-packages"
        if os.environ.get("NAMEWAVE_NO_SKIP"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[OpenPage]:
    """Open a page: open_page("/#/models", width=360, dark=True). Errors on its console fail the test at its end."""
    contexts, errors = [], []

    def told(message: ConsoleMessage) -> None:
        # An answer that is an error is the page's to tell, not the console's.
        if message.type == "error" and "Failed to load resource" not in message.text:
            errors.append(message.text)

    def asked(request: Request) -> None:
        # Nothing may be asked of another host.
        if not request.url.startswith((address, "blob:", "data:")):
            errors.append(request.url)

    def opened(path: str = "/", width: int = 1280, height: int = 900, dark: bool = False, **options: object) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
            permissions=["clipboard-read", "clipboard-write"],
            **options,  # type: ignore[arg-type]
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", told)
        page.on("pageerror", lambda error: errors.append(str(error)))
        # Nothing may be asked of another host.
        page.on(
            "request", lambda request: request.url.startswith((address, "blob:", "data:")) or errors.append(request.url)
        )
        page.goto(address + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def look(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """Keep a picture of a page."""

    def taken(page: Page, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{name}.png")

    return taken


@pytest.fixture(scope="module")
def patient() -> Iterator[None]:
    """Wait longer for what must come: on a busy machine a page that computes takes its time."""
    expect.set_options(timeout=20_000)
    yield
    expect.set_options(timeout=5_000)
