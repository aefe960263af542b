"""The other side of potentials.apart.hdf5: starts that process, and bears whatever it does."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potentials.apart import hdf5
from potentials.files import FileError

SECONDS = 120.0             # longer than any file takes to be read


def read_hdf5(path: Path) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    """Texts of the root's attributes and arrays of a file, both by name.

    Raises
    ------
    FileError : it cannot be read; says what the library did
    """
    command = [sys.executable, str(Path(hdf5.__file__)), str(path)]
    try:
        command.append(str(path.stat().st_size))
        end = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise FileError(f"{path}: cannot be read: the HDF5 library does not return") from None
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}") from None
    if end.returncode != 0:
        lines = end.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        crashed = f"the HDF5 library crashed (signal {-end.returncode})"
        raise FileError(f"{path}: cannot be read: {crashed if end.returncode < 0 else lines[-1]}")
    with np.load(io.BytesIO(end.stdout), allow_pickle=False) as file:
        found = {name: file[name] for name in file.files}
    texts = {name[1:]: found.pop(name).tobytes().decode()
             for name in list(found) if name.startswith(hdf5.ATTRIBUTE)}
    return texts, found
