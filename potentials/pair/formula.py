"""What all built-in pair formulas share: keys, mixing, shifts and messages from a declaration.

A formula is a class with its parameters as fields, each a symmetric matrix over the types, and a
declaration of what a deck may give: `parameters` (one value, or one a type, and tables
`[[potential.pair]]` for unusual pairs) and `options` (one value for all). From the declaration come
the keys, the mixing of unlike types and the messages. What remains to a formula is its equation and
the table of coefficients that the loop looks up.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np

from potentials.pair.parameters import (
    ONLY,
    PAIR,
    Matrix,
    Option,
    Parameter,
    matrices_of,
    mixing_rule,
    option_value,
    refuse_unknown,
    signature_of,
    truth,
)
from potentials.pair.potential import OfPairs

MIX, SHIFT = "mix", "shift"


class PairPotential(OfPairs):
    """Base of the formulas; a subclass is a frozen dataclass, see potentials.base.Potential.

    The fields of the subclass are its parameters, then its options, then `shift` if energies can
    be shifted to vanish at the cutoff; `rc` is a parameter of each.
    """

    parameters: ClassVar[tuple[Parameter, ...]]
    options: ClassVar[tuple[Option, ...]] = ()
    shifts: ClassVar[bool] = True
    shift: bool

    @property
    def known(self) -> Mapping[str, str]:
        """What is not claimed: the formulas are cut off."""
        cut = {"continuous_force": "cut off, not smoothed"}
        return cut if self.shift else cut | {"continuous_energy": "cut off, not shifted"}

    @abstractmethod
    def energy(self, r: Matrix) -> Matrix:
        """Energies of all pairs of types at distances r (ntypes, ntypes), not shifted."""

    def offset(self) -> Matrix:
        """The energies that are taken off: those at the cutoff, if `shift`."""
        return self.energy(self.rc) if self.shift else np.zeros_like(self.rc)

    def strength(self) -> Matrix:
        """Forces at a third of rc."""
        r, h = self.rc / 3, 1e-4
        return np.abs(self.energy(r * (1 + h)) - self.energy(r * (1 - h))) / (2 * h * r)

    @classmethod
    def from_options(cls, ntypes: int, **given: Any) -> Self:
        """From the keys of a deck; see the head of the module.

        Raises
        ------
        ValueError : a key is unknown, a value is missing, of the wrong number, not in its range,
            or a rule or type is unknown
        """
        refuse_unknown(given, list(cls.keys()))
        rule = mixing_rule(given.get(MIX, "geometric"))
        single = {option.name: option_value(option, given.get(option.name))
                  for option in cls.options}
        if cls.shifts:
            single[SHIFT] = truth(SHIFT, given.get(SHIFT, False))
        return cls(**matrices_of(cls.parameters, ntypes, given, rule), **single)

    @classmethod
    def keys(cls) -> dict[str, Any]:
        """The keys that a deck may give, with their defaults."""
        keys: dict[str, Any] = {p.name: None for p in cls.parameters}
        keys |= {o.name: o.default for o in cls.options}
        if any(p.mixes for p in cls.parameters):
            keys[MIX] = "geometric"
        if cls.shifts:
            keys[SHIFT] = False
        return keys | {PAIR: (), ONLY: None}

    @classmethod
    def factory(cls) -> Callable[..., PairPotential]:
        """`from_options` with a signature that names the keys, as the registry reads it."""
        def make(ntypes: int, **given: Any) -> PairPotential:
            return cls.from_options(ntypes, **given)

        make.__signature__ = signature_of(cls.keys())  # type: ignore[attr-defined]
        make.makes = cls  # type: ignore[attr-defined]
        return make
