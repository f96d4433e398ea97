"""The lab's routes: what a wavenet computes, held against the torch network of the same checkpoint, and its page."""

from pathlib import Path

import httpx
import numpy as np
import pytest
import torch

from app.main import create_app
from app.settings import Settings
from models import Draft
from models.checkpoint import load_checkpoint
from models.config import ARCHITECTURES
from models.networks import Network, build_model
from models.registry import SHIPPED

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
NAMES = ["", "k", "mar", "marnabe", "marnabel", "marnabell", "constantinopolitan"]


def twin_of(folder: Path) -> tuple[Network, tuple[str, ...]]:
    """The torch network of a version that ships, in evaluation mode, and what its indices mean."""
    checkpoint = load_checkpoint(folder)
    network = build_model(checkpoint.manifest.config, len(checkpoint.manifest.alphabet), torch.Generator())
    network.load_arrays(checkpoint.arrays)
    network.eval()
    return network, checkpoint.manifest.alphabet.itos


def watched(network: Network, window: list[int]) -> dict[str, np.ndarray]:
    """What each torch layer puts out for one window."""
    x, seen = torch.tensor([window]), {}
    with torch.no_grad():
        for name, layer in network.layers.layers.items():
            x = layer(x)
            seen[name] = x[0].numpy()
    return seen


@pytest.fixture
async def shipped(tmp_path: Path):  # type: ignore[no-untyped-def]
    """A client of the service over the models that ship."""
    app = create_app(Settings(store=tmp_path))
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope, receive, send):  # type: ignore[no-untyped-def]
            await app({**scope, "state": dict(state)}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(with_state), base_url="http://test") as client:
            yield client


@pytest.mark.parametrize("dataset", ["human", "animal"])
async def test_the_tree_is_the_torch_networks(shipped: httpx.AsyncClient, dataset: str) -> None:
    """Embedding and activations are those of torch within 1e-4, what comes next that of its logits within 1e-5, for
    names of any length; and the service's own /next agrees.
    """
    network, itos = twin_of(SHIPPED / dataset / "wavenet" / "3")
    for name in NAMES:
        asked = {"model": f"{dataset}/wavenet@3", "name": name}
        told = (await shipped.get("/lab/wavenet", params=asked)).json()
        window = ([0] * 8 + [itos.index(c) for c in name])[-8:]
        seen = watched(network, window)
        assert [place["character"] for place in told["window"]] == [itos[i] for i in window]
        assert told["unseen"] + name[-8:] == told["name"] == name
        np.testing.assert_allclose([p["values"] for p in told["window"]], seen["embedding"], atol=1e-4)
        for i, layer in enumerate(told["layers"]):
            expected = seen[f"activation{i}"].reshape(len(layer), -1)
            np.testing.assert_allclose([node["values"] for node in layer], expected, atol=1e-4)
            spans = [(node["first"], node["last"]) for node in layer]
            assert spans == [(k * 2 ** (i + 1), (k + 1) * 2 ** (i + 1) - 1) for k in range(8 >> (i + 1))]
        assert len(told["layers"]) == 3
        chances = {c["character"]: c["probability"] for c in told["characters"]}
        expected = torch.tensor(seen["output"]).softmax(0).numpy()
        np.testing.assert_allclose([chances[c] for c in itos], expected, atol=1e-5)
        following = await shipped.get("/next", params={"model": f"{dataset}/wavenet@3", "prefix": name})
        for entry in following.json()["characters"]:
            assert chances[entry["character"]] == pytest.approx(entry["probability"], abs=1e-5)


async def test_only_a_wavenet_is_a_tree_of_pairs(shipped: httpx.AsyncClient) -> None:
    """Every other architecture is 422 and told which models will do; a model that there is not is 404."""
    for architecture in set(ARCHITECTURES) - {"wavenet"}:
        answer = await shipped.get("/lab/wavenet", params={"model": architecture})
        assert answer.status_code == 422, architecture
        [error] = answer.json()["errors"]
        assert (error["field"], error["nearest"]) == ("model", ["animal/wavenet@3", "human/wavenet@3"])
        assert "wavenet" in answer.json()["detail"]
    for missing in ("wavenet@99", "dwarves/wavenet@1"):
        assert (await shipped.get("/lab/wavenet", params={"model": missing})).status_code == 404


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"name": "k" * 65}, "name"),
        ({"name": "kaþ", "dataset": "elves"}, "name"),
        ({"model": "w" * 101}, "model"),
        ({"dataset": ""}, "dataset"),
        ({"seed": "1"}, "(unknown field)"),
        ([("name", "a"), ("name", "b")], "name"),
    ],
)
async def test_a_wrong_question_is_refused(client: httpx.AsyncClient, query: object, field: str) -> None:
    """Too long, unknown to the model, empty, unknown and repeated fields are 422, and what was given is not told."""
    answer = await client.get("/lab/wavenet", params=query)  # type: ignore[arg-type]
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["field"] == field
    assert "þ" not in answer.text


