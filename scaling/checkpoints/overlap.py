"""How much of a checkpoint a run does not notice when it is written beside it.

A real run, with one core left to the writers where there is one to leave: A without checkpoints, B
with two that it waits for, C with two that are written beside it. Of what waiting costs,
T_B - T_A, the share that C saves is eta (`mdapp.perf.overlap`). Checkpoints come at the same steps
of each window, and no lists are built; so T is the sum over the steps of a window of the median of
that step's time over the rounds, which other programs of the machine disturb less than the time of
a whole window.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable

import numpy as np
from mpi4py import MPI

from mdapp.deck import build_deck
from mdapp.perf.memory import peak_bytes, reset_peak, resident_bytes
from mdapp.perf.overlap import efficiency
from mdapp.run_state import state_of
from mdapp.simulation import Simulation
from mdapp.storage.background import Background
from mdapp.storage.metrics import Outcome
from scaling.checkpoints.bench import Bench, Samples
from scaling.checkpoints.plain import drop, open_store

EVERY = 5                   # steps from one checkpoint to the next
TIMESTEP = 1e-6             # so short that the lists of the first step are good for all
STEPS = 2 * EVERY           # of a window
ROUNDS = 2                  # for each of the other sections: differences of near numbers
Act = Callable[[int], None]


def measure_overlap(bench: Bench, natoms: int) -> None:
    """Add what the ranks that take part have measured."""
    comm = bench.comm
    cores = len(os.sched_getaffinity(0))
    ranks = max(min(comm.size, cores - 1), 1)
    part = MPI.Intracomm(comm.Create(comm.group.Incl(list(range(ranks)))))
    bench.facts["overlap"] = {"ranks": ranks, "cores": cores, "core_left_free": cores > ranks}
    if comm.rank < ranks:
        inner = Bench(part, bench.folder, natoms, ROUNDS * bench.rounds, random.Random(2),
                      facts=bench.facts)
        Windows(inner).measure()
        bench.samples |= inner.samples
    quiet_wait(comm)
    bench.samples = comm.bcast(bench.samples, 0)
    bench.facts = comm.bcast(bench.facts, 0)


def quiet_wait(comm: MPI.Intracomm) -> None:
    """A barrier that leaves the core to others."""
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(0.05)


class Windows:
    """A simulation, and the three ways to go through a window of it."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.comm = bench, bench.comm
        self.act: Act = lambda step: None
        self.marks: list[float] = []
        cells = max(round((bench.natoms / 4) ** (1 / 3)), 3)
        deck = build_deck({
            "units": "lj",
            "system": {"lattice": "fcc", "density": 0.8442, "cells": [cells] * 3,
                       "temperature": 1.44, "seed": 1},
            "potential": {"style": "lj/cut", "epsilon": 1.0, "sigma": 1.0, "rc": 2.5},
            "run": {"steps": 1, "timestep": TIMESTEP, "precision": "mixed"}, "thermo": {"every": 0},
        })  # fmt: skip
        self.sim = Simulation(deck, bench.comm, bench.folder, on_step=self.step_done)
        self.waiting = open_store(bench, "waiting")
        self.beside = open_store(bench, "beside", mode="async")
        assert self.beside.background is not None
        self.background: Background = self.beside.background
        self.done: list[Outcome] = []
        self.agreed = False, False

    def measure(self) -> None:
        """Windows in rounds; then the medians of their steps."""
        bench, sim = self.bench, self.sim
        sim.run(STEPS)
        live = 72 * self.comm.allreduce(sim.atoms.nlocal, MPI.MAX)
        before = resident_bytes()
        without = self.peak(self.window_a) - before
        sim.atoms.prepare_to_lend()
        with_one = self.peak(self.window_c) - before
        grown = int(self.comm.allreduce(max(with_one - without, 0), MPI.MAX))
        bench.facts["memory"] |= {"async_bytes": grown, "async_live_bytes": live}
        bench.facts["overlap"] |= {"atoms": sim.natoms, "steps": STEPS, "checkpoints": 2}
        bench.samples.clear()
        bench.each_round({"A": self.window_a, "B": self.window_b, "C": self.window_c})
        self.waiting.close()
        self.beside.close()
        sim.close()

    def peak(self, window: Callable[[], None]) -> int:
        """Largest resident memory of this process during a window."""
        reset_peak()
        window()
        return peak_bytes()

    def step_done(self, step: int) -> None:
        """Called by the simulation: what is done here counts to this step."""
        self.act(step)
        self.marks.append(time.perf_counter())

    def window(self, name: str, act: Act) -> None:
        """Run a window, and note the time of each step and of the whole."""
        self.act, self.marks, self.done = act, [], []
        self.comm.Barrier()
        began = time.perf_counter()
        self.sim.run(STEPS)
        if self.background.step is not None:
            self.done.append(self.background.finish())
        self.marks[-1] = time.perf_counter()
        for k, spent in enumerate(np.diff([began, *self.marks])):
            self.bench.note(f"step {name} {k}", float(spent))
        self.bench.note(f"steps {name}", self.marks[-1] - began)
        for outcome in self.done:
            self.bench.note(f"stall {name}", outcome.metrics["stall_s"])
            self.bench.note(f"flight {name}", outcome.metrics["total_s"])
            drop(self.comm, outcome)

    def is_due(self, step: int) -> bool:
        """Whether a checkpoint falls due after this step."""
        return step % EVERY == 1

    def window_a(self) -> None:
        """No checkpoints."""
        self.window("A", lambda step: None)

    def window_b(self) -> None:
        """The run waits."""
        def act(step: int) -> None:
            if self.is_due(step):
                self.done.append(self.waiting.write(state_of(self.sim, {})))

        self.window("B", act)

    def window_c(self) -> None:
        """The run goes on, and polls at each step."""
        def act(step: int) -> None:
            if self.is_due(step):
                if self.background.step is not None:
                    self.done.append(self.background.finish())
                self.background.begin(state_of(self.sim, {}))
                self.sim.atoms.lent = True
            else:
                done = self.background.poll(*self.agreed)
                self.done += [] if done is None else [done]
            both = self.comm.allreduce(np.array(self.background.status(), np.int64))
            self.agreed = bool(both[0]), bool(both[1])

        self.window("C", act)


def window_seconds(samples: Samples, name: str) -> float:
    """Time of a window: the sum over its steps of their medians over the rounds."""
    return float(sum(np.median(samples[f"step {name} {k}"]) for k in range(STEPS)))


def window_noise(samples: Samples, name: str) -> float:
    """Standard error of `window_seconds`, from the absolute deviations of each step."""
    total = 0.0
    for k in range(STEPS):
        times = np.array(samples[f"step {name} {k}"])
        spread = 1.4826 * np.median(np.abs(times - np.median(times)))
        total += 1.57 * spread**2 / len(times)      # of a median, for a normal distribution
    return float(np.sqrt(total))


def eta(samples: Samples) -> tuple[float, float] | None:
    """Overlap efficiency and its standard error; None where waiting costs no more than noise."""
    a, b, c = (window_seconds(samples, k) for k in "ABC")
    da, db, dc = (window_noise(samples, k) for k in "ABC")
    value = efficiency(a, b, c, float(np.hypot(da, db)))
    if value is None:
        return None
    error = np.hypot(np.hypot(dc, da), (1.0 - value) * np.hypot(db, da)) / (b - a)
    return value, float(error)
