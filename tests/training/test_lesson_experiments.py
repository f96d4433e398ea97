"""Experiments of the lessons: shapes, context lengths, a notebook's sampling loop, initialisations, temperatures."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch

from models import Constraints, ModelConfig, NameGenerator
from models.inference import AS_DRAWN
from models.networks import build_model
from tests.conftest import CONFIGS, untrained
from tests.training.conftest import GeneratorAndNetwork, png_of, run_cli
from training.config import TrainingConfig
from training.corpus import Corpus
from training.dataset import Examples
from training.diagnostics.statistics import first_batch, snapshot
from training.lessons import context, notebook
from training.lessons.context import (
    FLAT,
    TREE,
    context_plot,
    counted_loss,
    flat_width,
    models_to_compare,
    parameters_of,
)
from training.lessons.context import printed_metrics as context_metrics
from training.lessons.notebook import Comparison, lines, notebook_name, uniform_number
from training.lessons.shapes import layer_shapes, max_logit_difference
from training.lessons.starts import INITIALISATIONS, initialise, saturated_share, starts_plot, try_starts, uniform_loss
from training.lessons.temperatures import SHOWN, TEMPERATURES, character_log_prob, expect, sample_at, temperatures_plot
from training.lessons.temperatures import printed_metrics as temperature_metrics
from training.trainer import Step

SHAPE = ModelConfig(architecture="wavenet", block_size=8, n_embd=24, n_hidden=128)
DEEP = ModelConfig(architecture="mlp", block_size=4, n_embd=8, n_hidden=100, n_layers=3)


@pytest.fixture
def generator(any_generator: GeneratorAndNetwork) -> NameGenerator:
    """A generator of each architecture."""
    return any_generator[0]


def test_tree_halves_positions_and_doubles_channels() -> None:
    network = build_model(CONFIGS["wavenet"], 27, torch.Generator())
    shapes = {layer.name: layer.shape for layer in layer_shapes(network, torch.zeros(5, 8, dtype=torch.int64))}
    assert shapes["embedding"] == (5, 8, 6)
    assert (shapes["join0"], shapes["join1"], shapes["join2"]) == ((5, 4, 12), (5, 2, 40), (5, 40))
    assert shapes["output"] == (5, 27)


@pytest.mark.parametrize("name", ["bigram", "mlp", "deep_mlp", "wavenet", "gated_wavenet"])
def test_shapes_count_every_parameter_once(name: str) -> None:
    """An MLP has V C + T C H + 2 H + H V + V parameters."""
    network = build_model(CONFIGS[name], 27, torch.Generator())
    found = layer_shapes(network, torch.zeros(4, CONFIGS[name].block_size, dtype=torch.int64))
    assert sum(layer.learned for layer in found) == network.parameter_count
    if name == "mlp":
        assert network.parameter_count == 27 * 5 + 3 * 5 * 16 + 2 * 16 + 16 * 27 + 27


@pytest.mark.parametrize("name", ["mlp", "wavenet", "gated_wavenet"])
def test_windows_and_whole_names_give_same_logits(name: str, corpus: Corpus) -> None:
    network = untrained(CONFIGS[name], len(corpus.vocabulary))
    examples = Examples.of(corpus.names[:40], corpus.vocabulary)
    assert max_logit_difference(network, examples) < 1e-4
    windows = network.windows
    network.windows = lambda X: windows(X.roll(1, dims=1))  # type: ignore[method-assign]
    assert max_logit_difference(network, examples) > 0.01


def test_shapes_command_prints_shapes_and_parameters() -> None:
    result = run_cli("shapes", "wavenet")
    assert "(218, 2, 256)" in result.output
    assert "parameters: 76579\n" in result.output


def test_flat_and_tree_networks_have_nearest_possible_sizes() -> None:
    pairs: dict[int, dict[str, ModelConfig]] = {}
    for model in models_to_compare(SHAPE, 27):
        pairs.setdefault(model.block_size, {})[model.kind] = model.config
    both = {TREE, FLAT}
    assert {size: set(pair) for size, pair in pairs.items()} == {1: {FLAT}, 2: {TREE}, 4: both, 8: both, 16: both}
    for pair in (pairs[4], pairs[8], pairs[16]):
        goal, width = parameters_of(pair[TREE], 27), pair[FLAT].n_hidden
        sizes = [parameters_of(pair[FLAT].model_copy(update={"n_hidden": width + d}), 27) for d in (0, -1, 1)]
        assert abs(sizes[0] - goal) == min(abs(size - goal) for size in sizes)
        assert pair[TREE].n_hidden == 128


def test_tree_and_flat_network_of_two_characters_are_equal() -> None:
    flat = SHAPE.model_copy(update={"architecture": "mlp", "block_size": 2, "n_layers": 1})
    tree = SHAPE.model_copy(update={"block_size": 2})
    one, other = (build_model(config, 27, torch.Generator()).state_dict() for config in (flat, tree))
    assert {name: array.shape for name, array in one.items()} == {name: array.shape for name, array in other.items()}
    assert flat_width(parameters_of(tree, 27), flat, 27) == 128


def test_context_experiment_trains_every_network_alike(corpus: Corpus) -> None:
    config = TrainingConfig(model=SHAPE, batch_size=32, steps=5, eval_every=5, seed=2)
    networks = list(models_to_compare(SHAPE.model_copy(update={"n_hidden": 6, "n_embd": 3}), len(corpus.vocabulary)))
    steps: list[Step] = []
    results = context.compare(config, corpus, steps.append, networks)
    assert [step.step for step in steps] == [1, 2, 3, 4, 5] * len(networks)
    assert [one.model for one in results] == networks
    for one in results:
        assert one.parameters == parameters_of(one.model.config, len(corpus.vocabulary))
        assert 0 < one.dev < 4
    counting = counted_loss(corpus)
    assert list(context_metrics(results, counting).values()) == [counting, *(one.dev for one in results)]
    png_of(lambda: context_plot(results, counting))


@pytest.mark.slow
def test_longer_context_beats_bigram(corpus: Corpus) -> None:
    """The names have syllables of two letters: four characters help, one does not."""
    config = TrainingConfig(model=SHAPE, batch_size=64, steps=200, eval_every=200, learning_rate=0.02, seed=1)
    shape = SHAPE.model_copy(update={"n_hidden": 24, "n_embd": 8})
    networks = [
        s for s in models_to_compare(shape, len(corpus.vocabulary)) if (s.kind, s.block_size) in ((FLAT, 1), (TREE, 4))
    ]
    one, four = context.compare(config, corpus, lambda step: None, networks)
    bigram = counted_loss(corpus)
    assert one.dev == pytest.approx(bigram, abs=0.1)
    assert four.dev < bigram - 0.1


def test_notebook_loop_draws_names_of_the_service(any_generator: GeneratorAndNetwork) -> None:
    generator, network = any_generator
    progress: list[tuple[int, int]] = []
    clock = itertools.count(0.0, 1.5)
    found = notebook.compare(network, generator, 120, 3, lambda: next(clock), lambda *done: progress.append(done))
    assert found.different == 0
    assert len(set(found.notebook)) > 10
    assert list(found.service) == generator.generate(len(found.notebook), seed=3, constraints=AS_DRAWN).names
    assert found.difference < 1e-4
    assert (found.notebook_seconds, found.service_seconds) == (1.5, 1.5)
    assert progress == [(i, 120) for i in range(1, 121)]


def test_notebook_comparison_detects_other_weights(any_generator: GeneratorAndNetwork) -> None:
    generator, network = any_generator
    other = untrained(network.config, generator.vocab_size, seed=2)
    found = notebook.compare(other, generator, 30, 3, lambda: 0.0, lambda *progress: None)
    assert found.different > 5
    assert found.difference > 0.01


def test_random_numbers_are_uniform_and_distinct() -> None:
    words = np.array([[uniform_number(7, index, t) for t in range(8)] for index in range(500)])
    assert ((words >= 0) & (words < 1)).all()
    assert np.histogram(words, bins=10, range=(0, 1))[0] == pytest.approx(np.full(10, 400), abs=80)
    assert len(np.unique(words)) > 3990


def test_notebook_rejects_overlong_candidates_of_the_service(any_generator: GeneratorAndNetwork) -> None:
    generator, network = any_generator
    drawn = [notebook_name(network, generator.vocabulary, 3, 1, index) for index in range(60)]
    _, lengths = generator.prepare(constraints=Constraints(max_length=3)).draw(1, 0, 60)
    assert [name is None for name in drawn] == (lengths < 0).tolist()
    assert {len(name) for name in drawn if name is not None} <= {1, 2, 3}


def test_notebook_report_counts_different_and_missing_names() -> None:
    found = Comparison(["anna", "bob", "eve"], ["anna", "rob"], 2.0, 0.5, 2.5e-6)
    assert found.different == 2
    report = lines(found)
    assert "the notebook says: Anna, Bob, Eve" in report
    assert "the service draws 4 names a second" in report
    assert report[-2:] == ["names that differ: 2", "logits apart by at most: 2.5e-06"]


def first_shares(corpus: Corpus, seed: int) -> dict[str, tuple[float, float]]:
    """The saturated share of the first layer and the first loss, by the name of the start."""
    batch = first_batch(Examples.of(corpus.names, corpus.vocabulary), 100, 1)
    found = {}
    for start in INITIALISATIONS:
        network = build_model(DEEP, len(corpus.vocabulary), torch.Generator().manual_seed(seed))
        initialise(network, start)
        statistics = snapshot(network, batch)
        assert statistics.activations[0].share is not None
        found[start.name] = statistics.activations[0].share, statistics.loss
    return found


@pytest.mark.parametrize("spread", [0.5, 1.0, 5 / 3, 6.0])
def test_saturated_share_equals_that_of_random_draws(spread: float) -> None:
    draws = np.random.default_rng(0).standard_normal(1_000_000)
    assert saturated_share(spread) == pytest.approx((np.abs(np.tanh(draws * spread)) > 0.97).mean(), abs=0.002)


def test_first_layer_saturates_as_closed_form_predicts(corpus: Corpus) -> None:
    """The sum of 32 products of unit normals spreads by sqrt(32), Kaiming's by 5/3, and after BatchNorm by 1."""
    found = [first_shares(corpus, seed) for seed in range(8)]
    spreads = {"all weights unit normal": 32**0.5, "Kaiming": 5 / 3, "Kaiming and BatchNorm": 1.0}
    for name, spread in spreads.items():
        share = np.mean([shares[name][0] for shares in found])
        assert share == pytest.approx(saturated_share(spread), abs=0.05), name


