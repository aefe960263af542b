"""The `[checkpoint]` table: its keys are those of the store, and contradictions are refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mdapp.deck import Checkpoint, Deck, build_deck, deck_schema, load_deck
from mdapp.errors import InputError
from mdapp.storage.options import CheckpointOptions

BASE: dict[str, Any] = {
    "units": "lj",
    "system": {"lattice": "fcc", "density": 0.8442, "cells": [4, 4, 4]},
    "potential": {"style": "lj/cut", "epsilon": 1.0, "sigma": 1.0, "rc": 2.5},
    "run": {"steps": 10},
}

EVERY_KEY: dict[str, Any] = {
    "dir": "c", "every": 10, "interval": "auto", "mtbf": 3600, "layout": "aggregated",
    "shard_by": "node", "group": 4, "engine": "pwrite", "hints": {"cb_nodes": "8"},
    "block_atoms": 1000, "mode": "sync", "depth": 1, "overrun": "skip",
    "max_write_bandwidth": 1e9, "writer_cpus": [0, 3], "canonical": False,
    "verify_after_write": True, "keep_last": 2, "keep_every": 1000,
    "max_bytes": 10**12, "free_space_policy": "prune", "max_failures": 0, "io_timeout_s": 60,
    "poll_steps": 5, "lock_stale_s": 60.0, "max_fallback": 1, "on_access_error": "fallback",
    "max_restart_memory": 10**9, "transport": "pwrite", "allow_ompio": True,
    "levels": {"local": "/n{node}", "partner_every": 2, "drain_every": 10, "keep_local": 3,
               "ranks_per_node": 4},
}


def deck(**checkpoint: Any) -> Deck:
    return build_deck({**BASE, "checkpoint": checkpoint})


def message(**checkpoint: Any) -> str:
    with pytest.raises(InputError) as error:
        deck(**checkpoint)
    return str(error.value)


def test_the_keys_are_those_of_the_store() -> None:
    assert set(Checkpoint.model_fields) == {f.name for f in dataclasses.fields(CheckpointOptions)}


def test_the_defaults_are_those_of_the_store() -> None:
    written = deck().to_dict()["checkpoint"]
    assert CheckpointOptions.from_table(written) == CheckpointOptions()


def test_every_value_reaches_the_store() -> None:
    assert set(EVERY_KEY) | {"every_minutes"} == set(Checkpoint.model_fields)
    options = CheckpointOptions.from_table(deck(**EVERY_KEY).to_dict()["checkpoint"])
    for key, value in EVERY_KEY.items():
        found = getattr(options, key)
        found = dataclasses.asdict(found) if key == "levels" else found
        assert found == (tuple(value) if isinstance(value, list) else value), key


def test_canonical_text_reads_back(tmp_path) -> None:
    path = tmp_path / "deck.toml"
    for table in ({}, EVERY_KEY):
        first = deck(**table)
        path.write_text(first.to_toml())
        assert load_deck(path).checkpoint == first.checkpoint


@pytest.mark.parametrize(("table", "text"), [
    ({"evry": 3}, "checkpoint.evry: unknown key; did you mean checkpoint.every?"),
    ({"every": -1}, "checkpoint.every = -1: must be at least 0"),
    ({"every": 2.5}, "checkpoint.every = 2.5: must be a whole number"),
    ({"every_minutes": -1}, "checkpoint.every_minutes = -1: must be at least 0"),
    ({"interval": "atuo", "mtbf": 5}, 'checkpoint.interval = "atuo": must be auto; did you mean'),
    ({"interval": "auto"}, "checkpoint.mtbf: missing: interval = auto needs the mean time"),
    ({"every": 5, "interval": "auto"}, "interval = auto needs the mean time between failures"),
    ({"mtbf": 60}, 'checkpoint.mtbf = 60: only with interval = "auto"'),
    ({"interval": "auto", "mtbf": 60, "every_minutes": 1}, "either interval = auto or every_min"),
    ({"mode": "async", "layout": "shared"}, 'checkpoint.mode = "async": not with layout = shared'),
    ({"engine": "mpio-collective"}, "only with layout = shared, not sharded"),
    ({"engine": "h5py", "layout": "shared"}, "not with layout = shared; use pwrite"),
    ({"engine": "h5py", "mode": "async"}, "not with mode = async"),
    ({"transport": "collect", "engine": "h5py"}, "only with engine = auto or pwrite, not h5py"),
    ({"transport": "collect", "layout": "auto", "mode": "async"}, "whose writer sends no messages"),
    ({"mode": "asinc"}, "must be one of sync, async; did you mean async?"),
    ({"group": 0}, 'checkpoint.group = 0: must be "node" or a number of ranks from 1 on'),
    ({"group": "nod"}, 'checkpoint.group = "nod": must be "node" or a number'),
    ({"group": True}, "checkpoint.group = true: must be"),
    ({"group": 2.0}, "checkpoint.group = 2.0: must be"),
    ({"keep_last": 1}, "checkpoint.keep_last = 1: must be at least 2"),
    ({"depth": 2}, "checkpoint.depth = 2: must be at most 1"),
    ({"block_atoms": 0}, "checkpoint.block_atoms = 0: must be at least 1"),
    ({"hints": {"cb_nodes": 8}}, "checkpoint.hints.cb_nodes = 8: must be text in quotes"),
    ({"writer_cpus": [-1]}, "checkpoint.writer_cpus.0 = -1: must be at least 0"),
    ({"levels": {}}, "checkpoint.levels.local: missing"),
    ({"levels": {"local": ""}}, 'checkpoint.levels.local = "": must not be empty'),
    ({"levels": {"local": "/l", "keep": 2}}, "checkpoint.levels.keep: unknown key"),
    ({"levels": {"local": "/l", "keep_local": 1}}, "levels.keep_local = 1: must be at least 2"),
    ({"levels": {"local": "/l", "ranks_per_node": 2}}, "must contain {node}, because ranks_per"),
    ({"levels": {"local": "/{host}"}}, "is all that braces can hold"),
    ({"levels": {"local": "/l"}, "mode": "async"}, "not with levels, whose drain writes in the"),
    ({"io_timeout_s": 0}, "checkpoint.io_timeout_s = 0: must be at least 1"),
    ({"dir": ""}, 'checkpoint.dir = "": must not be empty'),
])  # fmt: skip
def test_a_mistake_is_named(table: dict[str, Any], text: str) -> None:
    assert text in message(**table)


def test_what_fits_together_is_taken_and_keys_of_another_layout_may_stay() -> None:
    assert deck(mode="async", layout="shared", engine="pwrite").checkpoint.mode == "async"
    assert deck(overrun="skip", group=8, hints={"cb_nodes": "4"}).checkpoint.mode == "sync"


def test_every_key_is_described_in_one_line() -> None:
    for key, entry in deck_schema()["$defs"]["Checkpoint"]["properties"].items():
        assert "\n" not in entry["description"] and entry["description"].endswith("."), key
