"""Sample quality in words: the section of a model card that shows `quality`'s figures and says how to read them.

Nothing is measured here.
"""

from collections.abc import Callable

from training.quality import Figures, Likelihood, Prefix, Quality

HEADING = "## How good the names are"
NONE = "–"
Cell = Callable[[Figures], str]
# Rows that are read beside the dev names, which the model never saw.
BY_DEV: tuple[tuple[str, Cell], ...] = (
    ("new to the train names", lambda f: f"{f.new:.1%}"),
    ("shared beginning, mean", lambda f: _prefix(f, lambda p: f"{p.mean:.2f} characters, {p.share:.1%}")),
    ("shared beginning, greatest", lambda f: _prefix(f, lambda p: f"{p.longest} characters, {p.greatest:.1%}")),
)
WORDS = (
    "**Came before**: share of names that the same sample held already. It grows with the sample.",
    "**Distance of lengths**: half the sum of the differences of the shares of each length, to the dev names; 0 to 1.",
    "**Divergence of pairs**: Jensen-Shannon divergence of pairs of neighbouring characters, start and end included, "
    "to the dev names; 0 to 1 bit. Real names have a distance too, by chance: it is the best one can ask for. Both "
    "distances fall as a sample grows, so each is to be read beside the same number of real train names. The last two "
    "columns are means over several such samples.",
    "**New**: share that the train names do not hold; **in no part of the list**: nor the dev and test names. Real "
    "here are the dev names. A model that repeats its list has little new; one that knows nothing has only new names.",
    "**Shared beginning**: how many first characters a new name has in common with the train name nearest to it, and "
    "which share of the name that is. Much above the real names' figure would mean copies with another ending.",
    "**Log-probability**: natural logarithm of the chance of a name or of one of its characters (end of name "
    "included), by this model; real are the dev names. Close together is good: drawn names much likelier than real "
    "ones tell of a model too sure of itself, less likely ones of a model too loose.",
    "**By heart?** What dev names cost more than train names. Anything that learns has a gap; a large one beside other "
    "models of the same list says that the list was learned by heart.",
)


def quality_lines(quality: Quality, likelihood: Likelihood | None = None) -> list[str]:
    """Return the section as lines of Markdown: a table, and in plain words what each row means."""
    short = f"{quality.drawn_blocks.count:,}"
    head = ("", f"drawn ({quality.drawn.count:,})", f"real ({quality.train.count:,})", f"drawn ({short})")
    table = [(*head, f"real ({short})"), ("---",) * 5, *_rows(quality), *(_likely(likelihood) if likelihood else [])]
    intro = (
        "Drawn at temperature 1, repeats and all, beside real names. Where real names are fewer than drawn ones, only "
        "the last two columns compare."
    )
    lines = ["| " + " | ".join(row) + " |" for row in table]
    return [HEADING, "", intro, "", *lines, "", *(f"- {words}" for words in WORDS)]


def _rows(quality: Quality) -> list[tuple[str, ...]]:
    drawn, train, dev = quality.drawn, quality.train, quality.dev
    sized = (drawn, train, quality.drawn_blocks, quality.train_blocks)
    return [
        ("came before in the sample", *(f"{f.repeated:.2%}" for f in sized)),
        ("distance of lengths", *(f"{f.lengths:.4f}" for f in sized)),
        ("divergence of pairs, bits", *(f"{f.pairs:.4f}" for f in sized)),
        ("longest name, characters", str(drawn.longest), str(train.longest), "", ""),
        *((what, cell(drawn), cell(dev), "", "") for what, cell in BY_DEV),
        ("in no part of the list", f"{drawn.unlisted:.1%}", "", "", ""),
    ]


def _likely(likelihood: Likelihood) -> list[tuple[str, ...]]:
    rows = [
        ("log-probability of a name", f"{likelihood.drawn_name:.2f}", f"{likelihood.dev_name:.2f}"),
        ("log-probability of a character", f"{likelihood.drawn_character:.3f}", f"{-likelihood.dev:.3f}"),
        ("by heart? dev loss less train loss", f"{likelihood.gap}", f"{likelihood.dev:.4f} - {likelihood.train:.4f}"),
    ]
    return [(*row, "", "") for row in rows]


def _prefix(figures: Figures, text: Callable[[Prefix], str]) -> str:
    return text(figures.prefix) if figures.prefix else NONE
