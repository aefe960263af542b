"""The time of a step on P ranks, term by term, with a band and what it hangs on.

    t = lambda F (a n + b m + (d n + e m)/k)              compute; F: full node against one rank
      + x sum over axes [4 o + L + 2 m_axis s G]          halo: two messages a way, one axis at once
      + (c0 + c1 log2 P) / r                              a reduction every r steps
      + t_py                                              what a step costs without atoms

G is the slower of the link and of the node's share: of r_n ranks in a compact block r_n^(-1/3) of
the messages leave the node, so that a rank has node / r_n^(2/3). The model knows no congestion, no
noise and no overlap: its efficiencies are upper bounds.

The band adds in quadrature what each input changes when it takes the ends of its interval: fitted
costs theirs, guesses a factor of two, data sheets 1.3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from scaling.model.costs import Cost, Costs, Exchange
from scaling.model.geometry import Subdomain
from scaling.model.machine import Allreduce, Machine, Quantity

FACTOR = {"assumed": 2.0, "datasheet": 1.3, "measured": 1.05, "given": 1.0}
WORDS = {
    "owned": "forces and integration of owned atoms", "ghosts": "work on ghosts",
    "lists": "building of lists", "halo_latency": "latency of halo messages",
    "halo_bytes": "bandwidth of halo messages", "reduce": "reductions over all ranks",
    "python": "the fixed cost of a step (Python, kernel launches)",
}


@dataclass(frozen=True)
class Inputs:
    """All that a prediction uses, so that each number can be changed by itself."""

    costs: Costs
    machine: Machine
    exchange: Exchange
    imbalance: float = 1.05
    reduce_every: float = 1.0


@dataclass(frozen=True)
class Prediction:
    """A step: seconds of each term, the whole, and its band."""

    terms: dict[str, float]
    low: float
    high: float

    @property
    def total(self) -> float:
        """Seconds a step."""
        return sum(self.terms.values())

    @property
    def limiting(self) -> str:
        """The largest term in words."""
        return WORDS[max(self.terms, key=lambda name: self.terms[name])]


def terms(part: Subdomain, ranks: int, inputs: Inputs) -> dict[str, float]:
    """Seconds of each term of a step."""
    costs, machine, exchange = inputs.costs, inputs.machine, inputs.exchange
    n, m = part.atoms, part.ghosts
    factor = 1.0
    if ranks > 1:
        factor = inputs.imbalance * machine.compute.full_node_factor.v
    net, per_node = machine.network, min(machine.node.ranks_per_node, ranks)
    gap = max(1e-9 / net.link_GBps.v, per_node ** (2 / 3) * 1e-9 / net.node_GBps.v)
    latency = exchange.times * 3 * (4 * net.o_us.v + net.L_us.v) * 1e-6
    sent = exchange.bytes_per_ghost * 2 * sum(part.messages) * gap
    reduce = (net.allreduce_us.c0 + net.allreduce_us.c1 * math.log2(max(ranks, 1))) * 1e-6
    return {
        "owned": factor * costs.value("a") * n, "ghosts": factor * costs.value("b") * m,
        "lists": factor * (costs.value("d") * n + costs.value("e") * m) / costs.k,
        "halo_latency": latency if ranks > 1 else 0.0, "halo_bytes": sent if ranks > 1 else 0.0,
        "reduce": reduce / inputs.reduce_every if ranks > 1 else 0.0,
        "python": costs.value("t_py"),
    }


def predict(part: Subdomain, ranks: int, inputs: Inputs) -> Prediction:
    """The step of a subdomain on so many ranks."""
    found = terms(part, ranks, inputs)
    total = sum(found.values())
    below = above = 0.0
    for lower, upper in _ends(inputs):
        ends = [sum(terms(part, ranks, end).values()) - total for end in (lower, upper)]
        below += min(0.0, *ends) ** 2
        above += max(0.0, *ends) ** 2
    return Prediction(found, max(total - math.sqrt(below), 0.0), total + math.sqrt(above))


def sensitivity(part: Subdomain, ranks: int, inputs: Inputs) -> list[tuple[str, str, float]]:
    """(input, origin, change of the step time in parts of it when the input doubles)."""
    total = sum(terms(part, ranks, inputs).values())
    return [(name, origin, sum(terms(part, ranks, changed).values()) / total - 1)
            for name, origin, changed in _doubled(inputs)]


def _with_cost(inputs: Inputs, name: str, value: float) -> Inputs:
    changed = {**inputs.costs.terms, name: replace(inputs.costs.terms[name], value=value)}
    return replace(inputs, costs=replace(inputs.costs, terms=changed))


def _scaled(inputs: Inputs, section: str, key: str, factor: float) -> Inputs:
    """The same with one number of the machine times a factor."""
    table = getattr(inputs.machine, section)
    item: Quantity | Allreduce = getattr(table, key)
    if isinstance(item, Allreduce):
        changed: Quantity | Allreduce = item.model_copy(
            update={"c0": item.c0 * factor, "c1": item.c1 * factor})
    else:
        changed = item.model_copy(update={"v": item.v * factor})
    new = table.model_copy(update={key: changed})
    return replace(inputs, machine=inputs.machine.model_copy(update={section: new}))


NETWORK = (("compute", "full_node_factor"), ("network", "o_us"), ("network", "L_us"),
           ("network", "link_GBps"), ("network", "node_GBps"), ("network", "allreduce_us"))


def _ends(inputs: Inputs) -> Iterator[tuple[Inputs, Inputs]]:
    """Every input at the lower and at the upper end of what it may be."""
    for name, cost in inputs.costs.terms.items():
        yield _with_cost(inputs, name, cost.low), _with_cost(inputs, name, cost.high)
    for section, key in NETWORK:
        factor = FACTOR[getattr(getattr(inputs.machine, section), key).origin]
        if section == "compute" and factor > 1.3:
            factor = 1.3                # a full node does not halve or double a rank
        if factor > 1.0:
            yield (_scaled(inputs, section, key, 1 / factor),
                   _scaled(inputs, section, key, factor))


def _doubled(inputs: Inputs) -> Iterator[tuple[str, str, Inputs]]:
    for name, cost in inputs.costs.terms.items():
        yield name, cost.origin, _with_cost(inputs, name, 2 * cost.value)
    yield ("k, steps between builds", inputs.costs.k_origin,
           replace(inputs, costs=replace(inputs.costs, k=2 * inputs.costs.k)))
    yield "lambda", "assumed", replace(inputs, imbalance=2 * inputs.imbalance)
    for section, key in NETWORK:
        item = getattr(getattr(inputs.machine, section), key)
        yield f"{section}.{key}", item.origin, _scaled(inputs, section, key, 2.0)


def as_cost(value: float, origin: str = "given") -> Cost:
    """A cost that is known exactly."""
    return Cost(value, value, value, origin)
