"""The playground in a real browser, over the real service, by its visible labels."""

import csv
import json
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from models.store.registry import SHIPPED
from tests.browser.pages import CARD, OpenPage, assert_accessible, button, names_after, shown_names

CLIPBOARD = "navigator.clipboard.readText()"
HUMAN_VERSIONS = len(list((SHIPPED / "human").glob("*/*/manifest.json")))


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    page = open_page()
    shown_names(page)
    return page


def downloaded(page: Page, label: str) -> str:
    with page.expect_download() as download:
        button(page, label).click()
    return Path(download.value.path()).read_text()


def draw_button(page: Page) -> Locator:
    """Return the button that draws; a keyboard hint may follow its label."""
    return page.get_by_role("button", name="Draw again")


def names_with(page: Page, label: str, value: str) -> list[str]:
    """Fill a field, and return the names drawn then."""
    return names_after(page, lambda: page.get_by_label(label).fill(value))


def test_first_visit_shows_twelve_distinct_names(page: Page) -> None:
    assert len(set(shown_names(page))) == 12
    for card in page.locator(CARD).all():
        assert re.search(r"1 in [\d.]+|hardly ever", card.inner_text())
        assert re.search(r"\bnew\b|in the list", card.inner_text())


def test_names_can_be_copied_and_downloaded(page: Page) -> None:
    names = shown_names(page)
    page.locator(CARD).nth(4).get_by_text("Copy", exact=True).click()
    expect(page.get_by_text(f"{names[4]} copied.")).to_be_visible()
    assert page.evaluate(CLIPBOARD) == names[4]
    button(page, "Copy all").click()
    expect(page.get_by_text("All names copied.")).to_be_visible()
    assert page.evaluate(CLIPBOARD) == "\n".join(names)
    assert downloaded(page, "Export text").splitlines() == names
    assert [row["name"] for row in csv.DictReader(downloaded(page, "Export CSV").splitlines())] == names


def test_kept_name_survives_a_reload_until_it_is_removed(page: Page) -> None:
    first = shown_names(page)
    names = names_after(page, draw_button(page).click)
    assert names != first
    page.locator(CARD).nth(2).get_by_text("Keep", exact=True).click()
    expect(page.locator(CARD).nth(2).get_by_text("Kept", exact=True)).to_be_visible()
    expect(page.get_by_role("list", name="Kept")).to_contain_text(names[2])
    assert downloaded(page, "Kept as text") == f"{names[2]}\n"
    page.reload()
    expect(page.get_by_role("list", name="Kept")).to_contain_text(names[2])
    page.get_by_text("Remove", exact=True).click()
    expect(page.get_by_text("Names that you keep stay in this browser.")).to_be_visible()


@pytest.mark.parametrize("blend", [False, True])
def test_shared_link_reproduces_names_and_choices(page: Page, open_page: OpenPage, address: str, blend: bool) -> None:
    choices = {"Starts with": "ma", "Temperature": "1.4"}
    if blend:
        names_after(page, lambda: page.get_by_label("mixed with").select_option("animal"))
        choices |= {"How much of it": "35"}
    for label, value in choices.items():
        names = names_with(page, label, value)
    button(page, "Share a link").click()
    expect(page.get_by_text("Link copied")).to_be_visible()
    assert page.evaluate(CLIPBOARD) == page.url
    assert re.search("lstm(%40|@)7", page.url)
    other = open_page(page.url.removeprefix(address))
    assert shown_names(other) == names
    for label, value in choices.items():
        expect(other.get_by_label(label)).to_have_value(value)
    if blend:
        expect(other.get_by_label("mixed with")).to_have_value("animal")
    expect(other.get_by_label("Keep this seed")).to_be_checked()
    # The seed of a link holds for its own names only.
    assert names_after(other, draw_button(other).click) != names
    assert "seed=" in page.url
    assert "seed=" not in other.url


def test_styles_are_chosen_drawn_and_shared(page: Page, open_page: OpenPage, address: str) -> None:
    seed = page.get_by_label("Seed", exact=True).input_value()
    names_after(page, page.get_by_label("Keep this seed").check)
    names_after(page, lambda: page.get_by_label("Gender").select_option("feminine"))
    names = names_after(page, lambda: page.get_by_label("Decade").select_option("1920"))
    style = {"gender": "feminine", "decade": "1920"}
    body = {"dataset": "human", "style": style, "seed": int(seed), "count": 12, "novel": True}
    assert httpx.post(f"{address}/generate", json=body).json()["names"] == names
    button(page, "Share a link").click()
    expect(page.get_by_text("Link copied")).to_be_visible()
    other = open_page(page.url.removeprefix(address))
    assert shown_names(other) == names
    expect(other.get_by_label("Gender")).to_have_value("feminine")
    # A style is kept where the next data set knows it.
    names_after(other, lambda: other.get_by_label("Names of").select_option("japanese"))
    expect(other.get_by_label("Gender")).to_have_value("feminine")
    expect(other.get_by_label("Decade")).to_have_count(0)
    names_after(other, lambda: other.get_by_label("Names of").select_option("surname"))
    expect(other.get_by_label("Gender")).to_be_hidden()


