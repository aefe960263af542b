"""Spherical harmonics of a direction, real and without their norms, and what pulls on them.

    y_l0 = Z_l0(z)    y_l,2m-1 = Z_lm(z) Re (x + iy)^m    y_l,2m = Z_lm(z) Im (x + iy)^m

for a unit vector (x, y, z); Z_lm is the m-th derivative of the Legendre polynomial P_l over a
number that makes its coefficients small. The harmonics of a degree give an invariant

    q_l = (2l + 1) / (4 pi) sum_jk P_l(cos of the angle of j and k) = sum_k weight_lk y_lk^2.

There are L (L + 2) of them up to a degree of L, 24 for the usual 4: one register of eight for each
eight, nothing wasted; for other L rows are filled up with zeros. All of a degree are written out
when a kernel is compiled, for eight directions in eight lanes.
"""

from __future__ import annotations

from functools import cache
from math import factorial, pi

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.polynomial import Legendre, Polynomial
from numpy.typing import NDArray

from potentials.simd.functions import call_llvm
from potentials.simd.registers import (
    constant_int,
    element_pointer,
    load_vector,
    splat_value,
)

LANES = 8                 # neighbours, atoms or harmonics that are worked on at a time

# Highest coefficient of Z_l0, Z_l1, ..; the others follow from P_l.
LEADING = {
    1: (1, 1), 2: (3, 1, 1), 3: (5, 5, 1, 1), 4: (35, 7, 7, 1, 1), 5: (63, 21, 3, 9, 1, 1),
    6: (231, 33, 33, 11, 11, 1, 1), 7: (429, 429, 143, 143, 13, 13, 1, 1),
    8: (6435, 715, 143, 39, 65, 5, 15, 1, 1)}  # fmt: skip


def count(l_max: int) -> int:
    """Harmonics of the degrees from 1 to l_max."""
    return l_max * (l_max + 2)


