"""Styles over HTTP and on the command line: in names, links, scores, next characters and blends."""

import json
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from app.cli.main import main
from app.settings import Settings
from models import Kernels, ModelConfig, ModelRegistry, Vocabulary
from models.networks import build_model
from models.styles import Styles
from tests.conftest import CONFIGS, draft_of, untrained
from tests.harness.app_client import AppClient, app_client

pytestmark = pytest.mark.anyio
STYLES = Styles({"gender": ("feminine", "masculine"), "decade": ("1920", "1930")})
LSTM = ModelConfig(architecture="lstm", block_size=64, n_embd=6, n_hidden=10)
ASKED = {"dataset": "elves", "count": 12, "seed": 5, "unique": False, "safe": False}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, kernels: Kernels, made_up_names: tuple[str, ...]) -> Path:
    """A store in which elves know a gender and a decade, and orcs no style."""
    root = tmp_path_factory.mktemp("styled")
    vocabulary = Vocabulary.of(made_up_names)
    network = build_model(LSTM, len(vocabulary), torch.Generator().manual_seed(3), len(STYLES))
    network.state_dict()["lstm0.style"].normal_(generator=torch.Generator().manual_seed(4))
    network.state_dict()["output.weight"].mul_(3)
    network.eval()
    registry = ModelRegistry.open(kernels, user=root / "user", shipped=root / "shipped")
    registry.publish(replace(draft_of(network, made_up_names), styles=STYLES))
    registry.publish(draft_of(untrained(CONFIGS["mlp"], len(vocabulary)), made_up_names, "orcs"))
    return root


@pytest.fixture
async def styled(store: Path) -> AsyncIterator[AppClient]:
    """A client of a service whose elves know styles."""
    async with app_client(Settings(store=store / "user", shipped_store=store / "shipped")) as client:
        yield client


async def names(client: AppClient, **fields: object) -> list[str]:
    answer = await client.post("/generate", json={**ASKED, **fields})
    assert answer.status_code == 200, answer.text
    found: list[str] = answer.json()["names"]
    return found


async def test_names_are_those_of_the_version_with_the_style(styled: AppClient, store: Path, kernels: Kernels) -> None:
    registry = ModelRegistry.open(kernels, user=store / "user", shipped=store / "shipped")
    version = registry.resolve("elves").styled({"gender": "masculine", "decade": "1930"})
    drawn = version.generator.generate(12, seed=5).names
    asked = await names(styled, style={"decade": 1930, "gender": "masculine"}, case="lower", unique=True)
    assert asked == drawn != await names(styled, case="lower", unique=True)


async def test_style_is_the_same_in_every_notation(styled: AppClient) -> None:
    expected = await names(styled, style={"gender": "feminine", "decade": 1920})
    assert await names(styled, style={"decade": "1920", "gender": "feminine"}) == expected
    assert await names(styled, style="gender:feminine,decade:1920") == expected
    assert await names(styled, style={"Gender": "FEMININE", "DECADE": 1920}) == expected
    link = "/generate?dataset=elves&count=12&seed=5&unique=false&safe=false&style=decade:1920,gender:feminine"
    assert (await styled.get(link)).json()["names"] == expected


async def test_link_to_the_next_page_keeps_the_style(styled: AppClient) -> None:
    first = await styled.get("/generate?dataset=elves&count=3&seed=5&unique=false&style=gender:feminine")
    address = first.headers["link"].partition(">")[0].removeprefix("<")
    assert "style=gender%3Afeminine" in address
    both = (await styled.get(address)).json()["names"]
    whole = await names(styled, count=6, style={"gender": "feminine"}, safe=True)
    assert first.json()["names"] + both == whole


async def test_etag_depends_on_the_style(styled: AppClient) -> None:
    link = "/generate?dataset=elves&count=3&seed=5"
    tags = {
        (await styled.get(link + rest)).headers["etag"] for rest in ("", "&style=decade:1920", "&style=decade:1930")
    }
    assert len(tags) == 3


@pytest.mark.parametrize(
    ("fields", "allowed"),
    [
        ({"style": {"gender": "femine"}}, "one of feminine, masculine for gender"),
        ({"style": {"country": "x"}}, "a map whose keys are among gender, decade"),
        ({"style": {"gender": ["feminine"]}}, "a map of values from /datasets"),
        ({"style": {}}, "a map of values from /datasets"),
        ({"style": "feminine"}, "a map of values from /datasets"),
        ({"style": "gender:feminine,gender:masculine"}, "a map of values from /datasets"),
        ({"dataset": "orcs", "style": {"gender": "feminine"}}, "left out: orcs/mlp@1 knows no styles"),
        ({"dataset": {"orcs": 1, "elves": 1}, "style": {"country": "x"}}, "a map whose keys are among gender, decade"),
        ({"dataset": {"orcs": 1, "elves": 1}, "style": {"gender": "x"}}, "one of feminine, masculine for gender"),
    ],
)
async def test_wrong_style_says_what_is_allowed(styled: AppClient, fields: dict[str, object], allowed: str) -> None:
    answer = await styled.post("/generate", json={**ASKED, **fields})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "style"
    assert answer.json()["errors"][0]["allowed"].startswith(allowed)


