"""Several runs one after the other, shown and stopped as one. What is run and what becomes of it is the caller's."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console

from training.errors import Interrupted
from training.interruption import stop_requests
from training.progress import progress_on
from training.trainer import Step


class Relay:
    """Takes the steps of `runs` runs of equal length, and shows each as a step of the whole."""

    def __init__(self, show: Callable[[Step], None], is_stopped: Callable[[], bool], runs: int) -> None:
        self._show, self._is_stopped, self._runs = show, is_stopped, runs
        self._before = 0

    def __call__(self, step: Step) -> None:
        """Show one step. Raises `Interrupted` after a stop request, unless it was the last step of all."""
        done, whole = self._before + step.step, self._runs * step.total
        self._show(replace(step, step=done, total=whole))
        if step.step == step.total:
            self._before = done
        if self._is_stopped() and done < whole:
            raise Interrupted(f"Stopped after step {done:,} of {whole:,}; nothing was written.")


@contextmanager
def relay_on(console: Console, runs: int) -> Iterator[Relay]:
    """Within the block, steps are shown on `console`, and Ctrl-C is a polite request."""
    with stop_requests() as is_stopped, progress_on(console, time.monotonic) as progress:
        yield Relay(progress.show, is_stopped, runs)
