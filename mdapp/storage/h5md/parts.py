"""The files of a trajectory: `melt.h5md`, then `melt.0001.h5md`, `melt.0002.h5md` and so on.

A name tells what can be relied on. `melt.h5md` is complete and synced to the device. While a part
grows it is `melt.part.h5md`: it can be read, by the suffix that readers go by, and every frame in
it is whole as long as the machine stays up. `melt.h5md.new` is a part that has no whole frame yet,
and of no use to anybody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mdapp.storage.files import FileSystem

GROWING, DRAFT = ".part", ".new"
FINAL = ""


@dataclass(frozen=True)
class Part:
    """Names of one part.

    Attributes
    ----------
    final : Path
        Its name when it is complete.
    """

    final: Path

    @property
    def growing(self) -> Path:
        """Its name while frames are added."""
        return self.final.with_name(self.final.stem + GROWING + self.final.suffix)

    @property
    def draft(self) -> Path:
        """Its name before it has a frame."""
        return self.final.with_name(self.final.name + DRAFT)


def part(path: Path, number: int) -> Part:
    """Return the names of a part, counted from 0, of the trajectory `path`."""
    return Part(path.with_name(f"{path.stem}.{number:04d}{path.suffix}") if number else path)


def existing(path: Path, fs: FileSystem) -> dict[int, dict[str, Path]]:
    """Parts in the folder by number, and their files by state: FINAL, GROWING, DRAFT."""
    pattern = re.compile(rf"{re.escape(path.stem)}(?:\.(\d{{4,}}))?({GROWING})?"
                         rf"{re.escape(path.suffix)}({DRAFT})?")
    found: dict[int, dict[str, Path]] = {}
    for name in fs.listdir(path.parent):
        if match := pattern.fullmatch(name):
            number = int(match[1] or 0)
            names = part(path, number)
            states = {names.final: FINAL, names.growing: GROWING, names.draft: DRAFT}
            file = path.with_name(name)
            if file in states:
                found.setdefault(number, {})[states[file]] = file
    return dict(sorted(found.items()))
