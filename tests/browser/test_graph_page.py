"""The lab's computation graph in a real browser, over the real service."""

import re

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.pages import OpenPage, assert_accessible, button

# Whether the active shapes and the boxes that receive gradients are wholly visible in their scroll container; `far`
# counts receivers that do not fit beside their sender.
VISIBLE = """box => {
  const frame = box.getBoundingClientRect();
  const all = (kind) => [...box.querySelectorAll(kind)].map((shape) => shape.getBoundingClientRect());
  const isSeen = (one) => one.left >= frame.left && one.right <= frame.right && one.top >= frame.top && one.bottom <= frame.bottom;
  const [circle] = all(".graph-now circle");
  const fed = all(".graph-fed rect").filter((one) => circle.right - one.left < frame.width - 12);
  return { at: all(".graph-now :is(circle, rect)").map(isSeen), fed: fed.map(isSeen), far: all(".graph-fed rect").length - fed.length };
}"""  # noqa: E501
WHITE_SPACE = "cells => cells.map((cell) => getComputedStyle(cell).whiteSpace)"


def wait_for_step(page: Page, step: int, steps: int) -> None:
    expect(page.get_by_text(f"Step {step} of {steps}", exact=True)).to_be_visible()


def open_graph(open_page: OpenPage, path: str = "/lab#/graph", **options: object) -> Page:
    page = open_page(path, **options)
    expect(page.get_by_text(re.compile(r"^Step 0 of \d+$"))).to_be_visible()
    return page


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    return open_graph(open_page)


def draw_expression(page: Page, expression: str, steps: int | None = None) -> None:
    page.get_by_label("Expression", exact=True).fill(expression)
    with page.expect_response("**/lab/graph"):
        button(page, "Show the graph").click()
    if steps is not None:
        wait_for_step(page, 0, steps)


def draw_example(page: Page, name: str, steps: int) -> None:
    button(page, name).click()
    wait_for_step(page, 0, steps)


def graph(page: Page) -> Locator:
    return page.get_by_role("region", name="The graph")


def box(page: Page, label: str) -> Locator:
    named = page.locator(".graph-label", has_text=re.compile(f"^{label}$"))
    return graph(page).locator(".graph-value").filter(has=named)


def step_rows(page: Page) -> list[list[str]]:
    rows = page.get_by_role("table", name="What this step adds").locator("tbody tr").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


def all_rows(page: Page) -> list[list[str]]:
    table = page.get_by_role("table", name="Every value")
    if not table.is_visible():
        page.get_by_text("All values as a table").click()
    return [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]


def number(text: str) -> float:
    """Parse a cell, whose minus is the typographic one."""
    assert "-" not in text
    return float(text.replace("\u2212", "-"))


def test_graph_page_opens_with_a_neuron_and_zero_gradients(page: Page) -> None:
    expect(page.get_by_role("status")).to_contain_text("the result is o = 0.7071")
    expect(box(page, "o")).to_have_count(1)
    assert len(all_rows(page)) == 10
    assert {row[3] for row in all_rows(page)} == {"0"}
    expect(button(page, "Step back")).to_be_disabled()
    expect(button(page, "Start over")).to_be_disabled()


def test_backward_steps_end_at_the_gradients_of_the_service(page: Page, address: str) -> None:
    status = page.get_by_role("status")
    button(page, "Next").click()
    expect(status).to_contain_text("the gradient of o is 1")
    button(page, "Next").click()
    expect(status).to_contain_text("o = tanh(n) = 0.7071 has the gradient 1")
    expect(status).to_contain_text("n gets 0.5 × 1 = 0.5")
    expect(box(page, "n")).to_contain_text("grad 0.5")
    assert len(step_rows(page)) == 1
    button(page, "Next").click()
    expect(status).to_contain_text("hands its gradient on as it is")
    expect(box(page, "b")).to_contain_text("grad 0.5")
    button(page, "Step back").click()
    expect(box(page, "b")).to_contain_text("grad 0")
    button(page, "All").click()
    expect(status).to_contain_text("That was the last step")
    expect(button(page, "Next")).to_be_disabled()
    expression = page.get_by_label("Expression", exact=True).input_value()
    nodes = httpx.post(f"{address}/lab/graph", json={"expression": expression}).json()["nodes"]
    for row, node in zip(all_rows(page), nodes, strict=True):
        assert row[0] == (node["label"] or "–")
        assert number(row[2]) == pytest.approx(node["data"], rel=1e-3, abs=1e-12)
        assert number(row[3]) == pytest.approx(node["grad"], rel=1e-3, abs=1e-12)
    button(page, "Start over").click()
    wait_for_step(page, 0, 6)
    assert {row[3] for row in all_rows(page)} == {"0"}


