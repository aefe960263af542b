"""The newest positions that a run has left: of a checkpoint, or else of a trajectory.

A checkpoint is taken first, since it is checked and has all that a picture needs. Of a trajectory
the last frame that is whole counts: a run that was killed may have torn the one behind it.
"""

from __future__ import annotations

import mmap
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mdapp.errors import MdappError
from mdapp.model.box import Box
from mdapp.plot.run_folder import Run

H5MD_GROUP = "particles/trajectory"


@dataclass(frozen=True)
class Snapshot:
    """Atoms at one moment.

    Attributes
    ----------
    where : the file, for the caption
    box : the cell
    x : (n, 3) float64
    type : (n,) int, from 0
    species : names of the types; may be fewer than there are types
    step : None where the file does not say
    """

    where: str
    box: Box
    x: NDArray[np.float64]
    type: NDArray[np.int64]
    species: tuple[str, ...]
    step: int | None


def newest_snapshot(run: Run) -> tuple[Snapshot | None, list[str]]:
    """The newest atoms, and what is to be said of files that could not be used."""
    trouble: list[str] = []
    for path in run.checkpoints:
        try:
            return _from_checkpoint(path), trouble
        except MdappError as error:
            trouble.append(str(error))
    for path, kind in trajectories(run):
        try:
            return READERS[kind](path, run), trouble
        except (MdappError, OSError, ValueError, KeyError, IndexError) as error:
            trouble.append(f"{path}: no frame could be read: {error}")
    return None, trouble


def trajectories(run: Run) -> list[tuple[Path, str]]:
    """Files of frames that the run says it wrote, newest first, and their kinds."""
    found = [(path, "dump" if output["kind"] in ("atom", "custom") else output["kind"])
             for output in run.facts.get("outputs", ()) if output["kind"] != "deviation"
             for path in run.path.glob(_pattern(output["file"]))]  # fmt: skip
    return sorted(found, key=lambda entry: entry[0].stat().st_mtime, reverse=True)


def _pattern(name: str) -> str:
    """Names of an output: of its frames (a star), of the parts of H5MD, or itself."""
    return name.replace(".h5md", "*.h5md")


def _from_checkpoint(path: Path) -> Snapshot:
    from mdapp.parallel.world import world

    world()                                        # refuses an MPI that cannot be used
    from mdapp.storage.look import read_state

    state = read_state(path)
    return Snapshot(path.name, state.box, state.fields["x"], state.fields["type"].astype(np.int64),
                    tuple(state.species), state.step)


def _from_extxyz(path: Path, run: Run) -> Snapshot:
    from mdapp.structures.extxyz import ExtxyzSource

    with tempfile.TemporaryDirectory() as folder:
        one = Path(folder, "frame.xyz")            # the reader takes files, from their beginning
        one.write_bytes(_last_frame(path, b"Properties=", lines_before=1, heading=2, count_line=0))
        source = ExtxyzSource(one, units=str(run.facts["units"]))
        blocks = list(source.blocks())
    return Snapshot(path.name, source.box, np.concatenate([b.x for b in blocks]),
                    np.concatenate([b.type for b in blocks]).astype(np.int64), source.species, None)


def _from_dump(path: Path, run: Run) -> Snapshot:
    frame = _last_frame(path, b"ITEM: TIMESTEP", lines_before=0, heading=9, count_line=3)
    return _frame(path, frame.split(b"\n"), tuple(run.facts.get("species", ())))


def _last_frame(path: Path, mark: bytes, lines_before: int, heading: int,
                count_line: int) -> bytes:  # fmt: skip
    """Text of the last frame that is whole; the last of all may be torn.

    Parameters
    ----------
    mark : words that each frame has once, in line `lines_before` of it
    heading : lines above the atoms
    count_line : which of them is the number of atoms
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        end = len(text)
        while (at := text.rfind(mark, 0, end)) >= 0:
            begin = at
            for _ in range(lines_before + 1):
                begin = text.rfind(b"\n", 0, begin)
            frame = text[begin + 1:end]
            lines = frame.split(b"\n", heading)
            if len(lines) > heading and (
                    lines[heading].count(b"\n") >= int(lines[count_line])):
                return frame
            end = begin + 1
    raise ValueError("it has no whole frame")


def _frame(path: Path, lines: list[bytes], species: tuple[str, ...]) -> Snapshot:
    """One frame of a LAMMPS dump: see mdapp/structures/lammps_dump.py."""
    natoms = int(lines[3])
    words = lines[4].split()[3:]
    bounds = np.array([line.split() for line in lines[5:8]], float)
    if bounds.shape != (3, 2):
        raise ValueError("its cell is triclinic, which is not drawn")
    box = Box.orthogonal(bounds[:, 0], bounds[:, 1], [word.startswith(b"p") for word in words])
    names = lines[8].decode().split()[2:]
    column = {name: k for k, name in enumerate(names)}
    rows = [line.split() for line in lines[9:9 + natoms]]
    for suffix in ("", "s", "u"):
        if "x" + suffix in column:
            at = [column[axis + suffix] for axis in "xyz"]
            x = np.array([[row[k] for k in at] for row in rows], float).reshape(-1, 3)
            x = box.lo + x @ box.edges if suffix == "s" else x
            break
    else:
        raise ValueError("it has no column x, xs or xu")
    types = np.zeros(natoms, np.int64)
    if "type" in column:
        types = np.array([row[column["type"]] for row in rows], np.int64) - 1
    return Snapshot(path.name, box, x, types, species, int(lines[1]))


def _from_h5md(path: Path, run: Run) -> Snapshot:
    import h5py

    with h5py.File(path, "r", locking=False) as file:
        group = file[H5MD_GROUP]
        value = group["position/value"]
        x = value[len(value) - 1].astype(np.float64)
        edges = np.asarray(group["box/edges/value"][len(value) - 1], np.float64)
        periodic = [name in (b"periodic", "periodic") for name in group["box"].attrs["boundary"]]
        types = np.asarray(group["species"], np.int64) - 1
        step = int(group["position/step"][len(value) - 1])
    box = Box.from_vectors(edges, periodic)
    return Snapshot(path.name, box, x, types, tuple(run.facts.get("species", ())), step)


READERS = {"extxyz": _from_extxyz, "dump": _from_dump, "h5md": _from_h5md}
