"""Styles in training: rows drawn for names, what a network learns from them, and what is kept, moved and published."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from data.names import StyleRows
from models import Kernels, ModelConfig, ModelRegistry, NameGenerator, Vocabulary
from models.inference import AS_DRAWN
from models.networks import Network, build_model
from models.store.checkpoint import TABLE
from models.store.publishing import draft_generator
from models.styles import NO_STYLES, Styles
from tests.training.conftest import NamesAndVocabulary, equal_states, run_cli
from training.config import TrainingConfig
from training.corpus import Corpus
from training.dataset import Examples, NameBatches
from training.device import choose_device
from training.distillation import sample_names, sample_styled, scaled_styles, teacher_generator
from training.errors import Interrupted, TrainingError
from training.evaluation import name_losses
from training.integer_version import quantized_draft
from training.pretrained import load_start, load_teachers
from training.publishing import build_draft, load_network, published_losses, style_rows
from training.run import STYLED_DEV, Distillation, Job, RunCallbacks, RunResult, run
from training.run_state import RunState
from training.styles import MAX_VALUES, StyleTable, styles_of
from training.trainer import learned_styles, new_trainer
from training.transfer import WarmStart, copy_weights

LSTM = ModelConfig(architecture="lstm", block_size=64, n_embd=6, n_hidden=24)
WAVENET = ModelConfig(architecture="wavenet", block_size=4, n_embd=4, n_hidden=16)
STYLES = Styles({"sex": ("F", "M"), "decade": ("1950", "1980", "2010")})
LOW, HIGH = "aeklm", "ioprs"


def seeded(seed: int) -> torch.Generator:
    """A random generator."""
    return torch.Generator().manual_seed(seed)


def rows_of(*rows: tuple[str, str, str, float]) -> StyleRows:
    """Rows of a name, a sex, a decade and a weight."""
    return StyleRows(("sex", "decade"), tuple(row[:3] for row in rows), tuple(row[3] for row in rows))


ROWS = rows_of(
    ("ada", "F", "1950", 1.0),
    ("kim", "F", "1980", 3.0),
    ("ada", "F", "2010", 2.0),
    ("kim", "M", "1980", 5.0),
    ("kim", "M", "1950", 0.0),
    ("bo", "", "", 4.0),
    ("eve", "F", "", 1.0),
    ("max", "M", "2010", 0.0),
    ("zoe", "F", "1950", 0.0),
    ("zoe", "F", "1980", 0.0),
    ("nobody", "M", "2010", 9.0),
)
# "liv" has no row, and the rows of "max" and "zoe" all weigh nothing.
NAMES = ("kim", "liv", "ada", "bo", "eve", "max", "zoe")


def one_hot(*values: str) -> tuple[float, ...]:
    """The values as `draw` returns them."""
    return tuple(float(value in values) for values_of in STYLES.values.values() for value in values_of)


@pytest.fixture
def table() -> StyleTable:
    """The rows of seven names."""
    return StyleTable.of(NAMES, ROWS, STYLES)


def shares(table: StyleTable, name: str, dropout: float = 0.0, n: int = 20_000) -> dict[tuple[float, ...], float]:
    """How often each row of values is drawn for a name."""
    drawn = table.draw(torch.full((n,), NAMES.index(name)), dropout, seeded(1))
    values, counts = drawn.unique(dim=0, return_counts=True)
    return {tuple(row): count / n for row, count in zip(values.tolist(), counts.tolist(), strict=True)}


def assert_shares(found: Mapping[tuple[float, ...], float], expected: Mapping[tuple[float, ...], float]) -> None:
    """Each share is within five standard deviations of a binomial of 20,000."""
    assert found.keys() == expected.keys()
    for row, share in expected.items():
        assert abs(found[row] - share) <= 5 * (share * (1 - share) / 20_000) ** 0.5


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ada", {one_hot("F", "1950"): 1 / 3, one_hot("F", "2010"): 2 / 3}),
        ("kim", {one_hot("F", "1980"): 3 / 8, one_hot("M", "1980"): 5 / 8}),
        ("eve", {one_hot("F"): 1.0}),
        ("bo", {one_hot(): 1.0}),
        ("liv", {one_hot(): 1.0}),
        ("max", {one_hot("M", "2010"): 1.0}),
        ("zoe", {one_hot("F", "1950"): 1 / 2, one_hot("F", "1980"): 1 / 2}),
    ],
)
def test_rows_are_drawn_by_weight(table: StyleTable, name: str, expected: dict[tuple[float, ...], float]) -> None:
    assert_shares(shares(table, name), expected)


def test_each_value_is_left_out_with_its_own_probability(table: StyleTable) -> None:
    row = {one_hot("M", "2010"): 0.49, one_hot("M"): 0.21, one_hot("2010"): 0.21, one_hot(): 0.09}
    assert_shares(shares(table, "max", 0.3), row)
    assert_shares(shares(table, "eve", 0.3), {one_hot("F"): 0.7, one_hot(): 0.3})


def test_draws_of_a_mixed_batch_fit_their_names(table: StyleTable) -> None:
    which = torch.arange(600) % len(NAMES)
    drawn = table.draw(which, 0.0, seeded(2))
    assert drawn.shape == (600, 5)
    for name, row in zip(which.tolist(), drawn.tolist(), strict=True):
        assert tuple(row) in shares(table, NAMES[name], n=200)
    assert torch.equal(table.draw(which, 0.0, seeded(2)), drawn)


def test_likeliest_row_is_the_heaviest(table: StyleTable) -> None:
    found = table.likeliest(torch.tensor([2, 0, 1, 3, 4, 5, 0])).tolist()
    expected = [("F", "2010"), ("M", "1980"), (), (), ("F",), ("M", "2010"), ("M", "1980")]
    assert [tuple(row) for row in found] == [one_hot(*values) for values in expected]


def test_values_of_columns_are_sorted_and_empty_cells_none() -> None:
    found = styles_of(ROWS)
    assert list(found.values.items()) == list(STYLES.values.items())


@pytest.mark.parametrize(("cells", "count"), [([str(i) for i in range(MAX_VALUES + 1)], MAX_VALUES + 1), (["", ""], 0)])
def test_column_of_too_many_values_or_none_is_refused(cells: list[str], count: int) -> None:
    rows = StyleRows(("decade",), tuple((f"n{i}", cell) for i, cell in enumerate(cells)), (1.0,) * len(cells))
    with pytest.raises(TrainingError, match=f"--style decade has {count} values; allowed: 1 to {MAX_VALUES}"):
        styles_of(rows)


def test_column_of_the_most_values_is_a_style() -> None:
    rows = tuple((f"n{i}", str(i)) for i in range(MAX_VALUES))
    assert len(styles_of(StyleRows(("decade",), rows, (1.0,) * MAX_VALUES))) == MAX_VALUES


def test_every_position_of_a_name_has_its_row(table: StyleTable) -> None:
    examples = Examples.of(NAMES, Vocabulary.of(NAMES))
    batches = NameBatches(examples, 4, seeded(3), styles=table)
    for _ in range(6):
        batch = batches.draw()
        [ids, positions, styles] = batch.ids, batch.positions, batch.styles  # type: ignore[attr-defined]
        starts = [*(positions == 0).nonzero()[:, 0].tolist(), len(ids)]
        for begin, end in pairwise(starts):
            name = Vocabulary.of(NAMES).decode(ids[begin + 1 : end].tolist())
            assert len({tuple(row) for row in styles[begin:end].tolist()}) == 1
            assert tuple(styles[begin].tolist()) in shares(table, name, n=200)


def test_batches_without_styles_are_those_of_before(ten_names: NamesAndVocabulary) -> None:
    batch = NameBatches(Examples.of(*ten_names), 4, seeded(3)).draw()
    assert batch.styles is None  # type: ignore[attr-defined]


def lively(n_styles: int, vocabulary: Vocabulary, config: ModelConfig = LSTM) -> Network:
    """An untrained network with other styles than zeros, in evaluation mode."""
    network = build_model(config, len(vocabulary), seeded(4), n_styles)
    for name, array in network.state_dict().items():
        if "style" in name or name == "output.weight":
            array.normal_(generator=seeded(5))
    network.eval()
    return network


@pytest.mark.parametrize("config", [LSTM, WAVENET], ids=["lstm", "wavenet"])
def test_losses_with_styles_are_those_of_each_name_alone(table: StyleTable, config: ModelConfig) -> None:
    vocabulary = Vocabulary.of(NAMES)
    network = lively(5, vocabulary, config)
    found = name_losses(network, Examples.of(NAMES, vocabulary), styles=table)
    for name, row, loss in zip(NAMES, table.likeliest(torch.arange(len(NAMES))), found, strict=True):
        codes = torch.tensor([0, *vocabulary.encode(name), 0])
        styles = row.expand(len(codes) - 1, -1)
        logs = network.names(codes[:-1], torch.arange(len(codes) - 1), styles=styles).log_softmax(1)
        assert float(loss) == pytest.approx(-float(logs.gather(1, codes[1:, None]).sum().detach()), abs=1e-4)


def spelled(letters: str) -> list[str]:
    """125 names of three to five of five letters."""
    found = []
    for i in range(125):
        parts = [letters[i % 5], letters[i // 5 % 5], letters[i // 25], letters[(i // 5 + i) % 5], letters[i % 5]]
        found.append("".join(parts[: 3 + i % 3]))
    return sorted(set(found))


def two_styles() -> Corpus:
    """A list of two kinds of names with no letter in common."""
    rows = [(name, kind) for kind, letters in (("low", LOW), ("high", HIGH)) for name in spelled(letters)]
    styles = StyleRows(("kind",), tuple(rows), (1.0,) * len(rows))
    table = "name\tkind\tweight\n" + "".join(f"{name}\t{kind}\t1\n" for name, kind in rows)
    names = tuple(name for name, _ in rows)
    return Corpus("elves", "Elves", names, "ab" * 32, 42, description=("names",), styles=styles, table=table)


def job_of(config: ModelConfig, **changes: object) -> Job:
    """A short run over the two kinds."""
    settings = TrainingConfig(model=config, batch_size=64, steps=150, eval_every=50, learning_rate=0.02)
    return Job(two_styles(), settings.model_copy(update=changes), "tiny", choose_device("cpu"))


def finished(job: Job) -> RunResult:
    """The job's result."""
    return run(job, RunCallbacks(lambda step: None, lambda: False, lambda: 0.0))


