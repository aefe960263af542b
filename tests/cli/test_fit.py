"""`mdapp fit` as users type it."""

import json
from pathlib import Path

import pytest

from tests.twins import labelled

pytest.importorskip("jax", reason="needs mdapp[jax]")

SMALL = ["--set", "cutoff=4.5,4", "--set", "n_max=1", "--set", "basis_size=3", "--set", "l_max=1",
         "--set", "flags=none", "--set", "neurons=3", "--set", "precision=double"]


def test_a_fit_writes_its_model_and_goes_on_where_it_was_stopped(python, tmp_path: Path) -> None:
    labelled.write_set(tmp_path / "frames.extxyz", 12)
    command = ["-m", "mdapp", "fit", "frames.extxyz", "--style", "nep", "--steps", "30", *SMALL]
    end = python([*command, "--out", "whole", "--json", "whole.json"], timeout=120)
    assert end.code == 0, end.stderr
    assert "held out" in end.stdout and "% of the rms force" in end.stdout
    report = json.loads((tmp_path / "whole.json").read_text())
    assert (report["schema"], report["version"]) == ("mdapp.fit", 1)
    assert report["frames"] == {"fitted": 11, "held_out": 1} and report["steps"] == 30
    assert report["read"]["bytes"] > 0 and len(report["history"]) == 30
    for name in ("nep.txt", "loss.png", "checkpoint.npz", "training.h5"):
        assert (tmp_path / "whole" / name).stat().st_size > 0
    again = python([*command, "--out", "whole"], timeout=60)
    assert again.code == 2 and "--resume" in again.stderr
    done = python([*command, "--out", "whole", "--resume"], timeout=120)
    assert done.code == 0 and "resumed at step 30" in done.stdout, done.stderr
    late = python([*command, "--out", "cut", "--walltime", "00:00:01"], timeout=120)
    assert late.code == 10 and "go on with --resume" in late.stdout, late.stderr
    rest = python([*command, "--out", "cut", "--resume"], timeout=120)
    assert rest.code == 0, rest.stderr
    assert (tmp_path / "cut/nep.txt").read_bytes() == (tmp_path / "whole/nep.txt").read_bytes()


@pytest.mark.parametrize(("arguments", "said"), [
    (["missing.extxyz", "--style", "nep"], "no such file"),
    (["frames.extxyz", "--style", "mtp"], "must be one of nep, deep_potential"),
    (["frames.extxyz", "--style", "nep", "--set", "neurons"], "write it as --set KEY=VALUE"),
    (["frames.extxyz", "--style", "nep", "--held-out", "0.9"], "must be from 0 to 0.5"),
])
def test_wrong_use_is_one_line(python, tmp_path: Path, arguments: list[str], said: str) -> None:
    labelled.write_set(tmp_path / "frames.extxyz", 3)
    end = python(["-m", "mdapp", "fit", *arguments], timeout=60)
    assert end.code == 2 and said in end.stderr and end.stderr.count("\n") == 1
