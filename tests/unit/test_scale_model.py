"""The model behind `mdapp plan`: fits of synthetic studies, the worked example, layouts."""

import errno
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdapp.errors import InputError
from mdapp.model.lattice import LatticeSource
from mdapp.parallel.grid import RankGrid, coords_of
from mdapp.report.plain import as_json
from mdapp.storage.files import REAL
from potentials.shorthand import read_potential
from scaling.model import sparse_file
from scaling.model.checkpoints import plan_checkpoints
from scaling.model.command import Request, atoms_of, make_plan
from scaling.model.costs import Costs, built_in, exchange_of
from scaling.model.decomposition import Crystal, crystal_of, decompose, faults_of
from scaling.model.fit import Sample, fit
from scaling.model.fit_page import fit_section
from scaling.model.geometry import divide
from scaling.model.machine import Allreduce, Machine, Network, Node, Quantity, read_machine
from scaling.model.memory import memory_of, neighbours
from scaling.model.pingpong import read_pingpong, with_network
from scaling.model.plan import System, plan
from scaling.model.sparse_file import arrays_of, picks_of, try_file
from scaling.model.step_time import Inputs, as_cost, predict, sensitivity

LJ = read_potential("lj/cut:epsilon=1,sigma=1,rc=2.5").make(1)
RHO, REACH = 0.8442, 2.8
TRUE = {"a": 1.2e-7, "b": 9e-9, "t_py": 8e-5}


def cube_ghosts(n: float) -> float:
    edge = (n / RHO) ** (1 / 3)
    return RHO * ((edge + 2 * REACH) ** 3 - edge**3)


def samples(noise: float = 0.0, k: float = 10.0, d: float = 0.0, seed: int = 3) -> list[Sample]:
    draw, made = np.random.default_rng(seed), []
    for n in (250 * 2.0**np.arange(11)).tolist():
        m = cube_ghosts(n)
        t = TRUE["a"] * n + TRUE["b"] * m + TRUE["t_py"] + d * n / k
        made.append(Sample(f"n{n:.0f}", n, m, k, (t * (1 + noise * draw.normal(size=5))).tolist()))
    return made


# The fit


def test_the_fit_gives_the_costs_of_exact_timings_back() -> None:
    found = fit(samples())
    for name, value in TRUE.items():
        assert found.costs[name].value == pytest.approx(value, rel=1e-6)
    assert {name for name, _ in found.merged} == {"d", "e"}      # k does not vary
    assert max(abs(e) for e in found.left_out.values()) < 1e-6
    assert found.condition < 1e3 and not found.off


def test_the_intervals_hold_the_true_costs_of_noisy_timings() -> None:
    held = dict.fromkeys(TRUE, 0)
    for seed in range(20):
        found = fit(samples(0.02, seed=seed))
        for name, value in TRUE.items():
            held[name] += found.costs[name].low <= value <= found.costs[name].high
        errors = found.inner(samples(0.02, seed=seed))
        assert max(map(abs, errors.values())) < 0.15
    # five rounds give narrow intervals: 95 % in name, three quarters at least in fact
    assert min(held.values()) >= 15, held


def test_what_a_list_build_costs_is_part_of_an_atom_unless_k_varies() -> None:
    found = fit(samples(d=3e-7))
    assert found.costs["a"].value == pytest.approx(TRUE["a"] + 3e-7 / 10, rel=1e-6)
    varied = [replace(s, k=k, times=[t + 3e-7 * s.atoms * (1 / k - 1 / 10)] * 3)
              for s, k in zip(samples(), (5, 20, 6, 18, 7, 15, 8, 12, 9, 14, 10), strict=True)
              for t in [s.time + 3e-7 * s.atoms / 10]]
    again = fit(varied)
    assert again.costs["d"].value == pytest.approx(3e-7, rel=0.02)
    assert again.costs["a"].value == pytest.approx(TRUE["a"], rel=0.02)


