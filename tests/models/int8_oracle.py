"""Model format 2 in plain Python integers, written from docs/model-format.md: what the kernels must give to the bit.

`vectors()` makes the test vectors of golden/format-2.json, which this module writes when it is run:
`python -m tests.models.int8_oracle`.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent / "golden" / "format-2.json"
EXCLUDED = -(2**30)
POLYNOMIAL = (19822, -19323, 9757, 3119, -23768)
LOW32 = 2**32 - 1


def product(a: int, b: int) -> int:
    """a b in 2^-15, ties up."""
    return (a * b + 2**14) >> 15


def saturated(x: int) -> int:
    """The nearest 16-bit number."""
    return max(-(2**15), min(2**15 - 1, x))


def scaled(total: int, multiplier: int, shift: int) -> int:
    """A sum of products in the scale of what it is added to."""
    return (total * multiplier + 2 ** (shift - 1)) >> shift


def tail(x: int) -> int:
    """sigmoid(-x) for 0 <= x < 2^14."""
    u, p = 2 * x - 2**14, POLYNOMIAL[4]
    for k in (3, 2, 1, 0):
        p = product(p, u) + POLYNOMIAL[k]
    for _ in range(3):
        p = product(p, p)
    return p


@cache
def sigmoid(x: int) -> int:
    """The logistic function, from 2^-11 to 2^-15."""
    t = tail(min(abs(x), 2**14 - 1))
    return t if x < 0 else 2**15 - t


@cache
def tanh(x: int) -> int:
    """The hyperbolic tangent, from 2^-11 to 2^-15."""
    t = 2**15 - 2 * tail(2 * min(abs(x), 2**13 - 1))
    return -t if x < 0 else t


Arrays = dict[str, Any]


@dataclass(frozen=True)
class State:
    """Hidden and cell numbers."""

    hidden: tuple[int, ...]
    cell: tuple[int, ...]


def step(model: Arrays, state: State, symbol: int, style: Sequence[int]) -> tuple[State, list[int]]:
    """The state and the logits after one more symbol."""
    H, V = len(model["recurrent.weight"]), len(model["output.bias"])
    gates = []
    for column in range(4 * H):
        total = sum(state.hidden[k] * model["recurrent.weight"][k][column] for k in range(H))
        recurrent = scaled(total, model["recurrent.multiplier"][column], model["recurrent.shift"][0])
        gates.append(saturated(recurrent + model["table"][symbol][column] + style[column]))
    hidden, cell = [], []
    for k in range(H):
        i, f, g, o = (gates[gate * H + k] for gate in range(4))
        c = saturated(product(sigmoid(f), state.cell[k]) + product(product(sigmoid(i), tanh(g)), 2**11))
        cell.append(c)
        hidden.append(product(product(sigmoid(o), tanh(c)), 127))
    logits = []
    for v in range(V):
        total = sum(hidden[k] * model["output.weight"][k][v] for k in range(H))
        logits.append(
            saturated(scaled(total, model["output.multiplier"][v], model["output.shift"][0]) + model["output.bias"][v])
        )
    return State(tuple(hidden), tuple(cell)), logits


def style_bias(model: Arrays, rows: Sequence[int]) -> list[int]:
    """What the chosen rows of styles add."""
    return [saturated(sum(model["styles"][row][k] for row in rows)) for k in range(len(model["table"][0]))]


def prefix_logits(model: Arrays, ids: Sequence[int], rows: Sequence[int] = ()) -> list[list[int]]:
    """The logits after each prefix of `ids`, of which the first is 0."""
    H, found = len(model["recurrent.weight"]), []
    state = State((0,) * H, (0,) * H)
    for symbol in ids:
        state, logits = step(model, state, symbol, style_bias(model, rows))
        found.append(logits)
    return found


def power(f: int) -> int:
    """2^(21 - f / 1024), rounded, in decimal arithmetic of 50 digits."""
    with localcontext() as context:
        context.prec = 50
        return int((Decimal(2) ** (21 - Decimal(f) / 1024)).to_integral_value())


POWERS = [power(f) for f in range(1024)]


def cumulative(
    logits: Sequence[int], first: int, temperature: float, top_k: int | None, top_p: float | None
) -> list[int]:
    """The sums of weights up to each outcome."""
    rate = math.floor(1.4426950408889634 / temperature * 65536 + 0.5)
    candidates = [v for v, logit in enumerate(logits) if v >= first and logit != EXCLUDED]
    highest = max((logits[v] for v in candidates), default=0)
    weights = [0] * len(logits)
    for v in candidates:
        y = min((highest - logits[v]) * rate, 2**31 - 1)
        weights[v] = POWERS[(y >> 16) & 1023] >> ((y >> 26) + (len(logits) >> 10).bit_length())
    order = sorted(candidates, key=lambda v: (-logits[v], v))
    kept = order[:top_k]
    limit = 2**20 if top_p is None else max(1, math.floor(top_p * 2**20 + 0.5))
    if limit < 2**20:
        total, share, fewest = sum(weights[v] for v in kept), 0, []
        for v in kept:
            if fewest and share * 2**20 >= total * limit:
                break
            fewest.append(v)
            share += weights[v]
        kept = fewest
    sums, total = [], 0
    for v in range(len(logits)):
        total += weights[v] if v in kept else 0
        sums.append(total)
    return sums


def drawn(sums: Sequence[int], word: int) -> int:
    """The outcome that a word of 30 bits chooses."""
    threshold = (word * sums[-1]) >> 30
    return sum(each <= threshold for each in sums)


def philox(seed: int, index: int, block: int) -> list[int]:
    """Four words of 32 bits: Philox4x32-10."""
    k0, k1 = seed & LOW32, seed >> 32
    c = [index & LOW32, index >> 32, block & LOW32, block >> 32]
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k0, p1 & LOW32, (p0 >> 32) ^ c[3] ^ k1, p0 & LOW32]
        k0, k1 = (k0 + 0x9E3779B9) & LOW32, (k1 + 0xBB67AE85) & LOW32
    return c


@dataclass(frozen=True)
class Options:
    """What a name depends on beside the model, the seed and its index."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    prefix: tuple[int, ...] = ()
    min_length: int = 1
    max_length: int = 20
    excluded: tuple[int, ...] = ()
    styles: tuple[int, ...] = ()


