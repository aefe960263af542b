"""1 contract: what every kernel must hand over and must leave alone.

Shapes, floating-point numbers and finiteness are looked at in every evaluation of the suite; here
the kernel is also given few atoms and none, a rank without atoms of its own among ghosts, each
species it claims, and arrays that are compared afterwards, bit by bit. That double precision is
double is seen by its values: when a piece of crystal is scaled by 1 + 2^-36 its energy must change
by 2^-16 of what it changes by 2^-20, to a tenth; in single precision it would not change at all.
"""

from __future__ import annotations

import numpy as np

from mdapp.charges import give_charges
from mdapp.evaluate import LIST_MARGIN, Structure, give_box
from mdapp.model.box import Box
from mdapp.neighbors.clusters import ClusterList
from mdapp.neighbors.images import with_images
from mdapp.validate.bench import Bench, guarded
from mdapp.validate.measure import Fault, Finding, Measure, Worst, below
from potentials.base import Want

STRETCH = 2.0**-36
VISIBLE = 2.0**-20                 # in single precision just so
AGREES = 0.1


def contract(bench: Bench, precision: str) -> Finding:
    """See the head of the module."""
    found = Finding(message="")
    for kind in bench.kinds():
        s = bench.bulk(kind)
        found.natoms = max(found.natoms, len(s.x))
        changed = changed_inputs(bench, s, precision)
        if changed:
            raise Fault(f"it writes to its input: {changed}", s)
        for want in Want:
            bench.evaluate(s, precision, want=want)
    count = len(bench.subject.species)
    for t in range(count):
        bench.evaluate(bench.cluster_of(t), precision)
    alone = few_atoms(bench, precision)
    found.measures.append(below("force on an isolated atom", alone, 0.0,
                                f"{bench.force_label}"))
    bench_image = one_atom_cell(bench, precision)
    found.measures.append(below("force on the atom of a one-atom crystal", bench_image,
                                1e-10 if precision == "double" else 1e-4, bench.force_label))
    ghosts_only(bench, precision)
    found.measures.append(Measure("species accepted", float(count), None, "", True))
    if precision == "double":
        found.measures += is_double(bench, found)
    return found


def changed_inputs(bench: Bench, s: Structure, precision: str) -> str:
    """Names of the arrays that a kernel was given to read and has written to."""
    kernel = bench.kernel(precision)
    n = len(s.x)
    reach = bench.subject.potential.cutoff * (1 + LIST_MARGIN)
    images = with_images(s.box, s.x, reach)
    clusters = ClusterList(reach, form=bench.subject.potential.lists)
    clusters.build(images.x, images.of_all(s.id), n)
    arrays = {"positions": images.x, "types": images.of_all(s.type),
              "the list's slots": clusters.slot_atom}
    if s.q is not None:
        arrays["charges"] = images.of_all(s.q)
    before = {name: array.copy() for name, array in arrays.items()}
    f = np.zeros((n, 3))
    with guarded(s):
        give_box(kernel, s.box)
        if s.q is not None:
            give_charges(kernel, arrays["charges"], bench.subject.units)
        kernel.compute(images.x, arrays["types"], n, clusters, f, Want.PER_ATOM, images)
    return ", ".join(name for name, array in arrays.items()
                     if array.tobytes() != before[name].tobytes())


def few_atoms(bench: Bench, precision: str) -> float:
    """Evaluate 0, 1 and 2 atoms; the largest force on one alone."""
    bench.evaluate(bench.free(np.empty((0, 3))), precision)
    worst = 0.0
    for t in range(len(bench.subject.species)):
        alone = bench.free([[0.1, 0.2, 0.3]], t)
        worst = max(worst, float(np.abs(bench.evaluate(alone, precision).forces).max()))
    pair = np.array([[0.0, 0.0, 0.0], [bench.crystal.distance, 0.0, 0.0]])
    bench.evaluate(bench.free(pair), precision)
    return worst


def one_atom_cell(bench: Bench, precision: str) -> float:
    """Largest force on the atom of a primitive cell, where it meets only its own images."""
    d = bench.crystal.distance
    s = bench.structure(Box.orthogonal((0, 0, 0), (d, d, d)), np.array([[0.3, 0.2, 0.1]]), 0)
    return float(np.abs(bench.evaluate(s, precision).forces).max())


def ghosts_only(bench: Bench, precision: str) -> None:
    """A rank that owns nothing beside others' atoms: nothing may happen, and nothing fail."""
    if bench.subject.serial:
        return
    s = bench.cluster(next(iter(bench.kinds())))
    reach = bench.subject.potential.cutoff * (1 + LIST_MARGIN)
    images = with_images(s.box, np.empty((0, 3)), reach)
    clusters = ClusterList(reach, form=bench.subject.potential.lists)
    clusters.build(s.x.copy(), s.id, 0)
    kernel = bench.kernel(precision)
    with guarded(s):
        give_box(kernel, s.box)
        if s.q is not None:
            give_charges(kernel, s.q, bench.subject.units)
        result = kernel.compute(s.x.copy(), s.type.copy(), 0, clusters, np.zeros((0, 3)),
                                Want.PER_ATOM, NoExchange(images))
    if result.energy != 0 or np.any(np.asarray(result.virial) != 0):
        raise Fault(f"a rank without atoms has the energy {result.energy!r}", s)


class NoExchange:
    """The exchange of a rank whose atoms are all ghosts of ranks that are not there."""

    def __init__(self, images: object):
        self.images = images

    def to_ghosts(self, values: np.ndarray) -> None:
        """Ghosts keep their values."""

    def from_ghosts(self, values: np.ndarray) -> None:
        """Nobody is there to take them."""


def is_double(bench: Bench, found: Finding) -> list[Measure]:
    """Whether the energy sees a change that single precision cannot hold."""
    s = bench.cluster(next(iter(bench.kinds())))
    middle = s.x.mean(axis=0)
    point = bench.evaluate(s)
    longer = bench.free(s.x + (s.x - middle) * STRETCH, s.type)
    plain = bench.free(s.x + (s.x - middle) * VISIBLE, s.type)
    predicted = float((bench.evaluate(plain).energies - point.energies).sum()) * STRETCH / VISIBLE
    change = float((bench.evaluate(longer).energies - point.energies).sum())
    noise = 4 * np.finfo(float).eps * float(np.abs(point.energies).sum()) * len(s.x) ** 0.5
    if abs(predicted) < 20 * noise:
        return [Measure("double precision is double", None, None, "", None)]
    error = abs(change - predicted) / abs(predicted)
    found.note_worst(error, Worst(s, what="scaled by 1 + 2^-36"))
    return [below("double precision is double", error, AGREES)]
