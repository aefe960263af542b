"""What a user gets wrong: one message, exit code 2, on any number of ranks, and no hang.

The mistakes of a table are made one after the other in one start of `try_all.py`, on one rank and
on three; some are then made as a user makes them, each with a start of its own.  A hang ends at
the time limit, and fails.
"""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.decks import melt

TRY_ALL = str(Path(__file__).parent / "try_all.py")

DECK = melt(3, more="[thermo]\nevery = 10")
DATA = """two atoms

2 atoms
1 atom types
0.0 6.0 xlo xhi
0.0 6.0 ylo yhi
0.0 6.0 zlo zhi

Masses

1 1.0

Atoms # atomic

1 1 1.0 1.0 1.0
2 1 3.0 3.0 3.0
"""
FROM_FILE = DECK.replace(
    'lattice = "fcc"\ndensity = 0.8442\ncells = [3, 3, 3]\ntemperature = 1.44', 'file = "data.two"'
)


DUMP = '[[output]]\nkind = "atom"\nevery = 10\nfile = "{}"\n'
METAL = DECK.replace('"lj"', '"metal"', 1).replace(
    "density = 0.8442", 'constant = 4.0\nspecies = ["Xq"]'
)


@dataclass(frozen=True)
class Mistake:
    """A command that must be refused with a message of `lines` lines that has all `words`."""

    words: tuple[str, ...]
    options: tuple[str, ...] = ()
    deck: str = DECK
    data: str = DATA
    lines: int = 1


def with_deck(old: str, new: str, *words: str, lines: int = 1) -> Mistake:
    assert old in DECK
    return Mistake(words, deck=DECK.replace(old, new), lines=lines)


def with_data(change: Callable[[str], str], *words: str) -> Mistake:
    assert change(DATA) != DATA
    return Mistake(words, deck=FROM_FILE, data=change(DATA))


def with_set(*settings: str, words: tuple[str, ...]) -> Mistake:
    return Mistake(words, tuple(word for setting in settings for word in ("--set", setting)))


