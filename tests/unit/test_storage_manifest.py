"""Manifests: what is written is read, and whatever is odd is a named error, never a crash."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdapp.errors import InputError
from mdapp.model.box import Box
from mdapp.storage.envelope import seal, unseal
from mdapp.storage.errors import CheckpointError, DamagedError, FormatVersionError
from mdapp.storage.manifest import PLAIN, FileEntry, Manifest, Writer, decode, encode
from mdapp.storage.state import STANDARD

MANIFEST = Manifest(
    uuid="0" * 31 + "1", parent_uuid="", run_uuid="ab" * 16, step=12000, time=0.1 + 0.2, dt=0.005,
    units="metal", natoms=100, natoms_by_type=(60, 40), species=("Cu", "Ni"), mass=(63.5, 58.7),
    box=Box.from_vectors([[10.0, 0, 0], [1 / 3, 9, 0], [0, 0, 8]], [True, False, True]),
    fields=STANDARD,
    files=(
        FileEntry("s000/shard-00000.h5", 99999, 1000, 17, (
            Writer(0, 0, 65, 9000, 2, 0xDEADBEEF), Writer(1, 65, 0, 9280, 0, 0))),
        FileEntry("s000/shard-00001.h5", 88888, 1000, 2**32 - 1, (Writer(2, 65, 35, 70000, 1, 3),)),
    ),
    block_atoms=64, state_hash="0123456789abcdef" * 2, layout="aggregated", engine="pwrite",
    mode="sync", decomposition={"ranks": 3}, plain={key: {"a": key} for key in PLAIN},
    outputs=({"path": "melt.dump", "size": 10, "tail_crc": "00000000"},),
)  # fmt: skip


def equal(a: Manifest, b: Manifest) -> bool:
    boxes = all(np.array_equal(getattr(a.box, k), getattr(b.box, k)) for k in vars(a.box))
    return boxes and replace(a, box=b.box) == b


def test_round_trip() -> None:
    data = encode(MANIFEST)
    assert equal(decode(data), MANIFEST)
    assert encode(decode(data)) == data
    assert json.loads(data)["body"]["time"] == 0.30000000000000004


def body() -> dict:
    return unseal(encode(MANIFEST), "m")


def test_each_missing_key_is_named() -> None:
    for key in body():
        damaged = body()
        del damaged[key]
        with pytest.raises(DamagedError, match=rf"m\.{key}: missing"):
            decode(seal(damaged), "m")


def paths(value, prefix=()):
    """Ways to every value inside a parsed manifest, but into what passes unread."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not prefix and (key in PLAIN or key in ("decomposition", "outputs")):
                continue
            yield from paths(inner, (*prefix, key))
    elif isinstance(value, list) and prefix[-1] not in ("row", "outputs"):
        for k, inner in enumerate(value):
            yield from paths(inner, (*prefix, k))
    else:
        yield prefix


ODD = (None, True, -1, 2**70, 1.5, "", "x", "/etc", "../x", [], {}, [1, 2, 3, 4], 1e999)


def put(value, path, odd):
    changed = copy.deepcopy(value)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = odd
    return changed


def test_odd_values_everywhere() -> None:
    """Every value replaced by every odd one: read, if it may be that, or refused by its class."""
    refused = kept = 0
    for path in paths(body()):
        for odd in ODD:
            text = json.dumps(put(body(), path, odd))
            damaged = unseal_free(text)
            try:
                decode(damaged)
                kept += 1
            except CheckpointError as error:
                assert str(error)
                refused += 1
    assert refused > 600 and kept < 90, (refused, kept)


def unseal_free(text: str) -> bytes:
    """Seal a text, valid JSON or not, as a writer gone mad would."""
    from mdapp.storage.crc import crc32

    inner = text.encode()
    return b'{"format":"mdapp-checkpoint","crc":"crc32:%08x","body":%s}\n' % (crc32(inner), inner)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(
        [*body(), "name", "path", "writers", "rank", "size"]), inner, max_size=8),
    max_leaves=20))  # fmt: skip
def test_any_json(value) -> None:
    with pytest.raises(CheckpointError):
        decode(unseal_free(json.dumps(value)))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    with pytest.raises(DamagedError):
        decode(data)


@pytest.mark.parametrize("cut", range(0, 2000, 37))
def test_cut_off(cut: int) -> None:
    with pytest.raises(DamagedError):
        decode(encode(MANIFEST)[:cut])


@pytest.mark.parametrize(
    "text", ["[1", '{"a":1,"a":2}', "NaN", '{"step":NaN}', "[" * 100000, "\xff", ""]
)
def test_what_is_no_json(text: str) -> None:
    with pytest.raises(DamagedError):
        decode(unseal_free(text))


def test_counts_that_disagree() -> None:
    for change, message in (
        ({"natoms": 101}, "count"),
        ({"natoms_by_type": [60, 41]}, "natoms_by_type"),
        ({"species": ["Cu"]}, "species"),
        ({"checksum": {**body()["checksum"], "block_atoms": 32}}, "blocks"),
    ):
        with pytest.raises(DamagedError, match=message):
            decode(seal({**body(), **change}))


def test_algorithms_and_versions() -> None:
    with pytest.raises(FormatVersionError, match=r"3\.1"):
        decode(seal({**body(), "version": [3, 1]}))
    with pytest.raises(FormatVersionError, match="md5"):
        decode(seal({**body(), "state_hash": {**body()["state_hash"], "algo": "md5"}}))
    data = encode(MANIFEST)
    with pytest.raises(FormatVersionError, match="xxh3"):
        decode(data.replace(b'"crc":"crc32:', b'"crc":"xxh3:0'))
    with pytest.raises(DamagedError):  # the checksum is right: it is the name that is damaged
        decode(data.replace(b'"crc":"crc32:', b'"crc":"crc33:'))


def test_a_nan_is_refused_when_written() -> None:
    with pytest.raises(InputError, match="JSON"):
        encode(replace(MANIFEST, plain={**MANIFEST.plain, "invariants": {"pe": float("nan")}}))
