"""The house keeps its shape: what import-linter cannot see is read from the syntax trees."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("app", "models", "training", "data")
CLIENT = ROOT / "clients/python"
# Where each room's dotted names begin.
HOMES = dict.fromkeys(ROOMS, ROOT) | {"namewave_client": CLIENT}
SOURCES = sorted(path for room, home in HOMES.items() for path in (home / room).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "common", "helpers", "core", "base"}
MAX_LINES = 500
MAX_TEST_NAME = 60


def tree(path: Path) -> ast.Module:
    """The file's syntax tree."""
    return ast.parse(path.read_text("utf-8"))


def functions(module: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions, nested ones included."""
    return (node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def dotted(path: Path) -> str:
    """The name by which a source is imported."""
    home = CLIENT if path.is_relative_to(CLIENT) else ROOT
    return ".".join(path.relative_to(home).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    """The project's own modules that a file imports, by dotted name."""
    names: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                home = HOMES.get(node.module.split(".")[0], ROOT)
                deeper = home / node.module.replace(".", "/") / f"{alias.name}.py"
                names.add(f"{node.module}.{alias.name}" if deeper.exists() else node.module)
    return {name for name in names if name.split(".")[0] in HOMES}


def test_the_rooms_are_there() -> None:
    """The checks below look at real files."""
    assert len(SOURCES) > 50
    assert len(TESTS) > 10
    assert {dotted(path).split(".")[0] for path in SOURCES} == set(HOMES)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_each_file_is_one_noun(path: Path) -> None:
    """Each file has a docstring, a name that says something, at most 500 lines, and no import inside a function."""
    module = tree(path)
    assert ast.get_docstring(module), "no docstring"
    assert path.stem not in FORBIDDEN_NAMES
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES
    for function in functions(module):
        inner = [node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]
        assert not inner, f"{function.name} imports"


def test_data_knows_only_how_a_name_is_spelled() -> None:
    """Of all other rooms, `data` imports `models.spelling` alone."""
    foreign = {name for path in (ROOT / "data").rglob("*.py") for name in imported(path) if not name.startswith("data")}
    assert foreign == {"models.spelling"}


def test_no_ring_of_imports() -> None:
    """No module reaches itself through imports (a package's face counts as the modules it re-exports)."""
    modules = {dotted(path): path for path in SOURCES}
    arrows = {name: {n for n in imported(path) if n in modules and n != name} for name, path in modules.items()}

    def reaches(start: str, goal: str, seen: set[str]) -> bool:
        for target in arrows[start] - seen:
            seen.add(target)
            if target == goal or reaches(target, goal, seen):
                return True
        return False

    assert [name for name in modules if reaches(name, name, set())] == []


def test_nothing_unpickles() -> None:
    """No source names pickle, eval, exec or torch.load."""
    for path in SOURCES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("eval", "exec", "torch.load", "pickle.load", "pickle.loads"), path
