"""A short list takes what is best in cross-validation: a fine-tuned shipped version, or counts."""

import re
from math import log
from pathlib import Path

import pytest
import torch

from models import Kernels, ModelRegistry, Vocabulary
from tests.training.conftest import run_cli
from training.config import load_config
from training.corpus import Corpus
from training.run import Job, RunCallbacks, run
from training.search import short_list
from training.search.short_list import Candidate, candidates

CPU = torch.device("cpu")
SYLLABLES = ["zor", "qua", "mi", "ten", "vexa", "lu"]
# Made of syllables, so that a pair of characters says little and a network much; in neither shipped list.
INVENTED = tuple(a + b + c for a in SYLLABLES for b in SYLLABLES for c in ("zo", "zix"))


def job_of(names: tuple[str, ...], weights: tuple[float, ...] | None = None) -> Job:
    corpus = Corpus("elves", "elves", names, "0" * 64, 42, weights=weights)
    return Job(corpus, load_config("wavenet", "elves", {}), "wavenet", CPU)


def found_for(job: Job, kernels: Kernels, steps: int, monkeypatch: pytest.MonkeyPatch) -> list[Candidate]:
    monkeypatch.setattr(short_list, "STEPS", steps)
    return candidates(job, kernels, lambda done, total: None)


def lidstone_loss(train: list[str], held_out: list[str], symbols: int) -> tuple[float, int]:
    """The nats of the held-out names, and their characters, by plain counting."""
    pairs = [f"{a}{b}" for name in train for a, b in zip(f".{name}", f"{name}.", strict=True)]
    nats = 0.0
    for name in held_out:
        for a, b in zip(f".{name}", f"{name}.", strict=True):
            row = sum(pair[0] == a for pair in pairs)
            nats -= log((pairs.count(a + b) + short_list.SMOOTHING) / (row + short_list.SMOOTHING * symbols))
    return nats, sum(len(name) + 1 for name in held_out)


def cross_validated(job: Job, known: frozenset[str]) -> float:
    names = [*job.corpus.split.train, *job.corpus.split.dev]
    sums = [
        lidstone_loss(
            [name for j, name in enumerate(names) if j % 5 != k],
            [name for name in names[k::5] if name not in known],
            len(job.corpus.vocabulary),
        )
        for k in range(5)
    ]
    return sum(nats for nats, _ in sums) / sum(characters for _, characters in sums)


def test_loss_of_counts_is_that_of_plain_counting(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(INVENTED)
    counts = next(each for each in found_for(job, kernels, short_list.EVERY, monkeypatch) if each.job.start is None)
    assert counts.loss == pytest.approx(cross_validated(job, frozenset()), rel=1e-5)


def test_fine_tuning_beats_counts_on_syllables(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    found = found_for(job_of(INVENTED), kernels, 30, monkeypatch)
    losses = [each.loss for each in found]
    assert losses == sorted(losses)
    assert found[-1].job.start is None
    starts = {each.job.start.name for each in found if each.job.start}
    assert len(starts) == short_list.STARTS
    assert starts < {version.reference for version in ModelRegistry.open(kernels).versions()}
    assert all(each.job.config.steps % short_list.EVERY == 0 for each in found if each.job.start)


def test_names_of_shipped_lists_do_not_count_as_held_out(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    some = sorted(ModelRegistry.open(kernels).resolve(None, "human/lstm@6").generator.names)[:200]
    job = job_of((*some, *INVENTED[:40]))
    found = found_for(job, kernels, short_list.EVERY, monkeypatch)
    known = {name for each in found if each.job.start for name in job.corpus.names if name in each.job.start.names}
    assert len(known) >= 200
    counts = next(each for each in found if each.job.start is None)
    assert counts.loss == pytest.approx(cross_validated(job, frozenset(known)), rel=1e-5)


def test_a_list_of_shipped_names_alone_still_counts(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    known = sorted(ModelRegistry.open(kernels).resolve(None, "human/lstm@6").generator.names)[:40]
    job = job_of(tuple(known))
    found = found_for(job, kernels, short_list.EVERY, monkeypatch)
    assert found[-1].loss == pytest.approx(cross_validated(job, frozenset()), rel=1e-5)
    human = next(each for each in found if each.job.start and each.job.start.name == "human/lstm@6")
    assert str(human).endswith(
        f"(it had seen {len(job.corpus.split.train) + len(job.corpus.split.dev)} of these names)"
    )


def test_weights_of_names_reach_both_kinds(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    heavy = tuple(1000.0 if name.startswith("zor") else 1.0 for name in INVENTED)
    plain, weighted = (
        {each.job.start.name if each.job.start else "": each.loss for each in found}
        for found in (
            found_for(job_of(INVENTED, weights), kernels, short_list.EVERY, monkeypatch) for weights in (None, heavy)
        )
    )
    assert plain.keys() == weighted.keys()
    assert all(plain[name] != weighted[name] for name in plain)


def test_chosen_steps_train_as_in_the_folds(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    best = found_for(job_of(INVENTED), kernels, 20, monkeypatch)[0]
    result = run(best.job, RunCallbacks(lambda _: None, lambda: False, lambda: 0.0))
    assert len(result.history.losses) == result.best_step == best.job.config.steps
    assert result.losses["dev"] < log(len(Vocabulary.of(INVENTED)))


def test_card_tells_the_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short_list, "STEPS", 10)
    file = tmp_path / "elves.txt"
    file.write_text("\n".join(INVENTED))
    output = run_cli("train", "--data", file, "--name", "elves", "--store", tmp_path / "store").output
    card = next((tmp_path / "store/elves").rglob("card.md")).read_text()
    figures = re.findall(r"Held-out names in 5-fold cross-validation, (\S+).*: (\d\.\d{4})", card)
    assert sorted(re.sub(r"^\w+/lstm@\d,?$", "lstm", name) for name, _ in figures) == ["counts", "lstm", "lstm"]
    assert all(figure in output for _, figure in figures)


@pytest.mark.parametrize(
    "options", ["--preset bigram", "--preset lstm-fine-tune --start human/lstm@4 --steps 1", "--n-hidden 8 --steps 1"]
)
def test_a_chosen_model_is_not_replaced(options: str, tmp_path: Path) -> None:
    file = tmp_path / "elves.txt"
    file.write_text("\n".join(INVENTED))
    command = ("train", "--data", file, "--name", "elves", "--store", tmp_path / "store", "--dry-run")
    assert "held-out" not in run_cli(*command, *options.split()).output
