"""The EAM of Zhou, Johnson and Wadley as a setfl file: potentials that need nobody's file.

    python -m potentials.eam.zhou Cu Ni --out CuNi.eam.alloy

Sixteen metals were fitted to one set of formulas, and any of them may be mixed without a further
parameter: the pair energy of two elements is the mean of their own, each weighted by the ratio of
the densities (R. A. Johnson 1989, doi 10.1103/PhysRevB.39.12554). X. W. Zhou, R. A. Johnson,
H. N. G. Wadley 2004, doi 10.1103/PhysRevB.69.144113; five of the metals are here.

    f(r) = f_e g(r, beta, lambda),      phi(r) = A g(r, alpha, kappa) - B g(r, beta, lambda),
    g(r, a, c) = exp(-a (r / r_e - 1)) / (1 + (r / r_e - c)^20)

The functions are cut where the authors cut theirs, at sqrt(5) r_e of the largest element, and are
not brought to zero there: a pair that leaves takes some 1e-6 eV with it. A table is a potential of
its own; with another number of knots the energies differ by interpolation.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from potentials.eam.tables import Tables

KNOTS = 1000
REACH = 5**0.5              # cutoff over r_e
DENSEST = 2.0               # last knot of the embedding energy over the largest rho_e
MOST_KNOTS = 100_000
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Metal:
    """Parameters of one element, named as in the paper: lengths in Angstrom, energies in eV.

    Attributes
    ----------
    number, mass, lattice : atomic number, mass in g/mol, and structure, for the header of a file
    fn : F_n0 to F_n3, of the embedding energy below 0.85 rho_e
    f : F_0 to F_3, between that and 1.15 rho_e
    fe, eta : F_e and eta, beyond
    """

    number: int
    mass: float
    lattice: str
    r_e: float
    f_e: float
    rho_e: float
    rho_s: float
    alpha: float
    beta: float
    a: float
    b: float
    kappa: float
    lambda_: float
    fn: tuple[float, float, float, float]
    f: tuple[float, float, float, float]
    eta: float
    fe: float

    @property
    def constant(self) -> float:
        """Edge of the cubic cell whose nearest neighbours are r_e apart."""
        return self.r_e * (2**0.5 if self.lattice == "fcc" else 2 / 3**0.5)

    def density(self, r: Values) -> Values:
        """Density at distances r."""
        return self.f_e * self._decay(r, self.beta, self.lambda_)

    def pair(self, r: Values) -> Values:
        """Energy of a pair of this element at distances r."""
        return self.a * self._decay(r, self.alpha, self.kappa) - self.b * self._decay(
            r, self.beta, self.lambda_
        )

    def embedding(self, rho: Values) -> Values:
        """Energy of an atom in densities rho >= 0."""
        dense = np.maximum(rho, self.rho_e) / self.rho_s    # where its logarithm is wanted
        return np.select(
            [rho < 0.85 * self.rho_e, rho < 1.15 * self.rho_e],
            [_cubic(self.fn, rho / (0.85 * self.rho_e) - 1), _cubic(self.f, rho / self.rho_e - 1)],
            self.fe * (1 - self.eta * np.log(dense)) * dense**self.eta,
        )

    def _decay(self, r: Values, rate: float, place: float) -> Values:
        x = r / self.r_e
        return np.exp(-rate * (x - 1)) / (1 + (x - place) ** 20)


METALS = {
    "Al": Metal(13, 26.981539, "fcc", 2.863924, 1.403115, 20.418205, 23.195740, 6.613165, 3.527021,
                0.314873, 0.365551, 0.379846, 0.759692,
                (-2.807602, -0.301435, 1.258562, -1.247604), (-2.83, 0.0, 0.622245, -2.488244),
                0.785902, -2.824528),
    "Ni": Metal(28, 58.6934, "fcc", 2.488746, 2.007018, 27.562015, 27.930410, 8.383453, 4.471175,
                0.429046, 0.633531, 0.443599, 0.820658,
                (-2.693513, -0.076445, 0.241442, -2.375626), (-2.70, 0.0, 0.265390, -0.152856),
                0.469000, -2.699486),
    "Cu": Metal(29, 63.546, "fcc", 2.556162, 1.554485, 21.175871, 21.175395, 8.127620, 4.334731,
                0.396620, 0.548085, 0.308782, 0.756515,
                (-2.170269, -0.263788, 1.088878, -0.817603), (-2.19, 0.0, 0.561830, -2.100595),
                0.310490, -2.186568),
    "Ag": Metal(47, 107.8682, "fcc", 2.891814, 1.106232, 14.604100, 14.604144, 9.132010, 4.870405,
                0.277758, 0.419611, 0.339710, 0.750758,
                (-1.729364, -0.255882, 0.912050, -0.561432), (-1.75, 0.0, 0.744561, -1.150650),
                0.783924, -1.748423),
    "Ta": Metal(73, 180.94788, "bcc", 2.860082, 3.086341, 33.787168, 33.787168, 8.489528, 4.527748,
                0.611679, 1.032101, 0.176977, 0.353954,
                (-5.103845, -0.405524, 1.112997, -3.585325), (-5.14, 0.0, 1.640098, 0.221375),
                0.848843, -5.141526),
    # With eta = -0.582714, as some tables have it, the embedding energy jumps by 2e-3 eV.
    "W": Metal(74, 183.84, "bcc", 2.740840, 3.487340, 37.234847, 37.234847, 8.900114, 4.746728,
               0.882435, 1.394592, 0.139209, 0.278417,
               (-4.946281, -0.148818, 0.365057, -4.432406), (-4.96, 0.0, 0.661935, 0.348147),
               0.582714, -4.961306),
}


def pair_energy(one: Metal, other: Metal, r: Values) -> Values:
    """Energy of a pair of two elements at distances r."""
    ratio = other.density(r) / one.density(r)
    return 0.5 * (ratio * one.pair(r) + other.pair(r) / ratio)


def tabulated(metals: Sequence[Metal], knots: int = KNOTS) -> Tables:
    """Functions of these elements, each over `knots` knots."""
    cutoff = REACH * max(m.r_e for m in metals)
    dr = cutoff / (knots - 1)
    drho = DENSEST * max(m.rho_e for m in metals) / (knots - 1)
    k = np.arange(knots, dtype=np.float64)
    r, rho = dr * k, drho * k
    n = len(metals)
    return Tables(
        drho, dr, cutoff,
        embedding=np.stack([m.embedding(rho) for m in metals]),
        density=np.repeat(np.stack([m.density(r) for m in metals])[:, None], n, axis=1),
        z2=np.stack([[r * pair_energy(a, b, r) for b in metals] for a in metals]),
        mass=np.array([m.mass for m in metals]),
    )  # fmt: skip


def write_setfl(path: Path, names: Sequence[str], knots: int = KNOTS) -> None:
    """Write the file of these elements, all numbers with twelve digits."""
    metals = [METALS[name] for name in names]
    tables = tabulated(metals, knots)
    grid = f"{knots} {tables.drho:.11e} {knots} {tables.dr:.11e} {tables.cutoff:.11e}"
    lines = [
        f"{' '.join(names)}: X. W. Zhou, R. A. Johnson, H. N. G. Wadley, Phys. Rev. B 69, 144113",
        "(2004), doi 10.1103/PhysRevB.69.144113; UNITS: metal; r phi in eV A",
        f"tabulated by python -m potentials.eam.zhou {' '.join(names)} --knots {knots}",
        f"{len(names)} {' '.join(names)}",
        grid,
    ]
    for k, m in enumerate(metals):
        lines.append(f"{m.number} {m.mass} {m.constant:.6f} {m.lattice}")
        lines += _rows(tables.embedding[k]) + _rows(tables.density[k, k])
    for i in range(len(metals)):
        for j in range(i + 1):
            lines += _rows(tables.z2[i, j])
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _rows(values: Values) -> list[str]:
    return [" ".join(f"{v:.11e}" for v in values[k : k + 5]) for k in range(0, len(values), 5)]


def _cubic(c: Sequence[float], x: Values) -> Values:
    return c[0] + x * (c[1] + x * (c[2] + x * c[3]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a file; exit code 2 and a line if that cannot be done."""
    parser = argparse.ArgumentParser(
        prog="python -m potentials.eam.zhou",
        description="Tabulate the EAM of Zhou, Johnson and Wadley (2004) as a setfl file.",
    )
    parser.add_argument("elements", nargs="+", choices=METALS, metavar="ELEMENT",
                        help=f"of {', '.join(METALS)}, in the order of the file")
    parser.add_argument("--out", type=Path, help="default: the elements and .eam.alloy")
    parser.add_argument("--knots", type=int, default=KNOTS, help=f"of a table; default {KNOTS}")
    chosen = parser.parse_args(arguments)
    if len(set(chosen.elements)) < len(chosen.elements):
        parser.error(f"an element is named twice: {' '.join(chosen.elements)}")
    if not 10 <= chosen.knots <= MOST_KNOTS:
        parser.error(f"--knots {chosen.knots}: must be from 10 to {MOST_KNOTS}")
    out = chosen.out or Path("".join(chosen.elements) + ".eam.alloy")
    try:
        write_setfl(out, chosen.elements, chosen.knots)
    except OSError as error:
        parser.error(f"--out {out}: {error.strerror}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
