"""The atoms of one rank, as plain arrays.

First come the `nlocal` owned ones, then `nghost` copies of atoms that other ranks own.

Only owned atoms have velocities, forces and images that mean anything; ghosts carry position, id
and type.  Charges are there for atoms that have some, on all ranks or on none.  Arrays have a
capacity that grows when it must and is never truncated to.  The state of a run is these arrays, the
box and the step.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

# name: (dtype, trailing shape); what every owned atom takes along when it moves to another rank
PER_ATOM = {
    "x": (np.float64, (3,)),
    "v": (np.float64, (3,)),
    "id": (np.int64, ()),
    "type": (np.int32, ()),
    "image": (np.int32, (3,)),
}
GHOST_FIELDS = ("x", "id", "type")
CHARGE = "q"                        # what charged atoms and their ghosts have besides, float64
MOTION = ("x", "v")                 # what changes in every step


@dataclass
class Atoms:
    """Structure of arrays, capacity >= nlocal + nghost (ghosts only in x, id, type, q).

    Attributes
    ----------
    x : (cap, 3) float64, positions; owned ones are wrapped into the box at every list build
    v : (cap, 3) float64, velocities
    f : (cap, 3) float64, forces
    id : (cap,) int64, global ids, unique, from 1
    type : (cap,) int32, index into `mass`, from 0
    image : (cap, 3) int32, how often each periodic boundary was crossed:
        unwrapped = x + image * box lengths
    mass : (ntypes,) float64
    q : (cap,) float64, charges, or None
    nlocal, nghost : counts
    lent : whether somebody else reads `x` and `v` for a while: they are left as they are, and the
        next drift moves on into other arrays
    """

    mass: NDArray[np.float64]
    x: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3)))
    v: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3)))
    f: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3)))
    id: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    type: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    image: NDArray[np.int32] = field(default_factory=lambda: np.empty((0, 3), np.int32))
    q: NDArray[np.float64] | None = None
    nlocal: int = 0
    nghost: int = 0
    lent: bool = False
    _others: dict[str, NDArray[np.float64]] = field(default_factory=dict, repr=False)

    @property
    def positions(self) -> NDArray[np.float64]:
        """(nlocal, 3) view of the positions of owned atoms."""
        return self.x[:self.nlocal]

    @property
    def velocities(self) -> NDArray[np.float64]:
        """(nlocal, 3) view of the velocities of owned atoms."""
        return self.v[:self.nlocal]

    @property
    def ntotal(self) -> int:
        """Owned atoms and ghosts."""
        return self.nlocal + self.nghost

    @property
    def charged(self) -> bool:
        """Whether the atoms have charges; the same on all ranks."""
        return self.q is not None

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of what an owned atom takes along when it moves to another rank."""
        return (*PER_ATOM, CHARGE) if self.charged else tuple(PER_ATOM)

    @property
    def ghost_fields(self) -> tuple[str, ...]:
        """Names of what a ghost has."""
        return (*GHOST_FIELDS, CHARGE) if self.charged else GHOST_FIELDS

    @property
    def all_charges(self) -> NDArray[np.float64] | None:
        """(ntotal,) view of the charges of owned atoms and ghosts, or None."""
        return None if self.q is None else self.q[:self.ntotal]

    def charge(self) -> None:
        """Make room for charges, which are undefined until they are set."""
        self.q = np.empty(len(self.x))

    def reserve(self, nlocal: int) -> None:
        """Make room for `nlocal` owned atoms; contents are kept."""
        for name in (*self.fields, "f"):
            self._grow(name, nlocal, self.nlocal)

    def reserve_ghosts(self) -> None:
        """Make room for the ghosts that are announced by `nghost`; contents are kept."""
        for name in self.ghost_fields:
            self._grow(name, self.ntotal, self.ntotal)

    def _grow(self, name: str, needed: int, used: int) -> None:
        old = getattr(self, name)
        if needed > len(old):
            room = needed + needed // 50 + 64
            new = np.empty((room, *old.shape[1:]), old.dtype)
            new[:min(used, len(old))] = old[:min(used, len(old))]
            setattr(self, name, new)

    def prepare_to_lend(self) -> None:
        """Have the other arrays now: the first touch of a page costs more than its contents."""
        for name in MOTION:
            self._others[name] = np.empty_like(getattr(self, name))
            self._others[name][:self.nlocal] = 0.0

    def move_on(self) -> None:
        """Take other arrays for positions and velocities if these are lent.

        Their contents are undefined until the caller has filled them from the old ones.
        """
        if not self.lent:
            return
        self.lent = False
        for name in MOTION:
            old, new = getattr(self, name), self._others.get(name)
            if new is None or len(new) != len(old):
                new = np.empty_like(old)
            setattr(self, name, new)
            self._others[name] = old

    def take_back(self) -> None:
        """Own the positions and velocities again, by a copy if they are lent."""
        x, v = self.x, self.v
        self.move_on()
        if self.x is not x:
            self.x[:self.ntotal], self.v[:self.nlocal] = x[:self.ntotal], v[:self.nlocal]

    def reorder(self, order: NDArray[np.int32]) -> None:
        """Reorder the owned atoms: atom k becomes what atom order[k] was.  Forces are not kept."""
        for name in self.fields:
            array = getattr(self, name)
            array[:self.nlocal] = array.take(order, axis=0)
