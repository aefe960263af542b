"""One H5MD file: how it is laid out, so that it is whole at every moment and needs no MPI-IO.

H5MD 1.1 (de Buyl, Colberg, Hoefling, Comput. Phys. Commun. 185, 1546 (2014),
doi:10.1016/j.cpc.2014.01.018), restricted to what its readers accept:

    particles/trajectory/box            dimension, boundary
    particles/trajectory/box/edges      value [T][3][3]
    particles/trajectory/position       value [T][N][3], step [T], time [T]
    particles/trajectory/velocity ...   the same step and time, by hard links
    particles/trajectory/id, species, mass, charge    [N], constant

The datasets are chunked, and a chunk holds *all* frames of the file for some range of atoms. HDF5
gives the room for such a chunk as soon as the first frame is there. So one rank creates the file
and closes it; from then on a frame is bytes that any rank puts at known places with `pwrite`, and
becomes visible when the first dimension is raised by one, which changes eight bytes in the header
of each dataset. Whoever opens the file meanwhile, or after the run was killed, sees whole frames.

What this avoids: MPI-IO (chunked parallel HDF5 crashes with Open MPI's ROMIO, ompi issue 7795, and
OMPIO can corrupt shared files, ompi issue 12718), the need of an h5py built for MPI at all, a full
disk that strikes inside the HDF5 library, which 1.10 does not survive, and files that are lost if
nobody closes them. Contiguous datasets would do the same but for the growing: HDF5 has none that
grow. Chunks of one frame each would need a new index entry and a new address for every frame. The
oldest file format is chosen because newer ones mark a file that is open for writing, and a mark
left by a killed run makes readers refuse it.

Texts are UTF-8 strings of variable length, which is what h5py makes of a `str`. The specification
likes fixed length better; h5py returns those as bytes, and MDAnalysis, which looks units up in a
dictionary of `str`, refuses the file.
"""

from __future__ import annotations

import errno
import getpass
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from mdapp.storage.h5md.slabs import GRAIN, SPREAD

GROUP = "particles/trajectory"
CHUNK_BYTES = 1 << 30          # HDF5 1.x refuses chunks of 4 GiB
PAGE = 4096
OPTIONS: Mapping[str, Any] = {
    "libver": "earliest",
    "locking": False,          # a reader that has the file open must not stop the run
}


@dataclass(frozen=True)
class Field:
    """A quantity of each atom.

    Attributes
    ----------
    name : str
        As H5MD calls it: position, velocity, force, image, id, species, mass, charge.
    dtype : str
        Of a number in the file.
    width : int
        Numbers of an atom: 3, or 1.
    unit : str or None
    per_frame : bool
        Whether it changes with time.
    """

    name: str
    dtype: str
    width: int = 3
    unit: str | None = None
    per_frame: bool = True

    @property
    def path(self) -> str:
        """The dataset, within the group of the particles."""
        return f"{self.name}/value" if self.per_frame else self.name

    @property
    def row(self) -> np.dtype[Any]:
        """Type of the values of one atom."""
        return np.dtype((self.dtype, (self.width,) if self.width > 1 else ()))


@dataclass(frozen=True)
class Layout:
    """All that decides the structure of a file.

    Attributes
    ----------
    fields : tuple of Field
    natoms : int
    frames : int
        How many it has room for.
    periodic : (3,) bool
    length_unit, time_unit : str or None
    creator : (name, version) of the program
    """

    fields: tuple[Field, ...]
    natoms: int
    frames: int
    periodic: tuple[bool, ...]
    length_unit: str | None
    time_unit: str | None
    creator: tuple[str, str]


@dataclass(frozen=True)
class Place:
    """Where the numbers of a dataset lie in the file.

    Attributes
    ----------
    chunks : (k,) int64
        Offsets of the chunks, in the order of rows.
    rows : int
        Rows of a frame in a chunk.
    row_bytes : int
    """

    chunks: NDArray[np.int64]
    rows: int
    row_bytes: int

    def spans(self, frame: int, first: int, count: int) -> Iterator[tuple[int, slice]]:
        """Offsets of `count` rows from `first` on, with the part of them that lies there."""
        done = 0
        while done < count:
            chunk, row = divmod(first + done, self.rows)
            n = min(count - done, self.rows - row)
            yield (int(self.chunks[chunk]) + (frame * self.rows + row) * self.row_bytes,
                   slice(done, done + n))
            done += n