async def test_a_users_wavenet_is_seen_too(client: httpx.AsyncClient, elf_draft: Draft) -> None:
    """A list of one's own has its tree, with the width and the alphabet of its model; a capital is a small letter."""
    told = (await client.get("/lab/wavenet", params={"dataset": "elves", "name": "Ka"})).json()
    assert (told["model"], told["name"], told["unseen"]) == ("elves/wavenet@2", "ka", "")
    assert len(told["layers"][0][0]["values"]) == elf_draft.config.n_hidden
    assert len(told["embedding"]["points"]) == len(elf_draft.vocabulary)
    assert sum(c["probability"] for c in told["characters"]) == pytest.approx(1, abs=1e-4)


async def test_the_map_shows_the_widest_sides(shipped: httpx.AsyncClient) -> None:
    """The axes' shares are the covariance's first eigenvalues, of directions; the points' distances are those of
    torch's own projection, the farthest on each axis positive; each character's nearest has the largest cosine.
    """
    network, itos = twin_of(SHIPPED / "human" / "wavenet" / "3")
    told = (await shipped.get("/lab/wavenet")).json()["embedding"]
    rows = torch.nn.functional.normalize(network.state_dict()["embedding.weight"].double())
    eigenvalues = torch.linalg.eigvalsh(torch.cov(rows.T)).flip(0)
    np.testing.assert_allclose(told["explained"], (eigenvalues / eigenvalues.sum())[:2], atol=1e-5)
    assert 0.1 < sum(told["explained"]) < 0.9
    points = torch.tensor([[p["x"], p["y"]] for p in told["points"]], dtype=torch.float64)
    _, axes = torch.linalg.eigh(torch.cov(rows.T))
    expected = (rows - rows.mean(0)) @ axes[:, -2:]
    np.testing.assert_allclose(torch.cdist(points, points), torch.cdist(expected, expected), atol=1e-5)
    assert (points.gather(0, points.abs().argmax(0, keepdim=True)) > 0).all()
    cosines = torch.nn.functional.cosine_similarity(rows[:, None], rows[None], dim=2).fill_diagonal_(-2)
    assert [p["nearest"] for p in told["points"]] == [itos[i] for i in cosines.argmax(1).tolist()]
    assert [p["character"] for p in told["points"]] == list(itos)
    assert {p["nearest"] for p in told["points"] if p["character"] in "ae"} == {"a", "e"}


async def test_the_page_and_its_files_are_served(client: httpx.AsyncClient) -> None:
    """/lab and all its files come under the strict policy, with a tag; the page itself and strangers are no files."""
    folder = ROOT / "app/static/lab"
    page = await client.get("/lab")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.text == (folder / "index.html").read_text("utf-8")
    names = {path.name for path in folder.iterdir()} - {"index.html"}
    assert {"main.js", "network.js", "style.css", "names.txt"} <= names
    for path in ["/lab", *(f"/lab/page/{name}" for name in sorted(names))]:
        answer = await client.get(path)
        assert answer.status_code == 200, path
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        again = await client.get(path, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    for stranger in ("index.html", "..%2Fdocs.js", "nothing.js", "main.py"):
        assert (await client.get(f"/lab/page/{stranger}")).status_code == 404


async def test_the_names_are_every_hundredth_of_the_list() -> None:
    """names.txt is what the command in `lab_page` makes of data/human.txt: plain small letters only."""
    listed = (ROOT / "data/human.txt").read_text("utf-8").splitlines()
    names = (ROOT / "app/static/lab/names.txt").read_text("utf-8").splitlines()
    assert names == listed[::100]
    assert set("".join(names)) <= set("abcdefghijklmnopqrstuvwxyz")
    assert len(names) == 322
