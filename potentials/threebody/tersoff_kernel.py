"""The energy of an atom in a Tersoff potential: bonds that weaken each other.

The bond order b depends on all other neighbours, so each bond needs zeta before its force: the
terms of zeta and their derivatives are kept for a second loop, in which nothing is evaluated again.

The styles differ in four functions of one variable, which are chosen when the kernel is compiled:
the switch fc, the angular function g, the power of the bond order, and whether bonds are joined to
the repulsion of nuclei. tersoff.py, tersoff_mod.py and tersoff_zbl.py have the formulas. With

    sin 3x = 3 sin x - 4 sin^3 x,

the switch of tersoff/mod, 1/2 - 9/16 sin x - 1/16 sin 3x, is 1/2 - 3/4 sin x + 1/4 sin^3 x, whose
derivative is -3/4 cos^3 x. The g of the others is written as gamma (1 + c^2/d^2 h^2 / (d^2 + h^2)),
h = cos theta - cos theta0, without a difference of large numbers: c^2/d^2 is often beyond 1e5.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from potentials.static import INLINED, variant
from potentials.sums import real_of
from potentials.threebody.loop import GEOMETRY, atom_formula, entry

ROWS = 7                  # of scratch
MODIFIED, SCREENED, NO_LENGTHS = "mod", "zbl", "lambda3=0"
LARGEST = 69.0776         # ln 1e30: where LAMMPS holds the exponential of lengths
NOTHING = 40.0            # exp of its opposite is nothing beside 1
# Columns of the table: of all styles, of some, and of tersoff/mod and tersoff/zbl.
INNER, OUTER, WAVE, CUBE, C2, D2, COSINE, SCALE, N, ROOT, BETA, LAMBDA2, B, LAMBDA1, A = range(15)
LINEAR, RATIO = 15, 16    # lambda3 where m is 1, and 0 where it is 3; c^2 / d^2
C4, C5 = 16, 17
CHARGES, PER_A, TURN, STEEP = 17, 18, 19, 20
WIDTH = 21


@atom_formula("tersoff")
def tersoff(mode, n, kind, kinds, space, table, ntypes):
    """The half of its bonds' energies that is one atom's; see the head of the file."""
    dx, dy, dz, r = space[0], space[1], space[2], space[3]
    gx, gy, gz = space[4], space[5], space[6]
    inverse, fade, fall = space[GEOMETRY], space[GEOMETRY + 1], space[GEOMETRY + 2]
    cosines, by_j, by_k, by_angle = (space[GEOMETRY + 3], space[GEOMETRY + 4], space[GEOMETRY + 5],
                                     space[GEOMETRY + 6])
    zero, half, one = real_of(mode, 0.0), real_of(mode, 0.5), real_of(mode, 1.0)
    energy = 0.0
    for q in range(n):
        inverse[q] = one / r[q]
        dx[q], dy[q], dz[q] = dx[q] * inverse[q], dy[q] * inverse[q], dz[q] * inverse[q]
        fade[q], fall[q] = switch(
            mode, r[q], table[entry(mode, ntypes, kind, kinds[q], kinds[q])])
    for j in range(n):
        p = table[entry(mode, ntypes, kind, kinds[j], kinds[j])]
        if r[j] >= p[OUTER]:
            continue
        ux, uy, uz = dx[j], dy[j], dz[j]
        zeta = zero
        for k in range(n):
            cosines[k], by_j[k], by_k[k], by_angle[k] = zero, zero, zero, zero
            if k == j:
                continue
            c = table[entry(mode, ntypes, kind, kinds[j], kinds[k])]
            within, slope = switch_of(mode, r[k], c, fade[k], fall[k])
            cosine = ux * dx[k] + uy * dy[k] + uz * dz[k]
            bend, turn = angle(mode, cosine - c[COSINE], c)
            stretch, longer = lengths(mode, r[j] - r[k], c)
            zeta += within * bend * stretch
            cosines[k] = cosine
            by_j[k] = within * bend * longer
            by_k[k] = slope * bend * stretch - by_j[k]
            by_angle[k] = within * turn * stretch
        order, weaker = bond_order(np.float64(zeta), np.float64(p[BETA]), np.float64(p[N]),
                                   np.float64(p[ROOT]))
        repulsion = half * p[A] * math.exp(-p[LAMBDA1] * r[j])
        attraction = half * p[B] * math.exp(-p[LAMBDA2] * r[j])
        b = real_of(mode, order)
        pair = repulsion - b * attraction
        along = fall[j] * pair + fade[j] * (b * p[LAMBDA2] * attraction - p[LAMBDA1] * repulsion)
        rate = -fade[j] * attraction * real_of(mode, weaker)
        bond, along, rate = joined(mode, r[j], p, fade[j] * pair, along, rate)
        energy += bond
        sx, sy, sz = zero, zero, zero
        for k in range(n):
            turned = rate * by_angle[k]
            along += rate * by_j[k] - turned * cosines[k] * inverse[j]
            at_j, at_k = turned * inverse[j], turned * inverse[k]
            out = rate * by_k[k] - at_k * cosines[k]
            sx += at_j * dx[k]
            sy += at_j * dy[k]
            sz += at_j * dz[k]
            gx[k] += out * dx[k] + at_k * ux
            gy[k] += out * dy[k] + at_k * uy
            gz[k] += out * dz[k] + at_k * uz
        gx[j] += along * ux + sx
        gy[j] += along * uy + sy
        gz[j] += along * uz + sz
    for q in range(n):
        dx[q], dy[q], dz[q] = dx[q] * r[q], dy[q] * r[q], dz[q] * r[q]
    return energy


@njit(**INLINED)
def switch(mode, r, c):
    """fc and its derivative."""
    zero, half, one = real_of(mode, 0.0), real_of(mode, 0.5), real_of(mode, 1.0)
    if r < c[INNER]:
        return one, zero
    if r >= c[OUTER]:
        return zero, zero
    value, slope = wave(mode, c[WAVE] * (r - half * (c[INNER] + c[OUTER])))
    return value, c[WAVE] * slope


@variant
def wave(mode):
    """The fall from 1 at -pi/2 to 0 at pi/2, and its derivative."""
    if MODIFIED in mode.options:
        def steeper(mode, phase):
            s, cosine = math.sin(phase), math.cos(phase)
            value = (real_of(mode, 0.25) * s * s - real_of(mode, 0.75)) * s + real_of(mode, 0.5)
            return value, -real_of(mode, 0.75) * cosine * cosine * cosine
        return steeper

    def wave(mode, phase):
        half, one = real_of(mode, 0.5), real_of(mode, 1.0)
        return half * (one - math.sin(phase)), -half * math.cos(phase)
    return wave


@variant
def switch_of(mode):
    """fc of a third atom: with one type what it is as a partner, with several of its entry."""
    if mode.many_types:
        return lambda mode, r, c, fade, fall: switch(mode, r, c)
    return lambda mode, r, c, fade, fall: (fade, fall)


@variant
def angle(mode):
    """g and its derivative, of h = cos theta - cos theta0."""
    if MODIFIED in mode.options:
        def modified(mode, h, c):
            one, square = real_of(mode, 1.0), h * h
            part = one / (c[D2] + square)
            decay = c[C4] * math.exp(-c[C5] * square)
            outer = c[C2] * square * part
            slope = c[C2] * c[D2] * part * part * (one + decay) - outer * c[C5] * decay
            return c[SCALE] + outer * (one + decay), (h + h) * slope
        return modified

    def angle(mode, h, c):
        one = real_of(mode, 1.0)
        part = one / (c[D2] + h * h)
        return (c[SCALE] * (one + c[RATIO] * h * h * part),
                c[SCALE] * (c[C2] + c[C2]) * h * part * part)
    return angle


@variant
def joined(mode):
    """Energy, derivative and dE/dzeta of a bond, joined to the repulsion of screened nuclei."""
    if SCREENED not in mode.options:
        return lambda mode, r, c, energy, along, rate: (energy, along, rate)

    def joined(mode, r, c, energy, along, rate):
        one, power = real_of(mode, 1.0), c[STEEP] * (c[TURN] - r)
        if power < real_of(mode, -NOTHING):
            return energy, along, rate
        e = math.exp(min(power, real_of(mode, LARGEST)))
        share = one / (one + e)                              # of the bond
        other = e * share                                    # of the nuclei
        nuclei, slope = screened(mode, r, c)
        change = c[STEEP] * share * other * (energy - nuclei)
        return share * energy + other * nuclei, share * along + other * slope + change, share * rate
    return joined


@njit(**INLINED)
def screened(mode, r, c):
    """Half of q / r phi(r / a) with its derivative."""
    x = r * c[PER_A]
    a = real_of(mode, 0.1818) * math.exp(real_of(mode, -3.2) * x)
    b = real_of(mode, 0.5099) * math.exp(real_of(mode, -0.9423) * x)
    d = real_of(mode, 0.2802) * math.exp(real_of(mode, -0.4029) * x)
    e = real_of(mode, 0.02817) * math.exp(real_of(mode, -0.2016) * x)
    strength = c[CHARGES] / r
    phi = a + b + d + e
    fall = (real_of(mode, 3.2) * a + real_of(mode, 0.9423) * b + real_of(mode, 0.4029) * d
            + real_of(mode, 0.2016) * e)
    return strength * phi, -strength * (phi / r + c[PER_A] * fall)


@variant
def lengths(mode):
    """The exponential of the difference of two lengths, and its derivative."""
    if NO_LENGTHS in mode.options:
        return lambda mode, difference, c: (real_of(mode, 1.0), real_of(mode, 0.0))

    def lengths(mode, difference, c):
        zero, three = real_of(mode, 0.0), real_of(mode, 3.0)
        most = real_of(mode, LARGEST)
        square = c[CUBE] * difference * difference
        power = (square + c[LINEAR]) * difference
        if power < -most:
            return zero, zero
        value = math.exp(min(power, most))
        return value, value * (three * square + c[LINEAR])
    return lengths


@njit(**INLINED)
def bond_order(zeta, beta, n, root):
    """b = (1 + (beta zeta)^n)^-root and db / dzeta, without a power that could overflow."""
    t = beta * zeta
    if not t > 0.0:
        return 1.0, 0.0
    logarithm = n * math.log(t)
    small = math.exp(-abs(logarithm))              # t^n or t^-n, whichever is below 1
    b = math.exp(-root * (math.log1p(small) + max(logarithm, 0.0)))
    share = (1.0 if logarithm > 0.0 else small) / (1.0 + small)
    return b, -n * root * b * share / zeta
