"""Chemical elements: symbols in, atomic masses out.

Standard atomic weights are those of IUPAC 2013 as abridged in 2016 (Meija et al., doi
10.1515/pac-2015-0305), the same that ASE uses; for elements without a stable isotope, the mass
of the longest-lived one.  A deck may give other masses, and LAMMPS scripts do (28.06 for Si in
its benchmark): the table is only what stands in for a missing `masses` in `metal` units.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mdapp.errors import InputError

ATOMIC_MASSES: dict[str, float] = {    # g/mol, in the order of the atomic numbers
    "H": 1.008, "He": 4.002602, "Li": 6.94, "Be": 9.0121831, "B": 10.81, "C": 12.011, "N": 14.007,
    "O": 15.999, "F": 18.998403163, "Ne": 20.1797, "Na": 22.98976928, "Mg": 24.305,
    "Al": 26.9815385, "Si": 28.085, "P": 30.973761998, "S": 32.06, "Cl": 35.45, "Ar": 39.948,
    "K": 39.0983, "Ca": 40.078, "Sc": 44.955908, "Ti": 47.867, "V": 50.9415, "Cr": 51.9961,
    "Mn": 54.938044, "Fe": 55.845, "Co": 58.933194, "Ni": 58.6934, "Cu": 63.546, "Zn": 65.38,
    "Ga": 69.723, "Ge": 72.63, "As": 74.921595, "Se": 78.971, "Br": 79.904, "Kr": 83.798,
    "Rb": 85.4678, "Sr": 87.62, "Y": 88.90584, "Zr": 91.224, "Nb": 92.90637, "Mo": 95.95,
    "Tc": 97.90721, "Ru": 101.07, "Rh": 102.9055, "Pd": 106.42, "Ag": 107.8682, "Cd": 112.414,
    "In": 114.818, "Sn": 118.71, "Sb": 121.76, "Te": 127.6, "I": 126.90447, "Xe": 131.293,
    "Cs": 132.90545196, "Ba": 137.327, "La": 138.90547, "Ce": 140.116, "Pr": 140.90766,
    "Nd": 144.242, "Pm": 144.91276, "Sm": 150.36, "Eu": 151.964, "Gd": 157.25, "Tb": 158.92535,
    "Dy": 162.5, "Ho": 164.93033, "Er": 167.259, "Tm": 168.93422, "Yb": 173.054, "Lu": 174.9668,
    "Hf": 178.49, "Ta": 180.94788, "W": 183.84, "Re": 186.207, "Os": 190.23, "Ir": 192.217,
    "Pt": 195.084, "Au": 196.966569, "Hg": 200.592, "Tl": 204.38, "Pb": 207.2, "Bi": 208.9804,
    "Po": 208.98243, "At": 209.98715, "Rn": 222.01758, "Fr": 223.01974, "Ra": 226.02541,
    "Ac": 227.02775, "Th": 232.0377, "Pa": 231.03588, "U": 238.02891, "Np": 237.04817,
    "Pu": 244.06421, "Am": 243.06138, "Cm": 247.07035, "Bk": 247.07031, "Cf": 251.07959,
    "Es": 252.083, "Fm": 257.09511, "Md": 258.09843, "No": 259.101, "Lr": 262.11, "Rf": 267.122,
    "Db": 268.126, "Sg": 271.134, "Bh": 270.133, "Hs": 269.1338, "Mt": 278.156, "Ds": 281.165,
    "Rg": 281.166, "Cn": 285.177, "Nh": 286.182, "Fl": 289.19, "Mc": 289.194, "Lv": 293.204,
    "Ts": 293.208, "Og": 294.214,
}

SYMBOLS = ("X", *ATOMIC_MASSES)        # SYMBOLS[Z] is the element of atomic number Z


def nearest(name: str, known: Sequence[str]) -> str:
    """Say `, nearest match 'Cu'` in an error message, or nothing where no name is near."""
    hits = [k for k in known if k.lower() == name.lower()]
    hits = hits or difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f", nearest match {hits[0]!r}" if hits else ""


def atomic_mass(symbol: str, where: str = "species") -> float:
    """Look up the standard atomic weight of an element, g/mol.

    Raises
    ------
    InputError : no such element; `where` says where the symbol stood
    """
    mass = ATOMIC_MASSES.get(symbol)
    if mass is None:
        raise InputError(f"{where}: unknown element {symbol!r}"
                         f"{nearest(symbol, list(ATOMIC_MASSES))}; "
                         "give `masses` if it is not an element")
    return mass


def resolve_species(ntypes: int, species: Sequence[str] | None, masses: Sequence[float] | None,
                    units: str) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Fill in the names and masses of the atom types that were not given.

    Masses default to the periodic table in `metal` and to 1 in `lj`; names default to the
    numbers of the types.

    Parameters
    ----------
    ntypes : how many types the system has
    species, masses : as the user gave them, or None
    units : "lj" or "metal"

    Returns
    -------
    species : ntypes names
    mass : (ntypes,) float64

    Raises
    ------
    InputError : a wrong number of names or masses, an unknown element without a mass, a mass that
        is not positive
    """
    count = f"{ntypes} atom type{'s' * (ntypes != 1)}"
    for key, given in (("species", species), ("masses", masses)):
        if given is not None and len(given) != ntypes:
            raise InputError(f"system.{key}: {len(given)} given, but the system has {count}; "
                             "give one per type")
    if species is not None and len(set(species)) != len(species):
        twice = next(s for s in species if list(species).count(s) > 1)
        raise InputError(f"system.species: {twice!r} is named twice; "
                         "every type needs a name of its own")
    if masses is not None:
        check_masses(masses, "system.masses")
        mass = np.array(masses, np.float64)
    elif units == "lj":
        mass = np.ones(ntypes)
    elif species is not None:
        mass = np.array([atomic_mass(s, "system.species") for s in species])
    else:
        raise InputError(f"system.masses: no masses for {count} in {units} units; give `species` "
                         "(masses then come from the periodic table) or `masses`")
    names = tuple(species) if species is not None else tuple(str(t) for t in range(1, ntypes + 1))
    return names, mass


def check_masses(masses: Sequence[float], where: str) -> None:
    """InputError unless every mass is positive and finite."""
    for index, mass in enumerate(masses, start=1):
        if not (np.isfinite(mass) and mass > 0):
            raise InputError(f"{where}: mass {mass} of type {index} must be positive and finite")
