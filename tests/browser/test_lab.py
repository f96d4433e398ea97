"""The lab's initialisation page in a real browser: each control, and the verdict of each panel."""

import math
import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.pages import OpenPage, button, choose_experiment, layer_rows

PANELS = ("Loss", "Activations", "Gradients", "Update : data")


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    page = open_page("/lab")
    expect(layer_rows(page, "Activations")).to_have_count(5)
    return page


def verdict(page: Page, panel: str) -> Locator:
    return page.get_by_role("region", name=panel, exact=True).locator(".verdict")


def loss(page: Page) -> float:
    return float(page.locator(".headline strong").inner_text())


def test_initial_network_is_healthy_with_the_loss_of_a_guess(page: Page) -> None:
    assert loss(page) == pytest.approx(math.log(27), abs=0.1)
    expect(page.locator(".headline")).to_contain_text("after 0 steps; a fair guess costs ln 27 = 3.30")
    expect(page.get_by_role("link", name="Initialisation")).to_have_attribute("aria-current", "page")
    expect(layer_rows(page, "Gradients")).to_have_count(5)
    expect(layer_rows(page, "Update : data")).to_have_count(6)
    for panel in PANELS[1:]:
        expect(verdict(page, panel)).to_contain_text("Healthy")
    for i, row in enumerate(layer_rows(page, "Activations").all()):
        label = rf"Layer {i + 1}: mean \S+, deviation 0\.\d+, \S+ % saturated, .* neurons dead\."
        expect(row.get_by_role("img")).to_have_attribute("aria-label", re.compile(f"^{label}$"))


@pytest.mark.parametrize(
    ("name", "panel", "said"),
    [
        ("Confidently wrong", "Loss", "Confidently wrong: [1-9]"),
        ("Dead tanh", "Activations", r"Layer \d: [4-9]\d % of the outputs lie where tanh is flat"),
        ("Vanishing", "Activations", "fade: 0.3"),
        ("Vanishing", "Gradients", r"vanish on their way back: the first layer gets 1/\d{2,}"),
        ("Relu, wrong gain", "Activations", "fade"),
        ("Relu, wrong gain", "Gradients", "vanish"),
        ("BatchNorm fixes it", "Activations", "Healthy"),
        ("BatchNorm fixes it", "Gradients", "Healthy"),
    ],
)
def test_experiment_yields_its_verdict(page: Page, name: str, panel: str, said: str) -> None:
    choose_experiment(page, name)
    expect(verdict(page, panel)).to_have_text(re.compile(said))


def test_network_without_batchnorm_saturates_and_explodes(page: Page) -> None:
    """The same layers at the same gain are those of the experiment "Dead tanh"."""
    choose_experiment(page, "BatchNorm fixes it")
    page.get_by_label("BatchNorm before each activation").uncheck()
    flat = re.compile(r"Layer \d: \d\d % of the outputs lie where tanh is flat")
    expect(verdict(page, "Activations")).to_have_text(flat)
    expect(verdict(page, "Gradients")).to_contain_text("They grow on their way back")
    expect(page.locator("button[aria-pressed=true]")).to_have_text("Dead tanh")
    page.get_by_label("Hidden layers").fill("8")
    expect(layer_rows(page, "Activations")).to_have_count(8)
    expect(verdict(page, "Gradients")).to_contain_text("explode on their way back: 2")
    expect(page.locator("button[aria-pressed=true]")).to_have_count(0)


def test_shrinking_activations_are_not_called_healthy(page: Page) -> None:
    """At gain 1 each tanh layer has a smaller deviation than the one before."""
    page.get_by_label("Gain of the weights").fill("1")
    expect(verdict(page, "Activations")).to_contain_text("They get narrower on their way: 0.6")
    figures = layer_rows(page, "Activations").locator(".odds span:first-child").all_inner_texts()
    spreads = [float(figure.removeprefix("± ")) for figure in figures]
    assert len(spreads) == 5
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[-1] < 0.7 * spreads[0]


def test_gain_of_sqrt_2_keeps_relu_layers_healthy(page: Page) -> None:
    choose_experiment(page, "Relu, wrong gain")
    page.get_by_label("Gain of the weights").fill("1.41")
    expect(verdict(page, "Activations")).to_contain_text("equally wide in all layers")
    expect(verdict(page, "Gradients")).to_contain_text("Healthy")


