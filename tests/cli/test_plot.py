"""`mdapp plot` as a user types it: on runs that ended, were killed, restarted, or are none."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from mdapp.plot.run_folder import read_run
from mdapp.plot.snapshot import newest_snapshot
from tests.cli.chromium import PHONE, Opened
from tests.cli.test_run import DECK
from tests.conftest import ROOT, Mpirun, run_bounded

OUTPUTS = """
[[output]]
kind = "atom"
every = 20
file = "melt.lammpstrj"
[[output]]
kind = "extxyz"
every = 20
file = "melt.xyz"
[[output]]
kind = "h5md"
every = 20
file = "melt.h5md"
"""
NAMES = ("atoms", "temperature", "pressure", "energies", "drift", "phases", "timeline", "cost")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 40 steps from a restart at 20, and its report as a file."""
    import sys

    from tests.conftest import _python_environment

    folder = tmp_path_factory.mktemp("plot")
    (folder / "melt.toml").write_text(DECK + OUTPUTS)
    run = [sys.executable, "-m", "mdapp", "run", "melt.toml", "--out", "melt", "--set",
           "checkpoint.every=20", "--set", "thermo.every=2"]  # fmt: skip
    for options in ([], ["--set", "run.steps=40", "--restart", "auto", "--json", "report.json"]):
        end = run_bounded([*run, *options], 120, _python_environment(None), folder)
        assert end.code == 0, end.stderr
    return folder


def plot(python: Mpirun, *arguments: object) -> str:
    end = python(["-m", "mdapp", "plot", *map(str, arguments)])
    assert end.code == 0, end.stdout + end.stderr
    return str(end.stdout)


def test_a_run_in_pictures_and_on_a_page(finished: Path, python: Mpirun, tmp_path: Path,
                                         page: Callable[..., Opened]) -> None:
    said = plot(python, finished / "melt", "--out", "p", "--html", "x/page.html")
    assert "256 atoms, lj/cut, double precision, 1 rank of 1 thread" in said
    assert "Ended by itself at step 40 (0.2 τ)." in said and "1 restart" in said
    for name in NAMES:
        picture = imread(tmp_path / "p" / f"{name}.png")
        assert min(picture.shape[:2]) > 300
        assert (np.ptp(picture[..., :3], axis=2) > 0.2).mean() > 0.0005, name
    report = json.loads((tmp_path / "p/report.json").read_text())
    assert [row["step"] for row in report["tables"]["thermo"]] == [*range(0, 42, 2)]
    assert [row["event"] for row in report["tables"]["checkpoints"]].count("restart") == 1
    assert report["environment"]["python"] and len(report["run"]["legs"]) == 2
    for size in (PHONE, (1280, 900)):
        seen = page(tmp_path / "x/page.html", size)
        assert seen.errors == [] and seen.requests == [] and seen.overflow <= 0
        assert seen.evaluate("document.querySelectorAll('figure svg').length") == len(NAMES)
        for words in ("256 atoms of step-000000000040", "Energy conservation", "restart",
                      "1 rank", "python"):  # fmt: skip
            assert words in seen.text
    assert (tmp_path / "x/page.html").stat().st_size < 3_000_000


def test_the_report_of_a_run_alone(finished: Path, python: Mpirun, tmp_path: Path) -> None:
    said = plot(python, finished / "report.json", "--json", "n.json")
    assert "Ended by itself at step 40" in said
    names = {p.stem for p in (tmp_path / "report.plot").glob("*.png")}
    assert names == {"temperature", "pressure", "energies", "drift", "phases", "cost"}
    assert json.loads((tmp_path / "n.json").read_text())["schema"] == "mdapp.plot"


