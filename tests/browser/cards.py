"""The names that the playground shows."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

OpenPage = Callable[..., Page]
Look = Callable[[Page, str], None]
CARD = "#names > li"


def names_of(page: Page) -> list[str]:
    """The names that are shown."""
    return page.locator(f"{CARD} .name").all_inner_texts()


def settled(page: Page, count: int = 12) -> list[str]:
    """Wait until so many names are shown, and return them."""
    expect(page.locator(CARD)).to_have_count(count)
    return names_of(page)


def redrawn(page: Page, act: Callable[[], object]) -> list[str]:
    """Do something that draws names, wait until they are shown, and return them."""
    before = page.locator("#names").get_attribute("data-draws")
    act()
    expect(page.locator("#names")).not_to_have_attribute("data-draws", before or "0", timeout=20_000)
    return names_of(page)
