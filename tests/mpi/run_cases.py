"""Runs decks on the first p of the ranks it was started with, one after the other.

    mpirun -n 8 python run_cases.py cases.json

A case is {name, deck, overrides, ranks, steps}; rank 0 leaves NAME.npz with the state by id before
and after, and NAME.json with thermo rows, hash and counts.  Starting Python on eight ranks takes
longer than most cases, so many share one start.
"""

import json
import sys
import time
import traceback
from pathlib import Path

import mdapp  # noqa: F401  isort: skip

import numpy as np
from mpi4py import MPI

from mdapp.cli.inputs import load_input
from mdapp.simulation import Simulation


def gathered(sim: Simulation) -> dict[str, np.ndarray]:
    """State by id: id, unwrapped x, v, f, type."""
    atoms, n = sim.atoms, sim.atoms.nlocal
    mine = {
        "id": atoms.id[:n],
        "x": atoms.x[:n] + atoms.image[:n] * sim.box.lengths,
        "v": atoms.v[:n],
        "f": atoms.f[:n],
        "type": atoms.type[:n],
    }
    parts = sim.comm.gather({name: array.copy() for name, array in mine.items()})
    if parts is None:
        return {}
    whole = {name: np.concatenate([part[name] for part in parts]) for name in mine}
    order = np.argsort(whole["id"], kind="stable")
    return {name: array[order] for name, array in whole.items()}


def run(case: dict, comm: MPI.Comm) -> None:
    sim = Simulation(
        load_input(Path(case["deck"]), case.get("overrides", ())), comm, out=case["name"]
    )
    sim.run(0)
    before = gathered(sim)
    sim.run(case["steps"])
    after = gathered(sim)
    owned, ghosts = comm.gather(sim.atoms.nlocal), comm.gather(sim.atoms.nghost)
    state_hash = sim.state_hash
    sim.outputs.close()
    if comm.rank == 0:
        arrays = {f"{name}0": array for name, array in before.items()} | after
        np.savez(f"{case['name']}.npz", **arrays)
        facts = {
            "thermo": sim.thermo.rows,
            "state_hash": state_hash,
            "owned": owned,
            "ghosts": ghosts,
            "grid": list(sim.grid.shape),
            "builds": sim.trigger.builds,
            "dangerous": sim.trigger.dangerous,
        }
        Path(f"{case['name']}.json").write_text(json.dumps(facts))


def wait_for_all(comm: MPI.Comm) -> None:
    """A barrier that leaves the cores to the ranks that work."""
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(0.002)


def main() -> None:
    world = MPI.COMM_WORLD
    for case in json.loads(Path(sys.argv[1]).read_text()):
        comm = world.Split(0 if world.rank < case["ranks"] else MPI.UNDEFINED)
        if comm != MPI.COMM_NULL:
            try:
                run(case, comm)
            except BaseException:
                sys.stderr.write(
                    f"case {case['name']}, rank {world.rank}\n{traceback.format_exc()}"
                )
                sys.stderr.flush()
                world.Abort(1)
            comm.Free()
        wait_for_all(world)


main()
