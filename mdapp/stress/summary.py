"""A run as plain values, for the JSON."""

from __future__ import annotations

import platform
import time
from typing import Any

from mdapp.perf.environment import read_environment
from mdapp.stress.phase import Phase, bin_edges
from mdapp.stress.session import Session, command_line

PERCENTS = (50, 90, 95, 99, 99.9)


def body_of(session: Session) -> dict[str, Any]:
    """The body of the JSON."""
    return {
        "meta": meta_of(session),
        "filesystem": {"type": session.folder.kind, "directory": str(session.folder.directory)},
        "plan": session.plan.as_json(),
        "phases": [{"pass": n, **phase_of(p)}
                   for n, passed in enumerate(session.passes) for p in passed],
        "figure": [f.as_json() for f in session.figures],
        "left_out": session.left_out, "warnings": session.warnings,
        "exit_code": session.exit_code,
    }  # fmt: skip


def meta_of(session: Session) -> dict[str, Any]:
    """Who, when, where."""
    meeting = session.meeting
    return {
        "command": command_line(), "profile": session.plan.profile,
        "began": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(session.began)),
        "seconds": session.seconds, "run": f"{session.folder.run:016x}",
        "host": platform.node(), "ranks": meeting.size, "nodes": meeting.nodes,
        "environment": read_environment().as_json(),
    }  # fmt: skip


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
