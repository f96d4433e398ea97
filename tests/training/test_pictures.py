"""The loss plot and the smoothing behind it."""

import pytest

from training.history import History, smoothed
from training.plots import loss_plot


def test_smoothing_keeps_the_mean_and_the_order() -> None:
    """Means over neighbours: few points, in order, and weighted by width they still average to the whole."""
    losses = [3.0 - i / 1000 for i in range(1000)]
    steps, means = smoothed(losses, points=200)
    assert len(steps) == len(means) == 200
    assert steps[0] == 3.0  # the middle of steps 1 to 5
    assert sum(means) / 200 == pytest.approx(sum(losses) / 1000)
    assert means == sorted(means, reverse=True)


def test_a_short_run_is_not_smoothed() -> None:
    """With fewer steps than points every step is shown."""
    assert smoothed([3.0, 2.0, 1.0]) == ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0])


@pytest.mark.parametrize("dev", [[], [(2, 2.4), (4, 2.1)]])
def test_the_plot_is_a_picture_and_repeats_itself(dev: list[tuple[int, float]]) -> None:
    """The same history gives the same PNG, with and without dev losses; without steps there is none."""
    history = History([3.3, 2.8, 2.5, 2.2], dev)
    picture = loss_plot(history, "elves/wavenet", best_step=4)
    assert picture.startswith(b"\x89PNG\r\n")
    assert len(picture) > 5000
    assert loss_plot(history, "elves/wavenet", best_step=4) == picture
    with pytest.raises(ValueError, match="no plot"):
        loss_plot(History(), "elves/wavenet", best_step=0)
