"""What has to be decided before numpy, numba, jax or mpi4py are imported.

Those libraries read their environment once, at import: how many threads to start, where to keep
compiled code, which MPI-IO to load. `mdapp/__init__.py` therefore calls `prepare` before anything
else, and only the standard library is used here. A variable that the user has set is left alone.

Importing mdapp into somebody's notebook must stay harmless: nothing is printed, nothing raised, and
the thread counts of BLAS and OpenMP are chosen only for the `mdapp` command and for processes that
an MPI launcher started. There the choice matters: a BLAS that starts a thread for each core in each
of 64 ranks makes tests take minutes instead of seconds. Ranks come first, so BLAS gets one thread.

How many cpus belong to a rank? Its affinity mask, if the launcher bound it; the mask divided by the
ranks of the node, if all of them share it. The two look alike from inside, except that a bound
process has a smaller mask than its parent, the launcher's daemon.
"""

import os
import sys
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

from mdapp.kernel_cache import prepare_folder
from mdapp.parallel.launcher import Launch, read_launch

BLAS_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(frozen=True)
class Cpus:
    """The processors of one rank.

    Attributes
    ----------
    mask
        Cpus that this process may run on.
    bound
        Whether the launcher gave this rank a mask of its own.
    per_rank
        Cpus that belong to this rank alone, at least one.
    oversubscribed
        Whether the ranks of this node outnumber the cpus they share.
    """

    mask: tuple[int, ...]
    bound: bool
    per_rank: int
    oversubscribed: bool


def affinity(pid: int = 0) -> tuple[int, ...]:
    """Return the cpus that a process may run on; all cpus where the system cannot say."""
    try:
        return tuple(sorted(os.sched_getaffinity(pid)))
    except (AttributeError, OSError):
        return tuple(range(os.cpu_count() or 1))


def share_of(launch: Launch, mask: tuple[int, ...], parent: tuple[int, ...]) -> Cpus:
    """Divide the cpus of a node among the ranks that `launch` describes.

    Parameters
    ----------
    launch
        What the launcher said.
    mask, parent
        Affinity masks of this process and of the process that started it.
    """
    bound = launch.local_size > 1 and set(mask) < set(parent)
    sharers = 1 if bound else launch.local_size
    return Cpus(mask, bound, max(1, len(mask) // sharers), sharers > len(mask))


def read_cpus(launch: Launch) -> Cpus:
    """Read this process's share of its node."""
    return share_of(launch, affinity(), affinity(os.getppid()))


def prepare(environ: MutableMapping[str, str] = os.environ, *, command: bool = False) -> None:
    """Set the variables that libraries read at import, unless the user did.

    Parameters
    ----------
    environ
        The environment to change.
    command
        Whether this process is the `mdapp` command rather than somebody's program.
    """
    launch = read_launch(environ)
    if "numba" not in sys.modules:
        prepare_numba(environ)
    if "mpi4py.MPI" not in sys.modules:
        prepare_mpi_io(environ)
    if command or launch.launcher != "none":
        prepare_threads(environ, read_cpus(launch))
        prepare_jax(environ)


def prepare_numba(environ: MutableMapping[str, str]) -> None:
    """Allow Numba as many threads as the mask has cpus, and give it its cache folder.

    This is the size of the pool, which cannot grow later; a run then takes `threads` of them.
    """
    environ.setdefault("NUMBA_NUM_THREADS", str(len(affinity())))
    if not environ.get("NUMBA_CACHE_DIR"):
        folder = prepare_folder(environ, Path(__file__).parent)
        environ["NUMBA_CACHE_DIR"] = str(folder)


def prepare_mpi_io(environ: MutableMapping[str, str]) -> None:
    """Take ROMIO instead of OMPIO under Open MPI.

    OMPIO's collective buffering rewrites neighbours' bytes without a lock and so corrupts shared
    files (Open MPI issue 12718, present in all of 4.1). Excluding it by name works in every
    version, while the name of ROMIO changes (romio321, romio341). Other MPIs ignore the variable.
    """
    if not _user_chose_mpi_io(environ):
        environ["OMPI_MCA_io"] = "^ompio"


def _user_chose_mpi_io(environ: MutableMapping[str, str]) -> bool:
    if "OMPI_MCA_io" in environ:
        return True
    try:
        text = Path(environ.get("HOME", "/"), ".openmpi", "mca-params.conf").read_text()
    except (OSError, UnicodeDecodeError):
        return False
    keys = (line.partition("=")[0].strip() for line in text.splitlines() if "=" in line)
    return "io" in keys


def prepare_threads(environ: MutableMapping[str, str], cpus: Cpus) -> None:
    """One thread for BLAS, the rank's own cpus for OpenMP and XLA."""
    for name in BLAS_VARIABLES:
        environ.setdefault(name, "1")
    environ.setdefault("OMP_NUM_THREADS", str(cpus.per_rank))
    environ.setdefault("PJRT_NPROC", str(cpus.per_rank))


def prepare_jax(environ: MutableMapping[str, str]) -> None:
    """Let JAX use the cpus, keep what it compiles beside Numba's, and compute where it is called.

    A rank is one process on one device, and all that goes between ranks goes by MPI. The default of
    JAX, an accelerator where it finds one, would have all ranks of a node meet on it. Work handed
    to another thread, also a default, costs more than a batch of atoms saves by it.
    """
    environ.setdefault("JAX_PLATFORMS", "cpu")
    environ.setdefault("JAX_CPU_ENABLE_ASYNC_DISPATCH", "false")
    if "JAX_COMPILATION_CACHE_DIR" not in environ and environ.get("NUMBA_CACHE_DIR"):
        environ["JAX_COMPILATION_CACHE_DIR"] = str(Path(environ["NUMBA_CACHE_DIR"], "xla"))
        environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
