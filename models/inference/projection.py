"""An embedding seen from its two widest sides: principal components of its directions, and who is nearest to whom in
all dimensions. No picture is drawn here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AXES = 2
TINY = 1e-300


@dataclass(frozen=True)
class Projection:
    """`points` (V, 2): the directions of an embedding's rows on their first two principal components. `explained` (2,):
    the share of their variance that each of them holds. `nearest` (V,): the row at the smallest angle to each.
    """

    points: NDArray[np.float64]
    explained: NDArray[np.float64]
    nearest: NDArray[np.int64]


def project(embedding: NDArray[np.floating]) -> Projection:
    """Return the projection of `embedding` (V, C), V at least 2 (Pearson 1901, by singular values).

    Rows are scaled to length 1 first: under weight decay their lengths tell how rare a character is, and little else.
    The number that is largest in size on each axis is positive, so that the picture is the same on every machine.
    """
    rows = embedding.astype(np.float64)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), TINY)
    centred = rows - rows.mean(0)
    _, spreads, axes = np.linalg.svd(centred, full_matrices=False)
    points = np.zeros((len(rows), AXES))
    points[:, : len(axes)] = centred @ axes[:AXES].T
    points *= np.where(points[np.abs(points).argmax(0), range(AXES)] < 0, -1.0, 1.0)
    variance = np.zeros(AXES)
    variance[: len(spreads)] = spreads[:AXES] ** 2
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -np.inf)
    return Projection(points, variance / max(float((spreads**2).sum()), TINY), cosines.argmax(1))