def create(path: Path, layout: Layout, visible: int = 1) -> dict[str, Place]:
    """Write the file without its numbers, all `visible` frames of which are still to be filled in.

    Returns
    -------
    dict
        Where the numbers of each field go, by its name, and `step`, `time` and `edges`.

    Raises
    ------
    OSError
        As HDF5 says.
    """
    with _errors_of_hdf5():
        return _create(path, layout, visible)


def _create(path: Path, layout: Layout, visible: int) -> dict[str, Place]:
    file = h5py.File(path, "w", alignment_threshold=PAGE, alignment_interval=PAGE, **OPTIONS)
    _describe(file, layout)
    particles = file.create_group(GROUP)
    box = particles.create_group("box")
    box.attrs["dimension"] = 3
    box.attrs["boundary"] = ["periodic" if p else "none" for p in layout.periodic]
    first, *others = [f for f in layout.fields if f.per_frame]
    shapes = (visible, layout.frames)
    series = {
        name: _dataset(particles, f"{first.name}/{name}", dtype, shapes, (), None, unit)
        for name, dtype, unit in (("step", "<i8", None), ("time", "<f8", layout.time_unit))}
    edges = _dataset(particles, "box/edges/value", "<f8", shapes, (3, 3), None, layout.length_unit)
    for group in ["box/edges", *(f.name for f in others)]:
        for name, dataset in series.items():
            particles.require_group(group)[name] = dataset     # a hard link
    made = {**series, "edges": edges}
    for field in layout.fields:
        shape = (layout.natoms, 3) if field.width == 3 else (layout.natoms,)
        made[field.name] = _dataset(
            particles, field.path, field.dtype, shapes if field.per_frame else None, shape,
            _rows_in_a_chunk(field, layout), field.unit)
    file.flush()               # a full disk is told here, where HDF5 survives it, not in close
    places = {name: _place(dataset) for name, dataset in made.items()}
    file.close()
    return places


def show_frames(path: Path, frames: int) -> None:
    """Make the file have this many frames; they are all in their places already.

    Raises
    ------
    OSError
        As HDF5 says.
    """
    with _errors_of_hdf5():
        _show_frames(path, frames)


def _show_frames(path: Path, frames: int) -> None:
    file = h5py.File(path, "r+", **OPTIONS)
    particles = file[GROUP]
    elements = [e for e in particles.values() if isinstance(e, h5py.Group) and "value" in e]
    series = elements[0]
    # Readers count the rows of values: the steps and times of a new frame are there before it is.
    for dataset in (series["step"], series["time"], particles["box/edges/value"],
                    *(e["value"] for e in elements)):
        dataset.resize(frames, axis=0)
    file.flush()
    file.close()


def read_layout(path: Path) -> tuple[Layout, dict[str, Place], NDArray[np.int64]]:
    """Structure of a file that this module wrote, its places, and the steps of its frames.

    Raises
    ------
    OSError
        It cannot be read, or (EINVAL) is no such file.
    """
    try:
        with _errors_of_hdf5():
            return _read_layout(path)
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        raise OSError(errno.EINVAL, f"no H5MD file of mdapp ({error})", str(path)) from None


