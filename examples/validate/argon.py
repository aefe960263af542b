"""Argon: Lennard-Jones times a switch that takes energy, force and stiffness to zero at the cutoff.

    E(r) = t^3 4 epsilon [(sigma/r)^12 - (sigma/r)^6],   t = 1 - r^2 / rc^2
"""

from potentials.pair.loop import pair_formula

UNITS = "metal"


def coefficients(epsilon, sigma):
    """The wells' two numbers, epsilon in eV and sigma in Angstrom."""
    return 4 * epsilon * sigma**12, 4 * epsilon * sigma**6


@pair_formula("argon", coefficients)
def argon(r2, c):
    """(energy, force / r) from r^2; the first of c is rc^2."""
    rc2, c12, c6 = c
    ir2 = 1.0 / r2
    ir6 = ir2 * ir2 * ir2
    well = ir6 * (c12 * ir6 - c6)
    slope = ir6 * (12.0 * c12 * ir6 - 6.0 * c6) * ir2
    t = 1.0 - r2 * (1.0 / rc2)
    return t * t * t * well, t * t * (t * slope + 6.0 * well * (1.0 / rc2))
