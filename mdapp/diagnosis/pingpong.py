"""`mdapp doctor --pingpong`: what a message costs, from 0 B to 4 MiB, and a reduction of 8 B.

The first and the last rank send a message to and fro while the others wait; then all ranks do so in
pairs across the middle, which shows what they share. Half a round trip is

    t(s) = 2 o + L + s G                                  LogGP

with o the time of a core for a message, L the latency, G the time of a byte. o is measured by
itself, as the time that posting an empty message takes; G is the slope between 64 KiB and 4 MiB.

A. Alexandrov et al., J. Parallel Distrib. Comput. 44, 71 (1997), doi:10.1006/jpdc.1997.1346.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mdapp.diagnosis.verdict import Verdict
from mdapp.errors import InputError

if TYPE_CHECKING:
    from mpi4py import MPI

SIZES = (0, 8, 64, 512, 4096, 32_768, 65_536, 262_144, 1_048_576, 4_194_304)
BATCHES = 5
BATCH_S = 0.01
SLOPE = (65_536, 4_194_304)
POSTED = 64


def measure(comm: MPI.Intracomm) -> dict[str, Any]:
    """Measure; collective, a second or two. The same answer on all ranks.

    Returns
    -------
    dict
        `rows`: bytes, half a round trip of one pair and of all pairs at once, s; `o_s`, `L_s`,
        `G_s_per_byte` of one pair; `G_all_s_per_byte` of all; `allreduce_s`; `ranks`, `same_node`.

    Raises
    ------
    InputError
        There is one rank only.
    """
    from mpi4py import MPI

    if comm.size < 2:
        raise InputError("--pingpong: needs two ranks at least: mpirun -n 2 mdapp doctor "
                         "--pingpong; put them where messages of a run will go")
    one = _times(comm, {0: comm.size - 1, comm.size - 1: 0})
    half = comm.size // 2
    pairs = {r: r + half for r in range(half)} | {r + half: r for r in range(half)}
    every = _times(comm, pairs)
    overhead = comm.bcast(_posting(comm), 0)
    gap, gap_all = _slope(one), _slope(every)
    hosts = comm.allgather(MPI.Get_processor_name())
    return {
        "ranks": comm.size, "same_node": hosts[0] == hosts[-1], "nodes": len(set(hosts)),
        "rows": [{"bytes": s, "one_pair_s": a, "all_pairs_s": b}
                 for s, a, b in zip(SIZES, one, every, strict=True)],
        "o_s": overhead, "L_s": max(one[0] - 2 * overhead, 0.0),
        "G_s_per_byte": gap, "G_all_s_per_byte": max(gap, gap_all),
        "allreduce_s": _reduction(comm),
    }  # fmt: skip


def _times(comm: MPI.Intracomm, partners: dict[int, int]) -> list[float]:
    """Half a round trip of each size, s: the least of some batches, the slowest pair's."""
    from mpi4py import MPI

    found = []
    for size in SIZES:
        buffer = np.zeros(size, np.uint8)
        other = partners.get(comm.rank)
        repeats = 4
        while True:
            comm.Barrier()
            taken = comm.allreduce(_batch(comm, buffer, other, repeats), MPI.MAX)
            if taken > BATCH_S or repeats > 20_000:
                break
            repeats = 4 * repeats
        best = np.inf
        for _ in range(BATCHES):
            comm.Barrier()
            best = min(best, _batch(comm, buffer, other, repeats))
        mine = best / (2 * repeats) if other is not None else 0.0
        found.append(float(comm.allreduce(mine, MPI.MAX)))
    return found


def _batch(comm: MPI.Intracomm, buffer: Any, other: int | None, repeats: int) -> float:
    """Seconds of some round trips with a partner; 0 without one."""
    if other is None:
        return 0.0
    began = time.perf_counter()
    for _ in range(repeats):
        if comm.rank < other:
            comm.Send(buffer, other)
            comm.Recv(buffer, other)
        else:
            comm.Recv(buffer, other)
            comm.Send(buffer, other)
    return time.perf_counter() - began


def _posting(comm: MPI.Intracomm) -> float:
    """Seconds that the first rank needs to post an empty message to the last."""
    from mpi4py import MPI

    empty, best = np.zeros(0, np.uint8), np.inf
    for _ in range(BATCHES):
        comm.Barrier()
        requests = []
        began = time.perf_counter()
        if comm.rank == 0:
            requests = [comm.Isend(empty, comm.size - 1) for _ in range(POSTED)]
            best = min(best, (time.perf_counter() - began) / POSTED)
        elif comm.rank == comm.size - 1:
            requests = [comm.Irecv(empty, 0) for _ in range(POSTED)]
        MPI.Request.Waitall(requests)
    return best


def _reduction(comm: MPI.Intracomm) -> float:
    """Seconds of a reduction of eight bytes over all ranks."""
    from mpi4py import MPI

    value, best = np.zeros(1), np.inf
    for _ in range(BATCHES):
        comm.Barrier()
        began = time.perf_counter()
        for _ in range(200):
            comm.Allreduce(MPI.IN_PLACE, value, MPI.MAX)
        best = min(best, (time.perf_counter() - began) / 200)
    return float(comm.allreduce(best, MPI.MAX))


def _slope(times: Sequence[float]) -> float:
    low, high = (SIZES.index(size) for size in SLOPE)
    return max((times[high] - times[low]) / (SLOPE[1] - SLOPE[0]), 0.0)


def verdicts(found: dict[str, Any]) -> Iterator[Verdict]:
    """What was measured, in two lines."""
    where = "on one node" if found["same_node"] else "between nodes"
    yield Verdict("ping-pong", "ok", (
        f"{where}: o {1e6 * found['o_s']:.2f} us, L {1e6 * found['L_s']:.2f} us, "
        f"{_bandwidth(found['G_s_per_byte'])}; with all {found['ranks']} ranks at once "
        f"{_bandwidth(found['G_all_s_per_byte'])} each"))
    yield Verdict("allreduce", "ok",
                  f"8 B over {found['ranks']} ranks: {1e6 * found['allreduce_s']:.2f} us")


def _bandwidth(gap: float) -> str:
    return f"{1e-9 / gap:.2f} GB/s" if gap else "no time for a byte"


def table_lines(found: dict[str, Any]) -> Iterator[str]:
    """Half round trips, for people."""
    yield f"{'bytes':>9} {'one pair, us':>14} {'all pairs, us':>14}"
    for row in found["rows"]:
        yield (f"{row['bytes']:>9} {1e6 * row['one_pair_s']:>14.3f} "
               f"{1e6 * row['all_pairs_s']:>14.3f}")
