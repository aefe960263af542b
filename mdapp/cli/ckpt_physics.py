"""The deepest look at a checkpoint: does the physics of the state come out as it was saved?

Checksums prove that the bits are those that were written. Whether this version of mdapp, on this
machine, with these potential files, makes of them what the writing run made, only a computation
tells. So the run is begun from the checkpoint, on any number of ranks, in a folder that is thrown
away; the energies of the state are compared with the saved ones as at every restart, and no step
is made.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mdapp.errors import InputError, RunError

if TYPE_CHECKING:
    from mpi4py import MPI

    from mdapp.deck import Deck
    from mdapp.storage.audit import Verdict


def recompute(comm: MPI.Intracomm, verdict: Verdict) -> None:
    """Add to a verdict whether the energies of its checkpoint are those that it saved; collective.

    Raises
    ------
    InputError
        The checkpoint holds no deck that can be run here.
    """
    from mdapp.simulation import Simulation
    from mdapp.storage.consensus import on_root
    from mdapp.storage.errors import DamagedError
    from mdapp.storage.files import REAL

    assert verdict.manifest is not None
    saved = verdict.manifest.plain["invariants"]
    if not {"pe", "ke"} <= saved.keys():
        verdict.remarks.append("it saved no energies, so that there is nothing to compare")
        return
    deck = still_deck(verdict)
    folder = on_root(comm, lambda: tempfile.mkdtemp(prefix="mdapp-verify-"), "making a folder")
    try:
        sim = Simulation(deck, comm, Path(folder), restart=str(verdict.path))
        sim.run(0)
        sim.close()
    except RunError as error:
        verdict.code = max(verdict.code, DamagedError.exit_code)
        verdict.problems.append(str(error))
    else:
        verdict.remarks.append(f"recomputed pe = {saved['pe']:.10g} and ke = {saved['ke']:.10g}")
    finally:
        if comm.rank == 0:
            REAL.remove_tree(Path(folder))


def still_deck(verdict: Verdict) -> Deck:
    """Deck of the run that wrote the checkpoint, without what it would write or fix to its ranks.

    Raises
    ------
    InputError
        There is none, or this version cannot use it.
    """
    from mdapp.deck import build_deck

    assert verdict.manifest is not None
    tables = dict(verdict.manifest.plain["deck"])
    for key in ("output", "checkpoint"):
        tables.pop(key, None)
    if "run" in tables:
        tables["run"] = {k: v for k, v in tables["run"].items() if k != "grid"}
    try:
        return build_deck(tables)
    except InputError as error:
        raise InputError(f"{verdict.path}: its deck cannot be run: {error}") from None
