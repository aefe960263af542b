"""Fits of models so small that they take a second: losses that fall, fits that go on with the same
bits."""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mdapp.errors import InputError
from mdapp.fit.settings import settings_of
from mdapp.fit.sources import open_data
from tests.twins import labelled

jax = pytest.importorskip("jax", reason="needs mdapp[jax]")
from mdapp.fit.kalman import blocks_of  # noqa: E402
from mdapp.fit.loss import errors_of  # noqa: E402
from mdapp.fit.training import Fit  # noqa: E402
from potentials.deep_potential.format import read_model  # noqa: E402
from potentials.deep_potential.jax_form import DeepPotentialForm  # noqa: E402
from potentials.jax_model.program import enable_x64  # noqa: E402
from potentials.nep.format import read_nep  # noqa: E402
from potentials.nep.jax_form import NEPForm  # noqa: E402

SMALL = {
    "nep": {"cutoff": "4.5,4", "n_max": "2,1", "basis_size": "4,4", "l_max": "2", "flags": "none",
            "neurons": "6"},
    "deep_potential": {"cutoff": "4.5", "embedding": "4,8", "axis": "2", "fitting": "6,6"}}
COMMON = {"seed": "3", "steps": "200", "virial_weight": "0.02"}


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory):
    """Fits that differ in nothing that is compiled share what XLA has made."""
    options = {"jax_compilation_cache_dir": str(tmp_path_factory.mktemp("xla")),
               "jax_persistent_cache_min_compile_time_secs": 0.0,
               "jax_persistent_cache_min_entry_size_bytes": -1}
    former = {name: getattr(jax.config, name) for name in options}
    for name, value in options.items():
        jax.config.update(name, value)
    yield
    for name, value in former.items():
        jax.config.update(name, value)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    return labelled.write_set(tmp_path_factory.mktemp("data") / "frames.extxyz", 12, "Ar,Kr")


def fit_of(folder: Path, source: Path, style: str, resume: bool = False, **more: str) -> Fit:
    folder.mkdir(exist_ok=True)
    shape, training = settings_of(style, {**SMALL[style], **COMMON, **more})
    data = open_data(folder, source, None, 0.25, [], 4.5, 1)
    return Fit(data, shape, training, folder, resume)


def run(fit: Fit, until: int = 10**9) -> bool:
    return fit.run(lambda row: None, lambda step: None, lambda: fit.step >= until)


@pytest.mark.parametrize(("style", "optimizer", "factor"), [
    ("nep", "adam", 5.0), ("nep", "kalman", 30.0), ("deep_potential", "kalman", 5.0)])
def test_two_hundred_steps_divide_the_error_of_the_forces(
    tmp_path: Path, source: Path, style: str, optimizer: str, factor: float
) -> None:
    more = {"rate": "0.03,0.003", "force_weight": "1"} if optimizer == "adam" else {"block": "100"}
    with enable_x64(True):
        fit = fit_of(tmp_path, source, style, optimizer=optimizer, **more)
        before = fit.errors_on(fit.data.fitted())
        assert run(fit)
        after = fit.errors_on(fit.data.fitted())
    assert after["force"] < before["force"] / factor
    assert len(fit.history) == 100 and fit.history[-1]["held_force"] < before["force"]


@pytest.mark.parametrize("optimizer", ["adam", "kalman"])
def test_a_fit_that_was_stopped_goes_on_with_the_same_bits(
    tmp_path: Path, source: Path, optimizer: str
) -> None:
    with enable_x64(True):
        whole = fit_of(tmp_path / "whole", source, "nep", steps="9", optimizer=optimizer)
        assert run(whole)
        assert not run(fit_of(tmp_path / "cut", source, "nep", steps="9", optimizer=optimizer), 4)
        rest = fit_of(tmp_path / "cut", source, "nep", True, steps="9", optimizer=optimizer)
        assert rest.step == 4 and run(rest)
    assert np.array_equal(whole.w, rest.w)
    timeless = [[{k: v for k, v in row.items() if k != "elapsed_s"} for row in fit.history]
                for fit in (whole, rest)]
    assert timeless[0] == timeless[1]


def test_a_checkpoint_of_another_fit_is_refused_by_what_differs(
    tmp_path: Path, source: Path
) -> None:
    with enable_x64(True):
        with pytest.raises(InputError, match="nothing to resume"):
            fit_of(tmp_path, source, "nep", True)
        fit_of(tmp_path, source, "nep", steps="2").save()
        with pytest.raises(InputError, match=r"neurons was 6 and is 7; steps was 2 and is 200"):
            fit_of(tmp_path, source, "nep", True, neurons="7")
        path = tmp_path / "checkpoint.npz"
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(InputError, match="is damaged"):
            fit_of(tmp_path, source, "nep", True, steps="2")


