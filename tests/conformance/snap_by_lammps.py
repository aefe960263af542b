"""Published SNAP files on random structures, and how LAMMPS's numbers were had.

    LAMMPS_POTENTIALS=FOLDER python -m tests.conformance.snap_by_lammps > inputs/snap.json

as eam_by_lammps.py. Components that differ in the order of their elements only are equal, and each
has a coefficient. LAMMPS takes these to be equal too when it computes forces; in InP_JCPA2020 they
are not, in the last of their twelve digits, which turns its forces by 1e-8 eV / Angstrom from the
derivatives of its energies. So both codes get that file with the coefficients averaged.
"""

from __future__ import annotations

import itertools
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from potentials.snap.indices import bispectrum_terms
from tests.conformance.eam_by_lammps import Case, answer


def case(name: str, species: tuple[str, ...], constant: float, seed: int) -> Case:
    """Of the two files with a common name."""
    return Case("snap", (f"{name}.snapcoeff", f"{name}.snapparam"), species, constant, seed)


CASES = (
    case("W_2940_2017_2", ("W",), 3.95, 0),
    case("Ta06A", ("Ta",), 4.2, 1),
    case("Mo_Chen_PRM2017", ("Mo",), 4.0, 2),
    case("WBe_Wood_PRB2019", ("Be", "W"), 3.8, 3),
    case("InP_JCPA2020", ("In", "P"), 4.4, 4),
    case("Cu_Zuo_JPCA2020", ("Cu",), 3.6, 5),
    case("Ni_Zuo_JPCA2020.quadratic", ("Ni",), 3.5, 6),
    case("Si_Zuo_JPCA2020.quadratic", ("Si",), 4.3, 7),
)

OVERLAYS = {CASES[0]: 74, CASES[1]: 73}         # with ZBL from 4.0 to 4.8, and the atomic numbers


def files_of(case: Case, folder: Path, scratch: Path) -> list[str]:
    """The two files that both codes read, one of them written to `scratch` where averaged."""
    first, second = (folder / name for name in case.files)
    if "InP" not in case.name:
        return [str(first), str(second)]
    averaged = scratch / first.name
    averaged.write_text(average(first.read_text(), 6))
    return [str(averaged), str(second)]


def average(text: str, twojmax: int) -> str:
    """A coefficient file of explicit elements, equal components with equal coefficients."""
    lines = [words for line in text.splitlines() if (words := line.partition("#")[0].split())]
    elements, count = int(lines[0][0]), int(lines[0][1])
    terms = [(*momenta, *triple) for triple in itertools.product(range(elements), repeat=3)
             for momenta in bispectrum_terms(twojmax)]  # fmt: skip
    for first in range(2, len(lines), count + 1):
        groups: dict[tuple[tuple[int, int], ...], list[int]] = {}
        for k, term in enumerate(terms, first + 1):
            pairs = sorted(zip(term[:3], term[3:], strict=True))
            groups.setdefault(tuple(pairs), []).append(k)
        for group in groups.values():
            mean = float(np.mean([float(lines[k][0]) for k in group]))
            for k in group:
                lines[k] = [repr(mean)]
    return "\n".join(" ".join(words) for words in lines) + "\n"


def main() -> None:
    """Print the JSON."""
    folder, answers, overlays = Path(os.environ["LAMMPS_POTENTIALS"]), [], []
    with tempfile.TemporaryDirectory() as scratch:
        for case in CASES:
            files = " ".join(files_of(case, folder, Path(scratch)))
            commands = ["pair_style snap",
                        f"pair_coeff * * {files} {' '.join(case.species)}"]  # fmt: skip
            answers.append(json.dumps({**asdict(case), **answer(case, commands)}))
            if case in OVERLAYS:
                z = OVERLAYS[case]
                commands = ["pair_style hybrid/overlay zbl 4.0 4.8 snap",
                            f"pair_coeff 1 1 zbl {z} {z}",
                            f"pair_coeff * * snap {files} {' '.join(case.species)}"]  # fmt: skip
                overlays.append(json.dumps({**asdict(case), **answer(case, commands)}))
    source = "computed by LAMMPS 22Jul2025 (update 4) from snap_by_lammps.py, double precision"
    cases, sums = ",\n".join(answers), ",\n".join(overlays)
    print(f'{{"source": "{source}",\n"cases": [\n{cases}\n],\n"overlays": [\n{sums}\n]}}')


if __name__ == "__main__":
    main()
