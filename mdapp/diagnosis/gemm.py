"""`mdapp doctor --gemm`: a verdict on the matrix units for each precision.

Networks of potentials are multiplied by mdapp's own kernel, whose rate is compared with the
libraries' at the shapes that networks have. bf16 is worth having only where it is clearly faster
than single precision there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mdapp.diagnosis.verdict import Verdict
from mdapp.perf.gemm import LARGE, SHAPES, Fault, Rate, faults, rates
from mdapp.perf.gemm_backends import DTYPES, backends
from potentials.gemm import WORTH

OWN = "mdapp"
NETWORKS = tuple(shape for shape in SHAPES if shape != LARGE)


@dataclass(frozen=True)
class Measured:
    """What one rank has found."""

    rates: tuple[Rate, ...]
    faults: tuple[Fault, ...]
    absent: dict[str, str]


def measure() -> Measured:
    """Rates and faults of all back ends of this machine; about ten seconds."""
    found, absent = backends()
    return Measured(tuple(rate for backend in found for rate in rates(backend)),
                    tuple(fault for backend in found for fault in faults(backend)), dict(absent))


def slowest(ranks: Sequence[Measured]) -> list[Rate]:
    """For each product the rate of the slowest rank."""
    return [min(same, key=lambda rate: rate.gflops)
            for same in zip(*(rank.rates for rank in ranks), strict=True)]


def verdicts(ranks: Sequence[Measured]) -> Iterator[Verdict]:
    """One for each precision, and one for each back end that is wrong or absent."""
    table = slowest(ranks)
    for precision in DTYPES:
        yield _verdict(table, precision)
    for fault in dict.fromkeys(fault for rank in ranks for fault in rank.faults):
        text = f"{fault.backend}, {fault.precision}: {fault.text}"
        if fault.backend == OWN:
            yield Verdict("gemm", "bad", text, "report it, with the processor's name")
        else:
            yield Verdict("gemm", "warn", text, f"do not trust {fault.backend} here")
    for name, fix in ranks[0].absent.items():
        yield Verdict("gemm", "ok", f"{name} is not installed ({fix})")


def _verdict(table: Sequence[Rate], precision: str) -> Verdict:
    of_precision = [rate for rate in table if rate.precision == precision]
    own = {rate.shape: rate.gflops for rate in of_precision if rate.backend == OWN}
    if not own:
        return Verdict("gemm", "ok", f"{precision}: not on this processor; potentials refuse it")
    best = max(of_precision, key=lambda rate: rate.gflops)
    share = min(own[shape] / best.gflops for shape in NETWORKS[:2])
    text = (f"{precision}: {own[NETWORKS[1]]:.0f} Gflop/s at {_title(NETWORKS[1])}; networks reach "
            f"{share:.0%} of the best product, {best.gflops:.0f} by {best.backend}")
    if precision == "bf16":
        single = {r.shape: r.gflops for r in table if r.precision == "single" and r.backend == OWN}
        gain = min(own[shape] / single[shape] for shape in NETWORKS)
        text += f"; {gain:.1f} times single precision"
        if gain < WORTH:
            return Verdict("gemm", "warn", text, "take run.precision = mixed")
    return Verdict("gemm", "ok", text)


def table_lines(ranks: Sequence[Measured]) -> Iterator[str]:
    """Rates of all back ends as text, a line for each product."""
    table = slowest(ranks)
    names = list(dict.fromkeys(rate.backend for rate in table))
    yield (f"Gflop/s of {'the slowest rank' if len(ranks) > 1 else 'this process'}, "
           "atoms x inputs x outputs")
    yield f"{'':<9}{'':<19}" + "".join(f"{name:>9}" for name in names)
    for precision in DTYPES:
        for shape in SHAPES:
            found = {r.backend: r.gflops for r in table
                     if r.precision == precision and r.shape == shape}
            if found:
                cells = "".join(f"{found[name]:>9.1f}" if name in found else f"{'-':>9}"
                                for name in names)
                yield f"{precision:<9}{_title(shape):<19}{cells}"


def as_json(ranks: Sequence[Measured]) -> list[dict[str, Any]]:
    """All rates, rank by rank."""
    return [{"rank": number, **vars(rate)}
            for number, rank in enumerate(ranks) for rate in rank.rates]


def _title(shape: tuple[int, int, int]) -> str:
    return " x ".join(str(size) for size in shape)
