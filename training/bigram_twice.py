"""What there is to see when a bigram is found twice: where the two ways meet, and what smoothing and L2 do to both
losses. The arithmetic is `bigram`'s; tables are `bigram_command`'s.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from training.bigram import descend, log_probabilities, loss_of

# Side by side, from nothing at all to almost even guesses.
SMOOTHINGS = (0.0, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0)
PENALTIES = (0.0, 0.0001, 0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
# Where both ways are walked to the same place.
MEETINGS = (0.0, 0.1, 1.0, 10.0)
# Somebody who is told how many steps are made, and of how many.
Told = Callable[[int, int], None]
# Weights moved between two tellings.
PAUSE = 100_000


@dataclass(frozen=True)
class Losses:
    """What a table of probabilities costs on the train and on the dev names, in nats a character."""

    train: float
    dev: float


@dataclass(frozen=True)
class FitComparison:
    """One smoothing, by counting and by descending the loss on the same smoothed counts. `apart`: the largest
    difference of a probability; `steps`: how many were made.
    """

    smoothing: float
    counted: Losses
    descended: Losses
    apart: float
    steps: int


@dataclass(frozen=True)
class Twice:
    """The whole comparison. `smoothed` and `penalised`: the losses for each of `SMOOTHINGS` and of `PENALTIES`. `W`
    (V, V): the weights without either.
    """

    fits: tuple[FitComparison, ...]
    smoothed: tuple[Losses, ...]
    penalised: tuple[Losses, ...]
    W: Tensor


def compare(train: Tensor, dev: Tensor, steps: int, tell: Told) -> Twice:
    """Walk both ways over the counts (V, V) of the train names, at most `steps` steps each time; float64.

    `tell` may raise to stop. Raises `ValueError` where a list is empty.
    """
    pause = max(1, PAUSE // train.numel())
    total = steps * (len(MEETINGS) + len(PENALTIES) - 1)
    walks = 0

    def walk(N: Tensor, l2: float) -> tuple[Tensor, int]:
        nonlocal walks
        for step, W in descend(N, l2, steps):  # noqa: B007 (the last ones are what counts)
            if step % pause == 0:
                tell(walks * steps + step, total)
        walks += 1
        tell(walks * steps, total)
        return W, step

    def costs(log_probs: Tensor) -> Losses:
        return Losses(loss_of(log_probs, train), loss_of(log_probs, dev))

    def meet(smoothing: float) -> tuple[FitComparison, Tensor]:
        counted = log_probabilities(train, smoothing)
        W, made = walk(train + smoothing, 0.0)
        found = W.log_softmax(1)
        apart = float((counted.exp() - found.exp()).abs().max())
        return FitComparison(smoothing, costs(counted), costs(found), apart, made), W

    fits = [meet(smoothing) for smoothing in MEETINGS]
    penalised = [costs(walk(train, l2)[0].log_softmax(1)) for l2 in PENALTIES[1:]]
    return Twice(
        fits=tuple(fit for fit, _ in fits),
        smoothed=tuple(costs(log_probabilities(train, smoothing)) for smoothing in SMOOTHINGS),
        # No penalty is no smoothing, and that walk was made already.
        penalised=(fits[0][0].descended, *penalised),
        W=fits[0][1],
    )
