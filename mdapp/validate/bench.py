"""Where a potential is evaluated: its own structures, guarded calls, random numbers that repeat.

Calls go to the compiled kernel through the engine's lists and periodic images, as single points
do, but from copies that are compared afterwards, and with whatever the kernel raises or returns
turned into a `Fault`: the potential's failure, not the suite's. Lists may reach farther than the
cutoff, may be written in any order of the atoms, and may be made for any number of threads.
"""

from __future__ import annotations

import contextlib
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdapp.charges import give_charges
from mdapp.errors import InputError
from mdapp.evaluate import LIST_MARGIN, Structure, give_box
from mdapp.model.box import Box
from mdapp.neighbors.clusters import ClusterList
from mdapp.neighbors.images import with_images
from mdapp.validate.crystals import Crystal, bulk, find_crystal
from mdapp.validate.measure import Fault
from mdapp.validate.subject import Subject
from potentials.base import Kernel, Want

MOST_KINDS = 3                          # species that structures of one species are made of
OF_CALCULATORS = 6.0


@dataclass(frozen=True)
class Point:
    """What a potential says of a structure; see mdapp.evaluate.SinglePoint.

    `total` and `total_virial` are the sums that the kernel made itself, or None with FORCES.
    """

    energy: float
    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    virial: NDArray[np.float64]
    virials: NDArray[np.float64]
    total: float
    total_virial: NDArray[np.float64] | None


@dataclass
class Bench:
    """A subject, its kernels and its structures, for one run of the suite.

    Attributes
    ----------
    level : gate, parallel, standard, full
    seed : of all random numbers
    ranks : how many ranks real runs may be tried on
    folder : for files of real runs
    references : sets with results of others
    deterministic : whether real runs are deterministic
    patience : seconds that each of the long runs of this process may take
    """

    subject: Subject
    level: str = "gate"
    seed: int = 13
    ranks: tuple[int, ...] = (1, 2)
    folder: Path = Path()
    references: tuple[Path, ...] = ()
    deterministic: bool = False
    patience: float = 20.0
    _kernels: dict[tuple[str, bool], Kernel] = field(default_factory=dict)
    _cache: dict[Any, Any] = field(default_factory=dict)

    def random(self, purpose: str) -> np.random.Generator:
        """Counter-based numbers, the same for one purpose whatever else is run."""
        key = np.random.SeedSequence([self.seed, zlib.crc32(purpose.encode())])
        return np.random.Generator(np.random.Philox(key))

    def kernel(self, precision: str, deterministic: bool = False, fresh: bool = False) -> Kernel:
        """The compiled kernel, one for all calls unless a fresh one is asked for."""
        key = precision, deterministic
        if fresh or key not in self._kernels:
            with guarded():
                made = self.subject.potential.compiled(precision, deterministic)
            if fresh:
                return made
            self._kernels[key] = made
        return self._kernels[key]

    def compile(self, precisions: Sequence[str]) -> None:
        """Compile kernels before any check is timed; what goes wrong, the checks will tell."""
        two = self.free([[0.0, 0.0, 0.0], [0.0, 0.0, 0.9 * self.reach]])
        known = [p for p in precisions if p in self.subject.potential.precisions]
        for precision, want in product(known, Want):
            with contextlib.suppress(Fault, InputError):
                self.evaluate(two, precision, want=want)
                if not self.subject.serial:
                    self.evaluate(two, precision, want=want, exact=True)
                if "deterministic" not in self.subject.potential.known:
                    self.evaluate(two, precision, want=want, deterministic=True)

    def evaluate(self, structure: Structure, precision: str = "double", *, skin: float = 0.0,
                 want: Want = Want.PER_ATOM, deterministic: bool = False, threads: int = 1,
                 exact: bool = False, order: NDArray[np.int64] | None = None,
                 kernel: Kernel | None = None) -> Point:
        """Forces, and what `want` asks for, in the order of the structure.

        Parameters
        ----------
        skin : how much farther than the cutoff lists reach
        order : (n,) in which the kernel gets the atoms
        kernel : instead of the one that is kept

        Raises
        ------
        Fault : the potential raises, returns wrong shapes, or something that is not a number
        """
        n = len(structure.x)
        order = np.arange(n) if order is None else order
        back = np.argsort(order)
        reach = (self.subject.potential.cutoff + skin) * (1 + LIST_MARGIN)
        images = with_images(structure.box, structure.x[order], reach)
        clusters = ClusterList(reach, threads, exact or deterministic,
                               self.subject.potential.lists)
        clusters.build(images.x, images.of_all(structure.id[order]), n)
        kernel = kernel or self.kernel(precision, deterministic)
        types = images.of_all(structure.type[order])
        forces = np.full((n, 3), np.nan)
        with guarded(structure):
            give_box(kernel, structure.box)
            if structure.q is not None:
                give_charges(kernel, images.of_all(structure.q[order]), self.subject.units)
            result = kernel.compute(images.x, types, n, clusters, forces, want, images)
        refuse_wrong_shapes(result, forces, n, want, structure)
        if want is Want.FORCES:
            nothing = np.full(n, np.nan)
            return Point(math.nan, nothing, forces[back], np.full(6, np.nan), np.empty((0, 6)),
                         math.nan, None)
        if want is Want.TOTALS:
            return Point(float(result.energy), np.empty(0), forces[back],
                         np.asarray(result.virial), np.empty((0, 6)), float(result.energy),
                         np.asarray(result.virial))
        energies, virials = np.asarray(result.energies), np.asarray(result.virials)
        return Point(math.fsum(energies), energies[back], forces[back],
                     np.array([math.fsum(w) for w in virials.T]), virials[back],
                     float(result.energy), np.asarray(result.virial))

    @cached_property
    def crystal(self) -> Crystal:
        """The crystal that the potential likes best, its species mixed."""
        return find_crystal(self)

    @property
    def reach(self) -> float:
        """The cutoff; of an ASE calculator, whose cutoff here is a formality, 6 Angstrom."""
        return OF_CALCULATORS if self.subject.serial else float(self.subject.potential.cutoff)

    @property
    def length(self) -> float:
        """What corresponds to one Angstrom: nearest neighbours are 2.5 of it apart."""
        return self.crystal.distance / 2.5

    @property
    def force_label(self) -> str:
        """The unit of forces."""
        return f"{self.subject.units.energy_label}/{self.subject.units.length_label}"

    def kinds(self) -> Mapping[str, tuple[int, ...]]:
        """Which types structures are made of: each species, then all of them mixed."""
        count = len(self.subject.species)
        alone: dict[str, tuple[int, ...]] = {
            self.subject.species[t]: (t,) for t in range(min(count, MOST_KINDS))}
        if count > 1:
            alone["mixed"] = tuple(range(count))
        if self.subject.charges is not None and count > 1:
            return {"mixed": tuple(range(count))}
        return alone

    @property
    def richest(self) -> str:
        """The kind of structure with the most species."""
        return list(self.kinds())[-1]

    def bulk(self, kind: str, *, edge: float = 0.0, shear: bool = False,
             displacement: float = 0.08, cells: int = 0) -> Structure:
        """A distorted crystal with periodic boundaries; see mdapp.validate.crystals.bulk."""
        key = "bulk", kind, edge, shear, displacement, cells
        if key not in self._cache:
            self._cache[key] = bulk(self, kind, edge, shear, displacement, cells)
        found: Structure = self._cache[key]
        return found

    def cluster(self, kind: str, atoms: int = 40, radius: float = 0.0) -> Structure:
        """A piece of the distorted crystal in empty space: the atoms nearest to its middle."""
        key = "cluster", kind, atoms, radius
        if key not in self._cache:
            self._cache[key] = self._cluster(kind, atoms, radius)
        found: Structure = self._cache[key]
        return found

    def _cluster(self, kind: str, atoms: int, radius: float) -> Structure:
        edge = 2 * radius + 2 * self.crystal.distance if radius else 0.0
        edge = edge or 2.2 * self.crystal.distance * (atoms / 4) ** (1 / 3)
        s = self.bulk(kind, edge=edge)
        r = np.linalg.norm(s.x - s.box.edges.sum(axis=0) / 2, axis=1)
        nearest = np.argsort(r, kind="stable")
        keep = np.sort(nearest[:atoms] if not radius else nearest[: np.sum(r < radius)])
        return self.free(s.x[keep], s.type[keep])

    def cluster_of(self, type_: int) -> Structure:
        """A small piece of the crystal of one species, any of them."""
        s = self.cluster(next(iter(self.kinds())), atoms=12)
        return self.free(s.x, type_)

    def free(self, x: ArrayLike, types: ArrayLike = 0) -> Structure:
        """Atoms in empty space."""
        at = np.asarray(x, np.float64).reshape(-1, 3)
        lo = at.min(axis=0, initial=0.0) - 1.0
        hi = at.max(axis=0, initial=0.0) + 1.0
        return self.structure(Box.orthogonal(lo, hi, (False, False, False)), at, types)

    def structure(self, box: Box, x: ArrayLike, types: ArrayLike) -> Structure:
        """Atoms of these types with their charges."""
        at = np.asarray(x, np.float64).reshape(-1, 3)
        given = np.broadcast_to(np.asarray(types, np.int32), len(at)).copy()
        q = None if self.subject.charges is None else self.subject.charges[given]
        return Structure.of_arrays(box, at, given, self.subject.species, q)


