"""MPI: which library, which launcher, do they belong together; MPI-IO and parallel HDF5."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mdapp.diagnosis.probes import probe_ranks
from mdapp.diagnosis.verdict import Verdict
from mdapp.parallel.launcher import Launch
from mdapp.parallel.libraries import MPICH, OPEN_MPI, family_of


def check_world(launch: Launch, size: int, version: str) -> Verdict:
    """Report the size of the world; that it matches the launcher has been checked before."""
    by = "started without a launcher" if launch.launcher == "none" else f"by {launch.launcher}"
    return Verdict("mpi", "ok", f"{version}; {size} rank{'s' if size > 1 else ''}, {by}")


def own_launcher() -> str | None:
    """Return the `mpirun` that lies beside this environment's Python, if there is one."""
    path = Path(sys.prefix, "bin", "mpirun")
    return str(path) if path.exists() else None


def check_launcher(launch: Launch) -> Iterator[Verdict]:
    """Start two ranks with the `mpirun` of the PATH, unless this already runs under one."""
    if launch.launcher != "none":
        text = f"inside a job of {launch.size} processes ({launch.launcher}): not probed"
        yield Verdict("mpirun", "ok", text)
        return
    found, own = shutil.which("mpirun"), own_launcher()
    if found is None:
        fix = f"use {own}" if own else "pip install mpich, or load the cluster's MPI module"
        yield Verdict("mpirun", "warn", "not on the PATH: runs have one rank", fix)
        return
    works, text = probe_ranks(found)
    if works:
        yield Verdict("mpirun", "ok", f"{found}: {text}")
        return
    fix = "load the MPI that mpi4py was built with, or `pip install mpich`"
    if own and own != found:
        works, own_text = probe_ranks(own)
        if works:
            fix = f"use {own} ({own_text}): activate the environment"
    yield Verdict("mpirun", "warn" if works else "bad", f"{found}: {text}", fix)


def check_mpi_io(answer: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Verdict:
    """Judge the MPI-IO component, which the `shared` checkpoint layout writes through."""
    family = family_of(answer["mpi"])
    chosen = environ.get("OMPI_MCA_io", "")
    if answer["mpi_io"]:
        fix = "choose another component with OMPI_MCA_io; `shared` checkpoints do not work"
        return Verdict("mpi-io", "warn", f"OMPI_MCA_io={chosen}: {answer['mpi_io']}", fix)
    if family == OPEN_MPI:
        if "romio" in chosen or chosen == "^ompio":
            return Verdict("mpi-io", "ok", f"ROMIO (OMPI_MCA_io={chosen})")
        fix = "unset OMPI_MCA_io, or set it to ^ompio: OMPIO can corrupt shared files"
        fcoll = environ.get("OMPI_MCA_fcoll", "")
        return Verdict("mpi-io", "warn", f"OMPIO (OMPI_MCA_io={chosen}, fcoll={fcoll})", fix)
    return Verdict("mpi-io", "ok", "ROMIO" if family == MPICH else "of the MPI library")


def check_hdf5(answer: Mapping[str, Any]) -> Verdict:
    """Judge HDF5: serial is enough for sharded checkpoints, two MPIs are not to be had."""
    families = {f for f in map(family_of, answer["libraries"]) if f}
    text = f"h5py {answer['h5py']}, HDF5 {answer['hdf5']}"
    if len(families) > 1:
        fix = "build h5py and mpi4py against one MPI (`make test` shows how)"
        return Verdict("hdf5", "bad", f"{text}: two MPIs {answer['libraries']}", fix)
    if not answer["parallel"]:
        fix = "only for checkpoint.layout = shared: build h5py with HDF5_MPI=ON (`make test`)"
        return Verdict("hdf5", "ok", f"{text}, serial ({fix})")
    return Verdict("hdf5", "ok", f"{text}, parallel, {' '.join(sorted(families))}")
