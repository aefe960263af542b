"""The report of a run from what lies in its folder: pictures of all that can be seen of it."""

from __future__ import annotations

from typing import Any

from mdapp.plot.atoms import atoms_plot
from mdapp.plot.checkpoints import HELD, checkpoints_section
from mdapp.plot.phases import phases_section
from mdapp.plot.run_folder import Run
from mdapp.plot.snapshot import newest_snapshot
from mdapp.plot.thermo import drift_section, drift_words, energy_drift, label, thermo_section
from mdapp.report.document import Note, Report, Section


def overview(run: Run) -> Report:
    """All sections that the folder has the numbers for."""
    units = run.units
    sections = [atoms_section(run)]
    if run.rows and units is not None:
        sections += [thermo_section(run, units), drift_section(run, units)]
    sections.append(phases_section(run))
    checkpoints = checkpoints_section(run)
    if checkpoints is not None:
        sections.append(checkpoints)
    return Report("mdapp.plot", 1, f"Run {run.name}", summary(run), sections,
                  run.facts.get("environment") or run.report.get("environment") or {},
                  {"run": _plain(run)})  # fmt: skip


def atoms_section(run: Run) -> Section:
    """The picture of the newest positions, and why newer ones are not in it."""
    snapshot, trouble = newest_snapshot(run)
    notes = [Note(line, "warning") for line in trouble]
    if snapshot is None:
        return Section("Atoms", [*notes, Note("No checkpoint and no trajectory of this run has "
                                              "atoms to show.")])
    return Section("Atoms", [atoms_plot(snapshot), *notes])


def summary(run: Run) -> list[str]:
    """The run in a few lines: what it was, how far it came, how it fared."""
    facts, units, lines = run.facts, run.units, []
    if facts:
        lines.append(f"{facts['atoms']} atoms, {facts['potential']}, {facts['precision']} "
                     f"precision, {_counted(facts['ranks'], 'rank')} of "
                     f"{_counted(facts['threads'], 'thread')}")
    lines.append(how_far(run))
    if run.report.get("atom_steps_per_s"):
        lines.append(f"{run.report['steps_per_s']:.4g} steps/s, "
                     f"{run.report['atom_steps_per_s'] / 1e6:.4g} million atom-steps/s")
    if run.rows and units is not None:
        lines.append(drift_words(energy_drift(run), units))
    if run.attempts:
        held = sum(e.get("result") in HELD for e in run.attempts)
        failed = sum(e.get("result") == "failed" for e in run.attempts)
        lines.append(f"{_counted(held, 'checkpoint')} committed, {failed} failed; "
                     f"{_counted(len(run.restarts), 'restart')}")
    return lines


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def how_far(run: Run) -> str:
    """Up to which step the run came, and whether it ended by itself."""
    steps = [*(row["step"] for row in run.rows), *(e["step"] for e in run.attempts)]
    reached = run.report.get("step", max(steps, default=None))
    if reached is None:
        return "Nothing but its checkpoints is known of this run."
    units = run.units
    time = (f" ({reached * run.facts['timestep']:.4g} {label(units, 'time')})"
            if units is not None and "timestep" in run.facts else "")
    if run.report:
        return f"Ended by itself at step {reached}{time}."
    if run.legs:
        return (f"Known up to step {reached}{time} of {run.legs[-1]['last_step']}: it goes on, or "
                "was ended from outside.")
    return f"Known up to step {reached}{time}."


def _plain(run: Run) -> dict[str, Any]:
    return {"path": str(run.path), "legs": run.legs, "ended": bool(run.report),
            **{k: v for k, v in run.report.items()
               if k not in ("thermo", "checkpoints", "schema", "version", "environment")}}
