"""Frames from a file to a model, in batches of one shape, read ahead by a thread.

XLA compiles for fixed shapes: so a batch has the rows of its largest possible set of frames, and as
many columns as the atom with most neighbours, and what is not used is masked. While the model works
on one batch, the next ones are read. How much was read in which time is counted, and how long the
model had to wait: a fit is a load on the storage whose size is known.

The order of frames is a permutation for each epoch that depends on the seed and the number of the
epoch alone, so that a fit goes on where it was left.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mdapp.fit.training_set import TrainingSet

AHEAD = 4                # batches
LANES = 8                # columns are a multiple of it


class Batch(NamedTuple):
    """Frames for a model; b frames in n rows of atoms with m columns of neighbours.

    Attributes
    ----------
    r : (n, m, 3) real, to the neighbours; far away where there is none
    type_i, type_j : (n,) and (n, m) int32
    mask : (n, m) bool, which neighbours there are
    back : (n, m) int32, place among n m of the vector that points back
    frame : (n,) int32, of each atom; b where there is none
    forces : (n, 3) real
    energy : (b,) real, less what atoms have at rest
    natoms : (b,) real, 0 where there is no frame
    virial : (b, 6) real, and 0 where there is none
    has_virial : (b,) bool
    """

    r: Any
    type_i: Any
    type_j: Any
    mask: Any
    back: Any
    frame: Any
    forces: Any
    energy: Any
    natoms: Any
    virial: Any
    has_virial: Any


class Batcher:
    """Makes batches of a training set.

    Parameters
    ----------
    size : frames of a batch
    baseline : (T,) energy of an atom of each type at rest, taken off
    real : float32 or float64
    """

    def __init__(self, data: TrainingSet, size: int, baseline: NDArray[np.float64], real: type):
        self.data, self.size, self.real = data, size, real
        self.rows = int(np.sort(data.natoms)[-size:].sum())
        self.columns = max(LANES, -(-data.most // LANES) * LANES)
        self.energy = data.energy - data.counts @ baseline
        self.read_bytes, self.read_s = 0, 0.0

    def batch(self, frames: Sequence[int] | NDArray[np.int64]) -> Batch:
        """Read at most `size` frames."""
        n, m, b, real = self.rows, self.columns, self.size, self.real
        far = 2 * self.data.cutoff
        out = Batch(np.full((n * m, 3), far, real), np.zeros(n, np.int32),
                    np.zeros(n * m, np.int32), np.zeros(n * m, np.bool_),
                    np.arange(n * m, dtype=np.int32), np.full(n, b, np.int32),
                    np.zeros((n, 3), real), np.zeros(b, real), np.zeros(b, real),
                    np.zeros((b, 6), real), np.zeros(b, np.bool_))
        at = 0
        for k, number in enumerate(frames):
            began = time.perf_counter()
            frame = self.data.frame(int(number))
            self.read_s += time.perf_counter() - began
            self.read_bytes += frame.nbytes
            rows = slice(at, at + len(frame.type))
            counts = np.diff(frame.start)
            place = (np.arange(len(frame.r)) - np.repeat(frame.start[:-1], counts)
                     + np.repeat(np.arange(at, at + len(counts)) * m, counts))
            out.r[place], out.type_j[place], out.mask[place] = frame.r, frame.type[frame.j], True
            out.back[place] = place[frame.back]
            out.type_i[rows], out.frame[rows], out.forces[rows] = frame.type, k, frame.forces
            out.energy[k], out.natoms[k] = self.energy[number], len(frame.type)
            if np.isfinite(frame.virial).all():
                out.virial[k], out.has_virial[k] = frame.virial, True
            at = rows.stop
        return out._replace(r=out.r.reshape(n, m, 3), **{
            name: getattr(out, name).reshape(n, m) for name in ("type_j", "mask", "back")})

    def over(self, frames: Sequence[int] | NDArray[np.int64]) -> Iterator[Batch]:
        """All of some frames, in their order."""
        for k in range(0, len(frames), self.size):
            yield self.batch(frames[k:k + self.size])


def of_step(frames: NDArray[np.int64], size: int, seed: int, step: int) -> NDArray[np.int64]:
    """The frames of a step, from 0: every epoch takes all of them once, in an order of its own."""
    per_epoch = len(frames) // size
    epoch, k = divmod(step, per_epoch)
    order = np.random.default_rng([seed, epoch]).permutation(frames)
    return order[k * size:(k + 1) * size]


class Stream:
    """Batches of the steps first, first + 1, .. up to last - 1, read ahead in a thread.

    Attributes
    ----------
    waited_s : that `next` has waited for the file
    """

    def __init__(self, batcher: Batcher, frames: NDArray[np.int64], seed: int, first: int,
                 last: int):
        self._batcher, self.waited_s = batcher, 0.0
        self._steps = (of_step(frames, batcher.size, seed, step) for step in range(first, last))
        self._queue: queue.Queue[Batch | Exception] = queue.Queue(AHEAD)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def next(self) -> Batch:
        """The batch of the next step.

        Raises
        ------
        InputError : the file is damaged
        """
        began = time.perf_counter()
        found = self._queue.get()
        self.waited_s += time.perf_counter() - began
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        while self._thread.is_alive():
            with self._queue.mutex:
                self._queue.queue.clear()
                self._queue.not_full.notify_all()
            self._thread.join(0.05)

    def _work(self) -> None:
        try:
            for frames in self._steps:
                if self._stop.is_set():
                    return
                self._queue.put(self._batcher.batch(frames))
        except Exception as error:
            self._queue.put(error)
