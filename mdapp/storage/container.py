"""One routine that makes an HDF5 file: all metadata and empty datasets at known offsets, no data.

HDF5 is good at describing data and bad at failing: a full disk inside `H5Fclose` loses the errno
and, on HDF5 1.10, brings the process down at the next call. So HDF5 never touches the disk here. It
builds the file through a Python object that keeps the metadata, a few kilobytes, and forgets the
rest: first all headers and attributes, then the storage of each dataset, allocated by writing one
element into the void. The metadata is the head in front of the first dataset; it is written to the
real file, which is then extended by a hole. From there on data goes by positioned writes to offsets
that are known, and any failure is an OSError with its number.

The result is an ordinary file of HDF5 1.10 or later, contiguous and without fill values. Times are
not recorded in it, so that equal input makes equal bytes.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mdapp.storage.blocks import row_dtype
from mdapp.storage.crc import crc32
from mdapp.storage.errors import CheckpointError
from mdapp.storage.files import File, FileSystem
from mdapp.storage.state import Field

FORMAT_VERSION = (1, 0)
ALIGNMENT = 1 << 20
ALIGN_FROM = 1 << 16


@dataclass(frozen=True)
class Container:
    """Where everything lies in a file that holds no data yet.

    Attributes
    ----------
    size : of the file
    offsets : first byte of each field; of no meaning in a file without atoms
    table : first byte of the block table
    head : the bytes before the first dataset; the whole file where it has no atoms
    """

    size: int
    offsets: tuple[int, ...]
    table: int
    head: bytes

    @property
    def head_crc(self) -> int:
        """Checksum of the head."""
        return crc32(self.head)


def plan_container(
    natoms: int,
    rows: int,
    fields: Sequence[Field],
    attributes: Mapping[str, Any],
    alignment: int = ALIGNMENT,
) -> Container:
    """Lay out a file of `natoms` atoms and `rows` rows of the block table.

    Parameters
    ----------
    attributes
        Of the root: uuid, shard_index, step.
    alignment
        Bytes to which large datasets are aligned; the stripe of the file system where known.

    Raises
    ------
    CheckpointError
        HDF5 did not lay the file out as it is known to.
    """
    memory = _HeadMemory()
    offsets, table, end = _write_metadata(memory, natoms, rows, fields, attributes, alignment)
    size = memory.size
    first = min([size, *offsets[: len(offsets) if natoms else 0], *([table] if rows else [])])
    if (natoms and end != size) or len(memory.head) > first:
        raise CheckpointError(
            f"HDF5 {h5py.version.hdf5_version} put {len(memory.head)} bytes of metadata before "
            f"byte {first}, and {size} bytes where the last dataset ends at {end}: this is not "
            "the layout that mdapp relies on"
        )
    return Container(size, tuple(offsets), table, bytes(memory.head).ljust(first, b"\0"))


class _HeadMemory(io.RawIOBase):
    """A file that keeps what is written until `forget` is set, and nothing after it."""

    def __init__(self) -> None:
        self.head, self.size, self.forget = bytearray(), 0, False
        self._at = 0

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self.size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        kept = self.head[self._at : self._at + len(view)]
        view[:] = bytes(kept).ljust(len(view), b"\0")
        self._at += len(view)
        return len(view)

    def write(self, data: Any) -> int:
        data = bytes(data)
        end = self._at + len(data)
        # Headers are updated in place even after the storage of datasets has begun.
        if not self.forget or self._at < len(self.head):
            self.head.extend(bytes(max(0, end - len(self.head))))
            self.head[self._at : end] = data
        self._at, self.size = end, max(self.size, end)
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        self.size = self._at if size is None else size
        del self.head[self.size :]
        return self.size


def _write_metadata(
    memory: _HeadMemory,
    natoms: int,
    rows: int,
    fields: Sequence[Field],
    attributes: Mapping[str, Any],
    alignment: int,
) -> tuple[list[int], int, int]:
    """Let HDF5 make the file; returns the offsets of fields and table, and the end of the last."""
    with h5py.File(
        memory, "w", libver=("v110", "v110"), alignment_threshold=ALIGN_FROM,
        alignment_interval=alignment,
    ) as file:  # fmt: skip
        file.attrs["mdapp_format"] = np.array(FORMAT_VERSION, "<i4")
        for key, value in attributes.items():
            file.attrs[key] = value
        atoms = file.create_group("atoms")
        made = [
            _dataset(atoms.id, f.name, np.dtype(f.dtype), (natoms, *f.shape_tail)) for f in fields
        ]
        made.append(_dataset(file.id, "blocks", row_dtype(len(fields)), (rows,)))
        file.flush()
        memory.forget = True
        for dataset in made:
            _allocate(dataset)
        extents = [(d.get_offset() or 0, d.get_storage_size()) for d in made]
        file.flush()
    *offsets, table = (offset for offset, _ in extents)
    return offsets, table, max(offset + size for offset, size in extents)


def _dataset(
    parent: h5py.h5g.GroupID, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> h5py.h5d.DatasetID:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.CONTIGUOUS)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
    plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    plist.set_obj_track_times(False)
    kind = h5py.h5t.py_create(dtype)
    return h5py.h5d.create(parent, name.encode(), kind, h5py.h5s.create_simple(shape), plist)


def _allocate(dataset: h5py.h5d.DatasetID) -> None:
    """Write the first element, which makes HDF5 allocate all of a contiguous dataset."""
    if 0 in dataset.shape:
        return
    one = tuple(1 for _ in dataset.shape)
    space = dataset.get_space()
    space.select_hyperslab(tuple(0 for _ in one), one)
    dataset.write(h5py.h5s.create_simple(one), space, np.zeros(one, dataset.dtype))


def create_container(fs: FileSystem, path: Path, container: Container) -> File:
    """Put a planned file on disk.

    Returns
    -------
    File
        Still open: the kernel reports a failed write-back to descriptors that were open when it
        happened, so the one that is synced in the end must be older than the first byte.

    Raises
    ------
    OSError
        The system's; FileExistsError if there is such a file.
    """
    file = fs.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        file.truncate(container.size)
        file.pwrite(without_zeros(container.head), 0)
    except BaseException:
        file.abandon()
        raise
    return file


def without_zeros(data: bytes, piece: int = 4096) -> bytes:
    """All but pieces of zeros at the end, which a new file has of itself."""
    end, zeros = len(data), bytes(piece)
    while end > piece and data[end - piece : end] == zeros:
        end -= piece
    return data[:end]
