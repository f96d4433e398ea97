"""The learning-rate range test (Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3) as
pure numbers: which rates are tried, when it stops, and which rate the curve suggests.

A step is a function that somebody gives; networks, files and consoles are unknown here.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

# Share of the past in the running mean of the loss: it looks back over about ten batches.
MEMORY = 0.9
# The test is over where the loss is this many times the best one.
BLOWN_UP = 4.0
# A slope is taken over this many points to each side: one batch's noise is larger than one step's progress.
REACH = 6
MIN_POINTS = 2 * REACH + 1


class Point(NamedTuple):
    """One step: its learning rate, the running mean of the loss after it, and its own batch's loss."""

    rate: float
    loss: float
    batch_loss: float


class Suggestion(NamedTuple):
    """Two readings of the curve: the rate where the loss falls fastest, and a tenth of the rate of the lowest loss."""

    steepest: float
    tenth_of_lowest: float


def exponential_rates(low: float, high: float, steps: int) -> list[float]:
    """Return `steps` rates from `low` to `high`, each the same factor above the one before: low (high/low)^(i/(n-1)).

    Raises `ValueError` unless 0 < low < high and there are two steps or more.
    """
    if not (0 < low < high < math.inf and steps >= 2):
        raise ValueError(f"no rates lead from {low} to {high} in {steps} steps")
    ratio = math.log(high / low)
    return [low * math.exp(ratio * i / (steps - 1)) for i in range(steps)]


def range_test(learn: Callable[[float], float], rates: Sequence[float]) -> list[Point]:
    """Make a step at each rate and return the points; stop at a loss that is not finite or 4 times the best one.

    `learn` makes one step at a rate and returns its batch's loss. The running mean is corrected for its start at zero
    (Kingma & Ba 2015, section 3). The point that ends the test is left out if its loss is not finite.
    """
    points: list[Point] = []
    mean, best = 0.0, math.inf
    for i, rate in enumerate(rates, start=1):
        batch_loss = learn(rate)
        if not math.isfinite(batch_loss):
            break
        mean = MEMORY * mean + (1 - MEMORY) * batch_loss
        loss = mean / (1 - MEMORY**i)
        points.append(Point(rate, loss, batch_loss))
        if loss > BLOWN_UP * best:
            break
        best = min(best, loss)
    return points


def suggest(points: Sequence[Point]) -> Suggestion:
    """Return what the curve up to its lowest point suggests. Raises `ValueError` for a curve too short to read.

    The slope is that of the running mean over the logarithm of the rate, by central differences.
    """
    lowest = min(range(len(points)), key=lambda i: points[i].loss, default=0)
    middles = range(REACH, min(lowest, len(points) - 1 - REACH) + 1)
    if not middles:
        raise ValueError("the loss never fell for long enough")
    steepest = min(middles, key=lambda i: _slope(points[i - REACH], points[i + REACH]))
    return Suggestion(points[steepest].rate, points[lowest].rate / 10)


def _slope(before: Point, after: Point) -> float:
    return (after.loss - before.loss) / math.log(after.rate / before.rate)
