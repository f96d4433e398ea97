"""The picture of a classifier in the plane: on which side it puts every place, how surely, and the points."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from models.autograd.nn import MLP
from training.scalar.moons import Point

UPPER, LOWER, PAPER, INK = "#d1603d", "#1f6f8b", "#fbfaf7", "#1d2430"
CELLS, ROOM = 240, 0.55


def scores_at(network: MLP, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the score of each place x (N, 2): what the network itself says of them one by one, in arrays."""
    values = x
    for layer in network.layers:
        w = np.array([[weight.data for weight in neuron.w] for neuron in layer.neurons])
        total = values @ w.T + np.array([neuron.b.data for neuron in layer.neurons])
        activation = layer.neurons[0].activation
        values = np.tanh(total) if activation == "tanh" else np.maximum(total, 0) if activation == "relu" else total
    return values[:, 0]


def border_plot(network: MLP, points: Sequence[Point], title: str) -> bytes:
    """Return a PNG of the plane in two colours, with the border (score 0), the margins (scores -1 and 1) and the
    points; those on the wrong side are ringed.
    """
    figure = Figure(figsize=(7.2, 5.2), dpi=150, layout="constrained", facecolor=PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    places = np.array([(point.x, point.y) for point in points])
    low, high = places.min(axis=0) - ROOM, places.max(axis=0) + ROOM
    x, y = np.meshgrid(np.linspace(low[0], high[0], CELLS), np.linspace(low[1], high[1], CELLS))
    z = scores_at(network, np.column_stack([x.ravel(), y.ravel()])).reshape(x.shape)
    _paint(axes, x, y, z)
    _put(axes, places, np.array([point.label for point in points]), scores_at(network, places))
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_aspect("equal")
    axes.set_title(title, loc="left", color=INK, fontsize=12, pad=10)
    axes.set_axis_off()
    buffer = io.BytesIO()
    # Without the version of the program, the same run gives the same file.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _paint(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]) -> None:
    colours = LinearSegmentedColormap.from_list("moons", [UPPER, "#f3c9b5", PAPER, "#b9d9e1", LOWER])
    ends = (x.min(), x.max(), y.min(), y.max())
    axes.imshow(
        np.tanh(z / 1.5),
        extent=ends,
        origin="lower",
        cmap=colours,
        vmin=-1,
        vmax=1,
        alpha=0.75,
        interpolation="bilinear",
        aspect="auto",
    )
    axes.contour(x, y, z, levels=[-1, 1], colors=[INK], linewidths=0.9, linestyles=[(0, (5, 4))], alpha=0.6)
    axes.contour(x, y, z, levels=[0], colors=[INK], linewidths=2.2)


def _put(axes: Axes, places: NDArray[np.float64], labels: NDArray[np.int64], scores: NDArray[np.float64]) -> None:
    for label, colour, marker, size in ((-1, UPPER, "o", 46), (1, LOWER, "D", 36)):
        x, y = places[labels == label].T
        axes.scatter(x, y, s=size, c=colour, marker=marker, edgecolors="white", linewidths=1.1, zorder=3)
    x, y = places[(scores > 0) != (labels > 0)].T
    axes.scatter(x, y, s=170, facecolors="none", edgecolors=INK, linewidths=1.6, zorder=4)
    axes.annotate(
        "line: border    dashes: margins    ring: wrong side",
        (0.995, 0.012),
        xycoords="axes fraction",
        ha="right",
        fontsize=8.5,
        color=INK,
    )
