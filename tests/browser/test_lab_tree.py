"""The lab's tree of prefixes and its map in a real browser, held against what the service tells."""

import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.panels import Look, OpenPage

pytestmark = pytest.mark.usefixtures("patient")


def test_the_tree_shows_what_the_service_tells(open_page: OpenPage, address: str, look: Look) -> None:
    """For a name typed in: its window, a node for each pair, and the service's own prediction; choosing a guess goes
    on with it.
    """
    page = open_page("/lab#/wavenet")
    tree = page.locator(".tree[data-name=marnabe]")
    expect(tree).to_be_visible()
    page.get_by_label("Type a name, or its beginning").fill("Emm")
    expect(page.locator(".tree[data-name=emm]")).to_be_visible()
    told = httpx.get(f"{address}/lab/wavenet", params={"model": "human/wavenet@3", "name": "Emm"}).json()
    assert page.locator(".leaf strong").all_inner_texts() == ["·"] * 5 + ["e", "m", "m"]
    expect(page.locator(".tree .node canvas")).to_have_count(8 + 4 + 2 + 1)
    likely = told["characters"][0]
    expect(page.locator(".guess").first).to_contain_text(likely["character"])
    expect(page.locator(".guess").first).to_contain_text(f"{round(likely['probability'] * 100)} %")
    page.locator("button.guess").first.click()
    expect(page.get_by_label("Type a name, or its beginning")).to_have_value("Emm" + likely["character"])
    expect(page.locator(f".tree[data-name=emm{likely['character']}]")).to_be_visible()
    look(page, "lab-tree")


def test_colours_are_the_activations(open_page: OpenPage, address: str) -> None:
    """Each square's colour is the sign and its strength the size of the number that the service tells."""
    page = open_page("/lab#/wavenet")
    expect(page.locator(".tree[data-name=marnabe]")).to_be_visible()
    told = httpx.get(f"{address}/lab/wavenet", params={"model": "human/wavenet@3", "name": "marnabe"}).json()
    script = """canvas => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]"""
    expected = [node["values"] for layer in reversed(told["layers"]) for node in layer]
    canvases = page.locator(".node:not(.leaf) canvas")
    expect(canvases).to_have_count(len(expected))
    for canvas, values in zip(canvases.all(), expected, strict=True):
        pixels = canvas.evaluate(script)
        for value, pixel in zip(values, zip(*[iter(pixels)] * 4, strict=True), strict=True):
            assert pixel[3] == pytest.approx(255 * abs(value), abs=1)
            if abs(value) > 0.5:
                # Teal has less red than blue, orange more.
                assert (pixel[0] > pixel[2]) == (value < 0)


@pytest.mark.parametrize("how", ["hover", "focus"])
def test_a_node_shows_what_it_sees(open_page: OpenPage, look: Look, how: str) -> None:
    """Pointing at a node, or reaching it by keyboard, lights what lies below it and nothing else, and says it."""
    page = open_page("/lab#/wavenet")
    expect(page.locator(".tree[data-name=marnabe]")).to_be_visible()
    node = page.get_by_role("button", name=re.compile("^Layer 2 joins “na” and “be”"))
    getattr(node, how)()
    expect(page.locator(".told")).to_contain_text("it sees 4 characters")
    expect(page.locator(".leaf.lit strong")).to_have_text(["n", "a", "b", "e"])
    expect(page.locator(".node.lit")).to_have_count(4 + 2 + 1)
    expect(page.locator(".leaf.dim")).to_have_count(4)
    look(page, f"lab-field-{how}")
    if how == "hover":
        page.mouse.move(1, 1)
    else:
        node.blur()
    expect(page.locator(".dim")).to_have_count(0)


