"""`mdapp fit`: a small machine-learned potential from energies and forces.

One process does it, with the threads that belong to it; under mpirun that is the first.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from mdapp.cli.output import check_json_target, text_stream, watched, write_json
from mdapp.errors import InputError
from mdapp.parallel.launcher import read_launch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mdapp.fit.training import Fit

STOPPED_EARLY = 10
MOST_FRAMES = 1000            # of the fitted ones whose errors are reported
LINES = 20


def fit(
    path: Annotated[Path, typer.Argument(
        metavar="DATA", help="Frames with energies and forces: extended XYZ, or a training set "
                             "(.h5) that an earlier fit has made.")],
    style: Annotated[str, typer.Option("--style", metavar="NAME", help="nep or deep_potential.")],
    optimizer: Annotated[str | None, typer.Option(
        "--optimizer", metavar="NAME", help="kalman (default) or adam.")] = None,
    steps: Annotated[int | None, typer.Option(
        "--steps", metavar="N", help="Updates; default 2000 of kalman, 50000 of adam.")] = None,
    overrides: Annotated[list[str] | None, typer.Option(
        "--set", metavar="KEY=VALUE", help="Another setting, see below; repeatable.")] = None,
    test: Annotated[Path | None, typer.Option(
        "--test", metavar="FILE", help="Frames to be held out, extended XYZ.")] = None,
    held_out: Annotated[float | None, typer.Option(
        "--held-out", metavar="SHARE",
        help="Share of DATA that is held out; default 0.1, with --test 0.")] = None,
    species: Annotated[str | None, typer.Option(
        "--species", metavar="A,B", help="Elements of the model in their order.")] = None,
    out: Annotated[Path | None, typer.Option(
        "--out", metavar="DIR", help="Folder of the fit; default DATANAME.fit.")] = None,
    resume: Annotated[bool, typer.Option(
        "--resume", help="Go on from the folder's checkpoint.")] = False,
    walltime: Annotated[str | None, typer.Option(
        "--walltime", metavar="hh:mm:ss",
        help="Stop with a checkpoint before this time is over (exit code 10).")] = None,
    json_target: Annotated[str | None, typer.Option(
        "--json", metavar="FILE", help="Write the report as JSON (- for stdout).")] = None,
) -> int:
    """Fit a potential with JAX: the model's file, a loss curve, and errors on held-out frames.

    \b
    Examples:
      mdapp fit copper.extxyz --style nep
      mdapp fit copper.extxyz --style deep_potential --set cutoff=6 --set embedding=8,16,32
      mdapp fit train.xyz --test test.xyz --style nep --optimizer adam --steps 100000
      mdapp fit copper.extxyz --style nep --walltime 00:10:00     # and then the same with --resume

    \b
    Settings of nep: cutoff n_max basis_size l_max flags neurons zbl; of deep_potential: cutoff
    smooth sel embedding axis fitting; of both: batch precision seed rate energy_weight force_weight
    virial_weight forget groups block.  A wrong one is told with its range; mdapp/fit/README.md says
    what they are.  SIGTERM and Ctrl-C stop with a checkpoint, SIGUSR1 writes one.  Needs
    pip install mdapp[jax].

    \b
    DIR gets nep.txt or model.dp, loss.png, checkpoint.npz and training.h5.
    Exit codes: 0 done, 2 bad input, 10 stopped early: go on with --resume.
    """  # noqa: D301 - the parser looks for a backspace character, where lines are kept as they are
    if read_launch().rank != 0:
        return 0
    began = time.monotonic()
    need_jax()
    from mdapp.fit.settings import settings_of
    from mdapp.fit.sources import open_data
    from mdapp.fit.training import Fit
    from mdapp.storage.stop import Signals, seconds_left
    from potentials.jax_model.program import enable_x64

    given = pairs_of(overrides or [])
    given |= {k: str(v) for k, v in (("optimizer", optimizer), ("steps", steps)) if v is not None}
    shape, training = settings_of(style, given)
    left = seconds_left(walltime)
    check_json_target(json_target)
    folder = out or Path(f"{path.stem}.fit")
    refuse_a_folder_in_use(folder, resume)
    folder.mkdir(parents=True, exist_ok=True)
    cutoff = shape.cutoff if isinstance(shape.cutoff, float) else max(shape.cutoff)
    names = species.split(",") if species else []
    show = Console(text_stream(json_target))
    data = open_data(folder, path, test, held_out, names, cutoff, training.seed)
    with enable_x64(True), Signals() as signals:
        made = Fit(data, shape, training, folder, resume)
        rms = data.rms_force(data.held_out.nonzero()[0])
        show.begin(made, style, rms)

        def stop() -> bool:
            if signals.take_checkpoint_wish():
                made.save()
            late = left is not None and time.monotonic() - began > left
            return late or signals.number != 0

        with show.bar(made):
            done = made.run(show.row, show.step, stop)
        report = summary(made, style, rms)
        report["files"] = files = written(made, folder, rms)
        show.end(report)
    if json_target is not None:
        write_json(json_target, "mdapp.fit", 1, report)
    if not done:
        show.line(f"stopped at step {made.step} of {training.steps}; go on with --resume")
        return STOPPED_EARLY
    show.line(f"  {files['model']}: a run takes it as {style}:{files['model']}")
    return 0


def need_jax() -> None:
    """Raise InputError where JAX is not installed."""
    try:
        import jax  # noqa: F401
    except ImportError:
        raise InputError("mdapp fit needs JAX: pip install 'mdapp[jax]'") from None


def pairs_of(texts: list[str]) -> dict[str, str]:
    """`KEY=VALUE` of --set."""
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"--set {text}: write it as --set KEY=VALUE")
        pairs[name.strip()] = value
    return pairs


def refuse_a_folder_in_use(folder: Path, resume: bool) -> None:
    """Raise InputError rather than write over a fit."""
    from mdapp.fit.checkpoint import NAME

    if (folder / NAME).exists() and not resume:
        raise InputError(f"{folder}: holds a fit; go on with it with --resume, or give another "
                         "--out")


def summary(made: Fit, style: str, rms: float) -> dict[str, Any]:
    """The report of a fit, for machines."""
    from dataclasses import asdict

    data, batcher = made.data, made.batcher
    fitted, held = data.fitted(), data.held_out.nonzero()[0]
    shown = fitted[::max(1, -(-len(fitted) // MOST_FRAMES))]
    errors = {"fitted": {**made.errors_on(shown), "frames": len(shown),
                         "rms_force": data.rms_force(shown)}}
    if len(held):
        errors["held_out"] = {**made.errors_on(held), "frames": len(held), "rms_force": rms}
    for part in errors.values():
        part["force_percent"] = 100 * part["force"] / part["rms_force"]
    return {
        "style": style, "species": data.species, "cutoff": data.cutoff,
        "frames": {"fitted": len(fitted), "held_out": len(held)},
        "atoms": int(data.natoms.sum()), "pairs": int(data.npairs.sum()),
        "weights": len(made.w), "model": dict(made.learner.about),
        "baseline": made.baseline.tolist(), "training": asdict(made.training),
        "steps": made.step, "elapsed_s": made.elapsed_s, "compile_s": made.compile_s,
        "read": {"bytes": batcher.read_bytes, "seconds": batcher.read_s,
                 "gbytes_per_s": batcher.read_bytes / max(batcher.read_s, 1e-9) / 1e9,
                 "waited_s": made.waited_s},
        "errors": errors, "history": made.history}


def written(made: Fit, folder: Path, rms: float) -> dict[str, str]:
    """Write the model and its loss curve; returns the names of all files."""
    from mdapp.fit.checkpoint import NAME
    from mdapp.fit.plot import plot_history

    model, picture = folder / made.learner.name, folder / "loss.png"
    made.write(model)
    plot_history(picture, made.history, rms)
    return {"model": str(model), "loss": str(picture), "checkpoint": str(folder / NAME),
            "data": str(made.data.path)}


class Console:
    """What is printed while a fit goes on."""

    def __init__(self, stream: TextIO):
        self.stream, self._printed = stream, 0
        self._progress: Any = None
        self._rms, self._every = 0.0, 1

    def line(self, text: str) -> None:
        """Print a line, above the progress bar if there is one."""
        if self._progress is not None:
            self._progress.console.print(text, highlight=False, markup=False, soft_wrap=True)
        else:
            print(text, file=self.stream, flush=True)

    def begin(self, made: Fit, style: str, rms: float) -> None:
        """Say what will be fitted."""
        from mdapp.fit.training import ROWS

        data, training = made.data, made.training
        self._rms, self._every = rms, ROWS // LINES
        self.line(f"mdapp: fit of {style}: {len(made.w)} weights, {', '.join(data.species)}, "
                  f"cutoff {data.cutoff:g} A; {training.optimizer}, {training.precision} "
                  "precision\n"
                  f"  {len(data.fitted())} frames fitted, {int(data.held_out.sum())} held out, "
                  f"{data.natoms.sum()} atoms, {data.npairs.sum() / data.natoms.sum():.1f} "
                  f"neighbours each; rms force {rms:.4g} eV/A held out")
        if made.step:
            self.line(f"  resumed at step {made.step}")
        self.line(f"{'step':>9} {'seconds':>9} {'fitted: eV/atom':>16} {'eV/A':>9} "
                  f"{'held out: eV/atom':>18} {'eV/A':>9} {'% of force':>10}")

    def row(self, row: dict[str, float]) -> None:
        """Print a row of the history, every so many."""
        self._printed += 1
        if self._printed % self._every:
            return
        text = (f"{row['step']:9.0f} {row['elapsed_s']:9.1f} {row['train_energy']:16.5f} "
                f"{row['train_force']:9.4f}")
        if "held_force" in row:
            text += (f" {row['held_energy']:18.5f} {row['held_force']:9.4f} "
                     f"{100 * row['held_force'] / self._rms:10.2f}")
        self.line(text)

    def step(self, done: int) -> None:
        """Move the progress bar on."""
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], completed=done)

    @contextmanager
    def bar(self, made: Fit) -> Iterator[None]:
        """Have a progress bar, if somebody watches."""
        if not watched(self.stream):
            yield
            return
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        progress = Progress(
            TextColumn("step {task.completed:.0f}/{task.total:.0f}"), BarColumn(),
            TimeRemainingColumn(), transient=True, console=RichConsole(file=self.stream))
        progress.add_task("fit", total=made.training.steps, completed=made.step)
        with progress:
            self._progress = progress
            yield
        self._progress = None

    def end(self, report: dict[str, Any]) -> None:
        """Say what came of it."""
        for name, label in (("fitted", "fitted"), ("held_out", "held out")):
            if name in report["errors"]:
                e = report["errors"][name]
                self.line(f"  {label:9} {e['frames']:6} frames: {1e3 * e['energy']:.3f} meV/atom, "
                          f"{e['force']:.4g} eV/A = {e['force_percent']:.2f} % of the rms force "
                          f"{e['rms_force']:.4g}")
        read = report["read"]
        self.line(f"  {report['steps']} steps in {report['elapsed_s']:.1f} s, "
                  f"{report['compile_s']:.1f} s of it compiling; "
                  f"{read['bytes'] / 1e6:.0f} MB read at {1e3 * read['gbytes_per_s']:.0f} MB/s, "
                  f"{read['waited_s']:.1f} s waited for")
