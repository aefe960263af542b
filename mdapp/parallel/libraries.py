"""Which MPI each part of the process belongs to, found before any of them is loaded.

Three parts must agree: the launcher, mpi4py, and the HDF5 that h5py was built with. Where the
launcher differs, each process is rank 0 of 1 and runs a full copy of the job, or MPI_Init aborts
with a message about PMI; where HDF5 differs, the process crashes at the first open of a file.
Nothing is imported to find out: file names and ELF headers tell. Families, not versions, are
compared: MPICH, Intel MPI, MVAPICH and Cray MPICH share an ABI and a launcher protocol.
"""

import contextlib
import importlib.machinery
import importlib.util
import os
import re
from collections.abc import Mapping
from pathlib import Path

from mdapp.errors import InputError
from mdapp.parallel.elf import SharedObject, read_shared_object
from mdapp.parallel.launcher import Launch

OPEN_MPI = "Open MPI"
MPICH = "MPICH"

# What a launcher's variables say about the MPI that it belongs to; Slurm and Flux serve any.
LAUNCHER_FAMILY = {"Open MPI": OPEN_MPI, "MPICH": MPICH, "MVAPICH": MPICH}

LIBHDF5 = re.compile(r"(^|/)libhdf5(?![-\w]*_(hl|cpp|fortran|tools))[-\w]*\.so[.\d]*$")
_LIBMPI = re.compile(r"(^|/)libmpi(ch)?(_abi)?[-\w]*\.so[.\d]*$")


def family_of(name: str) -> str | None:
    """Name the family of an MPI library from its file name, soname or version string."""
    base = name.rpartition("/")[2]
    if "openmpi" in base.lower() or "open mpi" in name.lower():
        return OPEN_MPI
    if re.match(r"libmpi\.so\.[2-9]\d(\.|$)", base):  # Open MPI: .20 (2.x), .40 (3.x to 5.x)
        return OPEN_MPI
    # the MPICH ABI initiative froze soname 12
    if "mpich" in name.lower() or re.match(r"libmpi\.so\.1\d(\.|$)", base) or "Intel" in name:
        return MPICH
    return None


def library_title(version: str) -> str:
    """Shorten what `MPI_Get_library_version` returns to name and number."""
    first = version.strip("\0 \n").splitlines()[0].split(",")[0]
    return " ".join(first.replace("Version:", "").split())


