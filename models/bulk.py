"""One part of a large draw: some neighbouring candidates of one seed, as a Parquet file.

The bytes depend on the sampler, the seed and the part alone (and on the version of pyarrow), so that it does not matter
which machine makes a part, nor when.
"""

import io
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from models.errors import StoreError
from models.inference import TEXT, NameStream, PrefixMemory, PreparedSampler

SUFFIX = ".parquet"
_NEWLINE = ord("\n")


@dataclass(frozen=True)
class Part:
    """The candidates `first` up to `first + count - 1`."""

    first: int
    count: int

    @property
    def file(self) -> str:
        """The name of its file: parts sort by their first candidate."""
        return f"part-{self.first:016d}{SUFFIX}"


def draw_part(
    sampler: PreparedSampler, seed: int, part: Part, title: bool, memory: PrefixMemory | None = None
) -> bytes:
    """Return the names of a part in the order of their candidates, one on each line, in UTF-8.

    Refused candidates are left out. The sampler must not be `unique`: parts know nothing of each other.
    """
    stream = NameStream(sampler, part.count, seed=seed, offset=part.first, max_attempts=part.count)
    writer, chunks = sampler.writer(TEXT, title), list[bytes]()
    while not stream.finished:
        chunks.append(stream.next_bytes(writer, memory))
    return b"".join(chunks)


def parquet(lines: bytes) -> tuple[bytes, int]:
    """Return names, one on each line, as a Parquet file with one column `name`, and how many there are.

    Raises `StoreError` without pyarrow.
    """
    pa, pq = _pyarrow()
    text = np.frombuffer(lines, np.uint8)
    is_end = text == _NEWLINE
    # The ends of the names where the newlines between them are left out.
    ends = np.flatnonzero(is_end) - np.arange(int(is_end.sum()))
    offsets = np.concatenate([[0], ends]).astype(np.int64)
    names = pa.LargeStringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(text[~is_end].tobytes()))
    out = io.BytesIO()
    pq.write_table(pa.table({"name": names}), out, compression="zstd")
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
