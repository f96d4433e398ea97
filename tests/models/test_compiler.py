"""Compiled kernels: the same names at every processor level, in another process, where nothing can be written."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models import Batch, Draft, ModelRegistry, StoreError, prepare
from models.blends import Blender
from models.inference import AS_DRAWN, compiler, forward

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
PROGRAM = """
import sys, hashlib
from pathlib import Path
from models import ModelRegistry, prepare
from models.blends import Blender
from models.inference import AS_DRAWN
kernels = prepare(Path(sys.argv[1]), sys.argv[2])
registry = ModelRegistry.open(kernels, user=Path(sys.argv[3]), shipped=Path(sys.argv[3]) / "none")
batch = registry.resolve("elves").generator.generate(3000, seed=3, constraints=AS_DRAWN)
elves = registry.resolve("elves")
blend = Blender(kernels).blend((elves, elves), (0.3, 0.7)).generator.generate(300, seed=3, constraints=AS_DRAWN)
batch = batch, blend
print(kernels.level, kernels.cached, kernels.folder is not None, hashlib.sha256(repr(batch).encode()).hexdigest())
"""
# Afterwards, the first 10,000 names of every shipped model that has a golden file.
GOLDEN_PROGRAM = """
registry = ModelRegistry.open(kernels, user=Path(sys.argv[3]))
for path in sorted(Path(sys.argv[4]).glob("*.txt")):
    dataset, model = path.stem.split("-")
    names = registry.resolve(dataset, model).generator.generate(10_000, seed=0, constraints=AS_DRAWN).names
    print(hashlib.sha256("".join(f"{name}\\n" for name in names).encode()).hexdigest())
"""


def run(folder: str, level: str, store: Path) -> list[str]:
    """Run both programs in a fresh process and return the words that they print."""
    command = [sys.executable, "-c", PROGRAM + GOLDEN_PROGRAM, folder, level, str(store), str(GOLDEN)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


def drawn_here(registry: ModelRegistry) -> tuple[Batch, Batch]:
    """What the program draws of the elves, alone and blended."""
    elves = registry.resolve("elves")
    blend = Blender(registry.kernels).blend((elves, elves), (0.3, 0.7))
    return (
        elves.generator.generate(3000, seed=3, constraints=AS_DRAWN),
        blend.generator.generate(300, seed=3, constraints=AS_DRAWN),
    )


def test_levels_and_processes_agree(registry: ModelRegistry, elf_draft: Draft, tmp_path: Path) -> None:
    """Fresh processes at every processor level draw the same names to the byte, among them the 10,000 golden ones of
    two shipped models; the second start finds the first one's code.
    """
    registry.publish(elf_draft)
    store = registry.stores[-1].root
    here = drawn_here(registry)
    digest = hashlib.sha256(repr(here).encode()).hexdigest()
    golden = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(GOLDEN.glob("*.txt"))]
    assert len(golden) == 2
    for level in compiler.levels():
        assert run(str(tmp_path / "kernels"), level, store) == [level, "False", "True", digest, *golden]
        assert run(str(tmp_path / "kernels"), level, store) == [level, "True", "True", digest, *golden]


def test_nothing_writable_still_works(registry: ModelRegistry, elf_draft: Draft) -> None:
    """Without home, cache folder or temporary folder that could be written, kernels are compiled in memory."""
    registry.publish(elf_draft)
    bare = {"PATH": os.environ["PATH"], "HOME": "/proc/none", "TMPDIR": "/proc/none", "PYTHONPATH": str(ROOT)}
    program = "import tempfile; tempfile.tempdir = '/proc/none'\n" + PROGRAM
    command = [sys.executable, "-c", program, "/proc/none/kernels", "generic", str(registry.stores[-1].root)]
    done = subprocess.run(command, cwd=ROOT, env=bare, capture_output=True, text=True, check=True)
    assert done.stdout.split()[:3] == ["generic", "False", "False"]


def test_a_folder_that_cannot_be_written_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled code in a read-only folder is used from a private copy: found there, not compiled again."""
    prepare(tmp_path)
    real = compiler._can_write
    monkeypatch.setattr(compiler, "_can_write", lambda folder: tmp_path not in folder.parents and real(folder))
    kernels = prepare(tmp_path)
    assert kernels.cached
    assert kernels.folder is not None
    assert tmp_path not in kernels.folder.parents
    assert (kernels.folder.parent.stat().st_mode & 0o777) == 0o700


def test_a_read_only_tree_without_home_works(registry: ModelRegistry, elf_draft: Draft) -> None:
    """On a read-only file system and without HOME, a fresh process compiles in memory and draws the same names."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("mount namespaces are not allowed here")
    registry.publish(elf_draft)
    here = drawn_here(registry)
    frozen = 'for place in / /tmp /dev/shm; do mount -o remount,bind,ro "$place" 2>/dev/null || true; done; exec "$@"'
    store = str(registry.stores[-1].root)
    command = [unshare, "-m", "sh", "-c", frozen, "sh", sys.executable, "-c", PROGRAM, "/kernels", "generic", store]
    bare = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=bare, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["generic", "False", "False", hashlib.sha256(repr(here).encode()).hexdigest()]


def test_an_unknown_level_is_refused(tmp_path: Path) -> None:
    """A processor level that is not kept raises an error naming those that are."""
    with pytest.raises(StoreError, match="generic"):
        prepare(tmp_path, "pentium")


def test_the_folder_is_named_for_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache's name changes with the kernels' signatures, so that old machine code is never taken for new."""
    before = compiler._fingerprint()
    monkeypatch.setitem(compiler._KERNELS, "logits", (forward.logits, "void()"))
    assert compiler._fingerprint() != before
