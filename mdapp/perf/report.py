"""What a run did and how long it took: the body of `mdapp run --json`, and LAMMPS's closing lines.

The text keeps the form of LAMMPS's own report, so that the parsers people have keep working.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from mpi4py import MPI

from mdapp.perf.memory import peak_bytes
from mdapp.perf.warmup import Compiled

if TYPE_CHECKING:
    from mdapp.simulation import Simulation


def run_report(sim: Simulation) -> dict[str, Any]:
    """The body of `mdapp run --json`; collective."""
    comm, atoms = sim.comm, sim.atoms
    steps, loop_s = sim.steps_done, sim.loop_s
    local = {"owned": atoms.nlocal, "ghosts": atoms.nghost,
             "cluster_pairs": sum(c.npairs for c in sim.clusters.chunks)}
    beyond = max(peak_bytes() - sim.bytes_fixed, 0)
    memory = comm.allreduce(np.array([beyond, sim.bytes_fixed], np.int64))
    compiled, late = Compiled.by(sim.kernel), sim.compiled_in_loop
    most = np.array([compiled.times, late.times, late.seconds])
    comm.Allreduce(MPI.IN_PLACE, most, MPI.MAX)
    rate = sim.natoms * steps / loop_s if loop_s and steps else 0.0
    node = comm.Split_type(MPI.COMM_TYPE_SHARED)
    nodes = comm.allreduce(int(node.rank == 0))
    node.Free()
    return {
        "state_hash": sim.state_hash, "atoms": sim.natoms,
        "ranks": comm.size, "nodes": nodes, "threads": sim.deck.run.threads,
        "grid": list(sim.grid.shape),
        "units": sim.units.name, "potential": sim.potential.style,
        "precision": sim.deck.run.precision, "deterministic": sim.deck.run.deterministic,
        "timestep": sim.deck.run.timestep, "step": sim.step, "steps": steps, "loop_s": loop_s,
        "atom_steps_per_s": rate, "steps_per_s": steps / loop_s if loop_s else 0.0,
        "compilations": int(most[0]), "compilations_in_loop": int(most[1]),
        "compile_in_loop_s": float(most[2]), "compile_s": sim.compile_s, "setup_s": sim.setup_s,
        "start_to_first_step_s": sim.start_to_first_step_s,
        "bytes_per_atom": float(memory[0]) / max(sim.natoms, 1), "bytes_fixed": int(memory[1]),
        "neighbor_builds": sim.trigger.builds,
        "dangerous_builds": sim.trigger.dangerous if sim.trigger.check else None,
        "partners_per_cluster": comm.allreduce(sim.clusters.partners_per_cluster) / comm.size,
        "phases": sim.timers.over_ranks(comm, loop_s),
        "per_rank": {name: over_ranks(comm, value) for name, value in local.items()},
        "thermo": sim.thermo.rows, "checkpoints": sim.checkpoints.written,
        "checkpoint_totals": sim.checkpoints.costs.totals(),
    }


def over_ranks(comm: MPI.Comm, value: float) -> dict[str, Any]:
    """Minimum, mean, maximum and LAMMPS's ten-bin histogram of a number that each rank has."""
    values = np.array(comm.allgather(value), float)
    counts, _ = np.histogram(values, bins=10)
    if values.min() == values.max():
        counts = np.array([comm.size] + [0] * 9)
    return {"min": float(values.min()), "avg": float(values.mean()), "max": float(values.max()),
            "histogram": counts.tolist()}


def closing_lines(r: dict[str, Any], time_label: str) -> str:
    """The report of a finished run, for people and for parsers of LAMMPS logs."""
    lines = [f"Loop time of {r['loop_s']:.6g} on {r['ranks'] * r['threads']} procs "
             f"for {r['steps']} steps with {r['atoms']} atoms", ""]
    if r["steps"] and r["loop_s"]:
        per_day = 86400 * r["steps_per_s"] * r["timestep"]
        unit, scale = ("ns/day", 1e-3) if time_label == "ps" else (f"{time_label}/day", 1.0)
        lines += [f"Performance: {per_day * scale:.3f} {unit}, {r['steps_per_s']:.3f} timesteps/s, "
                  f"{si(r['atom_steps_per_s'])}atom-step/s", ""]
    lines += ["Section    |  min time  |  avg time  |  max time  | %total",
              "-----------------------------------------------------------"]
    for name, t in r["phases"].items():
        share = 100 * t["avg"] / r["loop_s"] if r["loop_s"] else 0.0
        lines.append(f"{name:<10} | {t['min']:<10.5g} | {t['avg']:<10.5g} | {t['max']:<10.5g} "
                     f"| {share:6.2f}")
    lines.append("")
    for title, key in (("Nlocal", "owned"), ("Nghost", "ghosts"), ("Npairs", "cluster_pairs")):
        s = r["per_rank"][key]
        lines += [f"{title}: {s['avg']:14.6g} ave {s['max']:11.6g} max {s['min']:11.6g} min",
                  f"Histogram: {' '.join(map(str, s['histogram']))}"]
    built, each = r["neighbor_builds"], ""
    if built:
        neighbor_s, share = r["phases"]["neighbor"]["avg"], max(r["atoms"], 1) / r["ranks"]
        each = f" ({neighbor_s / (built * share) * 1e9:.0f} ns per atom and build, checks included)"
    dangerous = r["dangerous_builds"]
    lines += ["", f"Partner clusters per cluster = {r['partners_per_cluster']:.2f} "
              f"({4 * r['partners_per_cluster'] + 4:.0f} lanes evaluated for an atom)",
              f"Neighbor list builds = {built}{each}",
              "Dangerous builds not checked" if dangerous is None
              else f"Dangerous builds = {dangerous}",
              f"Memory: {r['bytes_per_atom']:.0f} bytes per atom, and "
              f"{r['bytes_fixed'] / r['ranks'] / 2**20:.0f} MiB a rank before the first",
              f"Compile (or load compiled code): {r['compile_s']:.2f} s; "
              f"set-up: {r['setup_s']:.2f} s", *compilation_lines(r), *checkpoint_lines(r),
              *(profile_lines(r["profile"]) if "profile" in r else ()), perf_line(r)]
    return "\n".join(lines)


