"""The manifest of a checkpoint: everything about it that is not an atom.

It is written last, so that its presence says that all else is there, and it holds the sizes and
checksums by which each other byte can be judged. A reader takes nothing on trust: what is missing,
of the wrong kind or in conflict with the rest is a named error, never a KeyError in the middle of a
restart. Values that only a run understands (integrator, rng, potential, deck) are objects that pass
through unread.

Within a major version keys are only added; a reader of [1, 0] reads [1, 7] and ignores what it does
not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdapp.model.box import Box
from mdapp.storage.blocks import row_dtype
from mdapp.storage.envelope import ALGORITHM, seal, unseal
from mdapp.storage.errors import DamagedError, FormatVersionError
from mdapp.storage.names import MANIFEST
from mdapp.storage.reader import Reader
from mdapp.storage.state import DTYPES, STANDARD, Field

VERSION = (1, 0)
STATE_HASH = "splitmix64-sum"
PLAIN = ("integrator", "rng", "potential", "deck", "invariants", "software", "storage", "timings")


@dataclass(frozen=True)
class Writer:
    """What one rank wrote into a file: where its rows of the block table lie, and their CRC."""

    rank: int
    first_atom: int
    natoms: int
    table_offset: int
    rows: int
    table_crc: int


@dataclass(frozen=True)
class FileEntry:
    """One file: its size, and length and CRC of its head, which is all that HDF5 wrote."""

    path: str
    size: int
    head_len: int
    head_crc: int
    writers: tuple[Writer, ...]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A manifest; see checkpoints' format description for the meaning of each value.

    Attributes
    ----------
    first_atom of writers counts within the whole checkpoint; block_atoms is the size of all blocks
    of a writer but its last.
    """

    uuid: str
    parent_uuid: str
    run_uuid: str
    step: int
    time: float
    dt: float
    units: str
    natoms: int
    natoms_by_type: tuple[int, ...]
    species: tuple[str, ...]
    mass: tuple[float, ...]
    box: Box
    fields: tuple[Field, ...]
    files: tuple[FileEntry, ...]
    block_atoms: int
    state_hash: str
    layout: str
    engine: str
    mode: str
    decomposition: dict[str, Any]
    plain: dict[str, dict[str, Any]]
    outputs: tuple[dict[str, Any], ...] = ()
    version: tuple[int, int] = VERSION

    @property
    def bytes(self) -> int:
        """Bytes of all files but the manifest."""
        return sum(f.size for f in self.files)


def encode(manifest: Manifest) -> bytes:
    """Bytes of the manifest's file."""
    m = manifest
    half = len(m.state_hash) // 2
    return seal(
        {
            "version": list(m.version),
            "uuid": m.uuid, "parent_uuid": m.parent_uuid, "run_uuid": m.run_uuid,
            "step": m.step, "time": m.time, "dt": m.dt, "units": m.units,
            "natoms": m.natoms, "natoms_by_type": list(m.natoms_by_type),
            "species": list(m.species), "mass": list(m.mass),
            "box": {"origin": m.box.lo.tolist(), "edges": m.box.edges.tolist(),
                    "periodic": m.box.periodic.tolist()},
            "fields": [{"name": f.name, "dtype": f.dtype, "shape_tail": list(f.shape_tail),
                        "unit": f.unit, "role": f.role} for f in m.fields],
            "files": [_file(f) for f in m.files],
            "checksum": {"block": ALGORITHM, "table": ALGORITHM, "head": ALGORITHM,
                         "block_atoms": m.block_atoms, "row": _row_text(len(m.fields))},
            "state_hash": {"algo": STATE_HASH, "h1": m.state_hash[:half],
                           "h2": m.state_hash[half:], "count": m.natoms},
            "layout": m.layout, "engine": m.engine, "mode": m.mode,
            "decomposition": m.decomposition, "outputs": list(m.outputs),
            **m.plain,
        }
    )  # fmt: skip


def _file(entry: FileEntry) -> dict[str, Any]:
    writers = [
        {"rank": w.rank, "first_atom": w.first_atom, "natoms": w.natoms, "rows": w.rows,
         "table_offset": w.table_offset, "table_crc": f"{w.table_crc:08x}"}
        for w in entry.writers
    ]  # fmt: skip
    return {"path": entry.path, "size": entry.size, "head_len": entry.head_len,
            "head_crc": f"{entry.head_crc:08x}", "writers": writers}  # fmt: skip


def _row_text(nfields: int) -> list[list[Any]]:
    """Type of the block table's rows, spelled out for readers that are not mdapp."""
    fields: Mapping[str, Any] = row_dtype(nfields).fields or {}
    return [
        [name, kind.base.str, list(kind.shape), offset]
        for name, (kind, offset, *_) in fields.items()
    ]


