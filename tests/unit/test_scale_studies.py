"""Scaling studies: arithmetic on made-up timings, sizes, order, verdicts, job scripts."""

import json
import math
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mdapp.deck import load_deck
from mdapp.errors import InputError
from mdapp.parallel.bounded import Finished
from mdapp.perf.environment import read_environment
from mdapp.perf.statistics import Interval, median_interval, unpaired_ratio
from mdapp.report.plain import as_json
from potentials.shorthand import read_potential
from scaling.launch.local import check_machine, launcher_words
from scaling.launch.scripts import SYSTEMS, Job, Site, minutes_of, read_site, script_of
from scaling.studies import validated
from scaling.studies.checks import own_checks
from scaling.studies.collect import collect
from scaling.studies.flags import flags
from scaling.studies.gate import gate, limit_of, read_baseline
from scaling.studies.page import report_of
from scaling.studies.point import Point, read_point, write_point
from scaling.studies.points import Case, points_of
from scaling.studies.sizes import resizer_of
from scaling.studies.study import order_of, write_answer
from scaling.studies.summary import Launch, half_size, karp_flatt, summaries
from scaling.studies.windows import trial_points, window_steps, with_steps
from tests.studies import launches, row

ROOT = Path(__file__).resolve().parents[2]
MELT = ROOT / "examples" / "lj_melt"


def test_amdahls_law_gives_its_serial_share_back() -> None:
    serial, ranks = 0.07, (1, 2, 4, 8)
    times = {p: [(serial + (1 - serial) / p) * noise for noise in (1.0, 1.0, 1.0)] for p in ranks}
    points = summaries(launches(times))
    assert [p.cores for p in points] == list(ranks)
    for p, point in zip(ranks, points, strict=True):
        assert point.speedup is not None and point.efficiency is not None
        expected = 1 / (serial + (1 - serial) / p)
        assert point.speedup.value == pytest.approx(expected)
        assert point.efficiency.value == pytest.approx(expected / p)
        if p > 1:
            assert point.serial is not None and point.serial.value == pytest.approx(serial)
    assert points[0].serial is None


def test_rounds_are_paired_so_that_drift_of_a_round_does_not_widen_the_ratio() -> None:
    drift = (1.0, 1.3, 0.8, 1.1, 0.9)
    points = summaries(launches({1: [2.0 * d for d in drift], 2: [1.25 * d for d in drift]}))
    two = points[1]
    assert two.spread.noisy
    assert two.efficiency is not None
    assert two.efficiency.value == pytest.approx(0.8)
    assert two.time.high - two.time.low > 0.1
    assert two.efficiency.high - two.efficiency.low < 0.3 * (two.time.high - two.time.low)


def test_the_reference_of_a_curve_need_not_be_one_core() -> None:
    points = summaries(launches({4: [1.0] * 3, 16: [0.5] * 3}))
    assert points[1].base == 4
    assert points[1].speedup is not None and points[1].speedup.value == 2.0
    assert points[1].efficiency is not None and points[1].efficiency.value == 0.5
    assert points[1].serial is not None
    assert points[1].serial.value == pytest.approx((1 / 2 - 1 / 4) / (1 - 1 / 4))


def test_weak_efficiency_is_the_plain_ratio_of_times() -> None:
    many = [*launches({1: [1.0] * 3}, "weak"), *launches({8: [1.25] * 3}, "weak", atoms=256_000)]
    last = summaries(many)[-1]
    assert last.efficiency is not None and last.efficiency.value == pytest.approx(0.8)
    assert last.serial is None


def test_karp_flatt_turns_the_interval_round() -> None:
    share = karp_flatt(Interval(1.6, 1.5, 1.8), 2)
    assert share.low < share.value < share.high
    assert share.value == pytest.approx((1 / 1.6 - 0.5) / 0.5)
    assert share.high == pytest.approx((1 / 1.5 - 0.5) / 0.5)


