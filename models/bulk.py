"""Parts of large jobs as Parquet files: neighbouring candidates of one seed, or neighbouring names above a likelihood.

The bytes depend on the sampler and the part alone (and on the version of pyarrow), so that it does not matter which
machine makes a part, nor when.
"""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.casing import Case
from models.errors import StoreError
from models.inference import REASONS, TEXT, NameStream, PrefixMemory, PreparedSampler
from models.inference.constraints import ANY, REFUSED, RUN, ConstraintFilter
from models.inference.selection import NO_NAMES
from models.kernel.enumeration import MICROS, new_search
from models.kernel.evaluate import scratch_size
from models.kernel.int8.lstm import BLOCK
from models.spelling import fold

SUFFIX = ".parquet"
_NEWLINE = ord("\n")
# Names that are looked for at a time.
_AT_ONCE = 2**16
# The number of names under a prefix grows about like this power of its probability, measured from -20 to -27.
_GROWTH = 0.6
# The largest prefix at which names are divided has at most this share of a part.
_GRAIN = 0.1
# Fewer names than about this are not worth a part.
_FEWEST = 1000
_WORD = 64

Codes = NDArray[np.int32]


@dataclass(frozen=True)
class Part:
    """The candidates `first` up to `first + count - 1`."""

    first: int
    count: int

    @property
    def file(self) -> str:
        """The name of its file: parts sort by their first candidate."""
        return f"part-{self.first:016d}{SUFFIX}"


def draw_part(sampler: PreparedSampler, seed: int, part: Part, case: Case, memory: PrefixMemory | None = None) -> bytes:
    """Return the names of a part in the order of their candidates, one on each line, in UTF-8.

    Refused candidates are left out. The sampler must not be `unique`: parts know nothing of each other.
    """
    stream = NameStream(sampler, part.count, seed=seed, offset=part.first, max_attempts=part.count)
    writer, chunks = sampler.writer(TEXT, case), list[bytes]()
    while not stream.finished:
        chunks.append(stream.next_bytes(writer, memory))
    return b"".join(chunks)


@dataclass(frozen=True)
class Span:
    """The names from the prefix `low` up to but without `high`, as codes; no `high` is the end.

    They are in the order of the vocabulary, and a name comes before those that it begins. `first`: the number of the
    part, from 0 on.
    """

    first: int
    low: tuple[int, ...] = ()
    high: tuple[int, ...] = ()

    @property
    def file(self) -> str:
        """The name of its file: parts sort by their prefixes."""
        return f"part-{self.first:016d}{SUFFIX}"


class Listed(NamedTuple):
    """Names as codes (n, T), zeros beyond the end; their lengths (n,); their log-probabilities (n,) in MICROS."""

    codes: Codes
    lengths: Codes
    log_probs: Codes


