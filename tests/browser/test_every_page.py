"""Accessibility, motion, size, content policy and navigation of all pages."""

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Response, expect

from tests.browser.pages import TREE, OpenPage, assert_accessible, choose_experiment, shown_names

STATIC = Path(__file__).parents[2] / "app/static"
MOVING = """[...document.querySelectorAll("*")].map((element) => getComputedStyle(element)).filter(
  (style) => style.animationName !== "none" || parseFloat(style.transitionDuration) > 0).length"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("path", ["", "#/models", "#/models/human/lstm/4", "#/compare", "lab#/start", "lab#/wavenet"])
def test_page_is_accessible(open_page: OpenPage, path: str, width: int, dark: bool) -> None:
    page = open_page(f"/{path}", width=width, height=780, dark=dark)
    view = page.locator(".view:not([hidden])")
    expect(view.locator(".panel svg").last if path.startswith("lab") else view.locator("li, td").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    if path == "lab#/start":
        choose_experiment(page, "Dead tanh")
    assert_accessible(page)


@pytest.mark.parametrize(("path", "content"), [("/", "#names > li"), ("/lab#/wavenet", TREE)])
def test_reduced_motion_disables_all_animation(open_page: OpenPage, path: str, content: str) -> None:
    page = open_page(path, reduced_motion="reduce")
    expect(page.locator(content).first).to_be_visible()
    assert page.evaluate(MOVING) == 0


def test_navigation_between_playground_and_lab(open_page: OpenPage) -> None:
    page = open_page()
    heading = page.get_by_role("heading", level=1)
    page.get_by_role("link", name="Lab").click()
    expect(page).to_have_title("Initialisation · Namewave lab")
    page.get_by_role("link", name="WaveNet").click()
    expect(heading).to_have_text("How WaveNet sees")
    expect(page).to_have_title("WaveNet · Namewave lab")
    page.get_by_role("link", name="Graph").click()
    expect(heading).to_have_text("Computation graph")
    page.evaluate("location.hash = '#/nothing'")
    expect(heading).to_have_text("Initialisation and normalisation")
    page.get_by_role("link", name="Playground").click()
    shown_names(page)


def test_api_documentation_renders_and_links_back(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("link", name="API").click()
    expect(page.get_by_text("Invent names", exact=True).first).to_be_visible()
    page.get_by_role("link", name="Playground").click()
    shown_names(page)
    page.get_by_role("link", name="Reference").click()
    expect(page.get_by_role("heading", name="Invent names").first).to_be_visible()


def test_pages_share_a_strict_policy_and_revalidate_by_etag(address: str) -> None:
    paths = ("/", "/docs", "/redoc")
    [policy] = {httpx.get(address + path).headers["content-security-policy"] for path in paths}
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    known = {"if-none-match": httpx.get(address).headers["etag"]}
    answer = httpx.get(address, headers=known)
    assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.parametrize("path", ["start", "graph", "wavenet"])
def test_lab_page_fetches_less_than_60_kb_of_code(open_page: OpenPage, address: str, path: str) -> None:
    page = open_page("/health/live")
    responses: list[Response] = []
    page.on("response", lambda response: responses.append(response))
    page.goto(f"{address}/lab#/{path}")
    expect(page.locator(f"#{path} h1")).to_be_visible()
    page.wait_for_load_state("networkidle")
    code = [each for each in responses if each.url.split("#")[0].endswith((".js", ".css", ".html", "/lab"))]
    sizes = {each.url: len(each.body()) for each in code}
    assert sizes.keys() >= {f"{address}/lab/page/{path}.js", f"{address}/playground/style.css"}
    assert sum(sizes.values()) < 60_000


@pytest.mark.parametrize(("folder", "limit"), [("playground", 60_000), ("lab", 80_000)])
def test_total_code_size_is_limited(folder: str, limit: int) -> None:
    files = [path for path in (STATIC / folder).iterdir() if path.suffix != ".txt"]
    assert 0 < sum(path.stat().st_size for path in files) < limit
