"""`mdapp validate`: verdicts, files, exit codes, and what wrong use is told."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.chromium import PHONE, Opened

ROOT = Path(__file__).resolve().parents[2]
LJ = "lj/cut:epsilon=1,sigma=1,rc=2.5"


def test_a_sound_potential_passes_and_leaves_its_files(python, tmp_path: Path) -> None:
    end = python(["-m", "mdapp", "validate", LJ, "--check", "1-3,7,16", "--out", "out",
                  "--junit", "here.xml"], timeout=120)
    assert end.code == 0, end.stdout + end.stderr
    answer = json.loads((tmp_path / "out" / "report.json").read_text())
    assert answer["schema"] == "mdapp.validate"
    found = {r["key"]: r for r in answer["results"]}
    assert {key: r["status"] for key, r in found.items()} == {
        "contract": "PASS", "forces_fd": "PASS", "virial_fd": "PASS", "symmetry": "PASS",
        "smooth": "XFAIL"}
    # A truncated Lennard-Jones jumps at its cutoff by |E(2.5)| and |F(2.5)|.
    jumps = {m["name"]: m["value"] for m in found["smooth"]["measures"]}
    assert jumps["jump of the energy"] == pytest.approx(0.016316891136, abs=1e-9)
    assert jumps["jump of the force"] == pytest.approx(0.038999477, abs=1e-7)
    worst = tmp_path / "out" / found["forces_fd"]["worst"]["file"]
    assert worst.read_text().splitlines()[1].startswith("Lattice=")
    assert (tmp_path / "out" / "report.html").stat().st_size > 5000
    assert "<testsuite" in (tmp_path / "here.xml").read_text()


def test_the_page_shows_every_check_and_picture(python, tmp_path: Path,
                                                page: Callable[..., Opened]) -> None:
    end = python(["-m", "mdapp", "validate", LJ, "--check", "2,5,16,17,19,26", "--precision",
                  "double,mixed", "--html", "page.html"], timeout=120)
    assert end.code == 0, end.stdout + end.stderr
    for size in ((1280, 900), PHONE):
        seen = page(tmp_path / "page.html", size)
        assert seen.errors == [] and seen.requests == [] and seen.overflow <= 0
        assert seen.evaluate("document.querySelectorAll('svg').length") == 4
        assert seen.image.std() > 0.01
        for word in ("02 forces_fd [mixed]", "XFAIL", "not there yet", "declared cutoff",
                     "26 precision [double]", "No mandatory or consistency check failed"):
            assert word in seen.text, word


def mutant(name: str) -> str:
    return f"python:{ROOT}/tests/physics/mutants/{name}.py:Mutant"


def test_one_that_hangs_or_dies_is_a_failed_check_and_no_more(python, tmp_path: Path) -> None:
    for name, told in (("hangs", "did not end within 2 s"), ("dies", "the process died")):
        end = python(["-m", "mdapp", "validate", mutant(name), "--species", "A,B",
                      "--check", "1,2,7,18", "--time-limit", "2", "--json", f"{name}.json"],
                     timeout=60)
        assert end.code == 1 and told in end.stdout and "Traceback" not in end.stderr
        found = json.loads((tmp_path / f"{name}.json").read_text())["results"]
        assert [r["status"] for r in found] == ["FAIL", "FAIL", "SKIP", "SKIP"]


def test_a_failure_stops_dynamics_and_shows_in_a_comparison(python, tmp_path: Path) -> None:
    sound = f"python:{ROOT}/tests/physics/mutants/sane.py:Sane"
    options = ["--species", "A,B", "--check", "7,17"]
    end = python(["-m", "mdapp", "validate", sound, *options, "--json", "old.json"])
    assert end.code == 0, end.stdout + end.stderr
    end = python(["-m", "mdapp", "validate", mutant("flipped_x"), *options, "--compare",
                  "old.json"])
    assert end.code == 1
    assert "07 symmetry [double]: status PASS -> FAIL" in end.stdout
    assert "a mandatory check failed; --keep-going runs it anyway" in end.stdout
    end = python(["-m", "mdapp", "validate", sound, *options, "--compare", "old.json"])
    assert end.code == 0 and "nothing has changed" in end.stdout


def test_declared_failures(python, tmp_path: Path) -> None:
    """XFAIL within its bound, FAIL beyond, XPASS where there is none, which --strict takes ill."""
    deck = tmp_path / "cut.toml"
    deck.write_text('units = "lj"\n[potential]\nstyle = "lj/cut"\nepsilon = 1.0\nsigma = 1.0\n'
                    "rc = 2.5\n")
    side = tmp_path / "cut.validate.toml"
    entry = '[[known]]\ncheck = "{}"\nmax = {}\nreason = "for a test"\n'
    command = ["-m", "mdapp", "validate", "cut.toml", "--check", "16,18"]
    for text, told, code in (
        (entry.format("smooth", 0.04), "XFAIL", 0), (entry.format("smooth", 0.02), "FAIL", 1),
        (entry.format("extensive", 1.0), "XPASS", 0), (entry.format("contract", 1.0), "cannot", 2),
        ('[[known]]\ncheck = "smooth"\n', "needs max", 2), ("[knwon]\n", "unknown", 2)):
        side.write_text(text)
        end = python(command)
        assert (end.code, told in end.stdout + end.stderr) == (code, True), end.stdout + end.stderr
    side.write_text(entry.format("extensive", 1.0))
    assert python([*command, "--strict"]).code == 1


def test_checks_that_are_not_there_are_named(python) -> None:
    end = python(["-m", "mdapp", "validate", LJ, "--check", "eos,30"])
    assert end.code == 0 and end.stdout.count("not there yet") >= 2
    end = python(["-m", "mdapp", "validate", "--list"])
    assert len(end.stdout.splitlines()) == 30


def test_an_ase_calculator_is_asked_what_it_can_be(python) -> None:
    pytest.importorskip("ase")
    end = python(["-m", "mdapp", "validate", "ase:ase.calculators.lj:LennardJones:sigma=3.4,"
                  "epsilon=0.0104,rc=9.0,smooth=true", "--species", "Ar", "--check", "2,4,7,8"],
                 timeout=120)
    assert end.code == 0, end.stdout + end.stderr
    assert "an ASE calculator sees the whole system" in end.stdout


def test_the_example(python, tmp_path: Path) -> None:
    """The formula passes; the one with the mistake fails where the README says."""
    folder = ROOT / "examples" / "validate"
    end = python(["-m", "mdapp", "validate", str(folder / "deck.toml"), "--check", "1-3,7,16"],
                 timeout=120)
    assert end.code == 0 and end.stdout.count("PASS  ") == 5, end.stdout + end.stderr
    wrong = f"python:{folder}/argon_wrong.py:argon:epsilon=0.0104,sigma=3.4,rc=9"
    end = python(["-m", "mdapp", "validate", wrong, "--check", "1-3,7,16"], timeout=120)
    failed = [line.split()[2] for line in end.stdout.splitlines() if line.startswith("  FAIL")]
    assert end.code == 1 and failed == ["forces_fd", "virial_fd"]


@pytest.mark.parametrize(("arguments", "told"), [
    (["nonsense:1"], "unknown"),
    ([LJ, "--check", "99"], "checks are numbered 1 to 30"),
    ([LJ, "--level", "gaet"], "must be one of gate"),
    ([LJ, "--precision", "half"], "must be one of double"),
    ([LJ, "--ranks", "0"], "must be numbers from 1"),
    ([LJ, "--reference", "none.extxyz"], "no such file"),
    (["eam/alloy:file=none.alloy"], "none.alloy"),
    ([], "POTENTIAL: missing"),
])
def test_wrong_use_is_one_line(python, arguments: list[str], told: str) -> None:
    end = python(["-m", "mdapp", "validate", *arguments])
    assert end.code == 2 and told in end.stderr and "Traceback" not in end.stderr
