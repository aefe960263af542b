"""The Deep Potential of copper: random, of the shape that DeePMD-kit trains by default.

Speeds do not depend on a model's numbers, and a trained one is not needed to compare digits. Its
embedding and fitting nets are those of a fresh model of DeePMD-kit, its statistics those of copper,
so that forces are weak and the crystal lives for the picosecond that it is looked at.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np

from potentials.deep_potential.format import write_model
from potentials.deep_potential.model import Layer, Model, Network

EMBEDDING, FITTING = (1, 25, 50, 100), (1600, 240, 240, 240)
PRECISIONS = {"double": "float64", "single": "float32"}


def make_model(path: Path, precision: str = "double") -> None:
    """Write the model; DeePMD-kit shall evaluate it in this precision."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_model(path, copper(), PRECISIONS[precision])


def copper(seed: int = 1) -> Model:
    """The model, the same for the same seed."""
    random = np.random.default_rng(seed)
    fitting = _network(random, FITTING, stepped=True)
    last = Layer(random.normal(0, FITTING[-1] ** -0.5, (FITTING[-1], 1)), np.zeros(1), None, False,
                 False)
    return Model(
        elements=("Cu",), radial=False, cutoff=6.0, smooth=0.5, sel=(120,), axis=16, one_sided=True,
        mean=np.array([[0.13, 0, 0, 0]]), scale=np.array([[0.11, 0.065, 0.065, 0.065]]),
        protection=0.0, embeddings=(Network(_network(random, EMBEDDING, stepped=False)),),
        fittings=(Network((*fitting, last)),), bias=np.array([-3.5]), nearest=2.0)  # fmt: skip


def _network(random: np.random.Generator, widths: tuple[int, ...], stepped: bool
             ) -> tuple[Layer, ...]:
    """Layers with weights of variance 1 / (n + m) and biases of variance 1."""
    return tuple(
        Layer(random.normal(0, (n + m) ** -0.5, (n, m)), random.normal(0, 1, m),
              random.normal(0.1, 1e-3, m) if stepped and n == m else None, True, True)
        for n, m in pairwise(widths))  # fmt: skip
