"""The layout check as a section of a plan."""

from __future__ import annotations

import time
from pathlib import Path

from mdapp.report.document import Block, Check, Column, Note, Section, Table
from scaling.model.decomposition import crystal_of, decompose, faults_of
from scaling.model.sparse_file import rows_of, try_file


def layout_section(natoms: int, ranks: int, density: float, reach: float,
                   folder: Path) -> Section:
    """Run the decomposition of every rank, and write the file that a checkpoint would be.

    Raises
    ------
    InputError
        The folder cannot be written.
    """
    began = time.perf_counter()
    crystal = crystal_of(natoms)
    made = decompose(crystal, ranks, density, reach)
    faults = faults_of(made)
    spent = time.perf_counter() - began
    blocks: list[Block] = [
        Check(name, "FAIL" if fault else "PASS", "layout", message=fault,
              seconds=spent / len(faults)) for name, fault in faults.items()]
    began = time.perf_counter()
    written = try_file(made, folder)
    size = f"{written.nominal} bytes ({written.nominal / 1e12:.3g} TB)"
    blocks.append(Check(
        "first, middle and last block are read back from where they belong",
        "FAIL" if written.fault else "PASS", "layout", seconds=time.perf_counter() - began,
        message=written.fault or f"a file of {size}, {written.on_disk / 1e6:.3g} MB of it on disk; "
                                 "verified by checksum and by HDF5, removed"))
    if written.refusal:
        blocks.append(Note(f"{folder}: the file system refused {size}: {written.refusal}; "
                           f"{written.files} smaller files stood for parts of it", "warning"))
    if not crystal.exact:
        blocks.append(Note(f"no crystal of nearly cubic shape has {natoms} atoms; checked with "
                           f"{crystal.atoms}"))
    cells = " x ".join(map(str, crystal.cells))
    facts = [
        ("crystal", f"{crystal.lattice}, {cells} cells, {crystal.atoms} atoms"),
        ("grid of ranks", " x ".join(map(str, made.grid.shape))),
        ("atoms of a rank", f"{made.counts.min()} .. {made.counts.max()}"),
        ("subdomains that the reach spans", " x ".join(map(str, made.hops))),
        ("blocks of the file", f"{rows_of(made)}"),
        ("last id", f"{int(made.first[-1] + made.counts[-1])}"),
    ]
    facts += [(f"block of rank {rank}", f"atoms {first} to {first + count - 1}, positions at byte "
                                        f"{offset}") for rank, first, count, offset in
              written.blocks]
    blocks.append(Table("layout", [Column("what"), Column("value", "")],
                        [{"what": a, "value": b} for a, b in facts]))
    return Section(f"Layout check: all {ranks} ranks", blocks)
