"""Progress of what takes long, on a terminal or line by line, and stop requests by Ctrl-C."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta
from types import FrameType, TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from training.errors import Interrupted
from training.trainer import Step

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Within the block, the function it gives tells whether a stop was asked for. A second request ends at once.

    Outside the main thread no signal can be caught; then nothing is ever asked for.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def note(number: int, frame: FrameType | None) -> None:
        asked.set()
        signal.signal(number, signal.default_int_handler)

    try:
        for number in _SIGNALS:
            signal.signal(number, note)
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


Clock = Callable[[], float]

# Seconds between two lines where there is no terminal.
PAUSE = 5.0
# What the bar says in front of steps.
TRAINING = "training"
# The shown training loss is a running mean: a single batch says little.
MEMORY = 0.98


class LossMeter:
    """The running mean of the training loss and the last dev loss, as text."""

    def __init__(self) -> None:
        self._sum = self._weight = 0.0
        self._dev = "-"

    def add(self, step: Step) -> None:
        """Take in one step."""
        self._sum = MEMORY * self._sum + (1 - MEMORY) * step.loss
        self._weight = MEMORY * self._weight + (1 - MEMORY)
        if step.dev_loss is not None:
            self._dev = f"{step.dev_loss:.4f}"

    def __str__(self) -> str:
        loss = f"{self._sum / self._weight:.4f}" if self._weight else "-"
        return f"loss {loss}  dev {self._dev}"


class Bar(AbstractContextManager["Bar"]):
    """A bar on a terminal: step, losses, elapsed time, time left."""

    def __init__(self, console: Console) -> None:
        self._meter = LossMeter()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[losses]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._work = TRAINING
        self._task = self._progress.add_task(TRAINING, total=None, losses=str(self._meter))

    def show(self, step: Step) -> None:
        """Take in one step; the bar redraws itself in its own time."""
        self._meter.add(step)
        self._turn_to(TRAINING)
        self._progress.update(self._task, total=step.total, completed=step.step, losses=str(self._meter))

    def count(self, what: str, done: int, total: int) -> None:
        """Take in how far the work `what` is, which comes before the first step."""
        self._turn_to(what)
        self._progress.update(self._task, total=total, completed=done, losses="")

    def _turn_to(self, work: str) -> None:
        """Begin anew for another work: its time left has nothing to do with the speed of the one before."""
        if work != self._work:
            self._work = work
            self._progress.reset(self._task, description=work)

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


class Lines(AbstractContextManager["Lines"]):
    """A line every few seconds, for log files and pipes."""

    def __init__(self, console: Console, clock: Clock, pause: float = PAUSE) -> None:
        self._console, self._clock, self._pause = console, clock, pause
        self._meter = LossMeter()
        self._work, self._first = "", 0
        self._start = self._seen = self._last = clock()

    def show(self, step: Step) -> None:
        """Take in one step; print it if it is the last, or if the last line is long ago."""
        self._meter.add(step)
        self._line("step", step.step - 1, step.step, step.total, f"  {self._meter}")

    def count(self, what: str, done: int, total: int) -> None:
        """Take in how far the work `what` is, which comes before the first step; print it as a step."""
        self._line(what, done, done, total, "")

    def _line(self, work: str, before: int, done: int, total: int, rest: str) -> None:
        """Print that `done` of `total` are done. `before`: how many were, when it began, if it begins now."""
        now = self._clock()
        if work != self._work:
            self._work, self._first, self._start = work, before, self._seen if done > before else now
        self._seen = now
        if done == self._first or (now - self._last < self._pause and done < total):
            return
        self._last = now
        elapsed = now - self._start
        left = elapsed / (done - self._first) * (total - done)
        self._console.print(
            f"{work} {done}/{total}{rest}  elapsed {_clock_time(elapsed)}  left {_clock_time(left)}", highlight=False
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def progress_on(console: Console, clock: Clock) -> Bar | Lines:
    """Return the kind of progress that suits `console`."""
    return Bar(console) if console.is_terminal else Lines(console, clock)


def _clock_time(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


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
