"""The model card in Markdown: the model, its data, its losses and its limits (Mitchell et al. 2019).

Nothing is measured here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from models.config import WHOLE_NAME
from training.config import TrainingConfig
from training.corpus import Corpus
from training.diagnostics.plots import EXPLANATIONS
from training.evaluation import MOST_NAMES
from training.sampling_stats import COUNT, SamplingStats

DESCRIPTIONS = {
    "bigram": "a table of the probability of each character after the previous one",
    "mlp": "a multilayer perceptron over the last {block_size} characters (after Bengio et al. 2003)",
    "wavenet": "a tree that joins the last {block_size} characters two by two (after van den Oord et al. 2016)",
    "gated_wavenet": "gated blocks with residual and skip connections over the last {block_size} characters (after van "
    "den Oord et al. 2016)",
    "lstm": "a state that is carried along the name (long short-term memory; Hochreiter & Schmidhuber 1997)",
}


@dataclass(frozen=True)
class Card:
    """The contents of a card.

    `losses`: train, dev and test in nats per character; `comparison`: lines about other models; `by_style`: new names
    of each value of a style.
    """

    corpus: Corpus
    config: TrainingConfig
    preset: str
    parameters: int
    losses: Mapping[str, float]
    best_step: int
    seconds: float
    sampling_stats: Sequence[SamplingStats]
    has_plot: bool
    comparison: Sequence[str] = ()
    quality: str = ""
    pictures: Sequence[str] = ()
    origin: Mapping[str, str] = field(default_factory=dict)
    by_style: Mapping[str, Sequence[str]] = field(default_factory=dict)


def write_card(card: Card) -> str:
    """Return the card as Markdown."""
    sections = [
        _head(card),
        _data(card),
        losses_section(card.losses, card.comparison, card.has_plot),
        names_section(card.sampling_stats, card.by_style),
        card.quality,
        _recipe(card),
        _inside(card),
        _limits(card),
        _notice(card),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(card: Card) -> str:
    model = card.config.model
    what = DESCRIPTIONS[model.architecture].format(block_size=model.block_size)
    return (
        f"# {card.corpus.dataset}/{model.architecture}\n\n"
        f"This model invents names like those of *{card.corpus.title}*, one character at a time. It is {what}, with "
        f"{card.parameters:,} parameters, trained by this project on the list alone."
    )


def _data(card: Card) -> str:
    corpus, split = card.corpus, card.corpus.split
    longest = corpus.vocabulary.longest(corpus.names, max(map(len, corpus.names)))
    rows = [
        ("list", corpus.title),
        ("source", _plain(corpus.source) or "not stated"),
        ("licence", corpus.licence or "not stated; ask the owner of the list"),
        ("names", f"{len(corpus.names):,} distinct; the longest has {longest} characters"),
        ("characters", f"{len(corpus.vocabulary) - 1}: {_plain(corpus.vocabulary.describe())}"),
        ("split", f"{len(split.train):,} train, {len(split.dev):,} dev, {len(split.test):,} test, by distinct name"),
        *([("losses", f"of {MOST_NAMES:,} names of each larger part")] if len(split.train) > MOST_NAMES else []),
        ("split seed", str(corpus.split_seed)),
        ("SHA-256 of the file", f"`{corpus.sha256}`"),
    ]
    return "## Data\n\n" + _table(("", ""), rows)


def losses_section(losses: Mapping[str, float], comparison: Sequence[str], has_plot: bool) -> str:
    """Return the section of the losses, with lines about other models and the plot of the run."""
    rows = [(part, f"{loss:.4f}") for part, loss in losses.items()]
    text = "## How well it predicts\n\nMean negative log-likelihood per character in nats, end of name included; lower"
    text += " is better.\n\n" + _table(("part", "loss"), rows)
    if comparison:
        text += "\n\n" + "\n".join(f"- {line}" for line in comparison)
    return text + ("\n\n![Loss over steps](loss.png)" if has_plot else "")


def names_section(sampling_stats: Sequence[SamplingStats], by_style: Mapping[str, Sequence[str]]) -> str:
    """Return the section of sampled names, with those of each value of a style."""
    rows = [(f"{i.temperature:g}", f"{i.new:.1%}", f"{i.repeated:.1%}") for i in sampling_stats]
    text = f"## What it invents\n\nShares of {COUNT:,} names drawn at each temperature, repeats included:\n\n"
    text += _table(("temperature", "not in the list", "drawn before"), rows)
    for stats in sampling_stats:
        text += f"\n\nTemperature {stats.temperature:g}: {_listed(stats.names)}"
    if by_style:
        styles = [(_plain(style), _listed(names)) for style, names in by_style.items()]
        text += "\n\nNew names of each style at temperature 1:\n\n" + _table(("style", "names"), styles)
    return text


def _listed(names: Sequence[str]) -> str:
    return ", ".join(_plain(name) for name in names)


def _recipe(card: Card) -> str:
    values = {**card.config.model.model_dump(), **card.config.hyperparameters()}
    rows = [(f"`{name}`", f"`{value}`") for name, value in values.items()]
    text = f"## How it was trained\n\nPreset `{card.preset}`"
    if card.config.method == "gradient":
        text += (
            f", {card.seconds:.0f} s; the weights are those of step {card.best_step:,}, where the dev loss was lowest"
        )
    if "start" in card.origin:
        text += f". It started from the weights of {card.origin['start']}"
    if "teachers" in card.origin:
        teachers = card.origin["teachers"]
        text += f". It learned the predictions of its teachers ({teachers}) for the list and for their own names"
    return text + ".\n\n" + _table(("hyperparameter", "value"), rows)


def _inside(card: Card) -> str:
    """Return the diagnostic plots with their explanations."""
    if not card.pictures:
        return ""
    lines = [
        "## Seen from inside",
        "The plots show this version and two short runs of its architecture, from a good and from a bad start.",
    ]
    return "\n\n".join([*lines, *(f"![{name}]({name})\n\n{EXPLANATIONS[name]}" for name in card.pictures)])


def _limits(card: Card) -> str:
    model = card.config.model
    sight = {1: "the last character", WHOLE_NAME: "the letters of a name"}.get(
        model.block_size, f"the last {model.block_size} characters"
    )
    return (
        "## Limits\n\n"
        f"- It sees only {sight} and knows no meaning. Some names are odd, and some may be words.\n"
        "- It reproduces the contents of its list, including gaps and bias.\n"
        "- An invented name may belong to a person or a brand; check it before public use.\n"
        "- The dev loss selected the weights, so it is slightly optimistic; the test loss is not."
    )


def _notice(card: Card) -> str:
    return f"## Notice\n\n```text\n{card.corpus.notice}\n```" if card.corpus.notice else ""


def replace_sections(card: str, sections: Sequence[str]) -> str:
    """Return a card in which each of `sections` replaces the one with the same heading."""
    parts = re.split(r"(?m)^(?=## )", card)
    for section in sections:
        heading = section.partition("\n")[0]
        parts = [f"{section}\n\n" if part.startswith(f"{heading}\n") else part for part in parts]
    return "".join(parts)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _plain(text: str) -> str:
    """Escape `text` for Markdown: names may contain any character."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|&~])", r"\\\1", text)
