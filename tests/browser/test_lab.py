"""The lab's page of initialisation in a real browser, over the real service: what one turns, and what one sees."""

import math
import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.panels import Look, OpenPage, attempt, bench, rows, verdict

pytestmark = pytest.mark.usefixtures("patient")


def loss(page: Page) -> float:
    """The loss that is shown."""
    return float(page.locator(".headline strong").inner_text())


def test_it_starts_as_a_fair_guess(open_page: OpenPage, look: Look) -> None:
    """Opened without any choice, the loss is about ln 27, every layer has its pictures, and all is healthy."""
    page = bench(open_page)
    assert loss(page) == pytest.approx(math.log(27), abs=0.1)
    expect(page.locator(".headline")).to_contain_text("after 0 steps; a fair guess costs ln 27 = 3.30")
    expect(rows(page, "Gradients")).to_have_count(5)
    expect(rows(page, "Update : data")).to_have_count(6)
    for panel in ("Activations", "Gradients", "Update : data"):
        expect(verdict(page, panel)).to_contain_text("Healthy")
    for i in range(5):
        label = rows(page, "Activations").nth(i).get_by_role("img").get_attribute("aria-label")
        assert re.fullmatch(
            rf"Layer {i + 1}: mean \S+, deviation 0\.\d+, \S+ % saturated, .* neurons dead\.", label or ""
        )
    expect(page.get_by_role("link", name="Initialisation")).to_have_attribute("aria-current", "page")
    look(page, "lab-start")


@pytest.mark.parametrize(
    ("name", "panel", "said"),
    [
        ("Confidently wrong", "Loss", "Confidently wrong: [1-9]"),
        ("Dead tanh", "Activations", r"Layer \d: [4-9]\d % of the outputs lie where tanh is flat"),
        ("Vanishing", "Activations", "fade: 0.3"),
        ("Vanishing", "Gradients", r"vanish on their way back: the first layer gets 1/\d{2,}"),
        ("Relu, wrong gain", "Activations", "fade"),
        ("Relu, wrong gain", "Gradients", "vanish"),
        ("BatchNorm mends it", "Activations", "Healthy"),
        ("BatchNorm mends it", "Gradients", "Healthy"),
    ],
)
def test_each_experiment_shows_what_it_is_for(
    open_page: OpenPage, look: Look, name: str, panel: str, said: str
) -> None:
    """A choice among the experiments sets the knobs, and the panel that it is about says what goes wrong, or right."""
    page = bench(open_page)
    attempt(page, name)
    expect(verdict(page, panel)).to_have_text(re.compile(said))
    look(page, f"lab-{name.split()[0].lower()}")


def test_batchnorm_is_what_mends_it(open_page: OpenPage) -> None:
    """The same layers at the same gain are ill without BatchNorm: those of "Dead tanh", which is chosen then."""
    page = bench(open_page)
    attempt(page, "BatchNorm mends it")
    page.get_by_label("BatchNorm before each activation").uncheck()
    expect(verdict(page, "Activations")).to_have_text(
        re.compile(r"Layer \d: \d\d % of the outputs lie where tanh is flat")
    )
    expect(verdict(page, "Gradients")).to_contain_text("They grow on their way back")
    expect(page.locator("button[aria-pressed=true]")).to_have_text("Dead tanh")
    page.get_by_label("Hidden layers").fill("8")
    expect(rows(page, "Activations")).to_have_count(8)
    expect(verdict(page, "Gradients")).to_contain_text("explode on their way back: 2")
    expect(page.locator("button[aria-pressed=true]")).to_have_count(0)


def test_layers_that_get_narrower_are_not_called_healthy(open_page: OpenPage) -> None:
    """At gain 1 each layer of tanh is narrower than the one before: every row shows its spread, and the verdict says
    it.
    """
    page = bench(open_page)
    page.get_by_label("Gain of the weights").fill("1")
    expect(verdict(page, "Activations")).to_contain_text("They get narrower on their way: 0.6")
    figures = rows(page, "Activations").locator(".odds span:first-child").all_inner_texts()
    spreads = [float(figure.removeprefix("± ")) for figure in figures]
    assert len(spreads) == 5
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[-1] < 0.7 * spreads[0]


def test_the_right_gain_is_what_relu_wants(open_page: OpenPage) -> None:
    """Turned as the experiment says, the eight layers of relu are equally wide, both ways."""
    page = bench(open_page)
    attempt(page, "Relu, wrong gain")
    page.get_by_label("Gain of the weights").fill("1.41")
    expect(verdict(page, "Activations")).to_contain_text("equally wide in all layers")
    expect(verdict(page, "Gradients")).to_contain_text("Healthy")


