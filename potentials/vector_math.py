"""Elementary functions of vector registers (simd): exp, erfc, tanh, sine, cosine, polynomials.

exp x = 2^n exp r with n the nearest integer of x / ln 2 and |r| <= ln 2 / 2. n ln 2 is taken off
in two parts, of which the first has so few bits that its product with n is exact. exp r is a
polynomial that interpolates it at Chebyshev nodes; n is added to its exponent bits. There is no
branch and no table, so that sixteen lanes cost little more than one. Arguments above 708 and below
-600 (single: 87 and -60) give the value there: a kernel drops such lanes, or adds 1e-261 (1e-26) of
something. That is far enough from the smallest normal number for products with it to be normal too:
subnormal ones take a hundred cycles each on some processors (ZBL in mixed precision became three
times slower).

erfc x = e^(-x^2) erfcx x, of x >= 0. With y = 1 / (x + k) and t = 1 - 2 k y, which maps the half
line to [-1, 1), erfcx x = y p(t): p is so smooth, from k at 0 to 1/sqrt(pi) at infinity, that a
polynomial at Chebyshev nodes does for all x, after M. M. Shepherd and J. G. Laframboise, Math.
Comp. 36, 249 (1981), doi 10.1090/S0025-5718-1981-0595058-X. Who wants erfc mostly wants its
derivative too, so that both factors are given back.

Errors, measured over the whole range: exp double 1 ulp, single 1 ulp; erfc and e^(-x^2) relative
1e-15 + 1.2e-16 x^2 in double, 5e-7 + 6e-8 x^2 in single, where the term with x^2 is the rounding of
x^2 itself.
"""

from __future__ import annotations

from math import factorial

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from potentials import simd
from potentials.simd import Vector, fma
from potentials.simd.functions import call_llvm
from potentials.simd.registers import splat_value
from potentials.static import INLINED

PER_LN2 = 1.4426950408889634
LN2 = 0.6931471805592082, 7.371002565167799e-13          # the first with 40 bits
LN2_SINGLE = 0.693145751953125, 1.4286068203094173e-06   # the first with 15 bits
ROUND, ROUND_SINGLE = 1.5 * 2.0**52, 1.5 * 2.0**23       # added, leave the nearest integer ...
ROUND_BITS = int(np.float64(ROUND).view(np.int64))       # ... in the lowest bits
ROUND_BITS_SINGLE = int(np.float32(ROUND_SINGLE).view(np.int32))
LARGEST, LARGEST_SINGLE = 708.0, 87.0
LEAST, LEAST_SINGLE = -600.0, -60.0
EXP = (1.0, 1.0, 0.5000000000000001, 0.16666666666666669, 0.04166666666662413,
       0.008333333333330062, 0.0013888888917213717, 0.00019841269863053618,
       2.4801521295954376e-05, 2.7557268459997064e-06, 2.7620088445409746e-07,
       2.510038549551032e-08)
EXP_SINGLE = (1.0, 1.0, 0.5, 0.16666576969898775, 0.041666554617204574, 0.008363179052722578,
              0.0013926183587713494)
ERFCX_MIDDLE = 3.5                                       # k: where t is 0
ERFCX = (1.08705558926226, -0.9377997245671139, 0.694113646634644, -0.43525602671671476,
         0.22573862164741135, -0.09231870664314448, 0.02651861988184137, -0.003177050284611174,
         -0.0013053546932652587, 0.000714531280662541, -4.206217187411542e-05,
         -7.477535179035543e-05, 1.86473323635186e-05, 7.23935676212077e-06,
         -3.3928080577899144e-06, -7.877243981829272e-07, 5.527358057234972e-07,
         1.0628773601410245e-07, -8.69903875447013e-08, -1.5311166117013943e-08,
         1.1956272918234388e-08, 1.447656576135023e-09, -1.0131361379827797e-09)
ERFCX_SINGLE = (1.087055576176525, -0.9377998405564613, 0.6941143243721813, -0.4352502162577204,
                0.22573221031095314, -0.09236565308957663, 0.02654288212350527,
                -0.00304268913695461, -0.0013502077067106665, 0.0005532968135537776)

