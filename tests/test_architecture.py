"""The structure of the source: what import-linter cannot see is read from the syntax trees."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("app", "models", "training", "data")
CLIENT = ROOT / "clients/python"
# The folder in which each package's dotted names begin.
HOMES = dict.fromkeys(PACKAGES, ROOT) | {"namewave_client": CLIENT}
SOURCES = sorted(path for package, home in HOMES.items() for path in (home / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "common", "helpers", "core", "base"}
MAX_LINES = 500
MAX_FILES = 12
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


def test_checks_see_all_packages() -> None:
    assert len(SOURCES) > 50
    assert len(TESTS) > 10
    assert {dotted(path).split(".")[0] for path in SOURCES} == set(HOMES)


# Names that the project used to have and a newcomer would not understand.
PRIVATE_WORDS = frozenset(
    re.findall(
        r"\w+",
        """KeyDoor LimitDoor CountDoor Gate Wicket Purse Allowance Ledger Tally Turns InPlace Rest Pace Sieve Decency
        Explainer NameBatch NameLines Written HeldFlow PackingTransport Unchunked StrangersLines Patience Hall Contest
        Patient Teaching Lap Meeting Station Harvest Glance unless_gone is_plain surprise Watch Outcome Course Sight
        Reached Relay Surroundings TaughtBatches Tries spoil strangers patient_of""",
    )
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_source_file_has_docstring_name_size_and_no_inner_import(path: Path) -> None:
    module = tree(path)
    assert ast.get_docstring(module), "no docstring"
    assert path.stem not in FORBIDDEN_NAMES
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES
    for function in functions(module):
        inner = [node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]
        assert not inner, f"{function.name} imports"


def test_data_imports_models_spelling_only() -> None:
    foreign = {name for path in (ROOT / "data").rglob("*.py") for name in imported(path) if not name.startswith("data")}
    assert foreign == {"models.spelling"}


def test_private_words_are_gone() -> None:
    identifiers = {
        name
        for path in [*SOURCES, *TESTS]
        for node in ast.walk(tree(path))
        for name in (getattr(node, "id", ""), getattr(node, "name", ""), getattr(node, "attr", ""))
        if isinstance(name, str)
    }
    assert len(identifiers) > 1000
    assert identifiers & PRIVATE_WORDS == set()


def test_imports_have_no_cycle() -> None:
    modules = {dotted(path): path for path in SOURCES}
    arrows = {name: {n for n in imported(path) if n in modules and n != name} for name, path in modules.items()}

    def reaches(start: str, goal: str, seen: set[str]) -> bool:
        for target in arrows[start] - seen:
            seen.add(target)
            if target == goal or reaches(target, goal, seen):
                return True
        return False

    assert [name for name in modules if reaches(name, name, set())] == []


def test_no_source_unpickles_or_evaluates() -> None:
    for path in SOURCES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("eval", "exec", "torch.load", "pickle.load", "pickle.loads"), path


@pytest.mark.parametrize("path", TESTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_test_names_have_at_most_60_characters(path: Path) -> None:
    names = [function.name for function in functions(tree(path)) if function.name.startswith("test_")]
    assert [name for name in names if len(name) > MAX_TEST_NAME] == []


def test_folders_have_at_most_12_files() -> None:
    folders = {path.parent for path in SOURCES if path.is_relative_to(ROOT / "app")}
    assert [folder for folder in folders if len(list(folder.glob("*.py"))) > MAX_FILES] == []


def test_every_row_of_the_reliability_page_has_a_test() -> None:
    page, _ = (ROOT / "docs/reliability.md").read_text("utf-8").split("\n## Overload", 1)  # the first table only
    rows = {int(number) for number in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    marked = {int(n) for path in TESTS for n in re.findall(r"mark\.row\((\d+)\)", path.read_text("utf-8"))}
    assert rows == marked
