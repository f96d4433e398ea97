"""The second table: the sampling rate of one version on one core, and the peak multiply-add rate of the core.

This runs in its own process, without HTTP.

    python -m benchmarks.measures.core human/wavenet@1 --seconds 2      (prints one line of JSON)
"""

import json
import time
from typing import Any

import click
import numba
import numpy as np

from models import ModelRegistry, NameGenerator, prepare
from models.config import ModelConfig
from models.inference import AS_DRAWN, TEXT, NameStream, PrefixMemory

# Names per call: enough that the cost of the call itself is negligible.
CALL = 65_536
MEMORY_MIB = 64
# A prefix cache is warm after this multiple of the measured seconds.
WARMING = 4
# A chain of products and sums on each of LANES numbers: short enough that many run in parallel, long enough that loads
# and stores are negligible.
LANES, DEPTH = 1024, 16


def draw(generator: NameGenerator, count: int, offset: int, memory: PrefixMemory | None) -> int:
    """Draw `count` names as lines from candidate `offset` of seed 1, duplicates included; return the next offset."""
    stream = NameStream(generator.prepare(constraints=AS_DRAWN), count, seed=1, offset=offset)
    write = generator.writer(TEXT, True)
    while not stream.finished:
        stream.next_bytes(write, memory)
    return stream.next_offset


def rate(generator: NameGenerator, memory: PrefixMemory | None, offset: int, seconds: float) -> tuple[float, int]:
    """Return names per second of processor time, drawn for `seconds` from `offset`, and the next offset."""
    began, names = time.process_time(), 0
    while (spent := time.process_time() - began) < seconds or not names:
        offset = draw(generator, CALL, offset, memory)
        names += CALL
    return names / spent, offset


def products(config: ModelConfig, vocab_size: int) -> int:
    """Return the multiply-adds of one position, with first layers as tables and without a prefix cache."""
    C, H, V, depth = config.n_embd, config.n_hidden, vocab_size, len(config.fans)
    if config.architecture == "bigram":
        return 0
    if config.architecture == "lstm":
        return H * 4 * H + (config.n_layers - 1) * 2 * H * 4 * H + H * V
    if config.architecture == "gated_wavenet":
        return depth * 2 * C * 2 * H + (depth - 1) * H * C + depth * H * H + H * H + H * V
    return sum(fan * H * H for fan in config.fans[1:]) + H * V


def _chains(a: Any, b: Any, x: Any, times: int) -> None:
    for _ in range(times):
        for k in range(LANES):
            value = x[k]
            for _ in range(DEPTH):
                value = value * a[k] + b[k]
            x[k] = value


def peak(seconds: float = 0.5) -> float:
    """Return the float32 multiply-adds per second of this core, each rounded twice (not fused, no fastmath).

    It computes LANES x DEPTH products and sums, vectorised over the lanes.
    """
    chains = numba.njit("void(float32[::1], float32[::1], float32[::1], int64)", nogil=True)(_chains)
    a, b = np.full(LANES, 0.5, np.float32), np.full(LANES, 1.0, np.float32)
    x = np.arange(LANES, dtype=np.float32)
    best, times, stop = 0.0, 2000, time.perf_counter() + seconds
    while time.perf_counter() < stop:
        began = time.perf_counter()
        chains(a, b, x, times)
        best = max(best, LANES * DEPTH * times / (time.perf_counter() - began))
    return best


def measure(reference: str, seconds: float) -> dict[str, float | int | str]:
    """Return one version's figures."""
    version = ModelRegistry.open(prepare()).resolve(None, reference)
    generator = version.generator
    began = time.perf_counter()
    generator.generate(20, seed=1)
    first = time.perf_counter() - began
    off, _ = rate(generator, None, 0, seconds)
    sample = generator.generate(20_000, seed=1, constraints=AS_DRAWN).names
    positions = sum(map(len, sample)) / len(sample)  # the first position is the same for all
    memory = PrefixMemory(MEMORY_MIB)
    cold, offset = rate(generator, memory, 0, 0.0)
    _, offset = rate(generator, memory, offset, WARMING * seconds)
    warm, _ = rate(generator, memory, offset, seconds)
    return {
        "off": round(off),
        "cold": round(cold),
        "warm": round(warm),
        "first_ms": round(first * 1e3, 3),
        "call_20_us": round(_call_of_20(generator, None) * 1e6, 1),
        "warm_call_20_us": round(_call_of_20(generator, memory) * 1e6, 1),
        "products": round(products(version.manifest.config, generator.vocab_size) * positions),
        "parameters": version.manifest.parameters,
    }


def _call_of_20(generator: NameGenerator, memory: PrefixMemory | None) -> float:
    """Return the processor seconds of a call for 20 names that were not drawn before."""
    times, began = 200, time.process_time()
    for i in range(times):
        generator.generate(20, seed=10**9, offset=1000 * i, memory=memory)
    return (time.process_time() - began) / times


@click.command()
@click.argument("reference", required=False)
@click.option("--seconds", default=2.0, show_default=True)
def main(reference: str | None, seconds: float) -> None:
    """Print the figures of REFERENCE as JSON, or those of the core without a reference."""
    if reference is None:
        click.echo(json.dumps({"peak": peak()}))
    else:
        click.echo(json.dumps(measure(reference, seconds)))


if __name__ == "__main__":
    main()
