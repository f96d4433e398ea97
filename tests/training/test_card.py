"""The model card says where the names come from, how good the model is, and shows names as they are."""

import pytest

from training.card import Card, write_card
from training.config import TrainingConfig
from training.corpus import Corpus
from training.invention import Invention


@pytest.fixture
def card(corpus: Corpus, tiny_config: TrainingConfig) -> Card:
    """A card of a run that nobody made."""
    inventions = [Invention(0.5, 0.125, 0.5, ("mi_ra", "o'brien")), Invention(1.0, 0.9, 0.01, ("renlo",))]
    losses = {"train": 1.25, "dev": 2.125, "test": 2.1875}
    return Card(corpus, tiny_config, "tiny", 4321, losses, 10, 3.0, inventions, True, ["Better than chance."])


def test_the_card_tells_all_that_it_must(card: Card) -> None:
    """Licence, source, notice, split, losses, shares, hyperparameters, comparison, plot and limits are in it."""
    text = write_card(card)
    told = ["CC0-1.0", "nobody", "Thanks to nobody.", "200 train, 25 dev, 25 test", "| split seed | 42 |", "4,321"]
    told += ["| train | 1.2500 |", "| dev | 2.1250 |", "| test | 2.1875 |", "| 0.5 | 12.5% | 50.0% |", "Renlo"]
    told += ["| `learning_rate` | `0.01` |", "- Better than chance.", "![Loss over steps](loss.png)", "## Limits"]
    assert [words for words in told if words not in text] == []


def test_names_cannot_change_the_layout(card: Card) -> None:
    """Characters that Markdown would take for markup are shown as they are."""
    assert "Mi\\_Ra, O'Brien" in write_card(card)


def test_a_list_without_notice_or_licence_says_so(card: Card, corpus: Corpus) -> None:
    """A list of one's own has no notice, and its licence is not invented."""
    own = Corpus("mine", "mine", corpus.names, corpus.sha256, 42)
    text = write_card(Card(own, card.config, "tiny", 1, card.losses, 1, 1.0, [], False))
    assert "not stated" in text
    assert "## Notice" not in text
    assert "loss.png" not in text
