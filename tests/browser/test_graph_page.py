"""The computation graph's page in a real browser, over the real service, by what is written on it."""

import re
from collections.abc import Callable

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, Route, expect

OpenPage = Callable[..., Page]
Look = Callable[[Page, str], None]
GRAPH = "/lab#/graph"


def button(page: Page, name: str) -> Locator:
    """A button by all that is written on it."""
    return page.get_by_role("button", name=name, exact=True)


def opened_at(open_page: OpenPage, path: str = GRAPH, **options: object) -> Page:
    """The page, once its graph is there."""
    page = open_page(path, **options)
    expect(page.get_by_text(re.compile(r"^Step 0 of \d+$"))).to_be_visible()
    return page


def shown(page: Page, expression: str) -> None:
    """Type an expression and have its graph drawn."""
    page.get_by_label("Expression", exact=True).fill(expression)
    with page.expect_response("**/lab/graph"):
        button(page, "Show the graph").click()


def box(page: Page, label: str) -> Locator:
    """The value in the drawing that has a name."""
    named = page.locator(".graph-label", has_text=re.compile(f"^{label}$"))
    return page.get_by_role("region", name="The graph").locator(".graph-value").filter(has=named)


def table(page: Page) -> list[list[str]]:
    """The rows of the table of all values."""
    details = page.get_by_text("All values as a table")
    if not page.get_by_role("table", name="Every value").is_visible():
        details.click()
    rows = page.get_by_role("table", name="Every value").locator("tbody tr").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


def number(text: str) -> float:
    """What a cell says as a number: its minus is a typographer's."""
    assert "-" not in text
    return float(text.replace("\u2212", "-"))


def test_the_lectures_neuron_is_there_at_once(open_page: OpenPage, look: Look) -> None:
    """The page opens with a neuron: each value with its data, all gradients 0, and forward told in words."""
    page = opened_at(open_page)
    expect(page.get_by_role("status")).to_contain_text("the result is o = 0.7071")
    expect(box(page, "o")).to_have_count(1)
    assert len(table(page)) == 10
    assert {row[3] for row in table(page)} == {"0"}
    expect(button(page, "Step back")).to_be_disabled()
    expect(button(page, "Start over")).to_be_disabled()
    look(page, "graph-desk")


def test_one_walks_backward_node_by_node(open_page: OpenPage, address: str, look: Look) -> None:
    """Next goes through the nodes in the service's order and says what each adds; back undoes it; at the end every
    gradient is the service's.
    """
    page = opened_at(open_page)
    status = page.get_by_role("status")
    button(page, "Next").click()
    expect(status).to_contain_text("the gradient of o is 1")
    button(page, "Next").click()
    expect(status).to_contain_text("o = tanh(n) = 0.7071 has the gradient 1")
    expect(status).to_contain_text("n gets 0.5 × 1 = 0.5")
    expect(box(page, "n")).to_contain_text("grad 0.5")
    expect(page.get_by_role("table", name="What this step adds").locator("tbody tr")).to_have_count(1)
    look(page, "graph-step")
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
    assert [row[0] for row in table(page)] == [node["label"] or "–" for node in nodes]
    for row, node in zip(table(page), nodes, strict=True):
        assert number(row[2]) == pytest.approx(node["data"], rel=1e-3, abs=1e-12)
        assert number(row[3]) == pytest.approx(node["grad"], rel=1e-3, abs=1e-12)
    button(page, "Start over").click()
    expect(page.get_by_text("Step 0 of 6", exact=True)).to_be_visible()
    assert {row[3] for row in table(page)} == {"0"}


def test_gradients_add_up_where_a_value_is_used_twice(open_page: OpenPage) -> None:
    """b = a + a gives a twice 1, and the page says so step by step."""
    page = opened_at(open_page)
    shown(page, "a = 3; b = a + a")
    expect(page.get_by_text("Step 0 of 2", exact=True)).to_be_visible()
    button(page, "All").click()
    expect(page.get_by_role("status")).to_contain_text("a gets 1 × 1 = 1; a gets 1 × 1 = 1")
    expect(box(page, "a")).to_contain_text("grad 2")
    rows = page.get_by_role("table", name="What this step adds").locator("tbody tr")
    expect(rows).to_have_count(2)


