"""A checkpoint at scale: its size, how long it takes, and how often to write one.

    size = 72 B N (1 + 0.1 %)            x, v 48; id 8; type 4; image 12
    t    = max(size / min(fs, nodes x node), files / create rate) + sync of data + sync of manifest

and Daly's interval for that time and the mean time between failures (mdapp.storage.interval).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mdapp.storage.interval import daly_interval, expected_overhead
from mdapp.storage.layout import MANY_RANKS
from mdapp.storage.state import STANDARD
from scaling.model.machine import Machine

METADATA = 1e-3
ATOM_BYTES = sum(field.atom_bytes for field in STANDARD)


@dataclass(frozen=True)
class CheckpointPlan:
    """What checkpoints cost.

    Attributes
    ----------
    size : bytes
    files : of one checkpoint, as the layout `auto` chooses
    seconds : of one, written while the run waits
    limit : what bounds its bandwidth
    interval_s : between two
    overhead : share of the time that goes into checkpoints, lost work and restarts
    """

    size: float
    files: int
    seconds: float
    limit: str
    interval_s: float
    overhead: float


def plan_checkpoints(natoms: float, ranks: int, machine: Machine) -> CheckpointPlan:
    """Plan synchronous checkpoints; a restart is taken to last as long as one."""
    storage = machine.storage
    nodes = math.ceil(ranks / machine.node.ranks_per_node)
    files = ranks if ranks <= MANY_RANKS else nodes
    size = natoms * ATOM_BYTES * (1 + METADATA)
    ways = {
        "bandwidth of the file system": size / (1e9 * storage.fs_GBps.v),
        "bandwidth of the nodes": size / (1e9 * nodes * storage.node_write_GBps.v),
        "making the files": files / storage.file_create_per_s.v,
    }
    limit = max(ways, key=lambda name: ways[name])
    seconds = ways[limit] + 2 * storage.fsync_s.v
    mtbf = 3600 * storage.mtbf_h.v
    interval = daly_interval(seconds, mtbf)
    return CheckpointPlan(size, files, seconds, limit, interval,
                          expected_overhead(seconds, mtbf, interval, seconds))
