"""What of a multi-level checkpoint goes where, and how often."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from mdapp.errors import InputError

NODE = "{node}"
LEAST = {"partner_every": 0, "drain_every": 0, "keep_local": 2, "ranks_per_node": 0}


@dataclass(frozen=True, kw_only=True)
class LevelOptions:
    """The keys of the `[checkpoint.levels]` table.

    Attributes
    ----------
    local : folder on storage of each node's own, {node} being the number of the node
    partner_every : how many sets one of which is copied to the partner node; 0: none
    drain_every : how many sets one of which is drained to checkpoint.dir; 0: none, the last
        checkpoint of a run still goes there
    keep_local : newest sets that are kept on a node, at least 2
    ranks_per_node : consecutive ranks that count as a node; 0: those that share memory

    Raises
    ------
    InputError
        A value outside its range, naming the key.
    """

    local: str
    partner_every: int = 1
    drain_every: int = 1
    keep_local: int = 2
    ranks_per_node: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.local, str) or not self.local:
            raise InputError(f"checkpoint.levels.local = {self.local!r}: must be a folder")
        for key, least in LEAST.items():
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"checkpoint.levels.{key} = {value!r}: must be at least {least}")
        if self.ranks_per_node and NODE not in self.local:
            raise InputError(
                f"checkpoint.levels.local = {self.local!r}: must contain {NODE}, because "
                "ranks_per_node makes several nodes of one machine, and each needs its own folder"
            )
        if "{" in self.local.replace(NODE, "") or "}" in self.local.replace(NODE, ""):
            raise InputError(
                f"checkpoint.levels.local = {self.local!r}: {NODE} is all that braces can hold"
            )

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> LevelOptions:
        """Options from the keys of a table; unknown keys are errors with a suggestion.

        Raises
        ------
        InputError
            An unknown key, none for the folder, or a value outside its range.
        """
        known = [f.name for f in fields(cls)]
        for key in table:
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
                raise InputError(f"checkpoint.levels.{key}: no such key; {hint}")
        if "local" not in table:
            raise InputError(
                "checkpoint.levels.local: missing: a folder on node-local storage, such as "
                '"/dev/shm/mdapp"'
            )
        return cls(**table)

    def folder(self, node: int) -> str:
        """Folder of a node."""
        return self.local.replace(NODE, str(node))
