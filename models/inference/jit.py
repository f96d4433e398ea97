"""Machine code of plain functions: for which processor, kept in which folder. No mathematics.

numba writes compiled code to a cache folder and refuses to import cached functions where none is writable; code for
another kind of processor is worthless to it. So there are two fixed levels, and `prepare` chooses level and folder
before anything is compiled: the folder asked for, else a private temporary copy of it, else none (then every start
compiles, which takes seconds).
"""

import atexit
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numba
from llvmlite import binding

from models.errors import StoreError
from models.inference import constraints, keyword_filter, lines, pipeline, selection
from models.kernel import (
    arithmetic,
    distribution,
    enumeration,
    evaluate,
    freeze,
    matmul,
    mixture,
    plan,
    reference,
    sample,
)
from models.kernel.int8 import cell, lstm, stage, vectors
from models.kernel.int8 import distribution as int8_distribution
from models.kernel.int8 import matmul as int8_matmul

GENERIC, MODERN = "generic", "x86-64-v3"
# What the level x86-64-v3 promises beyond SSE (System V ABI), in LLVM's names.
_MODERN_FEATURES = ("avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe")
_FROZEN = "float32[:,:,::1], int64, int64[:,::1], float32[::1]"
_INTEGERS = "int64[:,::1], int8[::1], int16[::1], int32[::1]"
_PLAN = f"int64[:,::1], int64[:,::1], int64[:,::1], float32[::1], int64[:,::1], {_INTEGERS}"
_TREE = "int32[:,::1], float32[:,::1], int32[::1], int64[::1], float32[:,:,::1], int32[:,::1]"
_SPACE = "int32[::1], float32[::1]"
_SEARCH = (
    "float32[::1], float32[::1], int64, int32[:,::1], int32[:,::1], int32[::1], int32[::1], int32[::1],"
    " int64[:,:,::1], int64[::1]"
)
_REGION = "boolean[:,::1], boolean[::1], int64[::1], int64[::1], int64, int64"
_OPTIONS = (
    "int64[::1], float32[::1], int64, int64[::1], float32, int64, int64, float32, int64, int32[::1], int64, int64"
)
_WORDS = "int32[:,::1], int64[::1], int32[:,::1], uint64[:,::1]"
_TABLE = "int32[::1]"
_RULES = f"int32[::1], int32[::1], int32[::1], {_TABLE}"
_WRITER = "uint8[:,:,::1], int64[:,::1], int8[::1], int8[::1], uint8[:,::1], int64[::1], boolean"
# Each kernel: the plain function, and the types that it is compiled for.
_KERNELS: Mapping[str, tuple[Callable[..., Any], str]] = {
    "draw_names": (
        pipeline.draw_names,
        f"void({_PLAN}, {_TREE}, {_SPACE}, int64, int64, {_OPTIONS}, {_WORDS}, {_RULES}, {_WRITER}, {_TABLE}, int64,"
        " int64, int64, int32[:,::1], int32[::1], uint8[::1], int64[::1])",
    ),
    "place_names": (selection.place_names, f"void({_TABLE})"),
    "logits": (reference.logits, f"void({_FROZEN}, int64[::1], float32[:,::1])"),
    "int8_logits": (stage.int8_logits, f"void({_INTEGERS}, int64[::1], float32[:,::1])"),
    "columns": (reference.columns, f"void({_FROZEN}, int64[:,::1], float32[:,::1])"),
    "mixed": (
        mixture.mixed,
        "void(float32[:,::1], int64[:,::1], float32[::1], int64[::1], float32[:,::1])",
    ),
    "products": (matmul.products, "void(float32[:,::1], int64, int64, float32[::1], float32[:,::1])"),
    "write_lines": (
        lines.write_lines,
        f"UniTuple(int64, 3)(int32[:,::1], int32[::1], {_WRITER}, int64, uint8[::1])",
    ),
    "find": (
        keyword_filter.find,
        f"void(int32[:,::1], int32[::1], {_WORDS}, boolean[::1])",
    ),
}
# Only an enumeration needs it, so that it is compiled or loaded at its first use.
_LIST_NAMES: tuple[Callable[..., Any], str] = (
    pipeline.list_names,
    f"int64({_PLAN}, {_TREE}, {_SEARCH}, {_REGION}, {_WORDS}, {_RULES}, {_TABLE}, int32[:,::1], int32[::1],"
    " int32[::1], int64[::1])",
)
_SOURCES = (
    *(
        arithmetic,
        constraints,
        distribution,
        enumeration,
        evaluate,
        freeze,
        keyword_filter,
        lines,
        matmul,
        mixture,
        pipeline,
    ),
    *(plan, reference, sample, selection, vectors, cell, int8_distribution, lstm, int8_matmul, stage),
)