def test_a_point_off_the_curve_is_named_and_a_left_out_one_is_missed() -> None:
    bent = [replace(s, times=[1.5 * t for t in s.times]) if s.name == "n8000" else s
            for s in samples(0.005)]
    found = fit(bent)
    assert "n8000" in found.off
    assert abs(found.left_out["n8000"]) > 0.25
    statuses = [b.status for b in fit_section(bent, found).blocks if hasattr(b, "status")]
    assert statuses == ["WARN"]


def test_four_sizes_are_too_few() -> None:
    with pytest.raises(ValueError, match="5 at least"):
        fit(samples()[:4])


# The worked example of the specification, 1.024e9 atoms, 64 ranks a node


def example(per_node: int = 64) -> Inputs:
    costs = Costs({"a": as_cost(276e-9), "b": as_cost(8e-9), "t_py": as_cost(100e-6)}, 10.0,
                  "given")
    machine = Machine(
        node=Node(ranks_per_node=per_node),
        compute=Machine().compute.model_copy(
            update={"full_node_factor": Quantity(v=1.0, origin="given")}),
        network=Network(allreduce_us=Allreduce(c0=0.0, c1=0.0, origin="given")))
    return Inputs(costs, machine, exchange_of(LJ), imbalance=1.05)


@pytest.mark.parametrize(("ranks", "step", "halo_ms", "g"), [
    (512, 0.586, 4.05, 0.13), (4096, 0.0741, 1.07, 0.27),
    (262_144, 0.00138, 0.101, 1.38)])
def test_the_worked_example_comes_out(ranks: int, step: float, halo_ms: float, g: float) -> None:
    part = divide(1.024e9, ranks, RHO, REACH)
    found = predict(part, ranks, example())
    assert found.total == pytest.approx(step, rel=0.01)
    halo = found.terms["halo_latency"] + found.terms["halo_bytes"]
    assert 1e3 * halo == pytest.approx(halo_ms, rel=0.02)
    assert part.ghosts / part.atoms == pytest.approx(g, abs=0.01)
    assert found.limiting.startswith("forces")


def test_its_memory_and_checkpoints_come_out() -> None:
    part = divide(1.024e9, 4096, RHO, REACH)
    costs = replace(example().costs, fixed_bytes=300e6)
    memory = memory_of(part, "clusters", False, False, costs)
    owned = sum(v for k, v in memory.parts.items() if not k.startswith(("ghosts", "process")))
    assert owned / part.atoms == pytest.approx(401, rel=0.02)
    assert memory.total == pytest.approx(403e6, rel=0.02)
    assert neighbours(RHO, REACH) == pytest.approx(77.6, rel=0.01)
    plan_ = plan_checkpoints(1.024e9, 64 * 100, Machine())
    assert plan_.size == pytest.approx(73.8e9, rel=0.01)
    assert plan_.seconds == pytest.approx(1.74, rel=0.01)
    assert plan_.interval_s == pytest.approx(547, rel=0.01)
    assert plan_.limit == "bandwidth of the file system"


def test_messages_add_up_to_all_ghosts() -> None:
    part = divide(32_000, 6, RHO, REACH)
    assert 2 * sum(part.messages) == pytest.approx(part.ghosts)


def test_the_band_grows_with_ignorance_and_the_sensitivity_tells_where() -> None:
    part, sure = divide(1e9, 4096, RHO, REACH), example()
    guessed = replace(sure, costs=built_in("lj/cut"), machine=Machine())
    for inputs, widest in ((sure, 1.2), (guessed, 6.0)):
        found = predict(part, 4096, inputs)
        assert found.low < found.total < found.high < widest * found.low
    change = {name: value for name, _, value in sensitivity(part, 4096, sure)}
    assert change["a"] == pytest.approx(0.97, abs=0.03)
    assert change["network.node_GBps"] < 0 < change["network.o_us"]


