"""Readers under thousands of seeded mutations: a message or a source that keeps its promises."""

import random

import numpy as np
import pytest

from mdapp.errors import InputError
from mdapp.structures import ExtxyzSource, LammpsDataSource
from tests.twins.structure_files import DATA, XYZ


def mutations(text, count, seed):
    """Broken copies of a text: bytes changed, cut, doubled, swapped, tokens replaced."""
    rng = random.Random(seed)
    tokens = ["nan", "-1", "1e400", "0", "atoms", "#", "999999999999999999", "\0", "1e-400", '"']
    for _ in range(count):
        data = bytearray(text.encode())
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data)) if data else 0
            match rng.randrange(6):
                case 0:
                    data[at:at + 1] = bytes([rng.randrange(256)])
                case 1:
                    del data[at:at + rng.randint(1, 40)]
                case 2:
                    data[at:at] = data[at:at + rng.randint(1, 40)]
                case 3:
                    del data[at:]
                case 4:
                    data[at:at] = rng.choice(tokens).encode()
                case 5:
                    words = bytes(data).split(b" ")
                    words[rng.randrange(len(words))] = rng.choice(tokens).encode()
                    data = bytearray(b" ".join(words))
        yield bytes(data)


def check_source(source):
    """A source that was accepted keeps its promises."""
    ids = [block.id for block in source.blocks()]
    assert sum(map(len, ids)) == source.natoms
    assert (source.mass > 0).all() and len(source.species) == len(source.mass)
    for block in source.blocks():
        assert np.isfinite(block.x).all() and (block.id >= 1).all()
        assert ((block.type >= 0) & (block.type < len(source.mass))).all()
        assert block.v is None or np.isfinite(block.v).all()
    if ids:
        assert len(np.unique(np.concatenate(ids))) == source.natoms


@pytest.mark.parametrize("reader, text, seed", [(LammpsDataSource, DATA, 20),
                                                (ExtxyzSource, XYZ, 21)])
def test_no_mutation_gets_anything_but_a_message(tmp_path, reader, text, seed):
    path = tmp_path / "fuzz"
    accepted = refused = 0
    for data in mutations(text, 3000, seed):
        path.write_bytes(data)
        try:
            check_source(reader(path))
            accepted += 1
        except InputError as error:
            assert str(path) in str(error) or "system." in str(error)
            refused += 1
    assert min(accepted, refused) > 100, (accepted, refused)