def draw(model: Arrays, seed: int, index: int, options: Options) -> list[int] | None:
    """The symbols of a candidate, None where it is longer than `max_length`."""
    H, name, style = len(model["recurrent.weight"]), list(options.prefix), style_bias(model, options.styles)
    state, logits = step(model, State((0,) * H, (0,) * H), 0, style)
    for symbol in name:
        state, logits = step(model, state, symbol, style)
    for t in range(len(name), options.max_length + 1):
        masked = [EXCLUDED if v in options.excluded else logit for v, logit in enumerate(logits)]
        first = 1 if t < options.min_length else 0
        sums = cumulative(masked, first, options.temperature, options.top_k, options.top_p)
        symbol = drawn(sums, philox(seed, index, t // 4)[t % 4] >> 2)
        if symbol == 0:
            return name
        name.append(symbol)
        state, logits = step(model, state, symbol, style)
    return None


def formula_model(H: int, V: int, styles: int, salt: int = 1) -> Arrays:
    """A model of numbers from a formula: element e of an array is (e + 1) (e + s) 7919 + 104729 s, modulo a range."""

    def numbers(rows: int, columns: int, s: int, limit: int) -> list[list[int]]:
        values = [((e + 1) * (e + s) * 7919 + 104729 * s) % (2 * limit + 1) - limit for e in range(rows * columns)]
        return [values[row * columns : (row + 1) * columns] for row in range(rows)]

    return {
        "table": numbers(V, 4 * H, salt, 4000),
        "recurrent.weight": numbers(H, 4 * H, salt + 1, 127),
        "recurrent.multiplier": [300 + 37 * k % 400 for k in range(4 * H)],
        "recurrent.shift": [11],
        "output.weight": numbers(H, V, salt + 2, 127),
        "output.multiplier": [200 + 53 * v % 300 for v in range(V)],
        "output.shift": [12],
        "output.bias": [1000, *numbers(1, V - 1, salt + 3, 900)[0]],
        "styles": numbers(styles, 4 * H, salt + 4, 1500),
    }


CASES = {
    "default": Options(),
    "cold": Options(temperature=0.5, min_length=4),
    "top_k": Options(temperature=1.7, top_k=2, prefix=(3, 1)),
    "top_p": Options(top_p=0.7, excluded=(2,), styles=(1,)),
    "all": Options(temperature=0.8, top_k=3, top_p=0.9, min_length=3, max_length=5, excluded=(4,), styles=(0, 1)),
}


def vectors() -> dict[str, Any]:
    """The test vectors: a model, logits after prefixes, and names by seed, index and options."""
    model = formula_model(8, 5, 2)
    prefixes = [[0, 1, 2, 3, 4, 4, 4, 1], [0, 3, 3, 3]]
    seeds = [0, 1, 2**53 - 1]
    return {
        "model": model,
        "logits": [
            {"symbols": ids, "styles": rows, "logits": prefix_logits(model, ids, rows)}
            for ids in prefixes
            for rows in ([], [0, 1])
        ],
        "words": [{"seed": seed, "index": 7, "block": 2, "words": philox(seed, 7, 2)} for seed in seeds],
        "names": [
            {
                "options": {key: list(v) if isinstance(v, tuple) else v for key, v in vars(options).items()},
                "seed": seed,
                "first_index": 0,
                "names": [draw(model, seed, index, options) for index in range(8)],
            }
            for options in CASES.values()
            for seed in seeds
        ],
    }


if __name__ == "__main__":
    VECTORS.write_text(
        json.dumps(vectors(), separators=(",", ":")).replace('],"', '],\n"').replace("},{", "},\n{") + "\n"
    )
