"""`mdapp doctor` as a user types it, and the judgement behind each line."""

import json
import os
import sys
from pathlib import Path

import pytest

from mdapp.diagnosis import machine, mpi, packages
from mdapp.parallel.launcher import Launch
from mdapp.startup import Cpus

ITEMS = {"python", "packages", "potentials", "cpu", "affinity", "threads", "kernel cache", "mpi",
         "mpirun", "hdf5"}  # fmt: skip


def test_a_line_for_each_item_and_the_same_as_json(python, tmp_path: Path) -> None:
    end = python(["-m", "mdapp", "doctor", "--json", "doctor.json"], timeout=120)
    document = json.loads((tmp_path / "doctor.json").read_text())
    assert document["schema"] == "mdapp.doctor" and document["version"] == 1
    items = {entry["item"]: entry for entry in document["items"]}
    assert items.keys() >= ITEMS
    assert {entry["status"] for entry in items.values()} <= {"ok", "warn", "bad"}
    assert document["ok"] == all(entry["status"] != "bad" for entry in items.values())
    assert end.code == (0 if document["ok"] else 1), end.stdout + end.stderr
    for name in ITEMS:
        assert any(line.split(maxsplit=1)[1].startswith(name) for line in end.stdout.splitlines())
    for entry in items.values():
        assert entry["status"] == "ok" or entry["fix"] or entry["item"] == "mpi", entry


def test_json_alone_on_standard_output(python) -> None:
    end = python(["-m", "mdapp", "doctor", "--json", "-"], timeout=120)
    assert json.loads(end.stdout)["schema"] == "mdapp.doctor"
    assert "kernel cache" in end.stderr


def test_oversubscription_is_bad_under_mpirun(mpirun, tmp_path: Path) -> None:
    ranks = len(os.sched_getaffinity(0)) + 1
    if ranks > 8:
        pytest.skip("needs more ranks than cpus")
    end = mpirun(ranks, ["-m", "mdapp", "doctor", "--json", "d.json"], timeout=120)
    document = json.loads((tmp_path / "d.json").read_text())
    affinity = next(entry for entry in document["items"] if entry["item"] == "affinity")
    assert affinity["status"] == "bad" and "oversubscribed" in affinity["text"]
    assert end.code == 1
    assert [entry["rank"] for entry in document["ranks"]] == list(range(ranks))
    assert end.stdout.count("doctor: ") == 1


def test_a_foreign_launcher_is_seen_without_starting_mpi(python) -> None:
    """Variables of a launcher whose MPI cannot be this one's: two copies, refused by name."""
    from mdapp.parallel.libraries import MPICH, mpi4py_family

    if mpi4py_family() == MPICH:
        variables = {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "0"}
    else:
        variables = {"PMI_SIZE": "2", "PMI_RANK": "0"}
    end = python(["-m", "mdapp", "doctor"], timeout=120, env=variables)
    assert end.code == 1, end.stdout + end.stderr
    assert any(line.startswith("bad   mpi ") and "full copy" in line
               for line in end.stdout.splitlines())  # fmt: skip


def test_help_has_examples_and_imports_nothing_heavy(python) -> None:
    script = (
        "import sys\nfrom mdapp.cli.main import main\n"
        "try:\n    main(['--help'])\nfinally:\n"
        "    print([m for m in ('numpy', 'numba', 'mpi4py', 'h5py', 'scipy') if m in sys.modules])"
    )
    end = python(["-c", script])
    assert end.code == 0
    assert "Examples:" in end.stdout and end.stdout.rstrip().endswith("[]")
    for command in ("doctor", "deck"):
        end = python(["-m", "mdapp", command, "--help"])
        assert end.code == 0 and "Examples:" in end.stdout and "--json" in end.stdout


def test_an_unknown_command_gets_the_nearest_name(python) -> None:
    end = python(["-m", "mdapp", "docter"])
    assert end.code == 2
    assert "doctor" in end.stderr and "Traceback" not in end.stderr
    assert len(end.stderr.splitlines()) == 1


def test_schema_of_decks(python) -> None:
    end = python(["-m", "mdapp", "deck", "--schema"])
    assert end.code == 0
    assert {"system", "potential", "run"} <= json.loads(end.stdout)["properties"].keys()


# --- the judgement -------------------------------------------------------------------------------


def report(rank: int, host: str, mask: tuple[int, ...], **threads: str) -> machine.RankReport:
    cpus = Cpus(mask, False, 1, False)
    return machine.RankReport(
        rank, host, cpus, threads.get("numba", "1"), threads.get("openmp", "1")
    )


