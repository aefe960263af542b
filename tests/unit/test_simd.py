"""Vector registers inside Numba functions against NumPy arrays."""

import operator

import numpy as np
import pytest
from numba import njit

from potentials import simd
from potentials.simd import selection

OPERATORS = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "truediv": operator.truediv,
}
DTYPES = ("float64", "float32", "int64", "int32")


def numbers(dtype: str, n: int = 16, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if dtype.startswith("float"):
        return rng.normal(size=n).astype(dtype)
    return rng.integers(-1000, 1000, n).astype(dtype)


def in_register(function, *arrays: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Store function(registers of 16) in `out`."""
    compiled = njit(function)

    if len(arrays) == 1:

        @njit
        def run(a, out):
            simd.store(out, 0, compiled(simd.load(a, 0, 16)))
    elif len(arrays) == 2:

        @njit
        def run(a, b, out):
            simd.store(out, 0, compiled(simd.load(a, 0, 16), simd.load(b, 0, 16)))
    else:

        @njit
        def run(a, b, c, out):
            simd.store(
                out, 0, compiled(simd.load(a, 0, 16), simd.load(b, 0, 16), simd.load(c, 0, 16))
            )

    run(*arrays, out)
    return out


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        (name, dtype)
        for name in OPERATORS
        for dtype in DTYPES
        if name != "truediv" or dtype.startswith("float")
    ],
)
def test_arithmetic(name: str, dtype: str) -> None:
    """Bit for bit what NumPy rounds to, for two vectors, and a vector with a number."""
    a, b = numbers(dtype), numbers(dtype, seed=1)
    op = OPERATORS[name]
    three = np.dtype(dtype).type(3)
    if name == "add":
        results = [
            in_register(lambda x, y: x + y, a, b, out=a.copy()),
            in_register(lambda x: x + 3, a, out=a.copy()),
            in_register(lambda x: 3 + x, a, out=a.copy()),
        ]
    elif name == "sub":
        results = [
            in_register(lambda x, y: x - y, a, b, out=a.copy()),
            in_register(lambda x: x - 3, a, out=a.copy()),
            in_register(lambda x: 3 - x, a, out=a.copy()),
        ]
    elif name == "mul":
        results = [
            in_register(lambda x, y: x * y, a, b, out=a.copy()),
            in_register(lambda x: x * 3, a, out=a.copy()),
            in_register(lambda x: 3 * x, a, out=a.copy()),
        ]
    else:
        results = [
            in_register(lambda x, y: x / y, a, b, out=a.copy()),
            in_register(lambda x: x / 3, a, out=a.copy()),
            in_register(lambda x: 3 / x, a, out=a.copy()),
        ]
    for found, expected in zip(results, (op(a, b), op(a, three), op(three, a)), strict=True):
        assert found.dtype == expected.dtype and np.array_equal(found, expected)


def test_integers_wrap() -> None:
    a = np.full(16, 2**31 - 1, np.int32)
    assert np.array_equal(
        in_register(lambda x: x + 1, a, out=a.copy()), np.full(16, -(2**31), np.int32)
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_comparisons_select(dtype: str) -> None:
    a, b = numbers(dtype), numbers(dtype, seed=1)
    b[3] = a[3]
    pairs = [
        (lambda x, y: simd.where(x < y, x, y), a < b),
        (lambda x, y: simd.where(x <= y, x, y), a <= b),
        (lambda x, y: simd.where(x > y, x, y), a > b),
        (lambda x, y: simd.where(x >= y, x, y), a >= b),
        (lambda x, y: simd.where(x != y, x, y), a != b),
        (lambda x, y: simd.where((x < y) & (x > 0), x, y), (a < b) & (a > 0)),
        (lambda x, y: simd.where((x < y) | (x > 0), x, y), (a < b) | (a > 0)),
    ]
    for function, mask in pairs:
        assert np.array_equal(in_register(function, a, b, out=a.copy()), np.where(mask, a, b))


def test_not_a_number_is_not_below() -> None:
    a, b = numbers("float64"), np.zeros(16)
    a[5] = np.nan
    low = in_register(lambda x, y: simd.where(x < y, x, y), a, b, out=a.copy())
    assert np.array_equal(low, np.where(a < b, a, b))
    found = in_register(
        lambda x, y: simd.where(simd.not_below(x, y), y + 1.0, y), a, b, out=a.copy()
    )
    assert np.array_equal(found, np.where(~(a < b), 1.0, 0.0))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_floating_point_functions(dtype: str) -> None:
    a, b, c = (numbers(dtype, seed=s) for s in range(3))
    assert np.array_equal(in_register(lambda x: -x, a, out=a.copy()), -a)
    assert np.array_equal(in_register(lambda x: simd.absolute(x), a, out=a.copy()), abs(a))
    assert np.array_equal(in_register(lambda x: simd.sqrt(x * x), a, out=a.copy()), np.sqrt(a * a))
    fused = in_register(lambda x, y, z: simd.fma(x, y, z), a, b, c, out=a.copy())
    wide = np.longdouble if dtype == "float64" else np.float64
    exact = a.astype(wide) * b.astype(wide) + c.astype(wide)
    assert abs(fused - exact).max() <= np.finfo(dtype).eps * abs(exact).max()


def test_fma_rounds_once() -> None:
    a = np.full(16, 1.0 + 2.0**-30)
    residue = in_register(lambda x, y, z: simd.fma(x, y, z), a, a, -(a * a), out=a.copy())
    assert (residue == 2.0**-60).all(), "the low half of the product, which two roundings lose"


def test_no_contraction_behind_our_back() -> None:
    """x * y + z rounds twice: variants of a kernel must give the same bits."""
    a = np.full(16, 1.0 + 2.0**-30)
    assert not in_register(lambda x, y, z: x * y + z, a, a, -(a * a), out=a.copy()).any()


def test_conversions_and_bits() -> None:
    a, k = numbers("float64"), numbers("int32")
    out32 = np.empty(16, np.float32)
    assert np.array_equal(
        in_register(lambda x: simd.as_float32(x), a, out=out32), a.astype(np.float32)
    )
    assert np.array_equal(
        in_register(lambda x: simd.as_float32(x), k, out=out32.copy()), k.astype(np.float32)
    )
    assert np.array_equal(
        in_register(lambda x: simd.as_float64(x), out32, out=a.copy()), out32.astype(np.float64)
    )
    assert np.array_equal(
        in_register(lambda x: simd.bits_of(x), a, out=np.empty(16, np.int64)), a.view(np.int64)
    )


@njit
def rearrange(a, tiled, spread, folded, blocks, numbers, joined):
    four = simd.load(a, 0, 4)
    all_ = simd.load(a, 0, 16)
    simd.store(tiled, 0, simd.tile(four, 4))
    simd.store(spread, 0, simd.spread(four, 4, 0, 4))
    simd.store(spread, 16, simd.spread(four, 4, 1, 2))
    simd.store(folded, 0, simd.fold(all_, 4))
    simd.store(blocks, 0, simd.reduce_blocks(all_, 4))
    numbers[0] = simd.total(all_)
    simd.store(joined, 0, simd.concatenate(four, simd.load(a, 4, 4)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_shuffles_and_sums(dtype: str) -> None:
    a = np.arange(1, 17).astype(dtype)
    tiled, spread, folded, blocks, one, joined = (np.zeros(n, dtype) for n in (16, 24, 4, 4, 1, 8))
    rearrange(a, tiled, spread, folded, blocks, one, joined)
    assert np.array_equal(tiled, np.tile(a[:4], 4))
    assert np.array_equal(spread, np.concatenate([np.repeat(a[:4], 4), np.repeat(a[1:3], 4)]))
    assert np.array_equal(folded, a.reshape(4, 4).sum(axis=0))
    assert np.array_equal(blocks, a.reshape(4, 4).sum(axis=1))
    assert one[0] == a.sum()
    assert np.array_equal(joined, a[:8])


@njit
def masks(a, words, out):
    mask = simd.load(a, 0, 16) < 0.5
    words[0] = simd.bits_of_mask(mask)
    words[1] = simd.bits_of_mask(simd.off_diagonal(4))
    words[2] = simd.any_lane(mask)
    words[3] = simd.any_lane(simd.load(a, 0, 16) < -9.0)
    nought = simd.splat(0.0, 16)
    simd.store(out, 0, simd.where(simd.mask_of_bits(words[4]), nought + 1.0, nought))


def test_masks_as_bits() -> None:
    a = np.random.default_rng(0).uniform(size=16)
    words = np.zeros(5, np.uint16)
    words[4] = 0b1010_0000_1111_0001
    out = np.empty(16)
    masks(a, words, out)
    assert words[0] == sum(1 << k for k in range(16) if a[k] < 0.5)
    assert words[1] == sum(1 << k for k in range(16) if k // 4 != k % 4)
    assert words[2] == 1 and words[3] == 0
    assert out.tolist() == [float(0b1010_0000_1111_0001 >> k & 1) for k in range(16)]


@njit
def look_up(table, index, rows):
    a, b, c = simd.lookup(table, simd.load(index, 0, 16), 3)
    simd.store(rows, 0, a)
    simd.store(rows, 16, b)
    simd.store(rows, 32, c)
    d, e = simd.splat_row(table, 2, 16)
    simd.store(rows, 48, d)
    simd.store(rows, 64, e)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_tables(dtype: str) -> None:
    table = np.arange(30).astype(dtype) / 7
    index = np.random.default_rng(0).integers(0, 27, 16).astype(np.int32)
    rows = np.empty(80, dtype)
    look_up(table, index, rows)
    expected = [
        table[index],
        table[index + 1],
        table[index + 2],
        np.full(16, table[0]),
        np.full(16, table[1]),
    ]
    assert np.array_equal(rows.reshape(5, 16), expected)


def test_loads_at_any_place() -> None:
    """Addresses need no alignment beyond that of a number."""
    a, out = numbers("float64", 40), np.zeros(40)

    @njit
    def copy(a, out):
        for k in range(1, 20):
            simd.store(out, k, simd.load(a, k, 16))

    copy(a, out)
    assert np.array_equal(out[1:35], a[1:35])


def test_stream_writes_what_store_writes() -> None:
    @njit
    def copy(a, first, out):
        for k in range(first, len(a) - 7, 8):
            simd.stream(out, k, simd.load(a, k, 8))
        simd.fence()

    a, out = numbers("float64", 96), np.zeros(104)
    first = (-out.ctypes.data % 64) // 8
    copy(a, first, out)
    whole = first + (len(a) - first) // 8 * 8
    assert out[first:whole].tobytes() == a[first:whole].tobytes()
    assert not out[:first].any() and not out[whole:].any()



@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_products_of_small_matrices(dtype: str) -> None:
    table, rows = numbers(dtype, 40), numbers(dtype, 200, 1)

    @njit
    def run(table, rows, out):
        v = simd.load(rows, 3, 8)
        sums = simd.add_outer(simd.zeros(v, 3), table, 2, 5, v)
        sums = simd.add_outer(sums, table, 4, 5, simd.load(rows, 11, 8))
        simd.store_each(out, 0, sums)
        block = simd.turned(rows, 6, 24)
        simd.store_each(out, 24, block)
        simd.store(out, 88, simd.add_inner(v, block, table, 7))

    out = np.zeros(96, dtype)
    run(table, rows, out)
    v, w = rows[3:11], rows[11:19]
    outer = np.outer(table[2:13:5], v) + np.outer(table[4:15:5], w)
    block = np.array([rows[6 + 24 * m : 14 + 24 * m] for m in range(8)])
    inner = v + table[7:15] @ block.T
    np.testing.assert_allclose(out[:24], outer.ravel(), rtol=20 * np.finfo(dtype).eps)
    assert np.array_equal(out[24:88], block.T.ravel())
    np.testing.assert_allclose(out[88:], inner, atol=50 * np.finfo(dtype).eps)


@pytest.mark.parametrize("best", ["", "avx2", "avx512f"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_selected_lanes(dtype: str, best: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed and spread again, in the way of this machine and of those that can do less."""
    here = selection.has_feature
    monkeypatch.setattr(
        selection, "has_feature", lambda context, name: name <= best and here(context, name)
    )

    @njit
    def run(a, bits, packed, spread):
        mask = simd.mask_of_bits(bits)
        simd.store_selected(packed, 3, simd.load(a, 0, 16), mask)
        simd.store(spread, 0, simd.load_selected(packed, 3, mask))
        return simd.count(bits)

    a = numbers(dtype)
    for bits in (0, 1, 0x8000, 0x00FF, 0xFF00, 0x1234, 0xFFFF):
        packed, spread = np.full(40, 7, dtype), np.full(16, 7, dtype)
        selected = np.array([bits >> k & 1 for k in range(16)], bool)
        n = run(a, np.uint16(bits), packed, spread)
        assert n == selected.sum()
        assert np.array_equal(packed[3 : 3 + n], a[selected])
        assert (packed[:3] == 7).all() and (packed[3 + 16 + 8 :] == 7).all()
        assert np.array_equal(spread, np.where(selected, a, 0))


@pytest.mark.parametrize("by_division", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_root_and_inverse(dtype: str, by_division: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if by_division:
        monkeypatch.setattr("potentials.simd.functions.has_feature", lambda *asked: False)

    @njit
    def run(a, roots, inverses):
        for k in range(0, len(a), 8):
            root, inverse = simd.root_and_inverse(simd.load(a, k, 8))
            simd.store(roots, k, root)
            simd.store(inverses, k, inverse)

    a = (np.random.default_rng(2).uniform(1, 100, 4096) ** 8).astype(dtype)
    roots, inverses = np.empty_like(a), np.empty_like(a)
    run(a, roots, inverses)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(roots, np.sqrt(a), rtol=2 * eps)
    np.testing.assert_allclose(inverses, 1 / np.sqrt(a), rtol=2 * eps)


def test_columns_of_rows() -> None:
    @njit
    def run(table, places, out):
        found = simd.columns(table, places, 2, 4)
        for k in range(4):
            simd.store(out, 8 * k, found[k])

    table, places = numbers("float64", 60), np.arange(0, 40, 4).astype(np.int32)[::-1].copy()
    out = np.empty(32)
    run(table, places, out)
    assert np.array_equal(out.reshape(4, 8), [table[places[2:10] + k] for k in range(4)])
