"""The lab: wavenets against torch, graphs against the autograd engine, and the page."""

import json
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from app.settings import Settings
from models import Draft
from models.autograd.engine import topological
from models.autograd.expression import evaluate
from models.autograd.graph_data import backward_steps
from models.config import ARCHITECTURES
from models.networks import Network, build_model
from models.store.checkpoint import load_checkpoint
from models.store.registry import SHIPPED
from tests.harness.app_client import AppClient, app_client, error_of, problem_of
from tests.harness.clock import Clock

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "app/static/lab"
NEURON = "x1 = 2; x2 = 0; w1 = -3; w2 = 1; b = 6.8813735870195432; n = x1*w1 + x2*w2 + b; o = tanh(n)"
SHARED = "a = 0.7; b = a * a; c = tanh(a + b) / b; d = c ** a - relu(b) * exp(-c)"


@pytest.fixture
async def shipped(tmp_path: Path) -> AsyncIterator[AppClient]:
    """A client of a service over the shipped models."""
    async with app_client(Settings(store=tmp_path)) as client:
        yield client


def twin_of(dataset: str) -> tuple[Network, tuple[str, ...]]:
    """Return the torch network of a shipped wavenet in evaluation mode, and its characters by index."""
    checkpoint = load_checkpoint(SHIPPED / dataset / "wavenet" / "3")
    network = build_model(checkpoint.manifest.config, len(checkpoint.manifest.alphabet), torch.Generator())
    network.load_arrays(checkpoint.arrays)
    network.eval()
    return network, checkpoint.manifest.alphabet.itos


def outputs_of(network: Network, window: list[int]) -> dict[str, np.ndarray]:
    """Return what each torch layer puts out for one window."""
    x, outputs = torch.tensor([window]), {}
    with torch.no_grad():
        for name, layer in network.layers.layers.items():
            x = layer(x)
            outputs[name] = x[0].numpy()
    return outputs


@pytest.mark.parametrize("name", ["", "k", "mar", "marnabe", "marnabel", "marnabell", "constantinopolitan"])
@pytest.mark.parametrize("dataset", ["human", "animal"])
async def test_wavenet_tree_equals_the_torch_network(shipped: AppClient, dataset: str, name: str) -> None:
    network, itos = twin_of(dataset)
    answer = (await shipped.get("/lab/wavenet", params={"model": f"{dataset}/wavenet@3", "name": name})).json()
    window = ([0] * 8 + [itos.index(c) for c in name])[-8:]
    outputs = outputs_of(network, window)
    assert [place["character"] for place in answer["window"]] == [itos[i] for i in window]
    assert answer["unseen"] + name[-8:] == answer["name"] == name
    np.testing.assert_allclose([p["values"] for p in answer["window"]], outputs["embedding"], atol=1e-4)
    assert len(answer["layers"]) == 3
    for i, layer in enumerate(answer["layers"]):
        expected = outputs[f"activation{i}"].reshape(len(layer), -1)
        np.testing.assert_allclose([node["values"] for node in layer], expected, atol=1e-4)
        spans = [(node["first"], node["last"]) for node in layer]
        assert spans == [(k * 2 ** (i + 1), (k + 1) * 2 ** (i + 1) - 1) for k in range(8 >> (i + 1))]
    chances = {c["character"]: c["probability"] for c in answer["characters"]}
    expected = torch.tensor(outputs["output"]).softmax(0).numpy()
    np.testing.assert_allclose([chances[c] for c in itos], expected, atol=1e-5)
    following = await shipped.get("/next", params={"model": f"{dataset}/wavenet@3", "prefix": name})
    for entry in following.json()["characters"]:
        assert chances[entry["character"]] == pytest.approx(entry["probability"], abs=1e-5)


@pytest.mark.parametrize("architecture", sorted(set(ARCHITECTURES) - {"wavenet"}))
async def test_other_architecture_is_422_naming_wavenets(shipped: AppClient, architecture: str) -> None:
    problem = problem_of(await shipped.get("/lab/wavenet", params={"model": architecture}))
    [error] = problem["errors"]
    assert (error["field"], error["nearest"]) == ("model", ["animal/wavenet@3", "human/wavenet@3"])
    assert "wavenet" in problem["detail"]


@pytest.mark.parametrize("model", ["wavenet@99", "dwarves/wavenet@1"])
async def test_missing_wavenet_is_404(shipped: AppClient, model: str) -> None:
    assert (await shipped.get("/lab/wavenet", params={"model": model})).status_code == 404


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"name": "k" * 65}, "name"),
        ({"name": "kaþ", "dataset": "elves"}, "name"),
        ({"model": "w" * 101}, "model"),
        ({"dataset": ""}, "dataset"),
        ({"seed": "1"}, "seed"),
        ([("name", "a"), ("name", "b")], "name"),
    ],
)
async def test_wrong_wavenet_query_is_422(client: AppClient, query: Any, field: str) -> None:
    response = await client.get("/lab/wavenet", params=query)
    assert error_of(response)["field"] == field
    assert "þ" not in response.text


async def test_wavenet_of_an_own_list_is_shown(client: AppClient, elf_draft: Draft) -> None:
    answer = (await client.get("/lab/wavenet", params={"dataset": "elves", "name": "Ka"})).json()
    assert (answer["model"], answer["name"], answer["unseen"]) == ("elves/wavenet@2", "ka", "")
    assert len(answer["layers"][0][0]["values"]) == elf_draft.config.n_hidden
    assert len(answer["embedding"]["points"]) == len(elf_draft.vocabulary)
    assert sum(c["probability"] for c in answer["characters"]) == pytest.approx(1, abs=1e-4)


