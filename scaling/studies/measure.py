"""One launch of a point, from the inside: a warm-up window, then the window that counts.

Every launch is a process of its own, so that points cannot warm each other's caches or inherit a
thread pool. Import, compilation and set-up are reported apart. The time of a step is that between
two barriers, the longest of all ranks, over the number of steps.

Did the ranks have their cores to themselves? The kernel counts how long a core was busy; what the
rank did not use went to somebody else.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpi4py import MPI

from mdapp.errors import InputError
from mdapp.parallel.agree import agree
from mdapp.perf.memory import peak_bytes
from mdapp.perf.warmup import Compiled
from mdapp.simulation import Simulation
from scaling.peers.runner import busy_seconds
from scaling.studies.surroundings import surroundings

if TYPE_CHECKING:
    from scaling.studies.point import Point

SCHEMA, VERSION = "mdapp.scale.point", 1


def measure(point: Point, beside: Path, scratch: Path, comm: MPI.Intracomm) -> dict[str, Any]:
    """Run a point on the ranks of `comm`; collective.

    Parameters
    ----------
    point
        What to run; its number of ranks must be that of `comm`.
    beside
        Where a relative input is looked for.
    scratch
        Folder for what the run writes; removed at the end.

    Returns
    -------
    dict
        `row`: one line of results.csv; `warmup`: seconds a step and builds of the first window;
        `environment`: machine, software and every rank's place.

    Raises
    ------
    InputError
        The point asks for another number of ranks, or its deck cannot be run.
    """
    around = surroundings(comm)
    with agree(comm):
        if point.ranks != comm.size:
            raise InputError(f"{point.name}: asks for {point.ranks} ranks and was started on "
                             f"{comm.size}; start it with mpirun -n {point.ranks}")
        deck = point.deck(beside)
    try:
        sim = Simulation(deck, comm, scratch)
        warm = _window(sim, point.warmup)
        row = {"warmup_steps": point.warmup, **_window(sim, point.steps)}
        sim.close()
    finally:
        if comm.rank == 0:
            shutil.rmtree(scratch, ignore_errors=True)
    return {"row": row, "warmup": {key: warm[key] for key in ("steps", "s_per_step", "loop_s")},
            "environment": around}


def _window(sim: Simulation, steps: int) -> dict[str, Any]:
    """Advance, and say what these steps cost."""
    comm = sim.comm
    sim.timers.reset()
    sim.loop_s, sim.steps_done, sim.compiled_in_loop = 0.0, 0, Compiled()
    builds, dangerous, rows = sim.trigger.builds, sim.trigger.dangerous, len(sim.thermo.rows)
    clock, busy, used = clock_mhz(), _busy(), time.process_time()
    sim.run(steps)
    mine = max(0.0, _busy() - busy - (time.process_time() - used))
    loop_s = float(comm.allreduce(sim.loop_s, MPI.MAX))
    foreign = float(comm.allreduce(mine, MPI.SUM)) / max(loop_s, 1e-9) / comm.size
    peak = int(comm.allreduce(peak_bytes(), MPI.MAX))
    report = sim.report()
    owned, ghosts = report["per_rank"]["owned"], report["per_rank"]["ghosts"]
    force = report["phases"]["force"]
    px, py, pz = sim.grid.shape
    per_step = loop_s / steps if steps else 0.0
    lengths = sim.box.lengths
    days = 86400 * sim.deck.run.timestep / per_step if per_step else 0.0
    return {
        "atoms": sim.natoms, "ranks": comm.size, "threads": sim.deck.run.threads,
        "px": px, "py": py, "pz": pz, "lx": float(lengths[0]), "ly": float(lengths[1]),
        "lz": float(lengths[2]), "potential": report["potential"],
        "precision": report["precision"], "units": report["units"],
        "deterministic": report["deterministic"], "timestep": report["timestep"],
        "cutoff": float(sim.potential.cutoff), "skin": sim.deck.neighbors.skin,
        "steps": steps, "setup_s": report["setup_s"], "compile_s": report["compile_s"],
        "start_to_first_step_s": report["start_to_first_step_s"],
        "loop_s": loop_s, "s_per_step": per_step,
        "atom_steps_per_s": sim.natoms / per_step if per_step else 0.0,
        "simulated_per_day": days, **phases_flat(report["phases"], steps),
        "owned_max": owned["max"], "ghosts_min": ghosts["min"], "ghosts_avg": ghosts["avg"],
        "ghosts_max": ghosts["max"], "ghost_ratio": ghosts["avg"] / max(owned["avg"], 1e-9),
        "imbalance": force["max"] / force["avg"] if force["avg"] else 1.0,
        "f_comm": report["phases"]["halo"]["avg"] / loop_s if loop_s else 0.0,
        "neighbor_builds": sim.trigger.builds - builds,
        "dangerous_builds": sim.trigger.dangerous - dangerous if sim.trigger.check else None,
        "compiles_in_window": report["compilations_in_loop"],
        "bytes_per_atom": report["bytes_per_atom"],
        "bytes_fixed_per_rank": report["bytes_fixed"] / comm.size, "rss_max": peak,
        **_start(sim.thermo.rows[max(rows - 1, 0)]),
        "energy_drift": drift(sim.thermo.rows[max(rows - 1, 0):]),
        "clock_before": clock, "clock_after": clock_mhz(), "foreign_share": foreign,
        "state_hash": report["state_hash"],
    }


def _start(row: dict[str, float]) -> dict[str, float | None]:
    """Temperature and energy where the window begins, for a comparison with other codes."""
    return {"start_temp": row.get("temp"), "start_etotal": row.get("etotal")}


def phases_flat(phases: dict[str, dict[str, float]], steps: int) -> dict[str, float]:
    """Seconds a step of each phase: force_min, force_avg, force_max, and so on."""
    return {f"{name}_{which}": seconds / steps if steps else 0.0
            for name, over in phases.items() for which, seconds in over.items()}


def drift(rows: list[dict[str, float]]) -> float | None:
    """Change of the total energy over a window, relative to its size; None with too few rows."""
    energies = [row["etotal"] for row in rows if "etotal" in row]
    if len(energies) < 2 or not energies[0]:
        return None
    return (energies[-1] - energies[0]) / abs(energies[0])


def clock_mhz() -> float | None:
    """Frequency of the cpu that this process is on, as the kernel knows it; None where hidden."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        cpu = min(os.sched_getaffinity(0))
        text = Path("/proc/cpuinfo").read_text()
        return float(re.findall(r"^cpu MHz\s*: ([\d.]+)", text, re.M)[cpu])
    return None


def _busy() -> float:
    """Seconds for which the cpus of this process have been busy, whoever used them."""
    with contextlib.suppress(OSError, AttributeError):
        return busy_seconds(Path("/proc/stat").read_text(), os.sched_getaffinity(0))
    return 0.0
