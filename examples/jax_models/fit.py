"""Fits the two models of this folder to classical potentials, in a minute or two each.

    python examples/jax_models/fit.py behler_parrinello      # silicon, Stillinger-Weber
    python examples/jax_models/fit.py ace_layer              # copper, embedded atoms

Crystals, stretched and shaken, are evaluated with the classical potential; the loss is the error of
energies and forces, each over what would be good; BFGS goes down it with JAX's gradient. What a
model sees of its neighbours stays as it is, so that it is computed once, with its derivatives; the
readout is fitted. A fifth of the structures is kept out and tells how good the model is.
"""

import sys
import time
from itertools import pairwise
from pathlib import Path

import mdapp  # noqa: F401  isort: skip

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy.optimize import minimize

from mdapp.evaluate import Structure, single_point
from mdapp.model.box import Box
from mdapp.neighbors.images import with_images
from potentials.jax_model import save_weights
from potentials.jax_models import ace_layer, behler_parrinello
from potentials.registry import make_potential

HERE = Path(__file__).resolve().parent
ENERGY, FORCE = 0.002, 0.05               # errors that weigh as much: eV per atom, eV/Angstrom
SHAKEN = (0.02, 0.2)                      # Angstrom, root mean square of a component
STRETCHED = 0.04

FCC = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
PROBLEMS = {
    "behler_parrinello": {
        "model": behler_parrinello, "species": "Si", "cutoff": 3.8, "constant": 5.431,
        "basis": np.vstack([FCC, FCC + 0.25]), "cells": 2, "structures": 40, "steps": 600,
        "style": "sw", "file": "../silicon/Si.sw",
        "about": "fitted to Stillinger-Weber silicon by examples/jax_models/fit.py",
    },
    "ace_layer": {
        "model": ace_layer, "species": "Cu", "cutoff": 5.0, "constant": 3.615,
        "basis": FCC, "cells": 3, "structures": 20, "steps": 600,
        "style": "eam/alloy", "file": "../copper/Cu.eam.alloy",
        "about": "fitted to EAM copper (Zhou 2004) by examples/jax_models/fit.py",
    },
}  # fmt: skip


