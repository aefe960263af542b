"""Deviations of a committee: by their definitions, and in the form that other programs read."""

import io

import numpy as np
import pytest
from mpi4py import MPI

from mdapp.analysis.deviation import COLUMNS, Deviation, deviation, heading, line
from potentials.base import Want
from potentials.registry import PotentialError, make_potential
from tests.twins.evaluate import evaluate
from tests.twins.systems import lattice

MODELS = [{"style": "lj/cut", "epsilon": 1.0, "sigma": 1.0, "rc": 2.5},
          {"style": "lj/cut", "epsilon": 1.1, "sigma": 0.98, "rc": 2.3},
          {"style": "gauss", "a": 2.0, "b": 3.0, "rc": 1.6}]
SYSTEM = lattice((4, 4, 4), 1.68, 0.07, 21)
TYPES = np.zeros(len(SYSTEM.x), np.int32)


def test_a_deviation_by_its_definition() -> None:
    rng = np.random.default_rng(1)
    forces, virials = rng.normal(size=(3, 20, 3)), rng.normal(size=(3, 6))
    found = deviation(MPI.COMM_SELF, forces, virials, limit=1.5)
    of_atoms = [np.sqrt(np.mean([np.sum((f[i] - forces[:, i].mean(axis=0))**2) for f in forces]))
                for i in range(20)]  # fmt: skip
    tensor = np.array([[v[0], v[5], v[4], v[5], v[1], v[3], v[4], v[3], v[2]] for v in virials])
    of_tensor = np.sqrt(((tensor - tensor.mean(axis=0))**2).mean(axis=0)) / 20
    np.testing.assert_allclose(found.values(), [
        of_tensor.max(), of_tensor.min(), np.sqrt((of_tensor**2).mean()),
        max(of_atoms), min(of_atoms), np.mean(of_atoms)], rtol=1e-12)  # fmt: skip
    assert found.above == sum(d > 1.5 for d in of_atoms) > 0


def test_a_file_is_read_as_a_table_with_names() -> None:
    found = Deviation(np.arange(6) / 7, 0.5, 0.1, 0.25, 3)
    for limit, names in ((None, COLUMNS), (0.3, (*COLUMNS, "above_limit"))):
        text = heading(limit) + line(40, found, limit) + line(50, found, limit)
        table = np.genfromtxt(io.StringIO(text), names=True)
        assert table.dtype.names == ("step", *names) and table["step"].tolist() == [40, 50]
        assert table["max_devi_f"][0] == 0.5 and table["min_devi_v"][1] == 0.0


def test_a_committee_is_driven_by_its_first_model() -> None:
    committee = make_potential("committee", {"part": MODELS}, 1)
    kernel = committee.compiled("double")
    f, result = evaluate(kernel, committee.cutoff, committee.lists, SYSTEM, TYPES)
    first = make_potential("lj/cut", {k: MODELS[0][k] for k in ("epsilon", "sigma", "rc")}, 1)
    g, alone = evaluate(first.compiled("double"), first.cutoff, first.lists, SYSTEM, TYPES)
    assert abs(f - g).max() < 1e-12 * abs(g).max()
    assert result.energy == pytest.approx(alone.energy, rel=1e-13)


def test_all_models_answer() -> None:
    committee = make_potential("committee", {"part": MODELS}, 1)

    class Asked:
        """The kernel, asked for all answers."""

        def compute(self, x, type_, nlocal, pairs, f, want, exchange):
            self.forces, self.virials = committee.compiled("double").answers(
                x, type_, nlocal, pairs, exchange)
            return committee.compiled("double").compute(
                x, type_, nlocal, pairs, f, want, exchange)

    asked = Asked()
    evaluate(asked, committee.cutoff, committee.lists, SYSTEM, TYPES, Want.TOTALS)
    for k, model in enumerate(MODELS):
        keys = {key: value for key, value in model.items() if key != "style"}
        alone = make_potential(model["style"], keys, 1)
        f, result = evaluate(alone.compiled("double"), alone.cutoff, alone.lists, SYSTEM, TYPES,
                             Want.TOTALS)
        assert abs(asked.forces[k] - f).max() < 1e-12 * abs(f).max()
        np.testing.assert_allclose(asked.virials[k], result.virial, rtol=1e-11, atol=1e-9)


@pytest.mark.parametrize(("parts", "words"), [
    (MODELS[:1], "a committee needs two or more"),
    ([MODELS[0], {"style": "committee", "part": MODELS}], "must be a potential that is no sum"),
    ([MODELS[0], {"style": "lj/cut", "epsilon": 1.0}], "part 2: "),
])
def test_messages(parts: list, words: str) -> None:
    with pytest.raises(PotentialError) as error:
        make_potential("committee", {"part": parts}, 1)
    assert words in str(error.value)