def test_every_knob_turns(open_page: OpenPage) -> None:
    """Depth, gains, activation and learning rate each change what they are about; other weights are other weights."""
    page = bench(open_page)
    page.get_by_label("Hidden layers").fill("2")
    expect(rows(page, "Activations")).to_have_count(2)
    expect(rows(page, "Update : data")).to_have_count(3)
    first = rows(page, "Activations").first.get_by_role("img")
    before = first.get_attribute("aria-label") or ""
    page.get_by_role("button", name="Draw other weights").click()
    expect(first).not_to_have_attribute("aria-label", before)
    page.get_by_label("Gain of the weights").fill("0.3")
    expect(first).to_have_attribute("aria-label", re.compile(r"deviation 0\.[12]"))
    page.get_by_label("Gain of the weights").fill("2")
    page.get_by_label("Gain of the logits").fill("5")
    expect(verdict(page, "Loss")).to_contain_text("Confidently wrong")
    page.get_by_label("Activation", exact=True).select_option("relu")
    expect(first).to_have_attribute("aria-label", re.compile("% zero"))
    ratio = rows(page, "Update : data").first.locator(".odds")
    page.get_by_label("Learning rate").fill("0")
    expect(page.get_by_label("Learning rate")).to_have_attribute("aria-valuetext", "1.00")
    slow = float(ratio.inner_text().replace("−", "-"))
    page.get_by_label("Learning rate").fill("1")
    expect(page.get_by_label("Learning rate")).to_have_attribute("aria-valuetext", "10.00")
    assert float(ratio.inner_text().replace("−", "-")) == pytest.approx(10 * slow, rel=0.1)


def test_one_sees_it_learn(open_page: OpenPage, look: Look) -> None:
    """Steps bring the loss of a confidently wrong network down; the learning rate keeps what was learnt, and "Start
    again" forgets it.
    """
    page = bench(open_page)
    page.get_by_label("Hidden layers").fill("1")
    expect(rows(page, "Activations")).to_have_count(1)
    page.get_by_label("Gain of the logits").fill("4")
    expect(verdict(page, "Loss")).to_contain_text("Confidently wrong")
    began = loss(page)
    page.get_by_role("button", name="Take 1 step").click()
    expect(page.locator(".headline")).to_contain_text("after 1 step;")
    page.get_by_role("button", name="Take 100 steps").click()
    expect(page.locator(".headline")).to_contain_text("after 101 steps", timeout=30_000)
    expect(page.get_by_role("button", name="Take 100 steps")).to_be_enabled()
    learnt = loss(page)
    assert learnt < began - 1
    expect(page.locator(".headline")).to_contain_text(re.compile(r"the last 20 batches cost 2\.\d\d on average"))
    look(page, "lab-learnt")
    page.get_by_label("Learning rate").fill("-2")
    expect(page.get_by_label("Learning rate")).to_have_attribute("aria-valuetext", "0.01")
    assert loss(page) == learnt
    page.get_by_role("button", name="Start again").click()
    expect(page.locator(".headline")).to_contain_text("after 0 steps")
    assert loss(page) == began


def test_a_wild_learning_rate_is_told(open_page: OpenPage) -> None:
    """Where the loss overflows, the page says what happened, and goes on."""
    page = bench(open_page)
    page.get_by_label("Activation", exact=True).select_option("relu")
    page.get_by_label("Learning rate").fill("1")
    page.get_by_label("Gain of the weights").fill("4")
    page.get_by_role("button", name="Take 100 steps").click()
    expect(verdict(page, "Loss")).to_contain_text("no number any more", timeout=30_000)
    attempt(page, "A good start")
    expect(verdict(page, "Loss")).to_contain_text("A fair guess")


def test_what_the_learning_rate_blew_up_is_told(open_page: OpenPage, look: Look) -> None:
    """With all knobs at their ends no figure has more digits than one can read, and a loss far above the first one is
    put down to the steps; nothing that holds for the start alone is said then.
    """
    page = bench(open_page)
    expect(verdict(page, "Update : data")).to_contain_text("weights start small")
    page.get_by_role("button", name="Take 1 step").click()
    expect(page.locator(".headline")).to_contain_text("after 1 step;")
    expect(verdict(page, "Update : data")).to_contain_text("Healthy")
    expect(verdict(page, "Update : data")).not_to_contain_text("start")
    for knob, most in (("Hidden layers", "8"), ("Gain of the weights", "4"), ("Learning rate", "1")):
        page.get_by_label(knob).fill(most)
    page.get_by_label("Gain of the logits").fill("5")
    expect(rows(page, "Activations")).to_have_count(8)
    page.get_by_role("button", name="Take 1 step").click()
    expect(page.locator(".headline")).to_contain_text("after 1 step;")
    expect(verdict(page, "Loss")).to_contain_text("Blown up: the loss was")
    for panel in ("Loss", "Activations", "Gradients", "Update : data"):
        assert not re.search(r"\d{6}|,\d{3},", verdict(page, panel).inner_text())
    look(page, "lab-blown")


def test_the_knobs_work_by_keyboard_alone(open_page: OpenPage) -> None:
    """The skip link leads to the page; arrows turn a knob, space switches BatchNorm, Enter takes a step."""
    page = bench(open_page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.get_by_label("Hidden layers").focus()
    page.keyboard.press("ArrowRight")
    expect(rows(page, "Activations")).to_have_count(6)
    page.get_by_label("BatchNorm before each activation").focus()
    page.keyboard.press("Space")
    expect(page.get_by_label("BatchNorm before each activation")).to_be_checked()
    page.get_by_role("button", name="Take 1 step").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".headline")).to_contain_text("after 1 step;")
