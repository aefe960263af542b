"""A run as plain values, for the JSON."""

from __future__ import annotations

import os
import platform
import time
from typing import Any

import h5py
from mpi4py import MPI

from mdapp.perf.environment import read_environment
from mdapp.stress.folder import WorkFolder
from mdapp.stress.meeting import Meeting
from mdapp.stress.phase import Phase, bin_edges
from mdapp.stress.plan import GIB
from mdapp.stress.session import Session, command_line

PERCENTS = (50, 90, 95, 99, 99.9)


def body_of(session: Session) -> dict[str, Any]:
    """The body of the JSON."""
    return {
        "meta": meta_of(session.plan.profile, session.meeting, session.folder, session.began),
        "filesystem": file_system_of(session.folder),
        "plan": session.plan.as_json(),
        "phases": [{"pass": n, **phase_of(p)}
                   for n, passed in enumerate(session.passes) for p in passed],
        "figure": [f.as_json() for f in session.figures],
        "fio": session.fio, "left_out": session.left_out, "warnings": session.warnings,
        "exit_code": session.exit_code,
    }  # fmt: skip


def meta_of(profile: str, meeting: Meeting, folder: WorkFolder, began: float) -> dict[str, Any]:
    """Who, when, where."""
    return {
        "command": command_line(), "profile": profile,
        "began": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(began)),
        "seconds": time.time() - began, "run": f"{folder.run:016x}",
        "host": platform.node(), "ranks": meeting.size, "nodes": meeting.nodes,
        "mpi": MPI.Get_library_version().split(",")[0].strip(),
        "h5py": h5py.version.version, "hdf5": h5py.version.hdf5_version,
        "parallel_hdf5": bool(h5py.get_config().mpi),
        "environment": read_environment().as_json(),
    }  # fmt: skip


def file_system_of(folder: WorkFolder) -> dict[str, Any]:
    """Type and space of what is stressed."""
    status = os.statvfs(folder.directory)
    return {"type": folder.kind, "directory": str(folder.directory),
            "block_bytes": status.f_bsize, "total_gib": status.f_blocks * status.f_frsize / GIB,
            "free_gib": status.f_bavail * status.f_frsize / GIB}


def phase_of(phase: Phase) -> dict[str, Any]:
    """All of a phase."""
    edges, used = bin_edges(), phase.latency.nonzero()[0]
    return {
        "name": phase.name, "twin": phase.twin or None, "api": phase.api or None,
        "valid": phase.is_valid, "reasons": phase.reasons, "flags": phase.flags,
        "durable": phase.durable, "unit": phase.unit, "per_operation": phase.per_step,
        "operations": phase.count, "total": phase.total, "seconds": phase.seconds,
        "rate": phase.rate, "rate_without_own": phase.rate_without_own,
        "own_share": phase.own_share, "deadline_rate": phase.deadline_rate,
        "stopped_at": phase.stopped_at,
        "operations_at_deadline": dict(zip(("min", "mean", "max"), phase.deadline_counts,
                                           strict=True)),
        "rank_seconds": phase.rank_seconds,
        "latency_s": {f"p{p:g}": phase.percentile(p) for p in PERCENTS} | {"max": phase.slowest},
        "latency_histogram": [[float(edges[i + 1]), int(phase.latency[i])] for i in used],
        "timeline": phase.timeline, "errors": phase.errors, "mismatches": phase.mismatches,
        "findings": [f.as_json() for f in phase.findings], "evidence": phase.evidence,
    }  # fmt: skip
