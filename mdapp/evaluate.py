"""One evaluation of a potential on one structure: energy, forces and virial, and no dynamics.

A single point must take any cell, because that is what people have: the two atoms of primitive
silicon, a slab, a molecule, a left-handed cell out of a data base.  It is also small.  So it does
without the decomposition: the images that the atoms can see are written down
(neighbors/images.py), the same lists and compiled kernels as in a run work on them, and only the
forces on the atoms themselves are read, as on each rank of a run.

Lists reach a little further than the cutoff, because kernels of lower precision see slightly
rounded distances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdapp.charges import give_charges, refuse_missing_charges
from mdapp.errors import InputError
from mdapp.model.atoms import Atoms
from mdapp.model.box import Box
from mdapp.model.source import AtomSource
from mdapp.model.units import UNITS, Units
from mdapp.neighbors.clusters import ClusterList
from mdapp.neighbors.images import Images, with_images
from mdapp.trouble import closest_pair
from potentials.base import (
    ForceRangeError,
    Kernel,
    KernelError,
    Potential,
    Result,
    Want,
    precisions_of,
)

LIST_MARGIN = 1e-5             # of the cutoff; distances in single precision are good to 1e-7


@dataclass(frozen=True)
class Structure:
    """Atoms in a cell, all in memory, in the order of their ids.

    Attributes
    ----------
    box : any cell
    x : (n, 3) float64, positions, anywhere
    type : (n,) int32, from 0
    species : names of the types
    id : (n,) int64, rising
    q : (n,) float64, charges, or None
    """

    box: Box
    x: NDArray[np.float64]
    type: NDArray[np.int32]
    species: tuple[str, ...]
    id: NDArray[np.int64]
    q: NDArray[np.float64] | None = None

    @classmethod
    def of_arrays(cls, box: Box, x: NDArray[np.float64],
                  type_: NDArray[np.int32] | None = None,
                  species: tuple[str, ...] = ("1",),
                  q: NDArray[np.float64] | None = None) -> Structure:
        """Make one of positions (n, 3), types (n,), by default all 0, and charges (n,).

        Ids are 1, 2, ...
        """
        x = np.ascontiguousarray(x, np.float64).reshape(-1, 3)
        types = np.zeros(len(x), np.int32)
        if type_ is not None:
            types[:] = type_
        return cls(box, x, types, species,
                   np.arange(1, len(x) + 1, dtype=np.int64), q)

    @classmethod
    def of_source(cls, source: AtomSource) -> Structure:
        """Read all atoms of a source.

        Raises
        ------
        InputError : what the source reads turns out to be unusable
        """
        blocks = list(source.blocks())
        id_ = np.concatenate([np.empty(0, np.int64), *(b.id for b in blocks)])
        order = np.argsort(id_, kind="stable")
        x = np.concatenate([np.empty((0, 3)), *(b.x for b in blocks)])[order]
        type_ = np.concatenate([np.empty(0, np.int32), *(b.type for b in blocks)])[order]
        q = None
        if source.charged:
            q = np.concatenate([np.empty(0), *(b.q for b in blocks if b.q is not None)])[order]
        return cls(source.box, x, type_, tuple(source.species), id_[order], q)

    @property
    def elements(self) -> list[str]:
        """Names of the atoms' species."""
        return [self.species[t] for t in self.type]


@dataclass(frozen=True)
class SinglePoint:
    """What a potential says about a structure; per-atom arrays are in the order of ids.

    Attributes
    ----------
    structure : what was evaluated
    units : of all numbers here, and of the structure
    precision : of the kernel
    energy : potential energy
    energies : (n,) float64, each atom's share; they add up to `energy`
    forces : (n, 3) float64, energy / length
    virial : (6,) float64, energy, W = -dE/dstrain in the order xx yy zz yz xz xy
    virials : (n, 6) float64, each atom's share of it
    stress : (6,) float64, energy / length^3, -W / V with the sign and order of ASE; None unless
        all axes are periodic
    volume : of the cell; None unless all axes are periodic
    nimages : periodic images that were in sight
    """

    structure: Structure
    units: Units
    precision: str
    energy: float
    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    virial: NDArray[np.float64]
    virials: NDArray[np.float64]
    stress: NDArray[np.float64] | None
    volume: float | None
    nimages: int


