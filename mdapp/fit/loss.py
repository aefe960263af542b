"""What a model says of a batch, and how far that is from what is known.

Forces follow from one backward pass through the energy, g_ij = dE/dr_ij (see neighbors.py), and the
loss from forces, so that its gradient by the weights is a derivative of a derivative. JAX does
both.

    loss = p_E <(dE)^2 / N> + p_F <(dF)^2> + p_W <(dW)^2 / N>

over frames, force components and components of the virial; N atoms of the frame.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mdapp.fit.stream import Batch

Energy = Callable[..., Any]
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


class Weights(NamedTuple):
    """p_E, p_F and p_W of the loss."""

    energy: float
    force: float
    virial: float


class Errors(NamedTuple):
    """Differences model - known.

    Attributes
    ----------
    energy : (b,)
    force : (n, 3)
    virial : (b, 6)
    """

    energy: Any
    force: Any
    virial: Any


class Sums(NamedTuple):
    """Sums of squares, and of how many: energies per atom, force components, virial per atom."""

    energy: Any
    frames: Any
    force: Any
    components: Any
    virial: Any
    virials: Any


@jax.custom_vjp
def turned(g: Any, back: Any) -> Any:
    """The vectors that point back: g_ji in the place of g_ij; to turn twice is to do nothing."""
    return g.reshape(-1, 3)[back]


def _turned_forward(g: Any, back: Any) -> tuple[Any, Any]:
    return turned(g, back), back


def _turned_backward(back: Any, cotangent: Any) -> tuple[Any, None]:
    return turned(cotangent, back), None


turned.defvjp(_turned_forward, _turned_backward)


def errors_of(energy: Energy, params: Any, batch: Batch, virials: bool) -> Errors:
    """The model against a batch; without virials those are 0.

    energy : energy(params, r_ij, type_i, type_j, mask) -> (n,)
    """
    b = len(batch.energy)

    def total(r: Any) -> tuple[Any, Any]:
        of_atoms = energy(params, r, batch.type_i, batch.type_j, batch.mask)
        there = jnp.where(batch.frame < b, of_atoms, 0)
        return jnp.sum(there), there

    g, of_atoms = jax.grad(total, has_aux=True)(batch.r)
    g = jnp.where(batch.mask[..., None], g, 0)
    forces = jnp.sum(g - turned(g, batch.back), 1)
    energies = jax.ops.segment_sum(of_atoms, batch.frame, b + 1)[:b]
    dw = jnp.zeros_like(batch.virial)
    if virials:
        w = -jnp.stack([jnp.sum(batch.r[..., p] * g[..., q], 1) for p, q in VOIGT], -1)
        dw = jax.ops.segment_sum(w, batch.frame, b + 1)[:b] - batch.virial
        dw = jnp.where(batch.has_virial[:, None], dw, 0)
    return Errors(energies - batch.energy, forces - batch.forces, dw)


def sums_of(errors: Errors, batch: Batch) -> Sums:
    """Sums of squares over a batch."""
    n = jnp.maximum(batch.natoms, 1)
    return Sums(jnp.sum((errors.energy / n) ** 2), jnp.sum(batch.natoms > 0),
                jnp.sum(errors.force**2), 3 * jnp.sum(batch.natoms),
                jnp.sum((errors.virial / n[:, None]) ** 2), 6 * jnp.sum(batch.has_virial))


def loss_of(errors: Errors, batch: Batch, weights: Weights) -> Any:
    """The loss of a batch."""
    n = jnp.maximum(batch.natoms, 1)
    frames = jnp.maximum(jnp.sum(batch.natoms > 0), 1)
    virials = jnp.maximum(6 * jnp.sum(batch.has_virial), 1)
    return (weights.energy * jnp.sum(errors.energy**2 / n) / frames
            + weights.force * jnp.sum(errors.force**2) / (3 * jnp.sum(batch.natoms))
            + weights.virial * jnp.sum(errors.virial**2 / n[:, None]) / virials)
