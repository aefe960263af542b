"""The only door to MPI for commands: import mpi4py, but look before and after.

`from mpi4py import MPI` initialises MPI, and what is wrong with the launch shows then as an abort,
as a crash in HDF5 minutes later, or as N copies of one job that overwrite each other's files.
`world` checks what can be known before the import, then compares MPI's view with the launcher's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mdapp.errors import InputError
from mdapp.parallel.launcher import read_launch
from mdapp.parallel.libraries import (
    check_hdf5,
    check_launcher,
    check_loaded,
    check_world,
    family_of,
    h5py_mpi,
    library_title,
    loaded_libraries,
    mpi4py_family,
)

if TYPE_CHECKING:
    from mpi4py import MPI


def world() -> MPI.Intracomm:
    """Initialise MPI and return `MPI.COMM_WORLD`.

    Raises
    ------
    InputError
        mpi4py cannot be loaded, the launcher belongs to another MPI, fewer ranks exist than
        processes were started, or h5py is linked with another MPI. Raised by every process.
    """
    launch = read_launch()
    check_launcher(launch, mpi4py_family())
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"mpi4py cannot load an MPI library ({str(error).splitlines()[0]}); load the "
            "cluster's MPI module, install openmpi-bin, or `pip install mpich`"
        ) from error
    version = library_title(MPI.Get_library_version())
    check_world(launch, MPI.COMM_WORLD.size, version)
    check_hdf5(family_of(version), h5py_mpi())
    check_loaded(loaded_libraries())
    return MPI.COMM_WORLD
