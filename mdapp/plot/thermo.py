"""Temperature, pressure and energies of a run over time, and how well the energy is conserved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mdapp.analysis.drift import Drift, drift
from mdapp.model.units import Units
from mdapp.plot.run_folder import Run
from mdapp.report.document import Column, Note, Plot, Section, Table
from mdapp.report.figures import INK, MUTED, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Quantities that get a column of the table: title, and which of the unit system's labels.
COLUMNS = {
    "step": ("step", ""), "time": ("time", "time"), "temp": ("temperature", "temperature"),
    "press": ("pressure", "pressure"), "pe": ("potential energy", "energy"),
    "ke": ("kinetic energy", "energy"), "etotal": ("total energy", "energy"),
}  # fmt: skip
SYMBOLS = {"sigma": "σ", "epsilon": "ε", "tau": "τ", "A": "Å", "epsilon/kB": "ε/k",
           "epsilon/sigma^3": "ε/σ³"}  # fmt: skip
BURN_IN = 0.2                 # of the run
DRIFT_COLUMNS = (Column("quantity"), Column("value", form=".4g"), Column("unit"))


def label(units: Units, what: str) -> str:
    """A unit as it stands at an axis."""
    name = str(getattr(units, f"{what}_label"))
    return SYMBOLS.get(name, name)


def series(run: Run, key: str) -> NDArray[np.float64]:
    """(n,) values of a quantity, energies per atom; NaN where a row has none."""
    values = np.array([row.get(key) for row in run.rows], np.float64)
    units = run.units
    per_atom = units is not None and not units.thermo_normalised and key in ("pe", "ke", "etotal")
    return values / max(run.facts["atoms"], 1) if per_atom else values


def thermo_section(run: Run, units: Units) -> Section:
    """Curves over time, and the table of all of it."""
    time, when = series(run, "time"), f"time, {label(units, 'time')}"
    energy = f"{label(units, 'energy')}/atom"
    table = Table("thermo", [
        Column(key, title, (energy if what == "energy" else label(units, what)) if what else "",
               ".6g") for key, (title, what) in COLUMNS.items()],
        [dict(zip(COLUMNS, row, strict=True))
         for row in zip(*(_plain(run, key) for key in COLUMNS), strict=True)],
        "Thermo rows; energies are per atom.")  # fmt: skip

    def energies(axes: Axes) -> None:
        for key, name in (("pe", "potential"), ("ke", "kinetic"), ("etotal", "total")):
            values = series(run, key)
            axes.plot(time, values - values[0], label=name)
        axes.set(xlabel=when, ylabel=f"change, {energy}")
        axes.legend(loc="center right")

    plots = [
        Plot(name, _curve(time, series(run, key), when, f"{title}, {label(units, name)}"),
             f"{title.capitalize()} of all atoms at each thermo row.", "thermo")
        for key, name, title in (("temp", "temperature", "temperature"),
                                 ("press", "pressure", "pressure"))]  # fmt: skip
    plots.append(Plot("energies", energies, "Energies per atom, from the first row on: what the "
                      "potential energy loses the kinetic energy gains.", "thermo"))
    return Section("Thermodynamics", [*plots, table])


def _curve(x: NDArray[np.float64], y: NDArray[np.float64], xlabel: str,
           ylabel: str) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        axes.plot(x, y, marker="o" if len(x) < 40 else "")
        axes.set(xlabel=xlabel, ylabel=ylabel)
    return draw


def _plain(run: Run, key: str) -> Sequence[Any]:
    return [row["step"] for row in run.rows] if key == "step" else series(run, key).tolist()


def settled(run: Run) -> NDArray[np.bool_]:
    """(n,) rows that count for the drift: not the first fifth, in which the start settles."""
    time, energy = series(run, "time"), series(run, "etotal")
    behind: NDArray[np.bool_] = time >= time[0] + BURN_IN * (time[-1] - time[0])
    return behind & np.isfinite(energy)


def energy_drift(run: Run) -> Drift:
    """Drift of the total energy per atom, per unit of time of the run."""
    rows = settled(run)
    return drift(series(run, "time")[rows], series(run, "etotal")[rows])


def drift_words(found: Drift, units: Units) -> str:
    """The drift in a sentence."""
    scale, unit = drift_unit(units)
    if not np.isfinite(found.error):
        return "too few thermo rows for a drift of the energy"
    verdict = "" if found.resolved else ": not resolved (less than two standard errors)"
    return (f"energy drift {found.slope * scale:.3g} ± {found.error * scale:.2g} {unit}"
            f"{verdict}")


def drift_unit(units: Units) -> tuple[float, str]:
    """A factor, and the unit that a drift has with it: meV/atom/ns, or ε/atom/τ."""
    if units.name == "metal":
        return 1e6, "meV/atom/ns"
    return 1.0, f"{label(units, 'energy')}/atom/{label(units, 'time')}"


def drift_section(run: Run, units: Units) -> Section:
    """The total energy with a line through it."""
    time, energy, found = series(run, "time"), series(run, "etotal"), energy_drift(run)
    rows = settled(run)
    scale, unit = drift_unit(units)
    small, name = (1e3, "meV") if units.name == "metal" else (1.0, label(units, "energy"))

    def draw(axes: Axes) -> None:
        axes.plot(time, small * (energy - energy[0]), label="total energy",
                  marker="o" if len(time) < 40 else "")
        if np.isfinite(found.slope):
            line = found.intercept + found.slope * time[rows] - energy[0]
            axes.plot(time[rows], small * line, color=ORANGE, label="straight line")
        axes.axhline(0.0, color=MUTED, linewidth=0.8, linestyle="-")
        axes.set(xlabel=f"time, {label(units, 'time')}", ylabel=f"change, {name}/atom")
        axes.legend(labelcolor=INK)

    kinetic = series(run, "ke")[rows]
    ratio = abs(found.slope) * np.ptp(time[rows]) / max(float(np.nanstd(kinetic)), 1e-300)
    numbers = [
        {"quantity": "slope", "value": found.slope * scale, "unit": unit},
        {"quantity": "standard error", "value": found.error * scale, "unit": unit},
        {"quantity": "correlation of the residuals", "value": found.correlation, "unit": "rows"},
        {"quantity": "drift over the run / fluctuation of the kinetic energy", "value": ratio,
         "unit": ""},
        {"quantity": "rows of the line", "value": int(rows.sum()), "unit": ""},
    ]
    notes = [] if found.resolved or len(time) < 2 else [
        Note("The slope is not known to two standard errors: this run is too short, or has too few "
             "thermo rows, to see a drift.")]
    return Section("Energy conservation", [
        Plot("drift", draw, "Total energy per atom from the first row on, and the line of least "
             "squares through the rows behind the first fifth of the run, in which the start "
             "settles. The standard error of its slope counts rows that are correlated as fewer.",
             "drift"),
        Table("drift", DRIFT_COLUMNS, numbers, "The line through the total energy."), *notes])
