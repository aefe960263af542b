"""The table of potentials, and the way from a formula to a potential as the README tells it."""

import json
import re
import shlex
from pathlib import Path

import pytest

from mdapp.cli.main import invoke
from potentials.catalogue import catalogue, markdown
from potentials.registry import STYLES

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "potentials/README.md").read_text()


def blocks(kind: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    return [text for label, text in found if label == kind]


def test_the_table_of_the_readme_is_that_of_the_registry() -> None:
    text = (ROOT / "README.md").read_text()
    table = text.split("<!-- potentials -->\n")[1].split("\n<!-- /potentials -->")[0]
    assert table == markdown(catalogue()), "put in what `mdapp potentials --markdown` prints"


def test_every_style_says_what_it_is() -> None:
    entries = {entry.style: entry for entry in catalogue()}
    assert list(entries) == list(STYLES)
    assert all(entry.title and entry.keys for entry in entries.values())
    lj = entries["lj/cut"]
    assert lj.title == "Lennard-Jones 12-6, cut off"
    assert lj.sources == ("10.1098/rspa.1924.0082",)
    assert (lj.lists, lj.precisions) == ("clusters", ("double", "mixed", "single"))
    assert {"file", "species"} == set(entries["eam/alloy"].keys)


def test_the_command(capsys, tmp_path: Path) -> None:
    assert invoke(["potentials"]) == 0
    assert "lj/cut" in capsys.readouterr().out
    assert invoke(["potentials", "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("| style |")
    assert invoke(["potentials", "--json", str(tmp_path / "p.json")]) == 0
    answer = json.loads((tmp_path / "p.json").read_text())
    assert answer["schema"] == "mdapp.potentials"
    assert [p["style"] for p in answer["potentials"]] == list(STYLES)


@pytest.fixture
def written(tmp_path: Path, monkeypatch) -> Path:
    """A folder with the files of the guide, in which its commands run."""
    (tmp_path / "well.py").write_text(blocks("python")[0])
    (tmp_path / "start.extxyz").write_text(blocks("")[0])
    (tmp_path / "deck.toml").write_text(blocks("toml")[0])
    (tmp_path / "deck.validate.toml").write_text(blocks("toml")[1])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_of_the_guide(written: Path, python, capsys) -> None:
    pytest.importorskip("ase")
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) == 6 and all(line.startswith("mdapp ") for line in lines)
    quick = [line for line in lines if "--level standard" not in line]     # that takes minutes
    assert len(quick) == 5
    for line in quick:
        end = python(["-m", *shlex.split(line)], timeout=200)
        assert end.code == 0, f"{line}\n{end.stderr}"
        assert ("check    good" in end.stdout) == ("--check" in line)


def test_check_finds_a_wrong_force_and_a_wrong_virial(written: Path, capsys, tmp_path) -> None:
    command = ["eval", "start.extxyz", "--check", "--json", "c.json", "--potential"]
    options = ":depth=0.1,width=2,rc=30"
    assert invoke([*command, f"python:well.py:well{options}"]) == 0
    check = json.loads((tmp_path / "c.json").read_text())["check"]
    assert check["good"] and check["forces"] < 1e-8 and check["components"] == 12
    (written / "bad.py").write_text(blocks("python")[0].replace("-6.0", "-6.1"))
    assert invoke([*command, f"python:bad.py:well{options}"]) == 1
    assert "check    BAD" in capsys.readouterr().out
    (written / "mine.py").write_text(
        "from ase.calculators.lj import LennardJones\n"
        "class Twice(LennardJones):\n"
        "    def calculate(self, *a):\n"
        "        super().calculate(*a)\n"
        "        self.results['stress'] = 2 * self.results['stress']\n")
    pytest.importorskip("ase")
    oracle = "ase:mine.py:{}:sigma=3,epsilon=0.1,rc=9"
    assert invoke([*command, oracle.format("Twice")]) == 1
    assert invoke([*command, oracle.format("LennardJones")]) == 0
