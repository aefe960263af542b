"""25 parity_data: errors on labelled data.

Energies per atom, forces and virials per atom of the frames of `--reference FILE`: mean absolute,
root mean square and largest error, percentiles, R^2, and the slope of predicted against labelled
forces through the origin, which is below 1 for softened models; per species and per bin of force.
Limits are defaults: what is good enough is a question of what the model is for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdapp.validate.bench import Bench
from mdapp.validate.measure import Finding, Measure, Worst, below, shown
from mdapp.validate.references import frames_of, sets_of

ENERGY, ENERGY_WARN = 5.0, 10.0          # meV / atom
FORCE, FORCE_WARN = 50.0, 100.0          # meV / A
VIRIAL, VIRIAL_WARN = 10.0, 20.0         # meV / atom
RELATIVE = 0.1
SLOPE_OFF = 0.05
BINS = (0.5, 1.0, 2.0, 5.0, np.inf)      # eV / A
SHOWN = 4000


def parity_data(bench: Bench, precision: str) -> Finding:
    """See the head of the module."""
    paths = sets_of(bench, False)
    if not paths:
        return Finding(skipped="no labelled data was given with --reference")
    found = Finding()
    energies, virials, labels, forces, types = [], [], [], [], []
    for path in paths:
        for frame, s in frames_of(bench, path):
            point = bench.evaluate(s, precision)
            n = len(s.x)
            found.natoms += n
            energies.append((point.energy - frame.energy) / n)
            if frame.virial is not None:
                virials.append((point.virial - frame.virial) / n)
            labels.append(frame.forces)
            forces.append(point.forces)
            types.append(s.type)
            worst = np.linalg.norm(point.forces - frame.forces, axis=1)
            found.note_worst(float(worst.max()), Worst(
                s, int(worst.argmax()), f"{frame.where}: force is off by {worst.max():.3g}"))
    label, force, type_ = np.concatenate(labels), np.concatenate(forces), np.concatenate(types)
    off = 1e3 * (force - label)
    unit = bench.subject.units
    e_unit, f_unit = f"m{unit.energy_label}/atom", f"m{unit.energy_label}/{unit.length_label}"
    scale = float(np.sqrt((label**2).mean()))
    slope = float((label * force).sum() / max((label**2).sum(), 1e-300))
    found.measures = [
        below("energy, root mean square", rms(1e3 * np.array(energies)), ENERGY, e_unit,
              warn=ENERGY_WARN),
        below("forces, root mean square", rms(off), FORCE, f_unit, warn=FORCE_WARN),
        below("forces, relative to their rms", rms(off) / (1e3 * scale), RELATIVE),
        below("slope of the forces, off 1", abs(slope - 1), SLOPE_OFF)]
    if virials:
        found.measures.append(below("virial, root mean square", rms(1e3 * np.array(virials)),
                                    VIRIAL, e_unit, warn=VIRIAL_WARN))
    found.measures += [*statistics("energy", 1e3 * np.array(energies), e_unit),
                       *statistics("forces", off, f_unit),
                       shown("forces, R2", 1 - float((off**2).sum() / max(1e6 * (
                           (label - label.mean()) ** 2).sum(), 1e-300)))]
    size = np.linalg.norm(label, axis=1)
    groups = [(name, type_ == t) for t, name in enumerate(bench.subject.species)]
    low = 0.0
    for high in BINS:
        groups.append((f"{low:g} to {high:g}", (size >= low) & (size < high)))
        low = high
    found.data = {
        "groups": [{"of": name, "atoms": int(which.sum()), "rms": rms(off[which])}
                   for name, which in groups if which.any()],
        "force_rmse": rms(off) / 1e3, "energy_mae": float(np.abs(energies).mean()),
        **parity(label, force), "unit": bench.force_label}
    return found


def parity(label: NDArray[np.float64], force: NDArray[np.float64]) -> dict[str, Any]:
    """Some pairs of components for a plot, evenly over the data."""
    a, b = label.ravel(), force.ravel()
    thin = slice(None, None, max(1, len(a) // SHOWN))
    return {"label": a[thin].tolist(), "predicted": b[thin].tolist()}


def statistics(name: str, off: NDArray[np.float64], unit: str) -> list[Measure]:
    """Mean absolute and largest error, percentiles."""
    size = np.abs(off)
    return [shown(f"{name}, mean absolute", float(size.mean()), unit),
            shown(f"{name}, 95th percentile", float(np.percentile(size, 95)), unit),
            shown(f"{name}, 99th percentile", float(np.percentile(size, 99)), unit),
            shown(f"{name}, largest", float(size.max()), unit)]


def rms(a: NDArray[np.float64]) -> float:
    """Root mean square."""
    return float(np.sqrt((a**2).mean())) if a.size else 0.0
