"""The picture of the temperature: the next character at three of them, and names over all of them. Drawn only."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from training.inside.pictures import COLOURS
from training.lessons.sheet import dress, new_sheet, png, tell
from training.lessons.temperatures import Expectation, TemperatureSample
from training.plots import DEV, INK, TRAIN

# Bars side by side for each character, and how much room they leave.
ROOM = 0.8


def temperatures_plot(prefix: str, expectations: Sequence[Expectation], samples: Sequence[TemperatureSample]) -> bytes:
    """Return a PNG: above the next characters after `prefix`, below what becomes of names."""
    figure = new_sheet(9.0, 6.4)
    grid = figure.add_gridspec(2, 2)
    _draw_next(figure.add_subplot(grid[0, :]), prefix, expectations)
    _draw_shares(figure.add_subplot(grid[1, 0]), samples)
    _draw_log_probs(figure.add_subplot(grid[1, 1]), samples)
    return png(figure)


def _draw_next(axes: Axes, prefix: str, expectations: Sequence[Expectation]) -> None:
    symbols = list(expectations[0].probabilities)
    width = ROOM / len(expectations)
    for i, (colour, one) in enumerate(zip(COLOURS, expectations, strict=False)):
        places = [k + (i - (len(expectations) - 1) / 2) * width for k in range(len(symbols))]
        label = f"temperature {one.temperature:g}, entropy {one.entropy:.2f}"
        axes.bar(places, [one.probabilities[s] for s in symbols], width, color=colour, label=label)
    axes.set_xticks(range(len(symbols)), symbols)
    axes.set_xlim(-0.6, len(symbols) - 0.4)
    title = f'What may follow "{prefix}"' if prefix else "How a name may begin"
    dress(axes, title, "next character (. is the end)", "probability")
    tell(axes, "upper right")


def _draw_shares(axes: Axes, samples: Sequence[TemperatureSample]) -> None:
    temperatures = [one.temperature for one in samples]
    lines = (
        ("not in the list", TRAIN, [one.new for one in samples]),
        ("drawn before", DEV, [one.repeated for one in samples]),
        ("too long", INK, [one.too_long for one in samples]),
    )
    for label, colour, shares in lines:
        axes.plot(temperatures, shares, "o-", color=colour, linewidth=1.5, markersize=4, label=label)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    dress(axes, "Names at each temperature", "temperature", "share")
    tell(axes)


def _draw_log_probs(axes: Axes, samples: Sequence[TemperatureSample]) -> None:
    temperatures, log_probs = [one.temperature for one in samples], [one.log_prob for one in samples]
    axes.plot(temperatures, log_probs, "o-", color=TRAIN, linewidth=1.5, markersize=4)
    dress(axes, "How likely the model finds its own names", "temperature", "log-probability of a character")
