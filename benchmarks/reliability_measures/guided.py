"""What a coverage-guided fuzzer calls: the decoder of requests and the parser of manifests. Both must read any bytes or
refuse them with an error that is foreseen.

    pip install atheris==3.0.0
    python -m benchmarks.reliability_measures.guided decoder -max_total_time=60
    python -m benchmarks.reliability_measures.guided manifest -max_total_time=60
"""

import inspect
import json
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from app import schemas
from app.web import strict_json
from models import config, manifest, vocabulary
from models.store.registry import SHIPPED
from tests.harness.fuzzing import decode_request, read_manifest
from tests.harness.raw_requests import BODIES, JSON_TOKENS

LARGEST = 16_384


TARGETS: dict[str, Callable[[bytes], None]] = {"decoder": decode_request, "manifest": read_manifest}


def main(arguments: list[str]) -> None:
    """Fuzz a target until stopped; the other arguments are libFuzzer's."""
    if len(arguments) < 2 or arguments[1] not in TARGETS:
        sys.exit(f"Give a target: {', '.join(TARGETS)}, and then libFuzzer's options, as -max_total_time=60.")
    target = TARGETS[arguments[1]]
    # Not among what the project needs: it has to be installed for this.
    atheris = import_module("atheris")
    with tempfile.TemporaryDirectory() as folder:
        corpus, words = Path(folder) / "corpus", Path(folder) / "words"
        corpus.mkdir()
        seeds = [json.dumps(body).encode() for _, body in BODIES]
        seeds += [path.read_bytes() for path in sorted(SHIPPED.rglob("manifest.json"))[:3]]
        for number, seed in enumerate(seeds):
            (corpus / str(number)).write_bytes(seed)
        escaped = ("".join(f"\\x{byte:02x}" for byte in token[:60]) for token in JSON_TOKENS)
        words.write_text("".join(f'"{text}"\n' for text in escaped))
        options = [f"-dict={words}", f"-max_len={LARGEST}", *arguments[2:], str(corpus)]
        for module in (strict_json, schemas, manifest, config, vocabulary):
            for _, function in inspect.getmembers(module, inspect.isfunction):
                atheris.instrument_func(function)
        atheris.Setup([arguments[0], *options], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