def test_nodes_are_judged_apart() -> None:
    ranks = [report(0, "a", (0, 1)), report(1, "a", (0, 1)), report(2, "b", (0,)),
             report(3, "b", (0,))]  # fmt: skip
    first, second = machine.check_affinity(ranks)
    assert (first.status, second.status) == ("ok", "bad")
    assert second.fix


def test_more_threads_than_cpus() -> None:
    assert machine.check_threads([report(0, "a", (0, 1), numba="2")]).status == "ok"
    verdict = machine.check_threads([report(0, "a", (0, 1)), report(1, "a", (0,), openmp="4")])
    assert verdict.status == "bad" and "OMP_NUM_THREADS=4" in verdict.text


@pytest.mark.parametrize(
    ("text", "warns"), [("max 100000", False), ("150000 100000", True), ("400000 100000", False)]
)
def test_quota(text: str, warns: bool) -> None:
    assert bool(list(machine.check_cpu_limit(2, text))) == warns


def test_cpu_features() -> None:
    text = "model name\t: Some CPU\nflags\t\t: fpu avx avx2 avx512f amx_tile amx_bf16"
    assert machine.cpu_features(text) == ("avx2", "avx512f", "amx_tile", "amx_bf16")
    assert machine.check_cpu(text).text.startswith("Some CPU: avx2")


def test_kernel_cache(tmp_path: Path) -> None:
    assert machine.check_cache({"NUMBA_CACHE_DIR": str(tmp_path)}).status == "ok"
    assert machine.check_cache({"NUMBA_CACHE_DIR": str(tmp_path / "none")}).status == "bad"
    temporary = tmp_path / "numba-0123"
    temporary.mkdir()
    environ = {"NUMBA_CACHE_DIR": str(temporary), "HOME": "/read-only"}
    assert machine.check_cache(environ).status == "warn"


def test_the_other_package_named_potentials(tmp_path: Path) -> None:
    assert packages.check_clash(tmp_path).status == "bad"


def test_versions_compare_as_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "lower_bounds", lambda: {"numpy": "2.10"})
    monkeypatch.setattr(packages, "installed_version", lambda name: "2.9.1")
    (verdict,) = packages.check_packages()
    assert verdict.status == "bad" and "numpy 2.9.1 (needs >= 2.10)" in verdict.text


def test_ompio_is_warned_of() -> None:
    answer = {"mpi": "Open MPI v4.1.4", "mpi_io": ""}
    assert mpi.check_mpi_io(answer, {"OMPI_MCA_io": "^ompio"}).status == "ok"
    assert mpi.check_mpi_io(answer, {"OMPI_MCA_io": "romio321"}).status == "ok"
    assert mpi.check_mpi_io(answer, {"OMPI_MCA_io": "ompio"}).status == "warn"
    assert mpi.check_mpi_io(answer | {"mpi_io": "no component"}, {}).status == "warn"


def test_two_mpis_in_hdf5() -> None:
    answer = {"h5py": "3.12", "hdf5": "1.14", "parallel": True}
    good = mpi.check_hdf5(answer | {"libraries": ["/usr/lib/libmpi.so.40.30.4"]})
    both = mpi.check_hdf5(answer | {"libraries": ["/a/libmpi.so.40", "/b/libmpi.so.12"]})
    assert (good.status, both.status) == ("ok", "bad")


def test_a_launcher_that_does_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An mpirun that starts two unrelated copies, as a foreign one does."""
    fake = tmp_path / "mpirun"
    fake.write_text(f'#!/bin/sh\nshift 2\n"$@"; "$@"\n# {sys.version}\n'.split("\n# ")[0] + "\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(mpi, "own_launcher", lambda: None)
    (verdict,) = mpi.check_launcher(Launch("none", 1, 0, 1, 0))
    assert verdict.status == "bad" and "2 copies" in verdict.text and verdict.fix


def test_matrix_products_are_measured_on_request(python, tmp_path: Path) -> None:
    end = python(["-m", "mdapp", "doctor", "--gemm", "--json", "doctor.json"], timeout=120)
    document = json.loads((tmp_path / "doctor.json").read_text())
    assert {row["precision"] for row in document["gemm"]} >= {"double", "single"}
    assert {row["backend"] for row in document["gemm"]} >= {"mdapp", "blas"}
    assert all(row["gflops"] > 0 for row in document["gemm"])
    assert "256 x 240 x 240" in end.stdout and any(
        entry["item"] == "gemm" for entry in document["items"])