def test_half_size_is_where_the_rate_is_half_of_the_best() -> None:
    cost, fixed = 1e-7, 1e-3
    sizes = [1000 * 2**k for k in range(12)]
    made = [x for n in sizes
            for x in launches({1: [cost * n + fixed] * 3}, "saturation", atoms=n)]
    found = half_size(summaries(made))
    assert found is not None
    best, half = found
    assert best == pytest.approx(1 / cost, rel=0.02)
    assert half == pytest.approx(fixed / cost, rel=0.05)
    flat = [x for n in sizes for x in launches({1: [cost * n] * 3}, "saturation", atoms=n)]
    assert half_size(summaries(flat)) is None


def test_a_launch_that_compiled_in_its_window_does_not_count() -> None:
    good, late = launches({1: [1.0, 1.0, 1.0]}), launches({1: [5.0]}, compiles_in_window=2)
    (point,) = summaries([*good, *late])
    assert point.time.value == 1.0 and point.invalid == 1
    assert "invalid" in flags(point)
    verdicts = {c.name: c.status for c in own_checks([*good, *late])}
    assert verdicts["no compilation inside a timed window"] == "FAIL"
    assert not summaries(late)


def test_bits_that_differ_between_ranks_are_a_failure_where_equal_ones_were_promised() -> None:
    one = launches({1: [1.0]}, deterministic=True, state_hash="aa")
    two = launches({2: [0.6]}, deterministic=True, state_hash="bb")
    name = "the same bits on every number of ranks"
    assert {c.name: c.status for c in own_checks([*one, *two])}[name] == "FAIL"
    assert {c.name: c.status for c in own_checks([*one, *one])}[name] == "PASS"
    assert name not in {c.name for c in own_checks(launches({1: [1.0]}))}


def test_marks_tell_noise_and_few_rounds() -> None:
    noisy, few = launches({1: [1.0, 1.3, 0.8]}), launches({1: [1.0]}, foreign_share=0.2)
    assert flags(summaries(noisy)[0]) == ["noisy"]
    assert flags(summaries(few)[0]) == ["disturbed", "few rounds"]


def test_the_report_holds_every_number_once_more_as_json() -> None:
    report = report_of(launches({1: [1.0] * 3, 2: [0.6] * 3}))
    body = as_json(report)
    assert body["schema"] == "mdapp.scale"
    points = body["tables"]["points"]
    assert [p["ranks"] for p in points] == [1, 2]
    assert points[1]["efficiency"] == pytest.approx(1 / 1.2)
    assert len(body["tables"]["launches"]) == 6
    assert {p.name for p in report.plots()} >= {"speedup", "efficiency", "karp_flatt", "phases",
                                                "memory"}


def test_both_studies_in_one_folder_make_one_page() -> None:
    both = [*launches({1: [1.0] * 3}), *launches({1: [1.0] * 3}, "saturation")]
    names = as_json(report_of(both))["tables"]
    assert {"strong_points", "saturation_points", "launches"} <= set(names)


# Intervals


def test_intervals_hold_the_median_and_need_three_values() -> None:
    interval = median_interval([1.0, 2.0, 3.0, 4.0, 100.0])
    assert interval.low <= interval.value == 3.0 <= interval.high
    assert math.isnan(median_interval([1.0, 2.0]).low)
    ratio = unpaired_ratio([2.0, 2.1, 1.9], [1.0, 1.0, 1.0])
    assert ratio.low <= ratio.value == 2.0 <= ratio.high


# The gate


def baseline(tmp_path: Path, made: Sequence[Launch]) -> Path:
    path = tmp_path / "old.json"
    path.write_text(json.dumps(as_json(report_of(made))))
    return path


def verdict(tmp_path: Path, new: dict[int, Sequence[float]], limit: float = 0.1,
            **more: Any) -> dict[str, str]:
    old = launches({1: [1.0, 1.01, 0.99, 1.0, 1.0]})
    known = read_baseline(baseline(tmp_path, old))
    return {c.name: c.status for c in gate(launches(new, **more), known, limit)}


