"""A Deep Potential compiled: arrays for the passes, memory of each chunk, the sums over ranks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potentials.base import Exchange, ForceRangeError, KernelError, PairList, Result, Rows, Want
from potentials.deep_potential.dense import Dense, dense, whole_rows
from potentials.deep_potential.descriptor import folded
from potentials.deep_potential.environment import FIELDS
from potentials.deep_potential.mode import LANES, Form, Mode
from potentials.deep_potential.model import Layer, Model, Network
from potentials.deep_potential.passes import (
    BLOCK,
    Embedding,
    Environment,
    Fitting,
    Scratch,
    batch_pass,
)
from potentials.deep_potential.table import Table
from potentials.memory import aligned, aligned_copy

GRID_BITS = 38            # deterministic forces and virials are multiples of 2^-38 of their units,
RANGE_BITS = 51           # each contribution below 2^51 multiples
BATCH, BATCH_EVALUATED = 128, 64


class DeepPotentialKernel:
    """A model compiled for one precision; see potentials.base.Kernel.

    Parameters
    ----------
    model : as its file has it
    kinds : which of its types each type of the atoms is
    table : of its embedding; None: its networks are evaluated
    precision : double, mixed or bf16; in the last two table and networks are in single precision
    deterministic : whether sums are independent of their order

    Attributes
    ----------
    beyond : neighbours of the last evaluation on this rank that were nearer than the table's end
    """

    def __init__(self, model: Model, kinds: Sequence[int], table: Table | None, precision: str,
                 deterministic: bool):
        self.model, self.table, self.kinds = model, table, np.array(kinds, np.int32)
        self.deterministic = deterministic
        self.real = np.float64 if precision == "double" else np.float32
        self.form = Form(precision != "double", model.radial, table is not None,
                         precision == "bf16")
        self.env = _environment(model)
        self.embedding = _embedding(model, table, self.real, self.form.outputs)
        self.fitting = _fitting(model, self.real, self.form.half)
        self.sum_type = np.int64 if deterministic else np.float64
        self.batch = BATCH if table is not None else BATCH_EVALUATED
        self.beyond = 0
        self._scratch: list[Scratch | None] = []

    def compute(self, x: NDArray[np.float64], type_: NDArray[np.int32], nlocal: int,
                pairs: PairList, f: NDArray[np.float64], want: Want, exchange: Exchange
                ) -> Result:
        """Forces to f[:nlocal], and what `want` asks for; see potentials.base.Kernel.compute.

        Raises
        ------
        KernelError : an atom has more neighbours of a type than the model has slots
        ForceRangeError : in deterministic mode, a force beyond the range of the integer sums
        """
        if self.deterministic and want is Want.TOTALS:
            want = Want.PER_ATOM          # the engine makes exact totals of the atoms' shares
        mode, kind = Mode(want.value, self.deterministic), self.kinds[type_]
        per_atom = want is Want.PER_ATOM
        per_unit = 2.0**GRID_BITS if self.deterministic else 1.0
        energies = np.zeros(nlocal)
        size = len(x) if per_atom else 1
        self._scratch += [None] * (len(pairs.rows) - len(self._scratch))

        def work(k: int) -> tuple[float, NDArray[np.int64], NDArray[Any], NDArray[Any]]:
            rows = pairs.rows[k]
            scratch = self._memory(k, rows)
            forces = np.zeros((len(x), 3), self.sum_type)
            virials = np.zeros((size, 6), self.sum_type)
            trouble = np.array([-1, 0, 0, 0])
            found = self.embedding.values, self.embedding.values
            if self.table is None:
                found = scratch.values, scratch.by_input
            largest = 0.0
            for of_kind, atoms, slots in self._batches(kind, pairs.slot_atom, rows):
                largest = max(largest, batch_pass(
                    mode, self.form, self.env, self.embedding, self.fitting, of_kind, atoms, slots,
                    x, kind, rows.start, rows.neighbors, *found, per_unit, scratch, forces,
                    energies, virials, trouble))
            return largest, trouble, forces, virials

        done = list(pairs.each(work, range(len(pairs.rows))))
        forces = _sum([d[2] for d in done], (len(x), 3), self.sum_type)
        exchange.from_ghosts(forces)
        virials = _sum([d[3] for d in done], (size, 6), self.sum_type)
        if per_atom:
            exchange.from_ghosts(virials)
        self._check([d[:2] for d in done], per_unit)
        np.divide(forces[:nlocal], per_unit, out=f[:nlocal])
        if want is Want.FORCES:
            return Result()
        if not per_atom:
            return Result(float(energies.sum()), virials[0])
        virials = virials[:nlocal] / per_unit
        return Result(float(energies.sum()), virials.sum(axis=0), energies, virials)

    def _batches(self, kind: NDArray[np.int32], slot_atom: NDArray[np.int32], rows: Rows
                 ) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
        """Type, atoms and their rows of each batch of a chunk."""
        atoms = slot_atom[rows.first:rows.last].astype(np.int64)
        present = np.flatnonzero(atoms >= 0)
        kinds = kind[atoms[present]]
        for t in range(len(self.model.elements)):
            slots = present[kinds == t]
            for k in range(0, len(slots), self.batch):
                batch = slots[k:k + self.batch]
                yield t, atoms[batch], batch

    def _check(self, done: list[tuple[float, NDArray[np.int64]]], per_unit: float) -> None:
        """Raise what the chunks found; only now, when all ranks have exchanged what they must."""
        self.beyond = sum(int(trouble[3]) for _, trouble in done)
        for _, (atom, kind, count, _) in done:
            if atom >= 0:
                raise KernelError(
                    f"has {count} neighbors of type {self.model.elements[kind]}, and the model has "
                    f"{self.model.sel[kind]} slots for them (sel = {list(self.model.sel)}): it "
                    "was not trained for such a density", int(atom))
        if self.deterministic and any(not largest * per_unit < 2.0**RANGE_BITS
                                      for largest, _ in done):
            raise ForceRangeError(f"a force exceeds {2.0**RANGE_BITS / per_unit:g}, "
                                  "the range of deterministic sums")

    def _memory(self, k: int, rows: Rows) -> Scratch:
        """Scratch of a chunk with room for the longest of its rows."""
        longest = int(np.diff(rows.start).max(initial=0)) + LANES + 1
        scratch = self._scratch[k]
        if scratch is None or scratch.near.shape[1] < longest:
            scratch = self._scratch[k] = self._scratch_for(longest + longest // 8)
        return scratch

    def _scratch_for(self, room: int) -> Scratch:
        batch, real, lanes = self.batch, self.real, self.form.panel
        ntypes, outputs = len(self.model.elements), self.model.outputs
        wide = self.embedding.blocks * self.form.outputs
        room, panels = -(-room // LANES) * LANES, -(-batch // lanes)
        first, *others = self.fitting.nets.shape
        rows = [whole_rows(after) for _, after in (first, *others)]
        pairs, widest = 0, panels * max(rows) * lanes
        if self.table is None:
            pairs = batch * room + BLOCK * (ntypes + 1)
            widest = max(widest, 2 * BLOCK * max(whole_rows(after) for _, after in
                                                 self.embedding.nets.shape))
        inputs = panels * whole_rows(first[0]) * lanes
        words = max(widest, inputs) // 2 if self.form.half else 0
        return Scratch(
            np.zeros(batch, np.int64), np.zeros(ntypes, np.int64),
            aligned((batch, room), np.int32), aligned((batch, room), np.int64),
            aligned((batch, FIELDS, room), np.float64), aligned((batch, room), real),
            aligned((room,), np.int32), aligned((batch, 4, room), real),
            aligned((batch, 4, wide), np.float64), aligned((panels, 4 * outputs * lanes), real),
            aligned((4 * outputs * lanes,), real), aligned((inputs,), real),
            aligned((panels * sum(rows) * lanes,), real), aligned((3, widest), real),
            aligned((words,), np.int32), aligned((panels * lanes,), np.float64),
            aligned((4, wide), real), aligned((4, room), np.float64), aligned((pairs,), real),
            aligned((pairs * wide,), real), aligned((pairs * wide,), real))


def _environment(model: Model) -> Environment:
    mean, per_scale = np.zeros((len(model.mean), 4)), np.ones((len(model.mean), 4))
    columns = model.mean.shape[1]
    mean[:, :columns], per_scale[:, :columns] = model.mean, 1 / model.scale
    return Environment(model.cutoff, model.smooth, model.protection, mean, per_scale)


def _embedding(model: Model, table: Table | None, real: type, width: int) -> Embedding:
    n = range(len(model.elements))
    network = np.array([[model.embedding(i, j) for j in n] for i in n], np.int64)
    nets, blocks = dense(model.embeddings, real), -(-model.outputs // width)
    if table is None:
        return Embedding(network, blocks, 0.0, 1.0, 0, np.zeros(0, real), nets)
    return Embedding(network, blocks, table.lower, 1 / table.stride, table.intervals,
                     aligned_copy(table.blocks(width).ravel(), real), nets)


def _fitting(model: Model, real: type, half: bool) -> Fitting:
    n = len(model.elements)
    empty = np.zeros((n, n, 4, model.outputs))
    for i in range(n):
        for j in range(n):
            slot = model.empty_slot(i, j)
            empty[i, j, :slot.shape[1]] = slot.T
    last = [net.layers[-1] for net in model.fittings]
    constant = model.bias + np.array([layer.bias[0] for layer in last])
    return Fitting(model.outputs, model.axis, np.array(model.sel, np.int64), empty,
                   _hidden(model, real, half), np.array([a.weight[:, 0] for a in last], real),
                   constant)


def _hidden(model: Model, real: type, half: bool) -> Dense:
    """All layers but the last, the first for descriptors as the passes make them."""
    networks = []
    for net in model.fittings:
        first, *others = net.layers[:-1]
        weight = folded(model, first.weight)
        networks.append(Network((Layer(weight, first.bias, first.step, first.tanh, first.resnet),
                                 *others)))
    return dense(networks, real, half)


def _sum(shares: list[NDArray[Any]], shape: tuple[int, int], kind: type) -> NDArray[Any]:
    """The sum of the chunks' shares."""
    if len(shares) == 1:
        return shares[0]
    total: NDArray[Any] = np.zeros(shape, kind)
    for share in shares:
        total += share
    return total
