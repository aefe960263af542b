"""Fragments sort themselves into sets, and a set stands only if it adds up."""

from dataclasses import replace

import pytest

from mdapp.storage.errors import DamagedError
from mdapp.storage.levels.sets import (
    Fragment,
    FragmentSet,
    SetFacts,
    facts_of,
    sets_of,
    sum_of_hashes,
)

HASHES = ("ffffffffffffffff0000000000000001", "00000000000000020000000000000003")
WHOLE = "0000000000000001" + "0000000000000004"


def fragment(node: int, place: str = "own", uuid: str = "a" * 32, step: int = 5) -> Fragment:
    """A copy of the part of one of two nodes; the partner of a node is the other one."""
    facts = SetFacts(uuid, "c" * 32, node, 2, 4, 30, WHOLE)
    holder = node if place == "own" else 1 - node
    return Fragment(facts, step, f"{node:032x}", 10 + 10 * node, HASHES[node], holder, place)


def only(*fragments: Fragment) -> FragmentSet:
    (found,) = sets_of(fragments)
    return found


def test_hashes_add_up_in_halves_without_carry() -> None:
    assert sum_of_hashes(HASHES) == WHOLE
    assert sum_of_hashes([]) == "0" * 32


def test_own_parts_are_chosen_first() -> None:
    copies = [fragment(n, place) for place in ("partner", "own") for n in (1, 0)]
    chosen, reason = only(*copies).choose()
    assert [(f.facts.node, f.place) for f in chosen] == [(0, "own"), (1, "own")] and not reason


def test_what_is_excluded_is_replaced_by_its_copy() -> None:
    copies = only(fragment(0), fragment(1), fragment(1, "partner"))
    chosen, reason = copies.choose([fragment(1)])
    assert chosen == [fragment(0), fragment(1, "partner")] and not reason
    chosen, reason = copies.choose([fragment(1), fragment(1, "partner")])
    assert not chosen and reason == "of the part of node 1 of 2, no good one is left"
    assert "node 1 of 2, none is left" in only(fragment(0)).choose()[1]


@pytest.mark.parametrize(("change", "reason"), [
    ({"natoms": 21}, "hold 31 of 30 atoms"),
    ({"state_hash": HASHES[0]}, "do not add up"),
    ({"step": 6}, "do not agree about the whole"),
])  # fmt: skip
def test_a_set_that_does_not_add_up(change: dict, reason: str) -> None:
    assert reason in only(fragment(0), replace(fragment(1), **change)).choose()[1]


def test_parts_of_different_attempts_are_different_sets() -> None:
    found = sets_of([fragment(0), fragment(1, uuid="b" * 32), fragment(1, uuid="d" * 32, step=7)])
    assert [s.step for s in found] == [7, 5, 5]
    assert all(s.choose()[1] for s in found)


class Manifest:
    """What `facts_of` reads of one."""

    def __init__(self, **storage: object):
        self.plain = {"storage": storage}


def test_facts_are_read_strictly() -> None:
    facts = fragment(1).facts
    assert facts_of(Manifest(level="local", set=facts.plain())) == facts
    assert facts_of(Manifest(level="parallel")) is None
    for key, value in {"node": 2, "nodes": 0, "uuid": "x", "state_hash": WHOLE[1:]}.items():
        with pytest.raises(DamagedError, match=f"storage.set.{key}"):
            facts_of(Manifest(set=facts.plain() | {key: value}))
