"""5 range: how far the response to one atom reaches, against what was declared.

In a free piece of crystal, wide enough that the middle sees no end, the atom in the middle is moved
by a fiftieth of the distance of neighbours, three ways. Two ranges come out: R_e, the largest
distance of an atom whose own energy changes, and R_F, of one whose force does. R_e may not exceed
the declared cutoff, which is what the halo is made for; R_F not the declared force range, which for
potentials of many bodies is twice that: no failure, but a fact of the model. A change is none if it
is below 1e-12 (double) or 1e-6 of energy per atom and force, on top of the rounding of sums.

Lists reach beyond the declared cutoff here, so that a kernel which takes whatever is in them is
found out.
"""

from __future__ import annotations

import numpy as np

from mdapp.validate.bench import Bench
from mdapp.validate.measure import Finding, Worst, below, force_norm, shown

MOVE = 0.02                        # of the distance of neighbours
NOTHING = {"double": 1e-12, "mixed": 1e-6, "single": 1e-6, "bf16": 1e-6}
WAYS = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.3, 0.4, 0.87]])
MOST_ATOMS = 6000
LENGTHS = (10.0, 20.0, 40.0)       # of a subdomain, in Angstrom or sigma


def interaction_range(bench: Bench, precision: str) -> Finding:
    """See the head of the module."""
    subject = bench.subject
    cutoff, force_range = subject.potential.cutoff, subject.force_range
    radius = 1.15 * force_range + 2 * bench.crystal.distance
    found = Finding()
    energy_reach = force_reach = 0.0
    shells: list[tuple[float, float, float]] = []
    for kind in bench.kinds():
        s = bench.cluster(kind, radius=radius)
        if len(s.x) > MOST_ATOMS:
            s = bench.cluster(kind, atoms=MOST_ATOMS)
        found.natoms = max(found.natoms, len(s.x))
        middle = int(np.linalg.norm(s.x - s.x.mean(axis=0), axis=1).argmin())
        skin = 0.4 * cutoff
        before = bench.evaluate(s, precision, skin=skin)
        nothing_e = NOTHING[precision] * max(1.0, float(np.abs(before.energies).max()))
        nothing_f = NOTHING[precision] * force_norm(before.forces) / force_norm(np.zeros((1, 3)))
        for way in WAYS:
            x = s.x.copy()
            x[middle] += MOVE * bench.crystal.distance * way
            moved = bench.free(x, s.type)
            after = bench.evaluate(moved, precision, skin=skin)
            distance = np.minimum(np.linalg.norm(s.x - s.x[middle], axis=1),
                                  np.linalg.norm(x - x[middle], axis=1))
            de = np.abs(after.energies - before.energies)
            df = np.linalg.norm(after.forces - before.forces, axis=1)
            distance[middle] = 0.0
            shells += zip(distance.tolist(), de.tolist(), df.tolist(), strict=True)
            for seen, which in ((de > nothing_e, "energy"), (df > nothing_f, "force")):
                far = float(distance[seen].max(initial=0.0))
                where = int(np.where(seen, distance, -1.0).argmax())
                limit = cutoff if which == "energy" else force_range
                found.note_worst(far / limit, Worst(
                    s, where, f"{which} of this atom answers at {far:.4g} to atom {middle + 1}"))
                if which == "energy":
                    energy_reach = max(energy_reach, far)
                else:
                    force_reach = max(force_reach, far)
    slack = 1 + 1e-9 if precision == "double" else 1 + 1e-5
    unit = subject.units.length_label
    found.measures = [below("range of energies", energy_reach, cutoff * slack, unit),
                      below("range of forces", force_reach, force_range * slack, unit)]
    for length in LENGTHS:
        ratio = (1 + 2 * cutoff / length) ** 3 - 1
        found.measures.append(shown(f"ghosts per atom, edges of {length:g}", ratio))
    if "per_atom" in subject.potential.known:
        found.measures[0] = shown("range of energies", energy_reach, unit)
    found.data = {"cutoff": cutoff, "force_range": force_range, "precision": precision,
                  "shells": thinned(shells)}
    return found


def thinned(shells: list[tuple[float, float, float]], bins: int = 60) -> list[list[float]]:
    """The largest change of energy and force in each shell of distances: [d, de, df]."""
    a = np.array(shells)
    edges = np.linspace(0, a[:, 0].max() * (1 + 1e-9), bins + 1)
    place = np.digitize(a[:, 0], edges) - 1
    return [[float((edges[k] + edges[k + 1]) / 2), float(a[place == k, 1].max()),
             float(a[place == k, 2].max())] for k in range(bins) if (place == k).any()]