def test_a_killed_run(finished: Path, python: Mpirun, tmp_path: Path) -> None:
    """No report, torn lines, a damaged checkpoint: the older one, and a warning."""
    run = tmp_path / "run"
    shutil.copytree(finished / "melt", run)
    (run / "run.json").unlink()
    for name in ("thermo.jsonl", "ckpt-metrics.jsonl"):
        text = (run / name).read_bytes()
        (run / name).write_bytes(text[:-20])
    shard = next((run / "checkpoints/step-000000000040").rglob("*.h5"))
    shard.write_bytes(shard.read_bytes()[:-1])
    before = sorted(run.rglob("*"))
    said = plot(python, run, "--out", "p")
    assert sorted(run.rglob("*")) == before, "looking changes nothing"
    assert "Known up to step 38 (0.19 τ) of 40: it goes on, or was ended from outside." in said
    text = (tmp_path / "p/report.txt").read_text()
    assert "warning: " in text and "step-000000000040" in text
    assert "known at the end only" in text
    assert "256 atoms of step-000000000020" in (tmp_path / "p/report.html").read_text()
    assert not (tmp_path / "p/phases.png").exists()


@pytest.mark.parametrize("name", ["melt.lammpstrj", "melt.xyz", "melt.h5md"])
def test_atoms_of_a_trajectory(finished: Path, tmp_path: Path, name: str) -> None:
    """Positions of the last whole frame are those of the checkpoint of its step."""
    wanted, trouble = newest_snapshot(read_run(finished / "melt"))
    assert wanted is not None and not trouble and wanted.step == 40
    shutil.copy(finished / "melt/thermo.jsonl", tmp_path)
    for path in (finished / "melt").glob(name.replace(".h5md", "*.h5md")):
        shutil.copy2(path, tmp_path)
    found, trouble = newest_snapshot(read_run(tmp_path))
    assert found is not None and not trouble, trouble
    box = wanted.box
    apart = np.sort(found.x % box.lengths, axis=0) - np.sort(wanted.x % box.lengths, axis=0)
    assert np.abs(apart).max() < 2e-4 and len(found.x) == 256
    assert np.allclose(found.box.lengths, box.lengths) and (found.type == 0).all()
    if name != "melt.h5md":
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-100])
        torn, _ = newest_snapshot(read_run(tmp_path))
        assert torn is not None and np.abs(torn.x - found.x).max() > 1e-3, "the frame before"


@pytest.mark.parametrize(("make", "said"), [
    (lambda p: None, "no such folder or file"),
    (lambda p: p.mkdir(), "nothing of a run is here"),
    (lambda p: p.write_text("no"), "is no report of `mdapp run --json`"),
    (lambda p: p.write_text('{"schema": "mdapp.eval", "version": 1}'), "is no report of"),
    (lambda p: p.write_text('{"schema": "mdapp.run", "version": 2}'), "of version 2"),
], ids=["missing", "empty", "text", "other", "newer"])  # fmt: skip
def test_what_is_no_run_is_told_in_one_line(python: Mpirun, tmp_path: Path, make, said) -> None:
    make(tmp_path / "run")
    end = python(["-m", "mdapp", "plot", "run"])
    assert end.code == 2 and end.stdout == ""
    assert end.stderr.count("\n") == 1 and end.stderr.startswith("mdapp: error: run: ")
    assert said in end.stderr and not (tmp_path / "run.plot").exists()


def test_the_help_names_what_is_written(python: Mpirun) -> None:
    end = python(["-m", "mdapp", "plot", "--help"])
    assert end.code == 0 and "report.html" in end.stdout and (ROOT / "mdapp/plot").is_dir()


def test_under_mpirun_the_first_rank_draws(finished: Path, mpirun: Mpirun, tmp_path: Path) -> None:
    end = mpirun(2, ["-m", "mdapp", "plot", str(finished / "melt"), "--out", "p"])
    assert end.code == 0 and end.stdout.count("256 atoms") == 1
    assert (tmp_path / "p/atoms.png").exists()
    end = mpirun(2, ["-m", "mdapp", "plot", "nowhere"])
    assert end.code == 2 and end.stderr.count("mdapp: error: nowhere: no such folder") == 1
    assert "ABORT" not in end.stderr
