"""What the program that started this process says about the job, from its environment alone.

Standard library only: this is read before numpy or mpi4py may be imported. A launcher states how
many processes it started; MPI states how many ranks its world has. The two differ when the
launcher belongs to another MPI than the library, and then every process believes that it is rank 0
of 1 and runs a full copy of the job. Only variables that a launcher gives to *the processes it
starts* are read: `SLURM_NTASKS` or `PBS_NP` also stand in a batch script, which is one process.
"""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Launch:
    """One process's place in its job; a process that nobody launched is rank 0 of 1."""

    launcher: str
    size: int
    rank: int
    local_size: int
    local_rank: int


@dataclass(frozen=True)
class _Variables:
    launcher: str
    size: str
    rank: str
    local_size: str
    local_rank: str


# In order of precedence: an mpirun inside a Slurm step is what started the processes.
_LAUNCHERS = (
    _Variables(
        "Open MPI",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_LOCAL_SIZE",
        "OMPI_COMM_WORLD_LOCAL_RANK",
    ),
    _Variables(
        "MVAPICH",
        "MV2_COMM_WORLD_SIZE",
        "MV2_COMM_WORLD_RANK",
        "MV2_COMM_WORLD_LOCAL_SIZE",
        "MV2_COMM_WORLD_LOCAL_RANK",
    ),
    _Variables("MPICH", "PMI_SIZE", "PMI_RANK", "MPI_LOCALNRANKS", "MPI_LOCALRANKID"),
    _Variables("Slurm", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "", "SLURM_LOCALID"),
    _Variables("Flux", "FLUX_JOB_SIZE", "FLUX_TASK_RANK", "", "FLUX_TASK_LOCAL_ID"),
)


def _integer(environ: Mapping[str, str], name: str) -> int | None:
    value = environ.get(name, "") if name else ""
    return int(value) if value.isdecimal() else None


def read_launch(environ: Mapping[str, str] = os.environ) -> Launch:
    """Read the launcher's variables.

    Returns
    -------
    Launch
        With ``launcher == "none"`` and one process where no launcher left its variables.
    """
    for names in _LAUNCHERS:
        size, rank = _integer(environ, names.size), _integer(environ, names.rank)
        if size is None or rank is None:
            continue
        local_size = _integer(environ, names.local_size)
        if local_size is None:
            local_size = _slurm_local_size(environ) if names.launcher == "Slurm" else None
        local_rank = _integer(environ, names.local_rank) or 0
        return Launch(names.launcher, size, rank, local_size or size, local_rank)
    return Launch("none", 1, 0, 1, 0)


def _slurm_local_size(environ: Mapping[str, str]) -> int | None:
    """Tasks on this node: Slurm writes the list as `4(x2),3`, nodes in order."""
    node = _integer(environ, "SLURM_NODEID")
    listed = environ.get("SLURM_STEP_TASKS_PER_NODE", "")
    if node is None or not listed:
        return None
    counts: list[int] = []
    for count, repeat in re.findall(r"(\d+)(?:\(x(\d+)\))?", listed):
        counts += [int(count)] * int(repeat or 1)
    return counts[node] if node < len(counts) else None


def mpirun_command(ranks: int, launcher: str | None = None) -> list[str]:
    """Build the command that starts `ranks` processes on this machine.

    Raises
    ------
    FileNotFoundError
        No `mpirun` is on the PATH.
    """
    found = launcher or shutil.which("mpirun")
    if found is None:
        raise FileNotFoundError("mpirun is not on the PATH")
    return [found, "-n", str(ranks)]


def mpirun_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Build the environment in which `mpirun` may run as root, with more ranks than cores.

    Open MPI takes both as variables, 4.x under one name and 5.x under another; other launchers
    ignore them. Ranks that outnumber the cores must give up their core while they wait, or a
    message costs a scheduler slice. Variables of a launcher that started *this* process are
    left out: an mpirun that sees them takes itself for a part of the outer job.
    """
    outer = ("OMPI_", "PMIX_", "PRTE_", "PMI_", "MPI_LOCAL", "HYDI_", "HYDRA_")
    inside = read_launch(environ).launcher in ("Open MPI", "MPICH")
    env = {k: v for k, v in environ.items() if not (inside and k.startswith(outer))}
    env |= {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "OMPI_MCA_hwloc_base_binding_policy": "none",
        "OMPI_MCA_mpi_yield_when_idle": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
        "PRTE_MCA_hwloc_default_binding_policy": "none",
    }
    return env
