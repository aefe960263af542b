"""The structures in which checks saw their worst values, as files to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mdapp.structures.results import write_results
from mdapp.validate.runner import Outcome


def save_worst(outcome: Outcome, folder: Path) -> None:
    """Write worst/NN_key_precision.extxyz, if there is a structure, and note its name."""
    worst = outcome.finding.worst
    if worst is None:
        return
    s = worst.structure
    path = folder / "worst" / f"{outcome.spec.number:02d}_{outcome.spec.key}_{outcome.precision}"
    path = path.with_suffix(".extxyz")
    path.parent.mkdir(exist_ok=True)
    n = len(s.x)
    mark = np.zeros(n)
    if 0 <= worst.atom < n:
        mark[worst.atom] = 1.0             # so that viewers can colour it
    write_results(path, s.box, s.elements, s.id, s.x, 0.0, mark, np.zeros((n, 3)), None, s.q)
    outcome.worst_file = f"worst/{path.name}"