def test_what_a_value_has_so_far_grows_row_by_row(open_page: OpenPage) -> None:
    """With b = a + a and c = b * a at a = 3, a has 6 from c, then 9, then 12: in the table and in words, where only
    what is added to something is told as a sum.
    """
    page = opened_at(open_page)
    button(page, "A value used twice").click()
    expect(page.get_by_text("Step 0 of 3", exact=True)).to_be_visible()
    steps = page.get_by_role("table", name="What this step adds").locator("tbody tr")
    status = page.get_by_role("status")
    button(page, "Next").click()
    button(page, "Next").click()
    expect(status).to_contain_text("b gets 3 × 1 = 3; a gets 6 × 1 = 6.")
    assert [row.locator("th, td").all_inner_texts()[-1] for row in steps.all()] == ["3", "6"]
    button(page, "Next").click()
    expect(status).to_contain_text("a gets 1 × 3 = 3, now 9 in all; a gets 1 × 3 = 3, now 12 in all.")
    assert [row.locator("th, td").all_inner_texts() for row in steps.all()] == [
        ["a", "1", "3", "3", "9"],
        ["a", "1", "3", "3", "12"],
    ]
    expect(box(page, "a")).to_contain_text("grad 12")


def test_values_are_called_by_their_names_in_one_style(open_page: OpenPage) -> None:
    """A second name is shown beside the first; what has none is told by its formula, or, where that is long, all by
    numbers; minus is one sign.
    """
    page = opened_at(open_page)
    shown(page, "a = 1; b = a")
    expect(page.get_by_role("status")).to_contain_text("the result is a = b = 1.")
    expect(box(page, "a, b")).to_contain_text("data 1")
    button(page, "Loss of a guess").click()
    expect(page.get_by_text("Step 0 of 10", exact=True)).to_be_visible()
    told = [row[1] for row in table(page)]
    assert "exp(z1) + exp(z2) + exp(z3)" in told
    assert "exp(z1) ÷ (exp(z1) + exp(z2) + exp(z3))" in told
    shown(page, "x = -1; (tanh(x + 1) + tanh(x + 2) + tanh(x + 3) + tanh(x + 4)) * x ** -2")
    expect(page.get_by_text("Step 0 of 14", exact=True)).to_be_visible()
    told = [row[1] for row in table(page)]
    assert told[-2:] == ["x**\u22122", "2.721 × 1"]
    assert "tanh(x + 1) + tanh(x + 2) + tanh(x + 3)" in told
    assert "-" not in page.get_by_role("region", name="Backward").inner_text()


SEEN = """box => {
  const frame = box.getBoundingClientRect();
  const all = (kind) => [...box.querySelectorAll(kind)].map((shape) => shape.getBoundingClientRect());
  const isSeen = (one) => one.left >= frame.left && one.right <= frame.right && one.top >= frame.top && one.bottom <= frame.bottom;
  const [circle] = all(".graph-now circle");
  const fed = all(".graph-fed rect").filter((one) => circle.right - one.left < frame.width - 12);
  return { at: all(".graph-now :is(circle, rect)").map(isSeen), fed: fed.map(isSeen), far: all(".graph-fed rect").length - fed.length };
}"""  # noqa: E501


@pytest.mark.parametrize("width", [360, 1280])
def test_who_gives_and_who_gets_is_in_sight(open_page: OpenPage, look: Look, width: int) -> None:
    """At each step of a graph that is wider than its box, the box that is fed, and where there is room the one that
    feeds it, are seen whole; on a phone, so is the table of the step.
    """
    page = opened_at(open_page, width=width, reduced_motion="reduce")
    button(page, "Loss of a guess").click()
    expect(page.get_by_text("Step 0 of 10", exact=True)).to_be_visible()
    graph = page.get_by_role("region", name="The graph")
    assert graph.evaluate("box => box.scrollWidth > box.clientWidth")
    looked = 0
    for step in range(1, 11):
        button(page, "Next").click()
        expect(page.get_by_text(f"Step {step} of 10", exact=True)).to_be_visible()
        seen = graph.evaluate(SEEN)
        if width > 1000:
            assert all(seen["at"] + seen["fed"]), (step, seen)
            assert seen["far"] == 0
        elif len(seen["fed"]) == 1:
            assert seen["fed"] == [True], (step, seen)
            looked += 1
        if step == 1:
            # The result alone: no table yet.
            continue
        region = page.get_by_role("region", name="The step as a table")
        assert region.evaluate("box => box.scrollWidth <= box.clientWidth"), step
        # And no number is broken in two to fit.
        wraps = region.locator("tbody td").evaluate_all(
            "cells => cells.map((cell) => getComputedStyle(cell).whiteSpace)"
        )
        assert set(wraps) == {"nowrap"}, step
    assert width > 1000 or looked > 3
    look(page, f"graph-guess-{width}")


