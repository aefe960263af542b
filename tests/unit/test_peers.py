"""The comparison with other codes: statistics, readers, the judge of physics, tables."""

import io
import json
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdapp.errors import InputError, RunError
from mdapp.lammps_script import load_script
from mdapp.parallel.bounded import Finished
from mdapp.perf.environment import cpu_name, read_environment
from mdapp.perf.statistics import paired_ratio, spread
from potentials.deep_potential.format import read_model
from scaling.peers import __main__ as program
from scaling.peers import codes, problems, tables
from scaling.peers.base import Code, Job, Measured, Point, Problem, Variant
from scaling.peers.codes import deepmd
from scaling.peers.codes.deepmd import DeepMD
from scaling.peers.codes.lammps import Lammps, read_log, read_versions
from scaling.peers.codes.nep_cpu import write_start
from scaling.peers.nep_models import make_models
from scaling.peers.ours import Mdapp, read_report
from scaling.peers.physics import allowed_difference, disagreements, last_digit
from scaling.peers.problems.lj_melt import PROBLEM
from scaling.peers.registry import (
    files_of,
    names,
    peer_named,
    problem_named,
    problems_named,
    runnable,
)
from scaling.peers.runner import Run, Runner, busy_seconds, pinned
from scaling.peers.study import choose_steps, points_of
from scaling.peers.summary import efficiencies, figures, flatness, list_us
from tests.twins.deep_potential import same

# Log of LAMMPS 22Jul2025 (update 4) on two ranks, with the styles of OPT, shortened.
LOG = """\
LAMMPS (22 Jul 2025 - Update 4)
variable        steps index 100
Created orthogonal box = (0 0 0) to (33.591924 33.591924 33.591924)
  1 by 1 by 2 MPI processor grid
Created 32000 atoms
run             100
Neighbor list info ...
  update: every = 20 steps, delay = 0 steps, check = no
Per MPI rank memory allocation (min/avg/max) = 7.885 | 7.885 | 7.885 Mbytes
   Step          Temp          E_pair         E_mol          TotEng         Press
         0   1.44          -6.7733681      0             -4.6134356     -5.0197073
WARNING: a line that LAMMPS may write at any time
       100   0.7574531     -5.7585055      0             -4.6223613      0.20726105
Loop time of 1.12467 on 2 procs for 100 steps with 32000 atoms

Performance: 38411.216 tau/day, 88.915 timesteps/s, 2.845 Matom-step/s
56.5% CPU use with 2 MPI tasks x 1 OpenMP threads

MPI task timing breakdown:
Section |  min time  |  avg time  |  max time  |%varavg| %total
---------------------------------------------------------------
Pair    | 0.58988    | 0.62559    | 0.6613     |   4.5 | 55.62
Neigh   | 0.13194    | 0.13509    | 0.13824    |   0.9 | 12.01
Comm    | 0.30724    | 0.34482    | 0.3824     |   6.4 | 30.66
Output  | 0.00010926 | 0.00012121 | 0.00013316 |   0.0 |  0.01
Modify  | 0.012803   | 0.013143   | 0.013482   |   0.3 |  1.17
Other   |            | 0.005908   |            |       |  0.53

Nlocal:          16000 ave       16001 max       15999 min
Histogram: 1 0 0 0 0 0 0 0 0 1

Total # of neighbors = 1202833
Ave neighs/atom = 37.588531
Neighbor list builds = 5
Dangerous builds not checked
Total wall time: 0:00:01
"""

HELP = """
Large-scale Atomic/Molecular Massively Parallel Simulator - 22 Jul 2025 - Update 4
Git info (HEAD / stable_22Jul2025_update4)

Compiler: GNU C++ 14.2.1 20250110 (Red Hat 14.2.1-11) with OpenMP 4.5
MPI v5.0: MPICH Version:      5.0.2
"""

# The melt at steps 0 and 100, as LAMMPS prints it (the log above).
START = {"step": 0, "temp": 1.44, "epair": -6.7733681, "etotal": -4.6134356, "press": -5.0197073}
END = {
    "step": 100, "temp": 0.7574531, "epair": -5.7585055, "etotal": -4.6223613, "press": 0.20726105,
}  # fmt: skip


