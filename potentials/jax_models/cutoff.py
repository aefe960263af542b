"""How neighbours fade at the cutoff, and distances that can be differentiated."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp


def distances(r_ij: Any) -> tuple[Any, Any]:
    """Lengths (n, m) and directions (n, m, 3) of vectors, none of which is zero."""
    r = jnp.sqrt(jnp.sum(r_ij * r_ij, axis=-1))
    return r, r_ij / r[..., None]


def fade(r: Any, cutoff: Any, mask: Any) -> Any:
    """(n, m), from 1 at 0 to 0 at the cutoff with two continuous derivatives; 0 where masked.

    1 - 10 t^3 + 15 t^4 - 6 t^5 with t = r / cutoff.
    """
    t = jnp.minimum(r / cutoff, 1.0)
    return jnp.where(mask, 1.0 - t * t * t * (10.0 - t * (15.0 - 6.0 * t)), 0.0)


def one_hot(types: Any, ntypes: int, real: Any) -> Any:
    """(..., ntypes) of that type: 1 for the type of each, 0 for the others."""
    return (types[..., None] == jnp.arange(ntypes)).astype(real)
