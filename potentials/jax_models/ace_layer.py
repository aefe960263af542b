"""One layer of the atomic cluster expansion: equivariant densities, their invariants, a network.

The neighbours of atom i are projected on channels c of radial functions times spherical harmonics,

    A_clm = sum_j R_cl(r_ij; species) Y_lm(r_ij),     R_cl = sum_k W_kcl sin(k pi r / r_c) / r f(r),

which turn with the neighbours. Invariants of body order two, three and four are

    A_c00,   sum_m A_clm^2,   sum_mnp G_{l1 m, l2 n, l3 p} A_c,l1m A_c,l2n A_c,l3p,

with Gaunt's integrals G of three harmonics. A linear map and a small network make an energy of
them. Weights of the radial functions mix channels, so that products within one channel are enough
(the trick of tensor decompositions); the full expansion would take all products of channels.

R. Drautz 2019, doi 10.1103/PhysRevB.99.014104; J. P. Darby et al. 2023,
doi 10.1103/PhysRevLett.131.028001.

Weights, for S species: `cutoff`; `radial` (S, S, L + 1, K, C), of the species of i and j; `shift`,
`scale` (F,) of the invariants; `linear` (S, F); `constant` (S,); `hidden/weight` (S, F, H),
`hidden/bias` (S, H), `hidden/out` (S, H).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from potentials.jax_models.cutoff import distances, fade, one_hot

LMAX = 3


def energy(params: Any, r_ij: Any, type_i: Any, type_j: Any, mask: Any) -> Any:
    """Energies (n,); see potentials.jax_model.potential."""
    return readout(params, describe(params, r_ij, type_i, type_j, mask), type_i)


def readout(params: Any, described: Any, type_i: Any) -> Any:
    """Energies (n,) of invariants (n, F)."""
    found, hidden = (described - params["shift"]) * params["scale"], params["hidden"]
    inner = jax.nn.silu(jnp.einsum("nf,sfh->nsh", found, hidden["weight"]) + hidden["bias"])
    energies = (params["constant"] + jnp.einsum("nf,sf->ns", found, params["linear"])
                + jnp.einsum("nsh,sh->ns", inner, hidden["out"]))
    return jnp.sum(energies * one_hot(type_i, energies.shape[1], energies.dtype), axis=1)


def describe(params: Any, r_ij: Any, type_i: Any, type_j: Any, mask: Any) -> Any:
    """(n, F), F = C (1 + (L + 1) + number of triples)."""
    weights = params["radial"]
    ntypes, _, degrees, nradial, _ = weights.shape
    if degrees > LMAX + 1:
        raise ValueError(f"radial: {degrees} degrees: harmonics are there up to {LMAX}")
    n, real = len(r_ij), r_ij.dtype
    r, direction = distances(r_ij)
    basis = radial_basis(r, params["cutoff"], nradial) * fade(r, params["cutoff"], mask)[..., None]
    of_species = basis[..., None] * one_hot(type_j, ntypes, real)[:, :, None, :]    # (n, m, k, t)
    x, y, z = jnp.moveaxis(direction, -1, 0)
    harmonics = jnp.stack(spherical_harmonics(x, y, z, degrees - 1), axis=-1)
    density = jnp.einsum("njkt,njy->nykt", of_species, harmonics)
    own = one_hot(type_i, ntypes, real)
    a = [jnp.einsum("nykt,stkc,ns->nyc", density[:, of_degree(d)], weights[:, :, d], own)
         for d in range(degrees)]
    found = [a[0][:, 0], *(jnp.sum(part * part, axis=1) for part in a)]
    for first, second, third in triples(degrees - 1):
        coupling = jnp.asarray(gaunt(first, second, third), real)
        found.append(jnp.einsum("nxc,nyc,nzc,xyz->nc", a[first], a[second], a[third], coupling))
    return jnp.concatenate(found, axis=-1).reshape(n, -1)


def radial_basis(r: Any, cutoff: Any, count: int) -> Any:
    """(n, m, count), sin(k pi r / cutoff) / r, by recursion."""
    angle = jnp.pi * r / cutoff
    previous, current, turn = jnp.zeros_like(r), jnp.sin(angle), 2.0 * jnp.cos(angle)
    waves = []
    for _ in range(count):
        waves.append(current / r)
        previous, current = current, turn * current - previous
    return jnp.stack(waves, axis=-1)


def of_degree(degree: int) -> slice:
    """Where the harmonics of a degree are."""
    return slice(degree * degree, (degree + 1)**2)


def spherical_harmonics(x: Any, y: Any, z: Any, lmax: int) -> list[Any]:
    """Real harmonics of unit vectors up to degree lmax, l^2 + l + m from m = -l on, norm 4 pi.

    Each degree's squares add up to 2 l + 1, whatever the direction.
    """
    found = [0.0 * x + 1.0]
    if lmax > 0:
        found += [c * np.sqrt(3.0) for c in (y, z, x)]
    if lmax > 1:
        found += [np.sqrt(15.0) * x * y, np.sqrt(15.0) * y * z, np.sqrt(5.0) / 2 * (3 * z * z - 1),
                  np.sqrt(15.0) * x * z, np.sqrt(15.0) / 2 * (x * x - y * y)]
    if lmax > 2:
        found += [np.sqrt(35 / 8) * y * (3 * x * x - y * y), np.sqrt(105.0) * x * y * z,
                  np.sqrt(21 / 8) * y * (5 * z * z - 1), np.sqrt(7.0) / 2 * z * (5 * z * z - 3),
                  np.sqrt(21 / 8) * x * (5 * z * z - 1), np.sqrt(105.0) / 2 * z * (x * x - y * y),
                  np.sqrt(35 / 8) * x * (x * x - 3 * y * y)]
    return found


def triples(lmax: int) -> list[tuple[int, int, int]]:
    """Degrees l1 <= l2 <= l3 that couple to an invariant which is no product of smaller ones."""
    return [(a, b, c) for a in range(1, lmax + 1) for b in range(a, lmax + 1)
            for c in range(b, min(a + b, lmax) + 1) if (a + b + c) % 2 == 0]


@cache
def gaunt(first: int, second: int, third: int) -> NDArray[np.float64]:
    """Mean over the sphere of the products of three harmonics, one of each of these degrees.

    Points of Gauss and Legendre in z and equal steps around it integrate polynomials exactly.
    """
    z, weight = np.polynomial.legendre.leggauss(2 * LMAX)
    phi = np.arange(4 * LMAX) * 2 * np.pi / (4 * LMAX)
    s = np.sqrt(1 - z * z)
    x, y = np.outer(s, np.cos(phi)), np.outer(s, np.sin(phi))
    full = np.stack(spherical_harmonics(x, y, np.outer(z, np.ones_like(phi)), LMAX))
    share = np.outer(weight, np.ones_like(phi)) / (2 * len(phi))
    a, b, c = full[of_degree(first)], full[of_degree(second)], full[of_degree(third)]
    mean: NDArray[np.float64] = np.einsum("xzp,yzp,wzp,zp->xyw", a, b, c, share)
    return mean
