"""The neuroevolution potential as one JAX function of neighbour vectors: what fitting needs.

A descriptor is a product of what depends on positions alone and of what is fitted:

    R_k = sum_j f_k(r_j),   S_k,lm = sum_j f_k(r_j) y_lm(r_j / |r_j|)      of each neighbour type
    q_n = sum_k c_nk R_k,   s_n,lm = sum_k c_nk S_k,lm,   q_nl = sum_m s_n,lm^2

so that the neighbours are summed once, as one product of matrices (k x neighbours) (neighbours x
lm) for each atom, and coefficients and networks see atoms only. Derivatives of any order by weights
and positions follow from `jax.grad`, and no formula of the compiled kernel is used: the two check
each other. Harmonics are normalised here so that q_nl is a plain sum of squares.

Sources: see potentials.nep.format.
"""

from __future__ import annotations

from dataclasses import replace
from math import factorial, pi, sqrt
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.polynomial import Legendre, Polynomial
from numpy.typing import NDArray

from potentials.nep.harmonics import count, weights
from potentials.nep.invariants import CUBIC, QUARTIC, terms
from potentials.nep.model import FLAGS, NEPModel
from potentials.nep.zbl import zbl_table

FITTED = ("w0", "b0", "w1", "c_radial", "c_angular")


class NEPForm:
    """A model's energy as a function of its weights and of neighbour vectors.

    Parameters
    ----------
    model : shapes, cutoffs and ZBL are taken from it, and what is not in the weights
    """

    def __init__(self, model: NEPModel):
        self.model = model
        self.cutoffs = [0.5 * np.add.outer(of, of)
                        for of in (model.radial_cutoff, model.angular_cutoff)]
        self.cutoff = float(max(self.cutoffs[0].max(), self.cutoffs[1].max()))
        self.zbl = None
        if model.zbl is not None:
            self.zbl = zbl_table(model, range(len(model.elements)))
            self.cutoff = max(self.cutoff, float(self.zbl[..., 1].max()))

    def params(self) -> dict[str, Any]:
        """The weights: all of FITTED, the scaler, and `bias` (T,), taken off of each type."""
        model = self.model
        bias = np.array([model.bias_of(t) for t in range(len(model.elements))])
        return {name: getattr(model, name) for name in (*FITTED, "scaler")} | {"bias": bias}

    def with_params(self, params: dict[str, Any]) -> NEPModel:
        """The model with other weights; biases become own ones where there are several elements."""
        given: dict[str, Any] = {
            name: np.asarray(params[name], np.float64) for name in (*FITTED, "scaler")}
        bias = np.asarray(params["bias"], np.float64)
        alone = len(bias) == 1 and self.model.version != 5
        return replace(self.model, **given, bias=float(bias[0]) if alone else 0.0,
                       own_bias=None if alone else bias)

    def energy(self, params: Any, r_ij: Any, type_i: Any, type_j: Any, mask: Any) -> Any:
        """(n,) energies of atoms.

        Parameters
        ----------
        params : see `params`
        r_ij : (n, m, 3), to the neighbours
        type_i, type_j : (n,) and (n, m), elements of the model
        mask : (n, m), which of the neighbours there are
        """
        q = self.descriptor(params, r_ij, type_i, type_j, mask) * params["scaler"]
        energy = network(params, q, type_i) - pick(params["bias"], type_i)
        if self.zbl is not None:
            energy += self._repulsion(r_ij, type_i, type_j, mask)
        return energy

    def descriptor(self, params: Any, r_ij: Any, type_i: Any, type_j: Any, mask: Any) -> Any:
        """(n, dim) unscaled components."""
        model = self.model
        r = jnp.sqrt(jnp.where(mask, jnp.sum(r_ij * r_ij, -1), 1))
        sums = [self._basis(kind, r, type_i, type_j, mask) for kind in (0, 1)]
        parts = [coefficients(params["c_radial"], type_i, jnp.sum(sums[0], 1))]
        if model.l_max:
            y = harmonics(model.l_max, r_ij / r[..., None])
            moments = jnp.einsum("nmk,nml->nkl", sums[1], y)
            s = coefficients(params["c_angular"], type_i, moments)
            parts += angular(model, s)
        return jnp.concatenate(parts, -1)

    def _basis(self, kind: int, r: Any, type_i: Any, type_j: Any, mask: Any) -> Any:
        """(n, m, T (basis_size + 1)) of the radial or angular basis, in the place of j's type."""
        cutoffs = self.cutoffs[kind]
        rc = jnp.asarray(cutoffs, r.dtype)[type_i[:, None], type_j]
        if (cutoffs == cutoffs[0, 0]).all():
            rc = jnp.asarray(cutoffs[0, 0], r.dtype)
        inside = mask & (r < rc)
        fc = jnp.where(inside, 0.5 + 0.5 * jnp.cos(jnp.asarray(pi, r.dtype) * r / rc), 0)
        x = 2 * (r / rc - 1) ** 2 - 1
        chebyshev = [jnp.ones_like(x), x]
        for _ in range(2, self.model.basis_size[kind] + 1):
            chebyshev.append(2 * x * chebyshev[-1] - chebyshev[-2])
        of_k = [fc, *(0.5 * (t + 1) * fc for t in chebyshev[1:self.model.basis_size[kind] + 1])]
        f = jnp.stack(of_k, -1)
        types = len(self.model.elements)
        if types == 1:
            return f
        there = type_j[..., None] == jnp.arange(types)
        return jnp.where(there[..., None], f[:, :, None], 0).reshape(*r.shape, -1)

    def _repulsion(self, r_ij: Any, type_i: Any, type_j: Any, mask: Any) -> Any:
        """(n,) halves of ZBL pairs, see potentials.nep.zbl."""
        assert self.zbl is not None
        c = jnp.asarray(self.zbl, r_ij.dtype)[type_i[:, None], type_j]
        inside = mask & (jnp.sum(r_ij * r_ij, -1) < c[..., 1] ** 2)
        r = jnp.sqrt(jnp.where(inside, jnp.sum(r_ij * r_ij, -1), 1))
        phi = jnp.sum(c[..., 4::2] * jnp.exp(-c[..., 5::2] * (c[..., 3] * r)[..., None]), -1)
        width = jnp.where(c[..., 1] > c[..., 0], c[..., 1] - c[..., 0], 1)
        u = jnp.clip((r - c[..., 0]) / width, 0, 1)
        switch = 0.5 + 0.5 * jnp.cos(jnp.asarray(pi, r.dtype) * u)
        return 0.5 * jnp.sum(jnp.where(inside, switch * c[..., 2] / r * phi, 0), -1)


