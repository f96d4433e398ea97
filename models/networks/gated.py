"""The residual stack of the gated WaveNet (van den Oord et al. 2016, sections 2.3 and 2.4).

Each block joins two positions, applies a gate, and adds the result to the stream that the next block reads. The outputs
of all blocks are concatenated.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from models.networks.layers import (
    BatchNorm1d,
    Dropout,
    FlattenConsecutive,
    Layer,
    Linear,
    Onlooker,
    Sigmoid,
    Tanh,
    within,
)


class GatedBlock(Layer):
    """A gated block over two joined positions of the stream: (..., 2 n_embd) -> z (..., n_hidden).

    z = tanh(a) * sigmoid(b), where a and b are the halves of norm(joined @ gate). `residual`(z) is added to the stream;
    the last block of a stack has none.
    """

    def __init__(self, n_embd: int, n_hidden: int, p: float, generator: torch.Generator, *, is_last: bool) -> None:
        self.gate = Linear(2 * n_embd, 2 * n_hidden, generator, bias=False)
        self.norm = BatchNorm1d(2 * n_hidden)
        self.tanh, self.sigmoid = Tanh(), Sigmoid()
        self.dropout = Dropout(p, generator)
        self.residual = None if is_last else Linear(n_hidden, n_embd, generator)

    def __call__(self, x: Tensor) -> Tensor:
        return self.watched(x, None)

    def watched(self, x: Tensor, see: Onlooker | None) -> Tensor:
        """Return z, and pass its two factors to `see`."""
        a, b = self.norm(self.gate(x)).chunk(2, dim=-1)
        tanh, sigmoid = self.tanh(a), self.sigmoid(b)
        if see is not None:
            see("tanh", tanh)
            see("sigmoid", sigmoid)
        return self.dropout(tanh * sigmoid)

    def parts(self) -> Mapping[str, Layer]:
        parts: dict[str, Layer] = {"gate": self.gate, "norm": self.norm, "dropout": self.dropout}
        return parts if self.residual is None else {**parts, "residual": self.residual}


class GatedStack(Layer):
    """Blocks at dilations 1, 2, 4...: (B, 2^n_blocks, n_embd) -> (B, n_blocks n_hidden).

    The output concatenates the z of all blocks, first block first. Over whole names it is (N, n_embd) -> (N, n_blocks
    n_hidden).
    """

    def __init__(self, n_blocks: int, n_embd: int, n_hidden: int, p: float, generator: torch.Generator) -> None:
        last = n_blocks - 1
        self.blocks = [GatedBlock(n_embd, n_hidden, p, generator, is_last=i == last) for i in range(n_blocks)]
        self.join = FlattenConsecutive(2)
        self.reach = 2**n_blocks

    def __call__(self, x: Tensor) -> Tensor:
        found = []
        for block in self.blocks:
            B, T, C = x.shape
            z = block(x.view(B, T // 2, 2 * C))
            found.append(z[:, -1])
            if block.residual is not None:
                x = x[:, 1::2] + block.residual(z)
        return torch.cat(found, dim=1)

    def over_names(
        self,
        x: Tensor,
        positions: Tensor,
        dilation: int,
        see: Onlooker | None = None,
        styles: Tensor | None = None,
    ) -> Tensor:
        found = []
        for i, block in enumerate(self.blocks):
            joined = self.join.over_names(x, positions, dilation)
            found.append(block.watched(joined, see and within(str(i), see)))
            if block.residual is not None:
                x = x + block.residual(found[-1])
            dilation *= 2
        return torch.cat(found, dim=1)

    def parts(self) -> Mapping[str, Layer]:
        return {str(i): block for i, block in enumerate(self.blocks)}