async def test_field_named_as_a_style_points_to_style(styled: AppClient) -> None:
    answer = await styled.post("/generate", json={"dataset": "elves", "gender": "feminine"})
    assert answer.status_code == 422
    assert "`style`" in answer.json()["detail"]


async def test_blend_gives_the_style_to_those_that_know_it(styled: AppClient) -> None:
    mixed = {"orcs": 0.5, "elves": 0.5}
    plain, feminine, masculine = [
        await names(styled, dataset=mixed, **({"style": {"gender": value}} if value else {}))
        for value in ("", "feminine", "masculine")
    ]
    assert len({tuple(plain), tuple(feminine), tuple(masculine)}) == 3
    # All of the weight on the elves is the elves with the style.
    alone = await names(styled, dataset={"elves": 1}, style={"gender": "feminine"})
    assert alone == await names(styled, style={"gender": "feminine"})


async def test_score_by_style_is_the_score_with_each_style(styled: AppClient) -> None:
    body = {"dataset": "elves", "names": ["kalomi", "renvel", "x"], "style": {"decade": 1920}}
    scores = (await styled.post("/score", json={**body, "by_style": True})).json()["scores"]
    for style, values in (("gender", ("feminine", "masculine")), ("decade", ("1920", "1930"))):
        for value in values:
            one = {**body, "style": {"decade": "1920", style: value}}
            expected = (await styled.post("/score", json=one)).json()["scores"]
            assert [score["by_style"][style][value] for score in scores[:2]] == [s["log_prob"] for s in expected[:2]]
    assert scores[2]["by_style"] is None
    assert (await styled.post("/score", json=body)).json()["scores"][0]["by_style"] is None


async def test_score_by_style_of_a_blend_is_an_error(styled: AppClient) -> None:
    body = {"dataset": {"orcs": 1, "elves": 1}, "names": ["kalomi"], "by_style": True}
    answer = await styled.post("/score", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "by_style")


async def test_names_above_the_limit_by_style_are_refused(styled: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.routes.scoring.MAX_STYLED_SCORES", 3 * len(STYLES))
    body = {"dataset": "elves", "by_style": True}
    statuses = [(await styled.post("/score", json={**body, "names": ["kalomi"] * n})).status_code for n in (3, 4)]
    assert statuses == [200, 422]


async def test_next_characters_depend_on_the_style(styled: AppClient) -> None:
    links = [
        f"/next?dataset=elves&prefix=ka{rest}" for rest in ("", "&style=gender:feminine", "&style=gender:masculine")
    ]
    found = [(await styled.get(link)).json()["characters"] for link in links]
    assert found[0] != found[1] != found[2]
    assert all(math.isclose(sum(c["probability"] for c in some), 1, abs_tol=1e-4) for some in found)


async def test_datasets_and_models_list_styles(styled: AppClient) -> None:
    values = {name: list(some) for name, some in STYLES.values.items()}
    datasets = {each["dataset"]: each["styles"] for each in (await styled.get("/datasets")).json()}
    models = {each["model"]: each["styles"] for each in (await styled.get("/models")).json()["models"]}
    assert datasets == {"elves": values, "orcs": {}}
    assert models == {"elves/lstm@1": values, "orcs/mlp@1": {}}


def test_command_line_takes_styles(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NAMEWAVE_STORE", str(store / "user"))
    source = ("--dataset", "elves", "--style", "gender:feminine", "--style", "decade:1920")
    main(["generate", *source, "--seed", "5", "--count", "3", "--json"], standalone_mode=False)
    drawn = json.loads(capsys.readouterr().out)["names"]
    main(["generate", "--dataset", "elves", "--seed", "5", "--count", "3", "--json"], standalone_mode=False)
    assert drawn != json.loads(capsys.readouterr().out)["names"]
    both = ("--dataset", "elves", "--style", "gender:feminine,decade:1920")
    main(["generate", *both, "--seed", "5", "--count", "3", "--json"], standalone_mode=False)
    assert drawn == json.loads(capsys.readouterr().out)["names"]
    main(["score", *source, "--by-style", "kalomi"], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "gender: " in shown
    assert "decade: " in shown
