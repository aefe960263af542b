"""A restart under another potential: refused, unless the user says that it is meant."""

from pathlib import Path

import pytest
from mpi4py import MPI

from mdapp.deck import build_deck
from mdapp.errors import InputError, RunError
from mdapp.simulation import Simulation
from tests.restart.test_async import DECK

COMM = MPI.COMM_SELF


def simulation(out: Path, steps: int, epsilon: float, **options) -> Simulation:
    table = {**DECK, "potential": {**DECK["potential"], "epsilon": epsilon},
             "run": {**DECK["run"], "steps": steps}, "checkpoint": {"every": 10}}
    return Simulation(build_deck(table), COMM, out, **options)


def test_another_potential(tmp_path: Path) -> None:
    first = simulation(tmp_path, 10, 1.0)
    first.run()
    first.close()
    with pytest.raises(InputError, match=r"epsilon.*--allow-potential-change"):
        simulation(tmp_path, 20, 1.1, restart="auto")
    said: list[str] = []
    second = simulation(tmp_path, 20, 1.1, restart="auto", allow_potential_change=True,
                        tell=said.append)
    assert [line for line in said if line.startswith("note: the potential changes at step 10")]
    second.run()
    second.close()
    assert second.step == 20
    row = second.thermo.rows[0]
    assert row["pe"] == pytest.approx(1.1 * first.thermo.last["pe"], rel=1e-12)

    # What comes after is held to the new potential.
    with pytest.raises(InputError, match="allow-potential-change"):
        simulation(tmp_path, 30, 1.0, restart="auto")
    third = simulation(tmp_path, 30, 1.1, restart="auto", allow_potential_change=True)
    assert third.restored is not None
    third.restored.invariants["pe"] *= 1.001
    with pytest.raises(RunError, match="pe is"):
        third.run()