def test_tabs_share_their_kept_names(page: Page, address: str) -> None:
    names = shown_names(page)
    page.locator(CARD).nth(0).get_by_text("Keep", exact=True).click()
    other = page.context.new_page()
    other.goto(address)
    more = shown_names(other)
    page.locator(CARD).nth(1).get_by_text("Keep", exact=True).click()
    other.locator(CARD).nth(2).get_by_text("Keep", exact=True).click()
    for each in (page, other):
        kept = each.get_by_role("list", name="Kept").locator(".kept-name")
        expect(kept).to_have_text([names[0], names[1], more[2]])


def test_space_bar_draws_a_new_seed_unless_it_is_kept(page: Page) -> None:
    seed_field = page.get_by_label("Seed", exact=True)
    first, seed = shown_names(page), seed_field.input_value()
    page.locator("body").click(position={"x": 5, "y": 400})
    second = names_after(page, lambda: page.keyboard.press("Space"))
    assert second != first
    assert seed_field.input_value() != seed
    assert names_after(page, page.get_by_label("Keep this seed").check) == second
    page.locator("body").click(position={"x": 5, "y": 400})
    assert names_after(page, lambda: page.keyboard.press("Space")) == second
    assert names_after(page, lambda: seed_field.fill(seed)) == first
    page.get_by_label("Contains").focus()
    page.keyboard.press("Space")
    expect(page.get_by_label("Contains")).to_have_value(" ")


def test_constraints_of_letters_length_and_novelty_hold(page: Page) -> None:
    names_with(page, "How many", "20")
    shown_names(page, 20)
    constraints = {"Starts with": "ma", "Ends with": "a", "Contains": "r", "Without letters": "io", "Shortest": "5"}
    for label, value in (constraints | {"Longest": "9"}).items():
        names = names_with(page, label, value)
    assert len(names) == 20
    for name in map(str.lower, names):
        assert re.fullmatch(r"ma[^io]*a", name)
        assert "r" in name
        assert 5 <= len(name) <= 9
    expect(page.locator(CARD).get_by_text("in the list")).to_have_count(0)
    names_after(page, button(page, "Start over").click)
    shown_names(page)


def test_names_match_the_pattern_and_sort_by_likelihood(page: Page) -> None:
    names = names_with(page, "Pattern", "m?r*a")
    assert len(names) == 12
    assert all(re.fullmatch(r"m.r.*a", name.lower()) for name in names)
    names_after(page, page.get_by_label("Keep this seed").check)
    with page.expect_response("**/generate") as answer:
        ranked = names_after(page, page.get_by_label("Likeliest first").check)
    likely = [name["log_prob"] for name in answer.value.json()["names"]]
    assert likely == sorted(likely, reverse=True)
    assert sorted(ranked) == sorted(names)
    names_after(page, button(page, "Start over").click)
    expect(page.get_by_label("Likeliest first")).not_to_be_checked()


def test_data_set_model_and_blend_can_be_chosen(page: Page) -> None:
    names_after(page, lambda: page.get_by_label("Names of").select_option("animal"))
    names_after(page, lambda: page.get_by_label("Model", exact=True).select_option("animal/bigram@3"))
    page.get_by_label("mixed with").select_option("human")
    expect(page.get_by_label("Model", exact=True)).to_be_hidden()
    names_after(page, page.get_by_label("New names only").uncheck)
    assert len(names_with(page, "Temperature", "0.3")) == 12


def test_explanation_lists_alternatives_to_continue_from(open_page: OpenPage) -> None:
    page = open_page("/#/?dataset=human&seed=1&count=4&novel=true")
    name = shown_names(page, 4)[0]
    button(page, f"{name}: why this name?").click()
    dialog = page.get_by_role("dialog", name=name)
    expect(dialog).to_be_visible()
    places = dialog.locator(".place")
    expect(places.locator("strong")).to_have_text([*name.lower(), "end"])
    expect(places.nth(1).get_by_role("button")).to_have_count(4)
    expect(dialog).to_contain_text("nearest name of the list")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    button(page, f"{name}: why this name?").click()
    other = places.nth(1).get_by_role("button").nth(1)
    begin = re.search("“(.+)”", other.get_attribute("aria-label") or "")
    assert begin
    continued = names_after(page, other.click)
    expect(page.get_by_label("Starts with")).to_have_value(begin[1])
    assert all(name.lower().startswith(begin[1]) for name in continued)


def test_next_character_list_follows_the_typed_prefix(page: Page, address: str) -> None:
    field = page.get_by_label("Type the beginning of a name")
    chances = page.get_by_role("list", name="The next character")
    expect(chances.get_by_role("listitem")).to_have_count(8)
    before = chances.inner_text()
    field.press_sequentially("mar")
    likeliest = httpx.get(f"{address}/next", params={"prefix": "mar"}).json()["characters"][0]["character"]
    expect(chances.get_by_role("listitem").first).to_contain_text(likeliest)
    assert chances.inner_text() != before
    chances.get_by_role("button").first.click()
    expect(field).to_have_value("mar" + likeliest)
    field.fill("ß")
    expect(page.get_by_text("text of the characters")).to_be_visible()


