"""How many floating-point operations a potential needs: counted by its formulas, not measured.

A multiplication, an addition, a division, a root count one each, a fused product two, an
exponential or hyperbolic tangent `ELEMENTARY`. What the machine does beyond them (lanes that are
empty, neighbours out of range, addresses) is not in it: a fraction of peak computed with them says
what use was made of the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Within = Callable[[float], float]        # mean number of neighbours within a distance
ELEMENTARY = 20


@dataclass(frozen=True)
class Operations:
    """Of one atom and step, energy and forces.

    Attributes
    ----------
    pairs : of neighbours: their functions, sums over them, forces
    products : of networks, forward and back, which are matrix products over many atoms
    shape : atoms, inputs and outputs of the largest of these, None where there is none
    """

    pairs: float
    products: float = 0.0
    shape: tuple[int, int, int] | None = None

    @property
    def total(self) -> float:
        """All of them."""
        return self.pairs + self.products