def test_the_gate_fails_only_if_the_whole_interval_is_beyond_the_limit(tmp_path: Path) -> None:
    time = "time of strong-r1"
    assert verdict(tmp_path, {1: [1.3, 1.31, 1.29, 1.3, 1.3]})[time] == "FAIL"
    assert verdict(tmp_path, {1: [1.05, 1.06, 1.05, 1.04, 1.05]})[time] == "PASS"
    assert verdict(tmp_path, {1: [1.12, 1.13, 1.05, 1.05, 1.14]})[time] == "WARN"
    assert verdict(tmp_path, {1: [0.8, 0.81, 0.8]})[time] == "PASS"
    assert verdict(tmp_path, {1: [1.3, 1.3]})[time] == "NOT_RESOLVED"
    # noisy: it cannot fail a gate
    assert verdict(tmp_path, {1: [1.3, 2.0, 1.4, 1.5, 1.3]})[time] == "NOT_RESOLVED"


def test_the_gate_sees_memory_and_what_cannot_be_compared(tmp_path: Path) -> None:
    more = verdict(tmp_path, {1: [1.0] * 3}, bytes_per_atom=400.0)
    assert more["memory of strong-r1"] == "FAIL"
    noise = verdict(tmp_path, {1: [1.0] * 3}, bytes_per_atom=270.0)      # 0.6 MB in all
    assert noise["memory of strong-r1"] == "PASS"
    other = verdict(tmp_path, {2: [1.0] * 3})
    assert other["time of strong-r2"] == "NA"
    assert other["anything to compare"] == "FAIL"


@pytest.mark.parametrize("text", ["10", "fast", "-1%", ""])
def test_slowdowns_are_percentages_or_shares(text: str) -> None:
    assert limit_of("10%") == limit_of("0.1") == 0.1
    if text != "10":
        with pytest.raises(InputError, match="max-slowdown"):
            limit_of(text)


@pytest.mark.parametrize("text", ["", "{}", '{"schema": "mdapp.run"}', "[1]"])
def test_a_baseline_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "old.json"
    with pytest.raises(InputError, match="no such file"):
        read_baseline(path)
    path.write_text(text)
    with pytest.raises(InputError, match=r"is not the report\.json"):
        read_baseline(path)


# Points and sizes


def case(**more: Any) -> Case:
    return Case(MELT / "deck.toml", **more)


