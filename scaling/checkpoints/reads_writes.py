"""Writing and reading back, each layout, beside the same bytes written and read plainly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from mpi4py import MPI

from mdapp.perf.memory import peak_bytes, reset_peak, resident_bytes
from mdapp.storage.files import raw
from mdapp.storage.names import step_name
from mdapp.storage.state import State
from mdapp.storage.store import CheckpointStore
from mdapp.stress.states import forget_files, layouts, random_state, slabs
from scaling.checkpoints.bench import Bench
from scaling.checkpoints.plain import (
    drop,
    on_first,
    open_store,
    read_plainly,
    write_plainly,
)


def measure_writes(bench: Bench) -> None:
    """Each layout against a plain write of the same bytes."""
    comm = bench.comm
    stores = {name: open_store(bench, name, **options) for name, options in layouts().items()}
    state = random_state(comm, bench.natoms, 1)
    bench.facts["memory"] = {
        "sync_bytes": grown(comm, lambda: stores["sharded"].write(state)),
    }
    for name, store in stores.items():
        bench.facts.setdefault("bytes_per_atom", {})[name] = bytes_per_atom(bench, store, state)
    step = [1]
    yardstick = np.empty(72 * bench.natoms if comm.rank == 0 else 0, np.uint8)
    yardstick[:] = np.resize(raw(state.fields["x"]), len(yardstick))
    plain = bench.folder / "plain"

    def write(name: str) -> None:
        step[0] += 1
        state.step = step[0]
        outcome = bench.timed(f"write {name}", lambda: stores[name].write(state))
        drop(comm, outcome)

    def write_plain() -> None:
        bench.timed("write plain", lambda: on_first(comm, write_plainly, plain, raw(yardstick)))
        on_first(comm, plain.unlink)

    bench.each_round({
        "plain": write_plain,
        **{name: lambda name=name: write(name) for name in stores},  # type: ignore[misc]
    })  # fmt: skip
    for store in stores.values():
        store.close()


def grown(comm: MPI.Intracomm, function: Callable[[], Any]) -> int:
    """Bytes by which the largest rank grew at most while a function ran."""
    reset_peak()
    before = resident_bytes()
    function()
    return int(comm.allreduce(max(peak_bytes() - before, 0), MPI.MAX))


def bytes_per_atom(bench: Bench, store: CheckpointStore, state: State) -> float:
    """Bytes on disk of a checkpoint of this layout, as `du` counts them."""
    store.write(state)
    path = store.directory / step_name(state.step)
    used = sum(p.lstat().st_blocks * 512 for p in path.rglob("*")) if bench.comm.rank == 0 else 0
    return float(bench.comm.bcast(used, 0)) / bench.natoms


def measure_reads(bench: Bench) -> None:
    """Restarts of the checkpoints that `measure_writes` left, against a plain read."""
    comm, size = bench.comm, 72 * bench.natoms
    plain = bench.folder / "plain"
    whole = np.resize(np.arange(1 << 20, dtype=np.uint8), size if comm.rank == 0 else 0)
    on_first(comm, write_plainly, plain, raw(whole))
    del whole
    stores = {name: open_store(bench, name, **options) for name, options in layouts().items()}

    def restart(name: str, axis: int, label: str) -> None:
        store = stores[name]
        on_first(comm, forget_files, store.directory)
        owner = slabs(axis, comm.size)
        bench.timed(f"read {name}{label}", lambda: store.restore(None, owner))

    def read_plain() -> None:
        on_first(comm, forget_files, plain)
        bench.timed("read plain", lambda: on_first(comm, read_plainly, plain, size))

    work: dict[str, Callable[[], None]] = {
        name: lambda name=name: restart(name, 0, "")  # type: ignore[misc]
        for name in stores
    }
    if comm.size > 1:
        work["other"] = lambda: restart("sharded", 1, ", other owners")
    bench.each_round({"plain": read_plain, **work})
    for store in stores.values():
        store.close()
    on_first(comm, plain.unlink)
