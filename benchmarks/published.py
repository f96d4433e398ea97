"""Published results on names.txt with the lectures' split, every target counted, with their sources."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One published row; a loss that was not published is None."""

    model: str
    parameters: str
    dev: float
    test: float | None
    source: str


PUBLISHED = (
    Figure("bigram counts", "729", 2.4533, 2.4584, "recomputed from the lecture's recipe"),
    Figure("MLP + BatchNorm", "12,097", 2.1048, None, "karpathy/nn-zero-to-hero, part 3"),
    Figure("flat MLP, context 8", "22k", 2.027, None, "karpathy/nn-zero-to-hero, part 5"),
    Figure("6-gram Kneser-Ney", "counts", 1.997, 2.000, "recomputed"),
    Figure("WaveNet 24/128", "76,579", 1.9937, None, "karpathy/nn-zero-to-hero, part 5"),
    Figure("WaveNet 24/128, rerun", "76,579", 1.9930, 1.9868, "kshitijg92/karpathy-zero-to-hero-deep-work"),
    Figure("WaveNet 60/256", "302,959", 1.9799, 1.9721, "sohammistri/makemore"),
    Figure("GRU 2x256", "0.8M", 1.9376, 1.9404, "sohammistri/makemore"),
    Figure("LSTM 2x256", "1.1M", 1.9346, 1.9395, "sohammistri/makemore"),
)
