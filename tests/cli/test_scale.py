"""`mdapp scale` as a user types it: a study from nothing to the page, stopped, resumed, gated."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdapp.cli.command import run_command
from mdapp.cli.main import invoke
from mdapp.report.write import write
from scaling.studies.page import report_of
from tests.cli.chromium import PHONE, Opened
from tests.studies import launches

ROOT = Path(__file__).resolve().parents[2]
DECK = ROOT / "examples" / "lj_melt" / "deck.toml"
SMALL = ["--atoms", "2048", "--steps", "20", "--warmup", "5", "--more-rounds", "0",
         "--no-gate"]
EXACT = ["--set", "run.deterministic=true"]


def scale(*arguments: str) -> list[str]:
    return ["-m", "mdapp", "scale", *arguments]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A strong study of one and two ranks, three rounds, seconds."""
    folder = tmp_path_factory.mktemp("scale") / "melt.scale"
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "OMPI_ALLOW_RUN_AS_ROOT": "1",
               "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    end = subprocess.run(
        [sys.executable, *scale("strong", str(DECK), "--ranks", "1,2", "--rounds", "3", *SMALL,
                                *EXACT, "--oversubscribe", "--out", str(folder))],
        capture_output=True, text=True, timeout=240, env=environ, cwd=folder.parent)
    assert end.returncode == 0, end.stdout + end.stderr
    body = json.loads((folder / "report.json").read_text())
    return {"folder": folder, "said": end.stdout, "body": body}


def test_a_study_tells_times_efficiency_and_what_it_ran_on(study) -> None:
    body, said = study["body"], study["said"]
    assert (body["schema"], body["version"]) == ("mdapp.scale", 1)
    one, two = body["tables"]["points"]
    assert (one["ranks"], two["ranks"]) == (1, 2)
    assert one["efficiency"] == 1.0 and 0.05 < two["efficiency"] < 2.0
    assert two["efficiency_low"] <= two["efficiency"] <= two["efficiency_high"]
    assert two["speedup"] == pytest.approx(2 * two["efficiency"])
    assert one["bytes_per_atom"] > 0 and one["rss_max"] > 2**20
    assert {"cpu", "commit", "mpi", "packages", "ranks_per_node"} <= set(body["environment"])
    verdicts = {c["name"]: c["status"] for c in body["checks"]}
    assert verdicts == {"no compilation inside a timed window": "PASS",
                        "no dangerous builds of lists": "PASS",
                        "the same bits on every number of ranks": "PASS"}
    assert "Karp-Flatt" in said and "report.html" in said


def test_phases_make_up_the_step(study) -> None:
    for row in study["body"]["tables"]["launches"]:
        phases = ("force", "neighbor", "halo", "integrate", "output", "checkpoint", "other")
        parts = sum(row[f"{name}_avg"] for name in phases)
        # means over ranks; the step is that of the slower, which may leave a barrier late
        assert parts <= row["s_per_step"] * (1 + 1e-9)
        assert row["ranks"] > 1 or parts == pytest.approx(row["s_per_step"], rel=1e-6)
        assert row["compiles_in_window"] == 0 and row["steps"] == 20 and row["warmup_steps"] == 5


