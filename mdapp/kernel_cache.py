"""Where compiled kernels are kept: one folder for each state of the sources they come from.

Numba reuses a compiled function when the file *that defines it* has not changed. A kernel that
inlines a function of another file keeps the old body when only that other file is edited: wrong
numbers without a word. So the folder's name carries a hash over every source that can end up in a
kernel, and an edit starts with an empty folder. It costs a few milliseconds at each start.

Numba distinguishes kinds of CPU by itself, within its index; they are in the hash as well, so that
a home directory shared by two kinds of node does not make each grow the other's index. Folders
that nobody has used for thirty days are removed when a new one is made.
"""

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

UNUSED_SECONDS = 30 * 86400.0

# Rooms of `mdapp` whose functions, classes and constants may be compiled into a kernel.
KERNEL_ROOMS = ("analysis", "integrate", "model", "neighbors", "parallel", "storage")


def kernel_sources(package: Path) -> Iterator[Path]:
    """List the files whose contents decide what the kernels are, in a fixed order."""
    for room in KERNEL_ROOMS:
        yield from _python_files(package / room)
    yield from _python_files(package.parent / "potentials")


def _python_files(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir() and not entry.name.startswith(("__", ".")):
            yield from _python_files(Path(entry.path))
        elif entry.name.endswith(".py"):
            yield Path(entry.path)


def cpu_model() -> str:
    """Return the first processor's description.

    Only the head of the file is read: the system writes it as it is read, and on a node with
    hundreds of processors the whole costs more than the rest of the start.
    """
    try:
        with Path("/proc/cpuinfo").open("rb") as file:
            first = file.read(8192).split(b"\n\n")[0]
    except OSError:
        return os.uname().machine
    wanted = (b"model name", b"flags", b"Features", b"CPU part")
    return b"\n".join(line for line in first.split(b"\n") if line.startswith(wanted)).decode()


def kernel_hash(package: Path) -> str:
    """Hash sources, interpreter, Numba's version and CPU: 16 hex digits."""
    digest = hashlib.sha256()
    for path in kernel_sources(package):
        digest.update(str(path.relative_to(package.parent)).encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    digest.update(repr((sys.version, _numba_version(), cpu_model())).encode())
    return digest.hexdigest()[:16]


def _numba_version() -> str:
    """Numba's version from the name of its metadata folder, without importing anything."""
    for folder in sys.path:
        with contextlib.suppress(OSError):
            for entry in os.scandir(folder or "."):
                if entry.name.startswith("numba-") and entry.name.endswith(".dist-info"):
                    return entry.name
    return "unknown"


def cache_root(environ: Mapping[str, str]) -> Path:
    """Return `$XDG_CACHE_HOME/mdapp`, by default `~/.cache/mdapp`."""
    base = environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path(environ.get("HOME", "/")) / ".cache") / "mdapp"


def prepare_folder(environ: Mapping[str, str], package: Path) -> Path:
    """Make (or mark as used) the folder of the present sources, and return it.

    Where the user's cache cannot be written, a folder under the temporary directory that belongs
    to this user alone takes its place: compiled code must not come from a folder others can write.
    """
    name = "numba-" + kernel_hash(package)
    private = Path(tempfile.gettempdir()) / f"mdapp-{os.getuid()}"
    for root in (cache_root(environ), private):
        folder = root / name
        try:
            if not folder.is_dir():
                root.mkdir(mode=0o700, parents=True, exist_ok=True)
                prune(root)
                folder.mkdir(exist_ok=True)
            if root is private and _writable_by_others(root):
                continue
            os.utime(folder)
        except OSError:
            continue
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
    return Path(tempfile.mkdtemp(prefix="mdapp-"))


def _writable_by_others(folder: Path) -> bool:
    status = folder.lstat()
    return status.st_uid != os.getuid() or bool(status.st_mode & 0o022)


def prune(root: Path, now: float | None = None) -> None:
    """Remove cache folders below `root` that were last used more than thirty days ago."""
    limit = (time.time() if now is None else now) - UNUSED_SECONDS
    for folder in root.glob("numba-*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_mtime < limit:
                shutil.rmtree(folder, ignore_errors=True)
