"""`mdapp run` as a user types it: text that parses as a LAMMPS log, JSON with documented keys."""

import json
import re
from pathlib import Path

import pytest

from tests.decks import melt

DECK = melt(run="steps = 20\ndeterministic = true", more="[thermo]\nevery = 10")
DUMPS = (
    DECK
    + """
[[output]]
kind = "atom"
every = 10
file = "melt.lammpstrj"
[[output]]
kind = "custom"
every = 20
file = "melt.*.dump"
columns = ["id", "x", "y", "z", "vx", "fx", "ix"]
[[output]]
kind = "extxyz"
every = 20
file = "melt.xyz"
"""
)
SCRIPT = """units lj
variable n index 3
lattice fcc 0.8442
region box block 0 $n 0 $n 0 $n
create_box 1 box
create_atoms 1 box
mass 1 1.0
velocity all create 1.44 87287 loop geom
pair_style lj/cut 2.5
pair_coeff 1 1 1.0 1.0 2.5
fix 1 all nve
thermo 5
run 10
"""
# architecture: the contract of `mdapp run --json`
KEYS = {
    "schema",
    "version",
    "state_hash",
    "atoms",
    "ranks",
    "threads",
    "grid",
    "steps",
    "loop_s",
    "atom_steps_per_s",
    "steps_per_s",
    "compile_s",
    "setup_s",
    "bytes_per_atom",
    "bytes_fixed",
    "neighbor_builds",
    "dangerous_builds",
    "phases",
    "thermo",
    "checkpoints",
    "checkpoint_totals",
}
PHASES = ["force", "neighbor", "halo", "integrate", "output", "checkpoint", "other"]
LOOP = re.compile(r"^Loop time of (\S+) on (\d+) procs for (\d+) steps with (\d+) atoms$", re.M)
PERFORMANCE = re.compile(
    r"^Performance: (\S+) (\S+)/day, (\S+) timesteps/s, (\S+) ([kMGT]?)atom-step/s$", re.M
)


def run(launch, tmp_path: Path, text: str, *options: str, name: str = "melt.toml", ranks: int = 1):
    (tmp_path / name).write_text(text)
    arguments = ["-m", "mdapp", "run", name, *options]
    end = launch(arguments, timeout=180) if ranks == 1 else launch(ranks, arguments, timeout=180)
    assert end.code == 0, end.stdout + end.stderr
    return end


def lammps_tables(log: str) -> list[dict[str, float]]:
    """Thermo rows as parsers of LAMMPS logs find them: from a line with Step to `Loop time`."""
    rows, heading = [], None
    for line in log.splitlines():
        words = line.split()
        if words[:1] == ["Step"]:
            heading = words
        elif line.startswith("Loop time"):
            heading = None
        elif heading is not None and len(words) == len(heading):
            rows.append(dict(zip(heading, map(float, words), strict=True)))
    return rows


def test_the_text_is_a_lammps_log(python, tmp_path: Path) -> None:
    end = run(python, tmp_path, DECK, "--json", "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    rows = lammps_tables(end.stdout)
    assert [row["Step"] for row in rows] == [0, 10, 20]
    for row, full in zip(rows, report["thermo"], strict=True):
        assert row["Temp"] == pytest.approx(full["temp"], rel=1e-7)
        assert row["TotEng"] == pytest.approx(full["etotal"], rel=1e-7)
        assert row["Press"] == pytest.approx(full["press"], rel=1e-7)
    (loop,) = LOOP.findall(end.stdout)
    assert float(loop[0]) == pytest.approx(report["loop_s"], rel=1e-4) and loop[1:] == (
        "1",
        "20",
        "256",
    )
    (performance,) = PERFORMANCE.findall(end.stdout)
    assert performance[1] == "tau"
    assert float(performance[2]) == pytest.approx(report["steps_per_s"], rel=1e-3)
    scale = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[performance[4]]
    assert float(performance[3]) * scale == pytest.approx(report["atom_steps_per_s"], rel=1e-3)
    for words in (
        "Neighbor list builds = ",
        "Dangerous builds = 0",
        "Nlocal:",
        "Nghost:",
        "Histogram:",
        "Section",
    ):
        assert words in end.stdout
    assert end.stderr == ""


def test_the_json(python, tmp_path: Path) -> None:
    end = run(python, tmp_path, DECK, "--json", "-", "--steps", "7")
    report = json.loads(end.stdout)
    assert report.keys() >= KEYS and (report["schema"], report["version"]) == ("mdapp.run", 1)
    assert "Loop time" in end.stderr, "text moves to the other stream"
    assert list(report["phases"]) == PHASES
    for phase in report["phases"].values():
        assert 0 <= phase["min"] <= phase["avg"] <= phase["max"]
    total = sum(phase["avg"] for phase in report["phases"].values())
    assert total == pytest.approx(report["loop_s"], rel=1e-6)
    assert re.fullmatch("[0-9a-f]{32}", report["state_hash"])
    assert (report["atoms"], report["ranks"], report["threads"], report["steps"]) == (256, 1, 1, 7)
    assert report["grid"] == [1, 1, 1] and report["checkpoints"] == []
    assert [row["step"] for row in report["thermo"]] == [0, 7]
    assert {"step", "temp", "pe", "ke", "etotal", "press"} <= report["thermo"][0].keys()
    assert report["atom_steps_per_s"] == pytest.approx(256 * 7 / report["loop_s"])


def test_no_steps(python, tmp_path: Path) -> None:
    end = run(python, tmp_path, DECK, "--steps", "0")
    assert len(lammps_tables(end.stdout)) == 1
    assert LOOP.findall(end.stdout)[0][2] == "0"


def test_changes_on_the_command_line(python, tmp_path: Path) -> None:
    end = run(
        python,
        tmp_path,
        DECK,
        "--set",
        "run.steps=3",
        "--set",
        "thermo.columns=['step','pe','vol']",
        "--set",
        "system.cells=[3,3,3]",
        "--set",
        "run.precision=mixed",
        "--json",
        "r.json",
    )
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["atoms"], report["steps"], report["precision"]) == (108, 3, "mixed")
    assert list(lammps_tables(end.stdout)[0]) == ["Step", "PotEng", "Volume"]
    end = run(python, tmp_path, DECK, "--set", "run.threads=2", "--json", "r2.json")
    assert LOOP.findall(end.stdout)[0][1] == "2", "threads count as procs, as in LAMMPS"


