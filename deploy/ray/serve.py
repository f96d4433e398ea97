"""Namewave under Ray Serve, for those who run Ray already: docs/deployment.md says when not to.

From the root of the project: serve run deploy.ray.serve:namewave
NAMEWAVE_WORKERS is the number of replicas. NAMEWAVE_HOST, NAMEWAVE_PORT and the deadlines of connections are Ray's.
"""

from ray import serve
from starlette.types import ASGIApp, Receive, Scope, Send

from app.main import create_app
from app.settings import load_settings


class WithState:
    """Gives requests the state of the lifespan, as ASGI servers do and Ray Serve does not (ray issue 45395)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.state = app, {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or the lifespan, which fills the state."""
        state = self.state if scope["type"] == "lifespan" else {**self.state}
        await self.app({**scope, "state": state}, receive, send)


def build() -> ASGIApp:
    """Return the application of one replica."""
    return WithState(create_app(load_settings()))


# The service refuses what it cannot do in time; with fewer requests at once Ray would let them wait without a bound.
namewave = serve.deployment(
    serve.ingress(build)(),
    name="namewave",
    num_replicas=load_settings().workers,
    max_ongoing_requests=1000,
    ray_actor_options={"num_cpus": 1},
).bind()
