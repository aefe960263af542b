"""6 pbc: an atom and its images are one, whatever box they are written in.

Energies per cell and forces must not change when atoms are moved by up to three edges each, when
the cell is repeated two or three times along an axis, with each of the seven sets of boundaries
that have a periodic axis, and when the cell is shorter than the cutoff: there a repeated cell is
the judge, in which no image is nearer than in the small one. A potential may refuse a small cell,
but may not be wrong in it. Neither may it matter where in space the cell lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from mdapp.errors import InputError
from mdapp.evaluate import Structure
from mdapp.model.box import Box
from mdapp.validate.bench import Bench
from mdapp.validate.measure import Fault, Finding, Worst, below, energy_error, force_errors, largest

ENERGY = {"double": 1e-12, "mixed": 1e-7, "single": 1e-6, "bf16": 1e-2}
FORCE = {"double": 1e-10, "mixed": 1e-5, "single": 1e-4, "bf16": 1e-1}


def pbc(bench: Bench, precision: str) -> Finding:
    """See the head of the module."""
    found = Finding()
    worst_e = worst_f = 0.0
    refused = 0
    for kind in bench.kinds():
        for name, s, other, copies in pairs(bench, kind):
            try:
                a = bench.evaluate(s, precision)
            except (InputError, Fault):
                if not name.startswith("small"):
                    raise
                refused += 1
                continue
            b = bench.evaluate(other, precision)
            times = len(other.x) // len(s.x)
            error_e = energy_error(a.energy * times, b.energy, b.energies)
            errors = force_errors(b.forces, a.forces[copies], a.forces)
            worst_e, worst_f = max(worst_e, error_e), max(worst_f, largest(errors))
            found.note_worst(max(error_e * 1e2, largest(errors)), Worst(
                other, int(errors.argmax()), f"{name}: energy {error_e:.2g}, force "
                f"{largest(errors):.2g}"))
            found.natoms = max(found.natoms, len(other.x))
    found.measures = [below("energy", worst_e, ENERGY[precision], "of sum |e|", relative=True),
                      below("forces", worst_f, FORCE[precision], "F_rms", relative=True)]
    if refused:
        found.message = f"{refused} cells shorter than the cutoff are refused, which is right"
    return found


def pairs(bench: Bench, kind: str
          ) -> Iterator[tuple[str, Structure, Structure, NDArray[np.int64]]]:
    """Structures that must agree: (what, one, other, atom of one that each copy is of)."""
    s = bench.bulk(kind, cells=2)
    n = len(s.x)
    same = np.arange(n)
    random = bench.random(f"pbc {kind}")
    jumps = random.integers(-3, 4, (n, 3))
    yield "moved by edges", s, replace(s, x=s.x + jumps @ s.box.edges), same
    sheared = bench.bulk(kind, cells=2, shear=True)
    yield "moved by edges, triclinic", sheared, replace(
        sheared, x=sheared.x + jumps @ sheared.box.edges), same
    away = np.array([1e3, -2e3, 5e2]) * bench.length
    yield "moved as a whole", s, replace(s, x=s.x + away, box=Box(
        s.box.lo + away, s.box.edges, s.box.periodic)), same
    for axis in range(3):
        for times in (2, 3):
            counts = np.ones(3, int)
            counts[axis] = times
            yield f"repeated {times} x along {'xyz'[axis]}", s, *repeated(bench, s, counts)
    for flags in product((False, True), repeat=3):
        if any(flags):
            partly = replace(s, box=Box(s.box.lo, s.box.edges, np.array(flags)))
            yield f"boundaries {flags}", partly, *repeated(
                bench, partly, np.where(flags, 2, 1))
    small = bench.bulk(kind, cells=1)
    times = int(np.ceil(2.2 * bench.reach / np.diag(small.box.edges).min()))
    if times > 1 and len(small.x) * times**3 < 4000:
        yield "small cell", small, *repeated(bench, small, np.full(3, times))


def repeated(bench: Bench, s: Structure, counts: NDArray[np.int64]
             ) -> tuple[Structure, NDArray[np.int64]]:
    """A structure repeated along its edges, and the atom that each copy is of."""
    shifts = np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"), -1).reshape(-1, 3)
    x = (s.x[None] + (shifts @ s.box.edges)[:, None]).reshape(-1, 3)
    box = Box(s.box.lo, s.box.edges * counts[:, None], s.box.periodic)
    copies = np.tile(np.arange(len(s.x)), len(shifts))
    return bench.structure(box, x, s.type[copies]), copies
