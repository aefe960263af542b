"""A fit that is killed goes on from here with the same bits.

All that a step depends on: weights, the optimizer's state, the number of the step (from which the
order of frames follows), and what was fixed at the start (statistics, energies at rest). Beside it
stand the settings and the digest of the data, so that a fit is not continued as another one: what
differs is named. A checkpoint is written to a draft, synced, and renamed; the one before it is
whole until then.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdapp.errors import InputError

FORMAT, VERSION = "mdapp fit", 1
NAME = "checkpoint.npz"


@dataclass(frozen=True)
class Checkpoint:
    """A fit between two steps.

    Attributes
    ----------
    step : steps that are done
    elapsed_s : that they took
    settings : of the fit, and the digest of its data
    history : rows of the loss curve
    arrays : weights, state, what was fixed
    """

    step: int
    elapsed_s: float
    settings: Mapping[str, Any]
    history: list[dict[str, float]]
    arrays: Mapping[str, NDArray[Any]]


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint of a folder.

    Raises
    ------
    OSError : it cannot be written; the one before it is still there
    """
    header = {"format": FORMAT, "version": VERSION, "step": checkpoint.step,
              "elapsed_s": checkpoint.elapsed_s, "settings": checkpoint.settings,
              "history": checkpoint.history}
    draft = folder / (NAME + ".draft")
    with draft.open("wb") as file:
        np.savez(file, header=np.array(json.dumps(header)), **checkpoint.arrays)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / NAME)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_checkpoint(folder: Path, settings: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint of a folder, of a fit with these settings.

    Raises
    ------
    InputError : there is none, it is damaged, or it is of another fit
    """
    path = folder / NAME
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(str(arrays.pop("header")))
    except FileNotFoundError:
        raise InputError(f"{path}: nothing to resume; start without --resume") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: is damaged: {error}; start again with another --out") from None
    if header.get("format") != FORMAT or header.get("version") != VERSION:
        raise InputError(f"{path}: is no checkpoint of a fit that this program can go on with")
    known = json.loads(json.dumps(settings))
    differs = [f"{key} was {header['settings'].get(key)!r} and is {known.get(key)!r}"
               for key in sorted({*header["settings"], *known})
               if header["settings"].get(key) != known.get(key)]
    if differs:
        raise InputError(f"{path}: is of another fit: {'; '.join(differs)}; give what it was, or "
                         "start again with another --out")
    return Checkpoint(header["step"], header["elapsed_s"], header["settings"], header["history"],
                      arrays)
