"""What wrote a checkpoint, and onto what: versions and the kind of file system."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
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


def file_system_type(path: Path) -> str:
    """Type of the file system that holds `path`, as the kernel names it; empty where unknown."""
    try:
        real = path.resolve()
        mounts = [m.split() for m in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return ""
    inside = [m for m in mounts if len(m) > 2 and real.is_relative_to(m[1])]
    return max(inside, key=lambda m: len(m[1]))[2] if inside else ""
