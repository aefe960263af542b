"""NEP by its definition: sums over pairs of neighbours with Legendre polynomials, and invariants.

The components of the degrees need no spherical harmonics,

    q_nl = (2l + 1) / (4 pi) sum_jk g_n(r_ij) g_n(r_ik) P_l(cos of the angle jik);

those that are products of degrees are written as in the papers. Forces are differences of energies,
or derivatives by JAX, whose arrays the functions take as well as NumPy's (`xp` is the module).
"""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray

from mdapp.model.box import Box
from potentials.nep.elements import ATOMIC_NUMBER, RADII
from potentials.nep.model import FLAGS, NEPModel, ZBLSection
from tests.twins.images import shifts

UNIVERSAL = (0.18175, 3.1998, 0.50986, 0.94229, 0.28022, 0.4029, 0.02817, 0.20162)
ALL = (True,) * 6
NONE = (False,) * 6


def invented(
    seed: int,
    elements: tuple[str, ...] = ("C", "H", "O"),
    version: int = 5,
    l_max: int = 4,
    flags: tuple[bool, ...] = ALL,
    zbl: ZBLSection | None = None,
    n_max: tuple[int, int] = (3, 4),
    basis_size: tuple[int, int] = (5, 6),
    cutoffs: tuple[float, float] = (2.6, 2.2),
    own_bias: bool = True,
    neurons: int = 5,
) -> NEPModel:
    """A model with random parameters; cutoffs of the elements differ."""
    rng = np.random.default_rng(seed)
    t, per_type = len(elements), 1 - 0.06 * np.arange(len(elements))
    dim = n_max[0] + 1 + (n_max[1] + 1) * (l_max + sum(flags))
    networks = 1 if version == 3 else t
    c = [rng.normal(size=(n + 1, k + 1, t, t)) / (k + 1)
         for n, k in zip(n_max, basis_size, strict=True)]
    return NEPModel(
        version, elements, cutoffs[0] * per_type, cutoffs[1] * per_type, n_max, basis_size, l_max,
        flags, rng.normal(size=(networks, neurons, dim)), rng.normal(size=(networks, neurons)),
        0.3 * rng.normal(size=(networks, neurons)), float(rng.normal()) if version != 4
        or not own_bias else 0.0, rng.normal(size=t) if own_bias and version > 3 else None, *c,
        rng.uniform(0.02, 0.2, dim), zbl, (20, 10))  # fmt: skip


