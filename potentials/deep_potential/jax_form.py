"""The Deep Potential as one JAX function of neighbour vectors: what fitting needs.

The same equations as in potentials.deep_potential.model, without a table and without batches by
type: each embedding network sees all neighbours, and what it says of others' types is left out. A
function like this can be differentiated by weights and by positions as often as one likes, and it
shares no formula with the compiled kernel, so that the two check each other.

The slots that are empty count: sel less the neighbours that there are, times what an empty slot
gives. More neighbours of a type than `sel` cannot be told from here; see `Model.sel`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from potentials.deep_potential.model import RADIAL_SCALE, Layer, Model, Network


class DeepPotentialForm:
    """A model's energy as a function of its weights and of neighbour vectors.

    Parameters
    ----------
    model : shapes, cutoffs and statistics are taken from it, and what is not in the weights
    """

    def __init__(self, model: Model):
        self.model, self.cutoff = model, model.cutoff

    def params(self) -> dict[str, Any]:
        """The weights: lists of networks, each a list of layers, and `bias` (T,)."""
        def weights(networks: Sequence[Network]) -> list[Any]:
            return [[{"weight": a.weight, "bias": a.bias}
                     | ({} if a.step is None else {"step": a.step}) for a in network.layers]
                    for network in networks]

        return {"embeddings": weights(self.model.embeddings),
                "fittings": weights(self.model.fittings), "bias": self.model.bias}

    def with_params(self, params: dict[str, Any]) -> Model:
        """The model with other weights."""
        def networks(old: Sequence[Network], new: Any) -> tuple[Network, ...]:
            return tuple(Network(tuple(
                replace(layer, **_doubles(given))
                for layer, given in zip(network.layers, layers, strict=True)))
                for network, layers in zip(old, new, strict=True))

        return replace(self.model, embeddings=networks(self.model.embeddings, params["embeddings"]),
                       fittings=networks(self.model.fittings, params["fittings"]),
                       bias=np.asarray(params["bias"], np.float64))

    def energy(self, params: Any, r_ij: Any, type_i: Any, type_j: Any, mask: Any) -> Any:
        """(n,) energies of atoms.

        Parameters
        ----------
        params : see `params`
        r_ij : (n, m, 3), to the neighbours
        type_i, type_j : (n,) and (n, m), elements of the model
        mask : (n, m), which of the neighbours there are
        """
        model = self.model
        rows, inside = self._rows(r_ij, type_i, mask)
        if model.radial:
            d = RADIAL_SCALE * self._sums(params, rows, type_i, type_j, inside)[..., 0]
        else:
            t = self._sums(params, rows, type_i, type_j, inside)
            d = jnp.einsum("ngc,nhc->ngh", t, t[:, :model.axis]).reshape(len(t), -1)
        of_all = [run(net, layers, d)[:, 0] for net, layers in
                  zip(model.fittings, params["fittings"], strict=True)]
        return choose(of_all, type_i) + pick(params["bias"], type_i)

    def _rows(self, r_ij: Any, type_i: Any, mask: Any) -> tuple[Any, Any]:
        """(n, m, 4) or (n, m, 1) normalised rows, and which neighbours are in range."""
        model, real = self.model, r_ij.dtype
        r2 = jnp.sum(r_ij * r_ij, -1)
        inside = mask & (r2 < jnp.asarray(model.cutoff, real) ** 2)
        r = jnp.sqrt(jnp.where(inside, r2, 1))
        u = jnp.clip((r - model.smooth) / (model.cutoff - model.smooth), 0, 1)
        w = 1 + u * u * u * (-10 + u * (15 - 6 * u))
        near = w / (r + model.protection)
        raw = near[..., None]
        if not model.radial:
            raw = jnp.concatenate([raw, (near / (r + model.protection))[..., None] * r_ij], -1)
        mean, scale = (pick(jnp.asarray(a, real), type_i) for a in (model.mean, model.scale))
        return (raw - mean[..., None, :]) / scale[..., None, :], inside

    def _sums(self, params: Any, rows: Any, type_i: Any, type_j: Any, inside: Any) -> Any:
        """(n, ng, 4) or (n, ng, 1): T, the sums over all slots over their number."""
        model, total = self.model, 0.0
        types = range(len(model.elements))
        for neighbor in types:
            there = inside & (type_j == neighbor) if len(types) > 1 else inside
            if model.one_sided:
                k = model.embedding(0, neighbor)
                g = run(model.embeddings[k], params["embeddings"][k], rows[..., :1])
            else:
                ks = [model.embedding(centre, neighbor) for centre in types]
                g = choose([run(model.embeddings[k], params["embeddings"][k], rows[..., :1])
                            for k in ks], type_i)
            ones = rows if not model.radial else jnp.ones_like(rows)
            total += jnp.einsum("nmg,nmc->ngc", jnp.where(there[..., None], g, 0), ones)
            left = model.sel[neighbor] - jnp.sum(there, -1)
            empty = jnp.stack([self._empty(params, centre, neighbor, rows.dtype)
                               for centre in types])
            total += left[:, None, None].astype(rows.dtype) * pick(empty, type_i)
        return total / model.slots

    def _empty(self, params: Any, centre: int, neighbor: int, real: Any) -> Any:
        """(ng, 4) or (ng, 1): what an empty slot gives."""
        row = jnp.asarray(self.model.empty_row(centre), real)
        k = self.model.embedding(centre, neighbor)
        g = run(self.model.embeddings[k], params["embeddings"][k], row[:1])
        return jnp.outer(g, jnp.ones_like(row) if self.model.radial else row)


def _doubles(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: np.asarray(value, np.float64) for name, value in given.items()}


def pick(of_type: Any, type_i: Any) -> Any:
    """Values (T, ...) of each atom's type; without a gather, whose derivative is slow."""
    if len(of_type) == 1:
        return of_type[0]
    there = (type_i[:, None] == jnp.arange(len(of_type))).astype(of_type.dtype)
    return jnp.tensordot(there, of_type, 1)


def choose(of_all: Sequence[Any], type_i: Any) -> Any:
    """Of T arrays (n, ...) the rows of each atom's type."""
    chosen = of_all[0]
    for t, values in enumerate(of_all[1:], 1):
        there = (type_i == t).reshape(-1, *[1] * (values.ndim - 1))
        chosen = jnp.where(there, values, chosen)
    return chosen


def run(network: Network, params: Any, x: Any) -> Any:
    """(..., m) of inputs (..., n)."""
    for layer, p in zip(network.layers, params, strict=True):
        x = step(layer, p, x)
    return x


def step(layer: Layer, p: Any, x: Any) -> Any:
    """One layer."""
    y = x @ p["weight"] + p["bias"]
    if layer.tanh:
        y = jnp.tanh(y)
    if "step" in p:
        y = y * p["step"]
    return y + jnp.concatenate([x] * layer.copies, -1) if layer.copies else y