def test_accumulated_gradient_is_listed_row_by_row(page: Page) -> None:
    """With b = a + a and c = b * a at a = 3, the gradient of a is 6 from c, then 9, then 12."""
    draw_example(page, "A value used twice", steps=3)
    button(page, "Next").click()
    button(page, "Next").click()
    status = page.get_by_role("status")
    expect(status).to_contain_text("b gets 3 × 1 = 3; a gets 6 × 1 = 6.")
    assert [row[-1] for row in step_rows(page)] == ["3", "6"]
    button(page, "Next").click()
    expect(status).to_contain_text("a gets 1 × 3 = 3, now 9 in all; a gets 1 × 3 = 3, now 12 in all.")
    assert step_rows(page) == [["a", "1", "3", "3", "9"], ["a", "1", "3", "3", "12"]]
    expect(box(page, "a")).to_contain_text("grad 12")


def test_values_show_their_names_or_a_formula(page: Page) -> None:
    draw_expression(page, "a = 1; b = a")
    expect(page.get_by_role("status")).to_contain_text("the result is a = b = 1.")
    expect(box(page, "a, b")).to_contain_text("data 1")
    draw_example(page, "Loss of a guess", steps=10)
    formulas = {row[1] for row in all_rows(page)}
    assert formulas >= {"exp(z1) + exp(z2) + exp(z3)", "exp(z1) ÷ (exp(z1) + exp(z2) + exp(z3))"}
    draw_expression(page, "x = -1; (tanh(x + 1) + tanh(x + 2) + tanh(x + 3) + tanh(x + 4)) * x ** -2", steps=14)
    formulas = [row[1] for row in all_rows(page)]
    assert formulas[-2:] == ["x**\u22122", "2.721 × 1"]
    assert "tanh(x + 1) + tanh(x + 2) + tanh(x + 3)" in formulas
    assert "-" not in page.get_by_role("region", name="Backward").inner_text()


@pytest.mark.parametrize("width", [360, 1280])
def test_active_nodes_scroll_into_view_at_each_step(open_page: OpenPage, width: int) -> None:
    """A phone shows each receiver that fits beside its sender, and the whole table of the step, unbroken."""
    page = open_graph(open_page, width=width, reduced_motion="reduce")
    draw_example(page, "Loss of a guess", steps=10)
    assert graph(page).evaluate("box => box.scrollWidth > box.clientWidth")
    checked = 0
    for step in range(1, 11):
        button(page, "Next").click()
        wait_for_step(page, step, 10)
        seen = graph(page).evaluate(VISIBLE)
        if width > 1000:
            assert all(seen["at"] + seen["fed"]), (step, seen)
            assert seen["far"] == 0
        elif len(seen["fed"]) == 1:
            assert seen["fed"] == [True], (step, seen)
            checked += 1
        # The first step, the result alone, has no table.
        if step > 1:
            region = page.get_by_role("region", name="The step as a table")
            assert region.evaluate("box => box.scrollWidth <= box.clientWidth"), step
            assert set(region.locator("tbody td").evaluate_all(WHITE_SPACE)) == {"nowrap"}, step
    assert width > 1000 or checked > 3


def test_every_example_steps_to_its_end(page: Page) -> None:
    examples = page.get_by_role("group", name="Examples").get_by_role("button")
    assert examples.count() == 5
    for example in examples.all():
        with page.expect_response("**/lab/graph") as answer:
            example.click()
        steps = len(answer.value.json()["steps"]) + 1
        wait_for_step(page, 0, steps)
        button(page, "All").click()
        wait_for_step(page, steps, steps)
        expect(page.get_by_role("alert")).to_be_empty()


