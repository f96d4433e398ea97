"""Training on lists with combining marks: weights that characters share, smoothing by code points, and figures."""

import itertools
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from models import ModelConfig, Vocabulary
from models.networks import bigram_by_counting, build_model, count_bigrams, folded
from models.spelling import clusters
from tests.training.conftest import BIGRAM, TINY, run_cli
from training.config import TrainingConfig
from training.corpus import Corpus
from training.dataset import Examples
from training.evaluation import name_losses
from training.run import Job, RunCallbacks, run
from training.sampling_stats import count_odd_marks
from training.transfer import WarmStart, copy_weights

# Made up: each name of two or three syllables.
SYLLABLES = ("का", "कि", "रा", "रि", "मो", "नी", "क्ष", "स्मा")
NAMES = tuple(dict.fromkeys(a + b + c for a in SYLLABLES for b in SYLLABLES for c in ("", "न", "ली")))
VOCABULARY = Vocabulary.of_clusters(NAMES)
LSTM = ModelConfig(architecture="lstm", block_size=64, n_embd=4, n_hidden=6)
CORPUS = Corpus("mine", "mine", NAMES, "0" * 64, 42)


@pytest.mark.parametrize("config", [TINY, LSTM, BIGRAM])
def test_folded_network_has_the_losses_of_shared_weights(config: ModelConfig) -> None:
    network = build_model(config, len(VOCABULARY), torch.Generator().manual_seed(1), pieces=VOCABULARY.pieces)
    for parameter in network.parameters():
        parameter.detach().add_(0.1)
    examples = Examples.of(NAMES[:20], VOCABULARY)
    plain = folded(network, len(VOCABULARY))
    assert plain.state_dict().keys() == build_model(config, len(VOCABULARY), torch.Generator()).state_dict().keys()
    torch.testing.assert_close(name_losses(plain, examples), name_losses(network, examples), rtol=1e-5, atol=1e-5)


def test_characters_of_the_same_letters_start_with_their_sum() -> None:
    network = build_model(LSTM, len(VOCABULARY), torch.Generator().manual_seed(1), pieces=VOCABULARY.pieces)
    rows = network.to_arrays()["embedding.weight"]
    ka, ki, ra, ri = (rows[VOCABULARY.stoi[c]] for c in ("का", "कि", "रा", "रि"))
    np.testing.assert_allclose(ka - ki, ra - ri, atol=1e-5)


def test_smoothing_of_clusters_follows_pairs_of_code_points() -> None:
    """The definition with dictionaries: pairs within a character, its end included, and pairs across two of them."""
    names, smoothing = ["किका", "राका", "रि"], 0.5
    vocabulary = Vocabulary.of_clusters(names)
    letters = ["", *sorted(set("".join(names)))]
    spelled = ["", *vocabulary.characters]
    across, within = ({(a, b): smoothing for a in letters for b in letters} for _ in range(2))
    for name in names:
        parts = ["", *clusters(name), ""]
        for a, b in itertools.pairwise(parts):
            across[a[-1:], b[:1]] += 1
            for c, d in zip(b or [""], [*b[1:], ""], strict=True):
                within[c, d] += 1
    N = count_bigrams(names, vocabulary)
    network = bigram_by_counting(names, vocabulary, smoothing)
    for i, a in enumerate(spelled):
        q = []
        for b in spelled:
            p = across[a[-1:], b[:1]] / sum(across[a[-1:], c] for c in letters)
            for c, d in zip(b or [""], [*b[1:], ""], strict=True):
                p *= within[c, d] / sum(within[c, e] for e in letters)
            q.append(p)
        row = N[i].double() + smoothing * len(spelled) * torch.tensor(q).double() / sum(q)
        found = network.state_dict()["embedding.weight"][i].double().exp()
        torch.testing.assert_close(found, row / row.sum(), rtol=1e-5, atol=1e-7)


def test_unknown_cluster_starts_with_the_weights_of_its_letter() -> None:
    theirs, mine = Vocabulary.of(["कर"]), Vocabulary.of_clusters(["किर"])
    start, network = (build_model(LSTM, len(v), torch.Generator().manual_seed(s)) for s, v in ((1, theirs), (2, mine)))
    copy_weights(network, mine, WarmStart("elves/lstm@1", start, theirs, frozenset()))
    old, new = (each.to_arrays()["embedding.weight"] for each in (start, network))
    assert (new[mine.stoi["कि"]] == old[theirs.stoi["क"]]).all()
    assert (new[mine.stoi["र"]] == old[theirs.stoi["र"]]).all()


def test_run_returns_a_plain_network_of_lower_loss() -> None:
    config = TrainingConfig(model=TINY, steps=60, batch_size=32, eval_every=20)
    callbacks = RunCallbacks(lambda step: None, lambda: False, time.monotonic)
    result = run(Job(CORPUS, config, "tiny", torch.device("cpu")), callbacks)
    assert CORPUS.vocabulary.clustered
    assert "embedding.shared" not in result.network.state_dict()
    assert result.losses["dev"] < np.log(len(VOCABULARY)) - 0.5


def test_odd_marks_are_counted_by_name() -> None:
    listed = ["कीं", "रि"]
    assert count_odd_marks(["रि", "िर", "कीं", "रिि", "र", ""], listed) == (1, 1)


@pytest.mark.parametrize("preset", ["bigram", "wavenet"])
def test_train_and_evaluate_print_figures_of_marks(tmp_path: Path, preset: str) -> None:
    path, store = tmp_path / "names.txt", tmp_path / "store"
    path.write_text("\n".join(NAMES), "utf-8")
    few = () if preset == "bigram" else ("--steps", "20")
    trained = run_cli("train", "--data", path, "--name", "mine", "--preset", preset, *few, "--store", store)
    lines = (
        f"characters: {len(VOCABULARY) - 1} grapheme clusters",
        "names that begin with a combining mark: 0 of ",
        "names with two marks in a row that no listed name has: 0 of ",
    )
    evaluated = run_cli("evaluate", "mine", "--store", store)
    for line in lines:
        assert line in trained.output
        assert line in evaluated.output
