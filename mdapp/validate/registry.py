"""The table of checks, in the order in which they are run: the cheap ones first.

A check is a function `check(bench, precision) -> Finding`, in a module of `mdapp.validate.checks`
whose docstring says what is done. Checks that are planned stand in the table without a function,
so that a list of what was tested also says what was not.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LEVELS = ("gate", "parallel", "standard", "full")
MANDATORY, CONSISTENCY, INFORMATIONAL = "mandatory", "consistency", "informational"


@dataclass(frozen=True)
class CheckSpec:
    """One check.

    Attributes
    ----------
    number, key, title : how it is called
    category : mandatory, consistency or informational
    level : the cheapest level that has it
    function : `module:name` within mdapp.validate.checks; empty: not there yet
    learned : its category for fitted models, where that is another
    costly : dynamics and properties, which a failed mandatory check makes pointless
    double : whether it is about double precision alone
    seconds : time limit
    serial : whether an ASE calculator can be asked
    """

    number: int
    key: str
    title: str
    category: str
    level: str
    function: str = ""
    learned: str = ""
    costly: bool = False
    double: bool = False
    seconds: float = 120.0
    serial: bool = True

    def load(self) -> Callable[..., Any]:
        """The function of the check."""
        module, _, name = self.function.partition(":")
        found: Callable[..., Any] = getattr(
            importlib.import_module(f"mdapp.validate.checks.{module}"), name)
        return found

    def name(self, precision: str) -> str:
        """Such as `02 forces_fd [double]`."""
        return f"{self.number:02d} {self.key} [{precision}]"


CHECKS: tuple[CheckSpec, ...] = (
    CheckSpec(1, "contract", "shapes, numbers, inputs unchanged, few atoms, all species",
              MANDATORY, "gate", "contract:contract"),
    CheckSpec(2, "forces_fd", "forces are derivatives of the energy", MANDATORY, "gate",
              "forces:forces_fd"),
    CheckSpec(3, "virial_fd", "the virial is the derivative by strain", MANDATORY, "gate",
              "virial:virial_fd"),
    CheckSpec(4, "decomposition", "the number of ranks does not matter", MANDATORY, "parallel",
              "decomposition:decomposition", seconds=400.0),
    CheckSpec(5, "range", "nothing acts beyond the declared range", MANDATORY,
              "parallel", "reach:interaction_range"),
    CheckSpec(6, "pbc", "periodic images, all boundaries, small boxes", MANDATORY,
              "gate", "pbc:pbc"),
    CheckSpec(7, "symmetry", "translation, rotation, inversion", MANDATORY,
              "gate", "symmetry:symmetry"),
    CheckSpec(8, "permutation", "the order of the atoms does not matter", MANDATORY,
              "gate", "permutation:permutation"),
    CheckSpec(9, "sums", "forces, torques and energies add up; momentum is kept", MANDATORY,
              "gate", "sums:sums"),
    CheckSpec(10, "reproducible", "the same run twice has the same bits", MANDATORY, "parallel",
              "reproducible:reproducible", seconds=400.0),
    CheckSpec(11, "restart", "a run from a checkpoint goes on as if nothing had happened",
              MANDATORY, "parallel", "restart:restart", seconds=400.0),
    CheckSpec(12, "skin", "lists may be longer and older", MANDATORY, "gate", "skin:skin"),
    CheckSpec(13, "variants", "all ways to the same numbers agree", CONSISTENCY,
              "gate", "variants:variants"),
    CheckSpec(14, "nve_drift", "the total energy does not drift", CONSISTENCY, "standard",
              "drift:nve_drift", costly=True),
    CheckSpec(15, "order", "the error of a time step is of second order", CONSISTENCY, "standard",
              "order:order", costly=True, double=True),
    CheckSpec(16, "smooth", "energy and force end smoothly at the cutoff", CONSISTENCY,
              "gate", "smooth:smooth"),
    CheckSpec(17, "dimer", "two atoms alone: one minimum, a wall", CONSISTENCY, "standard",
              "dimer:dimer", learned=INFORMATIONAL, costly=True),
    CheckSpec(18, "extensive", "parts far apart add up", MANDATORY, "gate", "extensive:extensive"),
    CheckSpec(19, "eos", "equation of state", CONSISTENCY, "standard"),
    CheckSpec(20, "elastic", "elastic constants two ways", CONSISTENCY, "standard"),
    CheckSpec(21, "phonons", "Hessian, acoustic modes", CONSISTENCY, "full"),
    CheckSpec(22, "vacancy", "formation energy of a vacancy", INFORMATIONAL, "full"),
    CheckSpec(23, "properties", "surfaces, stacking fault, expansion", INFORMATIONAL, "full"),
    CheckSpec(24, "parity_impl", "the same model in another code", MANDATORY, "gate",
              "parity:parity_impl"),
    CheckSpec(25, "parity_data", "errors on labelled data", INFORMATIONAL, "standard",
              "dataset:parity_data"),
    CheckSpec(26, "precision", "low precisions against double", CONSISTENCY, "standard",
              "ladder:precision_ladder", double=True),
    CheckSpec(27, "hot", "hot and compressed runs", INFORMATIONAL, "full"),
    CheckSpec(28, "extrapolation", "a detector of extrapolation", INFORMATIONAL, "full"),
    CheckSpec(29, "ensemble", "distribution of the kinetic energy", INFORMATIONAL, "standard"),
    CheckSpec(30, "memory", "memory does not grow", INFORMATIONAL, "standard"),
)


def of_level(level: str) -> list[CheckSpec]:
    """The checks of a level; parallel adds to the gate's, standard and full to both."""
    levels = LEVELS[: LEVELS.index(level) + 1]
    return [check for check in CHECKS if check.level in levels]
