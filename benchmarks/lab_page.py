"""The delay from a changed setting to its effect on the lab's initialisation page, in headless Chromium.

    python -m benchmarks.lab_page [--changes 15]

The page measures itself: from the knob's event to after the frame that shows it. At one and at eight hidden layers, for
each knob: the median and the longest, in milliseconds. The goal is 200.
"""

import re
import shutil
import statistics

import click
from playwright.sync_api import Page, sync_playwright
from rich.progress import track
from rich.table import Table

from benchmarks.results import commit, console, this_machine
from tests.harness.service import served

GOAL = 200
DEEP, DEPTHS = "Hidden layers", ("1", "8")
# Each knob, and two settings between which it is turned.
KNOBS = {
    DEEP: DEPTHS,
    "Gain of the weights": ("0.8", "2.4"),
    "Gain of the logits": ("0.1", "3"),
    "Learning rate": ("-2", "0"),
    "Activation": ("relu", "tanh"),
    "BatchNorm before each activation": ("off", "on"),
}
WARM = 6
MEASURES = "performance.getEntriesByName('lab-change').map((entry) => entry.duration)"


@click.command(help=__doc__)
@click.option(
    "--changes", default=15, show_default=True, type=click.IntRange(1, 1000), help="How often a knob is turned."
)
def main(changes: int) -> None:
    """Change every setting, and print the delays that the page measured."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise click.ClickException("Chromium is not installed. Install it: make system-packages")
    screen = console()
    table = Table("knob", "hidden layers", "median, ms", "longest, ms", "within the goal", title_justify="left")
    table.title = f"from a turn of the knob to the frame that shows it (goal: {GOAL} ms)"
    with served() as service, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"http://127.0.0.1:{service.port}/lab")
        rows = [(depth, knob) for depth in DEPTHS for knob in KNOBS if (depth, knob) != (DEPTHS[1], DEEP)]
        for depth, knob in track(rows, "Turning", console=screen):
            taken = measure_changes(page, knob, depth, changes)
            median = statistics.median(taken)
            shown = " or ".join(DEPTHS) if knob == DEEP else depth
            table.add_row(knob, shown, f"{median:.0f}", f"{max(taken):.0f}", "yes" if median <= GOAL else "no")
        browser.close()
    screen.print(table)
    machine = this_machine()
    screen.print(f"{machine.processor}, {machine.cores} cores, commit {commit()}")


def measure_changes(page: Page, knob: str, depth: str, changes: int) -> list[float]:
    """Return the milliseconds of each change of a setting at a depth, without the first ones, which compile."""
    page.reload()
    change_setting(page, DEEP, depth)
    for i in range(WARM):
        change_setting(page, knob, KNOBS[knob][i % 2])
    page.evaluate("performance.clearMeasures()")
    for i in range(changes):
        change_setting(page, knob, KNOBS[knob][i % 2])
    found: list[float] = page.evaluate(MEASURES)
    return found


def change_setting(page: Page, knob: str, setting: str) -> None:
    """Set a knob, and wait until the page has measured it."""
    seen = len(page.evaluate(MEASURES))
    # Sliders have their value in their label.
    field = page.get_by_label(re.compile(f"^{knob}(:|$)"))
    if knob == "Activation":
        field.select_option(setting)
    elif knob.startswith("BatchNorm"):
        field.click()
    else:
        field.fill(setting)
    page.wait_for_function(f"seen => {MEASURES}.length > seen", arg=seen)


if __name__ == "__main__":
    main()
