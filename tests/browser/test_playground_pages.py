"""The playground's pages in a real browser: models, comparison, and what holds on all of them."""

from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.cards import Look, OpenPage, settled

STATIC = Path(__file__).parents[2] / "app/static/playground"


def test_models_have_pages(open_page: OpenPage, look: Look) -> None:
    """From the list of models to one's card, curves, pictures and figures beside the others, and on to playing it."""
    page = open_page()
    settled(page)
    page.get_by_role("link", name="Models").click()
    page.get_by_role("link", name="human/wavenet@3").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("human/wavenet@3")
    expect(page.get_by_role("heading", name="How well it predicts")).to_be_visible()
    expect(page.get_by_role("table", name="Versions of human").get_by_role("row")).to_have_count(7)
    for picture in page.locator("#models img").all():
        picture.scroll_into_view_if_needed()
        page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=picture.element_handle())
    assert page.locator("#models img").count() >= 3
    look(page, "model")
    page.get_by_role("link", name="Play with this model").click()
    expect(page.get_by_label("Model", exact=True)).to_have_value("human/wavenet@3")
    settled(page)


def test_two_models_are_compared_at_one_seed(open_page: OpenPage, address: str, look: Look) -> None:
    """Both columns show what the service draws at that seed."""
    page = open_page("/#/compare")
    page.get_by_label("First model").select_option("human/mlp@3")
    page.get_by_label("Second model").select_option("animal/wavenet@3")
    page.get_by_label("Seed to compare at").fill("5")
    for model in ("human/mlp@3", "animal/wavenet@3"):
        body = {"model": model, "seed": 5, "count": 12, "unique": False}
        names = httpx.post(f"{address}/generate", json=body).json()["names"]
        column = page.get_by_role("region", name=model)
        expect(column.locator(".kept-name").first).to_have_text(names[0])
        assert column.locator(".kept-name").all_inner_texts() == names
    look(page, "compare")


PAGES = ["/", "/#/models", "/#/models/human/lstm/4", "/#/compare"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_accessible(open_page: OpenPage, look: Look, path: str, width: int, dark: bool) -> None:
    """axe finds no violation, and nothing is wider than the screen, on a phone and a desk, in light and dark."""
    page = open_page(path, width=width, height=780, dark=dark)
    expect(page.locator(".view:not([hidden]) :is(li, td)").first).to_be_visible()
    page.wait_for_timeout(300)
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    name = path.strip("/#").replace("/", "-") or "play"
    look(page, f"{name}-{width}-{'dark' if dark else 'light'}")


def test_the_explanation_is_accessible(open_page: OpenPage) -> None:
    """axe finds no violation in the dialog, nor beside errors."""
    page = open_page(width=360, height=780)
    names = settled(page)
    page.get_by_label("Ends with").fill("ß")
    expect(page.locator("#o-ends_with-wrong")).not_to_be_empty()
    page.get_by_role("button", name=f"{names[0]}: why this name?").click()
    expect(page.locator("#why .place ul")).to_have_count(len(names[0]) + 1)
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


def test_it_works_by_keyboard_alone(open_page: OpenPage) -> None:
    """Tab reaches the skip link, the fields and the names; Enter opens a name, Escape leads back to it."""
    page = open_page()
    names = settled(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the names")).to_be_focused()
    page.get_by_role("button", name=f"{names[1]}: why this name?").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name=f"{names[1]}: why this name?")).to_be_focused()


MOVING = """[...document.querySelectorAll("*")].map((element) => getComputedStyle(element)).filter(
  (style) => style.animationName !== "none" || parseFloat(style.transitionDuration) > 0).length"""


def test_nothing_moves_where_motion_is_unwanted(open_page: OpenPage) -> None:
    """With prefers-reduced-motion nothing is animated."""
    page = open_page(reduced_motion="reduce")
    settled(page)
    assert page.evaluate(MOVING) == 0


def test_the_documentation_pages_work_under_the_policy(open_page: OpenPage, address: str, look: Look) -> None:
    """/docs and /redoc are linked, draw themselves from our own files under the playground's policy, and lead back."""
    policies = {httpx.get(address + path).headers["content-security-policy"] for path in ("/", "/docs", "/redoc")}
    assert len(policies) == 1
    assert "unsafe" not in policies.pop()
    page = open_page()
    page.get_by_role("link", name="API").click()
    expect(page.get_by_text("Invent names", exact=True).first).to_be_visible()
    look(page, "docs")
    page.get_by_role("link", name="Playground").click()
    settled(page)
    page.get_by_role("link", name="Reference").click()
    expect(page.get_by_role("heading", name="Invent names").first).to_be_visible(timeout=20_000)
    look(page, "redoc")


def test_our_own_code_is_small(address: str) -> None:
    """The page, its modules and its style are under 60 kB in all, and the policy lets in nothing but them."""
    assert sum(path.stat().st_size for path in STATIC.iterdir()) < 60_000
    page = httpx.get(address)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    again = httpx.get(address, headers={"if-none-match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
