"""Lennard-Jones 12-6, cut off: E(r) = 4 epsilon [(sigma/r)^12 - (sigma/r)^6] - shift, for r < rc.

Without `shift` the energy jumps at the cutoff, so that the total energy of a run steps whenever a
pair crosses it; with it only the force does.  Unlike pairs are mixed as LAMMPS mixes them: by
default both parameters and the cutoff geometrically.

J. E. Jones, Proc. R. Soc. A 106, 463 (1924), doi 10.1098/rspa.1924.0082.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from potentials.pair.loop import PairKernel, pair_formula
from potentials.simd import fma


@pair_formula("lj/cut")
def lennard_jones(r2, c):
    """(energy, force / r) from r^2 and (rc^2, 48 eps sigma^12, 24 eps sigma^6, shift)."""
    _, c48, c24, shift = c
    ir2 = 1.0 / r2
    ir4 = ir2 * ir2
    ir6 = ir4 * ir2
    energy = ir6 * (c48 * ir6 * (1 / 12) - c24 * (1 / 6)) - shift
    return energy, fma(c48, ir6, -c24) * (ir4 * ir4)


PARAMETERS = ("epsilon", "sigma", "rc")
MIXING = {
    "geometric": lambda ei, ej, si, sj: (np.sqrt(ei * ej), np.sqrt(si * sj)),
    "arithmetic": lambda ei, ej, si, sj: (np.sqrt(ei * ej), (si + sj) / 2),
    "sixthpower": lambda ei, ej, si, sj: (2 * np.sqrt(ei * ej) * si**3 * sj**3 / (si**6 + sj**6),
                                          ((si**6 + sj**6) / 2) ** (1 / 6)),
}


@dataclass(frozen=True)
class LennardJones:
    """The potential of `pair_style lj/cut`; see potentials.base.Potential.

    Attributes
    ----------
    epsilon, sigma, rc : (ntypes, ntypes) float64, symmetric
    shift : whether the energy is shifted to vanish at the cutoff
    """

    epsilon: NDArray[np.float64]
    sigma: NDArray[np.float64]
    rc: NDArray[np.float64]
    shift: bool = False
    style: str = "lj/cut"
    lists: str = "clusters"
    precisions: tuple[str, ...] = ("double", "mixed", "single")
    known: Mapping[str, str] = field(
        default_factory=lambda: {"continuous_force": "cut off, not smoothed"})

    @property
    def cutoff(self) -> float:
        """The largest of all pairs."""
        return float(self.rc.max())

    @property
    def ntypes(self) -> int:
        """Number of atom types."""
        return len(self.rc)

    @classmethod
    def from_options(cls, ntypes: int, *, epsilon: float | Sequence[float] | None = None,
                     sigma: float | Sequence[float] | None = None,
                     rc: float | Sequence[float] | None = None,
                     mix: str = "geometric", shift: bool = False,
                     pair: Sequence[Mapping[str, object]] = ()) -> LennardJones:
        """From the keys of a deck: one value, or one a type, and a table for each unusual pair.

        Raises
        ------
        ValueError : a value is missing, of the wrong number, not positive, or a rule or type is
            unknown
        """
        if not isinstance(mix, str) or mix not in MIXING:
            raise ValueError(f"mix = {mix!r}: must be one of {', '.join(MIXING)}")
        if not isinstance(shift, bool):
            raise ValueError(f"shift = {shift!r}: must be true or false")
        entries = [PairEntry.from_table(table, ntypes) for table in _tables(pair)]
        own = {"epsilon": _per_type("epsilon", epsilon, ntypes),
               "sigma": _per_type("sigma", sigma, ntypes),
               "rc": _per_type("rc", rc, ntypes)}
        for entry in entries:                   # a pair of a type with itself defines that type
            if entry.i == entry.j:
                for name, value in entry.values.items():
                    own[name][entry.i] = value
        row = {name: values[:, None] for name, values in own.items()}
        with np.errstate(invalid="ignore"):
            e, s = MIXING[mix](row["epsilon"], own["epsilon"], row["sigma"], own["sigma"])
            _, r = MIXING[mix](row["epsilon"], own["epsilon"], row["rc"], own["rc"])
        for k in range(ntypes):
            e[k, k], s[k, k], r[k, k] = own["epsilon"][k], own["sigma"][k], own["rc"][k]
        matrices = {"epsilon": e, "sigma": s, "rc": r}
        for entry in entries:
            for name, value in entry.values.items():
                matrices[name][entry.i, entry.j] = matrices[name][entry.j, entry.i] = value
        for name, matrix in matrices.items():
            i, j = np.argwhere(~np.isfinite(matrix))[0] if not np.isfinite(matrix).all() else (0, 0)
            if not np.isfinite(matrix[i, j]):
                raise ValueError(f"{name} of types {i + 1} {j + 1} is missing: "
                                 f"give {name}, or a pair table for these types")
            allowed = matrix >= 0 if name == "epsilon" else matrix > 0
            if not allowed.all():
                bound = "at least" if name == "epsilon" else "greater than"
                raise ValueError(f"{name} = {matrix[~allowed][0]:g}: must be {bound} 0")
        return cls(e, s, r, shift)

    def table(self) -> NDArray[np.float64]:
        """(ntypes, ntypes, 4) coefficients of `lennard_jones`."""
        s6 = (self.sigma / self.rc) ** 6
        shift = 4 * self.epsilon * (s6 * s6 - s6) if self.shift else np.zeros_like(s6)
        return np.stack([self.rc**2,
                         48 * self.epsilon * self.sigma**12,
                         24 * self.epsilon * self.sigma**6,
                         shift], axis=-1)

    def compiled(self, precision: str, deterministic: bool = False) -> PairKernel:
        """The kernel for one of `precisions`."""
        strongest = float((self.epsilon / self.sigma).max()) or 1.0
        scale = 2.0 ** np.ceil(np.log2(strongest))
        return PairKernel(self.style, self.table(), self.cutoff, scale, precision, deterministic)


@dataclass(frozen=True)
class PairEntry:
    """A table of the list `pair`: what it says of the types i and j, from 0."""

    i: int
    j: int
    values: dict[str, float]

    @classmethod
    def from_table(cls, table: Mapping[str, object], ntypes: int) -> PairEntry:
        """Raises ValueError for an unknown key, or a value that is no number."""
        kinds = table.get("types")
        if not (isinstance(kinds, Sequence) and len(kinds) == 2
                and all(type(t) is int and 1 <= t <= ntypes for t in kinds)):
            raise ValueError(f"pair.types = {kinds!r}: must be two atom types from 1 to {ntypes}")
        for key in table:
            if key not in ("types", *PARAMETERS):
                close = difflib.get_close_matches(key, PARAMETERS, n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise ValueError(f"pair.{key}: unknown key{hint}; "
                                 f"it takes types, {', '.join(PARAMETERS)}")
        values = {name: _number(f"pair.{name}", table[name])
                  for name in PARAMETERS if name in table}
        return cls(kinds[0] - 1, kinds[1] - 1, values)


def _tables(pair: object) -> Sequence[Mapping[str, object]]:
    if not isinstance(pair, Sequence) or not all(isinstance(table, Mapping) for table in pair):
        raise ValueError(f"pair = {pair!r}: must be a list of tables, [[potential.pair]]")
    return pair


def _number(name: str, value: object) -> float:
    """A finite number; a text or a truth value is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise ValueError(f"{name} = {value!r}: must be a finite number")
    return float(value)


def _per_type(name: str, value: object, ntypes: int) -> NDArray[np.float64]:
    """(ntypes,) values of a key that holds one, or one a type; NaN where it is not given."""
    if value is None:
        return np.full(ntypes, np.nan)
    given = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    values = [_number(name, v) for v in given]
    if len(values) not in (1, ntypes):
        raise ValueError(f"{name}: {len(values)} values for {ntypes} atom types; "
                         "give one, or one a type")
    return np.broadcast_to(np.array(values), ntypes).copy()
