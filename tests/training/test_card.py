"""The model card and its loss plot."""

from dataclasses import replace

import pytest

from tests.training.conftest import png_of
from training.config import TrainingConfig
from training.corpus import Corpus
from training.diagnostics.plots import EXPLANATIONS
from training.model_card import Card, write_card
from training.plots import loss_plot
from training.sampling_stats import SamplingStats
from training.trainer import History, smoothed


@pytest.fixture
def card(corpus: Corpus, tiny_config: TrainingConfig) -> Card:
    """The card of an invented run."""
    sampling_stats = [SamplingStats(0.5, 0.125, 0.5, ("Mi_Ra", "O'Brien")), SamplingStats(1.0, 0.9, 0.01, ("Renlo",))]
    losses = {"train": 1.25, "dev": 2.125, "test": 2.1875}
    return Card(corpus, tiny_config, "tiny", 4321, losses, 10, 3.0, sampling_stats, True, ["Better than chance."])


def test_card_states_origin_losses_settings_and_limits(card: Card) -> None:
    text = write_card(card)
    expected = ["CC0-1.0", "nobody", "Thanks to nobody.", "200 train, 25 dev, 25 test", "| split seed | 42 |", "4,321"]
    expected += ["| train | 1.2500 |", "| dev | 2.1250 |", "| test | 2.1875 |", "| 0.5 | 12.5% | 50.0% |", "Renlo"]
    expected += ["| `learning_rate` | `0.01` |", "- Better than chance.", "![Loss over steps](loss.png)", "## Limits"]
    assert [words for words in expected if words not in text] == []


def test_card_explains_each_of_its_pictures(card: Card) -> None:
    shown = tuple(EXPLANATIONS)[:2]
    text = write_card(replace(card, pictures=shown))
    for name in shown:
        assert f"![{name}]({name})\n\n{EXPLANATIONS[name]}" in text
    assert text.index("## How it was trained") < text.index("## Seen from inside") < text.index("## Limits")
    assert "## Seen from inside" not in write_card(card)


def test_card_escapes_markdown_in_names(card: Card) -> None:
    assert "Mi\\_Ra, O'Brien" in write_card(card)


def test_card_of_own_list_invents_no_notice_or_licence(card: Card, corpus: Corpus) -> None:
    own = Corpus("mine", "mine", corpus.names, corpus.sha256, 42)
    text = write_card(Card(own, card.config, "tiny", 1, card.losses, 1, 1.0, [], False))
    assert "not stated" in text
    assert "## Notice" not in text
    assert "loss.png" not in text


def test_smoothing_averages_neighbouring_steps() -> None:
    losses = [3.0 - i / 1000 for i in range(1000)]
    steps, means = smoothed(losses, points=200)
    assert len(steps) == len(means) == 200
    assert steps[0] == 3.0  # the middle of steps 1 to 5
    assert sum(means) / 200 == pytest.approx(sum(losses) / 1000)
    assert means == sorted(means, reverse=True)


def test_short_run_is_not_smoothed() -> None:
    assert smoothed([3.0, 2.0, 1.0]) == ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0])


@pytest.mark.parametrize("dev", [[], [(2, 2.4), (4, 2.1)]])
def test_loss_plot_is_reproducible(dev: list[tuple[int, float]]) -> None:
    png_of(lambda: loss_plot(History([3.3, 2.8, 2.5, 2.2], dev), "elves/wavenet", best_step=4))


def test_loss_plot_without_steps_is_rejected() -> None:
    with pytest.raises(ValueError, match="no plot"):
        loss_plot(History(), "elves/wavenet", best_step=0)
