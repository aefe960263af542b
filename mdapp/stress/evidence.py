"""Did a read reach the device, or only memory? What the kernel says before and after.

    resident    share of the files' pages in the cache just before the read (mincore)
    device      bytes that devices were asked for during it, over the bytes that were read

More than 1 % resident, or less than 95 % from the device, and a phase is flagged `cached`: its rate
is memory's. On a network file system the second is not to be had, and the first is not trusted: the
flag is `cache-unknown`. The device's own cache, and that of a host below a virtual machine, are
beyond anyone's reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mpi4py import MPI

from mdapp.stress.folder import IN_MEMORY
from mdapp.stress.meeting import Meeting
from mdapp.stress.phase import Phase
from mdapp.stress.system import bytes_from_devices, resident_pages

MOST_RESIDENT, LEAST_FROM_DEVICE = 0.01, 0.95
LOCAL = ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", *IN_MEMORY)
CACHED, UNKNOWN = "cached", "cache-unknown"


class Evidence:
    """`before = Evidence(...)`, the phase, `before.judge(phase)`; collective."""

    def __init__(self, meeting: Meeting, kind: str, paths: Sequence[Path]):
        self.meeting, self.kind = meeting, kind
        inside = looked = 0
        for path in paths:
            if path.exists():
                here, pages = resident_pages(path)
                inside, looked = inside + here, looked + pages
        self.pages = inside, looked
        self.read = bytes_from_devices()

    def judge(self, phase: Phase) -> None:
        """Add what was seen, and flags."""
        after = bytes_from_devices()
        known = self.read is not None and after is not None
        got = (after or 0) - (self.read or 0)
        inside, looked, read, ranks = self.meeting.reduce([*self.pages, got, known], MPI.SUM)
        resident = inside / looked if looked else 0.0
        share = read / phase.total if ranks == self.meeting.size and phase.total else None
        phase.evidence |= {"resident": resident, "from_device": share}
        if self.kind not in LOCAL or share is None:
            phase.flags.append(UNKNOWN)
        elif resident > MOST_RESIDENT or share < LEAST_FROM_DEVICE:
            phase.flags.append(CACHED)