async def test_embedding_map_is_the_torch_pca_of_directions(shipped: AppClient) -> None:
    """The farthest point on each axis is positive; the nearest character has the largest cosine."""
    network, itos = twin_of("human")
    answer = (await shipped.get("/lab/wavenet")).json()["embedding"]
    rows = torch.nn.functional.normalize(network.state_dict()["embedding.weight"].double())
    eigenvalues = torch.linalg.eigvalsh(torch.cov(rows.T)).flip(0)
    np.testing.assert_allclose(answer["explained"], (eigenvalues / eigenvalues.sum())[:2], atol=1e-5)
    assert 0.1 < sum(answer["explained"]) < 0.9
    points = torch.tensor([[p["x"], p["y"]] for p in answer["points"]], dtype=torch.float64)
    _, axes = torch.linalg.eigh(torch.cov(rows.T))
    expected = (rows - rows.mean(0)) @ axes[:, -2:]
    np.testing.assert_allclose(torch.cdist(points, points), torch.cdist(expected, expected), atol=1e-5)
    assert (points.gather(0, points.abs().argmax(0, keepdim=True)) > 0).all()
    cosines = torch.nn.functional.cosine_similarity(rows[:, None], rows[None], dim=2).fill_diagonal_(-2)
    assert [p["nearest"] for p in answer["points"]] == [itos[i] for i in cosines.argmax(1).tolist()]
    assert [p["character"] for p in answer["points"]] == list(itos)
    assert {p["nearest"] for p in answer["points"] if p["character"] in "ae"} == {"a", "e"}


async def test_lab_page_is_the_index_file(client: AppClient) -> None:
    page = await client.get("/lab")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.text == (FOLDER / "index.html").read_text("utf-8")


async def test_lab_files_have_strict_csp_and_etag(client: AppClient) -> None:
    names = {path.name for path in FOLDER.iterdir()} - {"index.html"}
    assert {"main.js", "network.js", "style.css", "names.txt"} <= names
    for path in ["/lab", *(f"/lab/page/{name}" for name in sorted(names))]:
        response = await client.get(path)
        assert response.status_code == 200, path
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        again = await client.get(path, headers={"if-none-match": response.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["index.html", "..%2Fdocs.js", "nothing.js", "main.py"])
async def test_other_lab_file_is_404(client: AppClient, name: str) -> None:
    assert (await client.get(f"/lab/page/{name}")).status_code == 404


def test_lab_names_are_every_hundredth_human_name() -> None:
    names = (FOLDER / "names.txt").read_text("utf-8").splitlines()
    assert names == (ROOT / "data/human.txt").read_text("utf-8").splitlines()[::100]
    assert set("".join(names)) <= set("abcdefghijklmnopqrstuvwxyz")
    assert len(names) == 322


async def graph_of(client: AppClient, expression: str) -> dict[str, Any]:
    """Return the graph, which is JSON without NaN and Infinity."""
    response = await client.post("/lab/graph", json={"expression": expression})
    assert response.status_code == 200, response.text
    return dict(json.loads(response.content, parse_constant=lambda name: pytest.fail(name)))


@pytest.mark.parametrize("text", [NEURON, SHARED])
async def test_graph_nodes_and_steps_are_those_of_the_engine(client: AppClient, text: str) -> None:
    graph, result = await graph_of(client, text), evaluate(text)
    order = topological(result)
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
    for shown, step in zip(graph["steps"], backward_steps(result), strict=True):
        assert order[shown["node"]] is step.value
        additions = [(order[each["operand"]], each["derivative"], each["gradient"]) for each in shown["additions"]]
        assert additions == [(each.operand, each.derivative, each.gradient) for each in step.additions]


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
async def test_expression_error_has_position_but_no_input(
    client: AppClient, expression: str, position: int, words: str
) -> None:
    response = await client.post("/lab/graph", json={"expression": expression})
    error, detail = error_of(response), response.json()["detail"]
    assert (error["field"], error["position"]) == ("expression", position)
    assert detail.startswith(f"expression, character {position}: ")
    assert words in detail
    assert "7777" not in response.text
    assert "secret9" not in response.text


async def test_unknown_function_gets_the_nearest_known_one(client: AppClient) -> None:
    response = await client.post("/lab/graph", json={"expression": "tahn(1)"})
    assert error_of(response)["nearest"] == ["tanh"]


@pytest.mark.parametrize(
    "body", [{}, {"expression": 1}, {"expression": None}, {"expression": "1", "x": 1}, {"expression": "1" * 201}, []]
)
async def test_wrong_graph_body_is_422_without_position(client: AppClient, body: object) -> None:
    problem = problem_of(await client.post("/lab/graph", json=body))
    assert all("position" not in error for error in problem["errors"])


@pytest.mark.parametrize(
    ("text", "nodes", "grad"),
    [
        ("a=1;b=2;c=3;d=4;e=5;f=6;g=7;h=8;" + "a+b+c+d+e+f+g+h+" * 10 + "a", 88, 11),
        ("a=1;" + "a+" * 97 + "a", 98, 98),
    ],
)
async def test_largest_graphs_are_finite_and_below_60_kb(client: AppClient, text: str, nodes: int, grad: int) -> None:
    graph = await graph_of(client, text)
    assert len(graph["nodes"]) == nodes
    assert graph["nodes"][0]["grad"] == grad
    points = [p for line in graph["lines"] for point in line["points"] for p in point]
    assert all(math.isfinite(p) and p > 0 for p in points)
    assert len(json.dumps(graph, separators=(",", ":"))) < 60_000


async def test_graph_counts_against_the_rate_limit(settings: Settings, window_clock: Clock) -> None:
    async with app_client(settings, limit=4500) as client:
        responses = [await client.post("/lab/graph", json={"expression": "1+1"}) for _ in range(3)]
    assert [response.status_code for response in responses] == [200, 200, 429]
