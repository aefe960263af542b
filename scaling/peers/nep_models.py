"""The models of the NEP problems: published ones where a machine has them, else of the same shape.

Published files are not distributed with mdapp. Where the folder MDAPP_TEST_DATA, or ../shared/data
beside the checkout, has them they are measured; elsewhere models with random parameters, whose
kernels do the same work. Forces of these are weak, and ZBL keeps atoms apart.
"""

import os
import shutil
from pathlib import Path

import numpy as np

import mdapp
from potentials.nep.model import NEPModel, ZBLSection, dimension
from potentials.nep.writer import write_nep

PUBLISHED = {
    "Si.nep.txt": "gpumd-nep-models/Si_2022_NEP4_4body.txt",
    "HfO2.nep.txt": "lammps-matpl-hfo2/nep.txt",
}


def make_models(folder: Path) -> None:
    """Put the models into a folder."""
    named = os.environ.get("MDAPP_TEST_DATA")
    data = Path(named) if named else Path(mdapp.__file__).parents[2] / "shared" / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in PUBLISHED.items():
        if (data / source).is_file():
            shutil.copyfile(data / source, folder / name)
        else:
            write_nep(folder / name, INVENTED[name]())


def invented(elements: tuple[str, ...], cutoffs: tuple[float, float], n: int, basis: int,
             flag: bool, neurons: int, seed: int) -> NEPModel:
    """A model of version 4 with universal ZBL."""
    rng, t, flags = np.random.default_rng(seed), len(elements), (flag, *(False,) * 5)
    dim = dimension((n, n), 4, flags)
    c = [rng.normal(size=(n + 1, basis + 1, t, t)) / (basis + 1) for _ in range(2)]
    return NEPModel(
        4, elements, np.full(t, cutoffs[0]), np.full(t, cutoffs[1]), (n, n), (basis, basis), 4,
        flags, rng.normal(size=(t, neurons, dim)) / dim**0.5, rng.normal(size=(t, neurons)),
        0.1 * rng.normal(size=(t, neurons)), 4.0, None, c[0], c[1], np.full(dim, 0.1),
        ZBLSection(1.0, 2.0), (1000, 100))  # fmt: skip


def silicon() -> NEPModel:
    """The shape of Si_2022_NEP4_4body."""
    return invented(("Si",), (5.0, 5.0), 10, 10, True, 50, 1)


def hafnia() -> NEPModel:
    """The shape of MatPL's model of HfO2."""
    return invented(("O", "Hf"), (8.0, 4.0), 4, 12, True, 30, 2)


INVENTED = {"Si.nep.txt": silicon, "HfO2.nep.txt": hafnia}
