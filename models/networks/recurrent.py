"""The LSTM over whole names (Hochreiter & Schmidhuber 1997), with its gradient by hand.

The forget gate follows Gers et al. 2000.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from models.networks.layers import Layer, Onlooker


class LSTM(Layer):
    """Carry a state along each name: (N, n_embd) -> h (N, n_hidden), for concatenated names.

    i, f, o = sigmoid and g = tanh of x @ input + h' @ hidden + bias; c = f * c' + i * g; h = o * tanh(c), where h' and
    c' are those of the previous position, 0 at the start of a name. Columns have the order i, f, g, o. Weights start
    normal with standard deviation 1 / sqrt(n_hidden), including those of the input. With `n_styles`, each value of a
    style adds a vector of its own to the gates, zero at the start.
    """

    def __init__(self, n_embd: int, n_hidden: int, generator: torch.Generator, n_styles: int = 0) -> None:
        scale = n_hidden**-0.5
        self.input = (torch.randn(n_embd, 4 * n_hidden, generator=generator) * scale).requires_grad_()
        self.hidden = (torch.randn(n_hidden, 4 * n_hidden, generator=generator) * scale).requires_grad_()
        self.bias = torch.zeros(4 * n_hidden, requires_grad=True)
        self.style = torch.zeros(n_styles, 4 * n_hidden, requires_grad=True) if n_styles else None

    def over_names(
        self,
        x: Tensor,
        positions: Tensor,
        dilation: int,
        see: Onlooker | None = None,
        styles: Tensor | None = None,
    ) -> Tensor:
        rows, active = by_time(positions)
        gates = torch.addmm(self.bias, torch.index_select(x, 0, rows), self.input)
        if styles is not None and self.style is not None:
            gates = torch.addmm(gates, torch.index_select(styles, 0, rows), self.style)
        h: Tensor = _Recurrence.apply(gates, self.hidden, active)  # type: ignore[no-untyped-call]
        h = torch.index_select(h, 0, rows.argsort())
        if see is not None:
            self._show_gates(x, positions, h, see, styles)
        return h

    def _show_gates(self, x: Tensor, positions: Tensor, h: Tensor, see: Onlooker, styles: Tensor | None) -> None:
        """Pass the sigmoids i, f, o (N, 3 n_hidden) and the tanh g (N, n_hidden) to `see`.

        They are computed again from h (N, n_hidden), because the recurrence does not return them. No gradient of the
        loss reaches them.
        """
        H = self.hidden.shape[0]
        before = h.roll(1, 0) * (positions > 0)[:, None]
        gates = torch.addmm(self.bias, x, self.input) + before @ self.hidden
        if styles is not None and self.style is not None:
            gates = torch.addmm(gates, styles, self.style)
        i_f, g, o = gates.split([2 * H, H, H], dim=1)
        see("sigmoid", torch.cat([i_f, o], dim=1).sigmoid())
        see("tanh", g.tanh())

    def arrays(self) -> dict[str, Tensor]:
        style = {} if self.style is None else {"style": self.style}
        return {"input": self.input, "hidden": self.hidden, "bias": self.bias, **style}


def by_time(positions: Tensor) -> tuple[Tensor, list[int]]:
    """Return the rows (N,) ordered by position, longest names first, and their number at each position.

    The names that continue at a position are then always the first ones of the previous position.
    """
    starts = (positions == 0).nonzero()[:, 0]
    ends = torch.cat([starts[1:], starts.new_tensor([len(positions)])])
    order = (ends - starts).argsort(descending=True, stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    name = (positions == 0).cumsum(0) - 1
    rows = (positions * len(order) + rank[name]).argsort()
    return rows, torch.bincount(positions).tolist()


def _slices(active: list[int]) -> Iterator[tuple[slice, slice]]:
    """Yield the rows of each position after the first, and those of its previous position."""
    start = 0
    for before, n in pairwise(active):
        yield slice(start + before, start + before + n), slice(start, start + n)
        start += before


class _Recurrence(torch.autograd.Function):
    """The recurrent part: gates before the nonlinearity (N, 4 H), without the part of h' -> h (N, H).

    The gradient is by hand, so that everything except one product and a few sums per position is computed for all
    positions at once. This halves the time of a step compared with autograd.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, hidden: Tensor, active: list[int]) -> Tensor:
        gates, H = inputs.clone(), hidden.shape[0]
        c, tanh_c, h = (gates.new_empty(len(gates), H) for _ in range(3))
        for here, before in [(slice(active[0]), None), *_slices(active)]:
            z = gates[here]
            if before is not None:
                z.addmm_(h[before], hidden)
            i_f, g, o = z[:, : 2 * H].sigmoid_(), z[:, 2 * H : 3 * H].tanh_(), z[:, 3 * H :].sigmoid_()
            torch.mul(i_f[:, :H], g, out=c[here])
            if before is not None:
                c[here].addcmul_(i_f[:, H:], c[before])
            torch.tanh(c[here], out=tanh_c[here])
            torch.mul(o, tanh_c[here], out=h[here])
        ctx.save_for_backward(gates, hidden, c, tanh_c, h)
        ctx.active = active
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        gates, hidden, c, tanh_c, h = ctx.saved_tensors
        steps, H = list(_slices(ctx.active)), hidden.shape[0]
        i, f, g, o = gates.chunk(4, dim=1)
        rows = torch.arange(len(gates), device=gates.device)
        before = torch.cat([rows[earlier] for _, earlier in steps]) if steps else rows[:0]
        c_before = torch.zeros_like(c)
        c_before[ctx.active[0] :] = torch.index_select(c, 0, before)
        # The derivative of c (for o: of h) by each gate's input, for all positions at once.
        slopes = torch.cat([g * i * (1 - i), c_before * f * (1 - f), i * (1 - g * g), tanh_c * o * (1 - o)], dim=1)
        dc_dh = o * (1 - tanh_c * tanh_c)
        dh, dc, dz = gradients[0].clone(), torch.zeros_like(c), slopes
        for here, earlier in [*reversed(steps), (slice(ctx.active[0]), None)]:
            dc[here].addcmul_(dh[here], dc_dh[here])
            n = len(dz[here])
            dz[here][:, : 3 * H].view(n, 3, H).mul_(dc[here][:, None])
            dz[here][:, 3 * H :].mul_(dh[here])
            if earlier is not None:
                dh[earlier].addmm_(dz[here], hidden.T)
                torch.mul(dc[here], f[here], out=dc[earlier])
        return dz, torch.index_select(h, 0, before).T @ dz[ctx.active[0] :], None
