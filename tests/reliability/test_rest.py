"""Row 13: when an event loop that only refuses leaves the processor to the threads that draw."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from app.load.rest import Rest

pytestmark = pytest.mark.anyio
# Longer than any test may take.
VERY_LONG = 60.0


@pytest.fixture
def anyio_backend() -> str:
    """uvicorn's loop."""
    return "asyncio"


class Watched(Rest):
    """A rest that counts how often it was taken."""

    taken = 0

    def __init__(self, threads: int, longest: float) -> None:
        super().__init__(threads, longest)
        real = self._changed.wait

        def wait(timeout: float | None = None) -> bool:
            self.taken += 1
            return real(timeout)

        self._changed.wait = wait  # type: ignore[method-assign]


async def turns(number: int = 6) -> None:
    """Let the loop turn a few times."""
    for _ in range(number):
        await asyncio.sleep(0)


def draw(rest: Rest, until: Callable[[], object]) -> threading.Thread:
    """A thread that draws, and has begun."""
    begun = threading.Event()

    def work() -> None:
        with rest.drawing():
            begun.set()
            until()

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(VERY_LONG)
    return thread


async def test_row_13_the_loop_rests_until_a_thread_has_drawn() -> None:
    """Of however many wishes comes one rest, which ends as soon as a thread has something for the loop."""
    rest, drawn = Watched(1, VERY_LONG), threading.Event()
    thread = draw(rest, lambda: drawn.wait(VERY_LONG))
    for _ in range(5):
        rest.soon()
    assert rest.taken == 0
    threading.Timer(0.05, drawn.set).start()
    began = asyncio.get_running_loop().time()
    await turns()
    assert rest.taken == 1
    assert asyncio.get_running_loop().time() - began < VERY_LONG / 2
    thread.join()


async def test_row_13_no_rest_is_longer_than_it_may_be() -> None:
    """A thread that draws on does not keep the loop; a later wish is another rest."""
    rest, drawn = Watched(1, 0.001), threading.Event()
    thread = draw(rest, lambda: drawn.wait(VERY_LONG))
    for number in (1, 2):
        rest.soon()
        await turns()
        assert rest.taken == number
    drawn.set()
    thread.join()


@pytest.mark.parametrize("threads", [1, 2])
async def test_row_13_the_loop_rests_only_while_it_has_nothing_to_give(threads: int) -> None:
    """While a thread waits for work, the loop does not rest: it may be just about to give some."""
    rest, drawn = Watched(threads, VERY_LONG), threading.Event()
    drawing = [draw(rest, lambda: drawn.wait(VERY_LONG)) for _ in range(threads - 1)]
    rest.soon()
    await turns()
    assert rest.taken == 0
    drawn.set()
    for thread in drawing:
        thread.join()


async def test_row_13_what_came_with_a_refusal_begins_before_the_rest() -> None:
    """A task that was made in the same turn of the loop has begun when the loop rests."""
    rest, drawn = Watched(1, 0.001), threading.Event()
    thread = draw(rest, lambda: drawn.wait(VERY_LONG))
    taken: list[int] = []

    async def answer() -> None:
        taken.append(rest.taken)

    rest.soon()
    task = asyncio.create_task(answer())
    await turns()
    await task
    assert taken == [0]
    assert rest.taken == 1
    drawn.set()
    thread.join()
