"""The same as argon.py with a common mistake: the force forgets the slope of the switch."""

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
    return t * t * t * well, t * t * t * slope