class Enumeration:
    """All names of a sampler whose log-probability, as `/score` gives it, is `least` or more, each once.

    Its temperature, `top_k` and `top_p` are not asked: log-probabilities are the model's own.
    """

    def __init__(self, sampler: PreparedSampler, least: float) -> None:
        self.sampler, self.limit = sampler, round(least * MICROS)
        self._allowed, self._ends = _tables(sampler)

    def spans(self, parts: int) -> list[Span]:
        """Return at most `parts` spans, which have about equally many names, and all of them; fewer for few names."""
        cut, found, weights = MICROS, Listed(*(np.zeros((0, 0), np.int32),) * 3), np.zeros(0, np.int64)
        while cut > self.limit and weights.max(initial=0) >= _GRAIN * weights.sum() / parts:
            cut = max(cut - MICROS, self.limit)
            found = self._frontier(cut)
            weights = self._weights(found)
        parts = min(parts, 1 + int(weights.sum()) // _FEWEST)
        order = np.lexsort(_keys(found.codes, self.sampler.plan.vocab_size)[::-1])
        # Whole numbers, whose sums do not depend on the machine.
        before = np.cumsum(weights[order]) - weights[order]
        part_of = before * parts // max(int(weights.sum()), 1)
        starts = [0, *(np.flatnonzero(np.diff(part_of)) + 1).tolist()]
        lows = [(), *(tuple(code for code in found.codes[order[k]].tolist() if code) for k in starts[1:])]
        return [Span(k, low, high) for k, (low, high) in enumerate(zip(lows, [*lows[1:], ()], strict=True))]

    def _frontier(self, cut: int) -> Listed:
        """Return the names from `cut` on and the prefixes next to them that may begin further ones."""
        return _joined(list(self._search(Span(0), cut)))

    def _weights(self, found: Listed) -> NDArray[np.int64]:
        """Return about how many names each prefix has, in proportion."""
        more = (found.log_probs - self.limit) / MICROS * _GROWTH
        return np.array([round(math.exp(value)) for value in np.where(found.lengths < 0, more, 0).tolist()], np.int64)

    def names(self, span: Span) -> Listed:
        """Return the names of a span in its order."""
        found = list[tuple[NDArray[np.uint64], ...]]()
        V = self.sampler.plan.vocab_size
        for some in self._search(span, self.limit):
            kept = some.lengths >= 0
            found.append((*_keys(some.codes[kept], V), some.log_probs[kept].view(np.uint32).astype(np.uint64)))
        *keys, log_probs = (np.concatenate(column) for column in zip(*found, strict=True))
        order = np.lexsort(keys[::-1])
        codes = _codes([key[order] for key in keys], self.sampler.longest, V)
        return Listed(codes, (codes > 0).sum(1, dtype=np.int32), log_probs[order].astype(np.uint32).view(np.int32))

    def _search(self, span: Span, cut: int) -> Iterator[Listed]:
        """Yield what a search finds, in no order; rejected names have a negative length, and so have open prefixes."""
        s, plan = self.sampler, self.sampler.plan
        tree, search = new_search(plan, s.longest)
        region = (
            self._allowed,
            self._ends,
            np.array(span.low, np.int64),
            np.array(span.high, np.int64),
            cut,
            self.limit,
        )
        room = max(_AT_ONCE, BLOCK * plan.vocab_size if cut > self.limit else BLOCK)
        work, counts = np.empty(scratch_size(plan), np.float32), np.zeros(REFUSED + len(REASONS), np.int64)
        looks = s.looks() if s.compares_text and s.constraints.novel else frozenset[str]()
        text_filter = (
            ConstraintFilter(s.constraints, looks, s.vocabulary.loose, s.vocabulary) if s.compares_text else None
        )
        n = -1
        while n:
            found = Listed(np.empty((room, s.longest), np.int32), np.empty(room, np.int32), np.empty(room, np.int32))
            n = s.kernels.list_names(
                *plan.arrays,
                *tree.arrays,
                s.shares,
                work,
                plan.width,
                *search,
                *region,
                *s.selection,
                NO_NAMES,
                *found,
                counts,
            )
            found = Listed(*(column[:n] for column in found))
            if text_filter and cut <= self.limit:
                text_filter.select(s.texts(found.codes, found.lengths), found.lengths, -1, counts)
            yield found

    def part(self, span: Span, case: Case) -> tuple[bytes, int]:
        """Return the names of a span as a Parquet file with `name` and `log_prob`, and how many there are."""
        found = self.names(span)
        lines = self.sampler.written(self.sampler.writer(TEXT, case), found.codes, found.lengths)
        return parquet(lines, (found.log_probs / MICROS).astype(np.float32))


def _tables(sampler: PreparedSampler) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the characters allowed at each position (T, V) and the lengths allowed (T + 1,), as far as options and the
    beginning of a pattern tell.
    """
    letters, T = sampler.vocabulary.stoi, sampler.longest
    allowed, ends = np.ones((T, sampler.plan.vocab_size), np.bool_), np.ones(T + 1, np.bool_)
    allowed[:, [letters[c] for c in sampler.options.excludes if c in letters]] = False
    pattern = fold(sampler.constraints.pattern)
    fixed = [*enumerate(sampler.prefix.tolist())]
    fixed += [(t, letters[c]) for t, c in enumerate(pattern.partition(RUN)[0]) if c != ANY]
    for t, code in fixed:
        allowed[t, np.arange(len(allowed[t])) != code] = False
    ends[: max(sampler.options.min_length, len(sampler.prefix), len(pattern.replace(RUN, "")))] = False
    if pattern and RUN not in pattern:
        ends[len(pattern) + 1 :] = False
    return allowed, ends


def _joined(found: list[Listed]) -> Listed:
    return Listed(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _layout(T: int, V: int) -> tuple[int, int, int]:
    """Return bits of a code, codes of a 64-bit word, and words of a name."""
    bits = (V - 1).bit_length()
    return bits, _WORD // bits, -(-T // (_WORD // bits))


def _keys(codes: Codes, V: int) -> list[NDArray[np.uint64]]:
    """Return words that sort like the names (n, T), the most important first."""
    bits, of_word, words = _layout(codes.shape[1], V)
    keys = [np.zeros(len(codes), np.uint64) for _ in range(words)]
    for t, column in enumerate(codes.T):
        keys[t // of_word] |= column.astype(np.uint64) << np.uint64(bits * (of_word - 1 - t % of_word))
    return keys


def _codes(keys: list[NDArray[np.uint64]], T: int, V: int) -> Codes:
    """Return the names (n, T) of their words; see `_keys`."""
    bits, of_word, _ = _layout(T, V)
    codes, mask = np.empty((len(keys[0]), T), np.int32), np.uint64((1 << bits) - 1)
    for t in range(T):
        codes[:, t] = keys[t // of_word] >> np.uint64(bits * (of_word - 1 - t % of_word)) & mask
    return codes


def parquet(lines: bytes, log_probs: NDArray[np.float32] | None = None) -> tuple[bytes, int]:
    """Return names, one on each line, as a Parquet file with a column `name`, and how many there are.

    `log_probs` (n,), if given, is a second column, `log_prob`. Raises `StoreError` without pyarrow.
    """
    pa, pq = _pyarrow()
    text = np.frombuffer(lines, np.uint8)
    is_end = text == _NEWLINE
    # The ends of the names where the newlines between them are left out.
    ends = np.flatnonzero(is_end) - np.arange(int(is_end.sum()))
    offsets = np.concatenate([[0], ends]).astype(np.int64)
    names = pa.LargeStringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(text[~is_end].tobytes()))
    out = io.BytesIO()
    if log_probs is None:
        pq.write_table(pa.table({"name": names}), out, compression="zstd")
    else:
        # Sorted names share beginnings with the ones before, and no two are equal.
        encodings = {"name": "DELTA_BYTE_ARRAY", "log_prob": "BYTE_STREAM_SPLIT"}
        table = pa.table({"name": names, "log_prob": log_probs})
        pq.write_table(table, out, compression="zstd", use_dictionary=False, column_encoding=encodings)
    return out.getvalue(), len(ends)


def count_names(content: bytes) -> int:
    """Return how many names a Parquet file has. Raises `StoreError` for a damaged one."""
    pa, pq = _pyarrow()
    try:
        return int(pq.ParquetFile(io.BytesIO(content)).metadata.num_rows)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"This is no Parquet file: {error}") from error


def _pyarrow() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise StoreError(
            "Parquet files need pyarrow: .venv/bin/pip install --require-hashes -r requirements/bulk.txt"
        ) from None