def single_point(structure: Structure | AtomSource, potential: Potential, precision: str = "double",
                 deterministic: bool = False, units: str = "lj",
                 kernel: Kernel | None = None) -> SinglePoint:
    """Evaluate a potential on a structure.

    Parameters
    ----------
    structure : arrays, or a source to read
    potential : made for the types of the structure
    precision : one of the potential's
    deterministic : sum in integers: the result has the same bits in any order of the atoms
    units : "lj" or "metal", of the structure and the potential; nothing is converted
    kernel : of this potential and precision, compiled for an evaluation before

    Raises
    ------
    InputError : a precision or type that the potential does not have, positions or energies that
        are not finite, a cell too small for the cutoff
    """
    if not isinstance(structure, Structure):
        structure = Structure.of_source(structure)
    refuse_what_cannot_be(structure, potential, precision, deterministic)
    n = len(structure.x)
    reach = potential.cutoff * (1 + LIST_MARGIN)
    images = with_images(structure.box, structure.x, reach)
    ids = images.of_all(structure.id)
    clusters = ClusterList(reach, form=potential.lists)
    clusters.build(images.x, ids, n)
    forces = np.zeros((n, 3))
    try:
        kernel = kernel or potential.compiled(precision, deterministic)
        give_box(kernel, structure.box)
        if structure.q is not None:
            give_charges(kernel, images.of_all(structure.q), UNITS[units])
        result = kernel.compute(
            images.x, images.of_all(structure.type), n, clusters, forces, Want.PER_ATOM, images)
    except ForceRangeError as error:
        raise InputError(f"{error}; {nearest_atoms(ids, images, clusters)}") from None
    except KernelError as error:
        raise InputError(error.told(ids)) from None
    if not is_finite(result, forces):
        raise InputError(f"the energy is not a finite number in {precision} precision: "
                         f"{nearest_atoms(ids, images, clusters)}")
    return summary(structure, UNITS[units], precision, result, forces, len(images.owner))


def refuse_what_cannot_be(structure: Structure, potential: Potential, precision: str,
                          deterministic: bool) -> None:
    """Raise InputError for a structure that this potential cannot be evaluated on."""
    if deterministic and "deterministic" in potential.known:
        raise InputError(f"deterministic: {potential.style}: {potential.known['deterministic']}")
    if precision not in potential.precisions:
        raise InputError(f"precision = {precision!r}: {precisions_of(potential, precision)}")
    refuse_missing_charges(potential, structure.q is not None, "give charges of the types, or a "
                           "file that has them: LAMMPS data of atom_style charge, extended XYZ "
                           "with a column charge or initial_charges")
    if structure.q is not None and not np.isfinite(structure.q).all():
        k = int(np.argmin(np.isfinite(structure.q)))
        raise InputError(f"atom {structure.id[k]} has a charge that is not finite: "
                         f"{structure.q[k]}")
    bad = ~np.isfinite(structure.x).all(axis=1)
    if bad.any():
        k = int(bad.argmax())
        raise InputError(f"atom {structure.id[k]} has a position that is not finite: "
                         f"{structure.x[k].tolist()}")
    ntypes = getattr(potential, "ntypes", len(structure.species))
    bad = (structure.type < 0) | (structure.type >= ntypes)
    if bad.any():
        k = int(bad.argmax())
        raise InputError(f"atom {structure.id[k]} is of type {structure.type[k] + 1}, but "
                         f"{potential.style} was made for {ntypes} types")


def give_box(kernel: Kernel, box: Box) -> None:
    """Tell a kernel the cell, if it asks for it."""
    accept = getattr(kernel, "accept_box", None)
    if accept is not None:
        accept(box.edges, box.periodic)


def is_finite(result: Result, forces: NDArray[np.float64]) -> bool:
    """Whether every number of an evaluation is one."""
    numbers = forces, result.energies, result.virials
    return all(a is not None and bool(np.isfinite(a).all()) for a in numbers)


def nearest_atoms(ids: NDArray[np.int64], images: Images, clusters: ClusterList) -> str:
    """Name the two atoms that are nearest to each other, and the fix."""
    n = len(ids) - len(images.owner)
    atoms = Atoms(np.ones(1), x=images.x, id=ids, nlocal=n, nghost=len(images.owner))
    distance, (a, b) = closest_pair(atoms, clusters)
    if a == b:
        return (f"atom {a} and an image of it are {distance:.3g} apart; "
                "check the cell and its units")
    return (f"atoms {min(a, b)} and {max(a, b)} are {distance:.3g} apart; "
            "remove one of them, or move them apart")


def summary(structure: Structure, units: Units, precision: str, result: Result,
            forces: NDArray[np.float64], nimages: int) -> SinglePoint:
    """Add up the atoms' shares, rounded once: totals do not depend on the order of the atoms."""
    assert result.energies is not None and result.virials is not None
    virial = np.array([math.fsum(component) for component in result.virials.T])
    volume = structure.box.volume if structure.box.periodic.all() else None
    stress = None if volume is None else -virial / volume
    return SinglePoint(structure, units, precision, math.fsum(result.energies), result.energies,
                       forces, virial, result.virials, stress, volume, nimages)
