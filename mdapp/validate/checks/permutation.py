"""8 permutation: names and places in memory of atoms of a species mean nothing.

Atoms of each species exchange positions; all atoms are handed over in random orders of memory, and
in the order into which the engine sorts them in space. Energies and forces go with the atoms.
"""

from __future__ import annotations

import numpy as np

from mdapp.neighbors.clusters import ClusterList
from mdapp.validate.bench import Bench
from mdapp.validate.measure import Finding, Worst, below, energy_error, force_errors, largest

ENERGY = {"double": 1e-12, "mixed": 1e-7, "single": 1e-6, "bf16": 1e-2}
FORCE = {"double": 1e-11, "mixed": 1e-6, "single": 1e-5, "bf16": 1e-1}
ORDERS = 4


def permutation(bench: Bench, precision: str) -> Finding:
    """See the head of the module."""
    found = Finding()
    worst_e = worst_f = 0.0
    for kind in bench.kinds():
        for s in (bench.cluster(kind), bench.bulk(kind)):
            a = bench.evaluate(s, precision)
            n = len(s.x)
            found.natoms = max(found.natoms, n)
            random = bench.random(f"permutation {kind} {n}")
            orders = [random.permutation(n) for _ in range(ORDERS)]
            lists = ClusterList(bench.subject.potential.cutoff, form=bench.subject.potential.lists)
            inside = s.x - np.floor(s.box.fractional(s.x)) @ s.box.edges * s.box.periodic.all()
            orders.append(np.asarray(lists.sort(inside, s.id), np.int64))
            trials = [(order, bench.evaluate(s, precision, order=order).energies,
                       bench.evaluate(s, precision, order=order).forces) for order in orders]
            swap = np.arange(n)
            for t in np.unique(s.type):
                swap[s.type == t] = random.permutation(swap[s.type == t])
            swapped = bench.evaluate(bench.structure(s.box, s.x[swap], s.type), precision)
            back = np.argsort(swap)
            trials.append((swap, swapped.energies[back], swapped.forces[back]))
            for _, energies, forces in trials:
                error_e = energy_error(float(energies.sum()), float(a.energies.sum()), a.energies)
                errors = force_errors(forces, a.forces)
                worst_e, worst_f = max(worst_e, error_e), max(worst_f, largest(errors))
                found.note_worst(max(10 * error_e, largest(errors)), Worst(
                    s, int(errors.argmax()),
                    f"energy {error_e:.2g}, force {largest(errors):.2g} in another order"))
    found.measures = [below("energy", worst_e, ENERGY[precision], "of sum |e|", relative=True),
                      below("forces", worst_f, FORCE[precision], "F_rms", relative=True)]
    return found
