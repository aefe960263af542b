"""Type and stripe of a file system, from what the kernel and Lustre say."""

import errno
import os
import struct
from pathlib import Path

import pytest

from mdapp.storage.disk import Disk, disk_of, file_system_type, stripe_of_layout
from mdapp.storage.files import FileSystem

MiB = 1 << 20


def plain(stripe: int, magic: int = 0x0BD10BD0) -> bytes:
    """`lov_user_md`: magic, pattern, object (16 bytes), stripe size, stripe count, first server."""
    return struct.pack("<II16xIHH", magic, 1, stripe, 4, 0)


def composite(*stripes: int) -> bytes:
    """`lov_comp_md_v1` with one component for each stripe; the blobs follow the entries."""
    blobs = [plain(s, 0x0BD30BD0) + bytes(16) for s in stripes]
    at, entries = 32 + 48 * len(blobs), b""
    for k, blob in enumerate(blobs):
        entries += struct.pack("<IIQQII16x", k + 1, 0, k << 30, (k + 1) << 30, at, len(blob))
        at += len(blob)
    header = struct.pack("<IIIHH16x", 0x0BD60BD0, at, 1, 0, len(blobs))
    return header + entries + b"".join(blobs)


class Lustre(FileSystem):
    """Answers for the attribute; all else is real."""

    def __init__(self, layouts: dict[str, bytes]):
        self.layouts = layouts

    def call(self, kind, function, *args, **kwargs):
        if kind != "getxattr":
            return super().call(kind, function, *args, **kwargs)
        path, name = args
        if name != "lustre.lov" or path.name not in self.layouts:
            raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))
        return self.layouts[path.name]


class Gpfs(FileSystem):
    """Prefers transfers of a block."""

    def call(self, kind, function, *args, **kwargs):
        if function is not os.stat:
            return super().call(kind, function, *args, **kwargs)

        class Status:
            st_blksize = 8 * MiB

        return Status


def mounts(folder: Path, kind: str) -> Path:
    path = folder / "mounts"
    root = str(folder.resolve()).replace(" ", r"\040")
    path.write_text(f"/dev/sda / ext4 rw 0 0\nold {root} tmpfs rw 0 0\nserver {root} {kind} rw\n")
    return path


@pytest.mark.parametrize(("layouts", "stripe"), [
    ({"data": plain(4 * MiB)}, 4 * MiB),
    ({"LOCK": plain(2 * MiB)}, 2 * MiB),
    ({"data": plain(4 * MiB), "LOCK": plain(2 * MiB)}, 4 * MiB),
    ({"data": plain(0), "LOCK": plain(2 * MiB)}, 2 * MiB),
    ({"data": composite(MiB, 16 * MiB)}, 16 * MiB),
    ({"data": composite()}, 0),
    ({"data": composite(MiB)[:60]}, 0),
    ({"data": b"abc"}, 0),
    ({"data": bytes(100)}, 0),
    ({}, 0),
])  # fmt: skip
def test_lustre(tmp_path: Path, layouts: dict[str, bytes], stripe: int) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    found = disk_of(Lustre(layouts), folder, mounts(tmp_path, "lustre"))
    assert found == Disk("lustre", stripe)
    assert found.alignment == (stripe or MiB)


def test_gpfs(tmp_path: Path) -> None:
    assert disk_of(Gpfs(), tmp_path, mounts(tmp_path, "gpfs")) == Disk("gpfs", 8 * MiB)


def test_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "with a blank"
    folder.mkdir()
    assert disk_of(FileSystem(), folder, mounts(folder, "nfs4")) == Disk("nfs4", 0)
    assert file_system_type(folder, tmp_path / "no such file") == ""
    assert disk_of(FileSystem(), folder).alignment == MiB


@pytest.mark.parametrize("stripe", [0, 512, 65536 + 1, 17 * MiB, 1 << 30])
def test_what_makes_no_sense_is_not_aligned_to(stripe: int) -> None:
    assert Disk("lustre", stripe).alignment == MiB


@pytest.mark.parametrize("length", range(0, 140, 7))
def test_no_layout_is_a_crash(length: int) -> None:
    assert stripe_of_layout(composite(MiB, MiB)[:length]) in (0, MiB)
