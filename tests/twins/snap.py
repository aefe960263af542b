"""SNAP by its definition: Wigner matrices, and each component of the bispectrum as a full sum.

Row mb of U_j, but for its square roots, is the polynomial in t

    (conj(a) - conj(b) t)^(j - mb) (b + a t)^mb

multiplied out. Coupling coefficients come from angular momentum operators: the highest state of a
multiplet is what the raising operator takes to nothing, the others follow by lowering. Forces are
differences of energies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from math import factorial, pi, sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mdapp.model.box import Box
from tests.twins.images import shifts

DEFAULTS = {"rfac0": 0.99363, "rmin0": 0.0, "switchflag": 1, "bzeroflag": 1, "quadraticflag": 0,
            "chemflag": 0, "bnormflag": 0, "wselfallflag": 0}  # fmt: skip


@dataclass(frozen=True)
class Invented:
    """A potential of no element in particular; as many coefficients as its flags ask for."""

    rcutfac: float = 2.0
    twojmax: int = 4
    radius: tuple[float, ...] = (0.5,)
    weight: tuple[float, ...] = (1.0,)
    flags: dict[str, float] = field(default_factory=dict)
    seed: int = 1

    @property
    def options(self) -> dict[str, float]:
        """All keywords but the first two."""
        return DEFAULTS | self.flags

    @property
    def names(self) -> list[str]:
        """Its elements."""
        return ["Aa", "Bb", "Cc"][: len(self.radius)]

    @property
    def nterms(self) -> int:
        """Components of the bispectrum."""
        triples = len(self.radius) ** 3 if self.options["chemflag"] else 1
        return triples * len(momenta(self.twojmax))

    @property
    def beta(self) -> NDArray[np.float64]:
        """(elements, coefficients)."""
        n = self.nterms + 1
        count = n * (n + 1) // 2 if self.options["quadraticflag"] else n
        beta = np.random.default_rng(self.seed).uniform(-1, 1, (len(self.radius), count)) * 0.02
        beta[:, n:] *= 0.02
        return beta

    def write(self, folder: Path) -> list[str]:
        """Its two files."""
        lines = [f"{len(self.radius)} {self.beta.shape[1]}"]
        for name, r, w, row in zip(self.names, self.radius, self.weight, self.beta, strict=True):
            lines += [f"{name} {r} {w}", *(f"{value!r}" for value in row.tolist())]
        parameters = [f"rcutfac {self.rcutfac}", f"twojmax {self.twojmax}"]
        parameters += [f"{key} {value}" for key, value in self.flags.items()]
        names = []
        for kind, text in (("snapcoeff", lines), ("snapparam", parameters)):
            path = folder / f"invented.{kind}"
            path.write_text("# invented\n" + "\n".join(text) + "\n")
            names.append(str(path))
        return names


def momenta(twojmax: int) -> list[tuple[int, int, int]]:
    """The triples of a coefficient file."""
    every = range(twojmax + 1)
    return [(a, b, c) for a in every for b in every for c in every
            if b <= a <= c <= a + b and (a + b + c) % 2 == 0]  # fmt: skip


@cache
def coupling(j1: int, j2: int, j: int) -> NDArray[np.float64]:
    """(j1 + 1, j2 + 1, j + 1) coefficients, all momenta doubled, projections rising."""
    def raising(k: int) -> NDArray[np.float64]:
        m = np.arange(-k, k, 2) / 2
        return np.diag(np.sqrt((k / 2 - m) * (k / 2 + m + 1)), -1)

    up = np.kron(raising(j1), np.eye(j2 + 1)) + np.kron(np.eye(j1 + 1), raising(j2))
    m1, m2 = np.meshgrid(np.arange(j1 + 1), np.arange(j2 + 1), indexing="ij")
    total = (2 * m1 - j1 + 2 * m2 - j2).ravel()
    here = np.flatnonzero(total == j)
    _, _, vectors = np.linalg.svd(up[:, here])
    state = np.zeros(len(total))
    state[here] = vectors[-1]
    state *= np.sign(state[np.ravel_multi_index((j1, (j - j1 + j2) // 2), m1.shape)])
    columns = [state]
    for m in np.arange(j, -j, -2) / 2:
        columns.append(up.T @ columns[-1] / sqrt((j / 2 + m) * (j / 2 - m + 1)))
    return np.stack(columns[::-1], axis=-1).reshape(j1 + 1, j2 + 1, j + 1)


def wigner(j: int, a: complex, b: complex) -> NDArray[np.complex128]:
    """U_j of the point (a, b)."""
    u = np.empty((j + 1, j + 1), np.complex128)
    for mb in range(j + 1):
        row = np.array([1.0 + 0j])
        for k in range(j):
            factor = [np.conj(a), -np.conj(b)] if k < j - mb else [b, a]
            row = np.convolve(row, factor)
        u[mb] = row
    g = np.array([[sqrt(factorial(j - ma) * factorial(ma) / factorial(j - mb) / factorial(mb))
                   for ma in range(j + 1)] for mb in range(j + 1)])  # fmt: skip
    return g * u


def site_energy(p: Invented, own: int, d: NDArray[np.float64], kinds: NDArray[np.int64]) -> float:
    """Energy of an atom with neighbours at d (n, 3)."""
    o, elements = p.options, len(p.radius)
    channels = elements if o["chemflag"] else 1
    here = own if channels > 1 else 0
    u = [[np.eye(j + 1) * complex(e == here or bool(o["wselfallflag"])) for j in
          range(p.twojmax + 1)] for e in range(channels)]  # fmt: skip
    for vector, kind in zip(d, kinds, strict=True):
        r, rc = np.linalg.norm(vector), (p.radius[own] + p.radius[kind]) * p.rcutfac
        if r >= rc:
            continue
        share = (r - o["rmin0"]) / (rc - o["rmin0"])
        x, y, z = vector / r * np.sin(pi * o["rfac0"] * share)
        a, b = complex(np.cos(pi * o["rfac0"] * share), -z), complex(y, -x)
        weight = p.weight[kind]
        if o["switchflag"] and share > 0:
            weight *= 0.5 * (np.cos(pi * share) + 1)
        for j in range(p.twojmax + 1):
            u[kind if channels > 1 else 0][j] = u[kind if channels > 1 else 0][j] + weight * wigner(
                j, a, b)  # fmt: skip
    components = []
    for e1 in range(channels):
        for e2 in range(channels):
            for e3 in range(channels):
                for j1, j2, j in momenta(p.twojmax):
                    c = coupling(j1, j2, j)
                    z = np.einsum("abm,cdn,ac,bd->mn", c, c, u[e1][j1], u[e2][j2])
                    norm = j + 1 if o["bnormflag"] else 1
                    value = (np.conj(u[e3][j]) * z).sum().real / norm
                    alone = o["wselfallflag"] or e1 == e2 == e3 == here
                    if o["bzeroflag"] and alone:
                        value -= (j + 1) / norm
                    components.append(value)
    q = np.array(components)
    beta, n = p.beta[own], len(q)
    energy = beta[0] + beta[1 : n + 1] @ q
    if o["quadraticflag"]:
        k = n + 1
        for i in range(n):
            energy += 0.5 * beta[k] * q[i] ** 2 + q[i] * (beta[k + 1 : k + n - i] @ q[i + 1 :])
            k += n - i
    return float(energy)


def energies(p: Invented, x: NDArray[np.float64], kinds: NDArray[np.int64], box: Box
             ) -> NDArray[np.float64]:
    """(n,) energies of atoms in a box."""
    rc = 2 * max(p.radius) * p.rcutfac
    vectors = shifts(box, rc)
    found = []
    for i in range(len(x)):
        d = (x[None] + vectors[:, None] - x[i]).reshape(-1, 3)
        r = np.linalg.norm(d, axis=1)
        near = (r < rc) & (r > 1e-10)
        found.append(site_energy(p, int(kinds[i]), d[near], np.tile(kinds, len(vectors))[near]))
    return np.array(found)
