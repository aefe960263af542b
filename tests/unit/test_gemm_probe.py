"""The probe of matrix products: what it accepts, and what it must find."""

import numpy as np
import pytest

from mdapp.diagnosis import gemm
from mdapp.perf.gemm import Fault, Rate, faults
from mdapp.perf.gemm_backends import Backend, Product, backends
from tests.unit.test_gemm import bf16


@pytest.mark.parametrize("backend", backends()[0], ids=lambda backend: backend.name)
def test_a_back_end_computes_what_its_precision_promises(backend: Backend) -> None:
    assert list(faults(backend)) == []


def told_to_be_fast(a: np.ndarray, w: np.ndarray, precision: str) -> Product:
    """A library that rounds its operands, and says single precision."""
    return Product(lambda: None, lambda: bf16(a) @ bf16(w))


def with_a_narrow_sum(a: np.ndarray, w: np.ndarray, precision: str) -> Product:
    """Sums that have eight bits."""
    def result() -> np.ndarray:
        total = np.zeros((len(a), w.shape[1]))
        for k in range(a.shape[1] if a.shape[1] < 1000 else 600):
            total = bf16(total + np.outer(a[:, k], w[k]))
        return total
    return Product(lambda: None, result)


@pytest.mark.parametrize(("prepare", "words"), [
    (told_to_be_fast, ["operands of single are rounded", "relative error"]),
    (with_a_narrow_sum, ["a sum of 32768 ones is 256", "relative error"])])
def test_a_silent_loss_of_digits_is_found(prepare, words: list[str]) -> None:
    found = [fault.text for fault in faults(Backend("fast", ("single",), prepare))]
    for word in words:
        assert any(word in text for text in found), found


def ranks_with(bf16_gflops: float, found: tuple[Fault, ...] = ()) -> list[gemm.Measured]:
    speeds = {"double": 50.0, "single": 100.0, "bf16": bf16_gflops}
    table = tuple(Rate("mdapp", precision, shape, speed)
                  for precision, speed in speeds.items() for shape in gemm.SHAPES)
    return [gemm.Measured(table, found, {"onednn": "install it"})]


def test_bf16_that_is_not_faster_is_no_offer() -> None:
    slow = [v for v in gemm.verdicts(ranks_with(110.0)) if v.text.startswith("bf16")]
    assert [v.status for v in slow] == ["warn"] and "1.1 times" in slow[0].text
    fast = [v for v in gemm.verdicts(ranks_with(200.0)) if v.text.startswith("bf16")]
    assert [v.status for v in fast] == ["ok"]


def test_a_wrong_product_of_ones_own_is_bad_and_of_a_library_a_warning() -> None:
    wrong = tuple(Fault(name, "single", "a sum is wrong") for name in ("mdapp", "blas"))
    found = {v.text: v.status for v in gemm.verdicts(ranks_with(200.0, wrong))}
    assert found["mdapp, single: a sum is wrong"] == "bad"
    assert found["blas, single: a sum is wrong"] == "warn"


def test_the_table_shows_the_slowest_rank() -> None:
    fast, = ranks_with(200.0)
    slow = gemm.Measured(tuple(Rate(r.backend, r.precision, r.shape, r.gflops / 2)
                               for r in fast.rates), (), {})
    lines = list(gemm.table_lines([fast, slow]))
    assert lines[2].split()[-1] == "25.0" and len(lines) == 2 + 3 * len(gemm.SHAPES)
    assert len(gemm.as_json([fast, slow])) == 2 * len(fast.rates)
