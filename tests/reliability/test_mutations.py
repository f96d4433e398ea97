"""Row 38: the list of mutations fits the tree; `benchmarks.reliability mutations` measures that each is caught."""

import ast
from pathlib import Path

import pytest

from benchmarks.reliability_measures.mutations import Mutation, listed

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutation", listed(), ids=lambda mutation: mutation.name)
def test_row_38_each_guard_stands_where_the_list_says(mutation: Mutation) -> None:
    """What a mutation takes away is there, once, and the test that must notice exists: a guard that moved takes its
    entry with it.
    """
    assert (ROOT / mutation.file).read_text("utf-8").count(mutation.before) == 1
    assert mutation.after != mutation.before
    path, _, test = mutation.test.partition("::")
    nodes = ast.walk(ast.parse((ROOT / path).read_text("utf-8")))
    names = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    assert not test or test.rpartition("::")[2].partition("[")[0] in names


def test_row_38_each_guard_has_a_name_of_its_own() -> None:
    """`--only` finds what was meant."""
    names = [mutation.name for mutation in listed()]
    assert len(set(names)) == len(names) > 80
