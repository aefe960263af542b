"""What can be known of the file system under a folder: its type, and the stripe to align to.

A write that ends where a stripe ends goes to one server and takes one lock; so datasets begin at a
multiple of the stripe. Lustre tells it in an extended attribute, of a folder if somebody set a
layout there, of any file always; the lock file will do. For GPFS the preferred size of a transfer
is the block. Elsewhere, and where the answer makes no sense, it is 1 MiB: a multiple of every page
and of most stripes.

Lustre's attribute is the structure `lov_user_md` of its public header `lustre_user.h`. In a
composite layout the last component counts, in which all but the beginning of a large file lies.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdapp.storage.container import ALIGN_FROM, ALIGNMENT
from mdapp.storage.files import FileSystem
from mdapp.storage.names import LOCK

# Beyond, the gaps between datasets cost more than whole stripes win.
MOST_ALIGNMENT = 16 << 20
LUSTRE_LAYOUT = "lustre.lov"
PLAIN, PLAIN_WITH_POOL, COMPOSITE = 0x0BD10BD0, 0x0BD30BD0, 0x0BD60BD0
ENTRIES_AT, ENTRY_BYTES, BLOB_IN_ENTRY = 32, 48, 24


@dataclass(frozen=True)
class Disk:
    """A file system.

    Attributes
    ----------
    type : as the kernel names it; empty where unknown
    stripe : bytes that go to one server before the next one's turn; 0 where unknown
    """

    type: str
    stripe: int

    @property
    def alignment(self) -> int:
        """Bytes to align large datasets to."""
        fits = ALIGN_FROM <= self.stripe <= MOST_ALIGNMENT and self.stripe % 4096 == 0
        return self.stripe if fits else ALIGNMENT

    def as_json(self) -> dict[str, Any]:
        """Entry of the manifest."""
        return {"type": self.type, "stripe": self.stripe, "alignment": self.alignment}


UNKNOWN = Disk("", 0)


def disk_of(fs: FileSystem, folder: Path, mounts: Path = Path("/proc/self/mounts")) -> Disk:
    """Describe the file system that holds `folder`; never fails for what it cannot find out."""
    kind = file_system_type(folder, mounts)
    stripe = 0
    try:
        if kind == "lustre":
            stripe = _lustre_stripe(fs, folder)
        elif kind == "gpfs":
            stripe = fs.call("stat", os.stat, folder).st_blksize
    except OSError:
        stripe = 0
    return Disk(kind, stripe)


def file_system_type(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """Type of the file system that holds `path`, as the kernel names it; empty where unknown."""
    try:
        real = path.resolve()
        lines = [m.split() for m in mounts.read_text().splitlines()]
    except OSError:
        return ""
    inside = [m for m in lines if len(m) > 2 and real.is_relative_to(_unescaped(m[1]))]
    # Of two mounts at one point the later one is seen.
    return max(reversed(inside), key=lambda m: len(m[1]))[2] if inside else ""


def _unescaped(mount_point: str) -> str:
    """Undo the octal escapes of blanks in a line of mounts."""
    return mount_point.replace(r"\040", " ").replace(r"\011", "\t").replace(r"\134", "\\")


def _lustre_stripe(fs: FileSystem, folder: Path) -> int:
    for path in (folder, folder / LOCK):
        try:
            layout = fs.call("getxattr", os.getxattr, path, LUSTRE_LAYOUT)
        except OSError:         # no layout of its own, no such file, or no such attribute
            continue
        stripe = stripe_of_layout(layout)
        if stripe:
            return stripe
    return 0


def stripe_of_layout(layout: bytes) -> int:
    """Stripe in bytes, from Lustre's attribute; 0 for what is not understood."""
    try:
        (magic,) = struct.unpack_from("<I", layout)
        if magic == COMPOSITE:
            (entries,) = struct.unpack_from("<H", layout, 14)
            last = ENTRIES_AT + (entries - 1) * ENTRY_BYTES
            (blob,) = struct.unpack_from("<I", layout, last + BLOB_IN_ENTRY)
            layout = layout[blob:]
            (magic,) = struct.unpack_from("<I", layout)
        if magic not in (PLAIN, PLAIN_WITH_POOL):
            return 0
        return int(struct.unpack_from("<I", layout, 24)[0])
    except struct.error:
        return 0
