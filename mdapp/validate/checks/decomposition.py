"""4 decomposition: the number of ranks, and the grid they form, do not matter.

Real runs by mpirun, on one rank and on each of `--ranks`: on the grid of least surface, on lines of
ranks along each axis in turn, with a slab that leaves ranks without atoms, and with a crystal whose
atoms lie exactly on the faces between ranks. A subdomain may be narrower than the cutoff: the
engine must then be right, or refuse. Energy, forces and virial at step 0 and positions 100 steps
later are compared by id (later one would compare chaos); in deterministic mode all bits must be the
same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mdapp.evaluate import Structure
from mdapp.model.box import Box
from mdapp.validate.bench import Bench
from mdapp.validate.crystals import cubic
from mdapp.validate.measure import (
    FLOORS,
    Finding,
    Worst,
    below,
    force_errors,
    largest,
    shown,
    virial_error,
)
from mdapp.validate.real_runs import Case, Ended, run_cases, why_no_ranks
from mdapp.validate.runs import tables, write_start

ENERGY = {"double": 1e-12, "mixed": 1e-7, "single": 1e-6, "bf16": 1e-2}
FORCE = {"double": 1e-10, "mixed": 1e-5, "single": 1e-4, "bf16": 1e-1}
MOVED = {"double": 1e-8, "mixed": 1e-4, "single": 1e-3, "bf16": 1e-1}
STEPS, FEW = 100, 20
HOT = 0.02                               # kT over what binds an atom


def decomposition(bench: Bench, precision: str) -> Finding:
    """See the head of the module."""
    reason = why_no_ranks(bench)
    if reason:
        return Finding(skipped=reason)
    systems = structures(bench)
    cases, groups = planned(bench, systems, precision)
    ended = run_cases(bench, f"decomposition-{precision}", cases)
    found = Finding(natoms=max(len(s.x) for s, _ in systems.values()),
                    ranks=max(case.ranks for case in cases))
    bars: list[dict[str, Any]] = []
    broken: list[str] = []
    refused: list[str] = []
    for case in cases:
        one, many = ended[groups[case.name]], ended[case.name]
        system = case.name.split("-")[0]
        s = systems[system][0]
        if many.error:
            kind = refused if many.error.startswith("InputError") else broken
            kind.append(f"{case.name} on {case.ranks} ranks: {many.error}")
            if kind is broken:
                found.note_worst(np.inf, Worst(s, what=many.error))
            continue
        if case.name == groups[case.name] or one.error:
            continue
        bar = compared(case, one, many)
        bars.append(bar)
        found.note_worst(bar["force"], Worst(
            s, bar.pop("atom"), f"{bar['name']}: force differs by {bar['force']:.2g}"))
    found.measures = verdicts(bench, bars, precision)
    found.measures.append(below("runs that failed", float(len(broken)), 0.0))
    found.measures.append(shown("runs that were refused", float(len(refused))))
    found.message = "; ".join([*broken[:2], *refused[:2]])
    found.data = {"bars": bars, "threshold": FORCE[precision],
                  "moved_threshold": MOVED[precision] * bench.length, "precision": precision,
                  "refused": refused}
    return found


def structures(bench: Bench) -> dict[str, tuple[Structure, int]]:
    """Systems and how many steps each is run."""
    bulk = bench.bulk(bench.richest)
    edges = bulk.box.edges.copy()
    edges[2, 2] *= 5 / 3                                       # 40 % of it is empty
    slab = replace(bulk, box=Box(bulk.box.lo, edges, bulk.box.periodic))
    count = max(4, 2 * int(np.ceil(bench.reach / bench.crystal.constant)))
    faces = cubic(bench, bench.crystal.style, bench.crystal.constant, bench.richest, (count,) * 3)
    return {"bulk": (bulk, STEPS), "slab": (slab, FEW), "faces": (faces, FEW)}


def planned(bench: Bench, systems: dict[str, tuple[Structure, int]], precision: str
            ) -> tuple[list[Case], dict[str, str]]:
    """The cases, and the name of the one on one rank that each is compared with."""
    several = [p for p in bench.ranks if p > 1]
    cases, groups = [], {}

    def add(name: str, one: str, ranks: int, made: dict[str, Any]) -> None:
        cases.append(Case(name, made, ranks))
        groups[name] = one

    for system, (s, steps) in systems.items():
        start = write_start(bench, s, f"ranks-{system}")

        def deck(steps: int = steps, start: Any = start, **run: Any) -> dict[str, Any]:
            return tables(bench, start, precision, steps=steps, part=HOT, run=run)

        one = f"{system}-1"
        add(one, one, 1, deck(deterministic=bench.deterministic))
        for k, p in enumerate(several):
            if system != "bulk" and p not in (several[0], several[-1]):
                continue
            line = [1, 1, 1]
            line[2 if system == "slab" else k % 3] = p
            if system != "slab":
                add(f"{system}-{p}", one, p, deck(deterministic=bench.deterministic))
            add(f"{system}-{p}-line", one, p, deck(
                FEW if system != "bulk" or p > 4 else steps, grid=line,
                deterministic=bench.deterministic))
        if system == "bulk" and "deterministic" not in bench.subject.potential.known:
            add("bulk-1-bits", "bulk-1-bits", 1, deck(FEW, deterministic=True))
            for p in {several[0], several[-1]}:
                add(f"bulk-{p}-bits", "bulk-1-bits", p, deck(FEW, deterministic=True))
    return cases, groups


def compared(case: Case, one: Ended, many: Ended) -> dict[str, Any]:
    """Errors of a run against that on one rank."""
    grid = " x ".join(map(str, many.grid))
    bar: dict[str, Any] = {"name": f"{case.name.split('-')[0]} {grid}", "ranks": case.ranks,
                           "energy": np.inf, "force": np.inf, "virial": np.inf, "moved": None,
                           "bits": None, "atom": -1}
    if not np.array_equal(one.id0, many.id0):
        return bar
    n = len(one.id0)
    size = max(abs(one.energy), n * FLOORS.energy_floor)
    bar["energy"] = abs(many.energy - one.energy) / size
    errors = force_errors(many.f0, one.f0)
    bar["force"], bar["atom"] = largest(errors), int(errors.argmax())
    bar["virial"] = virial_error(np.array(many.virial), np.array(one.virial), n)
    if many.step == one.step:
        same = np.array_equal(one.id, many.id)
        bar["moved"] = float(np.abs(many.x - one.x).max()) if same else np.inf
        if case.tables["run"].get("deterministic"):
            bar["bits"] = many.hash == one.hash
            bar["name"] += " deterministic"
    return bar


def verdicts(bench: Bench, bars: list[dict[str, Any]], precision: str) -> list[Any]:
    """Measures of all bars."""
    def worst(key: str) -> float:
        return max((bar[key] for bar in bars if bar[key] is not None), default=0.0)

    unit = bench.subject.units.length_label
    other = [bar for bar in bars if bar["bits"] is False]
    measures = [
        below("energy", worst("energy"), ENERGY[precision], "of |E|", relative=True),
        below("forces", worst("force"), FORCE[precision], "F_rms", relative=True),
        below("virial", worst("virial"), FORCE[precision], "|W|", relative=True),
        below(f"positions after {STEPS} steps", worst("moved"), MOVED[precision] * bench.length,
              unit),
        shown("decompositions", float(len(bars)))]
    if any(bar["bits"] is not None for bar in bars):
        measures.append(below("deterministic runs with other bits", float(len(other)), 0.0))
    return measures
