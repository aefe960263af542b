"""Deep Potentials by their definition, every slot written out.

An atom has an array of slots, as many of each type as `sel` says; neighbours fill some, and the
others have the row of nothing. Everything else follows from that array. Derivatives are taken by
complex steps: Im E(d + i h) / h has no cancellation.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdapp.model.box import Box
from potentials.deep_potential.model import Layer, Model, Network
from tests.twins.images import shifts
from tests.twins.lj import VOIGT

STEP = 1e-30


@dataclass(frozen=True)
class Answer:
    """energies (n,), forces (n, 3), virials (n, 6) of each atom."""

    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    virials: NDArray[np.float64]


def through(network: Network, x: NDArray) -> NDArray:
    """Rows of inputs through the layers of a network."""
    for layer in network.layers:
        y = x @ layer.weight + layer.bias
        if layer.tanh:
            y = np.tanh(y)
        if layer.step is not None:
            y = y * layer.step
        if layer.resnet and y.shape[1] == x.shape[1]:
            y = y + x
        elif layer.resnet and y.shape[1] == 2 * x.shape[1]:
            y = y + np.concatenate([x, x], axis=1)
        x = y
    return x


def row(model: Model, d: NDArray) -> NDArray:
    """Of a neighbour at d (3,), not normalised."""
    r = np.sqrt((d**2).sum())
    u = (r - model.smooth) / (model.cutoff - model.smooth)
    w = 1 - 10 * u**3 + 15 * u**4 - 6 * u**5 if u.real > 0 else 1.0
    p = model.protection
    return np.array([w / (r + p), *(w * d / (r + p) ** 2)])[: model.mean.shape[1]]


def energy(model: Model, d: NDArray, kind: int, kinds: NDArray[np.int64]) -> complex:
    """Of an atom of type `kind` with neighbours of types `kinds` at d (n, 3)."""
    sums = np.zeros((model.outputs, model.mean.shape[1]), complex)
    for t, slots in enumerate(model.sel):
        rows = np.zeros((slots, model.mean.shape[1]), complex)
        for q, neighbor in enumerate(np.flatnonzero(kinds == t)):
            rows[q] = row(model, d[neighbor])
        rows = (rows - model.mean[kind]) / model.scale[kind]
        values = through(model.embeddings[model.embedding(kind, t)], rows[:, :1])
        sums += values.T @ (np.ones((slots, 1)) if model.radial else rows)
    sums /= sum(model.sel)
    descriptor = sums.ravel() / 5 if model.radial else (sums @ sums[: model.axis].T).ravel()
    return through(model.fittings[kind], descriptor[None])[0, 0] + model.bias[kind]


def evaluate(model: Model, x: NDArray[np.float64], types: NDArray, box: Box) -> Answer:
    """Energies of all atoms; x (n, 3), types (n,) from 0. Virials are the neighbours'."""
    n = len(x)
    answer = Answer(np.zeros(n), np.zeros((n, 3)), np.zeros((n, 6)))
    for i in range(n):
        d = (x[None] + shifts(box, model.cutoff)[:, None]).reshape(-1, 3) - x[i]
        r = np.sqrt((d**2).sum(axis=1))
        near = np.flatnonzero((r < model.cutoff) & (r > 0))
        owner, d = near % n, d[near].astype(complex)
        answer.energies[i] = energy(model, d, types[i], types[owner]).real
        for q, j in enumerate(owner):
            for c in range(3):
                d[q, c] += 1j * STEP
                slope = energy(model, d, types[i], types[owner]).imag / STEP
                d[q, c] = d[q, c].real
                answer.forces[j, c] -= slope
                answer.forces[i, c] += slope
                for k, (a, b) in enumerate(VOIGT):
                    if b == c:
                        answer.virials[j, k] -= d[q, a].real * slope
    return answer


def invented(
    ntypes: int = 2,
    radial: bool = False,
    one_sided: bool = True,
    sel: tuple[int, ...] = (22, 36),
    neuron: tuple[int, ...] = (3, 6, 12),
    axis: int = 4,
    fitted: tuple[int, ...] = (10, 10, 20),
    protection: float = 0.0,
    cutoff: float = 3.0,
    seed: int = 1,
) -> Model:
    """A model of no element in particular, with statistics that are far from 0."""
    rng = np.random.default_rng(seed)

    def network(widths: tuple[int, ...], last: bool) -> Network:
        layers = [
            Layer(rng.normal(0, 1.3 / np.sqrt(n), (n, m)), rng.normal(0, 0.4, m),
                  rng.uniform(0.3, 0.9, m) if n == m else None, True, True)
            for n, m in pairwise(widths)
        ]  # fmt: skip
        if last:
            weight = rng.normal(0, 1, (widths[-1], 1))
            layers.append(Layer(weight, rng.normal(0, 1, 1), None, False, False))
        return Network(tuple(layers))

    columns, inputs = (1, neuron[-1]) if radial else (4, neuron[-1] * axis)
    return Model(
        ("Aa", "Bb", "Cc")[:ntypes], radial, cutoff, 0.6, sel[:ntypes], 0 if radial else axis,
        one_sided, rng.uniform(-0.1, 0.2, (ntypes, columns)),
        rng.uniform(0.2, 0.4, (ntypes, columns)), protection,
        tuple(network((1, *neuron), False) for _ in range(ntypes if one_sided else ntypes**2)),
        tuple(network((inputs, *fitted), True) for _ in range(ntypes)),
        rng.normal(0, 3, ntypes), 0.9,
    )  # fmt: skip


def as_yaml(node: Any) -> Any:
    """A tree as DeePMD-kit writes it to YAML; biases as rows."""
    if isinstance(node, np.ndarray):
        value = node[None] if node.ndim == 1 else node
        return {"@class": "np.ndarray", "@is_variable": True, "@version": 1, "dtype": "float64",
                "value": value.tolist()}  # fmt: skip
    if isinstance(node, dict):
        return {key: as_yaml(value) for key, value in node.items()}
    return [as_yaml(value) for value in node] if isinstance(node, list) else node


def same(a: object, b: object) -> bool:
    """Whether two models have the same numbers."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.shape == b.shape and bool((a == b).all())
    if isinstance(a, (Model, Network, Layer)):
        return all(same(getattr(a, name), getattr(b, name)) for name in a.__dataclass_fields__)
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(same, a, b))
    return a == b
