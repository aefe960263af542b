"""A set: the checkpoint of one step as nodes keep it, each its own part, some with a second copy.

A part, or fragment, is an ordinary checkpoint of the atoms of one node, so that all tools know it.
Its manifest says in addition which set it belongs to: an identity that is made anew for each
attempt, the number of the node and of all nodes, and atoms and state hash of the whole. With these,
fragments that lie about on many nodes sort themselves: a set stands if for each of its nodes some
copy is left, and if their atoms and hashes add up to the whole. What an older job left behind, or
an attempt that only some nodes finished, never adds up with anything else.

Whether the data of a fragment is good shows when it is read; a copy that is not is excluded, and
the choice is made again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mdapp.storage.catalogue import read_manifest
from mdapp.storage.errors import CheckpointError
from mdapp.storage.files import FileSystem
from mdapp.storage.manifest import Manifest
from mdapp.storage.names import step_name, step_of
from mdapp.storage.reader import Reader

LEVEL = "local"
KEY = "set"
# Folders of a node: fragments of its own, and copies that it keeps for another node.
OWN, PARTNER = "own", "partner"
PLACES = (OWN, PARTNER)
WORD = 1 << 64


@dataclass(frozen=True)
class SetFacts:
    """What a fragment's manifest says of its set.

    Attributes
    ----------
    uuid : of the set
    lineage : of the run; see `mdapp.storage.levels.lineage`
    node, nodes : number of the fragment, and of all
    ranks : that wrote the set
    natoms, state_hash : of the whole
    """

    uuid: str
    lineage: str
    node: int
    nodes: int
    ranks: int
    natoms: int
    state_hash: str

    def plain(self) -> dict[str, Any]:
        """Return all values by name, for the manifest."""
        return asdict(self)


def facts_of(manifest: Manifest) -> SetFacts | None:
    """What a manifest says of a set; None for a checkpoint that is whole by itself.

    Raises
    ------
    DamagedError
        It says something odd.
    """
    storage = manifest.plain["storage"]
    if KEY not in storage:
        return None
    told = Reader(storage[KEY], f"storage.{KEY}")
    nodes = told.integer("nodes", 1)
    return SetFacts(
        told.hexadecimal("uuid", 32), told.hexadecimal("lineage", 32),
        told.integer("node", 0, nodes - 1), nodes, told.integer("ranks", 1),
        told.integer("natoms"), told.hexadecimal("state_hash", 32),
    )  # fmt: skip


@dataclass(frozen=True)
class Fragment:
    """One copy of a node's part of a set.

    Attributes
    ----------
    facts : of its set
    step, uuid, natoms, state_hash : its own, from its manifest
    holder : number of the node that has this copy now
    place : own or partner, a folder of the holder
    """

    facts: SetFacts
    step: int
    uuid: str
    natoms: int
    state_hash: str
    holder: int
    place: str

    def path(self, folder: Path) -> Path:
        """Where it lies on its holder."""
        return folder / self.place / step_name(self.step)


@dataclass(frozen=True)
class Remark:
    """Something on a node that no restart uses, and why; `access` if it could not be read."""

    step: int
    where: str
    reason: str
    access: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


def look_around(
    fs: FileSystem, folder: Path, lineage: str, holder: int
) -> tuple[list[Fragment], list[Remark]]:
    """Fragments that a node has, by their manifests, and what else is there."""
    found: list[Fragment] = []
    remarks: list[Remark] = []
    for place in PLACES:
        try:
            names = fs.listdir(folder / place)
        except OSError as error:
            remarks.append(Remark(0, f"node {holder}, {folder / place}", str(error), access=True))
            continue
        for step, name in [(s, n) for n in names if (s := step_of(n)) is not None]:
            where = f"node {holder}, {folder / place / name}"
            try:
                manifest = read_manifest(folder / place / name, fs)
                facts = facts_of(manifest)
            except OSError as error:
                remarks.append(Remark(step, where, str(error), access=True))
                continue
            except CheckpointError as error:
                remarks.append(Remark(step, where, str(error)))
                continue
            reason = _stranger(manifest, facts, step, lineage)
            if reason or facts is None:
                remarks.append(Remark(step, where, reason))
                continue
            found.append(Fragment(
                facts, step, manifest.uuid, manifest.natoms, manifest.state_hash, holder, place
            ))  # fmt: skip
    return found, remarks


def _stranger(manifest: Manifest, facts: SetFacts | None, step: int, lineage: str) -> str:
    """Why a checkpoint is no fragment of this run; empty if it is one."""
    if facts is None:
        return "is no part of a set"
    if facts.lineage != lineage:
        return f"belongs to another run ({facts.lineage[:8]} instead of {lineage[:8]})"
    return "" if manifest.step == step else f"its manifest is of step {manifest.step}"


@dataclass(frozen=True)
class FragmentSet:
    """The copies that are left of a set's fragments.

    Attributes
    ----------
    uuid, step : which
    copies : of each node's fragment; its own first, which is read where there is a choice
    """

    uuid: str
    step: int
    copies: Mapping[int, tuple[Fragment, ...]]

    @property
    def facts(self) -> SetFacts:
        """What all its fragments say of it; `node` has no meaning."""
        return next(iter(self.copies.values()))[0].facts

    def choose(self, without: Collection[Fragment] = ()) -> tuple[list[Fragment], str]:
        """One copy of each fragment, by node; or none, and why that is not possible."""
        chosen: list[Fragment] = []
        for node in range(self.facts.nodes):
            left = [c for c in self.copies.get(node, ()) if c not in without]
            if not left:
                had = "none" if node not in self.copies else "no good one"
                return [], f"of the part of node {node} of {self.facts.nodes}, {had} is left"
            chosen.append(left[0])
        return chosen, self._does_not_add_up(chosen)

    def _does_not_add_up(self, chosen: list[Fragment]) -> str:
        told = {(f.facts.nodes, f.facts.natoms, f.facts.state_hash, f.step) for f in chosen}
        if len(told) > 1:
            return "its parts do not agree about the whole"
        natoms = sum(f.natoms for f in chosen)
        if natoms != self.facts.natoms:
            return f"its parts hold {natoms} of {self.facts.natoms} atoms"
        if sum_of_hashes(f.state_hash for f in chosen) != self.facts.state_hash:
            return "the state hashes of its parts do not add up to that of the whole"
        return ""


def sets_of(fragments: Iterable[Fragment]) -> list[FragmentSet]:
    """Sort fragments into sets, newest first."""
    sorted_out: dict[str, dict[int, list[Fragment]]] = {}
    for fragment in sorted(fragments, key=lambda f: (PLACES.index(f.place), f.holder)):
        copies = sorted_out.setdefault(fragment.facts.uuid, {})
        copies.setdefault(fragment.facts.node, []).append(fragment)
    found = [
        FragmentSet(uuid, max(f.step for c in copies.values() for f in c),
                    {node: tuple(c) for node, c in copies.items()})
        for uuid, copies in sorted_out.items()
    ]  # fmt: skip
    return sorted(found, key=lambda s: (-s.step, s.uuid))


def sum_of_hashes(hashes: Iterable[str]) -> str:
    """State hash of atoms of which each part's hash is known."""
    halves = [(int(h[:16], 16), int(h[16:], 16)) for h in hashes]
    return "".join(f"{sum(half) % WORD:016x}" for half in zip(*halves, strict=True)) or "0" * 32
