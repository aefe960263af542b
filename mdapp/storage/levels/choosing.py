"""A restart from whichever level has the newest state whole.

Sets on the nodes and checkpoints of the parallel level are tried from the newest on; of one step
the set comes first. A set without all its parts is passed over, with a word: that is what a lost
node leaves. Otherwise the rules are those of every restart: damaged content is set aside, and after
so many damaged ones the user is asked; what could not be read stops the restart.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mdapp.storage.errors import (
    CheckpointError,
    DamagedError,
    NothingToRestartError,
    StorageAccessError,
)
from mdapp.storage.levels.local import LocalLevel
from mdapp.storage.levels.nodes import Nodes
from mdapp.storage.levels.reading import SetReader
from mdapp.storage.levels.sets import FragmentSet, Remark, sets_of
from mdapp.storage.names import step_name, step_of
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.redistribute import Owner
from mdapp.storage.restore import Accept, Restored
from mdapp.storage.store import CheckpointStore


@dataclass
class Choice:
    """What lies on all levels.

    Attributes
    ----------
    sets : on the nodes, newest first, whole or not
    names : on the parallel level, newest first
    remarks : what lies on the nodes and is of no use
    """

    sets: list[FragmentSet]
    names: list[str]
    remarks: list[Remark] = field(default_factory=list)

    @property
    def newest_whole(self) -> int:
        """Newest step of which the nodes have all parts; -1 if there is none."""
        return max((s.step for s in self.sets if not s.choose()[1]), default=-1)

    def candidates(self) -> list[FragmentSet | str]:
        """Sets and names, newest first."""
        items: list[FragmentSet | str] = [*self.sets, *self.names]
        return sorted(items, key=lambda item: -step_in(item))


def step_in(item: FragmentSet | str) -> int:
    """Step of a candidate."""
    return item.step if isinstance(item, FragmentSet) else step_of(item) or 0


class LevelRestart:
    """One restart; every method is collective over all ranks.

    Parameters
    ----------
    nodes : of the job
    local, parallel : the levels
    options : limits and policies
    """

    def __init__(
        self, nodes: Nodes, local: LocalLevel, parallel: CheckpointStore,
        options: CheckpointOptions,
    ):  # fmt: skip
        self._nodes, self._local, self._parallel = nodes, local, parallel
        self._options = options
        self._reader = SetReader(nodes, parallel.fs, local.folder, options)
        self._failed: dict[str, str] = {}
        self._tries = 0

    def look(self) -> Choice:
        """What there is to restart from."""
        fragments, remarks = self._local.survey()
        return Choice(sets_of(fragments), self._parallel.candidates(), remarks)

    def run(self, owner: Owner, accept: Accept, force: bool) -> tuple[Restored, bool]:
        """The newest whole state, and whether the nodes had it.

        Raises
        ------
        NothingToRestartError, DamagedError, StorageAccessError, FormatVersionError
            The same on all ranks.
        """
        choice = self.look()
        for remark in choice.remarks:
            self._failed[remark.where] = remark.reason
        unread = [str(r) for r in choice.remarks if r.access]
        most = len(choice.candidates()) if force else self._options.max_fallback + 1
        for item in choice.candidates():
            if self._tries >= most:
                break
            if isinstance(item, FragmentSet):
                restored = self._from_nodes(item, owner, accept, unread)
            else:
                restored = self._from_parallel(item, owner, accept)
            if restored is not None:
                restored.fallbacks = {**self._failed, **restored.fallbacks}
                return restored, isinstance(item, FragmentSet)
        with self._nodes.together("restart"):
            raise self._none_left(choice)

    def _from_nodes(
        self, candidate: FragmentSet, owner: Owner, accept: Accept, unread: list[str]
    ) -> Restored | None:
        name = f"{step_name(candidate.step)} on the nodes"
        try:
            tried = self._reader.read(candidate, owner, accept)
        except DamagedError as error:
            self._failed[name], self._tries = str(error), self._tries + 1
            return None
        for damaged in tried.damaged:
            self._local.set_aside(damaged)
        if tried.reasons:
            which = f"a copy of {name}" if tried.restored is not None else name
            self._failed[which] = "; ".join(tried.reasons)
        if tried.restored is not None:
            return tried.restored
        self._tries += bool(tried.damaged)
        if (tried.unread or unread) and self._options.on_access_error != "fallback":
            with self._nodes.together("restart"):
                raise StorageAccessError(f"{name}: {'; '.join([*tried.reasons, *unread])}")
        return None

    def _from_parallel(self, name: str, owner: Owner, accept: Accept) -> Restored | None:
        path = self._parallel.directory / name
        try:
            return self._parallel.take(path, owner, accept=accept)
        except DamagedError as error:
            self._failed[name] = str(error)
        except StorageAccessError as error:
            if self._options.on_access_error != "fallback":
                raise
            self._failed[name] = str(error)
        self._tries += 1
        return None

    def _none_left(self, choice: Choice) -> CheckpointError:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in self._failed.items())
        where = f"{self._parallel.directory} and {self._local.folder}"
        if not choice.candidates():
            return NothingToRestartError(f"{where}: hold no checkpoint" + (
                f": {reasons}" if reasons else ""))  # fmt: skip
        advice = (
            "older ones exist beyond checkpoint.max_fallback, restart from one by its path"
            if self._tries > self._options.max_fallback
            else "there is no older one"
        )
        return DamagedError(f"{where}: no valid checkpoint ({advice}): {reasons}")
