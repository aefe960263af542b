"""A picture of the atoms: balls before each other in a parallel projection, darker far behind.

Each atom is a disc with a light spot, drawn from the back to the front, so that near ones cover far
ones; with distance their colours go over into grey. Of large systems only the atoms near the three
faces that the viewer sees are drawn: the others would be covered anyway.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mdapp.model.box import Box
from mdapp.plot.snapshot import Snapshot
from mdapp.report.document import Plot
from mdapp.report.figures import INK, MUTED, PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ATOMS = 60_000
MOST_PATHS = 500              # more atoms are drawn as pixels
TOWARDS = np.array([0.45, -0.8, 0.4])      # the viewer
HAZE, MOST_HAZE = np.array([0.55, 0.58, 0.61]), 0.6
RADIUS = 0.48                 # of a ball, in cube roots of the volume of an atom
SPOT = 0.45                   # size of the light spot, in radii


def atoms_plot(snapshot: Snapshot) -> Plot:
    """The picture of a snapshot."""
    kept = visible(snapshot)
    of = "" if len(kept) == len(snapshot.x) else (
        f" Drawn are the {len(kept)} nearest to the faces in front.")
    lengths = " x ".join(f"{v:.4g}" for v in np.linalg.norm(snapshot.box.edges, axis=1))
    at = "" if snapshot.step is None else f", step {snapshot.step}"
    return Plot("atoms", lambda axes: draw(axes, snapshot, kept),
                f"{len(snapshot.x)} atoms of {snapshot.where}{at}, in their cell of {lengths}; "
                f"grey is far.{of}", size=(5.2, 5.2))


def visible(snapshot: Snapshot) -> NDArray[np.int64]:
    """Indices of the atoms to draw: those nearest to the faces that look at the viewer."""
    n = len(snapshot.x)
    if n <= MOST_ATOMS:
        return np.arange(n)
    box = snapshot.box
    inside = box.fractional(snapshot.x)
    normals = np.linalg.inv(box.edges).T
    facing = normals @ TOWARDS > 0
    depth = np.where(facing, 1.0 - inside, inside) * box.heights()
    return np.argpartition(depth.min(axis=1), MOST_ATOMS)[:MOST_ATOMS]


def draw(axes: Axes, snapshot: Snapshot, kept: NDArray[np.int64]) -> None:
    """Draw these atoms and the cell on a matplotlib axes."""
    from matplotlib.collections import EllipseCollection
    from matplotlib.lines import Line2D

    view = projection()
    box, n = snapshot.box, max(len(snapshot.x), 1)
    seen = snapshot.x[kept] @ view.T                # right, up, near
    order = np.argsort(seen[:, 2])
    seen, types = seen[order], snapshot.type[kept][order]
    radius = RADIUS * (occupied(snapshot) / n) ** (1 / 3)
    fill, spots = colours(types, seen[:, 2])
    offsets = np.repeat(seen[:, :2], 2, axis=0)
    offsets[1::2] += radius * np.array([-0.28, 0.3])
    size = np.tile([2 * radius, 2 * SPOT * radius], len(kept))
    _cell(axes, box, view, front=False)
    axes.add_collection(EllipseCollection(
        size, size, np.zeros(len(size)), units="xy", offsets=offsets,
        offset_transform=axes.transData, facecolors=np.stack([fill, spots], 1).reshape(-1, 3),
        edgecolors=np.tile([[0.1, 0.1, 0.12, 0.55], [0.0, 0.0, 0.0, 0.0]], (len(kept), 1)),
        linewidths=0.35, zorder=2.0, rasterized=len(kept) > MOST_PATHS))
    _cell(axes, box, view, front=True)
    corners = np.array([c @ view.T for c in _corners(box)])[:, :2]
    every = np.concatenate([corners, seen[:, :2]])
    low, high = every.min(axis=0) - 1.2 * radius, every.max(axis=0) + 1.2 * radius
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    axes.set_axis_off()
    present = np.unique(types)
    if len(present) > 1:
        axes.legend(handles=[
            Line2D([], [], marker="o", linestyle="", color=PALETTE[t % len(PALETTE)],
                   label=snapshot.species[t] if t < len(snapshot.species) else f"type {t + 1}")
            for t in present], loc="upper right")


def projection() -> NDArray[np.float64]:
    """(3, 3) rows: to the right, up, and towards the viewer."""
    near = TOWARDS / np.linalg.norm(TOWARDS)
    right = np.cross([0.0, 0.0, 1.0], near)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(near, right), near])


def occupied(snapshot: Snapshot) -> float:
    """Volume that the atoms fill: the cell's, or less where they leave much of it empty."""
    if len(snapshot.x) < 2:
        return snapshot.box.volume
    extent = np.ptp(snapshot.x, axis=0)
    bound = float(np.prod(np.maximum(extent, 0.05 * extent.max() + 1e-12)))
    return min(snapshot.box.volume, 1.3 * bound)


def colours(types: NDArray[np.int64],
            near: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, 3) colours of balls and of their light spots, by type and distance."""
    from matplotlib.colors import to_rgb

    palette = np.array([to_rgb(colour) for colour in PALETTE])
    fill = palette[types % len(palette)]
    far = (near.max() - near) / max(np.ptp(near), 1e-12) if len(near) else near
    haze = MOST_HAZE * far[:, None]
    fill = (1 - haze) * fill + haze * HAZE
    return fill, fill + 0.45 * (1 - haze) * (1 - fill)


def _corners(box: Box) -> list[NDArray[np.float64]]:
    return [box.lo + np.array(c) @ box.edges for c in product((0, 1), repeat=3)]


def _cell(axes: Axes, box: Box, view: NDArray[np.float64], front: bool) -> None:
    """Edges of the cell: the three that meet in the hindmost corner, or the nine others."""
    corners = list(product((0, 1), repeat=3))
    places = [c @ view.T for c in _corners(box)]
    hindmost = corners[int(np.argmin([p[2] for p in places]))]
    for a, b in product(range(8), repeat=2):
        differ = sum(i != j for i, j in zip(corners[a], corners[b], strict=True))
        behind = hindmost in (corners[a], corners[b])
        if a < b and differ == 1 and behind != front:
            axes.plot(*zip(places[a][:2], places[b][:2], strict=True), color=MUTED if behind else
                      INK, linewidth=0.9, linestyle="-", zorder=3.0 if front else 1.0)
