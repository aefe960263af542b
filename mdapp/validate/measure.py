"""What a check hands back: measures against thresholds, the worst structure, curves for plots.

Tolerances are relative to physical norms, never to single elements, because an element that
happens to be small says nothing. OpenKIM's letters go with relative errors,

    score = log10(err / 2.22e-16)      A <= 7.5, B <= 10, C <= 12.5, D <= 15, F beyond

(kim-tools, kim_tools/vc/core.py). A letter means nothing without its precision; digits lost,
log10(err / eps) with eps of the arithmetic, can be compared across precisions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

EPSILON = {"double": 2.22e-16, "mixed": 5.96e-8, "single": 5.96e-8, "bf16": 3.9e-3}
GRADES = ((7.5, "A"), (10.0, "B"), (12.5, "C"), (15.0, "D"))


@dataclass(frozen=True)
class Measure:
    """One number and what it may be.

    Attributes
    ----------
    name, value, unit : what was measured
    threshold : the largest good value, or None where any will do
    ok : whether it is good; None: for information, or not resolved
    warn : between threshold and this it is a warning, not a failure
    stderr : standard error
    limit : of detection: what the measurement could have seen
    relative : whether the value is an error relative to a physical norm, which gets a letter
    """

    name: str
    value: float | None
    threshold: float | None = None
    unit: str = ""
    ok: bool | None = None
    warn: float | None = None
    stderr: float | None = None
    limit: float | None = None
    relative: bool = False

    def as_json(self) -> dict[str, Any]:
        """Plain values, in the words of the schema."""
        return {"name": self.name, "value": self.value, "stderr": self.stderr,
                "threshold": self.threshold, "warn": self.warn, "unit": self.unit,
                "limit_of_detection": self.limit, "ok": self.ok}

    def __str__(self) -> str:
        """For people: `largest force error 3e-09 (<= 1e-06)`."""
        value = "not a number" if self.value is None else f"{self.value:.3g}"
        against = "" if self.threshold is None else f" (<= {self.threshold:.3g})"
        verdict = "" if self.ok is not False else " BAD"
        return f"{self.name} {value}{against}{f' {self.unit}' if self.unit else ''}{verdict}"


def below(name: str, value: float, threshold: float, unit: str = "", *, relative: bool = False,
          **more: Any) -> Measure:
    """A measure that is good up to its threshold; not a number is not good."""
    good = math.isfinite(value) and value <= threshold
    return Measure(name, value if math.isfinite(value) else None, threshold, unit, bool(good),
                   relative=relative, **more)


def shown(name: str, value: float, unit: str = "") -> Measure:
    """A measure for information."""
    return Measure(name, value if math.isfinite(value) else None, None, unit)


@dataclass(frozen=True)
class Worst:
    """The structure in which a check saw its worst value.

    Attributes
    ----------
    structure : its atoms, a mdapp.evaluate.Structure
    atom : index of the atom to look at, or -1
    what : the value, in words
    """

    structure: Any
    atom: int = -1
    what: str = ""


@dataclass
class Finding:
    """What a check found, before the runner makes a status of it.

    Attributes
    ----------
    measures : all of them; any that is not ok fails the check
    message : one sentence; empty: the measures speak
    skipped : why it could not be done, if it could not
    unresolved : why a good value is no proof, if it is none
    """

    measures: list[Measure] = field(default_factory=list)
    message: str = ""
    worst: Worst | None = None
    data: dict[str, Any] = field(default_factory=dict)
    skipped: str = ""
    unresolved: str = ""
    natoms: int = 0
    ranks: int = 1

    def note_worst(self, value: float, worst: Worst) -> None:
        """Keep a structure if its value is worse than that of the one kept so far."""
        if not math.isfinite(value):
            value = math.inf
        if self.worst is None or value > self._worst_value:
            self._worst_value, self.worst = value, worst

    _worst_value: float = -math.inf


class Fault(Exception):
    """The potential did what no potential may: raised, gave NaN or wrong shapes."""

    def __init__(self, text: str, structure: Any = None):
        super().__init__(text)
        self.structure = structure


@dataclass(frozen=True)
class Scales:
    """Floors of the norms and units of lengths, in the units of the potential.

    In metal units those of the specification; in reduced ones the same numbers of epsilon and
    sigma.
    """

    energy_floor: float = 1e-3
    force_floor: float = 0.1
    virial_floor: float = 0.01


FLOORS = Scales()


def energy_error(a: float, b: float, energies: NDArray[np.float64]) -> float:
    """dE* = |E_a - E_b| / max(sum |e_i|, N e_floor)."""
    return abs(a - b) / max(float(np.abs(energies).sum()), len(energies) * FLOORS.energy_floor)


def force_errors(a: NDArray[np.float64], b: NDArray[np.float64],
                 reference: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """(n,) |F_a - F_b| / max(F_rms, F_floor), with F_rms of `reference` or b.

    Raises
    ------
    ValueError : the shapes differ, which no comparison may broadcast away
    """
    if a.shape != b.shape:
        raise ValueError(f"forces of shapes {a.shape} and {b.shape} cannot be compared")
    norm = force_norm(b if reference is None else reference)
    difference: NDArray[np.float64] = np.linalg.norm(a - b, axis=-1) / norm
    return np.where(np.isnan(difference), np.inf, difference)


def force_norm(f: NDArray[np.float64]) -> float:
    """max(F_rms, F_floor); F_rms is that of the vectors' lengths."""
    rms = math.sqrt(float((f**2).sum(axis=-1).mean())) if f.size else 0.0
    return max(rms, FLOORS.force_floor)


def virial_error(a: NDArray[np.float64], b: NDArray[np.float64], natoms: int) -> float:
    """dW* = max |W_a - W_b| / max(|W|, N w_floor)."""
    norm = max(float(np.linalg.norm(b)), natoms * FLOORS.virial_floor)
    worst = float(np.abs(a - b).max())
    return worst / norm if math.isfinite(worst) else math.inf


def largest(values: NDArray[np.float64]) -> float:
    """The largest of some errors, 0 of none."""
    return float(np.max(values, initial=0.0))


def letter(error: float) -> str:
    """OpenKIM's letter of a relative error."""
    score = math.log10(error / EPSILON["double"]) if error > EPSILON["double"] else 0.0
    return next((grade for most, grade in GRADES if score <= most), "F")


def digits_lost(error: float, precision: str) -> float:
    """log10 of the error in units of the arithmetic's last digit."""
    return max(math.log10(max(error, 1e-300) / EPSILON[precision]), 0.0)


def decisive(measures: Sequence[Measure]) -> Measure | None:
    """The measure nearest to, or farthest beyond, its threshold."""
    judged = [m for m in measures if m.threshold is not None and m.threshold >= 0]

    def share(m: Measure) -> float:
        if m.value is None:
            return math.inf
        if m.threshold == 0:
            return math.inf if m.value > 0 else 0.0
        return abs(m.value) / abs(m.threshold or 1.0)

    return max(judged, key=share) if judged else None


Thresholds = Mapping[str, float]
