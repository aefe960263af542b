"""What a run will do, decided and shown before it writes a byte.

The cap on bytes is shared: half of it for the easy files, three tenths for the shared file, the
rest for checkpoints and small files, whose inodes count. A phase that reaches its share before
the deadline is shorter than it should be: no harm in `smoke`, no number in `full`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mdapp.errors import InputError
from mdapp.stress.bulk import RECORD, TRANSFER
from mdapp.stress.checkpoints import BYTES_PER_ATOM, NUMBER

GIB = 1 << 30
EASY_SHARE, HARD_SHARE, SMALL_SHARE = 0.5, 0.3, 0.1
INODE_BYTES, SMALL_FILE_BYTES = 512, 8192
DEADLINE_OF_FULL = 300.0
MIN_FREE = 0.2
MOST_ATOMS = 4_000_000          # of a rank, in a checkpoint

PHASES = (
    "easy-write", "meta-easy-create", "mark", "hard-write", "meta-hard-create", "scan",
    "easy-read", "meta-easy-stat", "hard-read", "meta-hard-stat", "meta-easy-delete",
    "meta-hard-read", "meta-hard-delete", "random-read", "ckpt-write", "ckpt-read",
)  # fmt: skip
POSIX = "posix"
APIS = (POSIX, "h5py", "mpio-independent", "mpio-collective")


@dataclass(frozen=True)
class Profile:
    """How long and how often.

    Attributes
    ----------
    deadline_s : of phases that write, and of random reads
    repeats : passes through all phases
    max_bytes : cap where the user gives none
    most_files : of each rank and kind
    apis : where the user names none
    """

    name: str
    deadline_s: float
    repeats: int
    max_bytes: int
    most_files: int
    apis: tuple[str, ...]


PROFILES = {
    p.name: p
    for p in (
        Profile("smoke", 2.0, 1, GIB, 2_000, APIS),
        Profile("quick", 30.0, 3, 64 * GIB, 100_000, (POSIX,)),
        Profile("full", DEADLINE_OF_FULL, 1, 64 * GIB, 1_000_000, (POSIX,)),
    )
}


@dataclass(frozen=True)
class Plan:
    """Everything that decides what a run does.

    Attributes
    ----------
    profile : its name
    deadline_s, repeats : see Profile
    max_bytes : on the file system at any time
    easy_transfers, records, easy_files, hard_files : most operations of each rank
    atoms : of a checkpoint, each rank
    phases, apis : which; those of posix come first, in the order of IO500
    min_free : share of the file system that stays free
    """

    profile: str
    deadline_s: float
    repeats: int
    max_bytes: int
    easy_transfers: int
    records: int
    easy_files: int
    hard_files: int
    atoms: int
    phases: tuple[str, ...]
    apis: tuple[str, ...]
    min_free: float
    ranks: int

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def most(self, kind: str) -> int:
        """Most operations of a rank on large files of a kind."""
        return self.easy_transfers if kind == "easy" else self.records

    @property
    def bytes(self) -> int:
        """Most bytes of data on the file system at one time."""
        here = self.phases
        checkpoints = self.atoms * BYTES_PER_ATOM * NUMBER * ("ckpt-write" in here)
        return self.ranks * max(
            checkpoints, self.easy_transfers * TRANSFER * ("easy-write" in here)
            + self.records * RECORD * ("hard-write" in here)
            + self.easy_files * INODE_BYTES * ("meta-easy-create" in here)
            + self.hard_files * SMALL_FILE_BYTES * ("meta-hard-create" in here))

    @property
    def files(self) -> int:
        """Most files at one time."""
        here = self.phases
        return self.ranks * (
            ("easy-write" in here) + self.easy_files * ("meta-easy-create" in here)
            + self.hard_files * ("meta-hard-create" in here)) + ("hard-write" in here) + 1

    def sentence(self) -> str:
        """What is printed before anything is written."""
        return (f"at most {self.bytes / GIB:.2f} GiB in {self.files} files at a time, "
                f"{self.repeats} pass{'es' * (self.repeats > 1)} of {len(self.phases)} phases "
                f"({', '.join(self.apis)}), deadline {self.deadline_s:g} s, on {self.ranks} ranks")


def make_plan(
    profile: Profile, ranks: int, directory: Path, *, phases: Sequence[str] = (),
    apis: Sequence[str] = (), max_bytes: int | None = None, files: int | None = None,
    deadline_s: float | None = None, repeats: int | None = None, min_free: float = MIN_FREE,
) -> Plan:  # fmt: skip
    """Divide the bytes, and see whether there is space for them.

    Raises
    ------
    InputError
        An unknown phase or API, a phase without the one it needs, too little space.
    """
    chosen = with_needed(phases)
    for api in apis:
        if api not in APIS:
            raise InputError(f"--api {api}: must be among {', '.join(APIS)}")
    wanted = {POSIX, *(apis or profile.apis)}
    status = os.statvfs(directory)
    total, free = (n * status.f_frsize for n in (status.f_blocks, status.f_bavail))
    cap = min(profile.max_bytes, free // 10) if max_bytes is None else max_bytes
    smallest = ranks * int(max(TRANSFER / EASY_SHARE, RECORD / HARD_SHARE,
                               SMALL_FILE_BYTES / SMALL_SHARE)) + 1
    if cap < smallest:
        raise InputError(f"--max-bytes {cap}: {ranks} ranks need at least {smallest} bytes" + (
            f" (a tenth of the {free} that are free)" if max_bytes is None else ""))
    if free - cap < min_free * total:
        raise InputError(f"{directory}: {free / GIB:.2f} of {total / GIB:.2f} GiB are free; "
                         f"{cap / GIB:.2f} GiB more would leave less than {min_free:.0%}: free "
                         "space, or lower --max-bytes or --min-free")
    most = profile.most_files if files is None else files
    each = cap / ranks
    return Plan(
        profile.name, profile.deadline_s if deadline_s is None else deadline_s,
        profile.repeats if repeats is None else repeats, cap,
        int(EASY_SHARE * each / TRANSFER), int(HARD_SHARE * each / RECORD),
        max(min(most, int(SMALL_SHARE / 2 * each / INODE_BYTES)), 1),
        max(min(most, int(SMALL_SHARE * each / SMALL_FILE_BYTES)), 1),
        min(MOST_ATOMS, int(EASY_SHARE * each / (NUMBER + 1) / BYTES_PER_ATOM)),
        chosen, tuple(a for a in APIS if a in wanted), min_free, ranks,
    )  # fmt: skip


# What a phase works on; `mark` is a file, and no phase that one would ask for by name.
NEEDS = {
    "easy-read": ("easy-write",), "random-read": ("easy-write",), "hard-read": ("hard-write",),
    "scan": ("easy-write", "meta-easy-create", "mark", "hard-write", "meta-hard-create"),
    "ckpt-read": ("ckpt-write",),
    **{f"meta-easy-{verb}": ("meta-easy-create",) for verb in ("stat", "delete")},
    **{f"meta-hard-{verb}": ("meta-hard-create",) for verb in ("stat", "read", "delete")},
}  # fmt: skip


def with_needed(phases: Sequence[str]) -> tuple[str, ...]:
    """Phases in the order of IO500, with those whose files they work on; all if none is named.

    Raises
    ------
    InputError
        A name that is none.
    """
    from difflib import get_close_matches

    wanted = set(phases) or set(PHASES)
    for name in sorted(wanted - set(PHASES)):
        near = get_close_matches(name, PHASES, 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise InputError(f"--phases {name}: there is no such phase{hint}; there are "
                         f"{', '.join(PHASES)}")
    for name in tuple(wanted):
        wanted |= set(NEEDS.get(name, ()))
    return tuple(p for p in PHASES if p in wanted)
