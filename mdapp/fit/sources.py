"""From what the command line names to a training set: an HDF5 file as it is, or one made of text.

Text is read once. The file that is made of it stays in the folder of the fit, and is taken again if
it was made of the same bytes for the same cutoff. Of each ten frames in a row one is held out,
which one is drawn: so neighbours in time are on both sides, and so is every part of the file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mdapp.errors import InputError
from mdapp.fit.frames import LabelledFrame, read_frames
from mdapp.fit.training_set import Maker, TrainingSet
from mdapp.structures.text import open_binary

HDF5_ENDINGS = (".h5", ".hdf5")
NAME = "training.h5"


def open_data(folder: Path, path: Path, test: Path | None, held_out: float | None,
              species: Sequence[str], cutoff: float, seed: int) -> TrainingSet:
    """The training set of a fit.

    Parameters
    ----------
    folder : where it is made
    path : extended XYZ, or a training set
    test : frames that are held out, extended XYZ
    held_out : share of the frames of `path` that is; by default a tenth if there is no `test`
    species : of the types; by default in the order of appearance
    cutoff : of the model
    seed : of what is held out

    Raises
    ------
    InputError : what cannot be used
    """
    if path.suffix in HDF5_ENDINGS:
        if test is not None or held_out is not None or species:
            raise InputError(f"{path}: a training set says itself what is held out and which "
                             "species it has; leave out --test, --held-out and --species")
        data = TrainingSet(path)
        if data.cutoff != cutoff:
            raise InputError(f"{path}: has neighbours within {data.cutoff:g}, the model wants "
                             f"{cutoff:g}: give --set cutoff={data.cutoff:g}, or the extended XYZ "
                             "file")
    else:
        share = held_out if held_out is not None else 0.0 if test is not None else 0.1
        data = made_of(folder / NAME, path, test, share, species, cutoff, seed)
    refuse_what_cannot_be_fitted(data)
    return data


def made_of(target: Path, path: Path, test: Path | None, share: float, species: Sequence[str],
            cutoff: float, seed: int) -> TrainingSet:
    """A training set made of text, or the one that was."""
    if not 0 <= share <= 0.5:
        raise InputError(f"--held-out {share:g}: must be from 0 to 0.5")
    key = json.dumps([digest(path), None if test is None else digest(test), share, list(species),
                      cutoff, seed])
    if target.exists():
        try:
            there = TrainingSet(target)
            if there.made_of == key:
                return there
            there.close()
        except InputError:
            pass                              # an old or damaged one is made again
    maker = Maker(target, species, cutoff, key)
    try:
        for k, frame in enumerate(read_frames(path)):
            maker.add(frame, is_held_out(k, share, seed))
        for frame in read_frames(test) if test is not None else no_frames():
            maker.add(frame, True)
        maker.finish()
    except BaseException:
        maker.give_up()
        raise
    return TrainingSet(target)


def no_frames() -> Iterator[LabelledFrame]:
    """None."""
    return iter(())


def is_held_out(k: int, share: float, seed: int) -> bool:
    """Whether the k-th frame is the one that is drawn among 1 / share."""
    if share == 0:
        return False
    among = max(2, round(1 / share))
    return bool(np.random.default_rng([seed, k // among]).integers(among) == k % among)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    found = hashlib.sha256()
    with open_binary(path) as file:
        while piece := file.read(1 << 20):
            found.update(piece)
    return found.hexdigest()


def refuse_what_cannot_be_fitted(data: TrainingSet) -> None:
    """Raise InputError for a set without frames, or with an element in no frame that is fitted."""
    frames = data.fitted()
    if len(frames) == 0:
        raise InputError(f"{data.path}: no frame is fitted; all {len(data)} are held out")
    for name, count in zip(data.species, data.counts[frames].sum(axis=0), strict=True):
        if count == 0:
            raise InputError(f"{data.path}: {name} is in no frame that is fitted; add frames with "
                             "it, or leave it out of --species")
    if data.npairs[frames].sum() == 0:
        raise InputError(f"{data.path}: no atom has a neighbour within {data.cutoff:g}")