class Echo:
    """A code that takes no time: a line of Python writes the report that the variant asks for."""

    name = "echo"
    variants = (
        Variant("a", ("0",), True),
        Variant("b", ("0",), True),
        Variant("bad", ("3",), True),
    )

    def environ(self) -> dict[str, str]:
        return {"ECHO": "yes"}

    def command(self, variant: Variant, job: Job) -> list[str]:
        script = (
            "import json, os, sys; assert os.environ['ECHO'] == 'yes'; print('the last line');"
            "json.dump(sorted(os.sched_getaffinity(0)), open('mask', 'w'));"
            "sys.exit(int(sys.argv[1]))"
        )
        return [sys.executable, "-c", script, *variant.arguments]

    def read(self, job: Job) -> Measured:
        mask = json.loads((job.folder / "mask").read_text())
        return Measured(0.5, {"mask": mask}, 0.1, 5, None, ())

    def versions(self) -> dict[str, str]:
        return {}


def run_of(
    label: str, round: int = 1, *, loop: float = 1.0, atoms: int = 32000, ranks: int = 1,
    steps: int = 100, list_s: float = 0.1, builds: int = 5, thermo: Any = (START, END),
    foreign: float = 0.0,
) -> Run:  # fmt: skip
    """A run that never happened."""
    code, _, name = label.partition("-")
    owner = CODES[code]
    variant = next(v for v in owner.variants if v.name == name)
    measured = Measured(loop, {"force": 0.8 * loop}, list_s, builds, None, thermo, 400.0)
    point = Point(owner, variant, atoms, ranks)
    return Run(point, round, 0, steps, loop + 1, foreign, measured)


LAMMPS, MDAPP, DEEPMD = Lammps(Path("nowhere")), Mdapp(), DeepMD(Path("nowhere"))
CODES: Mapping[str, Code] = {code.name: code for code in (LAMMPS, MDAPP, DEEPMD)}


def shifted(row: Mapping[str, float], key: str, by: float) -> dict[str, float]:
    return {**row, key: row[key] + by}


# statistics


def test_median_extremes_and_coefficient_of_variation() -> None:
    s = spread([4.0, 1.0, 3.0, 2.0, 100.0])
    assert (s.median, s.min, s.max) == (3.0, 1.0, 100.0)
    assert s.cv == pytest.approx(np.std([4, 1, 3, 2, 100], ddof=1) / 22.0)
    assert s.noisy
    assert spread([7.0]).cv == 0.0
    assert not spread([1.0, 1.05]).noisy and spread([1.0, 1.09]).noisy
    with pytest.raises(ValueError, match="empty"):
        spread([])


def test_interval_of_three_rounds_is_the_one_counted_by_hand() -> None:
    """Three draws out of (1, 2, 3) have the median 1 or 3 with 7/27 each, so 95 % reach both."""
    ratio = paired_ratio([1.0, 2.0, 3.0], [1.0, 1.0, 1.0])
    assert (ratio.value, ratio.low, ratio.high) == (2.0, 1.0, 3.0)
    narrow = paired_ratio([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], level=0.4)
    assert (narrow.low, narrow.high) == (2.0, 2.0)