def test_one_rank_sends_nothing() -> None:
    found = predict(divide(1e6, 1, RHO, REACH), 1, example())
    assert found.terms["halo_bytes"] == found.terms["reduce"] == 0.0
    assert found.terms["owned"] == pytest.approx(276e-3)


def test_what_potentials_send() -> None:
    assert exchange_of(LJ).bytes_per_ghost == 24
    with pytest.raises(InputError, match="no built-in cost"):
        built_in("nep")


# Refusals


def system(natoms: int = 10**9, known: bool = True) -> System:
    return System(natoms, RHO, REACH, "clusters", 1000, False, known)


def test_what_cannot_be_predicted_is_refused_with_its_reason() -> None:
    inputs = example()
    with pytest.raises(InputError, match="fewer than 50"):
        plan(system(10**6), [1 << 20], inputs)
    with pytest.raises(InputError, match="narrower than the reach"):
        plan(replace(system(6000), reach=9.0), [64], inputs)
    with pytest.raises(InputError, match="more than 90%"):
        plan(system(), [8], inputs)
    fitted = replace(inputs, costs=replace(inputs.costs, fitted=(250, 256_000, 2)))
    assert [one.refusal for one in plan(system(10**8), [32], fitted)] == [""]
    with pytest.raises(InputError, match="32 times the ranks"):
        plan(system(10**8, known=False), [64], fitted)
    some = plan(system(10**6), [64, 1 << 20], inputs)
    assert [bool(one.refusal) for one in some] == [False, True]


# Machine files and ping-pongs


def test_every_number_of_a_machine_has_an_origin(tmp_path: Path) -> None:
    path = tmp_path / "machine.toml"
    path.write_text('[node]\nranks_per_node = 32\n[network]\no_us = {v = 0.5, origin = "given"}\n')
    machine = read_machine(path)
    assert machine.node.ranks_per_node == 32 and machine.network.o_us.v == 0.5
    origins = {key: origin for key, _, origin in machine.quantities()}
    assert origins["network.o_us"] == "given" and origins["network.L_us"] == "assumed"
    for text, said in (("[network]\no_us = 0.5\n", "must be a table.*origin"),
                       ('[network]\no_us = {v = 1.0, origin = "rumour"}\n', "must be one of given"),
                       ("[nodes]\n", "did you mean node"), ("[node]\nranks_per_node = 100\n",
                                                            "needs more than cores")):
        path.write_text(text)
        with pytest.raises(InputError, match=said):
            read_machine(path)
    with pytest.raises(InputError, match="no such machine file"):
        read_machine(tmp_path / "absent.toml")


def test_a_ping_pong_inside_a_node_is_a_guess_between_nodes(tmp_path: Path) -> None:
    body = {"o_s": 5e-7, "L_s": 1e-6, "G_s_per_byte": 1e-10, "G_all_s_per_byte": 2e-10,
            "allreduce_s": 3e-6, "ranks": 8, "same_node": True}
    path = tmp_path / "pp.json"
    path.write_text(json.dumps({"pingpong": body}))
    found = read_pingpong(str(path))
    here = with_network(Machine(), found, 64).network
    assert (here.o_us.v, here.L_us.v, here.link_GBps.v) == pytest.approx((0.5, 1.0, 10.0))
    assert here.node_GBps.v == pytest.approx(4 * 5.0)
    assert here.allreduce_us.c1 == pytest.approx(1.0)
    assert here.o_us.origin == "measured"
    assert with_network(Machine(), found, 65).network.o_us.origin == "assumed"
    path.write_text("{}")
    with pytest.raises(InputError, match="is not what"):
        read_pingpong(str(path))


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "1e40", ""])
def test_numbers_of_atoms_are_whole(text: str) -> None:
    assert atoms_of("1e9") == 10**9 and atoms_of("41470000000") == 41_470_000_000
    with pytest.raises(InputError, match="--atoms"):
        atoms_of(text)


# From a study to a plan


