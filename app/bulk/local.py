"""The engine of one machine: processes that make parts until all are there."""

import signal
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context

from app.bulk.job import Drawer, Enumerator, Job
from app.bulk.output import Output, Receipt
from app.settings import Settings
from models import StoreError
from models.bulk import Part, Span

# Parts that wait for each process: enough that none is idle.
WAITING = 2
_maker: Drawer | Enumerator
_output: Output


def make_locally(
    job: Job, parts: Iterator[Part | Span], output: Output, settings: Settings, processes: int
) -> Iterator[Receipt]:
    """Make the parts in `processes` processes, and yield the receipt of each as it is written.

    Parts that are written stay if the caller stops. Raises `StoreError` if one cannot be written or a process dies.
    """
    with ProcessPoolExecutor(processes, get_context("spawn"), _open, (settings, job, output)) as pool:
        try:
            running: set[Future[Receipt]] = {pool.submit(_make, part) for part in islice(parts, WAITING * processes)}
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(_make, part) for part in islice(parts, len(done))}
                yield from (future.result() for future in done)
        except BrokenProcessPool:
            raise StoreError(
                "A process ended before its part was written; the same command goes on from here."
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _open(settings: Settings, job: Job, output: Output) -> None:
    """Prepare a process."""
    global _maker, _output
    # Ctrl-C is the parent's: a process ends when its part is written.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _maker, _output = job.open(settings), output


def _make(part: Part | Span) -> Receipt:
    return _output.put(part, *_maker.part(part))  # type: ignore[arg-type]
