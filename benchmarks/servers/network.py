"""The network of a shipped version in torch, and two ways to draw names from it: one by one as in the lectures, and all
names of some requests at once. No HTTP.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from models.networks import build_model
from models.store.checkpoint import load_checkpoint
from models.store.registry import SHIPPED
from models.vocabulary import END, Vocabulary

# The model of every torch server: the newest tree WaveNet 24/128 of the human names.
FOLDER = SHIPPED / "human" / "wavenet"


class TorchNames:
    """Draws names with torch on one thread. Numbers are float32, names are in lower case, at most `longest` long."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        newest = max(int(folder.name) for folder in FOLDER.iterdir())
        checkpoint = load_checkpoint(FOLDER / str(newest))
        self.reference = checkpoint.manifest.reference
        self.vocabulary: Vocabulary = checkpoint.manifest.alphabet
        self.longest = checkpoint.manifest.data.longest
        self.block_size = checkpoint.manifest.config.block_size
        self.network = build_model(checkpoint.manifest.config, len(self.vocabulary), torch.Generator())
        self.network.load_arrays(checkpoint.arrays)
        self.network.eval()

    @torch.inference_mode()
    def one_by_one(self, count: int, seed: int) -> list[str]:
        """Return `count` names as the lectures draw them: one forward pass over a window for each character."""
        generator = torch.Generator().manual_seed(seed)
        names: list[str] = []
        while len(names) < count:
            out: list[int] = []
            context = [END] * self.block_size
            while len(out) <= self.longest:
                logits = self.network.windows(torch.tensor([context]))
                probs = torch.softmax(logits, dim=1)
                index = int(torch.multinomial(probs, num_samples=1, generator=generator).item())
                context = [*context[1:], index]
                if index == END:
                    break
                out.append(index)
            if len(out) <= self.longest:
                names.append(self._text(out))
        return names

    @torch.inference_mode()
    def together(self, asked: Sequence[tuple[int, int]]) -> list[list[str]]:
        """Return names for each (count, seed), all rows in one batch; each request has random numbers of its own.

        A name still without end at `longest` characters is cut there, which is less work than drawing another.
        """
        u = torch.cat(
            [torch.rand(count, self.longest, generator=torch.Generator().manual_seed(seed)) for count, seed in asked]
        )
        ids = torch.zeros(len(u), self.block_size + self.longest, dtype=torch.int64)
        live = torch.arange(len(u))
        for t in range(self.longest):
            logits = self.network.windows(ids[live, t : t + self.block_size])
            cumulative = torch.softmax(logits, dim=1).cumsum(1)
            drawn = torch.searchsorted(cumulative, u[live, t, None]).clamp_(max=len(self.vocabulary) - 1)[:, 0]
            ids[live, t + self.block_size] = drawn
            live = live[drawn != END]
            if not len(live):
                break
        return self._split(ids[:, self.block_size :], [count for count, _ in asked])

    def _split(self, ids: Tensor, counts: Sequence[int]) -> list[list[str]]:
        texts = [self._text(row[: row.index(END)] if END in row else row) for row in ids.tolist()]
        places = torch.tensor([0, *counts]).cumsum(0).tolist()
        return [texts[first:last] for first, last in pairwise(places)]

    def _text(self, ids: Sequence[int]) -> str:
        return "".join(self.vocabulary.itos[i] for i in ids)