def structures(problem, rng):
    """Structures with the energy and the forces of the classical potential."""
    potential = make_potential(problem["style"], {"file": str(HERE / problem["file"]),
                                                  "species": [problem["species"]]}, 1)
    cells = problem["cells"]
    grid = np.stack(np.meshgrid(*[range(cells)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    sites = (grid + problem["basis"]).reshape(-1, 3) / cells
    for shaken in np.linspace(*SHAKEN, problem["structures"])[rng.permutation(
            problem["structures"])]:
        edges = problem["constant"] * cells * (1 + rng.uniform(-STRETCHED, STRETCHED, 3))
        x = sites * edges + rng.normal(0, shaken, sites.shape)
        structure = Structure.of_arrays(Box.orthogonal(np.zeros(3), edges), x)
        yield structure, single_point(structure, potential, units="metal")


def arrays(problem, rng):
    """What the model is fitted to, padded: vectors, neighbours, mask, energies, forces."""
    found, cutoff = [], problem["cutoff"]
    for structure, point in structures(problem, rng):
        images = with_images(structure.box, structure.x, cutoff)
        n = len(structure.x)
        owner = np.concatenate([np.arange(n), images.owner])
        d = images.x[None] - images.x[:n, None]
        near = ((d**2).sum(-1) < cutoff**2) & ((d**2).sum(-1) > 0)
        found.append((d, near, owner, point.energy, point.forces))
    room = max(near.sum(1).max() for _, near, *_ in found)
    r, who, mask = [], [], []
    for d, near, owner, *_ in found:
        order = np.argsort(~near, axis=1, kind="stable")[:, :room]
        kept = np.take_along_axis(near, order, 1)
        r.append(np.where(kept[..., None], np.take_along_axis(d, order[..., None], 1), cutoff))
        who.append(owner[order])
        mask.append(kept)
    return tuple(map(np.array, (r, who, mask, [f[3] for f in found], [f[4] for f in found])))


def description(name, problem, rng):
    """The part of the weights that says what a model sees of its neighbours; it is not fitted."""
    cutoff = np.float64(problem["cutoff"])
    if name == "behler_parrinello":
        return {"cutoff": cutoff, "layers": [{"weight": np.zeros((1, 1, 1))}],
                "radial": {"eta": np.full(8, 8.0), "center": np.linspace(1.8, 3.4, 8)},
                "angular": {"eta": np.array([0.0, 0.1, 0.3]), "power": np.zeros(2)}}
    radial = rng.normal(size=(1, 1, 3, 8, 8)) / np.arange(1, 9)[:, None]**0.5
    return {"cutoff": cutoff, "radial": radial}


def described(model, params, r, mask):
    """Descriptions (M, n, F) of all atoms, and their derivatives (M, n, m, 3, F)."""
    types = np.zeros(mask.shape[1:], np.int32)

    def of_one(one):
        r, mask = one
        made, back = jax.vjp(lambda r: model.describe(params, r, types[:, 0], types, mask), r)
        size = made.shape[1]
        slopes = jax.vmap(lambda unit: back(jnp.broadcast_to(unit, made.shape))[0],
                          out_axes=-1)(jnp.eye(size))
        return made, jnp.where(mask[..., None, None], slopes, 0)

    return jax.jit(lambda *data: jax.lax.map(of_one, data))(r, mask)


def start_of(name, made, per_atom, rng):
    """The weights that are fitted, to start from."""
    size = made.shape[-1]

    def random(*shape):
        return rng.normal(size=shape) / np.sqrt(shape[-2])

    if name == "behler_parrinello":
        sizes = [size, 12, 12, 1]
        layers = [{"weight": random(1, *pair), "bias": np.zeros((1, pair[1]))}
                  for pair in pairwise(sizes)]
        layers[-1]["bias"] += per_atom
        return {"layers": layers}
    return {"linear": np.zeros((1, size)), "constant": np.full(1, per_atom),
            "hidden": {"weight": random(1, size, 8), "bias": np.zeros((1, 8)),
                       "out": rng.normal(size=(1, 8)) / 100}}


def fit(name):
    """Weights of a problem, with the errors on structures that they were not fitted to."""
    problem, rng = PROBLEMS[name], np.random.default_rng(7)
    model = problem["model"]
    r, who, mask, energies, forces = arrays(problem, rng)
    n = r.shape[1]
    fixed = description(name, problem, rng)
    made, slopes = described(model, fixed, r, mask)
    fixed |= {"shift": np.asarray(made.mean((0, 1))), "scale": 1 / np.asarray(made.std((0, 1)))}
    first, tree = ravel_pytree(start_of(name, made, energies.mean() / n, rng))

    def errors(params, one):
        """Of the energy per atom, and of forces (n, 3)."""
        made, slopes, who, e, f = one
        energies, back = jax.vjp(lambda made: model.readout(params, made,
                                                            np.zeros(n, np.int32)), made)
        slope = jnp.einsum("nmcf,nf->nmc", slopes, back(jnp.ones(n))[0])
        pushed = slope.sum(1) - jnp.zeros((n, 3)).at[who].add(slope)
        return (energies.sum() - e) / n, pushed - f

    def loss(flat, data):
        params = fixed | tree(flat)

        def of_one(one):
            de, df = errors(params, one)
            return (de / ENERGY)**2 + jnp.mean((df / FORCE)**2)

        return jnp.mean(jax.lax.map(of_one, data))

    held = len(r) // 5
    whole = tuple(map(jnp.asarray, (made, slopes, who, energies, forces)))
    data, kept_out = tuple(a[held:] for a in whole), tuple(a[:held] for a in whole)
    slope = jax.jit(jax.value_and_grad(loss))
    seen = []

    def told(flat):
        seen.append(flat)
        if len(seen) % 100 == 0:
            print(f"{len(seen):5d}  loss {float(slope(flat, data)[0]):.4g}", flush=True)

    done = minimize(lambda flat: tuple(map(np.array, slope(flat, data))), first, jac=True,
                    method="BFGS", callback=told,
                    options={"maxiter": problem["steps"], "gtol": 1e-6})
    print(f"{done.nit} steps, loss {done.fun:.4g}: {done.message}")
    params = fixed | tree(done.x)
    de, df = jax.lax.map(lambda one: errors(params, one), kept_out)
    print(f"kept out: {1e3 * float(jnp.sqrt(jnp.mean(de**2))):.2f} meV per atom, forces "
          f"{1e3 * float(jnp.sqrt(jnp.mean(df**2))):.1f} meV/Angstrom of "
          f"{1e3 * np.sqrt(np.mean(forces**2)):.0f}")
    return jax.tree_util.tree_map(np.asarray, params)


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    chosen = sys.argv[1] if len(sys.argv) == 2 else ""
    if chosen not in PROBLEMS:
        raise SystemExit(f"usage: fit.py {'|'.join(PROBLEMS)}")
    began, problem = time.perf_counter(), PROBLEMS[chosen]
    save_weights(HERE / f"{chosen}.npz", fit(chosen), model=chosen, cutoff=problem["cutoff"],
                 species=[problem["species"]], units="metal", about=problem["about"])
    print(f"{chosen}.npz after {time.perf_counter() - began:.0f} s")
