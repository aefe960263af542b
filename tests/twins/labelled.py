"""Frames of atoms under a pair potential, labelled by sums over images: what fits are tested on."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WELL, WIDTH, AT = 0.4, 1.3, 2.4         # eV, 1/A, A: a Morse well, taken smoothly to 0 at RANGE
RANGE = 4.0


def images(edges: NDArray, cutoff: float) -> NDArray:
    """Shifts of all cells that may matter."""
    heights = 1 / np.linalg.norm(np.linalg.inv(edges), axis=0)
    most = [int(np.ceil(cutoff / h)) + 1 for h in heights]
    return np.array(list(product(*(range(-m, m + 1) for m in most)))) @ edges


def vectors(x: NDArray, edges: NDArray, cutoff: float) -> list[tuple[int, int, NDArray]]:
    """(i, j, r_ij) of all pairs within the cutoff, each from both of its ends."""
    found = []
    for i, j, shift in product(range(len(x)), range(len(x)), images(edges, cutoff)):
        r = x[j] + shift - x[i]
        if 0 < r @ r < cutoff**2:
            found.append((i, j, r))
    return found


def label(x: NDArray, edges: NDArray) -> tuple[float, NDArray, NDArray]:
    """Energy, forces (n, 3) and virial (3, 3)."""
    energy, forces, virial = 0.0, np.zeros_like(x), np.zeros((3, 3))
    for i, _, r in vectors(x, edges, RANGE):
        d = np.linalg.norm(r)
        e = np.exp(-WIDTH * (d - AT))
        cut, slope = (1 - d / RANGE) ** 2, -2 * (1 - d / RANGE) / RANGE
        v, dv = WELL * (e * e - 2 * e), -2 * WELL * WIDTH * (e * e - e)
        energy += 0.5 * v * cut
        f = (dv * cut + v * slope) * r / d              # on i, half from each end, twice
        forces[i] += f
        virial -= 0.5 * np.outer(r, f)
    return float(energy), forces, virial


def frame(rng: np.random.Generator, n: int = 4, edge: float = 3.4) -> tuple[NDArray, NDArray]:
    """A sheared cell (3, 3) with n atoms (n, 3) that are not too near."""
    edges = edge * (np.eye(3) + 0.05 * rng.normal(size=(3, 3)))
    sites = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])[:n]
    return edges, sites @ edges + 0.08 * rng.normal(size=(n, 3))


def text(symbols: list[str], x: NDArray, edges: NDArray, virial: bool = True) -> str:
    """A frame of extended XYZ with its labels."""
    energy, forces, w = label(x, edges)
    rows = "".join(f"{s} {' '.join(map(repr, [*a.tolist(), *f.tolist()]))}\n"
                   for s, a, f in zip(symbols, x, forces, strict=True))
    numbers = " ".join(map(repr, edges.ravel().tolist()))
    tensor = f' virial="{" ".join(map(repr, w.ravel().tolist()))}"' if virial else ""
    return (f'{len(x)}\nLattice="{numbers}" Properties=species:S:1:pos:R:3:forces:R:3 '
            f"energy={energy!r}{tensor}\n{rows}")


def write_set(path: Path, frames: int = 12, symbols: str = "Ar", seed: int = 1) -> Path:
    """A file of frames."""
    rng = np.random.default_rng(seed)
    names = (symbols.split(",") * 4)[:4]
    path.write_text("".join(text(names, *reversed(frame(rng))) for _ in range(frames)))
    return path