def test_what_a_long_name_hides_is_said(open_page: OpenPage) -> None:
    """Of a name longer than the window, the page says which beginning has no influence; the tree has the rest."""
    page = open_page("/lab#/wavenet")
    page.get_by_label("Type a name, or its beginning").fill("constantinople")
    expect(page.locator("#wavenet-unseen")).to_contain_text("“consta” lies before them")
    expect(page.locator(".leaf strong")).to_have_text([*"ntinople"])


def test_another_list_has_another_tree(open_page: OpenPage, address: str) -> None:
    """The animals' wavenet can be chosen, and no other architecture is offered."""
    page = open_page("/lab#/wavenet")
    expect(page.locator(".tree[data-name=marnabe]")).to_be_visible()
    offered = page.get_by_label("Model", exact=True).locator("option").all_inner_texts()
    assert offered == ["animal/wavenet@3", "human/wavenet@3"]
    before = page.locator(".guesses").inner_text()
    page.get_by_label("Model", exact=True).select_option("animal/wavenet@3")
    expect(page.locator(".guesses")).not_to_have_text(before)


def test_a_wrong_character_is_told_at_the_field(open_page: OpenPage) -> None:
    """What the model cannot spell is said beside the field; the last tree stays, and is dimmed until the next."""
    page = open_page("/lab#/wavenet")
    expect(page.locator(".tree[data-name=marnabe]")).to_be_visible()
    field = page.get_by_label("Type a name, or its beginning")
    field.fill("maß")
    expect(page.locator("#wavenet-wrong")).to_contain_text("characters the model knows: a-z")
    expect(page.locator(".tree")).to_have_css("opacity", "0.5")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".tree[data-name=marnabe]")).to_be_visible()
    field.fill("mas")
    expect(page.locator("#wavenet-wrong")).to_be_empty()
    expect(page.locator(".tree[data-name=mas]")).to_have_css("opacity", "1")


def test_what_cannot_be_fetched_is_said_and_tried_again(open_page: OpenPage) -> None:
    """Where the service does not answer, the page says so, and works when one comes again."""
    page = open_page("/lab")
    page.route("**/models", lambda route: route.abort())
    page.get_by_role("link", name="WaveNet").click()
    expect(page.get_by_role("alert")).to_have_text("The service cannot be reached.")
    page.unroute("**/models")
    page.get_by_role("link", name="Initialisation").click()
    page.get_by_role("link", name="WaveNet").click()
    expect(page.locator(".tree[data-name=marnabe]")).to_be_visible()


def test_the_map_is_honest(open_page: OpenPage, address: str) -> None:
    """Every character is on the map, vowels apart in colour, and the shares and neighbours are the service's."""
    page = open_page("/lab#/wavenet")
    told = httpx.get(f"{address}/lab/wavenet").json()["embedding"]
    marks = page.locator(".map text")
    expect(marks).to_have_count(27)
    assert set(marks.all_text_contents()) == {"end", *"abcdefghijklmnopqrstuvwxyz"}
    assert set(page.locator(".map .vowel text").all_text_contents()) == set("aeiou")
    # No label covers another one.
    covered = """texts => {
      const boxes = texts.map((text) => [text.textContent, text.getBoundingClientRect()]);
      const middle = ({ top, bottom }) => (top + bottom) / 2;
      return boxes.flatMap(([a, one], i) => boxes.slice(i + 1).filter(([, other]) =>
        one.left < other.right && other.left < one.right && Math.abs(middle(one) - middle(other)) < one.height / 2)
        .map(([b]) => a + " " + b));
    }"""
    assert marks.evaluate_all(covered) == []
    section = page.get_by_role("region", name="Where the characters are")
    expect(section).to_contain_text(f"{round(sum(told['explained']) * 100)} % together")
    nearest = {point["character"]: point["nearest"] for point in told["points"]}
    kept = sum(nearest[vowel] in "aeiou" for vowel in "aeiou")
    expect(section).to_contain_text(f"nearest of a is {nearest['a']}, of e is {nearest['e']}")
    expect(section).to_contain_text(f"{kept} of 5 vowels stand nearest to a vowel")