@cache
def result_of(kind: str) -> RunResult:
    """A run of an architecture that learns styles."""
    mlp = ModelConfig(architecture="mlp", block_size=3, n_embd=4, n_hidden=24)
    return finished(job_of({"lstm": LSTM, "wavenet": WAVENET, "mlp": mlp}[kind]))


@pytest.fixture(scope="module", params=["lstm", "wavenet", "mlp"])
def learned(request: pytest.FixtureRequest) -> RunResult:
    """A run of each architecture that learns styles."""
    return result_of(request.param)


def share_of(letters: str, generator: NameGenerator) -> float:
    """Which part of many names has these letters only."""
    names = generator.generate(400, seed=1, constraints=AS_DRAWN).names
    return sum(set(name) <= set(letters) for name in names) / len(names)


def test_styles_with_other_letters_are_learned(learned: RunResult, kernels: Kernels) -> None:
    generator = draft_generator(build_draft(learned, kernels, samples=50).draft, kernels)
    assert share_of(LOW, generator.styled({"kind": "low"})) >= 0.95
    assert share_of(HIGH, generator.styled({"kind": "high"})) >= 0.95
    assert 0.2 < share_of(LOW, generator) < 0.8


def test_known_styles_lower_the_loss_on_dev(learned: RunResult) -> None:
    assert learned.losses.keys() == {"train", "dev", "test", STYLED_DEV}
    assert learned.losses[STYLED_DEV] < learned.losses["dev"] - 0.05


