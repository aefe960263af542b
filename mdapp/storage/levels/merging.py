"""Manifests of all parts made into that of the whole, as if one store had written it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mdapp.storage.levels.sets import SetFacts
from mdapp.storage.manifest import FileEntry, Manifest

Ranges = dict[str, list[float | int] | None]


def merged(
    facts: SetFacts, parts: Sequence[Manifest], files: tuple[FileEntry, ...],
    ranks_of_nodes: Sequence[tuple[int, ...]], disk: dict[str, Any],
) -> Manifest:  # fmt: skip
    """Manifest of the whole.

    Parameters
    ----------
    parts
        Manifests of all nodes, in their order.
    files
        Of the whole, with the numbers that atoms and ranks have in it.
    ranks_of_nodes
        As in `mdapp.storage.layout.Group`.
    disk
        What is known of where it lies.
    """
    first = parts[0]
    invariants = dict(first.plain["invariants"])
    invariants["ranges"] = _widest([p.plain["invariants"].get("ranges", {}) for p in parts])
    return replace(
        first,
        uuid=facts.uuid, natoms=facts.natoms, state_hash=facts.state_hash, files=files,
        natoms_by_type=tuple(
            sum(counts) for counts in zip(*(p.natoms_by_type for p in parts), strict=True)
        ),
        mode="drain",
        decomposition={**first.decomposition, "ranks": facts.ranks, "nodes": facts.nodes,
                       "ranks_of_nodes": list(ranks_of_nodes)},
        plain={**first.plain, "invariants": invariants, "storage": {**disk, "level": "parallel"}},
    )  # fmt: skip


def _widest(parts: Sequence[Ranges]) -> Ranges:
    """Least and greatest value of each field over all parts; None where no part has atoms."""
    found: Ranges = {}
    for name in parts[0]:
        spans = [span for part in parts if (span := part.get(name)) is not None]
        found[name] = [min(s[0] for s in spans), max(s[1] for s in spans)] if spans else None
    return found
