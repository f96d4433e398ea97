"""The servers that are compared over HTTP: how to start each, and its requests.

`benchmarks.servers` has their code.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PLAIN = '{"dataset":"human","model":"wavenet","count":COUNT,"seed":SEED}'
DEFAULT = '{"count":COUNT,"seed":SEED}'
RANDOM = '{"count":COUNT,"seed":SEED,"temperature":TEMPERATURE}'
LISTED = '{"requests":[{"count":COUNT,"seed":SEED}]}'


@dataclass(frozen=True)
class Rival:
    """A row of the first table. `needs`: a package of requirements/benchmarks.txt; `fixed`: the names never change."""

    row: str
    title: str
    command: str
    body: str = PLAIN
    needs: str = ""
    fixed: bool = False

    def arguments(self, python: str, port: int) -> list[str]:
        """Return the command line for `port`."""
        return [python, "-m", *self.command.split(), "--port", str(port)]

    def example(self, count: int, seed: int = 1) -> bytes:
        """Return a request for `count` names."""
        return self.asked(count).replace("SEED", str(seed)).replace("TEMPERATURE", "0.9").encode()

    def asked(self, count: int) -> str:
        """Return the body of a request for `count` names, with SEED and maybe TEMPERATURE in it (see `wrk`)."""
        return self.body.replace("COUNT", str(count))


RIVALS = {
    rival.row: rival
    for rival in (
        Rival("asgi", "floor: raw ASGI, constant bytes", "benchmarks.servers.asgi_floor", fixed=True),
        Rival("starlette", "floor: Starlette, constant names", "benchmarks.servers.starlette_floor", fixed=True),
        Rival("floor", "floor: FastAPI, constant names", "benchmarks.servers.floor", fixed=True),
        Rival("same-app", "this service, constant names", "benchmarks.servers.same_app serve", fixed=True),
        Rival("namewave", "this service, human/wavenet", "app serve"),
        Rival("namewave-default", "this service, the default model", "app serve", DEFAULT),
        Rival("namewave-random", "the same, random temperatures", "app serve", RANDOM),
        Rival("lecture", "the lectures' loop in FastAPI", "benchmarks.servers.lecture"),
        Rival("batched", "batched torch in FastAPI", "benchmarks.servers.batched"),
        Rival("litserve", "batched torch in LitServe", "benchmarks.servers.with_litserve", needs="litserve"),
        Rival(
            "bentoml",
            "batched torch in BentoML",
            "bentoml serve benchmarks.servers.with_bentoml:NamesService --host 127.0.0.1",
            LISTED,
            needs="bentoml",
        ),
    )
}
# Disable the telemetry of BentoML, and keep its files in the temporary folder.
QUIET = {"BENTOML_DO_NOT_TRACK": "1"}


def interpreter(rival: Rival, others: Path | None) -> str:
    """Return the Python that runs `rival`: `others` if it needs extra packages."""
    return str(others) if rival.needs and others else sys.executable


def lacks(rival: Rival, python: str) -> str | None:
    """Return why `rival` cannot run with `python`, or None."""
    if not rival.needs:
        return None
    try:
        found = subprocess.run([python, "-c", f"import {rival.needs}"], capture_output=True, check=False)
    except OSError as error:
        return f"{python} cannot be run: {error.strerror}"
    return f"{rival.needs} is not installed (requirements/benchmarks.txt)" if found.returncode else None
