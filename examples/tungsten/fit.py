"""Fit a linear SNAP for tungsten to energies and forces of an embedded-atom potential.

    E = ZBL + sum_i (beta_0 + sum_k beta_k B_k(i))

is linear in beta, and so are forces and virial: with all of beta zero but one number that is 1, the
kernel returns a column of the equations. Right-hand sides are those of the EAM of Zhou, Johnson and
Wadley (potentials/eam/zhou.py) less ZBL's, whose repulsion the fit then need not learn. Someone who
has quantum-mechanical energies puts them in the place of the EAM; nothing else changes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from mdapp.evaluate import SinglePoint, Structure, single_point
from mdapp.model.box import Box
from potentials.base import Potential
from potentials.eam.zhou import METALS, write_setfl
from potentials.registry import make_potential
from potentials.snap.files import Coefficients, Parameters
from potentials.snap.indices import bispectrum_terms
from potentials.snap.potential import SNAP

FOLDER = Path(__file__).resolve().parent
# Names as in LAMMPS's files. ZBL is brought to zero from 4.0 to 4.8 A, as in published models.
PARAMETERS = Parameters(rcutfac=4.8, twojmax=6)
RADIUS = 0.5                    # so that rcutfac is the cutoff
ZBL = {"z": 74, "inner": 4.0, "outer": 4.8}
# Weights of an energy per atom, a force and a virial per atom, in 1 / eV, Angstrom / eV, 1 / eV.
OF_ENERGY, OF_FORCES, OF_VIRIAL = 100.0, 1.0, 3.0
HELD_OUT = 5                    # every so many-th structure is not fitted to
CUBIC = {
    "bcc": (1.0, [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "fcc": (2 ** (1 / 3), [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]),
    "sc": (2 ** (-1 / 3), [[0, 0, 0]]),
}                               # edge over that of bcc at the same density, and basis


def structures(seed: int = 74) -> list[Structure]:
    """Strained, shaken and defective crystals, mostly bcc."""
    rng = np.random.default_rng(seed)
    made = []
    for k in range(50):
        kind = ("bcc", "bcc", "bcc", "fcc", "sc")[k % 5] if k < 25 else "bcc"
        edge, basis = CUBIC[kind]
        cells = {"bcc": 3, "fcc": 2, "sc": 3}[kind]
        grid = np.stack(np.meshgrid(*[np.arange(cells)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
        x = (grid + np.array(basis, float)).reshape(-1, 3) / cells
        strain = np.eye(3) * (1 + rng.uniform(-0.04, 0.04)) + rng.uniform(-0.02, 0.02, (3, 3))
        vectors = METALS["W"].constant * edge * cells * np.tril(strain)
        if k % 3 == 2:
            x = x[rng.integers(1, 3):]                        # one vacancy, or two
        shaken = x @ vectors + rng.normal(0, rng.uniform(0, 0.15), x.shape)
        made.append(Structure.of_arrays(Box.from_vectors(vectors), shaken))
    return made


def numbers(found: SinglePoint) -> np.ndarray:
    """Weighted energy, virial and forces of a structure."""
    n = len(found.forces)
    return np.concatenate([[OF_ENERGY * found.energy / n], OF_VIRIAL * found.virial / n,
                           OF_FORCES * found.forces.ravel()])  # fmt: skip


def columns() -> list[Potential]:
    """The model with one coefficient 1 and the others 0, for each coefficient."""
    return [snap(beta) for beta in np.eye(1 + len(bispectrum_terms(PARAMETERS.twojmax)))]


def snap(beta: np.ndarray) -> SNAP:
    """The model."""
    return SNAP(PARAMETERS, Coefficients(("W",), np.array([RADIUS]), np.ones(1), beta[None]), (0,))


def of_all(potential: Potential, some: list[Structure]) -> np.ndarray:
    """The numbers of all structures under a potential."""
    return np.concatenate([numbers(single_point(s, potential, units="metal")) for s in some])


def fit(some: list[Structure]) -> tuple[np.ndarray, dict[str, float]]:
    """Coefficients, and rms errors of structures that were not fitted to, in meV and meV / A."""
    zbl = make_potential("zbl", ZBL, 1)
    with tempfile.TemporaryDirectory() as folder:
        write_setfl(Path(folder) / "W", ["W"])
        eam = make_potential("eam/alloy", {"file": f"{folder}/W", "species": ["W"]}, 1)
    right = of_all(eam, some) - of_all(zbl, some)
    left = np.stack([of_all(potential, some) for potential in columns()], axis=1)
    sizes = [7 + 3 * len(s.x) for s in some]
    of = np.repeat(np.arange(len(some)), sizes)               # structure of each row
    kind = np.concatenate([np.repeat([0, 1, 2], [1, 6, n - 7]) for n in sizes])
    fitted = of % HELD_OUT > 0
    scale = np.linalg.norm(left[fitted], axis=0)
    beta = np.linalg.lstsq(left[fitted] / scale, right[fitted], rcond=1e-9)[0] / scale
    wrong = 1000 * (left @ beta - right)

    def rms(which: int, weight: float) -> float:
        return float(np.sqrt(np.mean(wrong[~fitted & (kind == which)] ** 2))) / weight

    return beta, {"energy": rms(0, OF_ENERGY), "forces": rms(2, OF_FORCES)}


def write(folder: Path, beta: np.ndarray, errors: dict[str, float]) -> None:
    """The two files as LAMMPS reads them."""
    what = (
        f"# UNITS: metal , tungsten, linear SNAP beside zbl {ZBL['inner']} {ZBL['outer']}\n"
        "# fitted by examples/tungsten/fit.py to the EAM of Zhou, Johnson and Wadley, "
        "doi 10.1103/PhysRevB.69.144113\n"
        f"# rms errors: {errors['energy']:.1f} meV per atom, forces {errors['forces']:.0f} meV/A\n"
    )
    terms = "\n".join(f"{value:.12e}" for value in beta)
    (folder / "W.snapcoeff").write_text(f"{what}1 {len(beta)}\nW {RADIUS} 1.0\n{terms}\n")
    p = PARAMETERS
    (folder / "W.snapparam").write_text(
        f"{what}rcutfac {p.rcutfac}\ntwojmax {p.twojmax}\nrfac0 {p.rfac0}\nrmin0 {p.rmin0:g}\n"
        "bzeroflag 1\nquadraticflag 0\n"
    )


def main() -> int:
    """Fit, write the files and print the errors."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the two files")
    folder = parser.parse_args().out
    beta, errors = fit(structures())
    write(folder, beta, errors)
    print(f"rms errors: {errors['energy']:.1f} meV per atom, forces {errors['forces']:.0f} meV/A")
    return 0


if __name__ == "__main__":
    sys.exit(main())
