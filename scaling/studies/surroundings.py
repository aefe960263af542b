"""What every rank sees of its machine, gathered before anything is measured.

Two runs on equally many ranks can differ by integer factors when the ranks of a node do; a number
without its layout cannot be compared with anything. Of the environment only variables of launchers
and thread pools are kept, by an allow-list, so that no secret gets into a file.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

from mdapp.diagnosis.machine import rank_report
from mdapp.parallel.launcher import read_launch
from mdapp.parallel.libraries import library_title
from mdapp.perf.environment import read_environment

if TYPE_CHECKING:
    from mpi4py import MPI

THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER", "OPENBLAS_NUM_THREADS",
           "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "XLA_FLAGS", "PJRT_NPROC", "JAX_PLATFORMS")
LAUNCHERS = ("SLURM_JOB_ID", "SLURM_JOB_NODELIST", "SLURM_NNODES", "SLURM_NTASKS_PER_NODE",
             "SLURM_CPUS_PER_TASK", "SLURM_CPU_BIND", "SLURM_DISTRIBUTION", "PBS_JOBID",
             "PBS_NUM_NODES", "FLUX_JOB_ID", "FLUX_JOB_SIZE", "FLUX_JOB_NNODES",
             "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS")


def surroundings(comm: MPI.Intracomm) -> dict[str, Any]:
    """Describe machine, software and layout; collective. The same on all ranks."""
    from mpi4py import MPI

    mine = rank_report(read_launch()).as_json()
    every: list[dict[str, Any]] = comm.allgather(mine)
    hosts = Counter(rank["host"] for rank in every)
    here = read_environment().as_json() if comm.rank == 0 else None
    environment: dict[str, Any] = comm.bcast(here)
    return {
        **environment,
        "mpi": library_title(MPI.Get_library_version()),
        "nodes": len(hosts), "ranks_per_node": max(hosts.values()),
        "host_first": every[0]["host"],
        "bound": all(rank["cpus"]["bound"] for rank in every) or comm.size == 1,
        "oversubscribed": any(rank["cpus"]["oversubscribed"] for rank in every),
        "masks": [rank["cpus"]["mask"] for rank in every] if comm.size <= 256 else [],
        "variables": {name: os.environ[name] for name in (*THREADS, *LAUNCHERS)
                      if name in os.environ},
    }  # fmt: skip
