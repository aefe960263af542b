"""Names in a folder of checkpoints: what is committed, in flight, set aside or being removed.

Steps have 12 digits, so that the order of names is the order of steps. A name that begins with a
dot is never a candidate for a restart, whatever is inside.
"""

from __future__ import annotations

import re

MANIFEST = "manifest.json"
LATEST = "LATEST"
LOCK = "LOCK"
LINEAGE = "LINEAGE"
METRICS = "ckpt-metrics.jsonl"
CANARY = ".canary-"

_STEP = re.compile(r"step-(\d{12,18})")
_ASIDE = re.compile(r"(\.tmp|\.bad|\.trash|\.old|\.verified|crash)-(\d{12,18})-([0-9a-f]{8})")


def step_name(step: int) -> str:
    """Folder of a committed checkpoint."""
    return f"step-{step:012d}"


def aside_name(prefix: str, step: int, uuid: str) -> str:
    """Folder of something else: prefix .tmp, .bad, .trash, .old or crash."""
    return f"{prefix}-{step:012d}-{uuid[:8]}"


def step_of(name: str) -> int | None:
    """Step of a committed checkpoint's folder; None for any other name."""
    found = _STEP.fullmatch(name)
    return int(found[1]) if found and step_name(int(found[1])) == name else None


def aside_kind(name: str) -> str | None:
    """Prefix of a name that `aside_name` made; None for any other name."""
    found = _ASIDE.fullmatch(name)
    return found[1] if found else None


def shard_path(index: int) -> str:
    """File number `index` inside a checkpoint; at most 256 files a folder."""
    return f"s{index // 256:03d}/shard-{index:05d}.h5"
