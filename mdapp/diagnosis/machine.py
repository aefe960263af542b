"""The processor, the share of it that a rank has, and the folder of compiled kernels."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mdapp.diagnosis.verdict import Verdict
from mdapp.kernel_cache import cache_root, cpu_model
from mdapp.parallel.launcher import Launch
from mdapp.startup import Cpus, read_cpus

# Vector and matrix units by the names of Linux: x86 first, Arm below.
CPU_FEATURES = (
    "avx2", "fma", "avx512f", "avx512_bf16", "avx512_fp16", "avx_vnni", "amx_tile", "amx_bf16",
    "amx_int8", "asimd", "sve", "sve2", "sme", "bf16",
)  # fmt: skip


def cpu_features(description: str) -> tuple[str, ...]:
    """Names of the known vector and matrix units in a description from /proc/cpuinfo."""
    words = set(description.split())
    return tuple(name for name in CPU_FEATURES if name in words)


def check_cpu(description: str | None = None) -> Verdict:
    """Report the processor's vector and matrix units."""
    text = cpu_model() if description is None else description
    found = cpu_features(text)
    lines = text.splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")
    shown = f"{model or os.uname().machine}: {' '.join(found) or 'no known vector units'}"
    if os.uname().machine == "x86_64" and "avx2" not in found:
        return Verdict(
            "cpu", "warn", shown, "kernels run in 128-bit vectors: choose nodes with AVX2"
        )
    return Verdict("cpu", "ok", shown)


@dataclass(frozen=True)
class RankReport:
    """What one rank sees of its node; gathered from all of them."""

    rank: int
    host: str
    cpus: Cpus
    numba_threads: str
    omp_threads: str

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {**asdict(self), "cpus": {**asdict(self.cpus), "mask": list(self.cpus.mask)}}


def rank_report(launch: Launch, environ: Mapping[str, str] = os.environ) -> RankReport:
    """Describe this process. Call it after MPI has started, which may change the mask."""
    return RankReport(
        launch.rank,
        os.uname().nodename,
        read_cpus(launch),
        environ.get("NUMBA_NUM_THREADS", ""),
        environ.get("OMP_NUM_THREADS", ""),
    )


def check_affinity(reports: Sequence[RankReport]) -> Iterator[Verdict]:
    """Judge whether the ranks of each node have a cpu each."""
    hosts: dict[str, list[RankReport]] = {}
    for report in reports:
        hosts.setdefault(report.host, []).append(report)
    for host, ranks in hosts.items():
        cpus = {cpu for report in ranks for cpu in report.cpus.mask}
        text = (
            f"{host}: {len(ranks)} rank{'s' if len(ranks) > 1 else ''} on {len(cpus)} cpus, "
            f"masks of {_range([len(r.cpus.mask) for r in ranks])} "
            f"({'bound' if ranks[0].cpus.bound else 'not bound'})"
        )
        if len(cpus) < len(ranks):
            fix = "start fewer ranks on this node, or give each its own core (--bind-to core)"
            yield Verdict("affinity", "bad", text + ", oversubscribed", fix)
        else:
            yield Verdict("affinity", "ok", text)


def check_threads(reports: Sequence[RankReport]) -> Verdict:
    """Judge whether a thread pool is larger than the mask of its rank."""
    for report in reports:
        for name, value in (
            ("NUMBA_NUM_THREADS", report.numba_threads),
            ("OMP_NUM_THREADS", report.omp_threads),
        ):
            if value.isdecimal() and int(value) > len(report.cpus.mask):
                text = f"rank {report.rank}: {name}={value}, but {len(report.cpus.mask)} cpus"
                return Verdict("threads", "bad", text, f"unset {name}, or widen the mask")
    first = reports[0]
    text = (
        f"up to {first.numba_threads or '?'} in kernels (run.threads takes of them), "
        f"{first.omp_threads or '?'} for OpenMP, 1 for BLAS"
    )
    return Verdict("threads", "ok", text)


def check_cpu_limit(cpus: int, text: str | None = None) -> Iterator[Verdict]:
    """Compare a container's cpu quota with the mask: a quota throttles without shrinking it."""
    if text is None:
        try:
            text = Path("/sys/fs/cgroup/cpu.max").read_text()
        except OSError:
            return
    quota, _, period = text.strip().partition(" ")
    if quota.isdecimal() and period.isdecimal() and int(quota) < cpus * int(period):
        limit = int(quota) / int(period)
        yield Verdict(
            "cpu limit", "warn", f"a quota of {limit:g} cpus, but a mask of {cpus}",
            f"use at most {max(1, int(limit))} ranks x threads here",
        )  # fmt: skip


def check_cache(environ: Mapping[str, str] = os.environ) -> Verdict:
    """Judge whether compiled kernels can be kept for the next run."""
    folder = Path(environ.get("NUMBA_CACHE_DIR", ""))
    if not os.access(folder, os.W_OK | os.X_OK):
        fix = "make it writable, or unset NUMBA_CACHE_DIR"
        return Verdict("kernel cache", "bad", f"{folder} cannot be written", fix)
    if folder.name.startswith("numba-") and folder.parent != cache_root(environ):
        fix = f"make {cache_root(environ)} writable: every new node compiles its kernels again"
        return Verdict("kernel cache", "warn", f"{folder} (temporary)", fix)
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    return Verdict("kernel cache", "ok", f"{folder} ({size / 1e6:.1f} MB)")


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low} to {high}"
