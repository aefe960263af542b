"""The `[checkpoint]` table: when checkpoints are written, how, where, and how many are kept.

Three ways to say when may stand side by side: every n steps, every t minutes, and at the interval
that loses the least time (`interval = "auto"`), which needs the mean time between failures.

Keys that belong to one layout or one mode (`group`, `overrun`, ...) may stay in a deck while
another one is tried with `--set`; what contradicts itself is refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from mdapp.deck.fields import Count, Name, PositiveInt, Problems, Section

Least0 = Annotated[float, Field(ge=0)]


def _node_or_ranks(value: Any) -> Any:
    if value == "node" or (isinstance(value, int) and value is not True and value >= 1):
        return value
    raise PydanticCustomError("group", 'must be "node" or a number of ranks from 1 on')


class Levels(Section):
    """Multi-level checkpoints: each node's own storage, a partner node's, and checkpoint.dir."""

    local: Name
    """Folder on storage of each node's own, such as /dev/shm/mdapp; {node}: the node's number."""
    partner_every: Count = 1
    """How many local checkpoints one of which is copied to the partner node; 0: none."""
    drain_every: Count = 1
    """How many local checkpoints one of which is drained to dir; 0: only a run's last goes there.
    """
    keep_local: Annotated[int, Field(ge=2, le=2**31 - 1)] = 2
    """Newest checkpoints that are kept on a node; there must be room for one more."""
    ranks_per_node: Count = 0
    """Consecutive ranks that count as one node; 0: those that share memory."""

    def _problems(self) -> Problems:
        rest = self.local.replace("{node}", "")
        if "{" in rest or "}" in rest:
            yield "local", "{node}, the number of the node, is all that braces can hold"
        elif self.ranks_per_node and rest == self.local:
            yield "local", ("must contain {node}, because ranks_per_node makes several nodes of "
                            "one machine, and each needs a folder of its own")


class Checkpoint(Section):
    """Checkpoints of the run."""

    dir: Name = "checkpoints"
    """Folder of the checkpoints, relative to the folder of the run."""

    every: Count = 0
    """Steps between two checkpoints; 0: none at fixed steps."""
    every_minutes: Least0 = 0.0
    """Minutes between two checkpoints; 0: none at fixed times."""
    interval: Literal["auto"] | None = None
    """auto: the interval of least loss (Daly 2006), from the measured cost and mtbf."""
    mtbf: Least0 = 0.0
    """Mean time between failures of all nodes of the job, in s; for interval = auto."""

    layout: Literal["sharded", "aggregated", "shared", "auto"] = "sharded"
    """Files of a checkpoint: one a rank, one a group of ranks, one for all; auto: mdapp picks."""
    shard_by: Literal["rank", "node"] = "rank"
    """layout = sharded: a file for each rank or for each node."""
    group: Annotated[
        int | str,
        BeforeValidator(_node_or_ranks,
                        json_schema_input_type=PositiveInt | Literal["node"]),
    ] = "node"
    """layout = aggregated: ranks that share a file, a number or all those of a node."""
    engine: Literal["auto", "pwrite", "h5py", "mpio-independent", "mpio-collective"] = "auto"
    """How bytes reach a file; auto: pwrite, or mpio-independent where layout = shared."""
    transport: Literal["auto", "pwrite", "collect"] = "auto"
    """Who writes a file of several ranks: each its part, or one for all; auto: as tests show."""
    allow_ompio: bool = False
    """layout = shared: whether Open MPI's own MPI-IO may be used, with its data sieving off."""
    hints: dict[str, str] = Field(default_factory=dict)
    """layout = shared: MPI-IO hints, such as cb_nodes = "8"."""
    block_atoms: Annotated[int, Field(ge=1, le=1 << 24)] = 65536
    """Atoms under one checksum."""

    mode: Literal["sync", "async"] = "sync"
    """Whether the run waits until a checkpoint is on disk."""
    depth: Annotated[int, Field(ge=1, le=1)] = 1
    """mode = async: checkpoints in flight; each takes the memory of one copy of the state."""
    overrun: Literal["wait", "skip", "coalesce"] = "wait"
    """mode = async: what a checkpoint does that falls due while another is in flight."""
    max_write_bandwidth: Least0 = 0.0
    """mode = async, levels: bytes/s that the writer of a rank may write; 0: no limit."""
    writer_cpus: Annotated[tuple[Annotated[int, Field(ge=0, le=2**20)], ...],
                           Field(strict=False)] = ()
    """mode = async, levels: cpus that the background writer may use; empty: any."""

    canonical: bool = True
    """Whether atoms are put into canonical order, so that a restart continues bitwise."""
    verify_after_write: bool | None = None
    """Whether a checkpoint is read back before it counts; default: only where layout = shared."""
    levels: Levels | None = None
    """Node-local storage that is written first and drained to dir; default: none."""

    keep_last: Annotated[int, Field(ge=2, le=2**31 - 1)] = 3
    """Newest checkpoints that are kept."""
    keep_every: Count = 0
    """Also keep checkpoints whose step is a multiple of this; 0: none."""
    max_bytes: Count = 0
    """Bytes that all checkpoints may take: older ones go first, two always stay; 0: no limit."""
    free_space_policy: Literal["fail", "prune"] = "fail"
    """On a full disk: the checkpoint fails and the run goes on, or older ones are removed first."""
    max_failures: Annotated[int, Field(ge=0, le=2**31 - 1)] = 3
    """Failed checkpoints in a row that end the run with exit code 13; 0: never."""
    io_timeout_s: Annotated[float, Field(ge=1)] = 1800.0
    """Seconds that one phase of a checkpoint may take before the job is ended as hung."""
    poll_steps: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Steps between two looks at signals, stop file and clock; 0: about a second of run."""
    lock_stale_s: Annotated[float, Field(ge=1)] = 900.0
    """Age in s at which the lock of a run on another host counts as left behind."""

    max_fallback: Annotated[int, Field(ge=0, le=2**31 - 1)] = 3
    """Damaged checkpoints that a restart may skip."""
    on_access_error: Literal["stop", "fallback"] = "stop"
    """Whether a restart stops at a checkpoint that cannot be read, or takes an older one."""
    max_restart_memory: Count = 0
    """Bytes that a restart may take on a rank; 0: no limit."""

    def _problems(self) -> Problems:
        if self.interval == "auto" and not self.mtbf:
            yield "mtbf", ("missing: interval = auto needs the mean time between failures in s, "
                           "such as mtbf = 86400")
        if self.interval is None and self.mtbf:
            yield "mtbf", 'only with interval = "auto"'
        if self.interval == "auto" and self.every_minutes:
            yield "every_minutes", "give either interval = auto or every_minutes, not both"
        by_mpi = self.engine != "pwrite" and self.transport == "auto"
        if self.mode == "async" and self.layout == "shared" and by_mpi:
            yield "mode", ("not with layout = shared, whose MPI-IO must stay in the main thread; "
                           "use mode = sync, layout = sharded or aggregated, or engine = pwrite")
        if self.engine.startswith("mpio") and self.layout != "shared":
            yield "engine", f"only with layout = shared, not {self.layout}"
        if self.engine == "h5py" and self.layout == "shared":
            yield "engine", ("not with layout = shared; use pwrite, mpio-independent or "
                             "mpio-collective")
        if self.transport != "auto" and self.engine not in ("auto", "pwrite"):
            yield "transport", f"only with engine = auto or pwrite, not {self.engine}"
        shares = self.layout != "sharded" or self.shard_by == "node"
        if self.transport == "collect" and self.mode == "async" and shares:
            yield "transport", ("not with mode = async, whose writer sends no messages; use "
                                "mode = sync, or layout = sharded")
        if self.levels is not None and self.mode == "async":
            yield "mode", ("not with levels, whose drain writes in the background already; remove "
                           "one of them")
        if self.engine == "h5py" and self.mode == "async":
            yield "engine", "not with mode = async, whose writer makes no HDF5 calls; use pwrite"
