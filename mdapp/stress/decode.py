"""What happened to data that are wrong, told from the data themselves.

    zeros       a hole, or a write that was lost
    not read    the read said that it filled the buffer and did not
    misplaced   words of this run that belong elsewhere; two that changed places are `swapped`
    stale       words of an earlier run: old blocks that were never overwritten
    bit flip    few bits differ from what was written
    short file  the file ends before
    corrupted   none of these

A word is turned back into the place it belongs to (`pattern.unspread`). An arbitrary word may give
a place that exists too, if there are terabytes of data or many earlier runs; so a place counts only
where the word beside it gives the place beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdapp.stress.pattern import FILE_SHIFT, POISON, POISON_EVERY, Words, key_of, unspread

FEW_BITS = 8
MOST_FINDINGS = 16


@dataclass(frozen=True)
class Finding:
    """A stretch of wrong bytes.

    Attributes
    ----------
    kind : one of those above
    path : of the file, below the run's folder
    field, file : the field of the pattern, and the number of the file in it
    offset, nbytes : where in the file, and how many
    source : for what belongs elsewhere: (field, file, offset)
    detail : the rest of the sentence
    """

    kind: str
    path: str
    field: str
    file: int
    offset: int
    nbytes: int
    source: tuple[str, int, int] | None = None
    detail: str = ""

    def __str__(self) -> str:
        more = f": {self.detail}" if self.detail else ""
        return f"{self.path}: {self.nbytes} bytes at {self.offset:#x}: {self.kind}{more}"

    def as_json(self) -> dict[str, Any]:
        """Plain values, the sentence among them."""
        return {**asdict(self), "text": str(self)}


@dataclass
class Known:
    """What words can be recognised.

    Attributes
    ----------
    run : number of this run
    extents : field -> (files, bytes of the largest), as far as they were written
    earlier : numbers of earlier runs in this folder
    """

    run: int
    extents: dict[str, tuple[int, int]]
    earlier: Sequence[int] = ()

    def keys(self) -> Iterator[tuple[bool, str, np.uint64, tuple[int, int]]]:
        """(is stale, field, K, extent) of all that can be recognised, this run's first."""
        for number, stale in [(self.run, False), *((n, True) for n in self.earlier)]:
            for field, extent in self.extents.items():
                # An earlier run may have written more than this one.
                yield stale, field, key_of(number, field), (1 << 27, 1 << 40) if stale else extent


def decode(
    found: Words, right: Words, known: Known, field: str, file: int, offset: int, path: str
) -> list[Finding]:
    """Say what the wrong words of a transfer are.

    Parameters
    ----------
    found, right : (n,) what was read and what was written
    field, file, offset, path : where the transfer lies
    """
    wrong = np.flatnonzero(found != right)
    if not len(wrong):
        return []
    kinds = np.full(len(wrong), "corrupted", "<U10")
    origin = np.full(len(wrong), -1, np.int64)          # number of the word's true place
    fields = np.full(len(wrong), "", "<U32")
    words = found[wrong]
    blank = (words == 0) | (words == POISON)
    steps = np.diff(wrong)
    flipped = np.bitwise_count(words ^ right[wrong])
    kinds[flipped <= FEW_BITS] = "bit flip"
    kinds[words == 0] = "zeros"
    for stale, name, key, (files, size) in known.keys():  # noqa: SIM118 - not a mapping
        place = unspread(words) ^ key
        at = (place & np.uint64((1 << FILE_SHIFT) - 1)) << np.uint64(3)
        beside = np.diff(place.astype(np.int64)) == steps
        fits = ((place >> np.uint64(FILE_SHIFT) < files) & (at < size) & (origin < 0) & ~blank
                & (np.append(beside, False) | np.append(False, beside)))
        kinds[fits] = "stale" if stale else "misplaced"
        origin[fits], fields[fits] = place[fits].astype(np.int64), name
    not_read = {int(i) // POISON_EVERY for i in wrong[words == POISON]
                if i % POISON_EVERY == 0}
    if not_read:
        inside = np.isin(wrong // POISON_EVERY, list(not_read))
        kinds[inside], origin[inside], fields[inside] = "not read", -1, ""
    stretches = _stretches(wrong, kinds, origin, fields)
    return [_finding(wrong[a:b], kinds[a], origin[a], str(fields[a]), found, right,
                     field, file, offset, path)
            for a, b in stretches]  # fmt: skip


def _stretches(wrong: NDArray[np.int64], kinds: NDArray[Any], origin: NDArray[np.int64],
               fields: NDArray[Any]) -> list[tuple[int, int]]:
    """Runs of wrong words of one kind that were moved by one distance; the first few."""
    moved = np.where(origin >= 0, origin - wrong, 0)
    gap = np.diff(wrong) > np.where(kinds[1:] == "bit flip", 1, POISON_EVERY)
    new = gap | (kinds[1:] != kinds[:-1]) | (fields[1:] != fields[:-1]) | (np.diff(moved) != 0)
    starts = [0, *(np.flatnonzero(new) + 1)[: MOST_FINDINGS - 1]]
    ends = [*starts[1:], len(wrong)]
    return list(zip(map(int, starts), map(int, ends), strict=True))


def _finding(at: NDArray[np.int64], kind: str, origin: int, source: str, found: Words,
             right: Words, field: str, file: int, offset: int, path: str) -> Finding:
    begin, nbytes = offset + 8 * int(at[0]), 8 * int(at[-1] - at[0] + 1)
    plain = Finding(str(kind), path, field, file, begin, nbytes)
    if origin >= 0:
        n, g = int(origin) >> FILE_SHIFT, (int(origin) & ((1 << FILE_SHIFT) - 1)) << 3
        whose = "an earlier run's" if kind == "stale" else "this run's"
        detail = f"{whose} {source}, file {n}, offset {g:#x}"
        return replace(plain, source=(source, n, g), detail=detail)
    if kind == "zeros":
        return replace(plain, detail="a hole, or a write that was lost")
    if kind == "not read":
        return replace(plain, detail="the read returned and left the buffer as it was")
    bits = int(found[at[0]]) ^ int(right[at[0]])
    return replace(plain, detail=f"differs by {bits:#018x} in the first word "
                                 f"({bits.bit_count()} bits)")


def short_file(path: str, field: str, file: int, offset: int, missing: int) -> Finding:
    """A file that ends too early."""
    return Finding("short file", path, field, file, offset, missing, detail="the file ends here")


def name_swaps(findings: Sequence[Finding]) -> list[Finding]:
    """Call two stretches that hold what belongs to the other `swapped`."""
    places: Mapping[tuple[str, int, int], tuple[str, int, int] | None] = {
        (f.field, f.file, f.offset): f.source for f in findings if f.kind == "misplaced"}
    return [replace(f, kind="swapped", detail=f"with {f.detail}")
            if f.kind == "misplaced" and f.source is not None
            and places.get(f.source) == (f.field, f.file, f.offset) else f
            for f in findings]  # fmt: skip