@pytest.mark.parametrize(
    ("expression", "words", "marked"),
    [
        ("a = 2; b = a ^ 3", "Character 14: this character has no meaning here; a power is written **", "^"),
        ("a = 2; b = log(a - 2)", "Character 12: 0 and what is below it have no logarithm", "l"),
        ("1 / 0", "Character 3: this divides by 0", "/"),
        ("2 *", "Character 4: a value is missing here", "\u00a0"),
        ("\U0001f600", "Character 1: this character has no meaning here", "\U0001f600"),
    ],
)
def test_invalid_expression_is_explained_and_marked(page: Page, expression: str, words: str, marked: str) -> None:
    draw_expression(page, expression)
    expect(page.get_by_role("alert")).to_contain_text(words)
    field = page.get_by_label("Expression", exact=True)
    expect(field).to_have_attribute("aria-invalid", "true")
    assert page.locator("mark").text_content() == marked
    assert_accessible(page)
    draw_expression(page, "a = 1", steps=1)
    expect(page.get_by_role("alert")).to_be_empty()
    expect(page.locator("mark")).to_be_hidden()
    expect(field).not_to_have_attribute("aria-invalid", "true")


def test_unreachable_service_is_reported_until_it_responds(page: Page) -> None:
    page.route("**/lab/graph", lambda route: route.abort())
    button(page, "Show the graph").click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    page.unroute("**/lab/graph")
    button(page, "Show the graph").click()
    expect(page.get_by_role("alert")).to_be_empty()


def test_late_response_does_not_change_another_page(open_page: OpenPage) -> None:
    page = open_page("/lab#/wavenet")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("How WaveNet sees")
    held: list[Route] = []
    page.route("**/lab/graph", lambda route: held.append(route))
    page.get_by_role("link", name="Graph").click()
    expect(heading).to_have_text("Computation graph")
    page.get_by_role("link", name="WaveNet").click()
    expect(heading).to_have_text("How WaveNet sees")
    [asked] = held
    with page.expect_response("**/lab/graph"):
        asked.continue_()
    expect(page.locator("#graph svg")).to_be_attached()
    assert page.evaluate("location.hash").startswith("#/wavenet")
    expect(heading).to_have_text("How WaveNet sees")


def test_link_reproduces_the_expression(page: Page, open_page: OpenPage, address: str) -> None:
    draw_expression(page, "a = 3; b = a + a")
    expect(page).to_have_url(re.compile(r"#/graph\?e=a%20%3D%203%3B"))
    other = open_graph(open_page, page.url.removeprefix(address))
    expect(other.get_by_label("Expression", exact=True)).to_have_value("a = 3; b = a + a")
    wait_for_step(other, 0, 2)


def test_graph_works_by_keyboard_alone(page: Page) -> None:
    """Focus moves on from a button that becomes disabled."""
    field = page.get_by_label("Expression", exact=True)
    field.fill("a = 3; b = a * a")
    field.press("Enter")
    wait_for_step(page, 0, 2)
    button(page, "Next").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    wait_for_step(page, 2, 2)
    expect(button(page, "Start over")).to_be_focused()
    page.keyboard.press("Enter")
    expect(button(page, "Next")).to_be_focused()
    graph(page).focus()
    expect(graph(page)).to_be_focused()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1280])
def test_graph_wider_than_the_screen_is_accessible(open_page: OpenPage, width: int, dark: bool) -> None:
    page = open_graph(open_page, width=width, height=780, dark=dark, reduced_motion="reduce")
    draw_expression(page, "x = 0.5; y = " + "tanh(x + " * 9 + "x" + ")" * 9, steps=19)
    for _ in range(3):
        button(page, "Next").click()
    all_rows(page)
    assert_accessible(page)
    assert graph(page).evaluate("box => box.scrollWidth > box.clientWidth")
    assert graph(page).evaluate("box => box.scrollLeft > 0")