def perf_line(r: dict[str, Any]) -> str:
    """The run in one line of `key=value`, the last that it prints; its form does not change."""
    force, owned, ghosts = r["phases"]["force"], r["per_rank"]["owned"], r["per_rank"]["ghosts"]
    per_step = r["loop_s"] / r["steps"] if r["steps"] else 0.0
    imbalance = force["max"] / force["avg"] if force["avg"] else 1.0
    facts = {
        "ranks": r["ranks"], "threads": r["threads"], "nodes": r["nodes"],
        "grid": "x".join(map(str, r["grid"])), "atoms": r["atoms"], "steps": r["steps"],
        "s_per_step": f"{per_step:.3e}", "atom_steps_per_s": f"{r['atom_steps_per_s']:.3e}",
        "imbalance": f"{imbalance:.2f}",
        "ghost_ratio": f"{ghosts['avg'] / max(owned['avg'], 1):.2f}",
    }  # fmt: skip
    return "mdapp-perf: " + " ".join(f"{key}={value}" for key, value in facts.items())


def compilation_lines(r: dict[str, Any]) -> list[str]:
    """How often a model was compiled for other sizes; nothing for other potentials."""
    if not r["compilations"]:
        return []
    late = r["compilations_in_loop"]
    return [f"Compiled for {r['compilations']} sizes of neighbor lists, "
            + (f"{late} of them inside the loop, which took {r['compile_in_loop_s']:.2f} s of it"
               if late else "none of them inside the loop")]


def checkpoint_lines(r: dict[str, Any]) -> list[str]:
    """What the checkpoints of a run cost it; nothing if it had none."""
    if not r["checkpoints"]:
        return []
    t = r["checkpoint_totals"]
    slower = f", steps took {t['slow_down_s']:.3g} s longer" if t["slow_down_s"] else ""
    return [f"Checkpoints: {t['committed']} committed, {t['failed']} failed, {t['skipped']} "
            f"skipped; the run stood still for {t['stall_s']:.3g} s "
            f"({100 * t['stalled_share']:.2g} %){slower}; {t['gbytes_per_s']:.3g} GB/s written, "
            f"{t['perceived_gbytes_per_s']:.3g} GB/s as the run saw it"]


def profile_lines(p: dict[str, Any]) -> list[str]:
    """The profile for people."""
    first = f"Profile: {p['neighbors']:.4g} neighbors within the cutoff"
    if p["flop_per_atom_step"] is None:
        return [f"{first}; this potential does not count its operations"]
    return [f"{first}; {p['flop_per_atom_step'] / 1e3:.4g} kflop per atom-step, "
            f"{p['gemm_share']:.0%} of them in matrix products",
            f"         {p['force_gflops']:.4g} Gflop/s in the force phase, "
            f"{p['fraction_of_peak']:.0%} of large products on these cores "
            f"({p['peak_gflops']:.4g} Gflop/s)", *product_lines(p)]


def product_lines(p: dict[str, Any]) -> list[str]:
    """How fast the potential's largest products are, and would be with a library."""
    if not p["product_gflops"]:
        return []
    rates = ", ".join(f"{name} {rate:.4g}" for name, rate in p["product_gflops"].items())
    return [f"         products of {' x '.join(map(str, p['product_shape']))}: {rates} Gflop/s a "
            "core"]


def si(value: float) -> str:
    """A rate with LAMMPS's prefix: 2.5e6 is '2.500 M'."""
    for limit, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3f} {prefix}"
    return f"{value:.3f} "
