"""Locators, waits and checks that the browser tests share."""

from collections.abc import Callable

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

OpenPage = Callable[..., Page]
CARD = "#names > li"
TREE = ".tree[data-name=marnabe]"


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def assert_accessible(page: Page) -> None:
    """Assert that axe finds no violation and that nothing is wider than the screen."""
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def shown_names(page: Page, count: int = 12) -> list[str]:
    """Wait until the playground shows this many names, and return them."""
    expect(page.locator(CARD)).to_have_count(count)
    return page.locator(f"{CARD} .name").all_inner_texts()


def names_after(page: Page, act: Callable[[], object]) -> list[str]:
    """Perform an action that draws names, wait until they are shown, and return them."""
    before = page.locator("#names").get_attribute("data-draws")
    act()
    expect(page.locator("#names")).not_to_have_attribute("data-draws", before or "0")
    return page.locator(f"{CARD} .name").all_inner_texts()


def layer_rows(page: Page, panel: str) -> Locator:
    return page.get_by_role("region", name=panel, exact=True).get_by_role("listitem")


def choose_experiment(page: Page, name: str) -> None:
    button(page, name).click()
    expect(button(page, name)).to_have_attribute("aria-pressed", "true")
