"""A run: the parts that a deck asks for, and the loop over time steps.

What holds at the end of every step, and lets the next one begin with half a kick: positions,
velocities and forces belong to the same time; ghosts and lists are good for these positions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from mdapp.analysis.thermo import Thermo
from mdapp.charges import charges_of_types, give_charges, needs_charges, refuse_missing_charges
from mdapp.checkpointing import Checkpoints
from mdapp.deck import Deck
from mdapp.errors import InputError, RunError
from mdapp.evaluate import give_box
from mdapp.initial import owned_atoms, set_velocities, shared_source
from mdapp.integrate.nve import VelocityVerlet
from mdapp.model.atoms import CHARGE, Atoms
from mdapp.model.box import Box
from mdapp.model.state_hash import state_hash
from mdapp.model.units import UNITS
from mdapp.neighbors.clusters import ClusterList
from mdapp.neighbors.trigger import RebuildTrigger
from mdapp.parallel.agree import agree, settle
from mdapp.parallel.grid import RankGrid
from mdapp.parallel.halo import Halo
from mdapp.parallel.migrate import migrate, wrap
from mdapp.parallel.world import world
from mdapp.perf.memory import reset_peak, resident_bytes
from mdapp.perf.report import run_report
from mdapp.perf.timers import Timers, process_age
from mdapp.perf.warmup import Compiled, compiled_once_a_node, exercise
from mdapp.run_state import atoms_of, potential_identity, refuse_another_system, state_of
from mdapp.storage.state import State
from mdapp.storage.triggers import NOTHING, Decision
from mdapp.trajectory import Outputs
from mdapp.trouble import check_motion, closest_pair
from potentials.base import (
    ForceRangeError,
    KernelError,
    Potential,
    Result,
    Want,
    precisions_of,
)
from potentials.registry import PotentialError, make_potential


class Simulation:
    """A molecular-dynamics run on the ranks of a communicator; every method is collective.

    Parameters
    ----------
    deck : what to run
    comm : its ranks, default all
    out : folder for files that the run writes, default where it is started
    restart : a checkpoint, a folder of them, or "auto": the newest of this run's folder, if any
    walltime : "hh:mm:ss" after which the run stops with a checkpoint
    discard_newer : restart from an older checkpoint, and set newer ones aside
    allow_potential_change : restart also under another potential than the checkpoint's
    stoppable : heed SIGTERM, SIGUSR1 and the stop file even if nothing asks for checkpoints; they
        are then handled until `close`
    on_thermo : called on every rank with each new thermo row
    on_step : called on every rank after each step, with the step
    tell : called on rank 0 with what the user should know

    Attributes
    ----------
    atoms : the atoms of this rank
    box, grid, units, natoms, step : of the whole system
    thermo : rows measured so far; `thermo.last` is the latest
    timers, setup_s, compile_s, loop_s : where the time went
    compiled_in_loop : what a kernel had to compile while the clock was running
    ending : what ended the run before its last step; `ending.stop` is False if nothing did

    Raises
    ------
    InputError : the deck cannot be run; the same error on all ranks
    """

    def __init__(self, deck: Deck, comm: MPI.Intracomm | None = None, out: Path | str = ".",
                 on_thermo: Callable[[dict[str, float]], None] = lambda row: None,
                 on_step: Callable[[int], None] = lambda step: None,
                 tell: Callable[[str], None] = lambda line: None, restart: str | None = None,
                 walltime: str | None = None, discard_newer: bool = False,
                 allow_potential_change: bool = False, stoppable: bool = False):
        began = time.perf_counter()
        self.deck, self.comm = deck, comm or world()
        self.on_thermo, self.on_step = on_thermo, on_step
        self.units, self.step = UNITS[deck.units], 0
        self.timers = Timers()
        self.checkpoints = Checkpoints(self.comm, deck, Path(out), restart=restart, tell=tell,
                                       walltime=walltime, discard_newer=discard_newer,
                                       stoppable=stoppable)
        self.compile_s = 0.0
        self.restored: State | None = None
        self._allow_potential_change, self._potential_change = allow_potential_change, ""
        try:
            from_checkpoint = self.checkpoints.candidate()
            self.atoms = self._restored_atoms() if from_checkpoint else self._new_atoms()
        except BaseException as error:
            self.checkpoints.end(error)
            raise
        reach, exact = self._reach, self._exact
        self.halo = Halo(self.comm, self.grid, reach)
        self.clusters = ClusterList(reach, deck.run.threads, exact, self.potential.lists)
        self.trigger = RebuildTrigger(self.comm, deck.neighbors.skin, deck.neighbors.every,
                                      deck.neighbors.delay, deck.neighbors.check)
        self.integrator = VelocityVerlet(deck.run.timestep, self.units.ftm2v)
        self.thermo = Thermo(self.comm, self.units, self.natoms, deck.thermo.columns)
        self.outputs = Outputs(self.comm, deck.output, Path(out), self.species, self.atoms.mass,
                               charged=self.atoms.charged, units=deck.units,
                               last_step=deck.run.steps,
                               append_after=self.step if self.restored else None,
                               noted=self.restored.outputs if self.restored else (), tell=tell,
                               judge=self._answers if hasattr(self.kernel, "answers") else None)
        self.ending = NOTHING
        self.loop_s, self.steps_done = 0.0, 0
        self.compiled_in_loop = Compiled()
        self.result: Result | None = None
        self._trouble: ForceRangeError | RunError | None = None
        self.setup_s = time.perf_counter() - began - self.compile_s
        self.start_to_first_step_s = 0.0

    def _accept_system(self, box: Box, natoms: int, species: Sequence[str],
                       mass: NDArray[np.float64], charged: bool, remedy: str) -> None:
        """Take over the system that atoms will be read for, and compile what it needs.

        charged : whether the atoms will have charges; remedy : how they could be given some
        """
        deck = self.deck
        self.box, self.natoms, self.species = box, natoms, tuple(species)
        with agree(self.comm):
            self.potential = potential_of(deck, len(mass), self.species)
            if self.comm.size > 1 and "ranks" in self.potential.known:
                raise InputError(f"potential.style = {self.potential.style!r} on {self.comm.size} "
                                 f"ranks: {self.potential.known['ranks']}")
            refuse_missing_charges(self.potential, charged, remedy)
            if needs_charges(self.potential) and "evdwl" in deck.thermo.columns:
                raise InputError("thermo.columns: evdwl: the energy is not divided into that of "
                                 "charges and the rest; epair is the sum")
            self.potential_identity = potential_identity(deck, len(mass))
            self.grid = RankGrid.for_rank(self.comm.rank, self.comm.size, box, deck.run.grid)
            self.kernel = self.potential.compiled(deck.run.precision, deck.run.deterministic)
        self._reach = self.potential.cutoff + deck.neighbors.skin
        self._exact = deck.run.deterministic or not deck.neighbors.check    # neighbors/clusters.py
        try:
            self.compile_s += compiled_once_a_node(self.comm, lambda: exercise(
                self.kernel, mass, self.units, self._reach, deck.run.threads, self._exact,
                self.potential.lists, charged))
        except KernelError as error:           # of all ranks
            raise InputError(str(error)) from None
        give_box(self.kernel, box)
        reset_peak()
        self.bytes_fixed = resident_bytes()

    def _new_atoms(self) -> Atoms:
        """The part of this rank of the deck's system, at step 0."""
        source = shared_source(self.deck, self.comm)
        mass = np.asarray(source.mass, np.float64)
        charges = None
        with agree(self.comm):
            if self.deck.system.charges is not None:
                charges = charges_of_types(self.deck.system.charges, len(mass), "system.charges")
        self._accept_system(
            source.box, source.natoms, source.species, mass,
            source.charged or charges is not None,
            "give system.charges, one a type, or a file that has them: LAMMPS data of atom_style "
            "charge, extended XYZ with a column charge")
        atoms = owned_atoms(source, self.grid, self.comm, charges)
        set_velocities(self.deck, atoms, self.box, self.natoms, self.comm)
        return atoms

    def _restored_atoms(self) -> Atoms:
        """The part of this rank of a checkpoint, at its step."""
        def accept(header: State) -> None:
            self._potential_change = refuse_another_system(
                self.deck, header, self._allow_potential_change)
            self._accept_system(header.box, header.natoms, header.species,
                                np.asarray(header.mass, np.float64), CHARGE in header.fields,
                                "the checkpoint was written by a run without charges")

        self.restored = self.checkpoints.restored(accept, lambda x: self.grid.owners(x))
        if self._potential_change:
            self.checkpoints.tell(f"note: {self._potential_change}")
        self.step = self.restored.step
        return atoms_of(self.restored)

    @classmethod
    def from_deck(cls, deck: Deck | Path | str, overrides: Sequence[str] = (),
                  **options: Any) -> Simulation:
        """From a deck, or the path of one (TOML or LAMMPS script), with `key=value` overrides.

        Raises
        ------
        InputError : the deck cannot be read or run
        """
        from mdapp.cli.inputs import load_input

        return cls(deck if isinstance(deck, Deck) else load_input(Path(deck), overrides), **options)

    def run(self, steps: int | None = None) -> None:
        """Advance by `steps`, by default up to the deck's `run.steps`.

        Raises
        ------
        RunError : the run blew up; the same error on all ranks
        """
        try:
            self._loop(max(self.deck.run.steps - self.step, 0) if steps is None else steps)
        except BaseException as error:
            self.checkpoints.end(error)
            raise

    def _loop(self, steps: int) -> None:
        first, last = self.step, self.step + steps
        self._start()
        self.comm.Barrier()
        began, timers, compiled = time.perf_counter(), self.timers, Compiled.by(self.kernel)
        while self.step < last:
            self.step += 1
            with timers("integrate"):
                self.integrator.first_half(self.atoms)
            with timers("neighbor"):
                due = self.trigger.due(self.atoms)
            if due:
                self.rebuild()
            else:
                with timers("halo"):
                    self.halo.forward(self.atoms)
            shown = self._thermo_due(self.step, last)
            with timers("force"):
                self.compute_forces(Want.TOTALS if shown else Want.FORCES)
            with timers("integrate"):
                self.integrator.second_half(self.atoms)
            with timers("output"):
                if shown:
                    self._show(self.step - first)
                self.outputs.write(self.step, self.step * self.deck.run.timestep,
                                   self.box, self.atoms)
            self.on_step(self.step)
            decision = self.checkpoints.due(self.step)
            if decision is not NOTHING and self._obey(decision):
                break
        self._check_healthy()
        if self.checkpoints.want_last(self.step) and not self.ending.stop:
            self.checkpoint()
        self.comm.Barrier()
        self.loop_s += time.perf_counter() - began
        self.steps_done += self.step - first
        self.compiled_in_loop += Compiled.by(self.kernel) - compiled
        self._own_arrays()

    def _obey(self, decision: Decision) -> bool:
        """Write the checkpoint that is due, if one is; whether the run must stop."""
        written = not decision.checkpoint or self.checkpoint()
        self.ending = self.checkpoints.ending(decision, written)
        return decision.stop

    def checkpoint(self) -> bool:
        """Write a checkpoint of the present step; False if it failed, which the run survives."""
        began = time.perf_counter()
        if self.checkpoints.options.canonical:
            self.rebuild()
            with self.timers("force"):
                self.compute_forces(Want.TOTALS)
        canonical_s = time.perf_counter() - began
        with self.timers("checkpoint"):
            written = self.checkpoints.write(self.step, self._saved, canonical_s)
            self.atoms.lent = self.checkpoints.in_flight == self.step
            return written

    def _saved(self) -> State:
        """The state of the present step, and the files that go with it, synced."""
        return state_of(self, self._energies(), self.outputs.note())

    def _energies(self) -> dict[str, float]:
        """Potential and kinetic energy, exact sums; nothing where they have not been computed."""
        if self.result is None or self.result.virial is None:
            return {}
        mv2, pe, _ = self.thermo.sums(self.atoms, self.result)
        return {"pe": float(pe), "ke": 0.5 * float(mv2[:3].sum())}

    def close(self) -> None:
        """Close trajectory files and give up the folder of checkpoints."""
        self.outputs.close()
        self.checkpoints.end()

    def rebuild(self) -> None:
        """New owners, order, ghosts and lists for the present positions."""
        atoms, clusters = self.atoms, self.clusters
        with self.timers("checkpoint"):
            self._own_arrays()
        with self.timers("halo"):
            self._check_healthy()
            wrap(atoms, self.box)
            migrate(self.comm, self.grid, atoms)
            n = atoms.nlocal
            atoms.reorder(clusters.sort(atoms.x[:n], atoms.id[:n]))
            self.halo.borders(atoms)
        with self.timers("neighbor"):
            clusters.build(atoms.x[:atoms.ntotal], atoms.id[:atoms.ntotal], n)
            give_charges(self.kernel, atoms.all_charges, self.units)
            self.trigger.hold(atoms)

    def _own_arrays(self) -> None:
        """Own what a checkpoint in flight may still read: it is about to change."""
        self.atoms.take_back()
        self.checkpoints.keep(("id", "type", "image", CHARGE))

    def compute_forces(self, want: Want) -> Result:
        """Forces on the owned atoms at the present positions of atoms and ghosts."""
        atoms = self.atoms
        try:
            self.result = self.kernel.compute(
                atoms.x[:atoms.ntotal], atoms.type[:atoms.ntotal], atoms.nlocal,
                self.clusters, atoms.f, want, self.halo)
        except ForceRangeError as error:       # the other ranks learn of it at the next agreement
            self._trouble = self._trouble or error
            self.result = Result(np.nan, np.full(6, np.nan))
        except KernelError as error:
            self._trouble = self._trouble or RunError(error.told(atoms.id))
            self.result = Result(np.nan, np.full(6, np.nan))
        return self.result

    def _answers(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Forces and virials of all models of a committee; see potentials.committee."""
        atoms = self.atoms
        return self.kernel.answers(  # type: ignore[attr-defined,no-any-return]
            atoms.x[:atoms.ntotal], atoms.type[:atoms.ntotal], atoms.nlocal, self.clusters,
            self.halo)

    def _start(self) -> None:
        """Lists, forces and thermo row of the state at hand, unless it has them already."""
        if self.result is None:
            began, compiled = time.perf_counter(), Compiled.by(self.kernel)
            self.rebuild()
            self.compute_forces(Want.TOTALS)
            self.compile_s += (Compiled.by(self.kernel) - compiled).seconds
            self._compare_with_checkpoint()
            self.checkpoints.restarted(time.perf_counter() - began)
            self._show(0)
            self.outputs.write(self.step, self.step * self.deck.run.timestep, self.box, self.atoms)
            self.timers.reset()
            self.start_to_first_step_s = process_age()
        self.checkpoints.begin(self.step, self.atoms)

    def _compare_with_checkpoint(self) -> None:
        """Raise RunError if a restored state has other energies than the run that saved it had."""
        if self.restored is None:
            return
        tolerance = 1e-10 if self.deck.run.precision == "double" else 1e-5
        for name, now in self._energies().items():
            saved = self.restored.invariants.get(name)
            if name == "pe" and self._potential_change:
                continue
            if saved is not None and not abs(now - saved) <= tolerance * max(abs(saved), 1.0):
                raise RunError(f"restart at step {self.step}: {name} is {now:.15g}, but it was "
                               f"{saved:.15g} when the checkpoint was written; the potential, its "
                               "parameters or run.precision must have changed")

    def _thermo_due(self, step: int, last: int) -> bool:
        every = self.deck.thermo.every
        return step == last or (every > 0 and step % every == 0)

    def _show(self, elapsed: int) -> None:
        dt = self.deck.run.timestep
        counters = {"step": self.step, "elapsed": elapsed, "time": self.step * dt, "dt": dt,
                    "cpu": sum(self.timers.seconds.values()),
                    "nbuild": self.trigger.builds, "ndanger": self.trigger.dangerous}
        assert self.result is not None
        row = self.thermo.measure(self.atoms, self.box, self.result, counters)
        if not np.isfinite([row["pe"], row["ke"]]).all():
            self._check_healthy()
            self._explain_overlap()
        self.on_thermo(row)

    def _check_healthy(self) -> None:
        """Raise on all ranks if an atom of any rank has run away, or forces left their range."""
        error: Exception | None = None
        if self._trouble is not None:
            error = RunError(f"step {self.step}: {self._trouble}{self._advice()}")
        try:
            check_motion(self.atoms, self.deck.run.timestep, self.halo.reach, self.step,
                         self.comm.rank)
        except RunError as runaway:
            error = error or runaway
        settle(self.comm, error)

    def _advice(self) -> str:
        if not isinstance(self._trouble, ForceRangeError):
            return ""
        return ("; two atoms nearly touch: check the start, shorten run.timestep, or set "
                "run.deterministic = false")

    def _explain_overlap(self) -> None:
        """The energy is not a number though all positions are: name the atoms that overlap."""
        distance, ids = closest_pair(self.atoms, self.clusters)
        nearest, where = self.comm.allreduce((distance, self.comm.rank), MPI.MINLOC)
        ids = self.comm.bcast(ids, where)
        raise RunError(f"step {self.step}: the energy is not a finite number; atoms {ids[0]} and "
                       f"{ids[1]} are {nearest:.3g} apart: remove one of them, or move them apart")

    @property
    def state_hash(self) -> str:
        """Hash of the state, 32 hexadecimal digits, for any order; see mdapp.model.state_hash."""
        return state_hash(self.atoms, self.comm)

    def profile(self) -> dict[str, Any]:
        """Operations of a step and how fast they are done; collective, see mdapp.perf.profile."""
        from mdapp.perf.profile import profile

        return profile(self)

    def report(self) -> dict[str, Any]:
        """What `mdapp run --json` holds; collective."""
        return run_report(self)


def potential_of(deck: Deck, ntypes: int, species: Sequence[str] = ()) -> Potential:
    """The potential of a deck, checked against the precision it is to run in.

    Raises
    ------
    InputError : names the key
    """
    keys = deck.potential_table()
    try:
        potential = make_potential(keys.pop("style"), keys, ntypes, species)
    except PotentialError as error:
        raise InputError(str(error)) from None
    units = getattr(potential, "units", None)
    if units not in (None, deck.units):
        raise InputError(f"units = {deck.units!r}: the numbers of {potential.style} are in {units} "
                         "units")
    if deck.run.deterministic and "deterministic" in potential.known:
        raise InputError(f"run.deterministic = true: {potential.style}: "
                         f"{potential.known['deterministic']}")
    if deck.run.precision not in potential.precisions:
        raise InputError(f"run.precision = {deck.run.precision!r}: "
                         f"{precisions_of(potential, deck.run.precision)}")
    return potential
