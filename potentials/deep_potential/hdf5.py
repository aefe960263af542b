"""Reads the arrays of an HDF5 file in a process of its own, which hands them on as an `.npz`.

    python hdf5.py FILE BYTES > ARRAYS

The HDF5 library trusts its files. Of 6 000 slightly damaged ones eight made it read where there is
no memory, or divide by nothing, and two never returned; no check before could tell. So it is not
let near a file from elsewhere in the process that computes. Standard library, NumPy and h5py only.
"""

from __future__ import annotations

import hashlib
import io
import sys

import h5py
import numpy as np
from numpy.typing import NDArray

TEXT = "json"              # the attribute of the root, and its name among the arrays
HASH = "sha256"            # of the text, in files that mdapp wrote


def hash_of(text: bytes) -> str:
    """What the attribute HASH holds."""
    return hashlib.sha256(text).hexdigest()


def arrays_of(path: str, size: int) -> dict[str, NDArray[np.generic]]:
    """The text (bytes as uint8) and all datasets of the root that lie in the file itself.

    Raises
    ------
    ValueError : the file has no text, or an array of more bytes than the whole file, which is
        `size`
    """
    found: dict[str, NDArray[np.generic]] = {}
    with h5py.File(path, "r") as file:
        if TEXT not in file.attrs or not isinstance(file.attrs[TEXT], str):
            raise ValueError(f"has no text in the attribute {TEXT}: not written by DeePMD-kit")
        text = file.attrs[TEXT].encode()
        if file.attrs.get(HASH, hash_of(text)) != hash_of(text):
            raise ValueError(f"the attribute {TEXT} is damaged: its checksum is another")
        found[TEXT] = np.frombuffer(text, np.uint8)
        for name in file:
            if not isinstance(file.get(name, getlink=True), h5py.HardLink):
                continue
            data = file[name]
            if not isinstance(data, h5py.Dataset) or data.is_virtual or data.external is not None:
                continue
            if data.dtype.kind != "f" or data.size * data.dtype.itemsize > size:
                raise ValueError(f"{name} holds no numbers ({data.dtype}), or more than the file "
                                 "has room for")
            found[name] = data[()].astype(np.float64)
    return found


if __name__ == "__main__":
    try:
        packed = io.BytesIO()
        np.savez(packed, allow_pickle=False, **arrays_of(sys.argv[1], int(sys.argv[2])))
        sys.stdout.buffer.write(packed.getvalue())
    except Exception as error:                    # whatever it is, its message is the answer
        sys.exit(" ".join(str(error).split())[:300] or type(error).__name__)
