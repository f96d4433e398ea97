"""What holds on all of the lab's pages, in a real browser."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Response, Route, expect

from tests.browser.panels import Look, OpenPage, attempt

pytestmark = pytest.mark.usefixtures("patient")

STATIC = Path(__file__).parents[2] / "app/static/lab"
CODE = (".js", ".css", ".html")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("path", ["start", "wavenet"])
def test_every_page_is_accessible(open_page: OpenPage, look: Look, path: str, width: int, dark: bool) -> None:
    """axe finds no violation, and nothing is wider than the screen, on a phone and a desk, in light and dark."""
    page = open_page(f"/lab#/{path}", width=width, height=780, dark=dark)
    expect(page.locator(f"#{path} .panel svg").last).to_be_visible()
    if path == "start":
        attempt(page, "Dead tanh")
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    look(page, f"lab-{path}-{width}-{'dark' if dark else 'light'}")


MOVING = """[...document.querySelectorAll("*")].map((element) => getComputedStyle(element)).filter(
  (style) => style.animationName !== "none" || parseFloat(style.transitionDuration) > 0).length"""


def test_nothing_moves_where_motion_is_unwanted(open_page: OpenPage) -> None:
    """With prefers-reduced-motion nothing is animated."""
    page = open_page("/lab#/wavenet", reduced_motion="reduce")
    expect(page.locator(".tree[data-name=marnabe]")).to_be_visible()
    assert page.evaluate(MOVING) == 0


def test_who_goes_on_is_not_called_back(open_page: OpenPage) -> None:
    """A graph that is there only when its reader has gone to another page changes neither that page nor its address."""
    page = open_page("/lab#/wavenet")
    expect(page.get_by_role("heading", level=1)).to_have_text("How WaveNet sees")
    held: list[Route] = []
    page.route("**/lab/graph", lambda route: held.append(route))
    page.get_by_role("link", name="Graph").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Computation graph")
    page.get_by_role("link", name="WaveNet").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("How WaveNet sees")
    [asked] = held
    with page.expect_response("**/lab/graph"):
        asked.continue_()
    # Behind what the answer set off.
    page.wait_for_function("document.querySelector('#graph svg') !== null")
    assert page.evaluate("location.hash").startswith("#/wavenet")
    expect(page.get_by_role("heading", level=1)).to_have_text("How WaveNet sees")


def test_the_playground_leads_here_and_back(open_page: OpenPage) -> None:
    """From the playground to the lab, through its pages, and back; each has its title, an unknown one is the first."""
    page = open_page("/")
    page.get_by_role("link", name="Lab").click()
    expect(page).to_have_title("Initialisation · Namewave lab")
    page.get_by_role("link", name="WaveNet").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("How WaveNet sees")
    expect(page).to_have_title("WaveNet · Namewave lab")
    page.get_by_role("link", name="Graph").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Computation graph")
    page.evaluate("location.hash = '#/nothing'")
    expect(page.get_by_role("heading", level=1)).to_have_text("Initialisation and normalisation")
    page.get_by_role("link", name="Playground").click()
    expect(page.get_by_role("button", name="Draw again")).to_be_visible()


@pytest.mark.parametrize("path", ["start", "graph", "wavenet"])
def test_each_page_is_small(open_page: OpenPage, address: str, path: str) -> None:
    """A page fetches less than 60 kB of our own code, what it shares with the playground included."""
    page = open_page("/health/live")
    sizes: dict[str, int] = {}

    def note(response: Response) -> None:
        if response.url.split("#")[0].endswith((*CODE, "/lab")):
            sizes[response.url] = len(response.body())

    page.on("response", note)
    page.goto(f"{address}/lab#/{path}")
    expect(page.locator(f"#{path} h1")).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert f"{address}/lab/page/{path}.js" in sizes
    assert f"{address}/playground/style.css" in sizes
    assert sum(sizes.values()) < 60_000


def test_the_labs_code_is_small() -> None:
    """Its page, modules and styles are under 80 kB in all."""
    assert 0 < sum(path.stat().st_size for path in STATIC.iterdir() if path.suffix in CODE) < 80_000