def flexible(elements: int) -> ZBLSection:
    """ZBL with a row for each pair."""
    rows = [[0.9 + 0.05 * k, 1.6 + 0.05 * k, *(np.array(UNIVERSAL) * (1 + 0.02 * k))]
            for k in range(elements * (elements + 1) // 2)]
    return ZBLSection(0.0, 0.0, None, np.array(rows))


def energies(model: NEPModel, x, types, box: Box) -> NDArray[np.float64]:
    """(n,) energies; `types` are places in the model's elements."""
    reach = max(model.radial_cutoff.max(), 3.0)
    images = (x[None] + shifts(box, reach)[:, None]).reshape(-1, 3)
    kinds = np.tile(types, len(images) // max(len(x), 1))
    found = []
    for i, own in enumerate(types):
        d = images - x[i]
        r = np.linalg.norm(d, axis=1)
        near = (r < reach) & (np.arange(len(images)) != i)
        found.append(energy_of(model, own, kinds[near], d[near], r[near]))
    return np.array(found)


def forces_by_jax(model: NEPModel, x, types) -> NDArray[np.float64]:
    """(n, 3) forces on atoms in open space, derivatives of their energies."""
    import jax

    others = ~np.eye(len(x), dtype=bool)
    with jax.enable_x64(True):
        def energy(x, i):
            d = x[others[i]] - x[i]
            r = jax.numpy.sqrt((d * d).sum(axis=1))
            return energy_of(model, types[i], types[others[i]], d, r, jax.numpy)

        return -np.sum([jax.grad(energy)(x, i) for i in range(len(x))], axis=0)


def energy_of(model: NEPModel, own: int, kinds, d, r, xp=np):
    """Energy of one atom, from the vectors to others."""
    q = descriptor(model, own, kinds, d, r, xp) * model.scaler
    net = 0 if model.version == 3 else own
    hidden = xp.tanh(model.w0[net] @ q - model.b0[net])
    bias = model.bias + (0 if model.own_bias is None else model.own_bias[own])
    return model.w1[net] @ hidden - bias + repulsion(model, own, kinds, r, xp)


def chebyshev(x, count: int) -> list:
    """T_0 to T_count-1."""
    found = [1 + 0 * x, x]
    while len(found) < count:
        found.append(2 * x * found[-1] - found[-2])
    return found[:count]


def legendre(x, degree: int):
    """P_l."""
    older, newer = 1 + 0 * x, x
    for n in range(1, degree):
        older, newer = newer, ((2 * n + 1) * x * newer - n * older) / (n + 1)
    return newer


def functions(c, cutoffs, own, kinds, r, xp):
    """g_n of all neighbours, (n, neighbours)."""
    rc = (cutoffs[own] + cutoffs[kinds]) / 2
    t = xp.stack(chebyshev(2 * (r / rc - 1) ** 2 - 1, c.shape[1]))
    basis = (t + 1) / 2 * xp.where(r < rc, (1 + xp.cos(pi * r / rc)) / 2, 0)
    return xp.einsum("nkj,kj->nj", c[:, :, own, kinds], basis)


def descriptor(model: NEPModel, own: int, kinds, d, r, xp):
    """Its components, without the scaler."""
    parts = [functions(model.c_radial, model.radial_cutoff, own, kinds, r, xp).sum(axis=1)]
    g = functions(model.c_angular, model.angular_cutoff, own, kinds, r, xp)
    u = d / r[:, None]
    for degree in range(1, model.l_max + 1):
        p = legendre(u @ u.T, degree)
        parts.append((2 * degree + 1) / (4 * pi) * xp.einsum("nj,nk,jk->n", g, g, p))
    for name, on in zip(FLAGS, model.flags, strict=True):
        if on:
            parts.append(PRODUCTS[name](g, *u.T))
    return xp.concatenate(parts)


def sums(g, x, y, z) -> list[list]:
    """Sums over neighbours of the harmonics of the degrees 1 to 4, of each function."""
    powers = [1 + 0j + 0 * x, x + 1j * y]
    while len(powers) < 5:
        powers.append(powers[-1] * powers[1])
    re, im = [p.real for p in powers], [p.imag for p in powers]
    rows = [
        [z, x, y],
        [3 * z**2 - 1, z * x, z * y, re[2], im[2]],
        [5 * z**3 - 3 * z, (5 * z**2 - 1) * x, (5 * z**2 - 1) * y, z * re[2], z * im[2], re[3],
         im[3]],
        [35 * z**4 - 30 * z**2 + 3, (7 * z**3 - 3 * z) * x, (7 * z**3 - 3 * z) * y,
         (7 * z**2 - 1) * re[2], (7 * z**2 - 1) * im[2], z * re[3], z * im[3], re[4], im[4]],
    ]  # fmt: skip
    return [[(g * y).sum(axis=1) for y in row] for row in rows]


N = [sqrt(3 / (4 * pi)), sqrt(5 / (16 * pi)), sqrt(7 / (16 * pi)), sqrt(9 / (256 * pi))]


def q222(*at):
    _, a, _, _ = sums(*at)
    return -sqrt(2 / 35) * N[1] ** 3 * (
        a[0]**3 + 18 * a[0] * (a[1]**2 + a[2]**2) - 9 * a[0] * (a[3]**2 + a[4]**2)
        - 54 * a[3] * (a[2]**2 - a[1]**2) + 108 * a[1] * a[2] * a[4])  # fmt: skip


def q1111(*at):
    b, _, _, _ = sums(*at)
    return 7 / 15 * (3 / (4 * pi)) ** 2 * (b[0]**2 + b[1]**2 + b[2]**2) ** 2


def q112(*at):
    b, a, _, _ = sums(*at)
    return sqrt(2 / 15) * N[0]**2 * N[1] * (
        b[0]**2 * a[0] + 6 * b[0] * (b[1] * a[1] + b[2] * a[2]) - a[0] * (b[1]**2 + b[2]**2) / 2
        + 1.5 * a[3] * (b[1]**2 - b[2]**2) + 3 * b[1] * b[2] * a[4])  # fmt: skip


def q123(*at):
    b, a, c, _ = sums(*at)
    return -0.5 * sqrt(3 / 35) * N[0] * N[1] * N[2] * (
        20 * (b[1] * (c[3] * a[1] + c[4] * a[2]) + b[2] * (c[4] * a[1] - c[3] * a[2]))
        + 10 * b[0] * (c[3] * a[3] + c[4] * a[4])
        + 5 * (b[1] * (c[5] * a[3] + c[6] * a[4]) + b[2] * (c[6] * a[3] - c[5] * a[4]))
        + 8 * b[0] * (c[1] * a[1] + c[2] * a[2])
        + 2 * a[0] * (b[0] * c[0] + b[1] * c[1] + b[2] * c[2])
        + b[2] * c[2] * a[3] - b[1] * c[2] * a[4] - b[2] * c[1] * a[4] - b[1] * c[1] * a[3]
        - 4 * c[0] * (b[1] * a[1] + b[2] * a[2]))  # fmt: skip


def q233(*at):
    _, a, c, _ = sums(*at)
    return sqrt(4 / 105) * N[1] * N[2]**2 / 8 * (
        8 * a[0] * c[0]**2 + 9 * a[0] * (c[1]**2 + c[2]**2) + 18 * a[3] * (c[1]**2 - c[2]**2)
        + 24 * c[0] * (a[1] * c[1] + a[2] * c[2]) - 25 * a[0] * (c[5]**2 + c[6]**2)
        + 30 * (c[2] * c[5] * a[4] - c[1] * c[6] * a[4] - c[1] * c[5] * a[3] - c[2] * c[6] * a[3])
        + 36 * c[1] * c[2] * a[4] - 120 * c[0] * (c[3] * a[3] + c[4] * a[4])
        + 180 * (c[1] * (c[3] * a[1] + c[4] * a[2]) + c[2] * (c[4] * a[1] - c[3] * a[2]))
        + 300 * (a[1] * (c[3] * c[5] + c[4] * c[6]) + a[2] * (c[3] * c[6] - c[4] * c[5]))
    )  # fmt: skip


def q134(*at):
    b, _, c, d = sums(*at)
    return sqrt(4 / 63) * N[0] * N[2] * N[3] / 4 * (
        -3 * d[0] * (b[1] * c[1] + b[2] * c[2]) + 4 * b[0] * c[0] * d[0]
        + 5 * (b[2] * c[5] * d[4] - b[1] * c[5] * d[3] - b[1] * c[6] * d[4] - b[2] * c[6] * d[3])
        + 15 * (b[1] * c[1] * d[3] + b[1] * c[2] * d[4] + b[2] * c[1] * d[4] - b[2] * c[2] * d[3])
        + 20 * c[0] * (b[1] * d[1] + b[2] * d[2])
        + 30 * (b[0] * (c[1] * d[1] + c[2] * d[2]) - b[1] * (c[3] * d[1] + c[4] * d[2])
                + b[2] * (c[3] * d[2] - c[4] * d[1]))
        + 35 * (b[1] * (c[5] * d[7] + c[6] * d[8]) + b[2] * (c[5] * d[8] - c[6] * d[7]))
        + 60 * b[0] * (c[3] * d[3] + c[4] * d[4]) + 70 * b[0] * (c[5] * d[5] + c[6] * d[6])
        + 210 * (b[1] * (c[3] * d[5] + c[4] * d[6]) + b[2] * (c[3] * d[6] - c[4] * d[5]))
    )  # fmt: skip


PRODUCTS = {"222": q222, "1111": q1111, "112": q112, "123": q123, "233": q233, "134": q134}


def repulsion(model: NEPModel, own: int, kinds, r, xp):
    """Half of ZBL of all pairs of an atom."""
    if model.zbl is None:
        return 0.0
    pairs = [(a, b) for a in range(len(model.elements)) for b in range(a, len(model.elements))]
    total, inner, outer = 0.0, model.zbl.inner, model.zbl.outer
    for kind, distance in zip(kinds, r, strict=True):
        z = [ATOMIC_NUMBER[model.elements[e]] for e in (own, kind)]
        row = UNIVERSAL
        if model.zbl.rows is not None:
            found = model.zbl.rows[pairs.index((min(own, kind), max(own, kind)))]
            inner, outer, row = found[0], found[1], found[2:]
        elif model.zbl.factor is not None:
            inner = 0.0
            outer = min(model.zbl.outer, model.zbl.factor * (RADII[z[0] - 1] + RADII[z[1] - 1]))
        t = distance * 2.134563 * (z[0] ** 0.23 + z[1] ** 0.23)
        phi = sum(w * xp.exp(-k * t) for w, k in zip(row[::2], row[1::2], strict=True))
        f = xp.clip((distance - inner) / (outer - inner), 0, 1)
        total += 0.25 * (1 + xp.cos(pi * f)) * 14.399645 * z[0] * z[1] / distance * phi
    return total
