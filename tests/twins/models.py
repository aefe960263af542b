"""The models of potentials.jax_models by their definitions: triples of atoms, no harmonics.

An atom's energy as a function of the vectors to its neighbours, in the form that
tests.twins.threebody.atom_energies takes, which differentiates it by complex steps. The invariants
of ace_layer are written without spherical harmonics: sums over their orders are Legendre
polynomials of angles, and Gaunt's integrals are integrals over the sphere of products of the
densities that the harmonics expand.
"""

from __future__ import annotations

from itertools import combinations_with_replacement, pairwise, product

import numpy as np


def fade(r, cutoff):
    t = r / cutoff
    return np.where(t.real < 1, 1 - 10 * t**3 + 15 * t**4 - 6 * t**5, 0)


def length(d):
    return np.sqrt((d**2).sum(axis=-1))


def behler_parrinello(d, kind: int, kinds, p) -> complex:
    """Symmetry functions by sums over neighbours and pairs of them, and the network of a kind."""
    ntypes = len(p["layers"][0]["weight"])
    r = length(d)
    f = fade(r, p["cutoff"])
    found = [
        sum(np.exp(-eta * (r[j] - s) ** 2) * f[j] for j in range(len(r)) if kinds[j] == t)
        for eta, s in zip(p["radial"]["eta"], p["radial"]["center"], strict=True)
        for t in range(ntypes)
    ]
    j, k = np.triu_indices(len(r), 1)
    cosine = (d @ d.T)[j, k] / (r[j] * r[k])
    for sign, q, eta in product(
        (-1, 1), range(len(p["angular"]["power"])), p["angular"]["eta"]
    ):  # fmt: skip
        z = 2**q
        terms = 2.0 ** (1 - z) * (1 + sign * cosine) ** z * f[j] * f[k]
        terms = terms * np.exp(-eta * (r[j] ** 2 + r[k] ** 2))
        for s, t in combinations_with_replacement(range(ntypes), 2):
            of_pair = (kinds[j] == s) & (kinds[k] == t) | (kinds[j] == t) & (kinds[k] == s)
            found.append(terms[of_pair].sum())
    h = (np.array(found) - p["shift"]) * p["scale"]
    for k, layer in enumerate(p["layers"]):
        h = h @ layer["weight"][kind] + layer["bias"][kind]
        h = np.tanh(h) if k < len(p["layers"]) - 1 else h
    return h[0]


SPHERE = 12  # points of a rule that integrates polynomials of degree 23


def points():
    """Directions (n, 3) and weights (n,) whose sum is a mean over the sphere."""
    z, w = np.polynomial.legendre.leggauss(SPHERE)
    phi = (np.arange(2 * SPHERE) + 0.3) * np.pi / SPHERE
    z, phi = (a.ravel() for a in np.meshgrid(z, phi, indexing="ij"))
    s = np.sqrt(1 - z**2)
    return np.stack([s * np.cos(phi), s * np.sin(phi), z], 1), np.repeat(w, 2 * SPHERE) / (
        4 * SPHERE
    )


def legendre(degree: int, x):
    return [1 + 0 * x, x, (3 * x**2 - 1) / 2, (5 * x**3 - 3 * x) / 2][degree]


def ace_layer(d, kind: int, kinds, p) -> complex:
    """Invariants from angles, and the readout."""
    weights = p["radial"]  # (S, S, L + 1, K, C)
    degrees, nradial = weights.shape[2:4]
    r = length(d)
    k = np.arange(1, nradial + 1)
    basis = np.sin(k * np.pi * r[:, None] / p["cutoff"]) / r[:, None]
    basis = basis * fade(r, p["cutoff"])[:, None]
    radial = np.einsum("jk,jlkc->ljc", basis, weights[kind, kinds])
    unit = d / r[:, None]
    cosines = unit @ unit.T
    found = [radial[0].sum(0)]
    for degree in range(degrees):
        angles = (2 * degree + 1) * legendre(degree, cosines)
        found.append(np.einsum("jc,kc,jk->c", radial[degree], radial[degree], angles))
    where, w = points()
    density = [
        (2 * degree + 1) * legendre(degree, where @ unit.T) @ radial[degree]
        for degree in range(degrees)
    ]
    for a, b, c in product(range(1, degrees), repeat=3):
        if a <= b <= c <= a + b and (a + b + c) % 2 == 0:
            found.append(w @ (density[a] * density[b] * density[c]))
    g = (np.concatenate(found) - p["shift"]) * p["scale"]
    inner = g @ p["hidden"]["weight"][kind] + p["hidden"]["bias"][kind]
    inner = inner / (1 + np.exp(-inner))
    return p["constant"][kind] + g @ p["linear"][kind] + inner @ p["hidden"]["out"][kind]


def invented_behler_parrinello(cutoff: float, ntypes: int, seed: int = 1):
    """Random weights."""
    rng = np.random.default_rng(seed)
    nradial, neta, npower = 3, 2, 3
    size = nradial * ntypes + 2 * npower * neta * ntypes * (ntypes + 1) // 2
    sizes = [size, 5, 4, 1]
    return {
        "cutoff": np.float64(cutoff),
        "radial": {"eta": rng.uniform(2, 6, nradial), "center": rng.uniform(0.8, 1.5, nradial)},
        "angular": {"eta": rng.uniform(0, 0.4, neta), "power": np.zeros(npower)},
        "shift": rng.normal(0, 0.1, size), "scale": rng.uniform(2, 4, size),
        "layers": [
            {"weight": rng.normal(size=(ntypes, a, b)) / np.sqrt(a), "bias": rng.normal(
                size=(ntypes, b))}
            for a, b in pairwise(sizes)
        ],
    }  # fmt: skip


def invented_ace_layer(cutoff: float, ntypes: int, seed: int = 1):
    """Random weights."""
    rng = np.random.default_rng(seed)
    degrees, nradial, nchannels, hidden = 4, 3, 2, 3
    size = nchannels * (1 + degrees + 4)
    return {
        "cutoff": np.float64(cutoff),
        "radial": rng.normal(size=(ntypes, ntypes, degrees, nradial, nchannels)) / 4,
        "shift": rng.normal(0, 0.1, size), "scale": rng.uniform(2, 4, size),
        "linear": rng.normal(size=(ntypes, size)) / 8, "constant": rng.normal(size=ntypes),
        "hidden": {"weight": rng.normal(size=(ntypes, size, hidden)) / 8,
                   "bias": rng.normal(size=(ntypes, hidden)),
                   "out": rng.normal(size=(ntypes, hidden))},
    }  # fmt: skip
