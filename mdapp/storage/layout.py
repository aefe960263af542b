"""Who shares a file: the only difference between the layouts.

A rank writes its own slab of a file that a group of ranks shares. Groups of one rank make the
layout `sharded`, groups of a node or of N ranks `aggregated`, one group of all ranks `shared`. All
else (how files are made, where slabs lie, how they are read) does not know which it is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import h5py
from mpi4py import MPI

from mdapp.errors import InputError
from mdapp.storage.names import shard_path
from mdapp.storage.options import CheckpointOptions

MANY_RANKS = 4096


@dataclass(frozen=True)
class Group:
    """The ranks that share a file, seen from one of them.

    Attributes
    ----------
    comm : the ranks of the group; its rank 0 owns the file
    index, count : number of the file, and of all files
    nodes : number of nodes of the job
    layout : sharded, aggregated or shared
    """

    comm: MPI.Comm
    index: int
    count: int
    nodes: int
    layout: str

    @property
    def path(self) -> str:
        """File of the group, relative to the checkpoint."""
        return shard_path(self.index)

    @property
    def owns(self) -> bool:
        """Whether this rank makes the file."""
        return self.comm.rank == 0


def resolved_layout(options: CheckpointOptions, ranks: int) -> tuple[str, str | int]:
    """Layout and group of `options` for a number of ranks; the group is "node" or a number."""
    layout = options.layout
    if layout == "auto":
        return ("sharded", 1) if ranks <= MANY_RANKS else ("aggregated", "node")
    if layout == "sharded":
        return layout, 1 if options.shard_by == "rank" else "node"
    return layout, ranks if layout == "shared" else options.group


def make_group(comm: MPI.Intracomm, options: CheckpointOptions, node: int | None = None) -> Group:
    """Divide the ranks into groups that share a file; collective.

    Parameters
    ----------
    node
        Number of this rank's node, where it is known better than by shared memory.
    """
    layout, size = resolved_layout(options, comm.size)
    same_node = (
        comm.Split_type(MPI.COMM_TYPE_SHARED, comm.rank)
        if node is None
        else comm.Split(node, comm.rank)
    )
    nodes, node_index = _number(comm, same_node)
    color = node_index if size == "node" else comm.rank // int(size)
    same_node.Free()
    group = comm.Split(color, comm.rank)
    count, index = _number(comm, group)
    return Group(group, index, count, nodes, layout)


def _number(comm: MPI.Intracomm, part: MPI.Comm) -> tuple[int, int]:
    """Count the parts into which `comm` was split, and number this one by its lowest rank."""
    leader = int(part.rank == 0)
    before = comm.exscan(leader)
    index = part.bcast(int(before or 0) if leader else None, 0)
    return int(comm.allreduce(leader)), int(index)


def resolved_engine(options: CheckpointOptions) -> str:
    """Engine of `options`, checked against what this installation can do.

    Raises
    ------
    InputError
        The layout needs a parallel HDF5, or a trustworthy MPI-IO, and there is none.
    """
    engine = options.engine
    if engine == "auto":
        engine = "mpio-independent" if options.layout == "shared" else "pwrite"
    if engine.startswith("mpio"):
        _check_mpio(engine, options)
    return engine


def _check_mpio(engine: str, options: CheckpointOptions) -> None:
    if not h5py.get_config().mpi:
        raise InputError(
            f'checkpoint.layout = "shared": engine {engine} needs an h5py that is built with MPI, '
            f"and this one (h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version}) is not: "
            'set checkpoint.engine = "pwrite" where all nodes see one coherent file system, or '
            'checkpoint.layout = "aggregated"; `mdapp doctor` says how to build h5py'
        )
    if options.mode == "async":
        raise InputError(
            f'checkpoint.mode = "async": not with engine {engine}, because MPI-IO cannot run '
            'beside the run\'s own messages; set checkpoint.engine = "pwrite"'
        )
    chosen = os.environ.get("OMPI_MCA_io", "")  # noqa: SIM112 (Open MPI's own spelling)
    if "Open MPI" in MPI.Get_library_version() and "romio" not in chosen and chosen != "^ompio":
        raise InputError(
            f"checkpoint.engine = {engine!r}: OMPI_MCA_io={chosen!r} selects OMPIO, which can "
            "corrupt shared files (Open MPI issue 12718): unset OMPI_MCA_io, or set it to ^ompio"
        )