def pick(of_type: Any, type_i: Any) -> Any:
    """Values (T, ...) of each atom's type; without a gather, whose derivative is slow."""
    if len(of_type) == 1:
        return of_type[0]
    there = (type_i[:, None] == jnp.arange(len(of_type))).astype(of_type.dtype)
    return jnp.tensordot(there, of_type, 1)


def network(params: Any, q: Any, type_i: Any) -> Any:
    """(n,) of scaled components (n, dim); all networks see all atoms, one of them is taken."""
    hidden = jnp.tanh(jnp.einsum("nd,tmd->ntm", q, params["w0"]) - params["b0"])
    of_all = jnp.einsum("ntm,tm->nt", hidden, params["w1"])
    if of_all.shape[1] == 1:
        return of_all[:, 0]
    return jnp.sum(jnp.where(type_i[:, None] == jnp.arange(of_all.shape[1]), of_all, 0), -1)


def coefficients(c: Any, type_i: Any, sums: Any) -> Any:
    """sum_k c_nk sums_k of each atom: (n, functions, ...) from c (functions, k, T, T)."""
    functions, k, types, _ = c.shape
    of_centre = jnp.transpose(c, (2, 0, 3, 1)).reshape(types, functions, types * k)
    if types == 1:
        return jnp.tensordot(sums, of_centre[0], ((1,), (1,))) if sums.ndim == 2 else \
            jnp.einsum("fk,nkl->nfl", of_centre[0], sums)
    chosen = pick(of_centre, type_i)
    return jnp.einsum("nfk,nk...->nf...", chosen, sums)


def harmonics(l_max: int, u: Any) -> Any:
    """(..., l_max (l_max + 2)) of unit vectors (..., 3), so that q_l = sum of squares."""
    x, y, z = u[..., 0], u[..., 1], u[..., 2]
    real, imaginary = [jnp.ones_like(x)], [jnp.zeros_like(x)]
    for _ in range(l_max):
        a, b = real[-1], imaginary[-1]
        real.append(x * a - y * b)
        imaginary.append(x * b + y * a)
    out = []
    for degree in range(1, l_max + 1):
        for m in range(degree + 1):
            along = polynomial(legendre(degree, m), z)
            out += [along] if m == 0 else [along * real[m], along * imaginary[m]]
    return jnp.stack(out, -1)


def legendre(degree: int, m: int) -> NDArray[np.float64]:
    """Coefficients of d^m P_l / dz^m with the norm of `harmonics`."""
    norm = (2 * degree + 1) / (4 * pi) * factorial(degree - m) / factorial(degree + m)
    derivative = Legendre.basis(degree).convert(kind=Polynomial).deriv(m)
    scale = sqrt(norm * (2 if m else 1))
    return scale * np.asarray(derivative.coef, np.float64)


def polynomial(c: NDArray[np.float64], z: Any) -> Any:
    """By Horner's rule."""
    value = jnp.full_like(z, c[-1])
    for a in c[-2::-1].tolist():
        value = value * z + a
    return value


def angular(model: NEPModel, s: Any) -> list[Any]:
    """Components (n, functions) of each degree and flag, from sums (n, functions, lm)."""
    squares = [jnp.sum(s[..., count(d - 1):count(d)] ** 2, -1) for d in range(1, model.l_max + 1)]
    parts = list(squares)
    norms = np.sqrt(weights(model.l_max)[:count(model.l_max)])
    for name, on in zip(FLAGS, model.flags, strict=True):
        if on and name not in CUBIC:
            parts.append(QUARTIC * squares[0] ** 2)
        elif on:
            factors, places = terms(name)
            a, b, c = (s[..., places[:, k]] for k in range(3))
            scaled = factors / norms[places].prod(1)
            parts.append(jnp.sum(a * b * c * jnp.asarray(scaled, s.dtype), -1))
    return parts
