"""Going on from another list's network, and learning from published ones: characters find their places, and what would
not be fair is refused.
"""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from models import Draft, Kernels, ModelConfig, ModelRegistry, Vocabulary
from models.networks import build_model
from training.cli import main
from training.config import TrainingConfig, load_config
from training.corpus import Corpus
from training.errors import TrainingError
from training.origins import seen, start_from, strangers, taught_by
from training.run import Job, Watch, run
from training.transfer import Start, begin

LSTM = ModelConfig(architecture="lstm", block_size=64, n_embd=5, n_hidden=8)


def start_of(alphabet: str, config: ModelConfig = LSTM) -> Start:
    """A network that nobody trained over `alphabet`."""
    vocabulary = Vocabulary.of([alphabet])
    network = build_model(config, len(vocabulary), torch.Generator().manual_seed(3))
    network.state_dict()["output.bias" if "output.bias" in network.state_dict() else "embedding.weight"].normal_()
    return Start("elves/lstm@1", network, vocabulary, frozenset({"abba", "cab"}))


def test_characters_take_their_weights_along() -> None:
    """After the move the logits over shared characters are the old network's, wherever those characters stand now."""
    start, vocabulary = start_of("abcxy"), Vocabulary.of(["zcba"])
    network = build_model(LSTM, len(vocabulary), torch.Generator().manual_seed(4))
    begin(network, vocabulary, start)
    positions = torch.arange(4)
    old, new = (torch.tensor([0, *v.encode("cab")]) for v in (start.vocabulary, vocabulary))
    theirs, ours = start.network.names(old, positions), network.names(new, positions)
    for character in ("a", "b", "c"):
        i, j = (v.encode(character)[0] for v in (start.vocabulary, vocabulary))
        torch.testing.assert_close(ours[:, j], theirs[:, i])
    torch.testing.assert_close(ours[:, 0], theirs[:, 0])


def test_new_characters_stay_fresh() -> None:
    """A character that only the new list has keeps the numbers that it was given by chance."""
    vocabulary = Vocabulary.of(["abcz"])
    fresh, moved = (build_model(LSTM, len(vocabulary), torch.Generator().manual_seed(4)) for _ in range(2))
    begin(moved, vocabulary, start_of("abc"))
    z = vocabulary.encode("z")[0]
    a, b = fresh.state_dict(), moved.state_dict()
    assert torch.equal(a["embedding.weight"][z], b["embedding.weight"][z])
    assert torch.equal(a["output.weight"][:, z], b["output.weight"][:, z])
    assert not torch.equal(a["lstm0.hidden"], b["lstm0.hidden"])


@pytest.mark.parametrize(
    "config",
    [
        LSTM.model_copy(update={"n_hidden": 9}),
        ModelConfig(architecture="mlp"),
        ModelConfig(architecture="bigram", block_size=1),
    ],
    ids=repr,
)
def test_another_shape_is_refused(config: ModelConfig) -> None:
    """A network of another shape cannot take the weights, and a bigram has none to take but characters."""
    network = build_model(config, 4, torch.Generator())
    start = start_of("abc", config if config.architecture == "bigram" else LSTM)
    with pytest.raises(TrainingError, match="cannot be started from"):
        begin(network, Vocabulary.of(["abc"]), start)


def test_a_run_begins_where_its_start_ended(corpus: Corpus) -> None:
    """A run of one tiny step from a start has the start's loss, and its origin says so."""
    config = TrainingConfig(model=LSTM, steps=1, batch_size=8, learning_rate=1e-9)
    start = start_of("".join(sorted(set("".join(corpus.names)))))
    outcome = run(
        Job(corpus, config, "lstm", torch.device("cpu"), start=start), Watch(lambda _: None, lambda: False, lambda: 0.0)
    )
    state = outcome.network.state_dict()
    for name, array in start.network.state_dict().items():
        torch.testing.assert_close(state[name], array, atol=1e-6, rtol=0)
    assert outcome.job.origin() == {"start": "elves/lstm@1"}


def test_a_start_gives_the_run_its_shape(registry: ModelRegistry, elf_draft: Draft) -> None:
    """The version's own shape replaces the preset's; another architecture is refused with the allowed one."""
    registry.publish(elf_draft)
    config = load_config("wavenet", "dwarves", {})
    start, changed = start_from("elves/wavenet", registry, config)
    assert changed.model == elf_draft.config != config.model
    assert start.names == frozenset(elf_draft.names)
    with pytest.raises(TrainingError, match="allowed: a preset of the architecture wavenet"):
        start_from("elves", registry, load_config("mlp", "dwarves", {}))


def test_teachers_of_another_list_or_split_are_refused(
    registry: ModelRegistry, elf_draft: Draft, corpus: Corpus, kernels: Kernels
) -> None:
    """Who saw other dev names cannot teach; who learned from the same list and split can."""
    registry.publish(elf_draft)
    same = replace(corpus, sha256=elf_draft.data.sha256)
    assert taught_by(["elves/wavenet@1"], registry, same, kernels).names == ("elves/wavenet@1",)
    for other in (corpus, replace(same, split_seed=43)):
        with pytest.raises(TrainingError, match="it has seen other dev names"):
            taught_by(["elves"], registry, other, kernels)


def test_names_that_a_start_has_seen_are_counted(corpus: Corpus) -> None:
    """Only dev and test names count: those that the losses are measured on."""
    split = corpus.split
    start = replace(start_of("abc"), names=frozenset({*split.train[:9], *split.dev[:2], split.test[0], "nobody"}))
    assert seen(start, corpus) == 3


@pytest.mark.parametrize(
    ("alphabet", "words"), [("abc", ""), ("ab", ""), ("a", "only 1 of the 4"), ("xy", "none of the 4")]
)
def test_a_start_of_another_alphabet_is_warned_of(corpus: Corpus, alphabet: str, words: str) -> None:
    """A start that knows half of the list's characters is fine; less than that, or nothing at all, is one line."""
    line = strangers(start_of(alphabet), replace(corpus, names=("abcd", "dabba")))
    assert bool(line) == bool(words)
    assert words in line
    assert "\n" not in line


def test_the_warning_goes_to_stderr(tmp_path: Path) -> None:
    """A Cyrillic list that starts from the human names is trained, and the warning does not mix with the output."""
    (tmp_path / "list.txt").write_text("\n".join(map("".join, itertools.product("ибанк", repeat=3))), "utf-8")
    given = ["--data", str(tmp_path / "list.txt"), "--name", "cities", "--preset", "wavenet", "--steps", "2"]
    result = CliRunner().invoke(
        main, ["train", *given, "--start", "human/wavenet", "--dry-run", "--store", str(tmp_path / "store")]
    )
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith("Warning: human/wavenet@")
    assert "knows none of the 5 characters of this list" in result.stderr
    assert "Warning" not in result.stdout
