"""The second table: the sampling rate of one version on one core, and the multiply-add rate of the product kernels.

This runs in its own process, without HTTP.

    python -m benchmarks.measures.core human/wavenet@1 --seconds 2      (prints one line of JSON)
"""

import json
import statistics
import time
from collections.abc import Callable

import click
import numba
import numpy as np

from models import ModelRegistry, NameGenerator, prepare
from models.config import ModelConfig
from models.inference import AS_DRAWN, JSON_LIST, TEXT, NameStream, PrefixMemory
from models.kernel.int8 import matmul as int8_matmul
from models.kernel.int8.matmul import in_pairs
from models.kernel.int8.model import has_integers
from models.kernel.matmul import in_runs

# Names per call: enough that the cost of the call itself is negligible.
CALL = 65_536
MEMORY_MIB = 64
# Sizes of the prefix cache in MiB that are compared.
MEMORIES = (0, 8, 32, 64, 128, 256)
# A prefix cache is warm after this multiple of the measured seconds.
WARMING = 4
# Rows and inputs of the products that measure the core; outputs are four times as many, as in an lstm.
ROWS, WIDTH = 60, 128


def draw(generator: NameGenerator, count: int, offset: int, memory: PrefixMemory | None) -> int:
    """Draw `count` names as lines from candidate `offset` of seed 1, duplicates included; return the next offset."""
    stream = NameStream(generator.prepare(constraints=AS_DRAWN), count, seed=1, offset=offset)
    write = generator.prepare().writer(TEXT, "list")
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


def peak(seconds: float = 1.0) -> dict[str, float]:
    """Return the multiply-adds per second of this core in the product kernels: of floats, and of 8-bit integers.

    Both multiply ROWS rows with a matrix that fits the second cache.
    """
    random = np.random.default_rng(0)
    floats, weights = random.random((ROWS, WIDTH), np.float32), random.random((WIDTH, 4 * WIDTH), np.float32)
    flat, out = in_runs(weights), np.empty((ROWS, 4 * WIDTH), np.float32)
    kernels = prepare()
    small = random.integers(-127, 128, (ROWS, WIDTH)).astype(np.int16)
    pairs = in_pairs(random.integers(-127, 128, (WIDTH, 4 * WIDTH)).astype(np.int8))
    sums = np.empty((ROWS, 4 * WIDTH), np.int32)
    return {
        "peak": _best(lambda: kernels.products(floats, 0, WIDTH, flat, out), seconds),
        "peak_int8": _best(lambda: _multiply_int8(small, pairs, sums), seconds),
    }


@numba.njit(nogil=True, error_model="numpy")
def _multiply_int8(x, weights, out):  # type: ignore[no-untyped-def]
    for begin in range(0, out.shape[1], int8_matmul.RUN):
        int8_matmul.multiply(x, x.shape[1], len(x), weights, begin * x.shape[1], out, begin)


def _best(product: Callable[[], None], seconds: float) -> float:
    """Return the highest multiply-adds per second of processor time of a product of ROWS rows."""
    product()
    best, stop = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < stop:
        began = time.thread_time()
        for _ in range(100):
            product()
        best = max(best, 100 * ROWS * WIDTH * 4 * WIDTH / (time.thread_time() - began))
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
        "integers": int(has_integers(version.arrays())),
    }


def by_memory(reference: str, seconds: float) -> dict[str, float | int | str]:
    """Return a version's figures by the size of the prefix cache: names per second, and a call for 20 names."""
    generator, found = ModelRegistry.open(prepare()).resolve(None, reference).generator, dict[str, float | int | str]()
    for mebibytes in MEMORIES:
        memory = PrefixMemory(mebibytes)
        _, offset = rate(generator, memory, 0, WARMING * seconds)
        names, _ = rate(generator, memory, offset, seconds)
        found |= {
            f"names_{mebibytes}": round(names),
            f"call_20_us_{mebibytes}": round(_call_of_20(generator, memory) * 1e6, 1),
        }
    return found


def _call_of_20(generator: NameGenerator, memory: PrefixMemory | None, rounds: int = 9) -> float:
    """Return the processor seconds from a prepared sampler to the JSON of 20 names that were not drawn before: the
    median of some rounds.
    """
    sampler, writer, times = generator.prepare(), generator.prepare().writer(JSON_LIST, "list"), []
    for number in range(rounds):
        began = time.process_time()
        for i in range(200):
            NameStream(sampler, 20, seed=10**9 + number, offset=1000 * i).next_bytes(writer, memory)
        times.append((time.process_time() - began) / 200)
    return statistics.median(times)


@click.command()
@click.argument("reference", required=False)
@click.option("--seconds", default=2.0, show_default=True)
@click.option("--memories", is_flag=True, help="Compare sizes of the prefix cache.")
def main(reference: str | None, seconds: float, memories: bool) -> None:
    """Print the figures of REFERENCE as JSON, or those of the core without a reference."""
    if reference is None:
        click.echo(json.dumps(peak()))
    elif memories:
        click.echo(json.dumps(by_memory(reference, seconds)))
    else:
        click.echo(json.dumps(measure(reference, seconds)))


if __name__ == "__main__":
    main()
