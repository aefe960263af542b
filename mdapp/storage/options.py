"""How checkpoints are written and kept: the `[checkpoint]` table of a deck, checked."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from mdapp.errors import InputError
from mdapp.storage.levels.options import LevelOptions

CHOICES: dict[str, tuple[str, ...]] = {
    "layout": ("sharded", "aggregated", "shared", "auto"),
    "shard_by": ("rank", "node"),
    "engine": ("auto", "pwrite", "h5py", "mpio-independent", "mpio-collective"),
    "transport": ("auto", "pwrite", "collect"),
    "mode": ("sync", "async"),
    "overrun": ("wait", "skip", "coalesce"),
    "free_space_policy": ("fail", "prune"),
    "on_access_error": ("stop", "fallback"),
}
LEAST: dict[str, float] = {
    "every": 0, "every_minutes": 0, "mtbf": 0, "depth": 1, "block_atoms": 1, "keep_last": 2,
    "keep_every": 0, "max_bytes": 0, "max_failures": 0, "io_timeout_s": 1, "poll_steps": 0,
    "max_write_bandwidth": 0, "max_fallback": 0, "max_restart_memory": 0, "lock_stale_s": 1,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CheckpointOptions:
    """The keys of the `[checkpoint]` table.

    Attributes
    ----------
    dir : folder of the checkpoints, relative to the folder of the run
    every : steps between two checkpoints; 0: none
    every_minutes : minutes between two checkpoints; 0: none
    interval : "" or "auto", an interval from the measured cost and `mtbf`
    mtbf : mean time between failures, s
    layout : who shares a file: sharded, aggregated, shared, auto
    shard_by : a file a rank or a file a node, for the layout sharded
    group : ranks that share a file in the layout aggregated: "node" or a number
    engine : how bytes reach the file; auto: pwrite, or mpio-independent for the layout shared
    transport : who writes into a file of several ranks: each its own part (pwrite), or one for
        all (collect); auto: each, unless the file system loses bytes between nodes
    allow_ompio : let the layout shared use Open MPI's own MPI-IO
    mode : sync or async
    depth : checkpoints in flight, async
    overrun : what to do when one is due while another is in flight: wait, skip, coalesce
    canonical : put atoms into canonical order at a checkpoint, so that a restart is bitwise
    block_atoms : atoms under one checksum
    verify_after_write : read back before publishing; None: only for the layout shared
    keep_last : newest checkpoints that are kept, at least 2
    keep_every : also keep those whose step is a multiple; 0: none
    max_bytes : remove older ones beyond this size in all; 0: no limit
    free_space_policy : fail, or prune older ones before writing
    max_failures : failures in a row that end the run; 0: never
    io_timeout_s : seconds a phase may take before the job is ended
    max_write_bandwidth : bytes/s of a background writer; 0: no limit
    writer_cpus : cpus of a background writer; empty: any
    poll_steps : steps between two looks at signals and writers; 0: about a second
    hints : MPI-IO hints for the layout shared
    levels : node-local storage that is written first; None: none
    max_fallback : damaged checkpoints that a restart may skip
    max_restart_memory : bytes a rank may use at a restart; 0: no limit
    on_access_error : stop, or fallback to an older checkpoint when one cannot be read
    lock_stale_s : age of a heartbeat at which a lock of another host counts as left behind

    Raises
    ------
    InputError
        A value outside its range, naming the key.
    """

    dir: str = "checkpoints"
    every: int = 0
    every_minutes: float = 0.0
    interval: str = ""
    mtbf: float = 0.0
    layout: str = "sharded"
    shard_by: str = "rank"
    group: str | int = "node"
    engine: str = "auto"
    transport: str = "auto"
    allow_ompio: bool = False
    mode: str = "sync"
    depth: int = 1
    overrun: str = "wait"
    canonical: bool = True
    block_atoms: int = 65536
    verify_after_write: bool | None = None
    keep_last: int = 3
    keep_every: int = 0
    max_bytes: int = 0
    free_space_policy: str = "fail"
    max_failures: int = 3
    io_timeout_s: float = 1800.0
    max_write_bandwidth: float = 0.0
    writer_cpus: tuple[int, ...] = ()
    poll_steps: int = 0
    hints: Mapping[str, str] = field(default_factory=dict)
    levels: LevelOptions | None = None
    max_fallback: int = 3
    max_restart_memory: int = 0
    on_access_error: str = "stop"
    lock_stale_s: float = 900.0

    def __post_init__(self) -> None:
        for key, allowed in CHOICES.items():
            value = getattr(self, key)
            if value not in allowed:
                near = difflib.get_close_matches(str(value), allowed, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise InputError(
                    f"checkpoint.{key} = {value!r}: must be one of {', '.join(allowed)}{hint}"
                )
        for key, least in LEAST.items():
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= least:
                raise InputError(f"checkpoint.{key} = {value!r}: must be at least {least}")
        if self.block_atoms > 1 << 24:
            raise InputError(f"checkpoint.block_atoms = {self.block_atoms}: at most {1 << 24}")
        self._check_group()
        self._check_engine()
        self._check_levels()

    def _check_levels(self) -> None:
        if self.levels is not None and self.mode == "async":
            raise InputError(
                'checkpoint.mode = "async": not with checkpoint.levels, whose drain writes in the '
                "background already; remove one of them"
            )

    def _check_group(self) -> None:
        number = isinstance(self.group, int) and not isinstance(self.group, bool)
        if not (self.group == "node" or (number and int(self.group) >= 1)):
            raise InputError(
                f'checkpoint.group = {self.group!r}: must be "node" or a number of ranks from 1 on'
            )

    def _check_engine(self) -> None:
        shared = self.layout == "shared"
        if self.engine.startswith("mpio") and not shared:
            raise InputError(
                f"checkpoint.engine = {self.engine!r}: only with checkpoint.layout = "
                f'"shared", not {self.layout!r}'
            )
        if self.engine == "h5py" and shared:
            raise InputError(
                'checkpoint.engine = "h5py": not with checkpoint.layout = "shared"; use pwrite, '
                "mpio-independent or mpio-collective"
            )

        if self.transport != "auto" and self.engine not in ("auto", "pwrite"):
            raise InputError(
                f"checkpoint.transport = {self.transport!r}: only with checkpoint.engine = "
                f'"auto" or "pwrite", not {self.engine!r}'
            )
        if self.transport == "collect" and self.mode == "async" and self.shares_files:
            raise InputError(
                'checkpoint.transport = "collect": not with checkpoint.mode = "async", whose '
                'writer sends no messages; use mode = "sync", or layout = "sharded"'
            )

    @property
    def shares_files(self) -> bool:
        """Whether several ranks may share a file."""
        return self.layout != "sharded" or self.shard_by == "node"

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> CheckpointOptions:
        """Options from the keys of a table; unknown keys are errors with a suggestion.

        Raises
        ------
        InputError
            An unknown key, or a value outside its range.
        """
        known = [f.name for f in fields(cls)]
        for key in table:
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
                raise InputError(f"checkpoint.{key}: no such key; {hint}")
        made: dict[str, Any] = {}
        if "writer_cpus" in table:
            made["writer_cpus"] = tuple(table["writer_cpus"])
        if table.get("levels") is not None:
            made["levels"] = LevelOptions.from_table(table["levels"])
        return cls(**{**table, **made})
