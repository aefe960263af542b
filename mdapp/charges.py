"""Charges on their way from a system to a potential that acts between them.

Atoms have charges if their file has some or the deck gives some, whatever the potential; a run
without carries no array of them. A potential that needs them (potentials/base.py) gets those of
atoms and ghosts after each building of lists, which is when their order changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mdapp.errors import InputError
from mdapp.model.units import Units
from potentials.base import Kernel, Potential


def needs_charges(potential: Potential) -> bool:
    """Whether a potential acts between charges."""
    return bool(getattr(potential, "charges", False))


def refuse_missing_charges(potential: Potential, there: bool, remedy: str) -> None:
    """See whether atoms have what a potential needs.

    Raises
    ------
    InputError : it needs charges, and there are none; `remedy` says how to give some
    """
    if needs_charges(potential) and not there:
        raise InputError(f"potential.style = {potential.style!r}: acts between charges, and the "
                         f"atoms have none; {remedy}")


def give_charges(kernel: Kernel, q: NDArray[np.float64] | None, units: Units) -> None:
    """Hand the charges (ntotal,) of the atoms of a new list to a kernel that asks for them."""
    accept = getattr(kernel, "accept_charges", None)
    if accept is not None and q is not None:
        accept(q, units.qqr2e)


def charges_of_types(charges: Sequence[float], ntypes: int, key: str) -> NDArray[np.float64]:
    """(ntypes,) charges that a user gave, one a type.

    Raises
    ------
    InputError : of a wrong number, or not finite; `key` is what the user calls them
    """
    if len(charges) != ntypes:
        raise InputError(f"{key}: {len(charges)} given, but the system has {ntypes} atom "
                         f"type{'s' * (ntypes != 1)}; give one per type")
    if not np.isfinite(charges).all():
        raise InputError(f"{key} = {list(charges)}: must be finite numbers")
    return np.array(charges, np.float64)
