"""Everything that a prediction rests on, in sentences and in numbers with their origin."""

from __future__ import annotations

from typing import Any

from scaling.model.costs import TITLES
from scaling.model.step_time import Inputs


def sentences(inputs: Inputs) -> list[str]:
    """What is taken for true, always printed in full."""
    costs, machine = inputs.costs, inputs.machine
    covered = "" if costs.fitted is None else (
        f"; fitted down to {costs.fitted[0]:.0f} atoms, below that it is a guess")
    return [
        f"Density is uniform, the box a cube, subdomains as cubic as the grid allows; lambda = "
        f"{inputs.imbalance:g}.",
        f"An atom costs the same at every n{covered}; costs are those of {costs.words}.",
        "The full-node factor applies to all compute terms; where it was measured, it holds the "
        "messages inside a node too.",
        "Three-stage halo, one axis at a time, no overlap with computing. A step sends "
        f"{inputs.exchange.words}: {inputs.exchange.bytes_per_ghost:g} B a ghost in "
        f"{inputs.exchange.times} exchange{'s' * (inputs.exchange.times > 1)}.",
        "No congestion beyond what a node can inject, no noise of the system, no stragglers but "
        "lambda: efficiencies are upper bounds.",
        f"Lists are built every {costs.k:.3g} steps ({costs.k_origin}); a reduction of eight bytes "
        f"every {inputs.reduce_every:g} step{'s' * (inputs.reduce_every != 1)} decides when.",
        f"A step without atoms costs {1e6 * costs.value('t_py'):.3g} us.",
        "Storage figures are those of the whole file system and of an otherwise idle one; making "
        "files costs their number over a rate.",
        f"Failures are independent, {machine.storage.mtbf_h.v:g} h apart on average; a restart "
        "takes as long as a checkpoint.",
        "Thermo output and trajectories are not in the step time.",
    ]


def inputs_table(inputs: Inputs) -> list[dict[str, Any]]:
    """Every number: name, value, origin."""
    costs = inputs.costs
    rows = [{"input": f"{name}: {TITLES[name]}", "value": f"{cost.value:.4g}",
             "origin": cost.origin} for name, cost in costs.terms.items()]
    rows.append({"input": "k: steps between builds", "value": f"{costs.k:.3g}",
                 "origin": costs.k_origin})
    rows.append({"input": "lambda", "value": f"{inputs.imbalance:g}", "origin": "assumed"})
    rows.append({"input": "memory of a process before its first atom, MiB",
                 "value": f"{costs.fixed_bytes / 2**20:.0f}", "origin": costs.fixed_origin})
    rows += [{"input": key, "value": value, "origin": origin}
             for key, value, origin in inputs.machine.quantities()]
    return rows
