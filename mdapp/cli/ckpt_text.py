"""What `mdapp ckpt` tells people: checkpoints, verdicts and manifests as lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mdapp.storage.audit import Verdict
    from mdapp.storage.blocks import Table
    from mdapp.storage.catalogue import Entry
    from mdapp.storage.manifest import FileEntry, Manifest, Writer
    from mdapp.storage.repair import Repair

    Tables = Sequence[tuple[FileEntry, Writer, Table]]

MOST_DAMAGES = 20
MOST_FILES = 50
CODES = {0: "good", 1: "DAMAGED", 4: "CANNOT BE READ", 6: "OF A NEWER FORMAT"}
LIST_HEAD = ["name", "time", "atoms", "size", "files", "age", "layout", "level", "state",
             "verified"]  # fmt: skip


def size(nbytes: int) -> str:
    """Bytes as people read them, in powers of 1000."""
    value, units = float(nbytes), ["kB", "MB", "GB", "TB", "PB"]
    if value < 1000:
        return f"{nbytes} B"
    while value >= 999.5 and units:
        value, unit = value / 1000, units.pop(0)
    return f"{value:.3g} {unit}"


def age(seconds: float) -> str:
    """Seconds in the largest unit that fits."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of columns, the first to the left and the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def listing(entries: Sequence[Entry]) -> list[str]:
    """A table of checkpoints."""
    return aligned([LIST_HEAD, *(_list_row(e) for e in entries)])


def _list_row(e: Entry) -> list[str]:
    return [
        e.name,
        "-" if e.time is None else f"{e.time:g}",
        "-" if e.natoms is None else str(e.natoms),
        "-" if e.bytes is None else size(e.bytes),
        "-" if e.files is None else str(e.files),
        "-" if e.age_s is None else age(e.age_s),
        e.layout or "-",
        e.level or "-",
        e.state,
        "yes" if e.verified else "no",
    ]


def verdict_lines(verdict: Verdict) -> list[str]:
    """Say what an audit found: a line, and one for each thing that is wrong."""
    about = f"{verdict.path.name}  {CODES.get(verdict.code, str(verdict.code))}"
    if verdict.good:
        speed = f", {verdict.bytes / verdict.seconds / 1e9:.2f} GB/s" if verdict.seconds else ""
        about += f"  ({verdict.level}: {size(verdict.bytes)}{speed})"
    wrong = verdict.lines()
    more = [f"and {len(wrong) - MOST_DAMAGES} more"] if len(wrong) > MOST_DAMAGES else []
    return [about, *(f"  {t}" for t in [*wrong[:MOST_DAMAGES], *more, *verdict.remarks])]


def repair_lines(folder: Path, result: Repair, dry_run: bool) -> list[str]:
    """Say what a repair did."""
    would = "would be " if dry_run else ""
    lines = [f"{name}: {would}removed, left over" for name in result.removed]
    for old, new in result.rebuilt.items():
        lines.append(f"{old}: HDF5 metadata {would}made anew from good blocks, as {new}")
    for verdict in result.still_damaged:
        lines += [*verdict_lines(verdict), "  cannot be repaired; a restart takes an older one"]
    lines += result.warnings
    if not result.latest:
        lines.append(f"{folder}: holds no good checkpoint")
    elif result.hint_was == result.latest:
        lines.append(f"LATEST is {result.latest}, the newest good one")
    else:
        lines.append(f"LATEST {would}set to {result.latest} (was {result.hint_was or 'missing'})")
    return lines


