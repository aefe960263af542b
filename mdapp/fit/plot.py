"""The loss curve as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

PANELS = (("energy", "energy, eV/atom"), ("force", "force, eV/Å"), ("virial", "virial, eV/atom"))
LINES = (("train_", "fitted", "C0"), ("held_", "held out", "C1"))


def plot_history(path: Path, history: Sequence[Mapping[str, float]], rms_force: float) -> None:
    """Draw the errors against the steps; the ending of the name says PNG, SVG or PDF.

    Parameters
    ----------
    history : rows of mdapp.fit.training
    rms_force : of the frames that are held out, drawn as a line
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [(key, label) for key, label in PANELS
              if any(row.get("train_" + key, 0.0) > 0 for row in history)]
    figure = Figure(figsize=(4.2 * max(len(panels), 1), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    for n, (key, label) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), n + 1)
        for prefix, name, colour in LINES:
            points = [(row["step"], row[prefix + key]) for row in history if prefix + key in row]
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, label=name, linewidth=1.2)
        if key == "force" and rms_force > 0:
            axes.axhline(0.05 * rms_force, color="0.5", linewidth=0.8, linestyle=":",
                         label="5 % of the force")
        axes.set(yscale="log", xlabel="step", ylabel=f"rms error of the {label}")
        axes.grid(which="both", linewidth=0.3, alpha=0.5)
        axes.legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=150)
