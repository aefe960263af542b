"""The state of a run as storage sees it: named arrays of this rank's atoms, and plain values.

Nothing here has a meaning to the store: it keeps bits. Arrays are views of the run's own, of
exactly the declared type and C-contiguous, because a conversion would be a copy of the state, and
copies are what a checkpoint must not cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdapp.errors import InputError
from mdapp.model.box import Box


@dataclass(frozen=True)
class Field:
    """One per-atom quantity.

    Attributes
    ----------
    name : of the field and of its dataset
    dtype : with explicit byte order, such as "<f8"
    shape_tail : shape of one atom's value
    unit : dimension, in the unit system of the run
    role : what it is to a reader
    """

    name: str
    dtype: str
    shape_tail: tuple[int, ...]
    unit: str
    role: str

    @property
    def atom_bytes(self) -> int:
        """Bytes of one atom's value."""
        return int(np.dtype(self.dtype).itemsize * np.prod(self.shape_tail, dtype=np.int64))

    def empty(self, n: int) -> NDArray[Any]:
        """Array for n atoms, uninitialised."""
        return np.empty((n, *self.shape_tail), self.dtype)


STANDARD = (
    Field("id", "<i8", (), "1", "identity"),
    Field("x", "<f8", (3,), "distance", "position"),
    Field("v", "<f8", (3,), "velocity", "velocity"),
    Field("type", "<i4", (), "1", "type"),
    Field("image", "<i4", (3,), "1", "image"),
)
DTYPES = ("<f8", "<f4", "<i8", "<u8", "<i4", "<u4", "<i2", "<u2", "|i1", "|u1")


@dataclass
class State:
    """What a checkpoint holds, seen from one rank.

    Attributes
    ----------
    step, time, timestep : when
    units : name of the unit system of all values
    box : the cell
    natoms : atoms of all ranks
    species : names of the types
    mass : (ntypes,) float64
    fields : arrays of the atoms that this rank owns, in storage order: id (n,) <i8, x (n, 3) <f8,
        v (n, 3) <f8, type (n,) <i4 from 0, image (n, 3) <i4, then any others
    declared : units and roles of the other fields
    integrator, rng, potential, decomposition, deck, invariants : plain values, fit for JSON
    outputs : appendable files that this step depends on: path, size, tail_crc
    """

    step: int
    time: float
    timestep: float
    units: str
    box: Box
    natoms: int
    species: Sequence[str]
    mass: NDArray[np.float64]
    fields: Mapping[str, NDArray[Any]]
    declared: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    integrator: Mapping[str, Any] = field(default_factory=dict)
    rng: Mapping[str, Any] = field(default_factory=dict)
    potential: Mapping[str, Any] = field(default_factory=dict)
    decomposition: Mapping[str, Any] = field(default_factory=dict)
    deck: Mapping[str, Any] = field(default_factory=dict)
    invariants: Mapping[str, Any] = field(default_factory=dict)
    outputs: Sequence[Mapping[str, Any]] = ()

    @property
    def nlocal(self) -> int:
        """Atoms of this rank."""
        return len(self.fields["id"])


def fields_of(state: State) -> tuple[Field, ...]:
    """Describe the arrays of a state, checked.

    Raises
    ------
    InputError
        A field is missing, or an array is not of the type, shape and order that is stored.
    """
    names = tuple(state.fields)
    if names[: len(STANDARD)] != tuple(f.name for f in STANDARD):
        raise InputError(
            f"checkpoint: the state has the fields {names}; the first must be "
            f"{tuple(f.name for f in STANDARD)}"
        )
    known = {f.name: f for f in STANDARD}
    found = []
    for name, array in state.fields.items():
        unit, role = state.declared.get(name, ("1", "other"))
        item = known.get(name) or Field(name, array.dtype.str, array.shape[1:], unit, role)
        if item.dtype not in DTYPES or not name.isidentifier():
            raise InputError(f"checkpoint: field {name!r} of type {item.dtype} cannot be stored")
        if array.dtype.str != item.dtype or array.shape != (state.nlocal, *item.shape_tail):
            raise InputError(
                f"checkpoint: field {name} is {array.dtype.str}{array.shape}; it must be "
                f"{item.dtype}{(state.nlocal, *item.shape_tail)}"
            )
        if not array.flags.c_contiguous:
            raise InputError(f"checkpoint: field {name} is not contiguous; pass a view of rows")
        found.append(item)
    return tuple(found)
