"""CRC-32 as zlib defines it, at the speed of memory.

zlib goes through the bytes with tables, 2 to 4 GB/s; a device may be faster, and a checkpoint is
checksummed twice, when it is written and when it is read. Processors multiply polynomials over
GF(2): with that a run of bytes is folded onto the bytes D bits further on without changing the
remainder,

    A x^(D + n) = A_hi x^(D + n + 64) + A_lo x^(D + n)        (mod P)

two products for sixteen bytes. Here four registers are folded side by side, until as many bytes are
left as they hold. What is left is an ordinary message with the same CRC, so that zlib finishes it
with the bytes behind: the value is zlib's by construction, and where there is no such instruction
zlib does it all.

V. Gopal et al., Fast CRC Computation for Generic Polynomials Using PCLMULQDQ, Intel 2009.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

POLYNOMIAL = 0x104C11DB7
REGISTERS = 4
WORTH_IT = 16384        # bytes; below, the call costs more than it saves

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)


def _lanes() -> int:
    """64-bit lanes of the widest register that this processor multiplies polynomials in; or 0."""
    has = binding.get_host_cpu_features()
    if not has.get("pclmul"):
        return 0
    if not has.get("vpclmulqdq"):
        return 2
    return 8 if has.get("avx512f") else 4


LANES = _lanes()
WIDTH = 8 * LANES * REGISTERS       # bytes that are folded at once
_MULTIPLY = {2: "llvm.x86.pclmulqdq", 4: "llvm.x86.pclmulqdq.256", 8: "llvm.x86.pclmulqdq.512"}


def power_of_x(n: int) -> int:
    """x^n mod P, its bits in the CRC's reverse order, shifted by the one that reversal costs."""
    remainder = 1
    for _ in range(n):
        remainder <<= 1
        if remainder >> 32:
            remainder ^= POLYNOMIAL
    return int(f"{remainder:032b}"[::-1], 2) << 1


def crc32(data: bytes | memoryview, start: int = 0) -> int:
    """CRC-32 of some contiguous bytes, continuing from `start`; equals `zlib.crc32`."""
    if not LANES or len(data) < WORTH_IT:
        return zlib.crc32(data, start)
    view = np.frombuffer(data, np.uint8)
    rounds = len(view) // WIDTH
    rest = np.empty(WIDTH, np.uint8)
    fold(view.ctypes.data, rounds, ~start & 0xFFFFFFFF, rest.ctypes.data)
    # zlib inverts its register before and after; what is folded carries `start` already.
    return zlib.crc32(memoryview(data)[rounds * WIDTH :], zlib.crc32(rest.data, 0xFFFFFFFF))


@intrinsic(prefer_literal=True)
def _fold(typingctx, lanes, address, rounds, start, rest):  # type: ignore[no-untyped-def]
    wide = lanes.literal_value
    register = ir.VectorType(_I64, wide)
    stride = 8 * wide * REGISTERS
    low, high = power_of_x(8 * stride + 32), power_of_x(8 * stride - 32)
    keys = ir.Constant(register, [low, high] * (wide // 2))

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        _, address, rounds, start, rest = args
        function = ir.FunctionType(register, (register, register, _I8))
        multiply = cgutils.get_or_insert_function(builder.module, function, _MULTIPLY[wide])

        def place(base: ir.Value, k: int) -> ir.Value:
            at = builder.add(base, _I64(8 * wide * k))
            return builder.inttoptr(at, register.as_pointer())

        def onwards(value: ir.Value) -> ir.Value:
            lows = builder.call(multiply, [value, keys, _I8(0x00)])
            highs = builder.call(multiply, [value, keys, _I8(0x11)])
            return builder.xor(lows, highs)

        kept = [cgutils.alloca_once(builder, register) for _ in range(REGISTERS)]
        for k in range(REGISTERS):
            first = builder.load(place(address, k), align=1)
            if k == 0:
                zeros = ir.Constant(register, [0] * wide)
                first = builder.xor(first, builder.insert_element(zeros, start, _I32(0)))
            builder.store(first, kept[k])
        with cgutils.for_range(builder, builder.sub(rounds, _I64(1))) as loop:
            done = builder.mul(builder.add(loop.index, _I64(1)), _I64(stride))
            base = builder.add(address, done)
            for k in range(REGISTERS):
                data = builder.load(place(base, k), align=1)
                builder.store(builder.xor(onwards(builder.load(kept[k])), data), kept[k])
        for k in range(REGISTERS):
            builder.store(builder.load(kept[k]), place(rest, k), align=1)
        return context.get_dummy_value()

    return types.void(lanes, types.int64, types.int64, types.int64, types.int64), emit


@njit(cache=True, nogil=True)
def fold(address, rounds, start, rest):  # type: ignore[no-untyped-def]
    """Fold `rounds` (>= 1) times WIDTH bytes at `address` to WIDTH bytes at `rest`."""
    _fold(LANES, address, rounds, start, rest)