def test_scaled_styles_count_more_and_nothing_else_changes(learned: RunResult) -> None:
    before = {name: tensor.clone() for name, tensor in learned.network.state_dict().items()}
    scaled = scaled_styles(learned.network, 2.0).state_dict()
    for name, tensor in before.items():
        assert torch.equal(scaled[name], tensor * (2.0 if "style" in name else 1.0))
    assert all(torch.equal(before[name], tensor) for name, tensor in learned.network.state_dict().items())
    assert sum("style" in name for name in before) > 0


def run_until(job: Job, state: RunState, stop_at: int, resume: bool) -> RunResult:
    """Run up to the step `stop_at` of this part."""
    seen: list[object] = []
    return run(job, RunCallbacks(seen.append, lambda: len(seen) >= stop_at, lambda: 0.0, state, resume))


@pytest.mark.parametrize("config", [LSTM, WAVENET], ids=["lstm", "wavenet"])
def test_resumed_run_with_styles_equals_whole_run(tmp_path: Path, config: ModelConfig) -> None:
    job = job_of(config, steps=20, eval_every=5)
    whole = finished(job)
    state = RunState(tmp_path / "parts", job.corpus.sha256, job.config)
    with pytest.raises(Interrupted, match="after step 7 of 20"):
        run_until(job, state, 7, resume=False)
    parts = run_until(job, state, 1000, resume=True)
    assert whole.history == parts.history
    assert whole.losses == parts.losses
    assert equal_states(whole.network, parts.network)


