"""Neuroevolution potentials to be fitted: where they begin, and the file they end in.

Coefficients begin at random. The scaler makes the range of each component of the descriptor over
the fitted frames 1, as in GPUMD; it stays as it is, since coefficients can follow. NEP files have
no shift, so the thresholds of the neurons begin where the mean descriptor is.

What GPUMD does by natural evolution is done here by derivatives; files are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from mdapp.errors import InputError
from mdapp.fit.learner import Learner
from mdapp.fit.settings import NEPShape
from mdapp.fit.stream import Batcher
from mdapp.model.elements import SYMBOLS
from potentials.nep.jax_form import NEPForm
from potentials.nep.model import FLAGS, LEAST_L, NEPModel, ZBLSection, dimension
from potentials.nep.writer import write_nep

LOOKED_AT = 64                # batches whose descriptors make the scaler


def flags_of(shape: NEPShape) -> tuple[bool, ...]:
    """Which products of degrees the descriptor has.

    Raises
    ------
    InputError : one that there is not, or that needs a higher degree
    """
    named = [] if shape.flags == "none" else shape.flags.replace(",", " ").split()
    for name in named:
        if name not in FLAGS:
            raise InputError(f"--set flags={shape.flags}: must be of {', '.join(FLAGS)}, or none")
        least = LEAST_L[FLAGS.index(name)]
        if shape.l_max < least:
            raise InputError(f"--set flags={shape.flags}: {name} needs l_max of {least} at least, "
                             f"not {shape.l_max}")
    return tuple(name in named for name in FLAGS)


def new_nep(shape: NEPShape, batcher: Batcher, seed: int) -> Learner:
    """A model before it is fitted.

    Parameters
    ----------
    batcher : of the training set, whose fitted frames are looked at
    """
    data, rng = batcher.data, np.random.default_rng([seed, 1])
    for name in data.species:
        if name not in SYMBOLS[1:]:
            raise InputError(f"{data.path}: {name!r} is no element, and NEP files hold elements")
    t, flags = len(data.species), flags_of(shape)
    dim = dimension(shape.n_max, shape.l_max, flags)
    radial, angular = (rng.normal(size=(n + 1, k + 1, t, t)) / np.sqrt(k + 1)
                       for n, k in zip(shape.n_max, shape.basis_size, strict=True))
    w0 = rng.normal(size=(t, shape.neurons, dim)) / np.sqrt(dim)
    model = NEPModel(
        4 if t == 1 else 5, tuple(data.species), np.full(t, shape.cutoff[0]),
        np.full(t, shape.cutoff[1]), shape.n_max, shape.basis_size, shape.l_max, flags, w0,
        np.zeros((t, shape.neurons)), rng.normal(size=(t, shape.neurons)) / np.sqrt(shape.neurons),
        0.0, None if t == 1 else np.zeros(t), radial, angular, np.ones(dim),
        None if shape.zbl is None else ZBLSection(*shape.zbl), most_neighbors(batcher, shape))
    form = NEPForm(model)
    low, high = range_of(form, batcher)
    params = form.params()
    params["scaler"] = 1 / np.maximum(high - low, 1e-6 * np.maximum(abs(high), 1e-6))
    centre = 0.5 * (low + high) * params["scaler"]
    params["b0"] = w0 @ centre + rng.normal(size=(t, shape.neurons))
    fixed = {"scaler": params.pop("scaler")}

    def write(path: Path, weights: Mapping[str, Any], baseline: NDArray[np.float64]) -> None:
        bias = np.asarray(weights["bias"]) - baseline
        write_nep(path, form.with_params({**weights, **fixed, "bias": bias}))

    about = {"components": dim, "neurons": shape.neurons, "version": model.version}
    return Learner("nep", "nep.txt", params, fixed, form.energy, write, about)


def range_of(form: NEPForm, batcher: Batcher) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(dim,) least and largest components over frames that are fitted."""
    descriptor, params = jax.jit(form.descriptor), cast(form.params(), batcher.real)
    low, high = np.full(form.model.dim, np.inf), np.full(form.model.dim, -np.inf)
    frames = batcher.data.fitted()
    step = max(1, len(frames) // (LOOKED_AT * batcher.size))
    for b in batcher.over(frames[::step]):
        q = np.asarray(descriptor(params, b.r, b.type_i, b.type_j, b.mask), np.float64)
        q = q[b.frame < batcher.size]
        low, high = np.minimum(low, q.min(axis=0)), np.maximum(high, q.max(axis=0))
    return low, high


def cast(params: Any, real: type) -> Any:
    """Weights in one precision."""
    return jax.tree_util.tree_map(lambda a: np.asarray(a, real), params)


def most_neighbors(batcher: Batcher, shape: NEPShape) -> tuple[int, int]:
    """Most radial and angular neighbours of an atom, which NEP files name."""
    most = np.zeros(2, np.int64)
    for k in range(len(batcher.data)):
        frame = batcher.data.frame(k)
        r = np.sqrt((frame.r**2).sum(axis=1))
        for n, cutoff in enumerate(shape.cutoff):
            inside = np.concatenate([[0], np.cumsum(r < cutoff)])
            most[n] = max(most[n], np.diff(inside[frame.start]).max(initial=0))
    return int(most[0]), int(most[1])