def test_only_large_output_weights_start_above_uniform_loss(corpus: Corpus) -> None:
    V = len(corpus.vocabulary)
    assert uniform_loss(V) == -np.log(np.full(V, 1 / V)).mean()
    shares = first_shares(corpus, 1)
    for start in INITIALISATIONS:
        _, loss = shares[start.name]
        assert (
            loss > 2 * uniform_loss(V) if start.unit_normal_output else loss == pytest.approx(uniform_loss(V), abs=0.1)
        )


def test_batchnorm_cancels_the_scale_of_weights(corpus: Corpus) -> None:
    shares = first_shares(corpus, 3)
    assert shares["unit normal and BatchNorm"] == pytest.approx(shares["Kaiming and BatchNorm"], abs=1e-4)
    assert shares["small logits"][0] > shares["Kaiming"][0] + 0.2


def test_initialisation_experiment_trains_every_start_alike(corpus: Corpus) -> None:
    config = TrainingConfig(model=DEEP, batch_size=32, steps=6, eval_every=6, seed=2)
    steps: list[Step] = []
    results = try_starts(config, corpus, steps.append)
    assert [result.start for result in results] == list(INITIALISATIONS)
    assert Counter(step.step for step in steps) == dict.fromkeys(range(1, 7), len(INITIALISATIONS))
    assert all(math.isfinite(result.dev) and len(result.losses) == 6 for result in results)
    assert try_starts(config, corpus, lambda step: None, INITIALISATIONS[2:3])[0].losses == results[2].losses
    png_of(lambda: starts_plot(results, uniform_loss(len(corpus.vocabulary))))


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temperature_raises_probabilities_to_a_power(generator: NameGenerator, temperature: float) -> None:
    """Dividing logits by T raises probabilities to 1/T, up to normalisation."""
    plain, bent = (expect(generator, "ka", t).probabilities for t in (1.0, temperature))
    powers = {character: p ** (1 / temperature) for character, p in plain.items()}
    total = sum(powers.values())
    assert bent == pytest.approx({character: p / total for character, p in powers.items()}, abs=2e-4)


