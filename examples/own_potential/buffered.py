"""Buffered 14-7 potential of van der Waals interactions.

T. A. Halgren, J. Am. Chem. Soc. 114, 7827 (1992), doi 10.1021/ja00046a032.
"""

from potentials.pair.loop import pair_formula
from potentials.simd import sqrt

UNITS = "metal"


def coefficients(epsilon, r0):
    """Depth of the minimum in eV, its distance in Angstrom."""
    return epsilon, 1 / r0


@pair_formula("buffered", coefficients)
def buffered(r2, c):
    """E = epsilon (1.07 / (s + 0.07))^7 (1.12 / (s^7 + 0.12) - 2) with s = r / r0."""
    _, epsilon, inverse = c
    s = sqrt(r2) * inverse
    s3 = s * s * s
    s6 = s3 * s3
    near = 1.0 / (s + 0.07)
    steep = 1.07 * near
    steep3 = steep * steep * steep
    steep7 = steep3 * steep3 * steep
    well = 1.12 / (s6 * s + 0.12)
    energy = epsilon * steep7 * (well - 2.0)
    slope = -7.0 * epsilon * steep7 * (near * (well - 2.0) + s6 * well * well * (1 / 1.12))
    return energy, -slope * inverse * inverse / s
