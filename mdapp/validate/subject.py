"""The potential that is validated: what it says of itself, and what it is asked to be.

What it does not claim comes from three places: `known` of the potential, `[[known]]` tables of a
file NAME.validate.toml beside its own, and nothing else. A failure that was declared is expected,
and one that was declared and does not happen is told as well. Checks of what a parallel run cannot
do without cannot be declared away.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdapp.errors import InputError
from mdapp.model.elements import ATOMIC_MASSES, nearest
from mdapp.model.units import UNITS, Units
from mdapp.validate.species import count_of, species_of
from potentials.base import Potential
from potentials.files import FileError, find_file
from potentials.hybrid import Hybrid
from potentials.own_file import files_named, kind_of
from potentials.pair.potential import OfPairs
from potentials.registry import PotentialError
from potentials.shorthand import PotentialSpec, read_potential

NEAREST = {"sc": 1.0, "bcc": 0.75**0.5, "fcc": 0.5**0.5, "diamond": 3**0.5 / 4}   # of a constant
LEARNED = ("nep", "snap", "jax", "deep_potential", "committee")
FIXED = ("contract", "decomposition", "pbc", "permutation", "sums", "reproducible", "restart",
         "skin")                                    # no failure of these can be declared
OF_KNOWN = {                                        # what potentials.base calls it: the checks
    "continuous_energy": ("smooth", "nve_drift", "order"),
    "continuous_force": ("smooth", "nve_drift", "order"),
    "derivative": ("forces_fd", "virial_fd", "nve_drift", "order", "dimer"),
    "per_atom": ("range", "extensive"),
}


@dataclass(frozen=True)
class Known:
    """A failure that is expected.

    Attributes
    ----------
    check : key of the check
    what, reason : in words
    max : a value beyond this is a failure all the same; None: any value is expected
    firm : whether the check must fail; a potential's own `known` may or may not show
    """

    check: str
    what: str
    reason: str
    max: float | None = None
    firm: bool = True

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"check": self.check, "what": self.what, "max": self.max, "reason": self.reason}


@dataclass(frozen=True)
class Subject:
    """A potential with its types.

    Attributes
    ----------
    text : as it was asked for
    spec, potential, units : what it is
    species : names of the types
    named : whether they are names of its own, and not made up
    charges : (ntypes,) or None
    masses : (ntypes,)
    force_range : distance beyond which forces may not depend on an atom
    local : whether nothing may act beyond that at all
    external_field : whether it is not expected to be the same everywhere
    known : expected failures
    declared : of the file beside the potential's
    lattice : style and constant of the deck's crystal, if it has one
    """

    text: str
    spec: PotentialSpec
    potential: Potential
    units: Units
    species: tuple[str, ...]
    named: bool
    charges: NDArray[np.float64] | None
    masses: NDArray[np.float64]
    force_range: float
    local: bool = True
    external_field: bool = False
    known: tuple[Known, ...] = ()
    declared: Mapping[str, Any] = field(default_factory=dict)
    lattice: tuple[str, float] | None = None

    @property
    def serial(self) -> str:
        """Why it cannot run on several ranks; empty if it can."""
        return self.potential.known.get("ranks", "")

    @property
    def learned(self) -> bool:
        """Whether it is a fitted model, of which less can be asked beyond its data."""
        return is_learned(self.potential)

    @property
    def cutoffs(self) -> tuple[float, ...]:
        """Distances at which a pair may begin to act, the longest first."""
        return tuple(sorted(set(cutoffs_of(self.potential)), reverse=True))

    def expected(self, check: str) -> tuple[Known, ...]:
        """Declared failures of a check."""
        return tuple(k for k in self.known if k.check == check)

    def table(self) -> dict[str, Any]:
        """The [potential] table of a deck."""
        return {"style": self.spec.style, **self.spec.parameters}

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        names = files_named(self.table())
        files = [find_file(name) for name in names if isinstance(name, str)]
        return {"name": self.text, "family": self.potential.style,
                "files": [{"path": str(path),
                           "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
                          for path in files],
                "species": list(self.species),
                "declare": {"cutoff": self.potential.cutoff, "force_range": self.force_range,
                            "local": self.local, "units": self.units.name,
                            "precisions": list(self.potential.precisions),
                            "lists": self.potential.lists, **self.declared},
                "known": [k.as_json() for k in self.known]}


def read_subject(text: str, *, species: Sequence[str] = (), charges: Sequence[float] = (),
                 units: str | None = None) -> Subject:
    """Understand what was asked for and make the potential.

    Raises
    ------
    InputError : it cannot be read or made
    """
    try:
        spec = read_potential(text)
        names = tuple(species) or species_of(spec)
        count = len(names) or count_of(spec)
        potential = spec.make(count, names)
    except (PotentialError, FileError) as error:
        raise InputError(f"POTENTIAL: {error}") from None
    fixed = spec.units or getattr(potential, "units", None)
    if units is not None and units not in UNITS:
        raise InputError(f"--units {units}: must be one of {', '.join(UNITS)}")
    if units is not None and fixed is not None and units != fixed:
        raise InputError(f"--units {units}: the numbers of this potential are in {fixed} units")
    count = getattr(potential, "ntypes", count)
    declare, known = declarations(text)
    named = bool(names)
    names = names or tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:count])
    if len(names) != count:
        raise InputError(f"--species {','.join(names)}: {potential.style} was made for {count} "
                         "types; name each of them")
    default_range = potential.cutoff * (1 if only_pairs(potential) else 2)
    force_range = declare.get("force_range", getattr(potential, "force_range", default_range))
    return Subject(
        text, spec, potential, UNITS[units or fixed or "lj"], names, named,
        charges_of(potential, count, charges), masses_of(names, units or fixed or "lj"),
        float(force_range), bool(declare.get("local", True)),
        bool(declare.get("external_field", False)), own_known(potential, known) + known, declare,
        lattice_of(text))


def lattice_of(text: str) -> tuple[str, float] | None:
    """The cubic crystal in the deck that the potential was read from."""
    if not text.endswith(".toml"):
        return None
    system = tomllib.loads(Path(text).read_text(encoding="utf-8")).get("system")
    if not isinstance(system, dict) or system.get("lattice") not in NEAREST:
        return None
    constant = system.get("constant")
    return (system["lattice"], float(constant)) if isinstance(constant, (int, float)) else None


def charges_of(potential: Potential, count: int, given: Sequence[float]
               ) -> NDArray[np.float64] | None:
    """(ntypes,) charges: as given, or +1 and -1 in turn for a potential that needs some."""
    if not getattr(potential, "charges", False):
        return None
    if given and len(given) != count:
        raise InputError(f"--charges: {len(given)} given, the potential has {count} types")
    return np.array(given or [1.0 - 2.0 * (k % 2) for k in range(count)], np.float64)


def masses_of(names: Sequence[str], units: str) -> NDArray[np.float64]:
    """(ntypes,) masses of the elements, 1 in reduced units, 40 of what is no element."""
    return np.array([1.0 if units == "lj" else ATOMIC_MASSES.get(name, 40.0) for name in names])


def only_pairs(potential: Potential) -> bool:
    """Whether energies are sums over pairs, so that forces reach no farther than energies."""
    if isinstance(potential, Hybrid):
        return all(map(only_pairs, potential.parts))
    return isinstance(potential, OfPairs)


def is_learned(potential: Potential) -> bool:
    """Whether it, or a part of it, is a fitted model."""
    if isinstance(potential, Hybrid):
        return any(map(is_learned, potential.parts))
    return potential.style in LEARNED or type(potential).__name__ == "JaxPotential"


def cutoffs_of(potential: Potential) -> list[float]:
    """Distances at which pairs begin to act."""
    if isinstance(potential, Hybrid):
        return [rc for part in potential.parts for rc in cutoffs_of(part)]
    if isinstance(potential, OfPairs):
        return [float(rc) for rc in np.unique(potential.rc) if rc > 0]
    return [float(potential.cutoff)]


def own_known(potential: Potential, declared: Sequence[Known]) -> tuple[Known, ...]:
    """What the potential itself says it does not do, where a file says nothing of the check."""
    said = {k.check for k in declared}
    return tuple(Known(check, what, reason, firm=False)
                 for what, reason in potential.known.items()
                 for check in OF_KNOWN.get(what, ()) if check not in said)


def declarations(text: str) -> tuple[dict[str, Any], tuple[Known, ...]]:
    """[declare] and [[known]] of NAME.validate.toml beside a TOML or Python file, if it exists.

    Raises
    ------
    InputError : it cannot be read, or declares what cannot be declared
    """
    name = text if text.endswith(".toml") else text.split(":")[1] if kind_of(text) else ""
    path = Path(name).with_suffix(".validate.toml") if name else None
    if path is None or not path.is_file():
        return {}, ()
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}") from None
    for key in tables:
        if key not in ("declare", "known"):
            raise InputError(f"{path}: {key}: unknown; there is [declare] and [[known]]")
    declare = tables.get("declare", {})
    for key, kind in (("force_range", (int, float)), ("local", bool), ("external_field", bool)):
        if key in declare and not isinstance(declare[key], kind):
            raise InputError(f"{path}: declare.{key} = {declare[key]!r}: must be "
                             f"{'true or false' if kind is bool else 'a number'}")
    for key in declare:
        if key not in ("force_range", "local", "external_field"):
            raise InputError(f"{path}: declare.{key}: unknown{nearest(key, ('force_range', ))}; "
                             "it takes force_range, local, external_field; what else there is to "
                             "declare, the potential says itself")
    return declare, tuple(_known(path, table) for table in tables.get("known", []))


def _known(path: Path, table: Any) -> Known:
    """One table of [[known]]."""
    from mdapp.validate.registry import CHECKS

    keys = [check.key for check in CHECKS]
    if not isinstance(table, dict) or table.get("check") not in keys:
        raise InputError(f"{path}: [[known]]: check = {table.get('check')!r}: must be one of "
                         f"{', '.join(keys)}")
    if table["check"] in FIXED:
        raise InputError(f"{path}: [[known]]: check = {table['check']!r}: cannot be declared; a "
                         "parallel run needs it")
    if not isinstance(table.get("max"), (int, float)) or not isinstance(table.get("reason"), str):
        raise InputError(f"{path}: [[known]] of {table['check']}: needs max, the worst value that "
                         "is expected, and reason, a sentence")
    return Known(table["check"], str(table.get("what", "")), table["reason"], float(table["max"]))
