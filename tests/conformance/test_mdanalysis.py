"""Trajectories of real runs, read by the real MDAnalysis (https://www.mdanalysis.org)."""

from pathlib import Path

import numpy as np
import pytest

from mdapp.deck import load_deck
from mdapp.simulation import Simulation
from mdapp.trajectory import Outputs
from tests.decks import melt

MDAnalysis = pytest.importorskip("MDAnalysis", reason="needs MDAnalysis")

DECKS = {
    "metal": """
units = "metal"
[system]
lattice = "fcc"
constant = 5.3
cells = [4, 4, 5]
species = ["Ar"]
temperature = 80
seed = 1
[potential]
style = "lj/cut"
epsilon = 0.0103
sigma = 3.4
rc = 6.0
[run]
steps = 40
timestep = 0.004
""",
    "lj": melt(seed=1, run="steps = 40"),
}
OUTPUT = """
[[output]]
kind = "h5md"
every = 10
file = "t.h5md"
fields = ["position", "velocity", "force"]
frames_per_part = 3
[[output]]
kind = "atom"
every = 10
file = "t.dump"
"""


@pytest.fixture
def run(tmp_path: Path):
    """`run(units)` runs a deck and returns, for each frame, what the run itself had."""

    def start(units: str, close: bool = True) -> list[dict[str, np.ndarray]]:
        path = tmp_path / "deck.toml"
        path.write_text(DECKS[units])
        plain = load_deck(path)
        path.write_text(DECKS[units] + OUTPUT)
        outputs = load_deck(path).output
        sim = Simulation(plain, out=tmp_path)
        sim.outputs = Outputs(sim.comm, outputs, tmp_path, sim.species, sim.atoms.mass, units=units)
        frames = []
        write = sim.outputs.write

        def watched(step, time, box, atoms) -> None:
            if step % 10 == 0:
                order = np.argsort(atoms.id[:atoms.nlocal])
                frames.append({"time": time, "box": box.lengths.copy(), **{
                    name: getattr(atoms, name)[:atoms.nlocal][order] for name in "xvf"}})
            write(step, time, box, atoms)

        sim.outputs.write = watched
        sim.run()
        if close:
            sim.outputs.close()
        return frames

    return start


def compare(universe, frames, force: float | None) -> None:
    assert len(universe.trajectory) == len(frames)
    for ts, frame in zip(universe.trajectory, frames, strict=True):
        single = {name: frame[name].astype(np.float32) for name in "xvf"}
        assert (universe.atoms.positions == single["x"]).all()
        assert (universe.atoms.velocities == single["v"]).all()
        if force is not None:
            assert np.allclose(ts.forces, frame["f"] * force, rtol=1e-6, atol=1e-5)
        assert np.allclose(ts.dimensions, [*frame["box"], 90, 90, 90], rtol=1e-6)


def test_without_a_topology(run, tmp_path: Path) -> None:
    frames = run("metal")
    universe = MDAnalysis.Universe(tmp_path / "t.h5md")
    compare(universe, frames[:3], 96.48533212331001)
    assert [round(ts.time, 6) for ts in universe.trajectory] == [0, 0.04, 0.08]
    assert [ts.data["step"] for ts in universe.trajectory] == [0, 10, 20]
    assert universe.trajectory.units == {
        "time": "ps", "length": "Angstrom", "velocity": "Angstrom/ps",
        "force": "kJ/(mol*Angstrom)"}


def test_with_a_topology_and_all_parts(run, tmp_path: Path) -> None:
    frames = run("metal")
    parts = [str(tmp_path / name) for name in ("t.h5md", "t.0001.h5md")]
    universe = MDAnalysis.Universe(str(tmp_path / "t.dump"), parts, topology_format="LAMMPSDUMP")
    assert len(universe.trajectory) == 5
    assert universe.atoms.n_atoms == 320
    for k, ts in enumerate(universe.trajectory):
        assert (ts.positions == frames[k]["x"].astype(np.float32)).all()
        assert (ts.velocities == frames[k]["v"].astype(np.float32)).all()


def test_reduced_units(run, tmp_path: Path) -> None:
    frames = run("lj")
    with pytest.raises(ValueError, match="convert_units"):
        MDAnalysis.Universe(tmp_path / "t.h5md")
    universe = MDAnalysis.Universe(tmp_path / "t.dump", tmp_path / "t.h5md",
                                   topology_format="LAMMPSDUMP", convert_units=False)
    compare(universe, frames[:3], 1.0)


def test_a_part_that_is_still_growing(run, tmp_path: Path) -> None:
    frames = run("metal", close=False)
    universe = MDAnalysis.Universe(tmp_path / "t.0001.part.h5md")
    compare(universe, frames[3:], None)
