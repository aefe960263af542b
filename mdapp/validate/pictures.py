"""The plots of the page, each from the curves that a check left in its data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mdapp.report.document import Column, Plot, Section, Table
from mdapp.report.figures import MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mdapp.validate.runner import Outcome

FLOOR = 1e-18                     # what zero is drawn as where an axis is logarithmic
MOST_PAIRS = 6

Blocks = Iterator[Plot | Table]


def pictures(outcomes: Sequence[Outcome]) -> list[Section]:
    """A section with the plots for which there are curves, each with the table of its numbers."""
    left: dict[str, list[Mapping[str, Any]]] = {}
    for o in outcomes:
        if o.finding.data and "traceback" not in o.finding.data:
            left.setdefault(o.spec.key, []).append({**o.finding.data, "of": o.precision})
    makers: Mapping[str, Callable[[list[Mapping[str, Any]]], Blocks]] = {
        "forces_fd": forces, "decomposition": decompositions, "range": ranges,
        "nve_drift": drifts, "dimer": dimers, "parity_data": labels, "precision": ladder}
    blocks = [block for key, make in makers.items() if key in left for block in make(left[key])]
    return [Section("Curves", blocks)] if blocks else []


def forces(data: list[Mapping[str, Any]]) -> Blocks:
    """P1: error of forces against the step of the differences."""
    rows = [{"precision": d["of"], "step": h, "error": e} for d in data
            for h, e in zip(d["h"], d["error"], strict=True)]

    def draw(axes: Axes) -> None:
        for d in data:
            line, = axes.loglog(d["h"], [max(e, FLOOR) for e in d["error"]], marker="o",
                                label=d["of"])
            axes.axhline(d["threshold"], linestyle=":", color=line.get_color())
        axes.set_xlabel("step of the differences")
        axes.set_ylabel("largest |F + dE/dx| / F_rms")
        axes.legend()

    yield Plot("forces", draw, "Forces against differences of the energy (Richardson): long steps "
               "err by the function's curvature, short ones by rounding; dotted: what is allowed.",
               "force_error")
    yield Table("force_error", [Column("precision"), Column("step", form=".3g"),
                                Column("error", unit="F_rms", form=".3g")], rows)


def decompositions(data: list[Mapping[str, Any]]) -> Blocks:
    """P2: errors of each decomposition against one rank."""
    rows = [{"precision": d["of"], "grid": bar["name"], "ranks": bar["ranks"],
             "force": bar["force"], "virial": bar["virial"], "moved": bar["moved"],
             "bits": {True: "the same", False: "others", None: ""}[bar["bits"]]}
            for d in data for bar in d["bars"]]
    if not rows:
        return

    def draw(axes: Axes) -> None:
        names = [f"{row['grid']}{'' if len(data) == 1 else ' ' + row['precision']}"
                 for row in rows]
        places = range(len(rows))
        axes.barh([p - 0.2 for p in places], [max(row["force"], FLOOR) for row in rows],
                  height=0.38, label="forces at step 0, of F_rms")
        axes.barh([p + 0.2 for p in places], [max(row["moved"] or 0, FLOOR) for row in rows],
                  height=0.38, label="positions at the end")
        axes.axvline(data[0]["threshold"], linestyle=":", color=MUTED)
        axes.axvline(data[0]["moved_threshold"], linestyle="--", color=MUTED)
        axes.set_xscale("log")
        axes.set_yticks(list(places), names)
        axes.invert_yaxis()
        axes.set_xlabel("largest difference from one rank")
        axes.legend()

    yield Plot("decompositions", draw, "Real runs on several ranks against the same on one; "
               f"{FLOOR:g} stands for no difference at all. Dotted: allowed for forces; dashed: "
               "for positions.", "decompositions", (6.4, 1.6 + 0.34 * len(rows)))
    yield Table("decompositions", [
        Column("precision"), Column("grid", "system and grid"), Column("ranks"),
        Column("force", "forces", "F_rms", ".3g"), Column("virial", form=".3g"),
        Column("moved", "positions", form=".3g"), Column("bits", "bits, deterministic")], rows)


def ranges(data: list[Mapping[str, Any]]) -> Blocks:
    """P3: response of energies and forces against distance."""
    rows = [{"precision": d["of"], "distance": r, "energy": e, "force": f}
            for d in data for r, e, f in d["shells"]]

    def draw(axes: Axes) -> None:
        d = data[0]
        r = [row[0] for row in d["shells"]]
        for k, name in ((1, "energy of an atom"), (2, "force on an atom")):
            axes.semilogy(r, [max(row[k], FLOOR) for row in d["shells"]], marker=".", label=name)
        axes.axvline(d["cutoff"], linestyle=":", color=MUTED, label="declared cutoff")
        axes.axvline(d["force_range"], linestyle="--", color=MUTED, label="declared force range")
        axes.set_xlabel("distance from the atom that moved")
        axes.set_ylabel("largest change")
        axes.legend()

    yield Plot("range", draw, "How far the response to one moved atom reaches: what the halo must "
               f"hold. {FLOOR:g} stands for none.", "range")
    yield Table("range", [Column("precision"), Column("distance"), Column("energy", form=".3g"),
                          Column("force", form=".3g")], rows)


def drifts(data: list[Mapping[str, Any]]) -> Blocks:
    """P4: total energy against time, with the fitted line."""
    d = data[0]
    runs = [(f"{run['name']} {x['of']}", run) for x in data for run in x["runs"]]
    rows = [{"run": name, "slope": run["slope"], "stderr": run["stderr"], "ratio": run["ratio"],
             "time": run["t"][-1]} for name, run in runs]

    def draw(axes: Axes) -> None:
        for name, run in runs:
            t, e = run["t"], run["energy"]
            line, = axes.plot(t, e, linewidth=0.8, label=name)
            middle, mean = sum(t) / len(t), sum(e) / len(e)
            axes.plot([t[0], t[-1]], [mean + run["slope"] * (x - middle) for x in (t[0], t[-1])],
                      linestyle="--", color=line.get_color())
        axes.set_xlabel(f"time, {d['time']}")
        axes.set_ylabel(f"change of E_tot / N, {d['energy']}")
        axes.legend()

    yield Plot("energy", draw, "Total energy of an atom in runs at constant energy; dashed: the "
               "fitted drift.", "drift")
    yield Table("drift", [Column("run"), Column("slope", unit=f"{d['energy']}/{d['time']}"),
                          Column("stderr", "standard error"),
                          Column("ratio", "drift over fluctuation"),
                          Column("time", unit=d["time"])], rows)


def dimers(data: list[Mapping[str, Any]]) -> Blocks:
    """P5: energies of two atoms."""
    d = data[0]
    curves = d["curves"][:MOST_PAIRS]
    rows = [{"pair": c["pair"], "r": r, "energy": e, "force": f} for c in curves
            for r, e, f in zip(c["r"], c["energy"], c["force"], strict=True)]
    lowest = min(min(c["energy"]) for c in curves)
    size = max(abs(lowest), 1e-3 * max(max(c["energy"]) for c in curves))

    def draw(axes: Axes) -> None:
        for c in curves:
            axes.plot(c["r"], c["energy"], label=c["pair"])
        axes.axvline(d["cutoff"], linestyle=":", color=MUTED, label="cutoff")
        axes.set_ylim(lowest - 0.2 * size, lowest + 3 * size)
        axes.set_xlabel("distance")
        axes.set_ylabel("energy")
        axes.legend()

    yield Plot("dimers", draw, "Two atoms alone; the wall goes on above.", "dimers")
    yield Table("dimers", [Column("pair"), Column("r"), Column("energy"), Column("force")], rows)


def labels(data: list[Mapping[str, Any]]) -> Blocks:
    """P7: predicted against labelled forces."""
    d = data[0]

    def draw(axes: Axes) -> None:
        a, b = d["label"], d["predicted"]
        axes.plot(a, b, ".", markersize=2)
        ends = [min(min(a), min(b)), max(max(a), max(b))]
        axes.plot(ends, ends, linestyle="--", color=MUTED)
        axes.set_xlabel(f"labelled force component, {d['unit']}")
        axes.set_ylabel(f"predicted, {d['unit']}")

    yield Plot("labels", draw, "Force components against their labels; dashed: equal.",
               "label_groups", (4.6, 4.2))
    rows = [{"precision": x["of"], **g} for x in data for g in x["groups"]]
    yield Table("label_groups", [Column("precision"), Column("of", "species, or size of the force"),
                                 Column("atoms"), Column("rms", "error, rms", f"m{d['unit']}")],
                rows)


def ladder(data: list[Mapping[str, Any]]) -> Blocks:
    """P8: error of each precision against the model's own."""
    d = data[0]

    def draw(axes: Axes) -> None:
        names = [step["precision"] for step in d["steps"]]
        axes.bar(names, [max(step["force"], FLOOR) for step in d["steps"]], width=0.5)
        axes.axhline(d["force_limit"], linestyle=":", color=MUTED, label="allowed")
        if d["own"]:
            axes.axhline(d["own"], linestyle="--", color=MUTED, label="the model's own error")
        axes.set_yscale("log")
        axes.set_ylabel(f"rms difference of forces from double, {d['unit']}")
        axes.legend()

    yield Plot("precisions", draw, "What lower precisions cost.", "precisions", (4.6, 3.2))
    yield Table("precisions", [
        Column("precision"), Column("force", "forces, rms", d["unit"], ".3g"),
        Column("energy", "energy per atom", form=".3g")], d["steps"])
