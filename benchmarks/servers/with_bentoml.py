"""Batched torch behind BentoML, with its own adaptive batching over requests. Its own command line starts it:
`python -m bentoml serve benchmarks.servers.with_bentoml:NamesService`.
"""

import bentoml
from pydantic import BaseModel

from app.schemas import GenerateRequest
from benchmarks.servers.network import TorchNames

# As many as the load generator has connections; later than this a request is refused, which shows as an error.
MAX_BATCH, PATIENCE_MS = 16, 60_000


class Names(BaseModel):
    """One request's names."""

    names: list[str]


@bentoml.service(
    workers=1, traffic={"timeout": 120}, metrics={"enabled": False}, logging={"access": {"enabled": False}}
)
class NamesService:
    """Names for batches of requests."""

    def __init__(self) -> None:
        self.names = TorchNames()

    @bentoml.api(route="/generate", batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=PATIENCE_MS)
    def generate(self, requests: list[GenerateRequest]) -> list[Names]:
        """Draw for all requests of a batch."""
        drawn = self.names.together([(request.count, request.seed or 0) for request in requests])
        return [Names(names=names) for names in drawn]
