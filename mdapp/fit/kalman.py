"""The extended Kalman filter: weights as a state that each measurement makes known better.

With a covariance P of the weights, a number h(w) that the model says, d how far it is from the one
that is known, and g = dh/dw,

    a = 1 / (L lambda + g P g),   w <- w + a d P g,   P <- (P - a P g g P) / lambda,
    lambda <- nu lambda + 1 - nu

so that a step has the length that all steps before it have taught, and needs no rate. Old ones are
forgotten, less and less. A measurement costs a matrix of the weights: so the many numbers of a
batch are made into a few. Energies: their mean, each with the sign that makes its difference
positive. Forces: the same mean over a quarter of the atoms, four times. Virials, if they are asked
for, as energies. Energies come last, since all that moves them alike is nothing to forces, which
are not careful with it. P is kept in blocks along the layers, L of them, so that its size grows
with the weights and not with their square; g P g is summed over all blocks.

S. Hu et al. 2023, arXiv:2212.06989.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mdapp.fit.loss import Errors, Sums, sums_of
from mdapp.fit.settings import Training
from mdapp.fit.stream import Batch


def blocks_of(sizes: Sequence[int], largest: int) -> list[tuple[int, int]]:
    """First and last weight of each block: layers together while they fit, long ones cut."""
    blocks: list[tuple[int, int]] = []
    begin = end = 0
    for size in sizes:
        if end > begin and end - begin + size > largest:
            blocks.append((begin, end))
            begin = end
        end += size
        while end - begin > largest:
            blocks.append((begin, begin + largest))
            begin += largest
    return [*blocks, (begin, end)] if end > begin else blocks


class Kalman:
    """Updates weights by batches.

    Parameters
    ----------
    errors : errors(w, batch) -> Errors, of weights (k,) float64
    sizes : of the layers that the weights are made of
    """

    def __init__(self, errors: Callable[[Any, Batch], Errors], training: Training,
                 sizes: Sequence[int]):
        self._training = training
        self.blocks = blocks_of(sizes, training.block)
        _, nu = training.forget
        groups = training.groups
        turns = groups + (max(training.virial_weight) > 0) + 1

        def measured(w: Any, batch: Batch, turn: Any) -> tuple[Any, tuple[Any, Sums]]:
            """-d, whose derivative is that of the signed mean; d itself and all errors."""
            found = errors(w, batch)
            n = jnp.maximum(batch.natoms, 1)
            mine = (jnp.arange(len(batch.frame)) % groups == turn) & (
                batch.frame < len(batch.energy))
            of_forces = (jnp.sum(jnp.where(mine[:, None], jnp.abs(found.force), 0))
                         / jnp.maximum(3 * jnp.sum(mine), 1))
            of_virials = (jnp.sum(jnp.abs(found.virial) / n[:, None])
                          / jnp.maximum(6 * jnp.sum(batch.has_virial), 1))
            of_energies = jnp.sum(jnp.abs(found.energy) / n) / jnp.sum(batch.natoms > 0)
            d = jnp.where(turn < groups, of_forces,
                          jnp.where(turn < turns - 1, of_virials, of_energies))
            return -d, (d, sums_of(found, batch))

        def filtered(w: Any, state: dict[str, Any], g: Any, d: Any) -> tuple[Any, dict[str, Any]]:
            parts = [g[a:b] for a, b in self.blocks]
            old = [state[f"P{k}"] for k in range(len(parts))]
            pg = [p @ part for p, part in zip(old, parts, strict=True)]
            fading = state["lambda"]
            a = 1 / (len(parts) * fading
                     + sum(jnp.vdot(x, y) for x, y in zip(parts, pg, strict=True)))
            new = {f"P{k}": (p - a * jnp.outer(x, x)) / fading
                   for k, (p, x) in enumerate(zip(old, pg, strict=True))}
            return (w + a * d * jnp.concatenate(pg),
                    {**new, "lambda": nu * fading + 1 - nu})

        def update(w: Any, state: dict[str, Any], batch: Batch) -> tuple[Any, Any, Sums]:
            def measure(turn: Any, now: Any) -> Any:
                g, (d, sums) = jax.grad(measured, has_aux=True)(now[0], batch, turn)
                return *filtered(now[0], now[1], g, d.astype(w.dtype)), sums

            nothing = jax.eval_shape(lambda: sums_of(errors(w, batch), batch))
            zero = jax.tree_util.tree_map(lambda a: jnp.zeros(a.shape, a.dtype), nothing)
            done: tuple[Any, Any, Sums] = jax.lax.fori_loop(0, turns, measure, (w, state, zero))
            return done

        self._update = jax.jit(update, donate_argnums=1)

    def start(self, k: int) -> dict[str, Any]:
        """The state before the first of all updates of k weights."""
        return {"lambda": np.float64(self._training.forget[0]),
                **{f"P{n}": np.eye(b - a) for n, (a, b) in enumerate(self.blocks)}}

    def update(self, w: Any, state: dict[str, Any], batch: Batch, step: int
               ) -> tuple[Any, dict[str, Any], Sums]:
        """Weights and state after a step, and the errors before its last measurement."""
        done: tuple[Any, dict[str, Any], Sums] = self._update(w, state, batch)
        return done
