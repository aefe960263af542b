"""Energy functions in JAX as parallel potentials; see potentials.jax_model.potential."""

from potentials.jax_model.potential import jax_potential
from potentials.jax_model.weights import load_weights, save_weights

__all__ = ["jax_potential", "load_weights", "save_weights"]
