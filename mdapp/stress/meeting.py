"""Ranks that meet between phases, without hanging a signal or burning a core.

A blocking MPI call holds Python's signal handlers back until it returns, so a rank that waits for a
slow one could not be interrupted; and it polls with all its core, which the slow one may need. Here
the request is non-blocking and looked at: often in the first milliseconds, so that all ranks leave
together, then with pauses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

EAGER_S, PAUSE_S = 0.002, 0.0005
T = TypeVar("T")


class Meeting:
    """Collective calls of a phase.

    Attributes
    ----------
    comm : the ranks
    rank, size : of this one, of all
    per_node, nodes : the most ranks that share memory, and how many such groups there are
    interrupted : set by whoever handles signals; nobody waits any more then, even where the
        exception of the signal was lost in a callback of a library
    """

    def __init__(self, comm: MPI.Intracomm):
        self.comm, self.rank, self.size = comm, comm.rank, comm.size
        self.interrupted = False
        node = comm.Split_type(MPI.COMM_TYPE_SHARED, comm.rank)
        self.per_node = int(comm.allreduce(node.size, MPI.MAX))
        self.nodes = int(comm.allreduce(int(node.rank == 0)))
        node.Free()

    def wait(self, request: MPI.Request) -> None:
        """Wait for a request; a signal gets through."""
        began = time.perf_counter()
        while not request.Test() or self.interrupted:
            if self.interrupted:
                raise KeyboardInterrupt
            if time.perf_counter() - began > EAGER_S:
                time.sleep(PAUSE_S)

    def barrier(self) -> None:
        """Leave when all have come."""
        self.wait(self.comm.Ibarrier())

    def reduce(self, values: Sequence[float] | NDArray[Any], op: MPI.Op) -> NDArray[np.float64]:
        """Reduce numbers to all ranks."""
        mine = np.array(values, np.float64)
        result = np.empty_like(mine)
        self.wait(self.comm.Iallreduce(mine, result, op))
        return result

    def gather(self, value: T) -> list[T]:
        """Objects of all ranks, on all of them."""
        self.barrier()
        return self.comm.allgather(value)

    def on_root(self, function: Callable[[], T]) -> T:
        """What rank 0 returns, on all ranks; an error of it is raised on all."""
        from mdapp.parallel.agree import settle

        result, failure = None, None
        if self.rank == 0:
            try:
                result = function()
            except Exception as error:
                failure = error
        self.barrier()
        settle(self.comm, failure)
        return self.comm.bcast(result, 0)  # type: ignore[no-any-return]
