"""/lab/graph: the graph as the engine has it, the way back through it, and refusals that tell the place and nothing of
what was given.
"""

import json
import math
from typing import Any

import httpx
import pytest
import torch

from models.autograd.engine import topological
from models.autograd.expression import evaluate

pytestmark = pytest.mark.anyio
NEURON = "x1 = 2; x2 = 0; w1 = -3; w2 = 1; b = 6.8813735870195432; n = x1*w1 + x2*w2 + b; o = tanh(n)"


async def graph_of(client: httpx.AsyncClient, expression: str) -> dict[str, Any]:
    """The answer, which is JSON without NaN and Infinity."""
    answer = await client.post("/lab/graph", json={"expression": expression})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = json.loads(answer.content, parse_constant=lambda name: pytest.fail(name))
    return found


async def test_nodes_are_the_engines(client: httpx.AsyncClient) -> None:
    """Each node has label, operation, numbers and operands of the engine's value, operands before results."""
    graph = await graph_of(client, NEURON)
    order = topological(evaluate(NEURON))
    assert [node["id"] for node in graph["nodes"]] == list(range(len(order)))
    for node, value in zip(graph["nodes"], order, strict=True):
        assert (node["label"], node["operation"]) == (value.label, value.operation)
        assert (node["data"], node["grad"]) == (value.data, value.grad)
        assert [order[i] for i in node["operands"]] == list(value.operands)
        assert all(i < node["id"] for i in node["operands"])
        assert 0 < node["x"] < graph["sizes"]["width"]
        assert 0 < node["y"] < graph["sizes"]["height"]
    assert [(line["start"], line["end"]) for line in graph["lines"]] == [
        (i, node["id"]) for node in graph["nodes"] for i in node["operands"]
    ]


async def test_gradients_are_torchs(client: httpx.AsyncClient) -> None:
    """The gradients of the neuron's leaves are those of torch."""
    nodes = {node["label"]: node for node in (await graph_of(client, NEURON))["nodes"]}
    leaves = {
        name: torch.tensor(nodes[name]["data"], dtype=torch.float64, requires_grad=True)
        for name in ("x1", "x2", "w1", "w2", "b")
    }
    torch.tanh(leaves["x1"] * leaves["w1"] + leaves["x2"] * leaves["w2"] + leaves["b"]).backward()
    for name, leaf in leaves.items():
        assert nodes[name]["grad"] == pytest.approx(leaf.grad.item(), abs=1e-12)


async def test_steps_add_up_to_the_gradients(client: httpx.AsyncClient) -> None:
    """From 1 at the last node, the steps' additions in their order are every gradient; nobody hands on what is not
    complete.
    """
    graph = await graph_of(client, "a = 0.7; b = a * a; c = tanh(a + b) / b; d = c ** a - relu(b) * exp(-c)")
    nodes = graph["nodes"]
    grads = [0.0] * len(nodes)
    grads[-1] = 1.0
    for step in graph["steps"]:
        assert grads[step["node"]] == nodes[step["node"]]["grad"]
        assert [each["operand"] for each in step["additions"]] == nodes[step["node"]]["operands"]
        for each in step["additions"]:
            assert each["gradient"] == each["derivative"] * grads[step["node"]]
            grads[each["operand"]] += each["gradient"]
    assert grads == [node["grad"] for node in nodes]
    assert [step["node"] for step in graph["steps"]] != sorted(step["node"] for step in graph["steps"])
    assert len(graph["steps"]) == sum(bool(node["operands"]) for node in nodes) == 10


@pytest.mark.parametrize(
    ("expression", "position", "words"),
    [
        ("secret9 + 1", 1, "this name has no value yet"),
        ("a = 2; b = 7 / (a - 2)", 14, "this divides by 0"),
        ("log(-7777)", 1, "no logarithm"),
        ("exp(7777)", 1, "too large"),
        ("7777 ^ 2", 6, "a power is written **"),
        ("(" * 100, 41, "too deep"),
        ("+".join("7" * 60), 100, "the graph is too large"),
        ("", 1, "nothing to compute"),
        ("\u0000\ud7ff\U0001f600", 1, "no meaning"),
    ],
)
async def test_a_wrong_expression_is_a_problem_with_a_place(
    client: httpx.AsyncClient, expression: str, position: int, words: str
) -> None:
    """422 as problem+json says the position and what is wrong, and repeats nothing of what was given."""
    answer = await client.post("/lab/graph", json={"expression": expression})
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert problem["errors"][0]["field"] == "expression"
    assert problem["errors"][0]["position"] == position
    assert problem["detail"].startswith(f"expression: character {position}: ")
    assert words in problem["detail"]
    assert "7777" not in answer.text
    assert "secret9" not in answer.text
    assert len(answer.content) <= 1024


async def test_a_function_that_is_nearly_one_of_ours_is_named(client: httpx.AsyncClient) -> None:
    """The nearest function is told, as nearest names are elsewhere."""
    problem = (await client.post("/lab/graph", json={"expression": "tahn(1)"})).json()
    assert problem["errors"][0]["nearest"] == ["tanh"]
    assert problem["detail"].endswith("Nearest: tanh.")


@pytest.mark.parametrize(
    "body", [{}, {"expression": 1}, {"expression": None}, {"expression": "1", "x": 1}, {"expression": "1" * 201}, []]
)
async def test_other_bodies_are_422(client: httpx.AsyncClient, body: object) -> None:
    """Wrong types, unknown fields and more than 200 characters are refused before anything is read; other problems
    have no position.
    """
    answer = await client.post("/lab/graph", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert all("position" not in error for error in answer.json()["errors"])


@pytest.mark.parametrize(
    ("text", "nodes", "grad"),
    [
        ("a=1;b=2;c=3;d=4;e=5;f=6;g=7;h=8;" + "a+b+c+d+e+f+g+h+" * 10 + "a", 88, 11),
        ("a=1;" + "a+" * 97 + "a", 98, 98),
    ],
)
async def test_the_largest_graphs_are_answered(client: httpx.AsyncClient, text: str, nodes: int, grad: int) -> None:
    """Hundred nodes with many long lines are an answer of finite numbers, and of some 40 KB: lines that go straight on
    are told by their ends.
    """
    graph = await graph_of(client, text)
    assert len(graph["nodes"]) == nodes
    assert graph["nodes"][0]["grad"] == grad
    points = [p for line in graph["lines"] for point in line["points"] for p in point]
    assert all(math.isfinite(p) and p > 0 for p in points)
    assert len(json.dumps(graph, separators=(",", ":"))) < 60_000


async def test_it_costs_the_client_something(client_of: Any) -> None:
    """Where there are limits, a graph takes its share of the allowance, and who has none left gets 429."""
    async with client_of(limit=4500) as client:
        answers = [(await client.post("/lab/graph", json={"expression": "1+1"})).status_code for _ in range(3)]
    assert answers == [200, 200, 429]
