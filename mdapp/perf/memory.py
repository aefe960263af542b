"""Resident memory of this process, as the kernel counts it.

What a run needs per atom is the peak since the atoms began to exist, less what the process held
before: interpreter, libraries and compiled code.  Compilers peak too, so the kernel's high-water
mark is reset in between where it can be.
"""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path


def _status_bytes(field: str) -> int | None:
    """A line of /proc/self/status, in bytes; None where there is no such thing."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return None


def resident_bytes() -> int:
    """Memory of this process that is in RAM now; where the system cannot say, its peak."""
    return _status_bytes("VmRSS") or peak_bytes()


def peak_bytes() -> int:
    """The most memory that this process has had in RAM since the last `reset_peak`, or ever."""
    marked = _status_bytes("VmHWM")
    if marked is not None:
        return marked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def reset_peak() -> None:
    """Start the high-water mark again from the present size, where the kernel lets us (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
