"""Dev losses on makemore's names.txt with the lectures' split, next to the figures that the lectures reached.

    python -m benchmarks.names_txt path/to/names.txt

The split is by line, as in the lectures (shuffle with seed 42, then 80/10/10), so that names that stand twice leak
into dev; shipped models are split by distinct name and their figures are not comparable with these. One run each, by
the presets.
"""

import random
import sys
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from models import Vocabulary
from models.networks import Network, bigram_by_counting, build_model
from training.config import TrainingConfig, load_config
from training.dataset import Examples
from training.evaluation import mean_loss
from training.trainer import Trainer

# Preset, and the dev loss that its like reaches in the lectures (counts with add-one; part 3 with BatchNorm; part 5).
PUBLISHED = {"bigram": 2.4533, "bigram-gradient": 2.4533, "mlp": 2.1048, "wavenet": 1.9937}
SHUFFLE_SEED = 42


def lecture_split(names: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Return the lectures' train, dev and test parts of the file's lines."""
    shuffled = list(names)
    random.Random(SHUFFLE_SEED).shuffle(shuffled)
    n1, n2 = int(0.8 * len(shuffled)), int(0.9 * len(shuffled))
    return shuffled[:n1], shuffled[n1:n2], shuffled[n2:]


def trained(config: TrainingConfig, train: list[str], dev: Examples, vocabulary: Vocabulary) -> Network:
    """Return the network that `config` makes of `train`."""
    if config.method == "counting":
        return bigram_by_counting(train, vocabulary, config.smoothing)
    network = build_model(config.model, len(vocabulary), torch.Generator().manual_seed(config.seed))
    generator = torch.Generator().manual_seed(config.seed)
    trainer = Trainer(network, config, Examples.of(train, vocabulary), dev, generator)
    for _ in trainer.fit():
        pass
    return network


def main(path: Path) -> None:
    """Train every preset of `PUBLISHED` on the file and print one table."""
    names = path.read_text("utf-8").split()
    train, dev_names, test_names = lecture_split(names)
    vocabulary = Vocabulary.of(names)
    dev, test = Examples.of(dev_names, vocabulary), Examples.of(test_names, vocabulary)
    console = Console()
    table = Table("preset", "parameters", "seconds", "train", "dev", "test", "lectures' dev")
    for preset, published in PUBLISHED.items():
        began = time.perf_counter()
        with console.status(f"training {preset}"):
            network = trained(load_config(preset, "", {}), train, dev, vocabulary)
        seconds = time.perf_counter() - began
        losses = (mean_loss(network, part) for part in (Examples.of(train, vocabulary), dev, test))
        row = [f"{loss:.4f}" for loss in losses]
        table.add_row(preset, f"{network.parameter_count:,}", f"{seconds:.1f}", *row, f"{published:.4f}")
    console.print(table)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Usage: python -m benchmarks.names_txt path/to/names.txt")
    main(Path(sys.argv[1]))
