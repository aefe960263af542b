"""Readers under thousands of seeded mutations: a message or a source that keeps its promises."""

import random

import numpy as np
import pytest

from mdapp.errors import InputError
from mdapp.structures import ExtxyzSource, LammpsDataSource

DATA = """\
two atoms of silicon, one of carbon
# a comment

3 atoms
2 atom types
0 bonds
-1.0 4.0 xlo xhi
0.0 5.0 ylo yhi
0.0 6.0e0 zlo zhi

Masses

1 28.06  # Si
2 12.01  # C

Atoms  # atomic

2 1 0.5 0.25 0.125 0 0 0
1 2 1.5 1.25 1.125 0 1 -1   # moved
7 1 4.5 -0.25 5.5 0 0 0

Velocities

2 0.1 0.2 0.3
1 -1 -2 -3
7 1e-3 2.5E+1 .5
"""

XYZ = """\
2
Lattice="5.43 0 0 0 5.43 0 0 0 5.43" Properties=species:S:1:pos:R:3:magmom:R:1 pbc="T T F" energy=-1
C 0.0 0.25 6.5 nan
Si 6.43 1.3575 1.3575 2
3
Lattice="4 0 0 1 4 0 0 0 4" Properties=id:I:1:species:S:1:pos:R:3:velo:R:3:fixed:L:3 note="a = b"
7 Si 0 0 0 1 2 3 T T F
5 O 1 1 1 4 5 6 F F F
6 Si 2 2 2 7 8 9 T F T
"""

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