UNLEARNED = {
    "bigram": {"model": ModelConfig(architecture="bigram", block_size=1)},
    "gated_wavenet": {"model": ModelConfig(architecture="gated_wavenet", block_size=4, n_embd=4, n_hidden=6)},
    "windows": {"model": WAVENET, "batch": "windows"},
    "counts": {"model": ModelConfig(architecture="bigram", block_size=1), "method": "counting"},
}


@pytest.mark.parametrize("kind", UNLEARNED)
def test_list_keeps_styles_that_are_not_learned(kind: str, kernels: Kernels) -> None:
    job = job_of(LSTM, **{"steps": 3, **UNLEARNED[kind]})
    draft = build_draft(finished(job), kernels, samples=20).draft
    assert draft.files[TABLE].decode() == job.corpus.table
    assert (draft.styles, draft.metrics.keys()) == (NO_STYLES, {"train", "dev", "test"})
    assert not [name for name in draft.arrays if "style" in name]


@pytest.fixture(scope="module")
def trained() -> RunResult:
    """A run of the lstm over the two kinds."""
    return result_of("lstm")


@pytest.fixture
def styled(registry: ModelRegistry, trained: RunResult, kernels: Kernels) -> ModelRegistry:
    """A registry with the run's version as elves/lstm@1."""
    registry.publish(build_draft(trained, kernels, samples=50).draft)
    return registry


def test_network_of_a_version_has_its_styles(styled: ModelRegistry, trained: RunResult) -> None:
    assert equal_states(load_network(styled.resolve("elves")), trained.network)


def test_quantised_version_keeps_its_styles(styled: ModelRegistry, kernels: Kernels) -> None:
    source = styled.resolve("elves")
    styled.publish(quantized_draft(source, styled, kernels, samples=100))
    version = styled.resolve("elves", "lstm@2")
    assert version.manifest.styles == source.manifest.styles == {"kind": ("high", "low")}
    assert version.manifest.metrics[STYLED_DEV] == pytest.approx(source.manifest.metrics[STYLED_DEV], abs=0.02)
    expected = (source.arrays()["lstm0.style"] * 2048).round()
    assert (version.arrays()["styles"] == expected).all()
    low, high = (version.styled({"kind": kind}).generator for kind in ("low", "high"))
    assert share_of(LOW, low) >= 0.95 > 0.05 >= share_of(LOW, high)


def test_losses_of_a_version_are_computed_again(styled: ModelRegistry, kernels: Kernels) -> None:
    floats = styled.resolve("elves", "lstm")
    assert published_losses(floats) == pytest.approx(floats.manifest.metrics, abs=1e-6)
    integers = styled.resolve(None, styled.publish(quantized_draft(floats, styled, kernels, samples=100)).reference)
    assert published_losses(integers) == pytest.approx(integers.manifest.metrics, abs=1e-12)


def test_rows_of_a_version_are_those_of_its_list(styled: ModelRegistry, trained: RunResult) -> None:
    found, corpus = style_rows(styled.resolve("elves")), trained.job.corpus
    assert found == corpus.styles


def test_card_shows_new_names_of_each_style(styled: ModelRegistry) -> None:
    card = styled.resolve("elves").file("card.md").decode()
    assert re.search(r"^\| kind: high \| \w+, .*\|$", card, re.MULTILINE)
    assert re.search(r"^\| kind: low \| \w+, .*\|$", card, re.MULTILINE)


@pytest.mark.usefixtures("styled")
def test_styles_of_a_table_reach_the_manifest(tmp_path: Path, trained: RunResult) -> None:
    path, store = tmp_path / "list.csv", tmp_path / "store"
    path.write_text(trained.job.corpus.table.replace("\t", ","), "utf-8")
    options = ["--preset", "lstm", "--n-hidden", "8", "--steps", "4", "--batch-size", "32"]
    run_cli("train", "--data", path, "--name", "dwarves", "--style", "kind", *options, "--store", store)
    manifest = json.loads((store / "dwarves/lstm/1/manifest.json").read_text("utf-8"))
    assert (manifest["schema_number"], manifest["styles"]) == (2, {"kind": ["high", "low"]})
    assert STYLED_DEV in manifest["metrics"]
    assert manifest["training"]["style_dropout"] == 0.3
    assert "dev" in run_cli("evaluate", "dwarves/lstm@1", "--store", store).output
    assert len(run_cli("sample", "dwarves", "--count", "3", "--store", store).stdout.splitlines()) == 3


