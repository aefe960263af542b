"""Adam: steps along the gradient, each weight with a length of its own.

    m <- b1 m + (1 - b1) g      v <- b2 v + (1 - b2) g^2      w <- w - rate m^ / (sqrt(v^) + eps)

m^ and v^ are m and v over 1 - b^t, which begin at 0. The rate falls exponentially from its value at
the start to that at the end, and the weights of the loss go with it: forces first, as they are many
and tell the shape, energies later, p = p_end + (p_start - p_end) rate / rate_start.

D. P. Kingma and J. Ba 2015, arXiv:1412.6980; the weights: H. Wang et al. 2018,
doi 10.1016/j.cpc.2018.03.016.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mdapp.fit.loss import Errors, Sums, Weights, loss_of, sums_of
from mdapp.fit.settings import Training
from mdapp.fit.stream import Batch

B1, B2, EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """Updates weights by batches.

    Parameters
    ----------
    errors : errors(w, batch) -> Errors, of weights (k,) float64
    """

    def __init__(self, errors: Callable[[Any, Batch], Errors], training: Training):
        self._training = training

        def loss(w: Any, batch: Batch, weights: Weights) -> tuple[Any, Sums]:
            found = errors(w, batch)
            return loss_of(found, batch, weights), sums_of(found, batch)

        def update(w: Any, state: dict[str, Any], batch: Batch, t: Any, rate: Any,
                   weights: Weights) -> tuple[Any, dict[str, Any], Sums]:
            g, sums = jax.grad(loss, has_aux=True)(w, batch, weights)
            m = B1 * state["m"] + (1 - B1) * g
            v = B2 * state["v"] + (1 - B2) * g * g
            step = m / (1 - B1**t) / (jnp.sqrt(v / (1 - B2**t)) + EPSILON)
            return w - rate * step, {"m": m, "v": v}, sums

        self._update = jax.jit(update)

    def start(self, k: int) -> dict[str, Any]:
        """The state before the first of all updates of k weights."""
        return {"m": np.zeros(k), "v": np.zeros(k)}

    def rate(self, step: int) -> float:
        """Of a step, from 0."""
        first, last = self._training.rate
        return float(first * (last / first) ** (step / max(self._training.steps - 1, 1)))

    def weights(self, step: int) -> Weights:
        """Of the loss in a step."""
        t = self._training
        left = self.rate(step) / t.rate[0]
        return Weights(*(end + (begin - end) * left
                         for begin, end in (t.energy_weight, t.force_weight, t.virial_weight)))

    def update(self, w: Any, state: dict[str, Any], batch: Batch, step: int
               ) -> tuple[Any, dict[str, Any], Sums]:
        """Weights and state after a step, and the errors that the weights had before."""
        weights = Weights(*(self._training_real(p) for p in self.weights(step)))
        done: tuple[Any, dict[str, Any], Sums] = self._update(
            w, state, batch, float(step + 1), self.rate(step), weights)
        return done

    def _training_real(self, value: float) -> Any:
        """A number of the loss, in the precision of the model."""
        return np.float64(value) if self._training.precision == "double" else np.float32(value)
