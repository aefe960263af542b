"""Sets of frames with numbers of others: another code's on the same model, or labels of a fit.

Both are extended XYZ with energy and forces, and perhaps stress or virial. A file is another code's
if the comment line of its first frame has `code="NAME VERSION"`. A file PATH.parity.extxyz beside a
potential's TOML or Python file is shipped with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mdapp.errors import InputError
from mdapp.evaluate import Structure
from mdapp.fit.frames import LabelledFrame, read_frames
from mdapp.fit.sources import HDF5_ENDINGS
from mdapp.structures.extxyz import frame_pairs
from mdapp.validate.bench import Bench
from potentials.own_file import kind_of

SHIPPED = ".parity.extxyz"


def code_of(path: Path) -> str:
    """The code that a set says it is of; empty for labelled data.

    Raises
    ------
    InputError : the file cannot be read
    """
    if path.suffix in HDF5_ENDINGS:
        raise InputError(f"--reference {path}: a training set holds vectors to neighbours and no "
                         "positions; give the extended XYZ file that it was made of")
    try:
        with path.open(encoding="utf-8") as file:
            file.readline()
            comment = file.readline()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--reference {path}: {error}") from None
    return frame_pairs(f"{path}:2", comment).get("code", "")


def sets_of(bench: Bench, another_code: bool) -> list[Path]:
    """The sets of one kind: those of the command line, and those that come with the potential."""
    return [path for path in [*bench.references, *shipped(bench.subject.text)]
            if bool(code_of(path)) == another_code]


def shipped(text: str) -> list[Path]:
    """The file of another code's numbers beside the potential's own."""
    name = text if text.endswith(".toml") else text.split(":")[1] if kind_of(text) else ""
    path = Path(name).with_suffix(SHIPPED) if name else None
    return [path] if path is not None and path.is_file() else []


def frames_of(bench: Bench, path: Path) -> Iterator[tuple[LabelledFrame, Structure]]:
    """Frames with their structures in the types of the potential.

    Raises
    ------
    InputError : a species that the potential does not have
    """
    species = list(bench.subject.species)
    anything = not bench.subject.named and len(species) == 1
    for frame in read_frames(path):
        unknown = set(frame.symbols) - set(species)
        if unknown and not anything:
            raise InputError(f"{frame.where}: {', '.join(sorted(unknown))}: the potential has "
                             f"{', '.join(species)}")
        types = [0 if anything else species.index(symbol) for symbol in frame.symbols]
        yield frame, bench.structure(frame.box, frame.x, np.array(types, np.int32))
