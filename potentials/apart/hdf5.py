"""Reads the arrays of an HDF5 file in a process of its own, which hands them on as an `.npz`.

    python hdf5.py FILE BYTES > ARRAYS

The HDF5 library trusts its files. Of 6 000 slightly damaged ones eight made it read where there is
no memory, or divide by nothing, and two never returned; no check before could tell. So it is not
let near a file from elsewhere in the process that computes. Standard library, NumPy and h5py only.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator

import h5py
import numpy as np
from numpy.typing import NDArray

ATTRIBUTE = "@"            # before the names of the root's attributes among the arrays
DEEPEST = 32               # groups in groups
Arrays = dict[str, NDArray[np.generic]]


def arrays_of(path: str, size: int) -> Arrays:
    """The texts of the root's attributes (as uint8), and all datasets that lie in the file itself.

    Raises
    ------
    ValueError : arrays of other things than numbers, or of more bytes than the whole file, which is
        `size`
    """
    with h5py.File(path, "r") as file:
        found: Arrays = {ATTRIBUTE + name: np.frombuffer(text.encode(), np.uint8)
                         for name, text in file.attrs.items() if isinstance(text, str)}
        left = size
        for name, data in _datasets(file, "", 0):
            left -= data.size * data.dtype.itemsize
            if data.dtype.kind not in "fiub" or left < 0:
                raise ValueError(f"{name} holds no numbers ({data.dtype}), or more than the file "
                                 "has room for")
            found[name] = data[()]
    return found


def _datasets(group: h5py.Group, before: str, depth: int) -> Iterator[tuple[str, h5py.Dataset]]:
    """Datasets below a group, and their names; other files are not followed."""
    if depth > DEEPEST:
        raise ValueError("groups without end")
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _datasets(item, f"{before}{name}/", depth + 1)
        elif isinstance(item, h5py.Dataset) and not item.is_virtual and item.external is None:
            yield before + name, item


if __name__ == "__main__":
    try:
        packed = io.BytesIO()
        np.savez(packed, allow_pickle=False,
                 **arrays_of(sys.argv[1], int(sys.argv[2])))
        sys.stdout.buffer.write(packed.getvalue())
    except Exception as error:                    # whatever it is, its message is the answer
        sys.exit(" ".join(str(error).split())[:300] or type(error).__name__)
