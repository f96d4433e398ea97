"""How far a run is, for whoever waits: a bar on a terminal, a line every few seconds elsewhere.

Nothing is decided here. The clock is an argument: a function that returns seconds.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from training.trainer import Step

Clock = Callable[[], float]

# Seconds between two lines where there is no terminal.
PAUSE = 5.0
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
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[losses]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("training", total=None, losses=str(self._meter))

    def show(self, step: Step) -> None:
        """Take in one step; the bar redraws itself in its own time."""
        self._meter.add(step)
        self._progress.update(self._task, total=step.total, completed=step.step, losses=str(self._meter))

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
        self._start = self._last = clock()
        self._first: int | None = None

    def show(self, step: Step) -> None:
        """Take in one step; print it if it is the last, or if the last line is long ago."""
        self._meter.add(step)
        self._first = step.step - 1 if self._first is None else self._first
        now = self._clock()
        if now - self._last < self._pause and step.step < step.total:
            return
        self._last = now
        elapsed = now - self._start
        left = elapsed / (step.step - self._first) * (step.total - step.step)
        self._console.print(
            f"step {step.step}/{step.total}  {self._meter}  elapsed {_clock_time(elapsed)}  left {_clock_time(left)}",
            highlight=False,
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