def description(path: Path, m: Manifest, neighbours: Sequence[Entry]) -> list[str]:
    """Show a manifest: what it is, where it comes from, and what it is made of."""
    parent = next((e.name for e in neighbours if e.uuid == m.parent_uuid), "not in this folder")
    lines = aligned_pairs([
        ("checkpoint", path.name),
        ("step", f"{m.step}, time {m.time:g} in steps of {m.dt:g} ({m.units} units)"),
        ("atoms", f"{m.natoms}: " + ", ".join(
            f"{count} of type {name}"
            for name, count in zip(m.species, m.natoms_by_type, strict=True))),
        ("box", "; ".join(" ".join(f"{v:g}" for v in row) for row in m.box.edges.tolist())
         + " from " + " ".join(f"{v:g}" for v in m.box.lo.tolist())
         + ", " + " ".join("p" if p else "f" for p in m.box.periodic.tolist())),
        ("state hash", m.state_hash),
        ("uuid", m.uuid),
        ("parent", f"{m.parent_uuid} ({parent})" if m.parent_uuid else "none, a first one"),
        ("run", m.run_uuid),
        ("format", f"{m.version[0]}.{m.version[1]}, blocks of {m.block_atoms} atoms"),
        ("written", f"layout {m.layout}, engine {m.engine}, mode {m.mode}, "
                    f"{len(m.files)} files, {size(m.bytes)}"),
        *((key, _pairs(value)) for key, value in
          [("decomposition", m.decomposition), *m.plain.items()] if value and key != "deck"),
    ])  # fmt: skip
    fields = [["field", "type", "shape", "unit", "role"]]
    fields += [
        [f.name, f.dtype, "x".join(map(str, ("n", *f.shape_tail))), f.unit, f.role]
        for f in m.fields
    ]
    files = [["file", "size", "head", "writers", "atoms", "blocks"]]
    files += [
        [f.path, str(f.size), str(f.head_len), str(len(f.writers)),
         str(sum(w.natoms for w in f.writers)), str(sum(w.rows for w in f.writers))]
        for f in m.files[:MOST_FILES]
    ]  # fmt: skip
    more = len(m.files) - MOST_FILES
    rest = [f"and {more} more files (--json has all)"] if more > 0 else []
    outputs = [f"output {_pairs(o)}" for o in m.outputs]
    return [*lines, "", *aligned(fields), "", *aligned(files), *rest, *outputs]


def aligned_pairs(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Lines of a name and what it is."""
    width = max(len(name) for name, _ in pairs)
    return [f"{name.ljust(width)}  {text}" for name, text in pairs]


def _pairs(table: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_value(value)}" for key, value in table.items())


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return f"({_pairs(value)})"
    if isinstance(value, list):
        shown = " ".join(_value(v) for v in value[:8])
        return f"[{shown}{' ...' if len(value) > 8 else ''}]"
    return str(value)


def block_facts(m: Manifest, tables: Tables) -> list[dict[str, Any]]:
    """Rows of all block tables, for JSON."""
    names = [f.name for f in m.fields]
    return [
        {
            "file": entry.path, "rank": writer.rank, "block": k,
            "first": int(row["first"]), "count": int(row["count"]),
            "bbox_lo": row["bbox_lo"].tolist(), "bbox_hi": row["bbox_hi"].tolist(),
            "id_min": int(row["id_min"]), "id_max": int(row["id_max"]),
            "offset": dict(zip(names, row["offset"].tolist(), strict=True)),
            "crc": {n: f"{c:08x}" for n, c in zip(names, row["crc"].tolist(), strict=True)},
        }
        for entry, writer, table in tables
        for k, row in enumerate(table)
    ]  # fmt: skip


def block_lines(m: Manifest, tables: Tables) -> list[str]:
    """Rows of all block tables, for people."""
    rows = [["file", "rank", "block", "first", "atoms", "ids", "from", "to",
             *(f"crc {f.name}" for f in m.fields)]]  # fmt: skip
    for fact in block_facts(m, tables):
        rows.append([
            fact["file"], str(fact["rank"]), str(fact["block"]), str(fact["first"]),
            str(fact["count"]), f"{fact['id_min']}-{fact['id_max']}",
            " ".join(f"{v:g}" for v in fact["bbox_lo"]),
            " ".join(f"{v:g}" for v in fact["bbox_hi"]), *fact["crc"].values(),
        ])  # fmt: skip
    return ["", *aligned(rows)]
