"""Learning rates over time, as pure functions of how far a run is: 0 at its first step, towards 1 at its last.

Each returns a factor of the highest learning rate.
"""

import math
from collections.abc import Callable

WARM_UP = 0.1
FLOOR = 1e-3


def constant(progress: float) -> float:
    """Return 1, always."""
    return 1.0


def step_decay(progress: float) -> float:
    """Return 1 in the first half and 0.1 in the second, as in the lectures."""
    return 1.0 if progress < 0.5 else 0.1


def one_cycle(progress: float) -> float:
    """Rise straight to 1 in the first tenth, then fall along a cosine (Smith & Topin 2018, without the momentum)."""
    if progress < WARM_UP:
        return max(progress / WARM_UP, FLOOR)
    return max((1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2, FLOOR)


SCHEDULES: dict[str, Callable[[float], float]] = {"constant": constant, "step": step_decay, "one-cycle": one_cycle}
