"""`mdapp plan`: what a run of N atoms on P ranks would do, from what is known of one rank.

What cannot be predicted honestly is refused with its reason: fewer than fifty atoms a rank,
subdomains narrower than the reach, memory beyond nine tenths of a rank's, and ranks far beyond
what was measured where nothing is known of the network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mdapp.errors import InputError
from scaling.model.checkpoints import CheckpointPlan, plan_checkpoints
from scaling.model.geometry import Subdomain, divide
from scaling.model.memory import Memory, memory_of
from scaling.model.step_time import Inputs, Prediction, predict

FEWEST_ATOMS = 50
MOST_MEMORY = 0.9
FARTHEST = 16


@dataclass(frozen=True)
class System:
    """What is to be run.

    Attributes
    ----------
    natoms, density, reach : size, atoms a volume, cutoff + skin
    lists : neighbour lists that the potential wants
    steps : of the run
    asynchronous : whether checkpoints are written beside it
    network_known : whether anybody said something about the network
    """

    natoms: int
    density: float
    reach: float
    lists: str
    steps: int
    asynchronous: bool
    network_known: bool


@dataclass(frozen=True)
class Planned:
    """What to expect on some ranks; `refusal` says why nothing is, if nothing is."""

    ranks: int
    nodes: int
    part: Subdomain
    memory: Memory
    checkpoints: CheckpointPlan
    step: Prediction
    refusal: str

    @property
    def rate(self) -> float:
        """Atom-steps a second."""
        return self.part.atoms * self.ranks / self.step.total


def plan(system: System, ranks: Sequence[int], inputs: Inputs) -> list[Planned]:
    """Predict for every number of ranks.

    Raises
    ------
    InputError
        All of them are refused.
    """
    planned = [_one(system, p, inputs) for p in ranks]
    if all(one.refusal for one in planned):
        reasons = "; ".join(f"{one.ranks} ranks: {one.refusal}" for one in planned)
        raise InputError(f"mdapp plan: nothing can be predicted: {reasons}")
    return planned


def _one(system: System, ranks: int, inputs: Inputs) -> Planned:
    part = divide(system.natoms, ranks, system.density, system.reach)
    reverse = inputs.exchange.words.find("forces back") >= 0
    memory = memory_of(part, system.lists, reverse, system.asynchronous, inputs.costs)
    nodes = math.ceil(ranks / inputs.machine.node.ranks_per_node)
    return Planned(ranks, nodes, part, memory,
                   plan_checkpoints(system.natoms, ranks, inputs.machine),
                   predict(part, ranks, inputs), _refusal(system, ranks, part, memory, inputs))


def _refusal(system: System, ranks: int, part: Subdomain, memory: Memory, inputs: Inputs) -> str:
    room = inputs.machine.node.mem_per_rank_GiB.v * 2**30
    if part.atoms < FEWEST_ATOMS:
        return f"{part.atoms:.3g} atoms a rank, fewer than {FEWEST_ATOMS}"
    if min(part.edges) < system.reach:
        return (f"subdomains of {min(part.edges):.3g} are narrower than the reach of "
                f"{system.reach:.3g}")
    if memory.total > MOST_MEMORY * room:
        return (f"{memory.total / 2**30:.3g} GiB a rank, more than {MOST_MEMORY:.0%} of its "
                f"{room / 2**30:.3g} GiB")
    most = inputs.costs.fitted[2] if inputs.costs.fitted else ranks
    if not system.network_known and ranks > FARTHEST * most:
        return (f"{ranks / most:.0f} times the ranks that were measured, and the "
                "machine file has no [network]: add it, or measure it with --pingpong")
    return ""
