"""All ranks together walk over everything that was made, and look for some of it.

Looked for are files newer than the mark, of exactly 3901 bytes, with `01` in their name, as IO500
does. How many there must be follows from what was created, so the walk is checked as well. Own
directories are divided among the ranks; of a directory that all share each rank lists the names and
looks at its share of them. One operation is one entry.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from mpi4py import MPI

from mdapp.stress.meeting import Meeting
from mdapp.stress.metadata import SMALL, Tree
from mdapp.stress.phase import Phase, Work, measure

NEEDLE = "01"
ENDLESS = 1 << 62


class Scan(Work):
    """A rank's share of the walk."""

    name, twin, durable = "scan", "find", "counted"

    def __init__(self, folder: Path, rank: int, ranks: int, newer_than_ns: int):
        super().__init__()
        self.folder, self.rank, self.ranks, self.mark = folder, rank, ranks, newer_than_ns
        self.found = 0
        self.entries: Iterator[os.DirEntry[str]] = iter(())

    def begin(self) -> None:
        """Start the walk."""
        self.entries = self.shared(self.folder)

    def shared(self, directory: Path) -> Iterator[os.DirEntry[str]]:
        """A rank's share of a directory that all ranks walk through."""
        with os.scandir(directory) as entries:
            for entry in entries:
                mine = zlib.crc32(entry.name.encode()) % self.ranks == self.rank
                if not entry.is_dir(follow_symlinks=False):
                    if mine:
                        yield entry
                elif entry.name.isdecimal():        # a rank's own: walked through by one rank
                    if int(entry.name) % self.ranks == self.rank:
                        yield from self.whole(entry.path)
                else:
                    yield from self.shared(Path(entry.path))

    def whole(self, directory: str) -> Iterator[os.DirEntry[str]]:
        """All of a directory that is one rank's alone."""
        with os.scandir(directory) as entries:
            yield from entries

    def step(self, i: int) -> None:
        """Look at one entry; StopIteration behind the last."""
        entry = next(self.entries)
        found = entry.stat(follow_symlinks=False)
        self.found += (found.st_size == SMALL and NEEDLE in entry.name
                       and found.st_mtime_ns > self.mark)


def expected_matches(tree: Tree, rank: int, count: int) -> int:
    """How many of a rank's files of the hard tree the walk must find."""
    return sum(NEEDLE in tree.name(rank, i) for i in range(count))


def scan(meeting: Meeting, folder: Path, mark_ns: int, entries: int, matches: int) -> Phase:
    """Walk; the phase is invalid where the numbers are not those that must be there.

    Parameters
    ----------
    mark_ns : time of the mark
    entries, matches : how many names there are in all, and how many must be found
    """
    work = Scan(folder, meeting.rank, meeting.size, mark_ns)
    phase = measure(meeting, work, ENDLESS, None)
    found = int(meeting.reduce([work.found], MPI.SUM)[0])
    phase.evidence |= {"found": found, "expected": matches, "entries": entries}
    if not phase.errors and (found != matches or phase.total != entries):
        phase.mismatches += 1
        phase.reasons.append(f"found {found} of {matches} files among {phase.total} of {entries} "
                             "entries")
    return phase
