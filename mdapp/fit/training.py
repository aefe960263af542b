"""The loop of a fit.

    read ahead -> update by a batch -> now and then: errors on held-out frames, a row of the history
                                    -> now and then, and at the end: a checkpoint

Weights lie in one vector of doubles, whatever the precision of the model: a step may be much
smaller than a weight.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from numpy.typing import NDArray

from mdapp.errors import InputError, RunError
from mdapp.fit.adam import Adam
from mdapp.fit.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from mdapp.fit.deep_potential import new_deep_potential
from mdapp.fit.kalman import Kalman
from mdapp.fit.learner import Learner, baseline_of
from mdapp.fit.loss import Errors, Sums, errors_of, sums_of
from mdapp.fit.nep import new_nep
from mdapp.fit.settings import DeepPotentialShape, NEPShape, Training
from mdapp.fit.stream import Batch, Batcher, Stream
from mdapp.fit.training_set import TrainingSet

REAL: dict[str, type] = {"single": np.float32, "double": np.float64}
ROWS = 100                    # of the history
LOOKED_AT = 32                # frames whose errors make a row, of those held out
CHECKPOINT_S = 60.0


class Fit:
    """A model on its way.

    Parameters
    ----------
    data : what it is fitted to
    shape, training : see mdapp.fit.settings
    folder : of checkpoints
    resume : go on from the folder's checkpoint

    Attributes
    ----------
    step : steps that are done
    history : rows of the loss curve, see `_row`
    elapsed_s : of all steps, those before a restart included
    compile_s : of the first step, which compiles
    """

    def __init__(self, data: TrainingSet, shape: NEPShape | DeepPotentialShape,
                 training: Training, folder: Path, resume: bool = False):
        self.data, self.training, self.folder = data, training, folder
        self.settings = {"data": data.digest, **asdict(shape), **asdict(training)}
        saved = read_checkpoint(folder, self.settings) if resume else None
        frames = data.fitted()
        if training.batch > len(frames):
            raise InputError(f"--set batch={training.batch}: only {len(frames)} frames are fitted")
        self.baseline = baseline_of(data) if saved is None else saved.arrays["baseline"]
        self.batcher = Batcher(data, training.batch, self.baseline, REAL[training.precision])
        self.learner = new_learner(shape, self.batcher, training.seed)
        w, self._tree = ravel_pytree(self.learner.weights)
        self._optimizer = self._new_optimizer()
        self._measure = jax.jit(lambda w, batch: sums_of(self._errors(w, batch), batch))
        self.step, self.elapsed_s, self.compile_s, self.waited_s = 0, 0.0, 0.0, 0.0
        self.history: list[dict[str, float]] = []
        self.w: Any = np.asarray(w, np.float64)
        self.state: dict[str, Any] = self._optimizer.start(len(w))
        if saved is not None:
            self._restore(saved)

    def _new_optimizer(self) -> Adam | Kalman:
        if self.training.optimizer == "adam":
            return Adam(self._errors, self.training)
        leaves = jax.tree_util.tree_leaves(self.learner.weights)
        return Kalman(self._errors, self.training, [leaf.size for leaf in leaves])

    def _errors(self, w: Any, batch: Batch) -> Errors:
        """The model with weights w against a batch."""
        params = {**self._tree(w), **self.learner.fixed}
        params = jax.tree_util.tree_map(lambda a: jnp.asarray(a, self.batcher.real), params)
        return errors_of(self.learner.energy, params, batch, max(self.training.virial_weight) > 0)

    def run(self, tell: Callable[[dict[str, float]], None], on_step: Callable[[int], None],
            stop: Callable[[], bool]) -> bool:
        """Go on to the last step; False if `stop` said so before.

        Raises
        ------
        RunError : weights are not finite any more
        """
        last, frames = self.training.steps, self.data.fitted()
        every = max(1, last // ROWS)
        stream = Stream(self.batcher, frames, self.training.seed, self.step, last)
        began, saved = time.perf_counter() - self.elapsed_s, time.monotonic()
        total, first = None, self.step
        try:
            while self.step < last and not stop():
                batch = stream.next()
                self.w, self.state, sums = self._optimizer.update(
                    self.w, self.state, batch, self.step)
                if self.step == first:
                    jax.block_until_ready(self.w)
                    self.compile_s = time.perf_counter() - began - self.elapsed_s
                self.step += 1
                total = sums if total is None else jax.tree_util.tree_map(jnp.add, total, sums)
                on_step(self.step)
                self.elapsed_s = time.perf_counter() - began
                if self.step % every == 0 or self.step == last:
                    self.history.append(self._row(total))
                    total = None
                    tell(self.history[-1])
                if time.monotonic() - saved > CHECKPOINT_S:
                    self.save()
                    saved = time.monotonic()
        finally:
            stream.close()
            self.waited_s += stream.waited_s
        self.save()
        return self.step == last

    def _row(self, total: Sums) -> dict[str, float]:
        """Errors since the row before, and those on frames held out.

        Raises
        ------
        RunError : there are none: the weights are not finite
        """
        row = {"step": float(self.step), "elapsed_s": self.elapsed_s, **rms(total, "train_")}
        held = np.flatnonzero(self.data.held_out)
        if len(held):
            row |= self.errors_on(held[::max(1, len(held) // LOOKED_AT)], "held_")
        if not all(math.isfinite(v) for k, v in row.items() if "energy" in k or "force" in k):
            raise RunError(f"step {self.step}: the loss is not finite any more; take a smaller "
                           "--set rate, or --set precision=double")
        return row

    def errors_on(self, frames: Sequence[int] | NDArray[np.int64], prefix: str = ""
                  ) -> dict[str, float]:
        """Root mean squares of the errors on some frames: see `rms`."""
        total = np.zeros(len(Sums._fields))
        for batch in self.batcher.over(frames):
            total += np.array([float(part) for part in self._measure(self.w, batch)])
        return rms(Sums(*total), prefix)

    def write(self, path: Path) -> None:
        """Write the model to a file of its style."""
        self.learner.write(path, jax.tree_util.tree_map(np.asarray, self._tree(self.w)),
                           self.baseline)

    def save(self) -> None:
        """Write a checkpoint."""
        arrays = {"w": self.w, "baseline": self.baseline,
                  **{f"state/{k}": v for k, v in self.state.items()},
                  **{f"fixed/{k}": v for k, v in self.learner.fixed.items()}}
        write_checkpoint(self.folder, Checkpoint(
            self.step, self.elapsed_s, self.settings, self.history,
            {name: np.asarray(value) for name, value in arrays.items()}))

    def _restore(self, saved: Checkpoint) -> None:
        self.step, self.elapsed_s, self.history = saved.step, saved.elapsed_s, list(saved.history)
        self.w = saved.arrays["w"]
        self.state = {name: saved.arrays[f"state/{name}"] for name in self.state}
        for name, value in self.learner.fixed.items():
            if not np.array_equal(value, saved.arrays[f"fixed/{name}"]):
                raise InputError(f"{self.folder}: {name} of the data is not what it was; start "
                                 "again with another --out")


def new_learner(shape: NEPShape | DeepPotentialShape, batcher: Batcher, seed: int) -> Learner:
    """A model before it is fitted."""
    if isinstance(shape, NEPShape):
        return new_nep(shape, batcher, seed)
    return new_deep_potential(shape, batcher, seed)


def rms(sums: Sums, prefix: str = "") -> dict[str, float]:
    """Root mean squares: energy and virial in eV per atom, force component in eV / A."""
    pairs: Mapping[str, tuple[Any, Any]] = {
        "energy": (sums.energy, sums.frames), "force": (sums.force, sums.components),
        "virial": (sums.virial, sums.virials)}
    return {prefix + name: math.sqrt(float(square) / float(count)) for name, (square, count)
            in pairs.items() if float(count) > 0}