def study(tmp_path: Path, cutoff: float = 2.5) -> Path:
    rows: list[dict[str, Any]] = []
    for s in samples(0.01):
        edge = (s.atoms / RHO) ** (1 / 3)
        rows += [{
            "study": "saturation", "code": "mdapp", "point": s.name, "round": k, "ranks": 1,
            "threads": 1, "px": 1, "py": 1, "pz": 1, "lx": edge, "ly": edge, "lz": edge,
            "atoms": int(s.atoms), "steps": 100, "neighbor_builds": 10, "ghosts_avg": s.ghosts,
            "s_per_step": t, "cutoff": cutoff, "skin": 0.3, "potential": "lj/cut", "units": "lj",
            "timestep": 0.005, "bytes_per_atom": 250.0, "bytes_fixed_per_rank": 2e8,
            "compiles_in_window": 0,
        } for k, t in enumerate(s.times, 1)]  # fmt: skip
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"schema": "mdapp.scale", "tables": {"launches": rows}}))
    return path


def request(**more: Any) -> Request:
    words: dict[str, Any] = {
        "atoms": "1e8", "potential": "", "ranks": [64, 512], "density": None, "skin": None,
        "timestep": None, "steps": 1000, "imbalance": 1.05, "machine": None, "sources": (),
        "pingpong": "", "asynchronous": False, "layout_check": False, "folder": Path("plan"),
    }  # fmt: skip
    return Request(**{**words, **more})


def test_a_plan_from_a_study_lists_everything_it_rests_on(tmp_path: Path) -> None:
    body = as_json(make_plan(request(sources=(study(tmp_path),))))
    rows = body["tables"]["prediction"]
    assert [r["ranks"] for r in rows] == [64, 512]
    n, m = rows[0]["atoms_per_rank"], rows[0]["ghosts"]
    compute = 1.3 * 1.05 * (TRUE["a"] * n + TRUE["b"] * m)
    assert 1e-3 * rows[0]["compute_ms"] == pytest.approx(compute, rel=0.05)
    assert rows[0]["low"] < rows[0]["s_per_step"] < rows[0]["high"]
    origins = {r["input"].split(":")[0]: r["origin"] for r in body["tables"]["inputs"]}
    assert origins["a"] == "measured" and origins["network.o_us"] == "assumed"
    guesses = {r["input"] for r in body["tables"]["replace_first"]}
    assert "network.o_us" in guesses and not any(g.startswith("a:") for g in guesses)
    assert len(body["tables"]["assumptions"]) == 10
    assert [c["status"] for c in body["checks"]] == ["PASS"]
    assert body["tables"]["memory"][-2]["part"].startswith("by the bytes an atom")


def test_a_full_node_and_other_studies_are_taken_from_what_was_measured(tmp_path: Path) -> None:
    path = study(tmp_path)
    body = json.loads(path.read_text())
    for row in [r for r in body["tables"]["launches"] if r["atoms"] >= 8000]:
        pair = {**row, "point": f"{row['point']}-pair", "ranks": 2, "px": 2, "lx": 2 * row["lx"],
                "atoms": 2 * row["atoms"], "s_per_step": 1.25 * row["s_per_step"]}
        strong = {**row, "point": f"{row['point']}-strong", "study": "strong"}
        body["tables"]["launches"] += [pair, strong]
    path.write_text(json.dumps(body))
    found = as_json(make_plan(request(sources=(path,))))
    factor = next(r for r in found["tables"]["inputs"]
                  if r["input"] == "compute.full_node_factor")
    assert factor["origin"] == "measured" and float(factor["value"]) == pytest.approx(1.25)
    beside = found["tables"]["beside"]
    assert len(beside) == 6 and max(abs(r["deviation"]) for r in beside) < 0.1