SINE = tuple((-1.0) ** k / factorial(2 * k + 1) for k in range(11))        # of x^2, over x
COSINE = tuple((-1.0) ** k / factorial(2 * k) for k in range(12))          # of x^2


@intrinsic
def polynomial(typingctx, x, coefficients):
    """c0 + c1 x + c2 x^2 + ... by Horner's rule; `coefficients` a tuple of floats, c0 first."""
    def codegen(context, builder, sig, args):
        values = [_spread(context, builder, c, x)
                  for c in cgutils.unpack_tuple(builder, args[1])]
        total = values[-1]
        for value in values[-2::-1]:
            total = call_llvm(builder, "fma", x, [total, args[0], value])
        return total

    return x(x, coefficients), codegen


@intrinsic
def like(typingctx, x, number):
    """A number on all lanes of a vector of x's type."""
    def codegen(context, builder, sig, args):
        value = context.cast(builder, args[1], sig.args[1], types.float64)
        return _spread(context, builder, value, x)

    return x(x, number), codegen


def _spread(context, builder, value, vector):
    value = context.cast(builder, value, types.float64, vector.scalar)
    return splat_value(builder, value, vector)


def exp(x):
    """e^x of a vector of float64 or float32; only inside compiled code."""
    raise NotImplementedError("only inside compiled code")


@overload(exp, jit_options=INLINED, strict=False)
def _choose_exp(x):
    if not isinstance(x, Vector) or not x.is_float:
        return None
    single = x.scalar == types.float32
    least, largest = (LEAST_SINGLE, LARGEST_SINGLE) if single else (LEAST, LARGEST)
    rounder, rounder_bits = (ROUND_SINGLE, ROUND_BITS_SINGLE) if single else (ROUND, ROUND_BITS)
    high, low = LN2_SINGLE if single else LN2
    coefficients = EXP_SINGLE if single else EXP
    exponent = 2**23 if single else 2**52

    def exp(x):
        x = simd.smaller(x, like(x, largest))
        x = -simd.smaller(-x, like(x, -least))
        shifted = fma(x, like(x, PER_LN2), like(x, rounder))
        n = shifted - rounder
        r = fma(n, like(x, -low), fma(n, like(x, -high), x))
        powers = (simd.bits_of(shifted) - rounder_bits) * exponent
        return simd.of_bits(simd.bits_of(polynomial(r, coefficients)) + powers)

    return exp


def erfcx(x):
    """e^(x^2) erfc x of a vector of float64 or float32, x >= 0; only inside compiled code."""
    raise NotImplementedError("only inside compiled code")


@overload(erfcx, jit_options=INLINED, strict=False)
def _choose_erfcx(x):
    if not isinstance(x, Vector) or not x.is_float:
        return None
    coefficients = ERFCX_SINGLE if x.scalar == types.float32 else ERFCX

    def erfcx(x):
        y = 1.0 / (x + ERFCX_MIDDLE)
        return y * polynomial(fma(y, like(x, -2.0 * ERFCX_MIDDLE), like(x, 1.0)), coefficients)

    return erfcx


@njit(**INLINED)
def erfc(x):
    """(erfc x, e^(-x^2)) of a vector, x >= 0."""
    bell = exp(-x * x)
    return bell * erfcx(x), bell


@njit(**INLINED)
def tanh(x):
    """Hyperbolic tangent, to two units in the last place of 1, not of itself."""
    return 1.0 - 2.0 / (exp(x + x) + 1.0)


@njit(**INLINED)
def nearest(x):
    """The nearest integers of a vector of float64, of numbers below 2^51."""
    return (x + ROUND) - ROUND


@njit(**INLINED)
def sine_cosine(x):
    """sin x and cos x of a vector of float64 between -pi / 2 and pi / 2, to 2e-16."""
    x2 = x * x
    return x * polynomial(x2, SINE), polynomial(x2, COSINE)


@njit(**INLINED)
def positive_part(x):
    """x where it is greater than 0, else 0."""
    return simd.where(x > 0.0, x, like(x, 0.0))
