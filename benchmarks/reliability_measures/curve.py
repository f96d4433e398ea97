"""The plot of an overload: goodput and latency over the offered load."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

INK, GOOD, BAD, PALE = "#222222", "#1b6ca8", "#c8553d", "#b8b8b8"


def draw_curve(steps: Sequence[Mapping[str, float]], capacity: float, path: Path) -> None:
    """Draw goodput and latencies over the load, of steps with the fields of `overload.Step`, as PNG."""
    rising = sorted(steps[:-1], key=lambda step: step["factor"])
    last = steps[-1]
    x = [step["factor"] for step in rising]
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot(x, [min(f, 1.0) * 100 for f in x], color=PALE, linestyle="--", label="ideal")
    above.plot(x, [step["goodput"] / capacity * 100 for step in rising], color=GOOD, marker="o", label="names answered")
    above.plot(x, [step["refused"] * 100 for step in rising], color=BAD, marker="s", label="requests refused")
    above.plot([last["factor"]], [last["goodput"] / capacity * 100], color=GOOD, marker="D", markerfacecolor="white",
               linestyle="", label="afterwards, at half load")  # fmt: skip
    above.set_ylabel("% of capacity; % of requests")
    above.set_ylim(0, 120)
    above.set_title("Asked for up to ten times what can be done", loc="left", color=INK)
    for key, label, color, marker in (
        ("p99", "accepted, 99 %", GOOD, "o"),
        ("p50", "accepted, half", PALE, "o"),
        ("health_p99", "health, 99 %", INK, "^"),
        ("refusal_p99", "refusals, 99 %", BAD, "s"),
    ):
        points = [(step["factor"], step[key]) for step in rising if step[key] > 0]
        below.plot(*zip(*points, strict=True), color=color, marker=marker, label=label)
    below.set_yscale("log")
    below.set_xscale("log")
    below.set_xticks(x, [f"{f:g}x" for f in x], minor=False)
    below.minorticks_off()
    below.set_xlabel("load, in capacities")
    below.set_ylabel("milliseconds from when it was due")
    for axes in (above, below):
        axes.grid(True, which="major", color="#eeeeee")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