def test_every_control_changes_its_quantity(page: Page) -> None:
    page.get_by_label("Hidden layers").fill("2")
    expect(layer_rows(page, "Activations")).to_have_count(2)
    expect(layer_rows(page, "Update : data")).to_have_count(3)
    first = layer_rows(page, "Activations").first.get_by_role("img")
    before = first.get_attribute("aria-label") or ""
    button(page, "Draw other weights").click()
    expect(first).not_to_have_attribute("aria-label", before)
    page.get_by_label("Gain of the weights").fill("0.3")
    expect(first).to_have_attribute("aria-label", re.compile(r"deviation 0\.[12]"))
    page.get_by_label("Gain of the weights").fill("2")
    page.get_by_label("Gain of the logits").fill("5")
    expect(verdict(page, "Loss")).to_contain_text("Confidently wrong")
    page.get_by_label("Activation", exact=True).select_option("relu")
    expect(first).to_have_attribute("aria-label", re.compile("% zero"))


def test_update_ratio_grows_with_the_learning_rate(page: Page) -> None:
    """The hint that weights start small holds before training only."""
    expect(verdict(page, "Update : data")).to_contain_text("weights start small")
    button(page, "Take 1 step").click()
    expect(page.locator(".headline")).to_contain_text("after 1 step;")
    expect(verdict(page, "Update : data")).to_contain_text("Healthy")
    expect(verdict(page, "Update : data")).not_to_contain_text("start")
    ratios = []
    for exponent, rate in (("0", "1.00"), ("1", "10.00")):
        page.get_by_label("Learning rate").fill(exponent)
        expect(page.get_by_label("Learning rate")).to_have_attribute("aria-valuetext", rate)
        shown = layer_rows(page, "Update : data").first.locator(".odds").inner_text()
        ratios.append(float(shown.replace("−", "-")))
    assert ratios[1] == pytest.approx(10 * ratios[0], rel=0.1)


def test_training_lowers_the_loss_until_it_is_reset(page: Page) -> None:
    """A change of the learning rate alone keeps the trained weights."""
    page.get_by_label("Hidden layers").fill("1")
    expect(layer_rows(page, "Activations")).to_have_count(1)
    page.get_by_label("Gain of the logits").fill("4")
    expect(verdict(page, "Loss")).to_contain_text("Confidently wrong")
    initial = loss(page)
    button(page, "Take 1 step").click()
    expect(page.locator(".headline")).to_contain_text("after 1 step;")
    button(page, "Take 100 steps").click()
    expect(page.locator(".headline")).to_contain_text("after 101 steps")
    expect(button(page, "Take 100 steps")).to_be_enabled()
    trained = loss(page)
    assert trained < initial - 1
    expect(page.locator(".headline")).to_contain_text(re.compile(r"the last 20 batches cost 2\.\d\d on average"))
    page.get_by_label("Learning rate").fill("-2")
    expect(page.get_by_label("Learning rate")).to_have_attribute("aria-valuetext", "0.01")
    assert loss(page) == trained
    button(page, "Start again").click()
    expect(page.locator(".headline")).to_contain_text("after 0 steps")
    assert loss(page) == initial


def test_overflow_of_the_loss_is_reported(page: Page) -> None:
    page.get_by_label("Activation", exact=True).select_option("relu")
    page.get_by_label("Learning rate").fill("1")
    page.get_by_label("Gain of the weights").fill("4")
    button(page, "Take 100 steps").click()
    expect(verdict(page, "Loss")).to_contain_text("not a number")
    choose_experiment(page, "A good start")
    expect(verdict(page, "Loss")).to_contain_text("A fair guess")


def test_diverged_training_is_reported_in_short_numbers(page: Page) -> None:
    extremes = {"Hidden layers": "8", "Gain of the weights": "4", "Learning rate": "1", "Gain of the logits": "5"}
    for label, value in extremes.items():
        page.get_by_label(label).fill(value)
    expect(layer_rows(page, "Activations")).to_have_count(8)
    button(page, "Take 1 step").click()
    expect(page.locator(".headline")).to_contain_text("after 1 step;")
    expect(verdict(page, "Loss")).to_contain_text("Blown up: the loss was")
    for panel in PANELS:
        assert not re.search(r"\d{6}|,\d{3},", verdict(page, panel).inner_text())


def test_lab_works_by_keyboard_alone(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.get_by_label("Hidden layers").focus()
    page.keyboard.press("ArrowRight")
    expect(layer_rows(page, "Activations")).to_have_count(6)
    norm = page.get_by_label("BatchNorm before each activation")
    norm.focus()
    page.keyboard.press("Space")
    expect(norm).to_be_checked()
    button(page, "Take 1 step").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".headline")).to_contain_text("after 1 step;")
