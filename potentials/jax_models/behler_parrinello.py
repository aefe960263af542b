"""Neural network potential of Behler and Parrinello: symmetry functions and a network an element.

Radial functions G2 and angular functions of the kind G5 (without the factor of the third side)
describe the neighbours of atom i, one by species and one by pair of species,

    G2_k  = sum_j exp(-eta_k (r_ij - s_k)^2) f(r_ij)
    G5_qa = 2^(1 - z) sum_{j < k} (1 +- cos theta_jik)^z w_a(r_ij) w_a(r_ik),
            w_a(r) = exp(-eta_a r^2) f(r),  z = 2^q

and a small network of the element of i makes an energy of them. Since w is of one distance, the sum
over pairs is a quadratic form w' P w with P = (1 +- cos)^z of all pairs of neighbours, less its
diagonal: matrix products instead of a loop over triples, and powers by squaring.

J. Behler and M. Parrinello 2007, doi 10.1103/PhysRevLett.98.146401; J. Behler 2011,
doi 10.1063/1.3553717.

Weights, for S species: `cutoff`; `radial/eta`, `radial/center` (k,); `angular/eta` (a,) and
`angular/power` (q,), of which only the length counts; `shift`, `scale` (F,) of the functions;
`layers`, a list of `weight` (S, in, out) and `bias` (S, out), the last with out = 1.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from potentials.jax_models.cutoff import distances, fade, one_hot


def energy(params: Any, r_ij: Any, type_i: Any, type_j: Any, mask: Any) -> Any:
    """Energies (n,); see potentials.jax_model.potential."""
    return readout(params, describe(params, r_ij, type_i, type_j, mask), type_i)


def readout(params: Any, described: Any, type_i: Any) -> Any:
    """Energies (n,) of symmetry functions (n, F)."""
    layers = params["layers"]
    ntypes = layers[0]["weight"].shape[0]
    h = ((described - params["shift"]) * params["scale"])[:, None, :]
    h = jnp.broadcast_to(h, (len(h), ntypes, h.shape[-1]))
    for k, layer in enumerate(layers):        # all elements' networks; one is taken at the end
        h = jnp.einsum("nsf,sfg->nsg", h, layer["weight"]) + layer["bias"]
        h = jnp.tanh(h) if k < len(layers) - 1 else h
    return jnp.sum(h[..., 0] * one_hot(type_i, ntypes, h.dtype), axis=1)


def describe(params: Any, r_ij: Any, type_i: Any, type_j: Any, mask: Any) -> Any:
    """(n, F): radial functions of each species, then angular ones of each pair of species."""
    n, ntypes = len(r_ij), params["layers"][0]["weight"].shape[0]
    species_j = one_hot(type_j, ntypes, r_ij.dtype)
    r, direction = distances(r_ij)
    f = fade(r, params["cutoff"], mask)[..., None]
    radial, angular = params["radial"], params["angular"]
    near = jnp.exp(-radial["eta"] * (r[..., None] - radial["center"])**2) * f
    found = [jnp.einsum("njk,njs->nks", near, species_j).reshape(n, -1)]

    w = jnp.exp(-angular["eta"] * (r * r)[..., None]) * f
    w = w[..., None] * species_j[:, :, None, :]                     # (n, m, a, s)
    cosine = jnp.einsum("njc,nkc->njk", direction, direction)
    itself = jnp.einsum("njas,njat->nast", w, w)
    upper = np.triu_indices(ntypes)
    twice = np.where(upper[0] == upper[1], 1.0, 2.0)                # unlike ones come once
    for sign in (-1.0, 1.0):
        power = 1.0 + sign * cosine
        for q in range(len(angular["power"])):
            z = 2.0**q
            both = 2.0**-z * (quadratic(w, power) - (1.0 + sign)**z * itself)
            found.append((both[..., *upper] * twice.astype(r.dtype)).reshape(n, -1))
            power = power * power
    return jnp.concatenate(found, axis=-1)


def quadratic(w: Any, power: Any) -> Any:
    """(n, a, s, t) = sum_jk w_jas P_jk w_kat."""
    n, m, a, s = w.shape
    half = jnp.matmul(power, w.reshape(n, m, a * s)).reshape(n, m, a, s)
    return jnp.einsum("njas,njat->nast", w, half)
