"""The lab's WaveNet page in a real browser: tree of prefixes and embedding map."""

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.pages import TREE, OpenPage

FIELD = "Type a name, or its beginning"
PIXELS = """canvas => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]"""
# Pairs of labels that cover each other.
COVERED = """texts => {
  const boxes = texts.map((text) => [text.textContent, text.getBoundingClientRect()]);
  const middle = ({ top, bottom }) => (top + bottom) / 2;
  return boxes.flatMap(([a, one], i) => boxes.slice(i + 1).filter(([, other]) =>
    one.left < other.right && other.left < one.right && Math.abs(middle(one) - middle(other)) < one.height / 2)
    .map(([b]) => a + " " + b));
}"""


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    page = open_page("/lab#/wavenet")
    expect(page.locator(TREE)).to_be_visible()
    return page


def wavenet(address: str, name: str) -> dict[str, Any]:
    return httpx.get(f"{address}/lab/wavenet", params={"model": "human/wavenet@3", "name": name}).json()


def test_tree_shows_window_and_predictions_of_the_service(page: Page, address: str) -> None:
    page.get_by_label(FIELD).fill("Emm")
    expect(page.locator(".tree[data-name=emm]")).to_be_visible()
    assert page.locator(".leaf strong").all_inner_texts() == ["·"] * 5 + ["e", "m", "m"]
    expect(page.locator(".tree .node canvas")).to_have_count(8 + 4 + 2 + 1)
    likeliest = wavenet(address, "Emm")["characters"][0]
    expect(page.locator(".guess").first).to_contain_text(likeliest["character"])
    expect(page.locator(".guess").first).to_contain_text(f"{round(likeliest['probability'] * 100)} %")
    page.locator("button.guess").first.click()
    expect(page.get_by_label(FIELD)).to_have_value("Emm" + likeliest["character"])
    expect(page.locator(f".tree[data-name=emm{likeliest['character']}]")).to_be_visible()


def test_pixel_colours_encode_sign_and_size_of_activations(page: Page, address: str) -> None:
    layers = wavenet(address, "marnabe")["layers"]
    expected = [node["values"] for layer in reversed(layers) for node in layer]
    canvases = page.locator(".node:not(.leaf) canvas")
    expect(canvases).to_have_count(len(expected))
    for canvas, values in zip(canvases.all(), expected, strict=True):
        pixels = zip(*[iter(canvas.evaluate(PIXELS))] * 4, strict=True)
        for value, (red, _, blue, opacity) in zip(values, pixels, strict=True):
            assert opacity == pytest.approx(255 * abs(value), abs=1)
            # Negative is orange, positive is teal.
            assert abs(value) <= 0.5 or (red > blue) == (value < 0)


@pytest.mark.parametrize("how", ["hover", "focus"])
def test_hovered_or_focused_node_highlights_its_input(page: Page, how: str) -> None:
    node = page.get_by_role("button", name=re.compile("^Layer 2 joins “na” and “be”"))
    getattr(node, how)()
    expect(page.locator(".explanation")).to_contain_text("it sees 4 characters")
    expect(page.locator(".leaf.lit strong")).to_have_text(["n", "a", "b", "e"])
    expect(page.locator(".node.lit")).to_have_count(4 + 2 + 1)
    expect(page.locator(".leaf.dim")).to_have_count(4)
    if how == "hover":
        page.mouse.move(1, 1)
    else:
        node.blur()
    expect(page.locator(".dim")).to_have_count(0)


def test_characters_before_the_window_are_named(page: Page) -> None:
    page.get_by_label(FIELD).fill("constantinople")
    expect(page.locator("#wavenet-unseen")).to_contain_text("“consta” lies before them")
    expect(page.locator(".leaf strong")).to_have_text([*"ntinople"])


def test_models_offered_are_wavenets_only_and_change_the_tree(page: Page) -> None:
    models = page.get_by_label("Model", exact=True)
    assert models.locator("option").all_inner_texts() == ["animal/wavenet@3", "human/wavenet@3"]
    before = page.locator(".guesses").inner_text()
    models.select_option("animal/wavenet@3")
    expect(page.locator(".guesses")).not_to_have_text(before)


def test_unknown_character_is_a_field_error_and_dims_the_tree(page: Page) -> None:
    field = page.get_by_label(FIELD)
    field.fill("maß")
    expect(page.locator("#wavenet-wrong")).to_contain_text("text of the characters a-z")
    expect(page.locator(".tree")).to_have_css("opacity", "0.5")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator(TREE)).to_be_visible()
    field.fill("mas")
    expect(page.locator("#wavenet-wrong")).to_be_empty()
    expect(page.locator(".tree[data-name=mas]")).to_have_css("opacity", "1")


def test_page_reports_an_unreachable_service_and_recovers(open_page: OpenPage) -> None:
    page = open_page("/lab")
    page.route("**/models", lambda route: route.abort())
    page.get_by_role("link", name="WaveNet").click()
    expect(page.get_by_role("alert")).to_have_text("The service cannot be reached.")
    page.unroute("**/models")
    page.get_by_role("link", name="Initialisation").click()
    page.get_by_role("link", name="WaveNet").click()
    expect(page.locator(TREE)).to_be_visible()


def test_embedding_map_is_legible_and_equals_the_service(page: Page, address: str) -> None:
    marks = page.locator(".map text")
    expect(marks).to_have_count(27)
    assert set(marks.all_text_contents()) == {"end", *"abcdefghijklmnopqrstuvwxyz"}
    assert set(page.locator(".map .vowel text").all_text_contents()) == set("aeiou")
    assert marks.evaluate_all(COVERED) == []
    embedding = httpx.get(f"{address}/lab/wavenet").json()["embedding"]
    section = page.get_by_role("region", name="Where the characters are")
    expect(section).to_contain_text(f"{round(sum(embedding['explained']) * 100)} % together")
    nearest = {point["character"]: point["nearest"] for point in embedding["points"]}
    kept = sum(nearest[vowel] in "aeiou" for vowel in "aeiou")
    expect(section).to_contain_text(f"nearest of a is {nearest['a']}, of e is {nearest['e']}")
    expect(section).to_contain_text(f"{kept} of 5 vowels are nearest to a vowel")