@contextmanager
def _errors_of_hdf5() -> Iterator[None]:
    """What HDF5 meets in the system comes as an OSError or, in flush and close, a RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        raise OSError(None, str(error)) from error


def _read_layout(path: Path) -> tuple[Layout, dict[str, Place], NDArray[np.int64]]:
    with h5py.File(path, "r", locking=False) as file:
        particles = file[GROUP]
        box = particles["box"]
        fields, datasets = [], {"edges": box["edges/value"]}
        for name, item in particles.items():
            if name == "box":
                continue
            per_frame = isinstance(item, h5py.Group)
            values = item["value"] if per_frame else item
            axes = values.shape[1 + per_frame:]
            fields.append(Field(name, values.dtype.str, axes[0] if axes else 1,
                                values.attrs.get("unit"), per_frame))
            datasets[name] = values
            if per_frame:
                datasets |= {"step": item["step"], "time": item["time"]}
        step = datasets["step"]
        creator = file["h5md/creator"].attrs
        natoms = next(datasets[f.name].shape[f.per_frame] for f in fields)
        layout = Layout(
            tuple(fields), natoms, step.chunks[0],
            tuple(kind == "periodic" for kind in box.attrs["boundary"]),
            box["edges/value"].attrs.get("unit"), datasets["time"].attrs.get("unit"),
            (creator["name"], creator["version"]))
        return layout, {name: _place(d) for name, d in datasets.items()}, step[:]


def _describe(file: h5py.File, layout: Layout) -> None:
    h5md = file.create_group("h5md")
    h5md.attrs["version"] = np.array([1, 1], np.int32)
    h5md.create_group("author").attrs["name"] = _author()
    creator = h5md.create_group("creator")
    for key, value in zip(("name", "version"), layout.creator, strict=True):
        creator.attrs[key] = value
    if layout.length_unit is not None:
        units = h5md.create_group("modules/units")
        units.attrs["version"] = np.array([1, 0], np.int32)
        units.attrs["system"] = "SI"


def _author() -> str:
    """H5MD wants a name; a container may have no entry for its user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _rows_in_a_chunk(field: Field, layout: Layout) -> int:
    """All rows if they fit; in a large system whole grains, so that every frame starts a page."""
    rows = layout.natoms
    if rows >= SPREAD:
        rows += -rows % GRAIN
        frame_rows = CHUNK_BYTES // (field.row.itemsize * layout.frames)
        rows = min(rows, max(frame_rows // GRAIN, 1) * GRAIN)
    return rows


def _dataset(
    group: h5py.Group,
    name: str,
    dtype: str,
    frames: tuple[int, int] | None,
    shape: tuple[int, ...],
    rows: int | None,
    unit: str | None,
) -> h5py.Dataset:
    """A dataset whose room is given now and filled by nobody.

    Parameters
    ----------
    frames
        Those visible, and those that there is room for; None for what does not change.
    shape, rows
        Of one frame, and how many rows of it are in a chunk (all where None).
    """
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    plan.set_obj_track_times(False)                            # equal runs make equal files
    space = h5py.h5s.create_simple(shape)
    if frames is not None:
        chunk = shape if rows is None else (rows, *shape[1:])
        plan.set_chunk((frames[1], *chunk))
        # A chunk may be larger than an axis only if the axis might grow.
        most = tuple(h5py.h5s.UNLIMITED if c > s else s for c, s in zip(chunk, shape, strict=True))
        space = h5py.h5s.create_simple((frames[0], *shape), (frames[1], *most))
    parent, _, leaf = name.rpartition("/")
    parent_group = group.require_group(parent) if parent else group
    dataset = h5py.Dataset(h5py.h5d.create(
        parent_group.id, leaf.encode(), h5py.h5t.py_create(np.dtype(dtype)), space, plan))
    if unit is not None:
        dataset.attrs["unit"] = unit
    return dataset


def _place(dataset: h5py.Dataset) -> Place:
    row = dataset.dtype.itemsize * int(np.prod(dataset.shape[2:] if dataset.chunks else
                                               dataset.shape[1:]))
    if dataset.chunks is None:
        return Place(np.array([dataset.id.get_offset()]), dataset.shape[0], row)
    found = [dataset.id.get_chunk_info(k) for k in range(dataset.id.get_num_chunks())]
    offsets = [c.byte_offset for c in sorted(found, key=lambda c: c.chunk_offset)]
    rows = dataset.chunks[1] if dataset.ndim > 1 else 1
    return Place(np.array(offsets), rows, row)
