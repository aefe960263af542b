"""Runs cases on the first p of the ranks it was started with, one after the other.

    mpirun -n 8 python -m mdapp.validate.rank_program FOLDER

FOLDER/cases.json lists them: name, tables of a deck, ranks, steps, and perhaps the checkpoint to go
on from. Rank 0 of a case leaves NAME.npz, the state by id before and after, and NAME.json; a case
that the engine refuses leaves its message. Starting Python on eight ranks takes longer than most
cases, so many share one start. An error that not all ranks share ends them all: the others would
wait for its messages for ever.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, cast

import mdapp  # noqa: F401  isort: skip

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from mdapp.deck.loading import build_deck
from mdapp.parallel.agree import is_agreed
from mdapp.simulation import Simulation


def gathered(sim: Simulation) -> dict[str, NDArray[Any]]:
    """State by id on rank 0: id, unwrapped x, v, f; on others nothing."""
    atoms, n = sim.atoms, sim.atoms.nlocal
    mine = {"id": atoms.id[:n], "x": atoms.x[:n] + atoms.image[:n] * sim.box.lengths,
            "v": atoms.v[:n], "f": atoms.f[:n]}
    parts = sim.comm.gather({name: array.copy() for name, array in mine.items()})
    if parts is None:
        return {}
    whole = {name: np.concatenate([part[name] for part in parts]) for name in mine}
    order = np.argsort(whole["id"], kind="stable")
    return {name: array[order] for name, array in whole.items()}


def totals(sim: Simulation) -> tuple[float, list[float]]:
    """Energy and virial of all ranks."""
    assert sim.result is not None and sim.result.virial is not None
    parts = sim.comm.allgather((float(sim.result.energy), np.asarray(sim.result.virial)))
    return float(sum(e for e, _ in parts)), np.sum([w for _, w in parts], axis=0).tolist()


def run(case: dict[str, Any], comm: MPI.Intracomm, folder: Path) -> None:
    """One case."""
    out = folder / case.get("out", case["name"])
    if comm.rank == 0:
        out.mkdir(exist_ok=True)
    comm.Barrier()
    sim = Simulation(build_deck(case["tables"]), comm, out=out, restart=case.get("restart"))
    facts: dict[str, Any] = {"hash0": sim.state_hash}
    sim.run(0)
    before = gathered(sim)
    facts["energy"], facts["virial"] = totals(sim)
    sim.run()
    after = gathered(sim)
    facts |= {"hash": sim.state_hash, "step": sim.step, "grid": list(sim.grid.shape),
              "owned": comm.gather(sim.atoms.nlocal), "dangerous": sim.trigger.dangerous}
    sim.close()
    if comm.rank == 0:
        arrays = {f"{name}0": array for name, array in before.items()} | after
        np.savez(folder / f"{case['name']}.npz", **arrays)  # type: ignore[arg-type]
        leave(folder, case, facts)


def leave(folder: Path, case: dict[str, Any], facts: dict[str, Any]) -> None:
    """Write what is to be known of a case."""
    (folder / f"{case['name']}.json").write_text(json.dumps(facts), encoding="utf-8")


def wait_for_all(comm: MPI.Intracomm) -> None:
    """A barrier that leaves the cores to the ranks that work."""
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(0.002)


def main() -> None:
    """See the head of the module."""
    world, folder = MPI.COMM_WORLD, Path(sys.argv[1])
    for case in json.loads((folder / "cases.json").read_text(encoding="utf-8")):
        color = 0 if world.rank < case["ranks"] else MPI.UNDEFINED
        comm = cast(MPI.Intracomm, world.Split(color))
        if comm != MPI.COMM_NULL:
            try:
                run(case, comm, folder)
            except Exception as error:
                told = (str(error).strip().splitlines() or [""])[0]
                facts = {"error": f"{type(error).__name__}: {told}"}
                if comm.rank == 0 or not is_agreed(error, comm.size):
                    leave(folder, case, facts)
                if not is_agreed(error, comm.size) and comm.size > 1:
                    world.Abort(1)
            comm.Free()
        wait_for_all(world)


if __name__ == "__main__":
    main()