def padded(l_max: int) -> int:
    """The same, rounded up to whole registers."""
    return -(-count(l_max) // LANES) * LANES


def first(degree: int) -> int:
    """Where the harmonics of a degree begin."""
    return count(degree - 1)


@cache
def z_polynomial(degree: int, m: int) -> tuple[float, ...]:
    """Coefficients of Z_lm, of z^0 first."""
    derivative = Legendre.basis(degree).convert(kind=Polynomial).deriv(m)
    scaled = derivative.coef * (LEADING[degree][m] / derivative.coef[-1])
    return tuple(float(c) for c in np.rint(scaled))


def weights(l_max: int) -> NDArray[np.float64]:
    """Weight of each squared harmonic in its q_l, (padded,) float64."""
    found = np.zeros(padded(l_max))
    for degree in range(1, l_max + 1):
        for k in range(2 * degree + 1):
            m = (k + 1) // 2
            derivative = Legendre.basis(degree).convert(kind=Polynomial).deriv(m)
            kappa = derivative.coef[-1] / LEADING[degree][m]
            norm = (2 * degree + 1) / (4 * pi) * factorial(degree - m) / factorial(degree + m)
            found[first(degree) + k] = norm * kappa**2 * (2 if m else 1)
    return found


def bounds(l_max: int) -> NDArray[np.float64]:
    """What no harmonic exceeds, (padded,) float64; where there is none, 1."""
    found = np.ones(padded(l_max))
    z = np.linspace(-1, 1, 201)
    for degree in range(1, l_max + 1):
        for k in range(2 * degree + 1):
            m = (k + 1) // 2
            value = Polynomial(z_polynomial(degree, m))(z) * (1 - z**2) ** (m / 2)
            found[first(degree) + k] = 1.01 * abs(value).max()
    return found


class _Emitter:
    """Arithmetic of registers, written into a function that is being compiled."""

    def __init__(self, builder, vector):
        self.builder, self.vector = builder, vector
        self.zero = ir.Constant(vector.llvm, None)

    def number(self, value):
        return splat_value(self.builder, ir.Constant(self.vector.llvm.element, value), self.vector)

    def mul(self, a, b):
        return self.builder.fmul(a, b)

    def add(self, a, b):
        return self.builder.fadd(a, b)

    def sub(self, a, b):
        return self.builder.fsub(a, b)

    def fma(self, a, b, c):
        return call_llvm(self.builder, "fma", self.vector, [a, b, c])

    def series(self, coefficients, z, z2):
        """A polynomial all of whose powers are even or odd; None where it is 1."""
        parity = (len(coefficients) - 1) % 2
        kept = coefficients[parity::2]
        if kept == (1.0,):
            return z if parity else None
        total = self.number(kept[-1])
        for c in kept[-2::-1]:
            total = self.fma(total, z2, self.number(c))
        return self.mul(total, z) if parity else total

    def powers(self, x, y, highest):
        """Real and imaginary part of (x + iy)^m, from m = 1 on; at 0 nothing."""
        found = [(None, None), (x, y)]
        for _ in range(2, highest + 1):
            re, im = found[-1]
            found.append((self.fma(x, re, self.builder.fneg(self.mul(y, im))),
                          self.fma(x, im, self.mul(y, re))))
        return found


def _times(emit, a, b):
    """a b, where None is 1."""
    if a is None or b is None:
        return b if a is None else a
    return emit.mul(a, b)


@intrinsic(prefer_literal=True)
def store_harmonics(typingctx, l_max, x, y, z, out, index):
    """Write the harmonics of eight directions, out[index + 8 k + lane], zeros behind them.

    l_max : a literal; x, y, z : registers of eight lanes; out : a flat array of their type
    """
    degree_max = constant_int(l_max)

    def codegen(context, builder, sig, args):
        emit = _Emitter(builder, x)
        _, vx, vy, vz, _, _ = args
        pointer = element_pointer(context, builder, sig.args[4], args[4], sig.args[5], args[5])
        z2, powers = emit.mul(vz, vz), emit.powers(vx, vy, degree_max)
        values = []
        for degree in range(1, degree_max + 1):
            for m in range(degree + 1):
                along = emit.series(z_polynomial(degree, m), vz, z2)
                values += [_times(emit, along, part) for part in powers[m][:2 if m else 1]]
        values += [emit.zero] * (padded(degree_max) - len(values))
        for k, value in enumerate(values):
            place = builder.gep(pointer, [ir.IntType(64)(LANES * k)])
            builder.store(value, builder.bitcast(place, x.llvm.as_pointer())).align = 4
        return context.get_dummy_value()

    return types.none(l_max, x, y, z, out, index), codegen


@intrinsic(prefer_literal=True)
def pull(typingctx, l_max, x, y, z, weights):
    """Gradient of sum_k weights[8 k + lane] y_k, of y as polynomials in free x, y, z.

    l_max : a literal; weights : a flat array of the registers' type; returns three registers
    """
    degree_max = constant_int(l_max)
    result = types.UniTuple(x, 3)

    def codegen(context, builder, sig, args):
        emit = _Emitter(builder, x)
        _, vx, vy, vz, _ = args
        base = element_pointer(context, builder, sig.args[4], args[4], types.intp,
                               ir.IntType(64)(0))
        z2, powers = emit.mul(vz, vz), emit.powers(vx, vy, degree_max)

        def weight(degree, k):
            place = builder.gep(base, [ir.IntType(64)(LANES * (first(degree) + k))])
            return load_vector(builder, place, x)

        def plus(total, value):
            return value if total is None else emit.add(total, value)

        gx = gy = gz = None
        for m in range(degree_max + 1):
            for part in range(2 if m else 1):
                across = along = None            # sums of weights times Z_lm, and times Z'_lm
                for degree in range(max(m, 1), degree_max + 1):
                    w = weight(degree, 2 * m - 1 + part if m else 0)
                    c = z_polynomial(degree, m)
                    if m:
                        across = plus(across, _times(emit, emit.series(c, vz, z2), w))
                    if degree > m:
                        slope = tuple(p * a for p, a in enumerate(c))[1:]
                        along = plus(along, _times(emit, emit.series(slope, vz, z2), w))
                if along is not None:
                    gz = plus(gz, _times(emit, powers[m][part], along))
                if not m:
                    continue
                across = emit.mul(across, emit.number(float(m)))
                re, im = powers[m - 1]           # of the power below; at m = 1 it is 1
                if re is None:
                    gx, gy = (plus(gx, across), gy) if part == 0 else (gx, plus(gy, across))
                elif part == 0:
                    gx = plus(gx, emit.mul(re, across))
                    gy = emit.sub(gy, emit.mul(im, across)) if gy is not None else (
                        builder.fneg(emit.mul(im, across)))
                else:
                    gx, gy = plus(gx, emit.mul(im, across)), plus(gy, emit.mul(re, across))
        return context.make_tuple(builder, result, [gx, gy, gz])

    return result(l_max, x, y, z, weights), codegen
