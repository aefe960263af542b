"""Launches of scaling studies that nobody ran, with times as they are asked for."""

from collections.abc import Sequence
from typing import Any

from scaling.studies.summary import Launch


def row(ranks: int, seconds: float, atoms: int = 32_000, **more: Any) -> dict[str, Any]:
    phases = {f"{name}_{which}": seconds / 7
              for name in ("force", "neighbor", "halo", "integrate", "output", "checkpoint",
                           "other") for which in ("min", "avg", "max")}
    return {
        "atoms": atoms, "ranks": ranks, "threads": 1, "px": 1, "py": 1, "pz": ranks,
        "potential": "lj/cut", "precision": "double", "units": "lj", "timestep": 0.005,
        "deterministic": False, "steps": 100, "warmup_steps": 10, "setup_s": 0.1, "compile_s": 0.2,
        "start_to_first_step_s": 1.0, "loop_s": 100 * seconds, "s_per_step": seconds,
        "simulated_per_day": 432.0 / seconds, "atom_steps_per_s": atoms / seconds,
        "ghost_ratio": 0.5, "ghosts_avg": 20 * atoms ** (2 / 3), "imbalance": 1.02, "f_comm": 0.1,
        "neighbor_builds": 10, "dangerous_builds": 0, "compiles_in_window": 0,
        "bytes_per_atom": 250.0, "bytes_fixed_per_rank": 2e8, "rss_max": 3e8,
        "cutoff": 2.5, "skin": 0.3, "lx": 30.0, "ly": 30.0, "lz": 30.0,
        "foreign_share": 0.0, "clock_before": 2000.0, "clock_after": 2000.0, "state_hash": "aa",
        **phases, **more,
    }  # fmt: skip


def launches(times: dict[int, Sequence[float]], study: str = "strong",
             **more: Any) -> list[Launch]:
    """Three launches a point where three times are given, and so on."""
    around = {"cpu": "made up", "commit": "c", "bound": True, "load": 0.0}
    size = f"-n{more['atoms']}" if study == "saturation" and "atoms" in more else ""
    return [Launch(study, f"{study}{size}-r{p}", "mdapp", k, 0, row(p, t, **more), around)
            for p, ts in times.items() for k, t in enumerate(ts, 1)]
