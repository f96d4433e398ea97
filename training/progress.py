"""Progress bars and lines for long work, and stop requests by Ctrl-C."""

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
    """Yield a function that returns whether a stop was requested. A second request stops at once.

    Outside the main thread no signal can be caught, and the function returns False.
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

# Seconds between two lines if there is no terminal.
PAUSE = 5.0
# Description of training steps in the bar.
TRAINING = "training"
# Decay of the shown training loss, a running mean: a single batch says little.
MEMORY = 0.98


class LossMeter:
    """The running mean of the training loss and the last dev loss, as text."""

    def __init__(self) -> None:
        self._sum = self._weight = 0.0
        self._dev = "-"

    def add(self, step: Step) -> None:
        """Update the means with one step."""
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
        """Show one step; the bar redraws itself periodically."""
        self._meter.add(step)
        self._turn_to(TRAINING)
        self._progress.update(self._task, total=step.total, completed=step.step, losses=str(self._meter))

    def count(self, what: str, done: int, total: int) -> None:
        """Show the progress of the work `what` that precedes the first step."""
        self._turn_to(what)
        self._progress.update(self._task, total=total, completed=done, losses="")

    def _turn_to(self, work: str) -> None:
        """Reset the bar for other work, whose time left does not depend on the previous speed."""
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
        """Record one step; print it if it is the last one or the last line is `pause` seconds old."""
        self._meter.add(step)
        self._line("step", step.step - 1, step.step, step.total, f"  {self._meter}")

    def count(self, what: str, done: int, total: int) -> None:
        """Record the progress of the work `what` that precedes the first step; print it like a step."""
        self._line(what, done, done, total, "")

    def _line(self, work: str, before: int, done: int, total: int, rest: str) -> None:
        """Print that `done` of `total` are done. `before`: how many were done at the start of new work."""
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
    """Return a bar for a terminal, lines otherwise."""
    return Bar(console) if console.is_terminal else Lines(console, clock)


def _clock_time(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


class MultiRunProgress:
    """Shows the steps of `runs` runs of equal length as the steps of one run."""

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
def multi_run_progress(console: Console, runs: int) -> Iterator[MultiRunProgress]:
    """Yield a callback that shows the steps of `runs` runs on `console`; Ctrl-C stops between steps."""
    with stop_requests() as is_stopped, progress_on(console, time.monotonic) as progress:
        yield MultiRunProgress(progress.show, is_stopped, runs)