@pytest.mark.parametrize("style", SMALL)
def test_forces_and_virial_are_derivatives_of_the_energy(
    tmp_path: Path, source: Path, style: str
) -> None:
    """Of a batch of labels that are 0: by moving an atom and all its images, by straining."""
    rng = np.random.default_rng(8)
    edges, x = labelled.frame(rng)
    symbols, h = ["Ar", "Kr", "Ar", "Kr"], 1e-5
    with enable_x64(True):
        fit = fit_of(tmp_path, source, style, precision="double", batch="1")
        params = {**fit.learner.weights, **fit.learner.fixed}
        errors = jax.jit(partial(errors_of, fit.learner.energy, virials=True))

        def of(x, edges):
            folder = tmp_path / "one"
            folder.mkdir(exist_ok=True)
            (folder / "one.extxyz").write_text(labelled.text(symbols, x, edges))
            data = open_data(folder, folder / "one.extxyz", None, 0.0, [], 4.5, 1)
            batcher = type(fit.batcher)(data, 1, np.zeros(2), np.float64)
            batch = batcher.batch([0])
            zero = batch._replace(energy=0 * batch.energy, forces=0 * batch.forces,
                                  virial=0 * batch.virial)
            return errors(params, zero)

        found = of(x, edges)
        assert abs(found.force.sum(0)).max() < 1e-12
        for i, c in ((0, 0), (1, 2), (3, 1)):
            step = np.zeros_like(x)
            step[i, c] = h
            slope = (of(x + step, edges).energy[0] - of(x - step, edges).energy[0]) / (2 * h)
            assert abs(found.force[i, c] + slope) < 1e-7
        for k, (a, b) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
            strain = np.zeros((3, 3))
            strain[a, b] = h
            e = [of(x + s * x @ strain, edges + s * edges @ strain).energy[0] for s in (1, -1)]
            assert abs(found.virial[0, k] + (e[0] - e[1]) / (2 * h)) < 1e-7


@pytest.mark.parametrize("style", SMALL)
def test_the_file_that_is_written_has_the_energies_of_the_fit(
    tmp_path: Path, source: Path, style: str
) -> None:
    with enable_x64(True):
        fit = fit_of(tmp_path, source, style, precision="double")
        path = tmp_path / fit.learner.name
        fit.write(path)
        form = NEPForm(read_nep(path)) if style == "nep" else DeepPotentialForm(read_model(path))
        batch = fit.batcher.batch(fit.data.fitted()[:2])
        seen = batch.r, batch.type_i, batch.type_j, batch.mask
        params = {**fit.learner.weights, **fit.learner.fixed}
        before, after = (np.asarray(jax.jit(energy)(given, *seen)) for energy, given in
                         ((fit.learner.energy, params), (form.energy, form.params())))
    for k, number in enumerate(fit.data.fitted()[:2]):
        mine = batch.frame == k
        rest = fit.data.counts[number] @ fit.baseline
        assert abs(after[mine].sum() - before[mine].sum() - rest) < 1e-12


def test_blocks_gather_small_layers_and_cut_long_ones() -> None:
    assert blocks_of([3, 4, 2], 8) == [(0, 7), (7, 9)]
    assert blocks_of([20], 8) == [(0, 8), (8, 16), (16, 20)]
    assert blocks_of([5, 11, 2], 8) == [(0, 5), (5, 13), (13, 18)]


@pytest.mark.parametrize(("key", "value", "said"), [
    ("neuron", "5", "no such setting, nearest match 'neurons'"),
    ("neurons", "0", "whole number from 1 to 1000"),
    ("neurons", "2.5", "whole number"),
    ("cutoff", "4,5", "angular cutoff must not be greater"),
    ("cutoff", "nan", "numbers from 1 to 20"),
    ("optimizer", "sgd", "adam or kalman"),
    ("rate", "0.1", "kalman optimizer has no use for it"),
    ("zbl", "2,1", "inner one less than the outer"),
])
def test_a_setting_that_cannot_be_is_told_with_its_range(key: str, value: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        settings_of("nep", {key: value})


def test_slots_that_do_not_do_for_the_data_are_refused(tmp_path: Path, source: Path) -> None:
    with enable_x64(True), pytest.raises(InputError, match="sel=5,5: atoms have up to"):
        fit_of(tmp_path, source, "deep_potential", sel="5,5")


def test_without_jax_the_command_says_how_to_get_it(monkeypatch) -> None:
    from mdapp.cli.fit import need_jax

    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(InputError, match=r"pip install 'mdapp\[jax\]'"):
        need_jax()
