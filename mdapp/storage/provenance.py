"""What wrote a checkpoint: versions of all that took part."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

import h5py
from mpi4py import MPI


def software() -> dict[str, Any]:
    """Versions of all that took part."""
    found = {}
    for name in ("mdapp", "numpy", "numba", "h5py", "mpi4py"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = ""
    library = MPI.Get_library_version().strip("\0 \n").splitlines()[0]
    return {**found, "python": platform.python_version(), "hdf5": h5py.version.hdf5_version,
            "mpi": library}  # fmt: skip