@dataclass(frozen=True)
class Kernels:
    """Compiled functions, and how they came to be: `folder` is None where nothing could be kept, `cached` tells whether
    compiled code was found there."""

    draw_names: Callable[..., None]
    place_names: Callable[..., None]
    logits: Callable[..., None]
    int8_logits: Callable[..., None]
    columns: Callable[..., None]
    mixed: Callable[..., None]
    products: Callable[..., None]
    write_lines: Callable[..., tuple[int, int, int]]
    find: Callable[..., None]
    level: str
    folder: Path | None
    cached: bool

    @cached_property
    def list_names(self) -> Callable[..., int]:
        """Return the kernel of enumerations, compiled or loaded at its first use."""
        _configure(self.level, self.folder)
        compiled: Callable[..., int] = _compile(*_LIST_NAMES, self.folder)
        return compiled


def levels() -> tuple[str, ...]:
    """Return the processor levels that compiled code is kept for on this kind of machine, the best last."""
    return (GENERIC, MODERN) if _is_modern(binding.get_host_cpu_features()) else (GENERIC,)


def _is_modern(features: Any) -> bool:
    return all(features.get(feature) for feature in _MODERN_FEATURES)


def default_folder() -> Path:
    """Return the user's cache folder for compiled code, by the XDG convention."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home) / "namewave" / "kernels"


def prepare(folder: Path | None = None, level: str | None = None) -> Kernels:
    """Return kernels for `level` (default: the best this processor has), compiled or loaded from `folder`.

    Never fails for want of a writable folder: then `Kernels.folder` is None. Raises `StoreError` for a level that is
    not one of `levels()`.
    """
    chosen = level or levels()[-1]
    if chosen not in levels():
        raise StoreError(f"The processor level {chosen!r} is not one of {', '.join(levels())}.", field="level")
    return _prepared(chosen, _writable((folder or default_folder()) / _fingerprint()))


@cache
def _prepared(chosen: str, keep: Path | None) -> Kernels:
    """Return kernels for the level `chosen`, kept in `keep`; a process loads them once."""
    _configure(chosen, keep)
    compiled = {name: _compile(function, types, keep) for name, (function, types) in _KERNELS.items()}
    hits = [bool(function.stats.cache_hits) for function in compiled.values()]
    return Kernels(**compiled, level=chosen, folder=keep, cached=all(hits))


def compile_every_level(folder: Path) -> tuple[str, ...]:
    """Compile for each of `levels()` into `folder`, one fresh process each, since a process has one level; return the
    levels.

    Raises `StoreError` where the folder cannot be written.
    """
    if not _can_write(folder):
        raise StoreError(f"Compiled code cannot be kept in {folder}: it is not writable.", field="folder")
    code = "import sys, pathlib; from models.inference import jit; "
    code += "jit.prepare(pathlib.Path(sys.argv[1]), sys.argv[2]).list_names"
    for level in levels():
        subprocess.run([sys.executable, "-c", code, str(folder), level], check=True)
    return levels()


def _fingerprint() -> str:
    """Name the folder for what the machine code is made of, so that an old one is never taken for a new one."""
    sources = [Path(str(module.__file__)).read_bytes() for module in _SOURCES]
    types = [types for _, types in (*_KERNELS.values(), _LIST_NAMES)]
    versions = f"numba {numba.__version__} python {sys.version_info[:2]} {types}".encode()
    return hashlib.sha256(b"\0".join([*sources, versions])).hexdigest()[:16]


def _writable(folder: Path) -> Path | None:
    """Return `folder` if files can be made in it, else a private temporary copy of it, else None."""
    if _can_write(folder):
        return folder
    try:
        copy = Path(tempfile.mkdtemp(prefix="namewave-kernels-")) / folder.name
        atexit.register(shutil.rmtree, copy.parent, ignore_errors=True)
        if folder.is_dir():
            shutil.copytree(folder, copy)
    except OSError:
        return None
    return copy if _can_write(copy) else None


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _configure(level: str, folder: Path | None) -> None:
    """Tell numba before it makes its code generator, which reads these once."""
    # numba makes its settings at run time, so that type checkers do not know them.
    for name, value in {"CPU_NAME": level, "CPU_FEATURES": "", "CACHE_DIR": str(folder or "")}.items():
        setattr(numba.config, name, value)


def _compile(function: Callable[..., Any], signature: str, folder: Path | None) -> Any:
    return numba.njit(signature, nogil=True, error_model="numpy", cache=folder is not None)(function)