class guarded:
    """Whatever a potential raises within becomes a Fault, interrupts excepted."""

    def __init__(self, structure: Structure | None = None):
        self.structure = structure

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        """Turn the error."""
        if isinstance(error, Exception) and not isinstance(error, Fault):
            text = (str(error).strip().splitlines() or [""])[0]
            told = f"it raises {type(error).__name__}: {text[:300]}"
            raise Fault(told, self.structure) from error


def refuse_wrong_shapes(result: Any, forces: NDArray[np.float64], n: int, want: Want,
                        structure: Structure) -> None:
    """Raise Fault unless everything that was asked for is there and is made of numbers."""
    asked: list[tuple[str, Any, tuple[int, ...]]] = [("forces", forces, (n, 3))]
    if want.value >= Want.TOTALS.value:
        asked += [("energy", result.energy, ()), ("virial", result.virial, (6,))]
    if want is Want.PER_ATOM:
        asked += [("energies", result.energies, (n,)), ("virials", result.virials, (n, 6))]
    for name, values, shape in asked:
        if values is None:
            raise Fault(f"it returns no {name}", structure)
        array = np.asarray(values)
        if array.shape != shape:
            raise Fault(f"its {name} have the shape {array.shape}, not {shape}", structure)
        if array.dtype.kind != "f":
            raise Fault(f"its {name} are {array.dtype}, not floating-point numbers", structure)
        bad = ~np.isfinite(array)
        if bad.any():
            where = f" of atom {np.argwhere(bad)[0][0] + 1}" if array.ndim and shape[0] == n else ""
            raise Fault(f"its {name}{where} are not finite numbers", structure)
