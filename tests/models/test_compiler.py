"""Compiled kernels: the same names at every processor level, in another process, where nothing can be written."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from models import ModelRegistry, StoreError, prepare
from models.blends import Blender
from models.inference import AS_DRAWN, jit
from models.kernel import reference

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
GOLDEN_PROGRAM = f"""
registry = ModelRegistry.open(kernels, user=Path(sys.argv[3]))
for path in sorted(Path({str(GOLDEN)!r}).glob("*.txt")):
    dataset, model = path.stem.split("-")
    names = registry.resolve(dataset, model).generator.generate(10_000, seed=0, constraints=AS_DRAWN).names
    print(hashlib.sha256("".join(f"{{name}}\\n" for name in names).encode()).hexdigest())
"""


def printed(
    program: str, *arguments: str, within: tuple[str, ...] = (), environment: dict[str, str] | None = None
) -> list[str]:
    """The words that a program prints in a fresh process."""
    command = [*within, sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


def digest(registry: ModelRegistry) -> str:
    """The digest of the names that the program draws of the elves, alone and blended."""
    elves = registry.resolve("elves")
    blend = Blender(registry.kernels).blend((elves, elves), (0.3, 0.7))
    batches = (
        elves.generator.generate(3000, seed=3, constraints=AS_DRAWN),
        blend.generator.generate(300, seed=3, constraints=AS_DRAWN),
    )
    return hashlib.sha256(repr(batches).encode()).hexdigest()


@pytest.mark.slow
def test_processes_at_every_level_draw_the_same_names(published: ModelRegistry, tmp_path: Path) -> None:
    golden = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(GOLDEN.glob("*.txt"))]
    assert len(golden) == 4
    expected = [digest(published), *golden]
    for level in jit.levels():
        for cached in ("False", "True"):
            arguments = (str(tmp_path / "kernels"), level, str(published.stores[-1].root))
            assert printed(PROGRAM + GOLDEN_PROGRAM, *arguments) == [level, cached, "True", *expected]


@pytest.mark.slow
def test_kernels_compile_in_memory_where_nothing_is_writable(published: ModelRegistry) -> None:
    bare = {"PATH": os.environ["PATH"], "HOME": "/proc/none", "TMPDIR": "/proc/none", "PYTHONPATH": str(ROOT)}
    program = "import tempfile; tempfile.tempdir = '/proc/none'\n" + PROGRAM
    arguments = ("/proc/none/kernels", "generic", str(published.stores[-1].root))
    assert printed(program, *arguments, environment=bare)[:3] == ["generic", "False", "False"]


@pytest.mark.slow
def test_read_only_cache_is_used_from_a_private_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path)
    temporary_file = tempfile.TemporaryFile

    def read_only(*arguments: object, dir: Path | str, **options: object) -> object:
        if Path(dir).is_relative_to(tmp_path):
            raise PermissionError
        return temporary_file(*arguments, dir=dir, **options)

    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    kernels = prepare(tmp_path)
    assert kernels.cached
    assert kernels.folder is not None
    assert tmp_path not in kernels.folder.parents
    assert (kernels.folder.parent.stat().st_mode & 0o777) == 0o700


@pytest.mark.slow
def test_read_only_file_system_without_home_draws_the_same_names(published: ModelRegistry) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("mount namespaces are not allowed here")
    frozen = 'for place in / /tmp /dev/shm; do mount -o remount,bind,ro "$place" 2>/dev/null || true; done; exec "$@"'
    bare = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    arguments = ("/kernels", "generic", str(published.stores[-1].root))
    within = (unshare, "-m", "sh", "-c", frozen, "sh")
    found = printed(PROGRAM, *arguments, within=within, environment=bare)
    assert found == ["generic", "False", "False", digest(published)]


def test_unknown_processor_level_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="generic"):
        prepare(tmp_path, "pentium")


def test_cache_folder_name_depends_on_kernel_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    before = jit._fingerprint()
    monkeypatch.setitem(jit._KERNELS, "logits", (reference.logits, "void()"))
    assert jit._fingerprint() != before
