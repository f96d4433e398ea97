"""The lab's page of initialisation, and what its panels show."""

from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

OpenPage = Callable[..., Page]
Look = Callable[[Page, str], None]


def bench(open_page: OpenPage, **options: object) -> Page:
    """The page of initialisation, once it shows a network."""
    page = open_page("/lab", **options)
    expect(rows(page, "Activations")).to_have_count(5)
    return page


def rows(page: Page, panel: str) -> Locator:
    """The layers' rows of a panel."""
    return page.get_by_role("region", name=panel, exact=True).get_by_role("listitem")


def verdict(page: Page, panel: str) -> Locator:
    """What a panel says."""
    return page.get_by_role("region", name=panel, exact=True).locator(".verdict")


def attempt(page: Page, name: str) -> None:
    """Choose an experiment, and wait until it is there."""
    page.get_by_role("button", name=name, exact=True).click()
    expect(page.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-pressed", "true")
