"""Who shares a file: the only difference between the layouts.

A rank writes its own slab of a file that a group of ranks shares. Groups of one rank make the
layout `sharded`, groups of a node or of N ranks `aggregated`, one group of all ranks `shared`. All
else (how files are made, where slabs lie, how they are read) does not know which it is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import h5py
import numpy as np
from mpi4py import MPI

from mdapp.errors import InputError
from mdapp.parallel.libraries import LIBHDF5, check_loaded, check_one_hdf5, loaded_libraries
from mdapp.storage.names import shard_path
from mdapp.storage.options import CheckpointOptions

MANY_RANKS = 4096
COLLECT = "collect"
# Without data sieving and without its worst collective component, OMPIO rewrites no neighbours.
TAMED_OMPIO = {"OMPI_MCA_fbtl_posix_write_datasieving": "0", "OMPI_MCA_fcoll": "^vulcan"}


@dataclass(frozen=True)
class Group:
    """The ranks that share a file, seen from one of them.

    Attributes
    ----------
    comm : the ranks of the group; its rank 0 owns the file
    index, count : number of the file, and of all files
    nodes : number of nodes of the job
    layout : sharded, aggregated or shared
    leads_node : whether this is the lowest rank of its node
    across : whether any file of the job is shared by ranks of several nodes
    ranks_of_nodes : on rank 0 the nodes of all ranks in the order of ranks, as runs (node, nodes,
        ranks): from `node` on, so many nodes in turn have so many ranks each; empty elsewhere
    """

    comm: MPI.Intracomm
    index: int
    count: int
    nodes: int
    layout: str
    leads_node: bool
    across: bool
    ranks_of_nodes: tuple[tuple[int, int, int], ...]

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
    leads_node = same_node.rank == 0
    color = node_index if size == "node" else comm.rank // int(size)
    same_node.Free()
    group = MPI.Intracomm(comm.Split(color, comm.rank))
    count, index = _number(comm, group)
    across = group.allreduce(node_index, MPI.MIN) != group.allreduce(node_index, MPI.MAX)
    return Group(
        group, index, count, nodes, layout, leads_node, bool(comm.allreduce(across, MPI.LOR)),
        _node_runs(comm, node_index),
    )  # fmt: skip


def _node_runs(comm: MPI.Intracomm, node: int) -> tuple[tuple[int, int, int], ...]:
    """On rank 0: runs (node, nodes, ranks); one if ranks are placed as they usually are."""
    nodes = np.empty(comm.size if comm.rank == 0 else 0, np.int32)
    comm.Gather(np.array([node], np.int32), nodes)
    begins = np.flatnonzero(np.diff(nodes, prepend=-1))
    runs: list[tuple[int, int, int]] = []
    for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(nodes)], strict=False):
        here, ranks = int(nodes[begin]), end - begin
        if runs and (sum(runs[-1][:2]), runs[-1][2]) == (here, ranks):
            runs[-1] = runs[-1][0], runs[-1][1] + 1, ranks
        else:
            runs.append((here, 1, ranks))
    return tuple(runs)


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
        by_mpi = options.layout == "shared" and options.transport == "auto"
        engine = "mpio-independent" if by_mpi else "pwrite"
    if engine.startswith("mpio"):
        _check_mpio(engine, options)
    collects = options.transport == "collect" and options.shares_files
    return COLLECT if engine == "pwrite" and collects else engine


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
    check_loaded(loaded_libraries())
    check_one_hdf5(loaded_libraries(LIBHDF5))
    if "Open MPI" in MPI.Get_library_version():
        _check_ompio(engine, options, os.environ)


def _check_ompio(engine: str, options: CheckpointOptions, environ: Mapping[str, str]) -> None:
    """Refuse Open MPI's own MPI-IO, unless it is allowed and tamed."""
    chosen = environ.get("OMPI_MCA_io", "")
    if "romio" in chosen or chosen == "^ompio":
        return
    here = f"checkpoint.engine = {engine!r}: OMPI_MCA_io={chosen!r} selects OMPIO, which can "
    here += "corrupt shared files (Open MPI issue 12718): "
    if not options.allow_ompio:
        raise InputError(f"{here}unset OMPI_MCA_io, or set it to ^ompio")
    missing = [f"{k}={v}" for k, v in TAMED_OMPIO.items() if environ.get(k) != v]
    if missing:
        raise InputError(f"{here}with checkpoint.allow_ompio = true also set {' '.join(missing)}")
