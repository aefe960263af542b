"""`mdapp validate`: verdicts, files, exit codes, and what wrong use is told."""

import json
from pathlib import Path

import pytest

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
