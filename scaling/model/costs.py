"""What an atom and a ghost cost one rank, and where these numbers come from.

    t = a n + b m + (d n + e m)/k + t_py          n owned atoms, m ghosts, k steps between builds

From a saturation study they are fitted; the built-in table holds figures of another machine, for a
first look only. What goes to ghosts and back follows from the kind of potential.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mdapp.errors import InputError
from potentials.base import Potential

NAMES = ("a", "b", "d", "e", "t_py")
TITLES = {
    "a": "an owned atom, s", "b": "a ghost, s", "d": "an owned atom in a list build, s",
    "e": "a ghost in a list build, s", "t_py": "a step without atoms, s",
}


@dataclass(frozen=True)
class Cost:
    """A cost with the interval that holds it; origin as in machine files."""

    value: float
    low: float
    high: float
    origin: str


@dataclass(frozen=True)
class Costs:
    """Costs of a rank.

    Attributes
    ----------
    terms : by the names of NAMES
    k : steps between list builds, and its origin
    bytes_per_atom : measured on many atoms, with lists and ghosts; None if nobody measured it
    fixed_bytes : of a process before its first atom, and its origin
    fitted : ranges of atoms and ranks that they were fitted on; None if they were not
    """

    terms: dict[str, Cost]
    k: float
    k_origin: str
    bytes_per_atom: float | None = None
    fixed_bytes: float = 300 * 2**20
    fixed_origin: str = "assumed"
    fitted: tuple[float, float, int] | None = None
    remarks: tuple[str, ...] = field(default=())

    def value(self, name: str) -> float:
        """A cost; 0 where it is not a term of the model."""
        return self.terms[name].value if name in self.terms else 0.0

    @property
    def words(self) -> str:
        """Where they come from."""
        if self.fitted is None:
            return "the built-in table"
        low, high, ranks = self.fitted
        return f"a fit to {low:.0f} .. {high:.0f} atoms a rank on up to {ranks} ranks"


def _guess(value: float) -> Cost:
    return Cost(value, value / 2, value * 2, "assumed")


# mdapp in double precision on one core of a Zen 4 processor: 130 ns for an atom of the melt and a
# step, lists included. The parts and the price of a ghost are guesses.
BUILT_IN = {"lj/cut": {"a": 110e-9, "b": 8e-9, "d": 270e-9, "t_py": 100e-6}}
BUILDS = 13.0


def built_in(style: str) -> Costs:
    """Costs from the table.

    Raises
    ------
    InputError
        The style is not in it.
    """
    if style not in BUILT_IN:
        raise InputError(
            f"--potential {style}: there is no built-in cost of it (only {', '.join(BUILT_IN)}); "
            "measure it: `mdapp scale saturation DECK`, then --from DECK.scale/report.json"
        )
    return Costs({name: _guess(v) for name, v in BUILT_IN[style].items()}, BUILDS, "assumed")


@dataclass(frozen=True)
class Exchange:
    """What a step sends: exchanges of all six messages, and bytes of a ghost in all of them."""

    times: int
    bytes_per_ghost: float
    words: str


def exchange_of(potential: Potential) -> Exchange:
    """What a potential sends beside positions, as its kind does it."""
    times, size, words = 1, 24.0, ["positions"]
    if "full" in potential.lists:
        times, size = times + 1, size + 24.0
        words.append("forces back")
    if potential.style.startswith("eam") or potential.style.startswith("hybrid"):
        times, size = times + 1, size + 8.0
        words.append("one number of each atom")
    return Exchange(times, size, ", ".join(words))