def test_every_launch_is_a_row_of_the_csv(study) -> None:
    with (study["folder"] / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert {(r["ranks"], r["round"]) for r in rows} == {(p, n) for p in "12" for n in "123"}
    assert float(rows[0]["s_per_step"]) > 0 and rows[0]["state_hash"] and rows[0]["host_first"]


def test_launches_that_are_there_are_kept(study, python) -> None:
    folder = study["folder"]
    before = {p: p.stat().st_mtime_ns for p in (folder / "points").glob("*.json")}
    words = scale("strong", str(DECK), "--ranks", "1,2", "--rounds", "3", *SMALL, *EXACT,
                  "--oversubscribe", "--out", str(folder))
    end = python(words, timeout=60)
    assert end.code == 0, end.stderr
    assert "6 of 6 launches are there already" in end.stdout
    assert before == {p: p.stat().st_mtime_ns for p in (folder / "points").glob("*.json")}
    words[words.index("--steps") + 1] = "30"
    end = python(words, timeout=60)
    assert end.code == 2 and "was measured with another deck, number of steps" in end.stderr
    assert len(end.stderr.strip().splitlines()) == 1


def test_the_gate_lets_a_study_pass_against_itself_and_fails_a_slower_one(study, python,
                                                                          tmp_path) -> None:
    folder, old = study["folder"], tmp_path / "old.json"
    body = json.loads((folder / "report.json").read_text())
    old.write_text(json.dumps(body))
    words = scale("--collect", str(folder), "--baseline", str(old), "--junit", "gate.xml", "--png")
    end = python(words)
    assert end.code == 0, end.stdout
    assert (folder / "speedup.png").read_bytes().startswith(b"\x89PNG")
    assert "time of strong-n2048-r1-t1" in (tmp_path / "gate.xml").read_text()
    for row in body["tables"]["launches"]:
        row["s_per_step"] = {1: 1.0, 2: 1.01, 3: 0.99}[row["round"]] * 1e-7
    old.write_text(json.dumps(body))
    end = python(words)
    noisy = all(p["flags"].count("noisy") for p in body["tables"]["points"])
    assert end.code == (0 if noisy else 1)
    assert ("NOT_RESOLVED" if noisy else "FAIL") in end.stdout


def test_the_page_shows_every_row_and_picture(study, page: Callable[..., Opened]) -> None:
    path = study["folder"] / "report.html"
    for size in ((1280, 900), PHONE):
        seen = page(path, size)
        assert seen.errors == [] and seen.requests == [] and seen.overflow <= 0
        assert seen.evaluate("document.querySelectorAll('svg').length") == 5
        assert seen.image.std() > 0.01
        for word in ("Strong scaling", "Karp-Flatt", "strong-n2048-r2-t1", "95 %"):
            assert word in seen.text


def test_the_page_of_a_saturation_study_shows_the_model(tmp_path,
                                                        page: Callable[..., Opened]) -> None:
    times = {n: 1e-7 * n + 1e-8 * n ** (2 / 3) + 1e-4 for n in (500, 1000, 2000, 4000, 8000, 16000)}
    made = [x for n, t in times.items()
            for x in launches({1: [t, 1.01 * t, 0.99 * t]}, "saturation", atoms=n)]
    write(report_of(made), tmp_path)
    seen = page(tmp_path / "report.html", PHONE)
    assert seen.errors == [] and seen.requests == [] and seen.overflow <= 0
    assert seen.evaluate("document.querySelectorAll('svg').length") == 4
    for word in ("n_1/2", "Model of the step time", "predicted from the others"):
        assert word in seen.text


def test_a_stopped_study_keeps_what_it_has_and_says_how_to_go_on(tmp_path) -> None:
    words = scale("strong", str(DECK), "--ranks", "1", "--rounds", "50", *SMALL, "--out", "s")
    process = subprocess.Popen([sys.executable, *words], cwd=tmp_path, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        limit = time.monotonic() + 60
        while time.monotonic() < limit and not list(tmp_path.glob("s/points/*-1.json")):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, out + err
    assert "the same command goes on from there" in err and "--collect s" in err
    assert list(tmp_path.glob("s/points/*-1.json"))
    assert "Traceback" not in err


@pytest.mark.parametrize(("words", "said"), [
    ([], "which study?"),
    (["stron", "x.toml"], "did you mean strong"),
    (["imbalance", "x.toml"], "not there yet"),
    (["strong"], "name a deck"),
    (["strong", "absent.toml"], "absent.toml: no such deck"),
    (["strong", str(DECK), "--ranks", "1,4096"], "4096 ranks x 1 threads need 4096 cores"),
    (["strong", str(DECK), "--ranks", "two"], "write positive numbers"),
    (["strong", str(DECK), "--ranks", "1", "--atoms-per-rank", "10"], "strong takes --atoms"),
    (["weak", str(DECK), "--ranks", "1", "--atoms", "10"], "weak takes --atoms-per-rank"),
    (["strong", str(DECK), "--ranks", "1", "--steps", "many"], "a number of steps, or auto"),
    (["strong", str(DECK), "--ranks", "1", "--out", "/proc/none"], "/proc/none"),
    (["strong", str(DECK), "--emit", "lsf", "--ranks", "2", "--steps", "9"], "--emit lsf: unknown"),
    (["strong", str(DECK), "--emit", "slurm", "--steps", "9"], "name the ranks"),
    (["strong", str(DECK), "--emit", "slurm", "--ranks", "2"], "give a number"),
    (["strong", str(DECK), "--ranks", "1", "--submit"], "are for job scripts"),
    (["--collect", "absent"], "absent: is no folder"),
    (["strong", str(DECK), "--collect", "absent"], "runs no strong"),
    (["point", "absent.toml"], "absent.toml: no such point"),
])  # fmt: skip
def test_each_mistake_has_one_message(words, said, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = run_command(lambda: invoke(["scale", *words]))
    told = capsys.readouterr().err
    assert code == 2 and said in told and len(told.strip().splitlines()) == 1


def test_studies_and_plans_start_their_ranks_themselves(capsys, monkeypatch) -> None:
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "0")
    for words in (["scale", "strong", str(DECK), "--ranks", "1"],
                  ["plan", "--atoms", "1e9", "--ranks", "64", "--potential", "lj/cut:1:1:2.5"]):
        assert run_command(lambda words=words: invoke(words)) == 2
        assert "was started as 2 processes by Open MPI; start it alone" in capsys.readouterr().err


def test_one_core_has_nothing_to_scale_on(capsys, monkeypatch, tmp_path) -> None:
    from scaling.studies import command

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "affinity", lambda: (0,))
    assert run_command(lambda: invoke(["scale", "strong", str(DECK)])) == 2
    assert "may use one core, on which nothing scales" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_without_mpirun_one_rank_goes_and_two_do_not(python, monkeypatch, tmp_path) -> None:
    from mdapp.errors import InputError
    from scaling.launch import local
    from scaling.studies.points import Case, points_of

    monkeypatch.setattr(local, "mpirun_path", lambda: None)
    points = points_of("strong", Case(DECK), [1, 2], [], [], 8)
    monkeypatch.setattr(local, "affinity", lambda: (0, 1))
    local.check_machine(points[:1], False)
    with pytest.raises(InputError, match="there is no mpirun"):
        local.check_machine(points, False)


def test_a_point_on_the_wrong_number_of_ranks_is_refused(study, python) -> None:
    file = study["folder"] / "points" / "strong-n2048-r2-t1.toml"
    end = python(scale("point", str(file), "--answer", "a.json"), timeout=60)
    assert end.code == 2 and "asks for 2 ranks and was started on 1" in end.stderr


def test_weak_and_saturation_in_one_page(python, tmp_path) -> None:
    words = ["--rounds", "1", "--steps", "20", "--warmup", "5", "--more-rounds", "0", "--no-gate",
             "--out", "s"]
    for study, sizes in (("weak", "500"), ("saturation", "256,2048")):
        end = python(scale(study, str(DECK), "--ranks", "1", "--atoms-per-rank", sizes, *words),
                     timeout=120)
        assert end.code == 0, end.stdout + end.stderr
    tables = json.loads((tmp_path / "s" / "report.json").read_text())["tables"]
    assert [p["atoms"] for p in tables["saturation_points"]] == [256, 2048]
    assert [p["atoms"] for p in tables["weak_points"]] == [500]


# mdapp plan


def test_a_plan_with_its_layout_check_from_words_alone(python, tmp_path,
                                                       page: Callable[..., Opened]) -> None:
    end = python(["-m", "mdapp", "plan", "--atoms", "41470000000", "--ranks", "65536,1048576",
                  "--potential", "lj/cut:epsilon=1,sigma=1,rc=2.5", "--layout-check"], timeout=120)
    assert end.code == 0, end.stdout + end.stderr
    body = json.loads((tmp_path / "plan" / "report.json").read_text())
    assert body["schema"] == "mdapp.plan"
    assert [c["status"] for c in body["checks"]] == ["PASS"] * 6
    assert "Replace these first" in end.stdout and "2.99 TB" in end.stdout
    assert not list((tmp_path / "plan").glob(".layout*"))
    seen = page(tmp_path / "plan" / "report.html", PHONE)
    assert seen.errors == [] and seen.overflow <= 0 and "Replace these first" in seen.text
    assert seen.evaluate("document.querySelectorAll('svg').length") == 2


def test_a_plan_that_makes_no_sense_is_refused(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["plan", "--ranks", "4096", "--potential", "lj/cut:1:1:2.5"]
    for more, said in ((["--atoms", "1000"], "nothing can be predicted"),
                       (["--atoms", "x"], "write a whole number"),
                       (["--atoms", "1e9", "--machine", "absent.toml"], "no such machine file"),
                       (["--atoms", "1e9", "--density", "-1"], "must be greater than 0")):
        code = run_command(lambda more=more: invoke([*words, *more]))
        told = capsys.readouterr().err
        assert code == 2 and said in told and len(told.strip().splitlines()) == 1


def test_messages_between_two_ranks(mpirun, python, tmp_path) -> None:
    end = mpirun(2, ["-m", "mdapp", "doctor", "--pingpong", "--json", "pp.json"], timeout=120)
    found = json.loads((tmp_path / "pp.json").read_text())["pingpong"]
    assert found["ranks"] == 2 and found["same_node"]
    assert found["rows"][0]["bytes"] == 0
    times = [row["one_pair_s"] for row in found["rows"]]
    assert 0 < times[0] < times[-1] < 1 and 0 < found["o_s"] < 1e-2
    assert found["G_s_per_byte"] > 0 and found["allreduce_s"] > 0
    end = python(["-m", "mdapp", "doctor", "--pingpong"])
    assert end.code == 2 and "needs two ranks" in end.stderr


def test_a_run_ends_with_a_line_for_parsers(python, tmp_path) -> None:
    end = python(["-m", "mdapp", "run", str(DECK), "--set", "system.cells=[5,5,5]", "--steps", "10",
                  "--json", "r.json"])
    last = end.stdout.strip().splitlines()[-1]
    assert last.startswith("mdapp-perf: ranks=1 threads=1 nodes=1 grid=1x1x1 atoms=500 steps=10 ")
    said = dict(word.split("=") for word in last.split()[1:])
    report = json.loads((tmp_path / "r.json").read_text())
    assert float(said["s_per_step"]) == pytest.approx(report["loop_s"] / 10, rel=1e-3)
    assert float(said["atom_steps_per_s"]) == pytest.approx(report["atom_steps_per_s"], rel=1e-3)
    assert float(said["imbalance"]) == 1.0 and float(said["ghost_ratio"]) > 1
