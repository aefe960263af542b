"""Which rank is on which node, and which node is whose partner.

Storage of a node's own is seen by its ranks alone, so most of what levels do is done by each node
for itself: `Nodes.comm` is its communicator, and rank 0 of it, the root, acts for the node. What
all must know is told by `share`, whose cost grows with the number of nodes.

A partner is half the machine away, because nodes with near numbers tend to share what fails: a
power supply, a switch, a rack.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TypeVar

from mpi4py import MPI

from mdapp.storage.consensus import together

T = TypeVar("T")


class Nodes:
    """The nodes of a job, seen from one rank; making and freeing it is collective.

    Parameters
    ----------
    comm : all ranks
    ranks_per_node : consecutive ranks that count as a node; 0: those that share memory
    limit_s : seconds that a phase may take before the job is ended as hung

    Attributes
    ----------
    world, comm : duplicates of `comm`, and of its part on this node
    index, count : number of this node, by its lowest rank, and of all
    members : ranks in `world` of each node, in the order of their ranks on the node
    """

    def __init__(self, comm: MPI.Intracomm, ranks_per_node: int, limit_s: float):
        self.world, self._limit_s = comm.Dup(), limit_s
        part = (
            self.world.Split(self.world.rank // ranks_per_node, self.world.rank)
            if ranks_per_node
            else self.world.Split_type(MPI.COMM_TYPE_SHARED, self.world.rank)
        )
        self.comm = MPI.Intracomm(part)
        # A node is known by its lowest rank until it has a number.
        lowest = self.world.allgather(self.comm.bcast(self.world.rank, 0))
        roots = sorted(set(lowest))
        self.members = tuple(
            tuple(rank for rank, root in enumerate(lowest) if root == mine) for mine in roots
        )
        self.index, self.count = roots.index(lowest[self.world.rank]), len(roots)
        self._roots = self.world.Split(0 if self.is_root else MPI.UNDEFINED, self.world.rank)

    @property
    def is_root(self) -> bool:
        """Whether this rank acts for its node."""
        return bool(self.comm.rank == 0)

    @property
    def partner(self) -> int:
        """The node that keeps copies of this one's; itself where there is no other."""
        return (self.index + self.count // 2) % self.count

    @property
    def giver(self) -> int:
        """The node whose copies this one keeps."""
        return (self.index - self.count // 2) % self.count

    def share(self, value: T) -> list[T]:
        """What the root of each node says, in the order of nodes, on all ranks; collective."""
        told = self._roots.allgather(value) if self.is_root else None
        return list(self.comm.bcast(told, 0))

    def pass_on(self, value: T) -> T:
        """Give the root's value to the partner; returns that of the giver, on all ranks."""
        if self.is_root:
            value = self._roots.sendrecv(value, self.partner, source=self.giver)
        return self.comm.bcast(value, 0)  # type: ignore[no-any-return]

    def together(self, doing: str) -> AbstractContextManager[None]:
        """Run a block on all ranks of all nodes: it succeeds on all, or all raise the same error.

        Raises
        ------
        CheckpointError, InputError
            The gravest that any rank met.
        """
        return together(self.world, doing, self._limit_s)

    def free(self) -> None:
        """Give the communicators back; collective."""
        for comm in (self._roots, self.comm, self.world):
            if comm != MPI.COMM_NULL:
                comm.Free()