def test_plans_that_cannot_be_made_say_why(tmp_path: Path) -> None:
    for words, said in (
            ({}, "name --potential"), ({"potential": "lj/cat:1:1:2.5"}, "--potential"),
            ({"potential": "morse:d0=1,alpha=1,r0=1,rc=3", "density": 1.0}, "no built-in cost"),
            ({"sources": (tmp_path / "absent.json",)}, "no such file"),
            ({"sources": (study(tmp_path),), "potential": "morse:d0=1,alpha=1,r0=1,rc=3"},
             "ran lj/cut")):
        with pytest.raises(InputError, match=said):
            make_plan(request(**words))


# Layout


def test_crystals_have_the_atoms_that_were_asked_for() -> None:
    big = crystal_of(41_470_000_000)
    assert big.exact and 4 * math.prod(big.cells) == big.atoms == 41_470_000_000
    assert max(big.cells) <= 2 * min(big.cells)
    prime = crystal_of(1_000_003)
    assert not prime.exact and abs(prime.atoms / 1_000_003 - 1) < 0.01


@pytest.mark.parametrize(("crystal", "ranks"), [
    (Crystal("fcc", (5, 6, 7), 840, True), 12), (Crystal("bcc", (8, 8, 9), 1152, True), 7),
    (Crystal("diamond", (4, 5, 4), 640, True), 1)])
def test_counts_are_those_of_the_atoms_themselves(crystal: Crystal, ranks: int) -> None:
    made = decompose(crystal, ranks, RHO, 1.0)
    source = LatticeSource(style=crystal.lattice, density=RHO, cells=crystal.cells)
    x = np.concatenate([block.x for block in source.blocks()])
    owners = RankGrid.for_rank(0, ranks, source.box).owners(x)
    assert (np.bincount(owners, minlength=ranks) == made.counts).all()
    assert not any(faults_of(made).values())


def test_faults_of_a_decomposition_are_found() -> None:
    made = decompose(Crystal("fcc", (6, 6, 6), 864, True), 8, RHO, 1.0)
    counts = made.counts.copy()
    counts[3] += 1
    assert sum(map(bool, faults_of(replace(made, counts=counts)).values())) >= 2
    first = made.first.copy()
    first[5] += 1
    assert any(faults_of(replace(made, first=first)).values())


def test_coordinates_of_many_ranks_are_those_of_each() -> None:
    shape = (3, 4, 5)
    many = np.stack(coords_of(np.arange(60), shape), axis=1)
    assert [tuple(c) for c in many] == [coords_of(r, shape) for r in range(60)]


def test_a_file_of_terabytes_takes_megabytes_and_is_gone(tmp_path: Path) -> None:
    made = decompose(crystal_of(41_470_000_000), 4096, RHO, REACH)
    written = try_file(made, tmp_path)
    assert written.nominal > 41_470_000_000 * 72 and written.on_disk < 64 << 20
    assert written.fault == "" and list(tmp_path.iterdir()) == []
    if not written.refusal:
        assert [first for _, first, _, _ in written.blocks][-1] > 2**35


def test_a_wrong_offset_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = decompose(crystal_of(10**9), 64, RHO, REACH)
    monkeypatch.setattr(sparse_file, "SIZES", [8, 24, 24, 4, 8])
    assert try_file(made, tmp_path).fault
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_refuses_the_size_gets_smaller_files(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = decompose(crystal_of(10**9), 64, RHO, REACH)
    call = type(REAL).call

    def limited(self: Any, kind: str, function: Any, *arguments: Any) -> Any:
        if kind == "ftruncate" and arguments[1] > 1 << 34:
            raise OSError(errno.EFBIG, "File too large")
        return call(self, kind, function, *arguments)

    monkeypatch.setattr(type(REAL), "call", limited)
    written = try_file(made, tmp_path)
    assert written.files > 1 and "File too large" in written.refusal and written.fault == ""


def test_blocks_hold_atoms_that_their_ids_name() -> None:
    made = decompose(crystal_of(10**6), 8, RHO, REACH)
    picks = picks_of(made)
    assert picks[-1].first + picks[-1].count == 10**6
    ids = arrays_of(picks[-1])[0]
    assert ids[-1] == 10**6 and (np.diff(ids) == 1).all()