def test_drift_common_to_a_round_cancels() -> None:
    drift = np.array([1.0, 1.3, 0.8, 2.0, 1.1])
    paired = paired_ratio(3.0 * drift, drift)
    assert paired.low == pytest.approx(3.0) and paired.high == pytest.approx(3.0)
    crossed = paired_ratio(3.0 * drift, drift[::-1])
    assert crossed.high - crossed.low > 0.5


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Coverage of 9 rounds in 300 trials: percentile intervals of medians are known to be wide."""
    rng = np.random.default_rng(5)
    hits = 0
    for trial in range(300):
        over, under = 2.0 * rng.lognormal(0, 0.05, 9), rng.lognormal(0, 0.05, 9)
        ratio = paired_ratio(over, under, resamples=1000, seed=trial)
        hits += ratio.low <= 2.0 <= ratio.high
    assert 0.92 <= hits / 300 <= 1.0


def test_ratio_is_repeatable_and_refuses_what_cannot_be_paired() -> None:
    over, under = [1.0, 1.2, 1.1, 1.4], [1.0, 0.9, 1.1, 1.3]
    assert paired_ratio(over, under, seed=3) == paired_ratio(over, under, seed=3)
    two = paired_ratio([2.0, 4.0], [1.0, 1.0])
    assert two.value == 3.0 and math.isnan(two.low) and math.isnan(two.high)
    with pytest.raises(ValueError, match="paired"):
        paired_ratio([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="positive"):
        paired_ratio([1.0, 0.0, 2.0], [1.0, 1.0, 1.0])


# readers


def test_log_of_lammps() -> None:
    m = read_log(LOG)
    assert (m.loop_s, m.list_s, m.builds, m.dangerous) == (1.12467, 0.13509, 5, None)
    assert m.phases == {
        "Pair": 0.62559, "Neigh": 0.13509, "Comm": 0.34482, "Output": 0.00012121,
        "Modify": 0.013143, "Other": 0.005908,
    }  # fmt: skip
    assert m.thermo == (START, END)
    assert m.bytes_per_atom == pytest.approx(2 * 7.885 * 2**20 / 32000)


def test_the_last_run_of_a_log_counts() -> None:
    second = LOG.replace("Loop time of 1.12467", "Loop time of 9.5").replace("= 5\n", "= 7\n")
    second = second.replace("Dangerous builds not checked", "Dangerous builds = 2")
    m = read_log(LOG + second)
    assert (m.loop_s, m.builds, m.dangerous, len(m.thermo)) == (9.5, 7, 2, 2)


@pytest.mark.parametrize("end", ["Loop time", "Neighbor list builds", "Dangerous"])
def test_a_log_that_ends_early_is_refused(end: str) -> None:
    with pytest.raises(ValueError, match="no line like"):
        read_log(LOG[: LOG.index(end)])


def test_the_error_of_lammps_is_passed_on() -> None:
    text = "LAMMPS (22 Jul 2025)\nERROR: Unknown pair style lj/cot (src/force.cpp:279)\n"
    with pytest.raises(ValueError, match="Unknown pair style lj/cot"):
        read_log(text)


def test_versions_of_lammps() -> None:
    assert read_versions(HELP) == {
        "release": "22 Jul 2025 - Update 4",
        "source": "HEAD / stable_22Jul2025_update4",
        "compiler": "GNU C++ 14.2.1 20250110 (Red Hat 14.2.1-11) with OpenMP 4.5",
        "mpi": "MPICH Version: 5.0.2",
    }


def report() -> dict[str, Any]:
    phase = {"min": 0.1, "avg": 0.2, "max": 0.3}
    return {
        "loop_s": 0.5, "compile_s": 3.0, "setup_s": 0.03, "start_to_first_step_s": 4.4,
        "bytes_per_atom": 340.0, "neighbor_builds": 5, "dangerous_builds": None,
        "phases": {"force": phase, "neighbor": {**phase, "avg": 0.06}},
        "thermo": [{**START, "pe": 0.0}, END],
    }  # fmt: skip


def test_report_of_mdapp() -> None:
    m = read_report(json.dumps(report()))
    assert (m.loop_s, m.list_s, m.builds, m.dangerous) == (0.5, 0.06, 5, None)
    assert m.phases == {"force": 0.2, "neighbor": 0.06}
    assert m.thermo == (START, END)
    assert m.start == {"compile_s": 3.0, "setup_s": 0.03, "start_to_first_step_s": 4.4}


@pytest.mark.parametrize("key", ["loop_s", "phases", "thermo", "bytes_per_atom"])
def test_a_report_without_a_key_names_it(key: str) -> None:
    broken = report()
    del broken[key]
    with pytest.raises(ValueError, match=key):
        read_report(json.dumps(broken))


# the problem and the names


def test_mdapp_reads_the_script_and_its_variables(tmp_path: Path) -> None:
    path = tmp_path / "in.lj_melt"
    path.write_text(PROBLEM.script)
    deck = load_script(path, PROBLEM.variables(4000, 60), ["run.precision=mixed"])
    assert deck.run.steps == 60 and deck.run.precision == "mixed"
    assert deck.neighbors.every == 20 and deck.neighbors.check is False


@pytest.mark.parametrize(("atoms", "cells"), [(32000, "20"), (256000, "40"), (4000000, "100")])
def test_sizes_of_the_melt(atoms: int, cells: str) -> None:
    assert PROBLEM.variables(atoms, 100) == {"cells": cells, "steps": "100"}


@pytest.mark.parametrize(
    ("atoms", "near"), [(33000, "32000 and 37044"), (1, "108 and 256"), (31999, "27436 and 32000")]
)
def test_a_size_that_is_no_cube_names_its_neighbours(atoms: int, near: str) -> None:
    with pytest.raises(InputError, match=near):
        PROBLEM.variables(atoms, 100)


def test_settings_of_a_problem_are_mdapps(tmp_path: Path) -> None:
    job = Job(problem_named("deep_cu_networks"), 864, 100, 1, tmp_path)
    command = MDAPP.command(MDAPP.variants[1], job)
    told = [command[k + 1] for k, word in enumerate(command) if word == "--set"]
    assert told == ["potential.compress=false", "run.precision=mixed"]


def test_graphs_for_deepmd_kit_are_made_once(tmp_path: Path, monkeypatch) -> None:
    """A graph for each precision; the compressed one unless mdapp evaluates networks too."""
    calls = []

    def made(command, seconds, environ, folder) -> Finished:
        calls.append(command)
        for graph in command[3:]:
            Path(graph).touch()
        return Finished(0, "", "")

    monkeypatch.setattr(deepmd, "run_bounded", made)
    peer = DeepMD(tmp_path / "venv")
    (tmp_path / "run").mkdir()
    for name, compressed in (("deep_cu", True), ("deep_cu_networks", False)):
        job = Job(problem_named(name), 864, 100, 1, tmp_path / "run")
        graphs = {peer.command(variant, job)[-1] for variant in peer.variants}
        assert len(graphs) == 2 and all(Path(graph).is_file() for graph in graphs)
        assert all(graph.endswith("-compressed.pb") == compressed for graph in graphs)
    assert len(calls) == 2
    double, single = (read_model(Path(command[2])) for command in calls)
    assert same(double, single) and same(double, read_model(peer.potentials() / "Cu.dp"))


def test_a_graph_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(deepmd, "run_bounded", lambda *given: Finished(1, "", "no such thing"))
    job = Job(problem_named("deep_cu"), 864, 100, 1, tmp_path)
    with pytest.raises(RunError, match="cannot convert it; its last lines:\nno such thing"):
        DeepMD(tmp_path / "venv").command(DEEPMD.variants[0], job)


def test_every_file_is_a_peer_or_a_problem_under_its_own_name() -> None:
    for name in names(codes):
        peer = peer_named(name)
        assert peer.name == name
        assert all("==" in requirement for requirement in peer.requirements)
    for name in names(problems):
        assert problem_named(name).name == name
    assert [problem.name for problem in problems_named("all")] == names(problems)


@pytest.mark.parametrize("name", names(problems))
def test_the_default_size_of_each_problem(name: str) -> None:
    problem = problem_named(name)
    values = problem.variables(problem.atoms, problem.steps)
    assert values["steps"] == "100" and int(values["cells"]) in (5, 6, 10, 20)
    with pytest.raises(InputError, match=f"the nearest are .*{problem.atoms}"):
        problem.variables(problem.atoms + 1, 100)
    assert all(style in problem.script for style in problem.styles)
    assert all(file in problem.script for file in problem.files)


def test_variants_that_a_problem_has_in_a_form_of_its_own() -> None:
    silicon, both = problem_named("sw"), [LAMMPS, MDAPP]
    labels = [p.label for p in points_of(silicon, both, [], [32000], [1])]
    assert labels[:3] == ["lammps-plain", "lammps-omp", "mdapp-double"] and len(labels) == 5
    with pytest.raises(InputError, match="--variant lammps-opt: --problem sw has no form"):
        points_of(silicon, both, ["lammps-opt"], [32000], [1])


def test_a_problem_whose_style_is_not_there_is_left_out_by_name() -> None:
    strange = replace(PROBLEM, name="strange", styles=("lj/cut", "no/such"))
    found, skipped = runnable([strange, PROBLEM], LAMMPS)
    assert found == [PROBLEM] and skipped == ["strange: mdapp has no pair_style no/such"]
    with pytest.raises(InputError, match="--problem strange: mdapp has no pair_style no/such"):
        runnable([strange], LAMMPS)


def test_a_problem_that_the_peer_cannot_run_is_left_out_by_name() -> None:
    nep = problem_named("nep_si")
    assert runnable([nep, PROBLEM], LAMMPS) == (
        [PROBLEM], ["nep_si: lammps does not run pair_style nep"])  # fmt: skip
    found, skipped = runnable([nep, PROBLEM], peer_named("nep_cpu")(Path("nowhere")))
    assert found == [nep] and skipped == ["lj_melt: nep_cpu does not run pair_style lj/cut"]


def test_a_start_for_another_code(tmp_path: Path) -> None:
    """Positions and velocities in the order of the symbols; the temperature of the script."""
    problem = problem_named("nep_hfo2")
    job = Job(problem, 768, 1, 1, tmp_path)
    job.script.write_text(problem.script)
    make_models(tmp_path)
    write_start(job)
    start = np.load(tmp_path / "start.npz")
    assert list(np.unique(start["symbols"], return_counts=True)[1]) == [256, 512]
    assert (start["mass"][start["symbols"] == "Hf"] == 178.49).all()
    energy = start["mvv2e"] * (start["mass"][:, None] * start["v"] ** 2).sum()
    assert energy / (3 * 768 - 3) / start["boltz"] == pytest.approx(600.0, rel=1e-12)
    assert np.array_equal(np.diag(np.diag(start["cell"])), start["cell"])


def test_parameter_files_come_from_one_folder(tmp_path: Path, runner: Runner) -> None:
    wanted = replace(PROBLEM, files=("a.eam", "b.eam"))
    for folder, present in (("half", ["a.eam"]), ("whole", ["a.eam", "b.eam"])):
        (tmp_path / folder).mkdir()
        for name in present:
            (tmp_path / folder / name).write_text(name)
    folders = [tmp_path / "half", tmp_path / "whole"]
    files = files_of(wanted, folders)
    assert files == [tmp_path / "whole" / "a.eam", tmp_path / "whole" / "b.eam"]
    with pytest.raises(InputError, match=r"needs a\.eam, b\.eam, not found.*LAMMPS_POTENTIALS"):
        files_of(wanted, folders[:1])
    replace(runner, files=files).run(echo_points()[0], 100, "trial")
    assert (tmp_path / "trial" / "echo-a-4000-1" / "b.eam").read_text() == "b.eam"


def test_points_are_chosen_by_variant_or_code() -> None:
    both = [LAMMPS, MDAPP]
    everything = points_of(PROBLEM, both, [], [32000], [1, 2])
    assert len(everything) == 12
    some = points_of(PROBLEM, both, ["mdapp", "lammps-opt"], [32000], [1])
    assert [p.label for p in some] == ["lammps-opt", "mdapp-double", "mdapp-mixed", "mdapp-single"]
    with pytest.raises(InputError, match="did you mean mdapp-mixed"):
        points_of(PROBLEM, both, ["mdapp-mixd"], [32000], [1])


# physics


def differences(thermo: Any, label: str = "mdapp-double", **other: Any) -> list[str]:
    reference = run_of("lammps-plain", steps=other.get("steps", 100))
    if other.get("steps", 100) != 100:
        late = {**END, "step": other["steps"]}
        reference = run_of("lammps-plain", thermo=(START, late), steps=other["steps"])
    return disagreements(PROBLEM, [reference, run_of(label, thermo=thermo, **other)])


def test_equal_digits_are_the_same_physics() -> None:
    assert differences((START, END)) == []
    assert differences((START, shifted(END, "temp", 0.9e-8))) == []


@pytest.mark.parametrize("key", ["temp", "epair", "etotal", "press"])
def test_two_units_of_the_last_digit_are_another_physics(key: str) -> None:
    for rows in (
        (START, shifted(END, key, 2 * last_digit(END[key]))),
        (shifted(START, key, 2 * last_digit(START[key])), END),
    ):
        found = differences(rows)
        assert len(found) == 1 and key in found[0] and "mdapp-double" in found[0]


def test_lower_precision_has_a_tolerance_of_its_own() -> None:
    near, far = shifted(END, "epair", 2e-6), shifted(END, "epair", 1e-4)
    assert differences((START, near), "mdapp-mixed") == []
    assert differences((START, near)) != []
    assert differences((START, far), "mdapp-mixed") != []


def test_not_a_number_and_missing_rows_are_no_agreement() -> None:
    assert differences((START, {**END, "press": math.nan})) != []
    assert differences((START,)) != []
    assert differences((END,)) != []


def test_other_builds_are_another_work() -> None:
    assert "4 list builds" in differences((START, END), builds=4)[0]


def test_late_rows_must_agree_in_energy_and_within_fluctuations() -> None:
    late = {**END, "step": 800}
    assert differences((START, late), steps=800) == []
    sigma = 0.4 / math.sqrt(32000)
    assert differences((START, shifted(late, "temp", 6 * sigma)), steps=800) == []
    assert differences((START, shifted(late, "temp", 8 * sigma)), steps=800) != []
    assert differences((START, shifted(late, "etotal", 1e-2)), steps=800) != []


def test_energies_that_are_sums_fluctuate_as_sums_do() -> None:
    per_atom = PROBLEM.tolerance
    of_all = replace(per_atom, extensive=True)
    for key, factor in (("epair", 32000), ("temp", 1)):
        one, other = (allowed_difference(key, 1.0, 800, 32000, True, t) for t in (per_atom, of_all))
        assert other == pytest.approx(factor * one)


@pytest.mark.parametrize(
    ("value", "unit"), [(1.44, 1e-7), (-5.7, 1e-7), (0.757, 1e-8), (10.0, 1e-6), (0.0, 1e-8)]
)
def test_unit_of_the_last_printed_digit(value: float, unit: float) -> None:
    assert last_digit(value) == pytest.approx(unit)


# runs and rounds


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(PROBLEM, tmp_path, max(os.sched_getaffinity(0)), 60.0, lambda line: None)


def echo_points() -> list[Point]:
    code = Echo()
    return [Point(code, variant, 4000, 1) for variant in code.variants[:2]]


def test_each_round_runs_every_point_once_on_one_core_in_seeded_order(runner: Runner) -> None:
    points = echo_points()
    mask = os.sched_getaffinity(0)
    runs = list(runner.rounds(points, 100, 4, seed=2))
    assert os.sched_getaffinity(0) == mask
    assert all(run.measured.phases["mask"] == [runner.core] for run in runs)
    orders = [tuple(r.point.label for r in runs if r.round == k) for k in (1, 2, 3, 4)]
    assert all(set(order) == {"echo-a", "echo-b"} for order in orders)
    assert len(set(orders)) == 2
    again = [run.point.label for run in runner.rounds(points, 100, 4, seed=2)]
    assert again == [label for order in orders for label in order]


def test_a_failed_run_shows_its_last_lines(runner: Runner) -> None:
    code = Echo()
    with pytest.raises(RunError, match=r"echo-bad, 4000 atoms.*exit code 3(.|\n)*the last line"):
        runner.run(Point(code, code.variants[2], 4000, 1), 100, "trial")


def test_a_run_without_a_report_is_an_error(runner: Runner) -> None:
    class Silent(Echo):
        def command(self, variant: Variant, job: Job) -> list[str]:
            return [sys.executable, "-c", "pass"]

    code = Silent()
    with pytest.raises(RunError, match="report cannot be read"):
        runner.run(Point(code, code.variants[0], 4000, 1), 100, "trial")


def test_a_run_beyond_its_limit_is_given_up(runner: Runner) -> None:
    class Sleeper(Echo):
        def command(self, variant: Variant, job: Job) -> list[str]:
            return [sys.executable, "-c", "import time; time.sleep(60)"]

    code = Sleeper()
    short = replace(runner, limit_s=0.5)
    with pytest.raises(RunError, match=r"no end after 0\.5 s"):
        short.run(Point(code, code.variants[0], 4000, 1), 100, "trial")


def test_the_mask_returns_after_an_error() -> None:
    mask = os.sched_getaffinity(0)
    with pytest.raises(KeyError), pinned(max(mask)):
        raise KeyError
    assert os.sched_getaffinity(0) == mask


def test_busy_time_of_some_cores() -> None:
    stat = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 4 100 50 8 16 32 0 0\ncpu1 7 0 0 9 0 0 0 0 0 0\n"
    tick = os.sysconf("SC_CLK_TCK")
    assert busy_seconds(stat, {0}) == 63 / tick
    assert busy_seconds(stat, {0, 1}) == 70 / tick


def test_steps_fill_two_seconds_of_the_fastest() -> None:
    trial = [run_of("lammps-opt", loop=1.2), run_of("mdapp-single", loop=0.23)]
    points = [run.point for run in trial]
    assert choose_steps(PROBLEM, trial, points) == 900
    assert choose_steps(PROBLEM, [run_of("lammps-opt", loop=30.0)], points) == 100
    larger = [*points, replace(points[0], atoms=256000)]
    assert choose_steps(PROBLEM, trial, larger) == 100


# figures and tables


def rounds_of(label: str, loops: list[float], **other: Any) -> list[Run]:
    return [run_of(label, k, loop=loop, **other) for k, loop in enumerate(loops, 1)]


def melt() -> list[Run]:
    return [
        *rounds_of("mdapp-double", [0.5, 0.55, 0.45], list_s=0.06),
        *rounds_of("lammps-plain", [1.3, 1.3, 1.3]),
        *rounds_of("lammps-opt", [1.0, 1.1, 0.9], list_s=0.2),
    ]


def test_double_is_compared_with_double() -> None:
    """A peer that is fast in single precision is no measure of a run in double."""
    runs = [*rounds_of("deepmd-double", [4.0] * 3), *rounds_of("deepmd-single", [3.0] * 3),
            *rounds_of("mdapp-double", [1.0] * 3),
            *rounds_of("mdapp-mixed", [0.5] * 3)]  # fmt: skip
    found = figures(runs, seed=1)
    assert [f.against for f in found[2:]] == ["deepmd-double", "deepmd-single"]
    (table,) = tables.comparison(found)
    assert "of double against deepmd-double, of mixed against deepmd-single" in table.title
    (row,) = tables.goal_table([(problem_named("deep_cu"), found)]).rows
    assert row[2] == "deepmd-double, deepmd-single" and row[-2:] == ("2.5, 3.3", "4, 6")


def test_ratios_are_against_the_fastest_peer_and_paired_by_round() -> None:
    plain, opt, double = figures(melt()[::-1], seed=1)
    assert [f.point.label for f in (plain, opt, double)] == [
        "lammps-plain", "lammps-opt", "mdapp-double",
    ]  # fmt: skip
    assert plain.speed_ratio is None and opt.speed_ratio is None
    assert double.against == "lammps-opt"
    ratio = double.speed_ratio
    assert ratio is not None and (ratio.value, ratio.low, ratio.high) == pytest.approx((2, 2, 2))
    assert double.list_ratio is not None and double.list_ratio.value == pytest.approx(0.3)
    assert double.rate == pytest.approx(32000 * 100 / 0.5)
    assert double.ns_per_atom_step == pytest.approx(156.25)


def test_list_time_counts_the_atoms_of_a_rank() -> None:
    assert list_us(run_of("mdapp-double", list_s=0.16, builds=5)) == pytest.approx(1.0)
    assert list_us(run_of("mdapp-double", list_s=0.16, builds=5, ranks=2)) == pytest.approx(2.0)
    assert list_us(run_of("mdapp-double", builds=0)) is None


def test_efficiency_and_flatness() -> None:
    runs = [
        *rounds_of("mdapp-double", [1.0, 1.0, 1.0]),
        *rounds_of("mdapp-double", [0.625, 0.625, 0.625], ranks=2),
        *rounds_of("mdapp-double", [8.8, 8.8, 8.8], atoms=256000),
    ]
    (gain,) = efficiencies(runs, seed=1)
    assert (gain.point.ranks, gain.base.ranks, gain.value.value) == (2, 1, pytest.approx(0.8))
    (cost,) = flatness(runs, seed=1)
    assert (cost.point.atoms, cost.base.atoms, cost.value.value) == (
        256000, 32000, pytest.approx(1.1),
    )  # fmt: skip


def test_table_is_aligned_and_holds_the_numbers() -> None:
    (table,) = tables.comparison(figures(melt(), seed=1))
    title, head, *rows = tables.plain(table).splitlines()
    assert title.startswith("32000 atoms, 1 rank, 100 steps; ratios against lammps-opt")
    assert len(rows) == 3
    assert all(len(row) == len(head) for row in rows)
    cells = rows[2].split()
    assert cells[:4] == ["mdapp-double", "0.500", "0.450..0.550", "10.0!"]
    assert "2.00 [2.00, 2.00]" in rows[2] and "0.30 [0.30, 0.30]" in rows[2]


def test_table_of_goals_has_a_line_a_problem() -> None:
    rows = figures(melt(), seed=1)
    table = tables.goal_table([(problem_named("eam"), rows), (PROBLEM, rows)])
    eam, lj = ((row[0], row[2], row[4], row[5], row[6], row[8], row[9]) for row in table.rows)
    assert eam == ("eam", "lammps-opt", "6400", "-", "2.00 [2.00, 2.00]", "2", "3")
    assert lj == ("lj_melt", "lammps-opt", "6400", "-", "2.00 [2.00, 2.00]", "-", "-")


class Calm(Echo):
    """A peer that computes nothing and is always right."""

    name = "lammps"
    requirements = built = ()
    variants = (Variant("plain", ("0",), True),)

    def __init__(self, venv: Path | None = None) -> None:
        self.venv = venv

    def runs(self, problem: Problem) -> bool:
        return True

    def potentials(self) -> Path:
        return self.venv / "potentials"

    def read(self, job: Job) -> Measured:
        return Measured(1.0, {}, 0.1, 5, None, (START, END))


class CalmMdapp(Calm):
    name = "mdapp"
    variants = (Variant("double", ("0",), True),)

    def read(self, job: Job) -> Measured:
        rows = (START, END if job.problem.name == "lj_melt" else shifted(END, "temp", 1.0))
        return Measured(0.5, {}, 0.1, 5, None, rows)


def test_all_problems_in_one_table(tmp_path: Path, monkeypatch, capsys) -> None:
    """One problem of three agrees, one does not and is not timed, one lacks its style."""
    (tmp_path / "potentials").mkdir()
    (tmp_path / "potentials" / "Cu_u3.eam").touch()
    strange = replace(PROBLEM, name="strange", styles=("no/such",))
    monkeypatch.setattr(program, "peer_named", lambda name: Calm)
    monkeypatch.setattr(program, "Mdapp", CalmMdapp)
    monkeypatch.setattr(program, "ensure_venv", lambda folder, requirements, built: folder)
    monkeypatch.setattr(
        program, "problems_named", lambda name: [problem_named("eam"), PROBLEM, strange]
    )
    answer = tmp_path / "answer.json"
    options = ["--problem", "all", "--venv", str(tmp_path), "--rounds", "1", "--steps", "100"]
    assert program.invoke(["lammps", *options, "--json", str(answer)]) == 1
    text = capsys.readouterr().out
    assert "skipped  strange: mdapp has no pair_style no/such" in text
    table = text[text.index("speed against the fastest peer") :].splitlines()
    assert [line.split()[0] for line in table[2:]] == ["lj_melt"]
    document = json.loads(answer.read_text())
    assert [p["problem"] for p in document["problems"]] == ["eam", "lj_melt"]
    assert [p["physics"]["agree"] for p in document["problems"]] == [False, True]


def test_a_round_alone_has_no_interval() -> None:
    runs = [*rounds_of("mdapp-double", [0.5]), *rounds_of("lammps-opt", [1.0])]
    (table,) = tables.comparison(figures(runs, seed=1))
    assert "2.00" in table.rows[1] and "[" not in tables.plain(table).splitlines()[3]


def test_remarks_on_noise_and_on_other_programs() -> None:
    texts = list(tables.remarks(figures(melt(), seed=1)))
    assert len(texts) == 2 and all("scatter by 10 %" in text for text in texts)
    quiet = rounds_of("mdapp-double", [1.0, 1.0, 1.0], foreign=0.3)
    assert [text for text in tables.remarks(figures(quiet, seed=1)) if "took 30 %" in text]
    assert not list(tables.remarks(figures(rounds_of("mdapp-double", [1.0, 1.0]), seed=1)))


def test_figures_survive_json() -> None:
    text = json.dumps([f.as_json() for f in figures(melt(), seed=1)])
    assert json.loads(text)[2]["speed_ratio"]["value"] == pytest.approx(2.0)


def test_environment_names_cpu_versions_and_load() -> None:
    e = read_environment()
    text = "\n".join(e.lines())
    assert e.cpu in text and "numba " in text and e.mdapp in text
    assert set(e.cores) == os.sched_getaffinity(0)
    assert replace(e, load=3.0).busy and not replace(e, load=0.1).busy
    assert cpu_name("processor\t: 0\nmodel name\t: A: B\n") == "A: B"


def test_a_narrow_terminal_cuts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "60")
    (table,) = tables.comparison(figures(melt(), seed=1))
    screen = Terminal()
    tables.show(table, screen)
    text = screen.getvalue()
    assert "…" not in text
    assert all(cell in text for row in table.rows for cell in row)
    assert all(column in text for column in table.columns)