def test_entropy_equals_closed_form_and_grows_with_temperature(generator: NameGenerator) -> None:
    entropies = [expect(generator, "ka", t).entropy for t in TEMPERATURES]
    p = np.array(list(expect(generator, "ka", 1.0).probabilities.values()))
    assert entropies[TEMPERATURES.index(1.0)] == pytest.approx(float(-(p[p > 0] * np.log(p[p > 0])).sum()))
    assert entropies == sorted(entropies)
    assert entropies[-1] < math.log(generator.vocab_size)


def test_sample_counts_new_and_repeated_names(generator: NameGenerator) -> None:
    one = sample_at(generator, 0.25, 300)
    assert one == sample_at(generator, 0.25, 300)
    known = NameGenerator(generator.predictor, [*generator.names, *one.first], generator.longest, generator.kernels)
    counted = sample_at(known, 0.25, 300)
    assert counted.new <= one.new
    assert (counted.repeated, counted.log_prob) == (one.repeated, one.log_prob)
    nothing = NameGenerator(generator.predictor, [], generator.longest, generator.kernels)
    assert sample_at(nothing, 0.25, 300).new == 1
    assert sample_at(nothing, 0.25, 300).repeated > sample_at(nothing, 2.0, 300).repeated


def test_log_probability_is_mean_over_characters(generator: NameGenerator) -> None:
    names = ["ka", "lomirentu"]
    steps = [step.log_prob for score in generator.score(names) for step in score.characters]
    assert len(steps) == 3 + 10
    assert character_log_prob(generator, names) == pytest.approx(float(np.mean(steps)), abs=1e-5)


def test_temperatures_have_metrics_and_a_reproducible_plot(generator: NameGenerator) -> None:
    expectations = [expect(generator, "ka", t) for t in SHOWN]
    samples = [sample_at(generator, t, 50) for t in TEMPERATURES]
    found = temperature_metrics("ka", expectations, samples)
    assert len(found) == 3 * len(SHOWN)
    assert found['entropy after "ka" at temperature 2'] == expectations[2].entropy
    assert found["share of new names at temperature 2"] == samples[-1].new
    png_of(lambda: temperatures_plot("ka", expectations, samples))
