"""The playground in a real browser, over the real service: each thing that it offers, by its visible labels."""

import csv
import io
import json
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.browser.cards import CARD, Look, OpenPage, names_of, redrawn, settled


def test_names_are_there_at_once(open_page: OpenPage, look: Look) -> None:
    """Opened without any choice, the page shows twelve names, each with how likely it is and whether it is new."""
    page = open_page()
    names = settled(page)
    assert len(set(names)) == 12
    for card in page.locator(CARD).all():
        assert re.search(r"1 in [\d.]+|hardly ever", card.inner_text())
        assert re.search(r"\bnew\b|in the list", card.inner_text())
    look(page, "desk")


def test_one_makes_keeps_shares_and_exports_by_visible_labels(open_page: OpenPage, address: str, look: Look) -> None:
    """From / alone: draw, keep, copy, share and export, by what is written on the page."""
    page = open_page()
    first = settled(page)
    again = redrawn(page, page.get_by_role("button", name="Draw again").click)
    assert again != first
    page.locator(CARD).nth(2).get_by_text("Keep", exact=True).click()
    expect(page.locator(CARD).nth(2).get_by_text("Kept", exact=True)).to_be_visible()
    kept = page.get_by_role("list", name="Kept")
    expect(kept).to_contain_text(again[2])
    page.locator(CARD).nth(4).get_by_text("Copy", exact=True).click()
    expect(page.get_by_text(f"{again[4]} copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == again[4]
    page.get_by_role("button", name="Copy all").click()
    expect(page.get_by_text("All names copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "\n".join(again)
    page.get_by_role("button", name="Share a link").click()
    expect(page.get_by_text("Link copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    assert link == page.url
    assert "seed=" in link
    assert "%404" in link or "@4" in link
    with page.expect_download() as text:
        page.get_by_role("button", name="Export text").click()
    assert Path(text.value.path()).read_text().splitlines() == again
    with page.expect_download() as table:
        page.get_by_role("button", name="Export CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(table.value.path()).read_text())))
    assert [row["name"] for row in rows] == again
    with page.expect_download() as held:
        page.get_by_role("button", name="Kept as text").click()
    assert Path(held.value.path()).read_text() == f"{again[2]}\n"
    look(page, "kept")
    page.reload()
    expect(page.get_by_role("list", name="Kept")).to_contain_text(again[2])
    page.get_by_text("Let go", exact=True).click()
    expect(page.get_by_text("Names that you keep stay in this browser.")).to_be_visible()


@pytest.mark.parametrize("blend", [False, True])
def test_a_shared_link_gives_the_very_same_names(open_page: OpenPage, address: str, blend: bool) -> None:
    """Another browser that opens the link shows the same names in the same order, and the same choices."""
    page = open_page()
    settled(page)
    if blend:
        redrawn(page, lambda: page.get_by_label("mixed with").select_option("animal"))
        redrawn(page, lambda: page.get_by_label("How much of it").fill("35"))
    redrawn(page, lambda: page.get_by_label("Starts with").fill("ma"))
    redrawn(page, lambda: page.get_by_label("Temperature").fill("1.4"))
    names = names_of(page)
    page.get_by_role("button", name="Share a link").click()
    expect(page.get_by_text("Link copied")).to_be_visible()
    other = open_page(page.url.removeprefix(address))
    assert settled(other) == names
    expect(other.get_by_label("Starts with")).to_have_value("ma")
    expect(other.get_by_label("Keep this seed")).to_be_checked()
    if blend:
        expect(other.get_by_label("mixed with")).to_have_value("animal")
        expect(other.get_by_label("How much of it")).to_have_value("35")
    # The seed of a link is not kept when other names are asked for.
    assert redrawn(other, other.get_by_role("button", name="Draw again").click) != names
    assert "seed=" not in other.url


def test_what_is_kept_in_one_tab_stays_when_another_keeps(open_page: OpenPage, address: str) -> None:
    """Two tabs of one browser add to the same kept names, and show each other's."""
    page = open_page()
    names = settled(page)
    page.locator(CARD).nth(0).get_by_text("Keep", exact=True).click()
    other = page.context.new_page()
    other.goto(address)
    more = settled(other)
    page.locator(CARD).nth(1).get_by_text("Keep", exact=True).click()
    other.locator(CARD).nth(2).get_by_text("Keep", exact=True).click()
    for each in (page, other):
        kept = each.get_by_role("list", name="Kept").locator(".kept-name")
        expect(kept).to_have_text([names[0], names[1], more[2]])


def test_the_space_bar_draws_and_the_seed_can_be_kept(open_page: OpenPage) -> None:
    """Space draws other names with another seed, unless the seed is kept; in a field it is a space."""
    page = open_page()
    first, seed = settled(page), page.get_by_label("Seed", exact=True).input_value()
    page.locator("body").click(position={"x": 5, "y": 400})
    second = redrawn(page, lambda: page.keyboard.press("Space"))
    assert second != first
    assert page.get_by_label("Seed", exact=True).input_value() != seed
    pinned = redrawn(page, page.get_by_label("Keep this seed").check)
    assert pinned == second
    page.locator("body").click(position={"x": 5, "y": 400})
    assert redrawn(page, lambda: page.keyboard.press("Space")) == second
    typed = redrawn(page, lambda: page.get_by_label("Seed", exact=True).fill(seed))
    assert typed == first
    page.get_by_label("Contains").focus()
    page.keyboard.press("Space")
    expect(page.get_by_label("Contains")).to_have_value(" ")


def test_every_choice_is_obeyed(open_page: OpenPage) -> None:
    """Data set, mix, temperature, count, letters, length and new-only change the names as they say."""
    page = open_page()
    settled(page)
    redrawn(page, lambda: page.get_by_label("How many").fill("20"))
    settled(page, 20)
    redrawn(page, lambda: page.get_by_label("Starts with").fill("ma"))
    redrawn(page, lambda: page.get_by_label("Ends with").fill("a"))
    redrawn(page, lambda: page.get_by_label("Contains").fill("r"))
    redrawn(page, lambda: page.get_by_label("Without letters").fill("io"))
    redrawn(page, lambda: page.get_by_label("Shortest").fill("5"))
    names = redrawn(page, lambda: page.get_by_label("Longest").fill("9"))
    assert len(names) == 20
    for name in map(str.lower, names):
        assert re.fullmatch(r"ma[^io]*a", name)
        assert "r" in name
        assert 5 <= len(name) <= 9
    expect(page.locator(CARD).get_by_text("in the list")).to_have_count(0)
    redrawn(page, page.get_by_role("button", name="Start over").click)
    settled(page)
    patterned = redrawn(page, lambda: page.get_by_label("Pattern").fill("m?r*a"))
    assert len(patterned) == 12
    assert all(re.fullmatch(r"m.r.*a", name.lower()) for name in patterned)
    redrawn(page, page.get_by_label("Keep this seed").check)
    with page.expect_response("**/generate") as answer:
        ranked = redrawn(page, page.get_by_label("Likeliest first").check)
    likely = [name["log_prob"] for name in answer.value.json()["names"]]
    assert likely == sorted(likely, reverse=True)
    assert sorted(ranked) == sorted(patterned)
    redrawn(page, page.get_by_role("button", name="Start over").click)
    expect(page.get_by_label("Likeliest first")).not_to_be_checked()
    redrawn(page, lambda: page.get_by_label("Names of").select_option("animal"))
    redrawn(page, lambda: page.get_by_label("Model", exact=True).select_option("animal/bigram@3"))
    page.get_by_label("mixed with").select_option("human")
    expect(page.get_by_label("Model", exact=True)).to_be_hidden()
    redrawn(page, page.get_by_label("New names only").uncheck)
    names = redrawn(page, lambda: page.get_by_label("Temperature").fill("0.3"))
    assert len(names) == 12


def test_a_name_tells_why(open_page: OpenPage, look: Look) -> None:
    """A click on a name opens its characters with their probabilities and what else could have come; choosing one of
    those goes on from there.
    """
    page = open_page("/#/?dataset=human&seed=1&count=4&novel=true")
    names = settled(page, 4)
    page.get_by_role("button", name=f"{names[0]}: why this name?").click()
    dialog = page.get_by_role("dialog", name=names[0])
    expect(dialog).to_be_visible()
    places = dialog.locator(".place")
    expect(places).to_have_count(len(names[0]) + 1)
    assert [place.locator("strong").inner_text() for place in places.all()] == [*names[0].lower(), "end"]
    expect(places.nth(1).get_by_role("button")).to_have_count(4)
    expect(dialog).to_contain_text("nearest name of the list")
    look(page, "why")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name=f"{names[0]}: why this name?").click()
    other = places.nth(1).get_by_role("button").nth(1)
    begin = re.search("“(.+)”", other.get_attribute("aria-label") or "")
    assert begin
    went_on = redrawn(page, other.click)
    expect(page.get_by_label("Starts with")).to_have_value(begin[1])
    assert all(name.lower().startswith(begin[1]) for name in went_on)


def test_what_comes_next_changes_as_one_types(open_page: OpenPage, address: str) -> None:
    """Typing shows the distribution of the next character, which is /next's; a wrong character is told at the field."""
    page = open_page()
    settled(page)
    field, chances = (
        page.get_by_label("Type the beginning of a name"),
        page.get_by_role("list", name="The next character"),
    )
    expect(chances.get_by_role("listitem")).to_have_count(8)
    before = chances.inner_text()
    field.press_sequentially("mar")
    told = httpx.get(f"{address}/next", params={"prefix": "mar"}).json()["characters"][0]["character"]
    expect(chances.get_by_role("listitem").first).to_contain_text(told)
    assert chances.inner_text() != before
    chances.get_by_role("button").first.click()
    expect(field).to_have_value("mar" + told)
    field.fill("ß")
    expect(page.get_by_text("characters the model knows")).to_be_visible()


def test_errors_are_told_beside_their_field(open_page: OpenPage) -> None:
    """A wish that cannot be met is told at its field in words, and goes away with it; the names stay."""
    page = open_page()
    names = settled(page)
    page.get_by_label("Starts with").fill("ß")
    wrong = page.locator("#o-prefix-wrong")
    expect(wrong).to_contain_text("characters the model knows")
    expect(page.get_by_label("Starts with")).to_have_attribute("aria-invalid", "true")
    assert names_of(page) == names
    redrawn(page, lambda: page.get_by_label("Starts with").fill("k"))
    expect(wrong).to_be_empty()
    redrawn(page, lambda: page.get_by_label("Contains").fill("zzzqx"))
    expect(page.locator("#status")).to_contain_text("tries")


def test_who_draws_is_led_to_what_is_wrong(open_page: OpenPage) -> None:
    """On a phone, to draw with a wrong field leads to that field, above the bar of buttons, and says so; typing alone
    leaves the focus where it is.
    """
    page = open_page(width=360, height=740)
    settled(page)
    page.get_by_label("How many").fill("0")
    expect(page.locator("#o-count-wrong")).to_contain_text("1 to 200")
    page.get_by_label("Contains").focus()
    page.get_by_role("button", name="Draw again").click()
    field = page.get_by_label("How many")
    expect(field).to_be_focused()
    expect(page.locator("#status")).to_contain_text("does not fit")
    wrong, bar = page.locator("#o-count-wrong").bounding_box(), page.locator(".actions").bounding_box()
    assert wrong
    assert bar
    assert wrong["y"] + wrong["height"] <= bar["y"]
    page.get_by_label("How many").fill("3")
    settled(page, 3)
    page.get_by_label("Starts with").fill("\u00df")
    expect(page.locator("#o-prefix-wrong")).not_to_be_empty()
    expect(page.get_by_label("Starts with")).to_be_focused()


def test_a_busy_service_says_when_to_try_again(open_page: OpenPage) -> None:
    """Refused for overload, the page counts down to when it may be tried again; slow answers show progress."""
    page = open_page()
    settled(page)

    def busy(route: Route) -> None:
        problem = {"status": 503, "detail": "Busy.", "errors": []}
        headers = {"retry-after": "3", "content-type": "application/problem+json"}
        route.fulfill(status=503, headers=headers, body=json.dumps(problem))

    page.route("**/generate", busy)
    page.get_by_role("button", name="Draw again").click()
    expect(page.locator("#status")).to_contain_text(re.compile("Trying again in [123] s"))
    page.unroute("**/generate")
    redrawn(page, lambda: None)
    expect(page.locator("#status")).to_be_empty()

    # Held back until the progress was seen: a mere pause could be over before one looks.
    held: list[Route] = []
    page.route("**/generate", lambda route: held.append(route))
    top = page.locator("#names").bounding_box()
    page.get_by_role("button", name="Draw again").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    assert page.locator("#names").bounding_box() == top
    held.pop().continue_()
    expect(page.get_by_role("progressbar")).to_be_hidden()