ALPHABET = Vocabulary.of([LOW, HIGH])


MINE = Styles({"kind": ("high", "low")})


@pytest.mark.parametrize(
    ("theirs", "copied"),
    [
        ({}, {}),
        ({"kind": ("high", "low")}, {0: 0, 1: 1}),
        ({"kind": ("low", "mid", "top")}, {1: 0}),
        ({"sex": ("low",)}, {}),
    ],
)
def test_start_gives_the_values_that_both_know(theirs: dict[str, tuple[str, ...]], copied: dict[int, int]) -> None:
    styles = Styles(theirs)
    start = WarmStart("elves/lstm@1", lively(len(styles), ALPHABET), ALPHABET, frozenset(), styles)
    network = build_model(LSTM, len(ALPHABET), seeded(6), 2)
    copy_weights(network, ALPHABET, start, MINE)
    old, new = start.network.state_dict(), network.state_dict()
    assert all(torch.equal(new[name], array) for name, array in old.items() if name != "lstm0.style")
    expected: Tensor = torch.zeros(2, 4 * LSTM.n_hidden)
    for mine, other in copied.items():
        expected[mine] = old["lstm0.style"][other]
    assert torch.equal(new["lstm0.style"], expected)


@pytest.mark.parametrize("theirs", [0, 2])
def test_start_for_a_list_without_styles_gives_none(theirs: int) -> None:
    start = WarmStart("elves/lstm@1", lively(theirs, ALPHABET), ALPHABET, frozenset())
    network = build_model(LSTM, len(ALPHABET), seeded(6))
    copy_weights(network, ALPHABET, start)
    assert network.state_dict().keys() == build_model(LSTM, len(ALPHABET), seeded(6)).state_dict().keys()


def test_styles_of_other_values_start_at_zero(styled: ModelRegistry) -> None:
    corpus, columns = two_styles(), {"high": "F", "low": "M"}
    assert corpus.styles is not None
    rows = tuple((name, columns[kind]) for name, kind in corpus.styles.rows)
    other = replace(corpus, styles=StyleRows(("sex",), rows, corpus.styles.weights))
    start, config = load_start("elves/lstm", styled, job_of(LSTM).config)
    network = new_trainer(config, other, choose_device("cpu"), start).network
    assert not network.state_dict()["lstm0.style"].any()


def test_student_learns_styles_of_its_teacher(trained: RunResult, kernels: Kernels) -> None:
    distillation = Distillation(("elves/lstm@1",), (trained.network,), kernels, 400)
    student = finished(replace(trained.job, distillation=distillation))
    generator = draft_generator(build_draft(student, kernels, samples=50).draft, kernels)
    assert share_of(LOW, generator.styled({"kind": "low"})) >= 0.9
    assert share_of(HIGH, generator.styled({"kind": "high"})) >= 0.9


def test_teacher_invents_names_for_each_style_wanted(trained: RunResult, kernels: Kernels) -> None:
    vocabulary, styles = trained.job.corpus.vocabulary, Styles({"kind": ("high", "low")})
    generator = teacher_generator(trained.network, vocabulary, 6, kernels, styles)
    wanted = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]).repeat(50, 1)
    names, values = sample_styled(generator, wanted, 1)
    assert sorted(map(tuple, values.tolist())) == sorted(map(tuple, wanted.tolist()))
    low = [name for name, row in zip(names, values.tolist(), strict=True) if row == [0.0, 1.0]]
    assert low == sample_names(generator.styled({"kind": "low"}), 50, 1)


def test_teacher_of_other_styles_is_refused(styled: ModelRegistry, kernels: Kernels, trained: RunResult) -> None:
    with pytest.raises(TrainingError, match="learned the styles kind, its student none"):
        load_teachers(("elves/lstm@1",), styled, trained.job.corpus, kernels)


def test_list_of_too_many_values_is_refused_before_training() -> None:
    job = job_of(LSTM)
    rows = tuple((name, name) for name in job.corpus.names)
    wide = replace(job.corpus, styles=StyleRows(("kind",), rows, (1.0,) * len(rows)))
    with pytest.raises(TrainingError, match="--style kind has"):
        learned_styles(job.config, wide)