def test_every_example_is_drawn(open_page: OpenPage) -> None:
    """Each example can be chosen, computed and walked to its end."""
    page = opened_at(open_page)
    examples = page.get_by_role("group", name="Examples").get_by_role("button")
    assert examples.count() == 5
    for example in examples.all():
        with page.expect_response("**/lab/graph") as answer:
            example.click()
        steps = len(answer.value.json()["steps"]) + 1
        expect(page.get_by_text(f"Step 0 of {steps}", exact=True)).to_be_visible()
        button(page, "All").click()
        expect(page.get_by_text(f"Step {steps} of {steps}", exact=True)).to_be_visible()
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
def test_errors_are_told_beside_the_field_with_the_place(
    open_page: OpenPage, expression: str, words: str, marked: str
) -> None:
    """What is wrong is said in words, the field is marked invalid and the character is marked; the next right
    expression takes it away.
    """
    page = opened_at(open_page)
    shown(page, expression)
    expect(page.get_by_role("alert")).to_contain_text(words)
    field = page.get_by_label("Expression", exact=True)
    expect(field).to_have_attribute("aria-invalid", "true")
    assert page.locator("mark").text_content() == marked
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    shown(page, "a = 1")
    expect(page.get_by_role("alert")).to_be_empty()
    expect(page.locator("mark")).to_be_hidden()
    expect(field).not_to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("Step 0 of 1", exact=True)).to_be_visible()


def test_a_service_that_is_away_is_told(open_page: OpenPage) -> None:
    """Where no answer comes, the page says so and goes on when one comes again."""
    page = opened_at(open_page)

    def away(route: Route) -> None:
        route.abort()

    page.route("**/lab/graph", away)
    button(page, "Show the graph").click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    page.unroute("**/lab/graph", away)
    button(page, "Show the graph").click()
    expect(page.get_by_role("alert")).to_be_empty()


def test_a_link_holds_the_expression(open_page: OpenPage, address: str) -> None:
    """The address of a graph opens the same graph elsewhere."""
    page = opened_at(open_page)
    shown(page, "a = 3; b = a + a")
    expect(page).to_have_url(re.compile(r"#/graph\?e=a%20%3D%203%3B"))
    other = opened_at(open_page, page.url.removeprefix(address))
    expect(other.get_by_label("Expression", exact=True)).to_have_value("a = 3; b = a + a")
    expect(other.get_by_text("Step 0 of 2", exact=True)).to_be_visible()


def test_the_graph_works_by_keyboard_alone(open_page: OpenPage) -> None:
    """Enter draws from the field, Enter on Next steps on, and where a button has done its part the focus goes on to one
    that has not.
    """
    page = opened_at(open_page)
    field = page.get_by_label("Expression", exact=True)
    field.fill("a = 3; b = a * a")
    field.press("Enter")
    expect(page.get_by_text("Step 0 of 2", exact=True)).to_be_visible()
    button(page, "Next").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Step 2 of 2", exact=True)).to_be_visible()
    expect(button(page, "Start over")).to_be_focused()
    page.keyboard.press("Enter")
    expect(button(page, "Next")).to_be_focused()
    page.get_by_role("region", name="The graph").focus()
    expect(page.get_by_role("region", name="The graph")).to_be_focused()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_graph_page_is_accessible(open_page: OpenPage, look: Look, width: int, dark: bool) -> None:
    """axe finds no violation in the middle of a walk, and the graph scrolls in its own box: the page is as wide as the
    screen.
    """
    page = opened_at(open_page, width=width, height=780, dark=dark, reduced_motion="reduce")
    shown(page, "x = 0.5; y = " + "tanh(x + " * 9 + "x" + ")" * 9)
    expect(page.get_by_text("Step 0 of 19", exact=True)).to_be_visible()
    for _ in range(3):
        button(page, "Next").click()
    table(page)
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    graph = page.get_by_role("region", name="The graph")
    assert graph.evaluate("box => box.scrollWidth > box.clientWidth")
    # Who is at work is in sight: the box was scrolled there.
    assert graph.evaluate("box => box.scrollLeft > 0")
    look(page, f"graph-{width}-{'dark' if dark else 'light'}")
