"""24 parity_impl: the same model in another code has the same energies, forces and virials.

Self-consistency says nothing about truth: a model with all its energies scaled, or two species
exchanged, passes everything before this. Frames come from `--reference FILE` or from the file
NAME.parity.extxyz beside the potential's own; their comment line says `code="LAMMPS ..."`.
"""

from __future__ import annotations

from mdapp.validate.bench import Bench
from mdapp.validate.measure import Finding, Worst, below, force_errors, largest, virial_error
from mdapp.validate.references import code_of, frames_of, sets_of

ENERGY = {"double": 1e-9, "mixed": 1e-6, "single": 1e-6, "bf16": 1e-2}
FORCE = {"double": 1e-8, "mixed": 1e-5, "single": 1e-4, "bf16": 1e-1}


def parity_impl(bench: Bench, precision: str) -> Finding:
    """See the head of the module."""
    paths = sets_of(bench, True)
    if not paths:
        return Finding(skipped="no reference with code=\"...\" of another code was given")
    found = Finding()
    energy = force = virial = 0.0
    virials = False
    for path in paths:
        for frame, s in frames_of(bench, path):
            point = bench.evaluate(s, precision)
            n = len(s.x)
            found.natoms = max(found.natoms, n)
            energy = max(energy, abs(point.energy - frame.energy) / n)
            errors = force_errors(point.forces, frame.forces)
            force = max(force, largest(errors))
            if frame.virial is not None:
                virials = True
                virial = max(virial, virial_error(point.virial, frame.virial, n))
            found.note_worst(largest(errors), Worst(
                s, int(errors.argmax()), f"{frame.where}: force differs by {largest(errors):.2g}"))
    found.measures = [
        below("energy per atom", energy, ENERGY[precision], bench.subject.units.energy_label),
        below("forces", force, FORCE[precision], "F_rms", relative=True)]
    if virials:
        found.measures.append(below("virial", virial, FORCE[precision], "|W|", relative=True))
    found.message = f"against {', '.join(sorted({code_of(path) for path in paths}))}"
    if any(m.ok is False for m in found.measures):
        found.message += ": " + "; ".join(str(m) for m in found.measures if m.ok is False)
    return found
