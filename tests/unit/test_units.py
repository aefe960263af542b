"""Constants of LAMMPS 22Jul2025, read with `extract_global` after `units lj` and `units metal`."""

import pytest

from mdapp.errors import InputError
from mdapp.model.elements import ATOMIC_MASSES, SYMBOLS, atomic_mass, resolve_species
from mdapp.model.units import UNITS


@pytest.mark.parametrize("name, boltz, mvv2e, nktv2p, ftm2v, timestep, normalised", [
    ("lj", 1.0, 1.0, 1.0, 1.0, 0.005, True),
    ("metal", 8.617343e-05, 0.00010364269, 1602176.5, 9648.533823273016, 0.001, False),
])
def test_constants(name, boltz, mvv2e, nktv2p, ftm2v, timestep, normalised):
    u = UNITS[name]
    assert (u.name, u.boltz, u.mvv2e, u.nktv2p, u.ftm2v) == (name, boltz, mvv2e, nktv2p, ftm2v)
    assert u.default_timestep == timestep
    assert u.thermo_normalised is normalised


def test_the_table_of_elements_is_complete():
    assert len(ATOMIC_MASSES) == 118
    assert SYMBOLS[14] == "Si" and SYMBOLS[74] == "W" and SYMBOLS[118] == "Og"
    assert atomic_mass("Si") == 28.085


def test_masses_default_to_one_in_lj_and_to_the_table_in_metal():
    assert resolve_species(2, None, None, "lj")[1].tolist() == [1.0, 1.0]
    names, mass = resolve_species(2, ["O", "H"], None, "metal")
    assert names == ("O", "H") and mass.tolist() == [15.999, 1.008]
    assert resolve_species(1, None, [28.06], "metal")[1].tolist() == [28.06]


@pytest.mark.parametrize("args, words", [
    ((1, ["Sl"], None, "metal"), ["Sl", "nearest match", "masses"]),
    ((1, ["si"], None, "metal"), ["'si'", "'Si'"]),
    ((2, ["Si"], None, "metal"), ["species", "1 given", "2 atom types"]),
    ((2, ["Si", "Si"], None, "metal"), ["named twice"]),
    ((1, None, None, "metal"), ["masses", "species"]),
    ((1, None, [-1.0], "lj"), ["-1.0", "positive"]),
    ((1, None, [float("nan")], "lj"), ["nan", "positive"]),
])
def test_bad_species_and_masses(args, words):
    with pytest.raises(InputError) as error:
        resolve_species(*args)
    assert all(word in str(error.value) for word in words), str(error.value)
