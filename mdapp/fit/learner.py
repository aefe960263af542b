"""What a style of model brings to a fit: weights to begin with, a function, a file at the end.

Energies at rest are taken off before anything is fitted: least squares of the energies of all
frames by how many atoms of each element they have. Single precision then has to hold what is left,
and networks need not learn a constant. The final model gets them back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdapp.fit.training_set import TrainingSet


@dataclass(frozen=True)
class Learner:
    """A model that can be fitted.

    Attributes
    ----------
    style, name : of the potential and of its file
    weights : a tree of arrays to be fitted, float64, as they are at the start
    fixed : the rest of what `energy` wants, a dictionary beside that of the weights
    energy : energy(params, r_ij, type_i, type_j, mask) -> (n,), params = weights | fixed
    write : write(path, weights, baseline) writes the model's file
    about : numbers of the model, for the report
    """

    style: str
    name: str
    weights: Mapping[str, Any]
    fixed: Mapping[str, Any]
    energy: Callable[..., Any]
    write: Callable[[Path, Mapping[str, Any], NDArray[np.float64]], None]
    about: Mapping[str, Any]


def baseline_of(data: TrainingSet) -> NDArray[np.float64]:
    """(T,) energies at rest of the frames that are fitted; 0 for elements that none of them has."""
    frames = data.fitted()
    solution = np.linalg.lstsq(data.counts[frames].astype(np.float64), data.energy[frames])
    return np.asarray(solution[0], np.float64)
