"""Batched torch behind LitServe, with its own batching over requests: `setup`, `decode_request`, `predict`,
`encode_response`.
"""

from collections.abc import Sequence
from typing import Any

import click
import litserve

from app.schemas import GenerateRequest
from benchmarks.servers.network import TorchNames

# As many as the load generator has connections; a batch waits for its last request at most this long.
MAX_BATCH, WAIT_SECONDS = 16, 0.002


class NamesAPI(litserve.LitAPI):
    """Names for batches of requests."""

    def setup(self, device: str) -> None:
        """Load the network once a worker."""
        self.names = TorchNames()

    def decode_request(self, request: GenerateRequest) -> tuple[int, int]:
        """Return (count, seed)."""
        return request.count, request.seed or 0

    def batch(self, inputs: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the requests as `together` wants them."""
        return inputs

    def predict(self, asked: Sequence[tuple[int, int]]) -> list[list[str]]:
        """Draw for all requests of a batch."""
        return self.names.together(asked)

    def unbatch(self, output: list[list[str]]) -> list[list[str]]:
        """Return one list a request."""
        return output

    def encode_response(self, output: list[str]) -> dict[str, Any]:
        """Return the answer."""
        return {"names": output}


@click.command()
@click.option("--port", type=int, required=True)
def main(port: int) -> None:
    """Serve on 127.0.0.1, one worker, until a signal."""
    api = NamesAPI(max_batch_size=MAX_BATCH, batch_timeout=WAIT_SECONDS, api_path="/generate")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=False)
    server.run(
        host="127.0.0.1",
        port=port,
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )


if __name__ == "__main__":
    main()