MISTAKES = {
    "unknown key": with_deck(
        "[run]", "[run]\nstps = 3", "deck.toml", "run.stps", "did you mean run.steps?"
    ),
    "unknown section": with_deck("[thermo]", "[thermos]", "thermos", "did you mean thermo?"),
    "unknown key of the potential": with_deck(
        "sigma", "sgima", "potential.sgima", "did you mean sigma?"
    ),
    "unknown style": with_deck(
        "lj/cut", "lj/ctu", "potential.style = 'lj/ctu'", "did you mean lj/cut?"
    ),
    "not TOML": with_deck("[run]", "[run", "deck.toml"),
    "two mistakes": with_deck(
        "steps = 20", "steps = -1\ntimestep = 0.0", "run.steps = -1", "run.timestep = 0", lines=2
    ),
    "no structure file": Mistake(
        ("nothing.data",), deck=FROM_FILE.replace("data.two", "nothing.data")
    ),
    "a folder for a file": Mistake(("is a directory",), deck=FROM_FILE.replace("data.two", ".")),
    "truncated data": with_data(lambda d: d[: d.index("2 1 3.0")], "data.two:13", "truncated"),
    "truncated in a line": with_data(lambda d: d[:-8], "data.two:16", "column"),
    "cut before the atoms": with_data(lambda d: d[: d.index("Atoms")], "data.two", "Atoms"),
    "empty data": with_data(lambda d: "", "data.two"),
    "too few columns": with_data(
        lambda d: d.replace("3.0 3.0 3.0", "3.0 3.0"), "data.two:16", "column"
    ),
    "not a number": with_data(
        lambda d: d.replace("3.0 3.0 3.0", "3.0 nan 3.0"), "data.two:16", "nan"
    ),
    "no such type": with_data(lambda d: d.replace("2 1 3.0", "2 7 3.0"), "data.two:16", "type 7"),
    "an id twice": with_data(
        lambda d: d.replace("2 1 3.0", "1 1 3.0"), "data.two:16", "atom id 1 appears twice"
    ),
    "negative mass in data": with_data(
        lambda d: d.replace("\n1 1.0\n", "\n1 -1.0\n"), "data.two", "-1"
    ),
    "one place": with_data(
        lambda d: d.replace("3.0 3.0 3.0", "1.0 1.0 1.0"), "step 0", "atoms 1 and 2 are 0 apart"
    ),
    "one place through a face": with_data(
        lambda d: d.replace("3.0 3.0 3.0", "7.0 -5.0 1.0"), "atoms 1 and 2 are 0 apart"
    ),
    "inverted box": with_data(lambda d: d.replace("0.0 6.0 xlo", "6.0 0.0 xlo"), "data.two", "xlo"),
    "far outside the box": with_data(
        lambda d: d.replace("3.0 3.0 3.0", "3.0 3e9 3.0"), "data.two", "outside the box"
    ),
    "unknown element": Mistake(("Xq",), deck=METAL),
    "negative mass": with_deck("density", "masses = [-1.0]\ndensity", "masses", "-1"),
    "cutoff 0": with_deck("rc = 2.5", "rc = 0.0", "rc = 0: must be greater than 0"),
    "cutoff < 0": with_deck("rc = 2.5", "rc = -2.5", "rc = -2.5: must be greater than 0"),
    "cutoff nan": with_deck("rc = 2.5", "rc = nan", "rc = NaN: must be a finite number"),
    "cutoff a text": with_deck("rc = 2.5", 'rc = "far"', "rc = 'far'"),
    "bad pair table": with_deck(
        "rc = 2.5", "rc = 2.5\n[[potential.pair]]\ntypes = [1, 2]", "pair.types = [1, 2]"
    ),
    "overlap in integers": Mistake(
        ("step 0", "range of deterministic sums"),
        ("--set", "run.deterministic=true"),
        FROM_FILE,
        DATA.replace("3.0 3.0 3.0", "1.0 1.0 1.2"),
    ),
    "grid": with_set("run.grid=[2,2,2]", words=("run.grid = [2, 2, 2]", "its product must be")),
    "precision": with_set(
        "run.precision=bf16",
        words=("run.precision = 'bf16'", "lj/cut can do double, mixed, single"),
    ),
    "blow-up": with_set(
        "run.timestep=0.5",
        "run.steps=200",
        words=("step ", "lost atoms: ", "(rank ", "more", "shorten run.timestep (now 0.5)"),
    ),
    "blow-up at leisure": with_set(
        "run.timestep=0.3",
        "run.steps=60",
        "neighbors.every=20",
        "neighbors.check=false",
        "run.deterministic=true",
        words=("step ",),
    ),
    "blow-up in mixed": with_set(
        "run.timestep=0.3", "run.steps=60", "run.precision=mixed", words=("lost atoms",)
    ),
    "folder under a file": Mistake(
        ("deck.toml/under",), ("--out", "deck.toml/under"), DECK + DUMP.format("a.dump")
    ),
    "folder in /proc": Mistake(
        ("/proc/mdapp",), ("--out", "/proc/mdapp"), DECK + DUMP.format("a.dump")
    ),
    "dump in no folder": Mistake(
        ("no/where/a.dump", "make the directory"), (), DECK + DUMP.format("no/where/a.dump")
    ),
    "compressed dump": Mistake(("a.dump.gz",), (), DECK + DUMP.format("a.dump.gz")),
    "report under a file": Mistake(("deck.toml/report.json",), ("--json", "deck.toml/report.json")),
    "report in no folder": Mistake(("missing/report.json",), ("--json", "missing/report.json")),
    "full disk": Mistake(
        ("/dev/full", "frame of step 0", "No space left on device"),
        (),
        DECK + DUMP.format("/dev/full"),
    ),
    "no such option": Mistake(("--stesp",), ("--stesp", "3")),
    "steps < 0": Mistake(("--steps",), ("--steps", "-1")),
    "setting without =": Mistake(("nonsense",), ("--set", "nonsense")),
    "unknown setting": Mistake(("run.stesp",), ("--set", "run.stesp=3")),
    "variable of a deck": Mistake(("-var is for LAMMPS scripts",), ("--var", "x=1")),
}


def message_of(stderr: str) -> str:
    """What mdapp says, without the words of mpirun about exit codes."""
    lines = stderr.splitlines()
    first = next(
        (k for k, line in enumerate(lines) if line.startswith("mdapp: error:")), len(lines)
    )
    last = next((k for k in range(first, len(lines)) if lines[k].startswith("-----")), len(lines))
    return "\n".join(line for line in lines[first:last] if line.strip())


def complaints(mistake: Mistake, code: int, stderr: str) -> list[str]:
    """What is wrong with the way a mistake was refused."""
    told, found = message_of(stderr), []
    if code != 2:
        found.append(f"exit code {code}")
    if "Traceback" in stderr or "defect" in stderr:
        found.append("a traceback")
    if stderr.count("mdapp: error:") != 1 or len(told.splitlines()) != mistake.lines:
        found.append(f"not one message of {mistake.lines} lines")
    found += [f"{word!r} is not said" for word in mistake.words if word not in told]
    return [f"{', '.join(found)}:\n{stderr}"] if found else []