def loaded_libraries(pattern: re.Pattern[str] = _LIBMPI) -> tuple[str, ...]:
    """List the shared objects mapped into this process whose path matches `pattern`."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return ()
    paths = {line.split(None, 5)[5] for line in lines if len(line.split(None, 5)) == 6}
    return tuple(sorted(path for path in paths if pattern.search(path)))


def _package_folder(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    found = spec.submodule_search_locations if spec else None
    return Path(next(iter(found))) if found else None


def _extensions(folder: Path, stem: str) -> list[Path]:
    endings = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    return sorted(p for p in folder.glob(f"{stem}*") if p.name.endswith(endings))


def mpi4py_family(environ: Mapping[str, str] = os.environ) -> str | None:
    """Name the MPI that `import mpi4py.MPI` will load; None where it cannot be told."""
    folder = _package_folder("mpi4py")
    if folder is None:
        return None
    modules = _extensions(folder, "MPI")
    if len(modules) == 1:
        names = read_shared_object(modules[0]).needed
        return next((f for f in map(family_of, names) if f), None)
    chosen = environ.get("MPI4PY_MPIABI", "")
    if not chosen:
        # A wheel carries one module for each ABI and chooses by looking for a libmpi.
        with contextlib.suppress(Exception):
            abi = importlib.import_module("mpi4py._mpiabi")
            chosen = str(abi._get_mpiabi())
    lowered = chosen.lower()
    if "openmpi" in lowered:
        return OPEN_MPI
    return MPICH if lowered in ("mpich", "impi") else None


def h5py_mpi() -> tuple[str, str] | None:
    """Tell which MPI h5py's HDF5 is linked with.

    Returns
    -------
    (family, library) or None
        None for a serial HDF5, for no h5py, and where it cannot be told.
    """
    folder = _package_folder("h5py")
    modules = _extensions(folder, "defs") if folder else []
    if not modules:
        return None
    for name, owner in _needed_with_hdf5(read_shared_object(modules[0])):
        family = family_of(name) if "mpi" in name else None
        if family:
            return family, f"{name} (needed by {owner.name})"
    return None


def _needed_with_hdf5(module: SharedObject) -> list[tuple[str, Path]]:
    """What an extension needs, and what the HDF5 libraries among those need."""
    found = [(name, module.path) for name in module.needed]
    for name in module.needed:
        path = module.resolve(name) if name.startswith("libhdf5") else None
        if path is not None:
            found += [(inner, path) for inner in read_shared_object(path).needed]
    return found


def check_launcher(launch: Launch, library: str | None) -> None:
    """Refuse a launcher that belongs to another MPI than mpi4py.

    One process of a foreign launcher is let through where MPI can start without it; MPICH
    under Open MPI's launcher cannot, it aborts in MPI_Init.

    Raises
    ------
    InputError
        With the two families and the fix.
    """
    family = LAUNCHER_FAMILY.get(launch.launcher)
    if family is None or library is None or family == library:
        return
    if launch.size > 1 or family == OPEN_MPI:
        raise InputError(
            f"this job was started by the launcher of {family}, but mpi4py loads {library}: "
            f"each of the {launch.size} processes would run a full copy by itself. "
            f"Use the mpirun of {library}, or install an mpi4py for {family} "
            "(`mdapp doctor` shows both)"
        )


def check_world(launch: Launch, size: int, library: str) -> None:
    """Refuse a world that has fewer ranks than the launcher started processes.

    Raises
    ------
    InputError
        With both counts and the fix.
    """
    if size >= launch.size:
        return
    fix = f"use the mpirun that belongs to {library}"
    if launch.launcher == "Slurm":
        fix = (
            "choose the process manager: `srun --mpi=pmix` or `--mpi=pmi2` (`srun --mpi=list`)"
        )
    raise InputError(
        f"{launch.launcher} started {launch.size} processes, but the MPI world of this one has "
        f"{size} rank{'s' if size > 1 else ''}: each would run a full copy of the job; {fix}"
    )


def check_hdf5(library: str | None, linked: tuple[str, str] | None) -> None:
    """Refuse an h5py whose HDF5 belongs to another MPI than mpi4py.

    Raises
    ------
    InputError
        With both libraries and the fix.
    """
    if library is None or linked is None or linked[0] == library:
        return
    raise InputError(
        f"two MPI libraries would meet in one process and crash it: mpi4py uses {library}, "
        f"h5py is linked with {linked[0]}: {linked[1]}. Build h5py against {library} "
        "(`make test` shows how), or take the serial one: "
        "`pip install --force-reinstall --only-binary=:all: h5py`"
    )


def check_loaded(paths: tuple[str, ...]) -> None:
    """Refuse a process into which libraries of two MPI families have been loaded.

    Raises
    ------
    InputError
        With the files and the fix.
    """
    families = {f for f in map(family_of, paths) if f}
    if len(families) > 1:
        raise InputError(
            f"two MPI libraries are loaded in this process: {', '.join(paths)}; "
            "install mpi4py and h5py for one of them (`mdapp doctor` shows which is which)"
        )


def check_one_hdf5(paths: tuple[str, ...]) -> None:
    """Refuse a process into which two HDF5 libraries have been loaded: they share their symbols.

    Raises
    ------
    InputError
        With the files and the fix.
    """
    if len(paths) > 1:
        raise InputError(
            f"two HDF5 libraries are loaded in this process: {', '.join(paths)}; h5py may call "
            "either: import no other package with an HDF5 of its own (netCDF4, tables) in a run "
            "that writes through parallel HDF5, or install that package for the same HDF5"
        )
