"""This very service, its middleware, limits and logs on, whose generators draw nothing: what the app itself costs.

Run as `python -m benchmarks.servers.same_app serve --port N`: the service's own command line starts it.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from fastapi import FastAPI

from app import main as service
from benchmarks.servers.constant import ConstantGenerator


def constant_app(create: Callable[..., FastAPI], *args: Any, **kwargs: Any) -> FastAPI:
    """Return the service with every version's generator replaced once its registry stands."""
    app = create(*args, **kwargs)
    lifespan = app.router.lifespan_context

    @asynccontextmanager
    async def replaced(app: FastAPI) -> AsyncIterator[Any]:
        async with lifespan(app) as state:
            for version in state["service"].registry.versions():  # type: ignore[index]
                # A version is frozen on purpose; this is the one place that wants another.
                object.__setattr__(version, "generator", ConstantGenerator(version.generator))
            yield state

    app.router.lifespan_context = replaced
    return app


def main() -> None:
    """Run the service's command line with the changed factory in the place of its own."""
    create = service.create_app

    def changed(*args: Any, **kwargs: Any) -> FastAPI:
        return constant_app(create, *args, **kwargs)

    # The package has a command of the same name as the module.
    cli = import_module("app.cli.main")
    for module in (service, cli):
        module.__dict__["create_app"] = changed
    cli.main()


if __name__ == "__main__":
    main()
