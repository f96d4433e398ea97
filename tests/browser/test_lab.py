"""The lab's pages in a real browser, over the real service: what one turns, and what one sees."""

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, Response, expect

OpenPage = Callable[..., Page]
Look = Callable[[Page, str], None]
STATIC = Path(__file__).parents[2] / "app/static/lab"
CODE = (".js", ".css", ".html")


@pytest.fixture(scope="module", autouse=True)
def patient() -> Iterator[None]:
    """Wait longer for what must come: on a busy machine a page that computes takes its time."""
    expect.set_options(timeout=20_000)
    yield
    expect.set_options(timeout=5_000)


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


def loss(page: Page) -> float:
    """The loss that is shown."""
    return float(page.locator(".headline strong").inner_text())


def attempt(page: Page, name: str) -> None:
    """Choose an experiment, and wait until it is there."""
    page.get_by_role("button", name=name, exact=True).click()
    expect(page.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-pressed", "true")


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


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("path", ["start", "wavenet"])
def test_every_page_is_accessible(open_page: OpenPage, look: Look, path: str, width: int, dark: bool) -> None:
    """axe finds no violation, and nothing is wider than the screen, on a phone and a desk, in light and dark."""
    page = open_page(f"/lab#/{path}", width=width, height=780, dark=dark)
    expect(page.locator(f"#{path} .panel svg").last).to_be_visible()
    if path == "start":
        attempt(page, "Dead tanh")
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    look(page, f"lab-{path}-{width}-{'dark' if dark else 'light'}")


MOVING = """[...document.querySelectorAll("*")].map((element) => getComputedStyle(element)).filter(
  (style) => style.animationName !== "none" || parseFloat(style.transitionDuration) > 0).length"""


def test_nothing_moves_where_motion_is_unwanted(open_page: OpenPage) -> None:
    """With prefers-reduced-motion nothing is animated."""
    page = open_page("/lab#/wavenet", reduced_motion="reduce")
    expect(page.locator(".tree[data-name=marnabe]")).to_be_visible()
    assert page.evaluate(MOVING) == 0


def test_the_playground_leads_here_and_back(open_page: OpenPage) -> None:
    """From the playground to the lab, through its pages, and back; each has its title, an unknown one is the first."""
    page = open_page("/")
    page.get_by_role("link", name="Lab").click()
    expect(page).to_have_title("Initialisation · Namewave lab")
    page.get_by_role("link", name="WaveNet").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("How WaveNet sees")
    expect(page).to_have_title("WaveNet · Namewave lab")
    page.get_by_role("link", name="Graph").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.evaluate("location.hash = '#/nothing'")
    expect(page.get_by_role("heading", level=1)).to_have_text("Initialisation and normalisation")
    page.get_by_role("link", name="Playground").click()
    expect(page.get_by_role("button", name="Draw again")).to_be_visible()


@pytest.mark.parametrize("path", ["start", "graph", "wavenet"])
def test_each_page_is_small(open_page: OpenPage, address: str, path: str) -> None:
    """A page fetches less than 60 kB of our own code, what it shares with the playground included."""
    page = open_page("/health/live")
    sizes: dict[str, int] = {}

    def note(response: Response) -> None:
        if response.url.split("#")[0].endswith((*CODE, "/lab")):
            sizes[response.url] = len(response.body())

    page.on("response", note)
    page.goto(f"{address}/lab#/{path}")
    expect(page.locator(f"#{path} h1")).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert f"{address}/lab/page/{path}.js" in sizes
    assert f"{address}/playground/style.css" in sizes
    assert sum(sizes.values()) < 60_000


def test_the_labs_code_is_small() -> None:
    """Its page, modules and styles are under 80 kB in all."""
    assert 0 < sum(path.stat().st_size for path in STATIC.iterdir() if path.suffix in CODE) < 80_000
