"""Clients that go away: their work ends with them."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
from starlette.types import Receive

Result = TypeVar("Result")


async def unless_gone(
    receive: Receive, work: Callable[[], Awaitable[Result]], leave: Callable[[], None] = lambda: None
) -> Result | None:
    """Return what `work` gives. Where the client goes away before that, call `leave`, cancel the work, return None.

    Errors of `work` are raised as they are, not in a group. The request's body must have been read.
    """
    result: Result | None = None
    failure: Exception | None = None

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        leave()
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        try:
            result = await work()
        except Exception as error:
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return result