def test_a_script_and_its_variables(python, tmp_path: Path) -> None:
    end = run(python, tmp_path, SCRIPT, "-var", "n=4", "--set", "thermo.every=2", name="in.melt")
    assert LOOP.findall(end.stdout)[0][2:] == ("10", "256")
    rows = lammps_tables(end.stdout)
    assert [row["Step"] for row in rows] == [0, 2, 4, 6, 8, 10]
    assert rows[0]["E_pair"] == pytest.approx(-6.7733681, abs=5e-8)


def test_ranks_do_not_show(python, mpirun, tmp_path: Path) -> None:
    """Thermo lines, final state and dumps by id: the same bytes on one and three ranks."""
    one = run(python, tmp_path, DUMPS, "--out", "one", "--json", "one.json")
    three = run(mpirun, tmp_path, DUMPS, "--out", "three", "--json", "three.json", ranks=3)
    assert lammps_tables(three.stdout) == lammps_tables(one.stdout)
    assert three.stdout.count("Loop time") == 1
    assert LOOP.findall(three.stdout)[0][1:] == ("3", "20", "256")
    a, b = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("one", "three"))
    assert a["state_hash"] == b["state_hash"] and a["thermo"] == b["thermo"] and b["ranks"] == 3
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    dumps = ["melt.0.dump", "melt.20.dump", "melt.lammpstrj", "melt.xyz"]
    assert files == [*dumps, "run.json", "thermo.jsonl"]
    for name in dumps:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "three" / name).read_bytes(), (
            name
        )
    lines = (tmp_path / "three" / "melt.20.dump").read_text().splitlines()
    assert lines[8] == "ITEM: ATOMS id x y z vx fx ix"
    assert [int(line.split()[0]) for line in lines[9:]] == list(range(1, 257))
    trajectory = (tmp_path / "one" / "melt.lammpstrj").read_text().splitlines()
    assert trajectory.count("ITEM: TIMESTEP") == 3 and len(trajectory) == 3 * (9 + 256)


def test_the_folder_of_a_run(python, tmp_path: Path) -> None:
    """DECKNAME.run beside where the command was given, made only if something is written."""
    run(python, tmp_path, DUMPS, "--steps", "0")
    assert (tmp_path / "melt.run" / "melt.xyz").exists()
    run(python, tmp_path, DECK, "--steps", "0", name="other.toml")
    assert not (tmp_path / "other.run").exists()


def test_dangerous_builds_are_printed(python, tmp_path: Path) -> None:
    end = run(
        python,
        tmp_path,
        DECK,
        "--set",
        "neighbors.every=10",
        "--set",
        "neighbors.skin=0.05",
        "--json",
        "r.json",
    )
    assert json.loads((tmp_path / "r.json").read_text())["dangerous_builds"] == 2
    assert "Dangerous builds = 2" in end.stdout and "Neighbor list builds = 2" in end.stdout
    end = run(
        python, tmp_path, DECK, "--set", "neighbors.every=10", "--set", "neighbors.check=false"
    )
    assert "Dangerous builds not checked" in end.stdout and "Neighbor list builds = 2" in end.stdout
    end = run(python, tmp_path, DECK, "--set", "neighbors.delay=30", "--set", "neighbors.every=5")
    assert "Neighbor list builds = 0" in end.stdout


def test_help_has_examples(python) -> None:
    end = python(["-m", "mdapp", "run", "--help"])
    assert end.code == 0 and "mpirun -n 2 mdapp run" in end.stdout and "--steps" in end.stdout