def test_field_error_is_shown_at_its_field_and_keeps_names(page: Page) -> None:
    names = shown_names(page)
    page.get_by_label("Starts with").fill("ß")
    error = page.locator("#o-prefix-wrong")
    expect(error).to_contain_text("text of the characters")
    expect(page.get_by_label("Starts with")).to_have_attribute("aria-invalid", "true")
    assert shown_names(page) == names
    names_with(page, "Starts with", "k")
    expect(error).to_be_empty()
    names_with(page, "Contains", "zzzqx")
    expect(page.locator("#status")).to_contain_text("tries")


def test_drawing_with_an_invalid_field_focuses_it_on_a_phone(open_page: OpenPage) -> None:
    """The error is visible above the bar of buttons, and typing alone moves no focus."""
    page = open_page(width=360, height=740)
    shown_names(page)
    field = page.get_by_label("How many")
    field.fill("0")
    expect(page.locator("#o-count-wrong")).to_contain_text("between 1 and 200")
    page.get_by_label("Contains").focus()
    draw_button(page).click()
    expect(field).to_be_focused()
    expect(page.locator("#status")).to_contain_text("is not valid")
    error, bar = page.locator("#o-count-wrong").bounding_box(), page.locator(".actions").bounding_box()
    assert error
    assert bar
    assert error["y"] + error["height"] <= bar["y"]
    field.fill("3")
    shown_names(page, 3)
    page.get_by_label("Starts with").fill("ß")
    expect(page.locator("#o-prefix-wrong")).not_to_be_empty()
    expect(page.get_by_label("Starts with")).to_be_focused()


def test_overloaded_service_is_retried_after_a_countdown(page: Page) -> None:
    problem = json.dumps({"status": 503, "detail": "Busy.", "errors": []})
    headers = {"retry-after": "3", "content-type": "application/problem+json"}
    page.route("**/generate", lambda route: route.fulfill(status=503, headers=headers, body=problem))
    draw_button(page).click()
    expect(page.locator("#status")).to_contain_text(re.compile("Trying again in [123] s"))
    page.unroute("**/generate")
    names_after(page, lambda: None)
    expect(page.locator("#status")).to_be_empty()


def test_slow_response_shows_progress_without_layout_shift(page: Page) -> None:
    held: list[Route] = []
    page.route("**/generate", lambda route: held.append(route))
    draw_button(page).scroll_into_view_if_needed()
    top = page.locator("#names").bounding_box()
    draw_button(page).click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    assert page.locator("#names").bounding_box() == top
    held.pop().continue_()
    expect(page.get_by_role("progressbar")).to_be_hidden()


def test_explanation_and_errors_are_accessible(open_page: OpenPage) -> None:
    page = open_page(width=360, height=780)
    name = shown_names(page)[0]
    page.get_by_label("Ends with").fill("ß")
    expect(page.locator("#o-ends_with-wrong")).not_to_be_empty()
    button(page, f"{name}: why this name?").click()
    expect(page.locator("#why .place ul")).to_have_count(len(name) + 1)
    assert_accessible(page)


def test_playground_works_by_keyboard_alone(page: Page) -> None:
    why = button(page, f"{shown_names(page)[1]}: why this name?")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the names")).to_be_focused()
    why.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(why).to_be_focused()


def test_model_page_has_figures_and_leads_to_the_playground(page: Page) -> None:
    page.get_by_role("link", name="Models").click()
    page.get_by_role("link", name="human/wavenet@3").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("human/wavenet@3")
    expect(page.get_by_role("heading", name="How well it predicts")).to_be_visible()
    expect(page.get_by_role("table", name="Versions of human").get_by_role("row")).to_have_count(1 + HUMAN_VERSIONS)
    pictures = page.locator("#models img").all()
    assert len(pictures) >= 3
    for picture in pictures:
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("complete", True)
        assert picture.evaluate("image => image.naturalWidth") > 0
    page.get_by_role("link", name="Play with this model").click()
    expect(page.get_by_label("Model", exact=True)).to_have_value("human/wavenet@3")
    shown_names(page)


def test_comparison_shows_both_models_at_one_seed(open_page: OpenPage, address: str) -> None:
    page = open_page("/#/compare")
    page.get_by_label("First model").select_option("human/mlp@3")
    page.get_by_label("Second model").select_option("animal/wavenet@3")
    page.get_by_label("Seed to compare at").fill("5")
    for model in ("human/mlp@3", "animal/wavenet@3"):
        body = {"model": model, "seed": 5, "count": 12, "unique": False}
        names = httpx.post(f"{address}/generate", json=body).json()["names"]
        expect(page.get_by_role("region", name=model).locator(".kept-name")).to_have_text(names)