def test_weak_points_keep_the_block_of_a_rank() -> None:
    points = points_of("weak", case(), [1, 2, 8], [], [4000], cores=8)
    assert [p.atoms for p in points] == [4000, 8000, 32_000]
    for p in points:
        deck = load_deck(MELT / "deck.toml", p.settings)
        assert deck.run.grid == p.grid
        assert deck.system.cells is not None and p.grid is not None
        assert [c // g for c, g in zip(deck.system.cells, p.grid, strict=True)] == [10, 10, 10]


def test_saturation_points_have_the_sizes_that_were_asked_for() -> None:
    points = points_of("saturation", case(), [1], [], [500, 4000, 32_000], cores=1)
    assert [p.atoms for p in points] == [500, 4000, 32_000]
    sizes = [p.atoms for p in points_of("saturation", case(), [1], [], [], cores=1)]
    assert sizes[0] <= 300 and sizes[-1] >= 240_000 and sizes == sorted(set(sizes))


def test_scripts_with_a_region_are_resized_too() -> None:
    (point,) = points_of("saturation", Case(MELT / "in.lj"), [1], [], [4000], cores=1)
    assert point.atoms == 4000 and point.deck().system.region is not None


def test_strong_points_share_one_system_and_mark_too_many_ranks() -> None:
    points = points_of("strong", case(oversubscribe=True), [1, 4], [1, 2], [], cores=2)
    assert {p.atoms for p in points} == {32_000}
    assert [(p.ranks, p.threads, p.oversubscribed) for p in points] == [
        (1, 1, False), (4, 1, True), (1, 2, False), (4, 2, True)]


def test_systems_from_files_have_one_size(tmp_path: Path) -> None:
    deck = load_deck(ROOT / "examples" / "lj_melt" / "deck.toml")
    assert resizer_of(deck, "weak").extent == (20, 20, 20)
    other = deck.model_copy(update={"system": deck.system.model_copy(
        update={"file": "start.data", "lattice": None})})
    with pytest.raises(InputError, match="has one size"):
        resizer_of(other, "weak")


def test_a_point_survives_its_file_and_its_key_tells_what_is_measured(tmp_path: Path) -> None:
    environment = read_environment()
    (point,) = (p.keyed(environment) for p in points_of("strong", case(), [1], [], [], 1))
    assert read_point(write_point(point, tmp_path)) == point
    others = [{"steps": 7}, {"warmup": 3}, {"overrides": ("run.timestep=0.004",)}, {"threads": 2}]
    keys = {point.model_copy(update=change).keyed(environment).key for change in others}
    assert len(keys | {point.key}) == 5
    bad = tmp_path / "bad.toml"
    bad.write_text('study = "strong"\nname = "a"\nranks = 0\nextra = 1\n')
    with pytest.raises(InputError, match="ranks = 0: must be at least 1"):
        read_point(bad)


def test_windows_last_two_seconds_and_hold_three_builds() -> None:
    assert window_steps({"s_per_step": 1e-3, "neighbor_builds": 4, "steps": 40}) == 2000
    assert window_steps({"s_per_step": 1.0, "neighbor_builds": 1, "steps": 40}) == 120
    assert window_steps({"s_per_step": 1.0, "neighbor_builds": 0, "steps": 40}) == 40
    points = points_of("strong", case(), [1, 2], [], [], 2)
    one, two = trial_points(points)
    assert (one.ranks, two.ranks) == (1, 2)
    assert len(trial_points(points[:1])) == 1
    trials = {trial.name: {"s_per_step": t, "neighbor_builds": 4, "steps": 40}
              for trial, t in ((one, 4e-3), (two, 2e-3))}
    chosen = with_steps(points, trials, 0, None)
    assert {(p.steps, p.warmup) for p in chosen} == {(1000, 100)}


def test_rounds_have_orders_of_their_own_that_the_seed_decides() -> None:
    points = points_of("strong", case(), [1, 2, 4, 8, 16, 32], [], [], 99)
    orders = [[p.ranks for p in order_of(points, n, 1)] for n in range(1, 6)]
    assert len({tuple(o) for o in orders}) > 1
    assert all(sorted(o) == [1, 2, 4, 8, 16, 32] for o in orders)
    assert orders == [[p.ranks for p in order_of(points, n, 1)] for n in range(1, 6)]


def test_a_folder_without_results_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no results of points"):
        collect(tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        collect(tmp_path / "absent")
    (tmp_path / "points").mkdir()
    (tmp_path / "points" / "x-1.json").write_text("{}")
    with pytest.raises(InputError, match="is not the result of a point"):
        collect(tmp_path)


def test_trials_are_not_results(tmp_path: Path) -> None:
    (tmp_path / "points").mkdir()
    (point,) = points_of("strong", case(), [1], [], [], 1)
    write_answer(tmp_path / "points" / "trial-x-0.json", point, (0, 0), {"row": row(1, 9.0)})
    write_answer(tmp_path / "points" / "x-1.json", point, (1, 0), {"row": row(1, 1.0)})
    (launch,) = collect(tmp_path)
    assert launch.row["s_per_step"] == 1.0


def test_one_rank_needs_no_launcher() -> None:
    (point,) = points_of("strong", case(), [1], [], [], 1)
    assert launcher_words(point) == []


# Job scripts


@pytest.mark.parametrize("system", SYSTEMS)
def test_scripts_are_shell_and_launch_every_point_of_every_round(
        system: str, tmp_path: Path) -> None:
    points = [p.model_copy(update={"key": f"k{p.ranks}"})
              for p in points_of("strong", case(steps=10), [1, 64, 256], [2], [], 1 << 40)]
    site = Site(header=("--account=abc def",), setup=("module load 'open mpi'",), python="python3")
    folder = tmp_path / "with space"
    text = script_of(points, Job(system, folder, 64, "00:30:30", 3, 1, site))
    script = tmp_path / "study.sh"
    script.write_text(text)
    end = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
    assert end.returncode == 0, end.stderr
    assert text.count("\nmeasure k") == 9
    assert text.count(" 4 256 2 ") == 4          # nodes, ranks, threads: three rounds, doctor
    assert "--account=abc def" in text and "module load 'open mpi'" in text
    if system == "slurm":
        assert "#SBATCH --nodes=4" in text and "SRUN_CPUS_PER_TASK" in text
    if system == "pbs":
        assert "select=4:ncpus=128:mpiprocs=64:ompthreads=2" in text
    if system == "flux":
        assert "#flux: -N 4" in text and "-t 31m" in text


def test_a_script_keeps_results_of_the_same_key_only(tmp_path: Path) -> None:
    """Run the local script with a `mpirun` and a Python that only say what they were told."""
    points = [p.model_copy(update={"key": f"key{p.ranks}"})
              for p in points_of("strong", case(steps=10), [1, 2], [], [], 1 << 40)]
    folder, tools = tmp_path / "study", tmp_path / "bin"
    (folder / "points").mkdir(parents=True)
    tools.mkdir()
    for name, body in (("mpirun", 'echo "mpirun $@"'), ("py", 'echo "py $@"')):
        (tools / name).write_text(f"#!/bin/bash\n{body}\n")
        (tools / name).chmod(0o755)
    for ranks, key in ((1, "key1"), (2, "another")):
        (folder / "points" / f"strong-n32000-r{ranks}-t1-1.json").write_text(f'{{"key": "{key}"}}')
    site = Site(python=str(tools / "py"))
    text = script_of(points, Job("local", folder, 2, "01:00:00", 1, 1, site))
    (folder / "study.sh").write_text(text)
    end = subprocess.run(["bash", "study.sh"], capture_output=True, text=True, cwd=folder,
                         env={"PATH": f"{tools}:/usr/bin:/bin"})
    assert end.returncode == 0, end.stderr
    lines = end.stdout.splitlines()
    assert any(line.startswith("mpirun -n 2") and "doctor" in line for line in lines)
    assert "kept: points/strong-n32000-r1-t1-1.json" in lines
    assert any("mdapp scale point points/strong-n32000-r2-t1.toml --round 1" in x for x in lines)
    assert lines[-1].startswith("py -m mdapp scale --collect")


def test_site_files_and_times_are_checked(tmp_path: Path) -> None:
    assert minutes_of("01:30:01") == 91
    for bad in ("90", "1:2", "00:00:00", "a:b:c"):
        with pytest.raises(InputError, match="--time"):
            minutes_of(bad)
    path = tmp_path / "site.toml"
    path.write_text('headers = ["--account=abc"]\n')
    with pytest.raises(InputError, match="did you mean header"):
        read_site(path)


def test_points_of_a_machine_that_is_too_small_are_refused() -> None:
    big = Point.model_validate({"study": "strong", "name": "big", "input": "x", "atoms": 1,
                                "ranks": 1 << 20, "steps": 1})
    with pytest.raises(InputError, match=r"1048576 ranks x 1 threads need .* --oversubscribe"):
        check_machine([big], False)


# The potential first


def test_a_study_of_a_wrong_potential_is_refused_and_a_right_one_asked_once(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deck, asked, told = load_deck(MELT / "deck.toml"), [], []

    def answer(code: int | None, *failed: str) -> None:
        def run(command: list[str], *rest: object) -> Finished:
            asked.append(command)
            checks = [{"name": c, "category": c, "status": "FAIL", "fails": True} for c in failed]
            report = tmp_path / "validate" / "report.json"
            report.write_text(json.dumps({"checks": checks}))
            return Finished(code, "", "mdapp: error: no such thing")
        monkeypatch.setattr(validated, "run_bounded", run)

    def check(code: str = "this") -> None:
        validated.check_potential(deck, tmp_path, code, 60.0, told.append)

    answer(1, "consistency", "mandatory")
    with pytest.raises(InputError, match=r"fails mdapp validate: see .*report\.html"):
        check()
    answer(2)
    with pytest.raises(InputError, match="cannot be validated: mdapp: error: no such thing"):
        check()
    answer(0)
    check()
    check()
    assert len(asked) == 3 and len(told) == 3
    answer(1, "consistency")
    check("another")
    assert len(asked) == 4 and "not mandatory, but failed: consistency" in told[-1]
    assert asked[0][-2:] == ["--precision", "double"]
    assert read_potential(asked[0][4]).parameters["rc"] == 2.5
