"""Who shares a file: layouts, groups of nodes, and the map of ranks to nodes."""


import pytest
from mpi4py import MPI

from mdapp.errors import InputError
from mdapp.storage.layout import make_group, resolved_engine, resolved_layout
from mdapp.storage.options import CheckpointOptions

PROGRAM = """
import mdapp, sys
from mpi4py import MPI
from mdapp.storage.layout import make_group
from mdapp.storage.options import CheckpointOptions
comm = MPI.COMM_WORLD
def group(node, **options):
    g = make_group(comm, CheckpointOptions(**options), node)
    told = comm.gather((g.index, g.comm.rank, g.leads_node))
    runs = comm.gather(g.ranks_of_nodes)
    if comm.rank == 0:
        assert not any(runs[1:])
        print(told, g.count, g.nodes, g.across, runs[0])
half, odd = comm.rank // 2, comm.rank % 2
group(half, layout="sharded", shard_by="node")
group(odd, layout="aggregated")
group(half, layout="aggregated", group=4)
group(half, layout="aggregated", group=2)
group(min(comm.rank, 1), layout="aggregated")
group(0, layout="shared", engine="pwrite")
group(7 - comm.rank, layout="sharded")
"""

HALVES = "[(0, 0, True), (0, 1, False), (1, 0, True), (1, 1, False)]"
EXPECTED = [
    f"{HALVES} 2 2 False ((0, 2, 2),)",
    "[(0, 0, True), (1, 0, True), (0, 1, False), (1, 1, False)] 2 2 False "
    "((0, 2, 1), (0, 2, 1))",
    "[(0, 0, True), (0, 1, False), (0, 2, True), (0, 3, False)] 1 2 True ((0, 2, 2),)",
    f"{HALVES} 2 2 False ((0, 2, 2),)",
    "[(0, 0, True), (1, 0, True), (1, 1, False), (1, 2, False)] 2 2 False ((0, 1, 1), (1, 1, 3))",
    "[(0, 0, True), (0, 1, False), (0, 2, False), (0, 3, False)] 1 1 False ((0, 1, 4),)",
    "[(0, 0, True), (1, 0, True), (2, 0, True), (3, 0, True)] 4 4 False ((0, 4, 1),)",
]


def test_groups_of_nodes(mpirun) -> None:
    end = mpirun(4, ["-c", PROGRAM])
    assert end.code == 0, end.stderr
    assert end.stdout.splitlines() == EXPECTED


def test_one_rank() -> None:
    group = make_group(MPI.COMM_SELF, CheckpointOptions())
    assert (group.nodes, group.across, group.ranks_of_nodes) == (1, False, ((0, 1, 1),))


@pytest.mark.parametrize(("options", "ranks", "expected"), [
    ({}, 10**6, ("sharded", 1)),
    ({"layout": "auto"}, 4096, ("sharded", 1)),
    ({"layout": "auto"}, 4097, ("aggregated", "node")),
    ({"shard_by": "node"}, 8, ("sharded", "node")),
    ({"layout": "aggregated"}, 8, ("aggregated", "node")),
    ({"layout": "aggregated", "group": 4}, 8, ("aggregated", 4)),
    ({"layout": "shared"}, 8, ("shared", 8)),
])  # fmt: skip
def test_layouts(options: dict, ranks: int, expected: tuple) -> None:
    assert resolved_layout(CheckpointOptions(**options), ranks) == expected


@pytest.mark.parametrize(("options", "engine"), [
    ({"transport": "collect"}, "pwrite"),               # a file a rank: nobody to collect from
    ({"transport": "collect", "shard_by": "node"}, "collect"),
    ({"transport": "collect", "layout": "aggregated"}, "collect"),
    ({"transport": "collect", "layout": "shared"}, "collect"),
    ({"transport": "pwrite", "layout": "shared"}, "pwrite"),
    ({"transport": "pwrite", "layout": "aggregated"}, "pwrite"),
    ({"transport": "collect", "mode": "async"}, "pwrite"),
])  # fmt: skip
def test_transports(options: dict, engine: str) -> None:
    assert resolved_engine(CheckpointOptions(**options)) == engine


@pytest.mark.parametrize(("table", "message"), [
    ({"transport": "colect"}, "transport = 'colect': must be one of .* did you mean 'collect'"),
    ({"transport": "collect", "engine": "h5py"}, 'only with checkpoint.engine = "auto" or'),
    ({"transport": "collect", "layout": "aggregated", "mode": "async"}, "sends no messages"),
])  # fmt: skip
def test_contradictions(table: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        CheckpointOptions.from_table(table)
