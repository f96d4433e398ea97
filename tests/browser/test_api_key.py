"""Pages of a service that needs API keys: they ask for one, once in a tab."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.security.api_keys import generate_key, key_line
from tests.browser.pages import CARD, OpenPage, assert_accessible, button, shown_names
from tests.harness.service import served

KEY = generate_key()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Return the address of a service that needs `KEY`."""
    keys = tmp_path / "keys"
    keys.write_text(key_line("alice", KEY))
    with served(NAMEWAVE_KEYS=str(keys), NAMEWAVE_STORE=str(tmp_path / "store")) as service:
        yield service.address


def enter(page: Page, key: str) -> None:
    page.get_by_label("Your key").fill(key)
    button(page, "Use this key").click()


def test_pages_ask_for_a_key_once(open_page: OpenPage) -> None:
    page = open_page()
    dialog = page.get_by_role("dialog", name="API key")
    expect(dialog).to_contain_text("needs an API key")
    assert_accessible(page)
    enter(page, "a-wrong-key-0123456789")
    expect(dialog).to_contain_text("not valid")
    enter(page, KEY)
    assert len(shown_names(page)) == 12
    # A picture, which the browser alone would ask for without a key.
    page.goto(page.url.partition("#")[0] + "#/models/human/lstm/4")
    picture = page.get_by_role("img", name="Loss over steps")
    picture.scroll_into_view_if_needed()
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("picture => picture.naturalWidth") > 100
    page.get_by_role("link", name="Lab", exact=True).click()
    page.get_by_role("link", name="Graph").click()
    expect(page.get_by_role("region", name="The graph")).to_be_visible()
    expect(dialog).to_have_count(0)


def test_page_without_a_key_says_what_is_missing(open_page: OpenPage) -> None:
    page = open_page()
    button(page, "Cancel").click()
    expect(page.locator("#status")).to_contain_text("needs an API key")
    expect(page.locator(CARD)).to_have_count(0)


def test_documentation_authorises_with_a_key(open_page: OpenPage) -> None:
    page = open_page("/docs")
    button(page, "Authorize").first.click()
    page.get_by_label("Value:").last.fill(KEY)
    page.get_by_role("button", name="Apply given OAuth2 credentials").or_(
        page.get_by_role("button", name="Apply credentials")
    ).last.click()
    button(page, "Close").last.click()
    page.get_by_text("/datasets", exact=True).click()
    button(page, "Try it out").click()
    button(page, "Execute").click()
    expect(page.get_by_text("US baby names").first).to_be_visible()