@pytest.mark.parametrize("ranks", [1, 3])
def test_mistakes_are_refused(python, mpirun, tmp_path: Path, ranks: int) -> None:
    commands = {}
    for k, (name, mistake) in enumerate(MISTAKES.items()):
        folder = tmp_path / str(k)
        folder.mkdir()
        (folder / "deck.toml").write_text(mistake.deck)
        (folder / "data.two").write_text(mistake.data)
        (folder / ".." / "deck.toml").write_text(DECK)
        out = [] if "--out" in mistake.options else ["--out", str(folder)]
        commands[name] = ["run", f"{k}/deck.toml", *out, *mistake.options]
    (tmp_path / "commands.json").write_text(json.dumps(commands))
    arguments, env = [TRY_ALL, "commands.json"], {"MDAPP_AGREE_TIMEOUT": "30"}
    end = python(arguments, 120, env) if ranks == 1 else mpirun(ranks, arguments, 120, env)
    ended = json.loads((tmp_path / "ended.json").read_text())
    failed = []
    for name, mistake in MISTAKES.items():
        if name not in ended:
            failed.append(f"{name}: the job was aborted\n{end.stderr}")
            break
        (_, _, first), *others = ended[name]
        failed += [f"{name}: {c}" for c in complaints(mistake, ended[name][0][0], first)]
        failed += [
            f"{name}: rank {r + 1} ended with {code}"
            for r, (code, _, _) in enumerate(others)
            if code != 2
        ]
        failed += [
            f"{name}: rank {r + 1} talks" for r, (_, out, err) in enumerate(others) if out or err
        ]
    assert not failed, "\n".join(failed)
    assert end.code == 0, end.stderr


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("name", ["unknown key", "one place", "blow-up", "truncated data"])
def test_as_a_user_types_it(python, mpirun, tmp_path: Path, name: str, ranks: int) -> None:
    """The exit code of mdapp is that of mpirun, and what mpirun adds comes after the message."""
    mistake = MISTAKES[name]
    (tmp_path / "deck.toml").write_text(mistake.deck)
    (tmp_path / "data.two").write_text(mistake.data)
    arguments = ["-m", "mdapp", "run", "deck.toml", *mistake.options]
    end = python(arguments, 90) if ranks == 1 else mpirun(ranks, arguments, 90)
    assert not complaints(mistake, end.code, end.stderr)


@pytest.mark.parametrize("ranks", [1, 2])
def test_no_deck(python, mpirun, ranks: int) -> None:
    arguments = ["-m", "mdapp", "run", "none.toml"]
    end = python(arguments) if ranks == 1 else mpirun(ranks, arguments)
    assert not complaints(Mistake(("none.toml",)), end.code, end.stderr)


def test_lost_atoms_are_named(python, tmp_path: Path) -> None:
    """Ids of atoms that exist, at most five of them, and a step of the run."""
    mistake = MISTAKES["blow-up"]
    (tmp_path / "deck.toml").write_text(mistake.deck)
    told = message_of(python(["-m", "mdapp", "run", "deck.toml", *mistake.options], 90).stderr)
    ids = told.split("lost atoms: ")[1].split(" and ")[0].split(", ")
    assert 1 <= len(ids) <= 5 and all(1 <= int(k) <= 108 for k in ids)
    assert 1 <= int(told.split("step ")[1].split(":")[0]) <= 200


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_disk_that_fills_up_during_the_run(
    python, mpirun, tmp_path: Path, small_disk: Path, ranks: int
) -> None:
    """Frames that fitted stay whole; the one that did not is cut away."""
    deck = DECK.replace("[3, 3, 3]", "[4, 4, 4]") + DUMP.format("a.dump").replace("10", "1")
    (tmp_path / "deck.toml").write_text(deck)
    arguments = ["-m", "mdapp", "run", "deck.toml", "--out", "disk"]
    end = python(arguments, 90) if ranks == 1 else mpirun(ranks, arguments, 90)
    words = ("a.dump: frame of step", "No space left on device", "free some space")
    assert not complaints(Mistake(words), end.code, end.stderr)
    lines = (small_disk / "a.dump").read_text().splitlines()
    assert len(lines) % (9 + 256) == 0 and len(lines) > 0
