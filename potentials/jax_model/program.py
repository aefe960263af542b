"""A model compiled by XLA, for the shapes that atoms ask for.

XLA compiles a function for fixed shapes, which takes a second, while atoms come and go every few
steps. So neighbours are padded to one of few *rooms* (8, 16, 24, ..., each a fifth larger or more),
and atoms are taken in batches whose size depends on the room alone: as many neighbours as the
caches hold. When a room must be compiled, those are compiled too that a tenth more or fewer
neighbours would need, or as many as the density lets expect, so that a run rarely has to compile
again. How often and how long is counted.

Of one atom's energy only the vectors from that atom are arguments. The gradient of the sum of a
batch is therefore that of each energy, and one backward pass gives all forces.

Does an atom's result depend on the others in its batch? Not that we have seen, but XLA promises
nothing. In deterministic mode a batch is a loop over single atoms, `lax.map`: one piece of code for
each of them, whoever stands beside. It costs up to twice the time.

64-bit numbers are switched on for what is done here, and for nothing else in the process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from potentials.base import KernelError

try:
    from jax import enable_x64 as enable_x64
except ImportError:                       # where it was before
    from jax.experimental import enable_x64 as enable_x64

LANES = 8                   # rooms and batches are multiples of it
BATCH_NEIGHBORS = 2048      # of a batch; more leave the caches, fewer do not pay for the call
LEAST_ROWS = 16
GROWTH = 1.2                # of a room to the next, where all atoms of a rank share one
OWN_GROWTH = 2.0            # where each atom has its own, which may not depend on the others
MARGIN = 0.1                # rooms for so many more or fewer neighbours are compiled ahead
TOLERANCE = {"float64": 1e-9, "float32": 1e-3}

Energy = Callable[..., Any]
Batch = tuple[NDArray[Any], ...]         # r_ij, type_i, type_j, mask


@dataclass(frozen=True)
class Model:
    """A function of neighbour vectors, and what belongs to it.

    Attributes
    ----------
    name : in messages
    energy : energy(params, r_ij, type_i, type_j, mask) -> (n,) energies of atoms
    params : its weights, any tree of arrays
    cutoff : of its neighbours
    ntypes : types that it knows
    """

    name: str
    energy: Energy
    params: Any
    cutoff: float
    ntypes: int


def rooms_up_to(count: int, growth: float) -> list[int]:
    """All rooms, up to the smallest for so many neighbours."""
    rooms = [LANES]
    while rooms[-1] < count:
        rooms.append(LANES * int(np.ceil(growth * rooms[-1] / LANES)))
    return rooms


def room_of(counts: NDArray[np.int64], growth: float) -> NDArray[np.int64]:
    """The smallest room for each of these numbers of neighbours."""
    rooms = rooms_up_to(int(counts.max(initial=0)), growth)
    found: NDArray[np.int64] = np.array(rooms)[np.searchsorted(rooms, counts)]
    return found


def rows_of(room: int) -> int:
    """Atoms of a batch."""
    return max(LEAST_ROWS, BATCH_NEIGHBORS // room // LANES * LANES)


def cast(params: Any, real: type) -> Any:
    """The weights with all that is floating in one precision."""
    def one(value: Any) -> NDArray[Any]:
        array = np.asarray(value)
        return array.astype(real) if array.dtype.kind == "f" else array

    return jax.tree_util.tree_map(one, params)


def with_slopes(energy: Energy) -> Energy:
    """The function that returns energies (n,) and dE/dr_ij (n, m, 3), zero where nothing is."""
    def both(params: Any, r: Any, kind_i: Any, kind_j: Any, mask: Any) -> tuple[Any, Any]:
        energies, back = jax.vjp(lambda r: energy(params, r, kind_i, kind_j, mask), r)
        slopes, = back(jnp.ones_like(energies))
        return energies, jnp.where(mask[..., None], slopes, 0)

    return both


def one_by_one(both: Energy) -> Energy:
    """The same for one atom after the other."""
    def mapped(params: Any, *batch: Any) -> Any:
        def one(row: tuple[Any, ...]) -> tuple[Any, Any]:
            energies, slopes = both(params, *(part[None] for part in row))
            return energies[0], slopes[0]

        return jax.lax.map(one, batch)

    return mapped


def shape_error(model: Model, real: type) -> str:
    """What is wrong with the shape or type of what a model returns; empty if nothing is.

    The function is traced and not run; whatever it raises comes out.
    """
    n, m = 5, LANES
    with enable_x64(True):
        shapes = (jax.ShapeDtypeStruct((n, m, 3), real), jax.ShapeDtypeStruct((n,), np.int32),
                  jax.ShapeDtypeStruct((n, m), np.int32), jax.ShapeDtypeStruct((n, m), np.bool_))
        made = jax.eval_shape(model.energy, cast(model.params, real), *shapes)
    if getattr(made, "shape", None) != (n,):
        return (f"must return the energies of {n} atoms, shape ({n},), and returns "
                f"{getattr(made, 'shape', type(made).__name__)}")
    kind = np.dtype(real)
    if made.dtype != kind:
        return f"must return {kind} for vectors of {kind}, and returns {made.dtype}"
    return ""


class Programs:
    """A model compiled for one precision and for the rooms that were asked for.

    Parameters
    ----------
    real : float64 or float32, of all that the model computes
    single_rows : each atom by itself, so that its result depends on nothing else

    Attributes
    ----------
    compilations, compile_s : how often something was compiled or loaded, and the time that took
    """

    def __init__(self, model: Model, real: type, single_rows: bool):
        self.model, self.real = model, real
        self.growth = OWN_GROWTH if single_rows else GROWTH
        both = with_slopes(model.energy)
        self._function = one_by_one(both) if single_rows else both
        self._compiled: dict[int, Any] = {}
        self.compilations, self.compile_s = 0, 0.0
        self._most = 0
        with enable_x64(True):
            self._params = jax.device_put(cast(model.params, real))

    def prepare(self, counts: NDArray[np.int64], likely: float = 0.0) -> None:
        """Compile what atoms with these numbers of neighbours need, unless it is there.

        Parameters
        ----------
        counts : (n,)
        likely : a number of neighbours that atoms will have later

        Raises
        ------
        KernelError : the model makes no sense
        """
        known = set(room_of(counts, self.growth).tolist()) <= set(self._compiled)
        if known and len(counts) <= 2 * self._most:
            return
        self._most = max(self._most, len(counts))        # a run rehearses with a few atoms
        some = np.append(counts, int(likely))
        least = room_of(np.floor((1 - MARGIN) * some).astype(np.int64), self.growth).min()
        for room in rooms_up_to(int(np.ceil((1 + MARGIN) * some.max())), self.growth):
            if room >= least and room not in self._compiled:
                began = time.perf_counter()
                self._compile(room)
                self.compilations += 1
                self.compile_s += time.perf_counter() - began

    def __call__(self, room: int, batch: Batch) -> tuple[NDArray[Any], NDArray[Any]]:
        """Energies (rows,) and dE/dr (rows, room, 3); computed when this returns."""
        with enable_x64(True):
            energies, slopes = self._compiled[room](self._params, *batch)
            return np.asarray(energies), np.asarray(slopes)

    def _compile(self, room: int) -> None:
        first = invented_batch(self.model, room, self.real)
        with enable_x64(True):
            self._compiled[room] = jax.jit(self._function).lower(self._params, *first).compile()
        self._try_out(room, first)

    def _try_out(self, room: int, batch: Batch) -> None:
        """Raise KernelError unless each energy is finite, of its own neighbours, and of no more."""
        name, rows = self.model.name, np.arange(rows_of(room))
        energies, slopes = self(room, batch)
        for what, some in (("an atom without neighbors", rows[:1]), ("some neighbors", rows[1:])):
            if not (np.isfinite(energies[some]).all() and np.isfinite(slopes[some]).all()):
                raise KernelError(f"{name}: the energy of {what}, or its derivative, is not finite "
                                  f"({self.real.__name__})")
        r, kind_i, kind_j, mask = batch
        elsewhere = np.where(mask[..., None], r, 0.7 * r)
        others = invented_batch(self.model, room, self.real, seed=2)
        odd = rows % 2 == 1
        company = tuple(np.where(odd.reshape(-1, *[1] * (a.ndim - 1)), b, a)
                        for a, b in zip(batch, others, strict=True))
        for changed, kept, reason in (
                ((elsewhere, kind_i, kind_j, mask), rows, "what is padded: use the mask"),
                (company, rows[::2], "other atoms of the batch: each row must stand alone")):
            now, now_slopes = self(room, changed)
            scale = TOLERANCE[self.real.__name__] * (1 + np.abs(energies).max()
                                                     + np.abs(slopes).max())
            if not (np.abs(now - energies)[kept].max() <= scale
                    and np.abs(now_slopes - slopes)[kept].max() <= scale):
                raise KernelError(f"{name}: the energy of an atom depends on {reason}")


def invented_batch(model: Model, room: int, real: type, seed: int = 1) -> Batch:
    """Atoms with up to as many neighbours as there is room for; the first has none."""
    rng, rows = np.random.default_rng(seed), rows_of(room)
    r = rng.normal(size=(rows, room, 3))
    lengths = model.cutoff * rng.uniform(0.6, 0.99, (rows, room))
    r *= (lengths / np.linalg.norm(r, axis=-1))[..., None]
    mask = np.arange(room) < rng.integers(0, min(room, LANES) + 1, rows)[:, None]
    mask[0] = False
    r[~mask] = model.cutoff
    return (r.astype(real), rng.integers(0, model.ntypes, rows).astype(np.int32),
            rng.integers(0, model.ntypes, (rows, room)).astype(np.int32), mask)


def batches(rooms: NDArray[np.int64]) -> Iterable[tuple[int, NDArray[np.int64]]]:
    """(room, indices) of batches of atoms with the same room."""
    for room in np.unique(rooms).tolist():
        members, rows = np.flatnonzero(rooms == room), rows_of(room)
        for first in range(0, len(members), rows):
            yield room, members[first:first + rows]
