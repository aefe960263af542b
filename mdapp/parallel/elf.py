"""Which libraries a shared object asks for, read from the file itself.

`ldd` and `dlopen` would answer too, but the first starts a process and the second loads the
library, which is what has to be avoided: two MPI libraries in one process end in a crash. The
dynamic section of an ELF file lists the names (DT_NEEDED) and where to look (DT_RUNPATH); Linux on
64-bit little-endian machines only, elsewhere the answer is empty.

Source of the layout: System V ABI, chapters "Object Files" and "Dynamic Linking".
"""

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 0, 1, 5, 15, 29


@dataclass(frozen=True)
class SharedObject:
    """Names of the needed libraries and the folders that the file itself says to search."""

    path: Path
    needed: tuple[str, ...] = ()
    search: tuple[Path, ...] = ()

    def resolve(self, name: str, environ: Mapping[str, str] = os.environ) -> Path | None:
        """Find a needed library as the dynamic linker would, short of its system cache."""
        listed = [Path(p) for p in environ.get("LD_LIBRARY_PATH", "").split(":") if p]
        system = [Path("/lib64"), Path("/usr/lib64"), Path("/lib"), Path("/usr/lib")]
        system += sorted(Path("/usr/lib").glob("*-linux-gnu"))
        for folder in (*self.search, *listed, *system):
            if (folder / name).exists():
                return folder / name
        return None


def read_shared_object(path: Path) -> SharedObject:
    """Read an ELF file's dynamic section.

    Returns
    -------
    SharedObject
        Empty lists for what is no 64-bit little-endian ELF file.
    """
    try:
        data = path.read_bytes()
        return _parse(path, data) if data[:6] == b"\x7fELF\x02\x01" else SharedObject(path)
    except (OSError, struct.error, ValueError, StopIteration):
        return SharedObject(path)


def _parse(path: Path, data: bytes) -> SharedObject:
    offset = struct.unpack_from("<Q", data, 32)[0]
    size, count = struct.unpack_from("<HH", data, 54)
    loads: list[tuple[int, int, int]] = []
    dynamic = (0, 0)
    for start in range(offset, offset + size * count, size):
        kind, _, at, address, _, length = struct.unpack_from("<IIQQQQ", data, start)
        if kind == _PT_LOAD:
            loads.append((address, length, at))
        elif kind == _PT_DYNAMIC:
            dynamic = (at, length)
    entries: list[tuple[int, int]] = []
    for start in range(dynamic[0], sum(dynamic), 16):
        tag, value = struct.unpack_from("<QQ", data, start)
        if tag == _DT_NULL:
            break
        entries.append((tag, value))
    table = next(value for tag, value in entries if tag == _DT_STRTAB)
    strings = next(at + table - low for low, length, at in loads if low <= table < low + length)

    def string(value: int) -> str:
        return data[strings + value : data.index(b"\0", strings + value)].decode()

    origin = str(path.resolve().parent)
    paths = [string(value) for tag, value in entries if tag in (_DT_RPATH, _DT_RUNPATH)]
    folders = [f for text in paths for f in text.replace("${ORIGIN}", "$ORIGIN").split(":") if f]
    return SharedObject(
        path,
        tuple(string(value) for tag, value in entries if tag == _DT_NEEDED),
        tuple(Path(folder.replace("$ORIGIN", origin)) for folder in folders),
    )
