"""Deep Potentials to be fitted: where they begin, and the file they end in.

Networks begin at random, with weights of variance 1 / (in + out) and thresholds of variance 1. Rows
of the environment are made 0 +- 1 by their statistics over all slots, the empty ones included, of
atoms of each type: a mean of the radial column, one scale of it and one of the three vectors'.

`sel`, the slots, is part of such a model, and a run in which an atom has more neighbours is
refused. So slots are made for a fifth more neighbours than any atom of the frames has.

L. Zhang et al. 2018, arXiv:1805.09003.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdapp.errors import InputError
from mdapp.fit.learner import Learner
from mdapp.fit.settings import DeepPotentialShape
from mdapp.fit.stream import Batcher
from mdapp.fit.training_set import TrainingSet
from potentials.deep_potential.format import write_model
from potentials.deep_potential.jax_form import DeepPotentialForm
from potentials.deep_potential.model import Layer, Model, Network

SPARE = 1.2                   # slots for each neighbour that is there
LEAST_SCALE = 1e-2


def new_deep_potential(shape: DeepPotentialShape, batcher: Batcher, seed: int) -> Learner:
    """A model before it is fitted.

    Parameters
    ----------
    batcher : of the training set, whose frames are looked at

    Raises
    ------
    InputError : atoms have more neighbours than the slots that were asked for
    """
    data, rng = batcher.data, np.random.default_rng([seed, 2])
    types = len(data.species)
    most, nearest = survey(data)
    sel = shape.sel or tuple(4 * math.ceil(SPARE * n / 4) or 4 for n in most.tolist())
    if len(sel) != types or (np.array(sel) < most).any():
        raise InputError(f"--set sel={','.join(map(str, sel))}: atoms have up to "
                         f"{', '.join(map(str, most))} neighbours of {', '.join(data.species)} "
                         f"within {shape.cutoff:g}; give as many at least, one number each")
    mean, scale = statistics(shape, data, sum(sel))
    embeddings = tuple(network(rng, (1, *shape.embedding)) for _ in range(types))
    inputs = shape.embedding[-1] * shape.axis
    fittings = tuple(network(rng, (inputs, *shape.fitting), 1) for _ in range(types))
    model = Model(tuple(data.species), False, shape.cutoff, shape.smooth, sel, shape.axis, True,
                  mean, scale, 0.0, embeddings, fittings, np.zeros(types), nearest)
    form = DeepPotentialForm(model)
    params = form.params()
    fixed = {"bias": params.pop("bias")}

    def write(path: Path, weights: Mapping[str, Any], baseline: NDArray[np.float64]) -> None:
        write_model(path, form.with_params({**weights, "bias": baseline}))

    about = {"components": inputs, "sel": list(sel), "mean": mean.tolist(),
             "scale": scale.tolist(), "nearest": nearest}
    return Learner("deep_potential", "model.dp", params, fixed, form.energy, write, about)


def network(rng: np.random.Generator, widths: tuple[int, ...], outputs: int = 0) -> Network:
    """A random network whose layers add their inputs where they can, and a linear one behind."""
    def layer(n: int, m: int, tanh: bool) -> Layer:
        weight = rng.normal(size=(n, m)) / np.sqrt(n + m)
        bias = rng.normal(size=m) if tanh else np.zeros(m)
        return Layer(weight, bias, None, tanh, tanh and m in (n, 2 * n))

    layers = [layer(n, m, True) for n, m in pairwise(widths)]
    return Network((*layers, *([layer(widths[-1], outputs, False)] if outputs else [])))


def survey(data: TrainingSet) -> tuple[NDArray[np.int64], float]:
    """(T,) most neighbours of each type that an atom has, and the shortest of all distances."""
    most, nearest2 = np.zeros(len(data.species), np.int64), math.inf
    for k in range(len(data)):
        frame = data.frame(k)
        types = frame.type[frame.j]
        for t in range(len(most)):
            there = np.concatenate([[0], np.cumsum(types == t)])
            most[t] = max(most[t], np.diff(there[frame.start]).max(initial=0))
        if len(frame.r):
            nearest2 = min(nearest2, float((frame.r**2).sum(axis=1).min()))
    return most, math.sqrt(nearest2) if math.isfinite(nearest2) else data.cutoff


def statistics(shape: DeepPotentialShape, data: TrainingSet, slots: int
               ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(T, 4) mean and scale of the rows of all slots of atoms of each type."""
    types = len(data.species)
    count, first, second = np.zeros(types), np.zeros(types), np.zeros((types, 2))
    for k in data.fitted():
        frame = data.frame(int(k))
        centre = np.repeat(frame.type, np.diff(frame.start))
        r = np.sqrt((frame.r**2).sum(axis=1))
        u = np.clip((r - shape.smooth) / (shape.cutoff - shape.smooth), 0, 1)
        near = (1 + u**3 * (-10 + u * (15 - 6 * u))) / r
        count += slots * np.bincount(frame.type, minlength=types)
        first += np.bincount(centre, near, types)
        # the three vector components together: their squares sum to that of the radial one
        second += np.column_stack([np.bincount(centre, near**2, types)] * 2) / [1, 3]
    count = np.maximum(count, 1)
    mean = first / count
    scale = np.sqrt(np.maximum(second / count[:, None] - np.column_stack([mean**2, 0 * mean]), 0))
    scale = np.maximum(scale, LEAST_SCALE)
    zero = np.zeros(types)
    return (np.column_stack([mean, zero, zero, zero]),
            np.column_stack([scale[:, 0], *[scale[:, 1]] * 3]))