def decode(data: bytes, name: str = MANIFEST) -> Manifest:
    """Read a manifest's file.

    Parameters
    ----------
    name
        What to call it in messages.

    Raises
    ------
    DamagedError
        Anything missing, odd or in conflict.
    FormatVersionError
        A newer major version, or an unknown algorithm.
    """
    body = Reader(unseal(data, name), name)
    version = body.integers("version", 2)
    if version[0] != VERSION[0]:
        raise FormatVersionError(
            f"{name}: format version {version[0]}.{version[1]}; this mdapp reads {VERSION[0]}.x: "
            "use the mdapp that wrote it, or a newer one"
        )
    fields = tuple(_read_field(f) for f in body.each("fields"))
    if fields[: len(STANDARD)] != STANDARD:
        raise body.wrong("fields", "id, x, v, type, image and then others")
    if len({f.name for f in fields}) != len(fields):
        raise body.wrong("fields", "different names")
    natoms = body.integer("natoms")
    manifest = Manifest(
        version=(version[0], version[1]),
        uuid=body.hexadecimal("uuid", 32),
        parent_uuid=_uuid_or_none(body, "parent_uuid"),
        run_uuid=body.hexadecimal("run_uuid", 32),
        step=body.integer("step"),
        time=body.number("time"),
        dt=body.number("dt"),
        units=body.text("units"),
        natoms=natoms,
        natoms_by_type=tuple(body.integers("natoms_by_type")),
        species=tuple(body.texts("species")),
        mass=tuple(body.numbers("mass")),
        box=_read_box(body.inner("box")),
        fields=fields,
        files=tuple(_read_file(f) for f in body.each("files")),
        block_atoms=_read_checksum(body.inner("checksum"), len(fields)),
        state_hash=_read_hash(body.inner("state_hash"), natoms),
        layout=body.text("layout"),
        engine=body.text("engine"),
        mode=body.text("mode"),
        decomposition=body.table("decomposition"),
        plain={key: body.table(key) for key in PLAIN},
        outputs=tuple(o.value for o in body.each("outputs")),
    )
    _check_counts(manifest, body)
    return manifest


def _uuid_or_none(body: Reader, key: str) -> str:
    return "" if body.value.get(key) == "" else body.hexadecimal(key, 32)


def _read_field(field: Reader) -> Field:
    name = field.text("name")
    if not name.isidentifier():
        raise field.wrong("name", "a name")
    tail = tuple(field.integers("shape_tail", least=1))
    if len(tail) > 2 or any(k > 1 << 20 for k in tail):
        raise field.wrong("shape_tail", "a shape of at most two small numbers")
    return Field(name, field.text("dtype", DTYPES), tail, field.text("unit"), field.text("role"))


def _read_box(box: Reader) -> Box:
    rows = box.array("edges", 3)
    edges = [Reader({"row": row}, f"{box.where}.edges[{k}]").numbers("row", 3)
             for k, row in enumerate(rows)]  # fmt: skip
    try:
        return Box.from_vectors(edges, box.truths("periodic", 3), box.numbers("origin", 3))
    except ValueError as error:
        raise DamagedError(f"{box.where}: {error}") from None


def _read_checksum(checksum: Reader, nfields: int) -> int:
    for key in ("block", "table", "head"):
        algorithm = checksum.text(key)
        if algorithm != ALGORITHM:
            raise FormatVersionError(
                f"{checksum.where}.{key} = {algorithm!r}: this version of mdapp knows {ALGORITHM}"
            )
    if checksum.array("row") != _row_text(nfields):
        raise checksum.wrong("row", "the rows that version 1 has")
    return checksum.integer("block_atoms", 1, 1 << 24)


def _read_hash(state_hash: Reader, natoms: int) -> str:
    algorithm = state_hash.text("algo")
    if algorithm != STATE_HASH:
        raise FormatVersionError(
            f"{state_hash.where}.algo = {algorithm!r}: this version of mdapp knows {STATE_HASH}"
        )
    if state_hash.integer("count") != natoms:
        raise state_hash.wrong("count", f"the number of atoms, {natoms}")
    return state_hash.hexadecimal("h1", 16) + state_hash.hexadecimal("h2", 16)


def _read_file(entry: Reader) -> FileEntry:
    path = entry.text("path")
    parts = path.split("/")
    if not path or any(p in ("", ".", "..") or "\0" in p for p in parts):
        raise entry.wrong("path", "a path inside the checkpoint")
    size = entry.integer("size", 1)
    return FileEntry(
        path, size, entry.integer("head_len", 1, size), int(entry.hexadecimal("head_crc", 8), 16),
        tuple(_read_writer(w, size) for w in entry.each("writers")),
    )  # fmt: skip


def _read_writer(writer: Reader, size: int) -> Writer:
    return Writer(
        writer.integer("rank"), writer.integer("first_atom"), writer.integer("natoms"),
        writer.integer("table_offset", 0, size), writer.integer("rows"),
        int(writer.hexadecimal("table_crc", 8), 16),
    )  # fmt: skip


def _check_counts(m: Manifest, body: Reader) -> None:
    """Atoms are counted in several places; all must agree."""
    if not len(m.species) == len(m.mass) == len(m.natoms_by_type):
        raise body.wrong("species", "as long as mass and natoms_by_type")
    if sum(m.natoms_by_type) != m.natoms:
        raise body.wrong("natoms_by_type", f"{m.natoms} atoms in all")
    row_bytes, first = row_dtype(len(m.fields)).itemsize, 0
    for k, entry in enumerate(m.files):
        for w in entry.writers:
            where = f"{body.where}.files[{k}] ({entry.path}), rank {w.rank}"
            if w.first_atom != first:
                raise DamagedError(f"{where}: first_atom = {w.first_atom}: must be {first}")
            if w.rows != -(-w.natoms // m.block_atoms):
                raise DamagedError(f"{where}: {w.rows} blocks do not hold {w.natoms} atoms")
            if w.table_offset + w.rows * row_bytes > entry.size:
                raise DamagedError(f"{where}: its block table lies beyond the end of the file")
            first += w.natoms
    if first != m.natoms:
        raise DamagedError(f"{body.where}.files: hold {first} of {m.natoms} atoms")
    if len({f.path for f in m.files}) != len(m.files):
        raise body.wrong("files", "different paths")


def plain_mass(mass: np.ndarray[Any, Any]) -> tuple[float, ...]:
    """Masses as JSON holds them."""
    return tuple(float(m) for m in mass)
