"""Reading a set back: each node reads what lies on it, then atoms go to whom they belong.

A fragment is read by all ranks of the node that holds the chosen copy, in equal shares, and its
state hash is compared, so that damage is known by the copy that has it. What the ranks hold then
has nothing to do with who wrote it: the same exchange as in any restart hands the atoms out, on any
number of ranks and nodes, and the state hash of the whole is compared in the end.

If a copy turns out bad, all ranks learn which, and the choice among the rest is made again. Damage
and failed access are told apart as everywhere: a damaged copy is set aside, one that could not be
read is left alone, but the other copy is as good.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mdapp.storage.errors import CheckpointError, DamagedError
from mdapp.storage.files import FileSystem
from mdapp.storage.levels.nodes import Nodes
from mdapp.storage.levels.sets import LEVEL, OWN, Fragment, FragmentSet, facts_of
from mdapp.storage.manifest import Manifest, decode, encode
from mdapp.storage.names import step_name
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.reading import share_of
from mdapp.storage.redistribute import Arrays, Owner
from mdapp.storage.restore import Accept, Restart, Restored, header
from mdapp.storage.state import State

# Why a copy cannot be used, and whether it could not be read.
Trouble = tuple[Fragment, str, bool]


@dataclass
class Attempted:
    """What came of a set.

    Attributes
    ----------
    restored : the state; None if no choice of copies could be read
    damaged : copies whose content is wrong
    unread : copies that could not be read
    reasons : what to tell of them, and of the set
    """

    restored: Restored | None = None
    damaged: list[Fragment] = field(default_factory=list)
    unread: list[Fragment] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


class SetReader:
    """Reads sets; every method is collective over all ranks.

    Parameters
    ----------
    nodes : of the job
    fs : the door to the operating system
    folder : of this node and this run
    options : limits of a restart
    """

    def __init__(self, nodes: Nodes, fs: FileSystem, folder: Path, options: CheckpointOptions):
        self._nodes, self._folder = nodes, folder
        self._local = Restart(nodes.comm, fs, options, lambda path, uuid: "")
        self._whole = Restart(nodes.world, fs, options, lambda path, uuid: "")

    def read(self, candidate: FragmentSet, owner: Owner, accept: Accept) -> Attempted:
        """Read a set from whichever copies are good.

        Raises
        ------
        InputError
            `accept` refused the state.
        CheckpointError
            The copies are all good, and yet the whole is not; on all ranks.
        """
        tried = Attempted()
        while tried.restored is None:
            chosen, reason = candidate.choose([*tried.damaged, *tried.unread])
            if reason:
                tried.reasons.append(reason)
                return tried
            parts, mine = self._manifests(chosen)
            troubles = self._share(mine)
            if not troubles:
                lead = self._lead(chosen, parts)
                state = header(lead)
                with self._nodes.together(f"restart from {self._name(candidate)}"):
                    accept(state)
                    self._whole.check_memory(lead)
                arrays, mine = self._atoms(lead, parts)
                troubles = self._share(mine)
            if not troubles:
                tried.restored = self._handed_out(lead, state, arrays, owner)
            for fragment, why, access in troubles:
                (tried.unread if access else tried.damaged).append(fragment)
                tried.reasons.append(f"node {fragment.holder}, {fragment.place}: {why}")
        return tried

    def _name(self, candidate: FragmentSet) -> str:
        return f"step {candidate.step} on node-local storage"

    def _share(self, mine: list[Trouble]) -> list[Trouble]:
        return [trouble for some in self._nodes.share(mine) for trouble in some]

    def _manifests(
        self, chosen: list[Fragment]
    ) -> tuple[list[tuple[Fragment, Manifest]], list[Trouble]]:
        """Manifests of the fragments that this node is to read, after a look at their files."""
        parts: list[tuple[Fragment, Manifest]] = []
        troubles: list[Trouble] = []
        for fragment in (f for f in chosen if f.holder == self._nodes.index):
            path = fragment.path(self._folder)
            try:
                manifest = self._local.read_manifest(path)
                if manifest.uuid != fragment.uuid or facts_of(manifest) != fragment.facts:
                    raise DamagedError(f"{path}: changed while it was looked at")
            except CheckpointError as error:
                troubles.append(trouble(fragment, error))
                continue
            parts.append((fragment, manifest))
        return parts, troubles

    def _lead(self, chosen: list[Fragment], parts: list[tuple[Fragment, Manifest]]) -> Manifest:
        """Manifest of the whole, but for its files: what all parts say alike."""
        first = next((m for f, m in parts if f == chosen[0]), None)
        facts = chosen[0].facts
        told = self._nodes.share(None if first is None else encode(first))
        lead = decode(next(data for data in told if data is not None))
        return replace(
            lead, uuid=facts.uuid, natoms=facts.natoms, state_hash=facts.state_hash,
            decomposition={**lead.decomposition, "ranks": facts.ranks, "nodes": facts.nodes},
        )  # fmt: skip

    def _atoms(
        self, lead: Manifest, parts: list[tuple[Fragment, Manifest]]
    ) -> tuple[Arrays, list[Trouble]]:
        """Read and check this rank's share of what lies on its node."""
        found: list[Arrays] = [[f.empty(0) for f in lead.fields]]
        troubles: list[Trouble] = []
        for fragment, manifest in parts:
            path = fragment.path(self._folder)
            try:
                if manifest.fields != lead.fields:
                    raise DamagedError(f"{path}: has other fields than the rest of its set")
                arrays, sums = self._local.read_share(path, manifest)
                self._local.compare(path, manifest, sums, "read")
                share = share_of(manifest, self._nodes.comm.rank, self._nodes.comm.size)
                found.append([array[: share.natoms] for array in arrays])
            except CheckpointError as error:
                troubles.append(trouble(fragment, error))
        if len(found) == 2:
            return found[1], troubles
        return [np.concatenate(pieces) for pieces in zip(*found, strict=True)], troubles

    def _handed_out(
        self, lead: Manifest, state: State, arrays: Arrays, owner: Owner
    ) -> Restored:
        path = self._folder / OWN / step_name(lead.step)
        self._whole.deliver(path, lead, state, arrays, len(arrays[0]), owner)
        seconds = {"level": LEVEL, **self._local.clock.seconds, **self._whole.clock.seconds}
        return Restored(state, lead, path, metrics=seconds)


def trouble(fragment: Fragment, error: CheckpointError) -> Trouble:
    """What is wrong with a copy; only wrong content is proof, all else counts as not read."""
    return fragment, str(error), not isinstance(error, DamagedError)
