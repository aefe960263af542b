"""`mdapp ckpt`: look at checkpoints, verify them, remove old ones, put a folder in order.

All of it works on one process and under mpirun alike. `verify` and `repair` share the reading among
the ranks; what concerns names and directories is done by rank 0, and every rank ends with the same
exit code. Reading commands take no lock: they may run beside the job that writes.
"""

from __future__ import annotations

import contextlib
import uuid as uuids
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mdapp.cli.output import text_stream, write_json
from mdapp.errors import InputError

if TYPE_CHECKING:
    from mpi4py import MPI

VERSION = 1
PHYSICS = "physics"
ACCESS = 4
NOTHING = 7

ckpt = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="""List, inspect, verify, prune and repair checkpoints.

\b
Examples:
  mdapp ckpt list melt.run
  mpirun -n 4 mdapp ckpt verify melt.run
  mdapp ckpt inspect melt.run/checkpoints/step-000000001000 --blocks
  mdapp ckpt prune melt.run --keep-last 2 --dry-run
  mdapp ckpt repair melt.run

DIR is the folder of a run, the folder of its checkpoints, or one checkpoint.

Exit codes: 0 good, 1 damaged content, 2 wrong use, 3 internal error, 4 cannot be read or written,
5 locked by a running job, 6 of a newer format, 7 nothing found.
""",
)  # fmt: skip

Dir = Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder, or its checkpoints.")]
Json = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write the answer as JSON (- for stdout)."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
BreakLock = Annotated[
    bool,
    typer.Option("--break-lock", help="Take the lock of a job on another node that is dead."),
]


class Answer:
    """Where a command's answer goes: text by rank 0, JSON at the end, or both."""

    def __init__(self, comm: MPI.Comm, json_target: str | None):
        self.comm, self._json = comm, json_target
        self._stream = text_stream(json_target)

    def line(self, text: str = "") -> None:
        """Print a line on rank 0."""
        if self.comm.rank == 0:
            print(text, file=self._stream, flush=True)

    def lines(self, texts: list[str]) -> None:
        """Print lines on rank 0."""
        for text in texts:
            self.line(text)

    def json(self, command: str, body: dict[str, Any]) -> None:
        """Write the JSON, if it is wanted."""
        from mdapp.parallel.agree import agree

        if self._json is not None:
            with agree(self.comm):
                if self.comm.rank == 0:
                    write_json(self._json, f"mdapp.ckpt.{command}", VERSION, body)


@ckpt.command("list", short_help="List the checkpoints of a folder.")
def list_checkpoints(
    path: Dir,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what was set aside, abandoned or left by a crash.")
    ] = False,
    json_target: Json = None,
) -> int:
    """List the checkpoints of a folder, newest first."""
    from mdapp.cli.ckpt_text import listing
    from mdapp.parallel.world import world
    from mdapp.storage.catalogue import catalogue, checkpoint_folder
    from mdapp.storage.consensus import on_root
    from mdapp.storage.names import step_of

    comm = world()
    answer = Answer(comm, json_target)
    folder = on_root(comm, lambda: checkpoint_folder(path), "listing checkpoints")
    entries = on_root(comm, lambda: catalogue(folder), "listing checkpoints")
    shown = [e for e in entries if everything or step_of(e.name) is not None]
    answer.lines(listing(shown) if shown else [f"{folder}: holds no checkpoint (step-...)"])
    answer.lines([f"{e.name}: {e.problem}" for e in shown if e.problem])
    if len(shown) < len(entries):
        answer.line(f"{len(entries) - len(shown)} more, set aside or left over (--all)")
    answer.json("list", {"folder": str(folder), "checkpoints": [e.facts() for e in shown]})
    return 0 if shown else NOTHING


@ckpt.command("verify", short_help="Verify checkpoints, serially or under mpirun.")
def verify(
    path: Dir,
    level: Annotated[
        str,
        typer.Option(
            "--level", metavar="quick|full|physics",
            help="quick: manifest, sizes, heads; full: every block, and the state hash; "
            "physics: also the energies, computed anew.",
        ),
    ] = "full",
    json_target: Json = None,
) -> int:
    """Verify one checkpoint, or all of a folder, and say which one a restart would use."""
    from mdapp.cli.ckpt_physics import recompute
    from mdapp.cli.ckpt_text import verdict_lines
    from mdapp.parallel.world import world
    from mdapp.storage.audit import Level, audit, note_verified, restart_choice
    from mdapp.storage.catalogue import checkpoints_of, is_checkpoint
    from mdapp.storage.consensus import on_root

    if level not in (*Level, PHYSICS):
        raise InputError(f"--level {level}: must be one of {', '.join((*Level, PHYSICS))}")
    comm = world()
    answer = Answer(comm, json_target)
    verdicts = []
    single, paths = on_root(comm, lambda: (is_checkpoint(path), checkpoints_of(path)), "verifying")
    for one in paths:
        verdict = audit(comm, one, Level.full if level == PHYSICS else Level(level))
        if level == PHYSICS and verdict.good:
            recompute(comm, verdict)
        note_verified(comm, verdict)
        verdicts.append(verdict)
        answer.lines(verdict_lines(verdict))
    choice, text = (None, "") if single else restart_choice(verdicts)
    answer.lines([text] if text else [])
    code = max(v.code for v in verdicts)
    body = {
        "level": level, "ranks": comm.size, "code": code,
        "restart": choice.path.name if choice else None, "restart_text": text or None,
        "checkpoints": [v.facts() for v in verdicts],
    }  # fmt: skip
    answer.json("verify", body)
    return code


@ckpt.command("inspect", short_help="Show the manifest of a checkpoint.")
def inspect(
    path: Dir,
    blocks: Annotated[
        bool, typer.Option("--blocks", help="Also the block table of every file.")
    ] = False,
    json_target: Json = None,
) -> int:
    """Show the manifest of a checkpoint, the newest if DIR holds several."""
    from mdapp.cli.ckpt_text import block_facts, block_lines, description
    from mdapp.parallel.world import world
    from mdapp.storage.audit import block_tables
    from mdapp.storage.catalogue import (
        catalogue,
        checkpoints_of,
        read_manifest,
        read_manifest_bytes,
    )
    from mdapp.storage.consensus import on_root
    from mdapp.storage.envelope import unseal

    comm = world()
    answer = Answer(comm, json_target)

    def look() -> tuple[list[str], dict[str, Any]]:
        one = checkpoints_of(path)[0]
        manifest = read_manifest(one)
        content = unseal(read_manifest_bytes(one), str(one))
        body: dict[str, Any] = {"name": one.name, "path": str(one), "manifest": content}
        text = description(one, manifest, catalogue(one.parent))
        if blocks:
            tables = list(block_tables(one, manifest))
            text += block_lines(manifest, tables)
            body["blocks"] = block_facts(manifest, tables)
        return text, body

    text, body = on_root(comm, look, f"inspecting {path}")
    answer.lines(text)
    answer.json("inspect", body)
    return 0


@ckpt.command("prune", short_help="Remove old checkpoints.")
def prune(
    path: Dir,
    keep_last: Annotated[
        int, typer.Option("--keep-last", min=2, help="Newest checkpoints to keep, at least 2.")
    ],
    keep_every: Annotated[
        int, typer.Option("--keep-every", min=0, help="Keep also multiples of this step; 0: none.")
    ] = 0,
    max_bytes: Annotated[
        int, typer.Option("--max-bytes", min=0, help="Bytes for all of them; 0: no limit.")
    ] = 0,
    dry_run: DryRun = False,
    break_lock: BreakLock = False,
    json_target: Json = None,
) -> int:
    """Remove old checkpoints by the rules of a run: two and the last verified one always stay."""
    from mdapp.cli.ckpt_text import size
    from mdapp.parallel.world import world
    from mdapp.storage.consensus import on_root
    from mdapp.storage.files import REAL
    from mdapp.storage.options import CheckpointOptions
    from mdapp.storage.retention import list_committed, retain, to_remove, verified_uuids

    comm = world()
    answer = Answer(comm, json_target)
    options = CheckpointOptions(keep_last=keep_last, keep_every=keep_every, max_bytes=max_bytes)
    with locked_folder(comm, path, dry_run, break_lock) as folder:

        def act() -> tuple[list[str], int, list[str]]:
            committed = list_committed(folder, REAL)
            chosen = to_remove(committed, options, verified_uuids(folder, committed, REAL))
            gone, warnings = ([c.name for c in chosen], []) if dry_run else retain(
                folder, options, REAL)
            return gone, sum(c.bytes for c in chosen if c.name in gone), warnings

        gone, nbytes, warnings = on_root(comm, act, f"pruning {folder}")
    done = "would remove" if dry_run else "removed"
    answer.lines([f"{done} {name}" for name in gone])
    answer.lines(warnings)
    answer.line(f"{done} {len(gone)} checkpoints, {size(nbytes)}")
    body = {"folder": str(folder), "dry_run": dry_run, "removed": gone, "bytes": nbytes,
            "warnings": warnings}
    answer.json("prune", body)
    return ACCESS if warnings else 0


@ckpt.command("repair", short_help="Put a folder in order after crashes.")
def repair(
    path: Dir, dry_run: DryRun = False, break_lock: BreakLock = False, json_target: Json = None
) -> int:
    """Delete leftovers of crashes, rewrite LATEST, renew damaged HDF5 metadata from good blocks."""
    from mdapp.cli.ckpt_text import repair_lines
    from mdapp.parallel.world import world
    from mdapp.storage.repair import repair_folder

    comm = world()
    answer = Answer(comm, json_target)
    with locked_folder(comm, path, dry_run, break_lock) as folder:
        result = repair_folder(comm, folder, dry_run)
    answer.lines(repair_lines(folder, result, dry_run))
    body = {
        "folder": str(folder), "dry_run": dry_run, "rebuilt": result.rebuilt,
        "removed": result.removed, "latest": result.latest or None,
        "hint_was": result.hint_was or None, "warnings": result.warnings,
        "still_damaged": [v.path.name for v in result.still_damaged],
        "checkpoints": [v.facts() for v in result.verdicts],
    }  # fmt: skip
    answer.json("repair", body)
    codes = [v.code for v in result.still_damaged] + [ACCESS] * bool(result.warnings)
    return max(codes, default=0 if result.verdicts else NOTHING)


@contextlib.contextmanager
def locked_folder(
    comm: MPI.Comm, path: Path, dry_run: bool, break_lock: bool
) -> Iterator[Path]:
    """Folder of checkpoints that DIR means, locked by rank 0 unless nothing will be changed.

    Raises
    ------
    LockedError
        A job is using it.
    InputError
        DIR is a single checkpoint.
    """
    from mdapp.storage.catalogue import checkpoint_folder, is_checkpoint
    from mdapp.storage.consensus import on_root
    from mdapp.storage.lock import DirectoryLock

    held: list[DirectoryLock] = []

    def take() -> Path:
        if is_checkpoint(path):
            raise InputError(f"{path}: is one checkpoint; give the folder that holds it")
        folder = checkpoint_folder(path)
        if not dry_run:
            lock = DirectoryLock(folder, uuids.uuid4().hex, break_lock=break_lock)
            lock.acquire()
            held.append(lock)
        return folder

    try:
        yield on_root(comm, take, f"locking {path}")
    finally:
        for lock in held:
            lock.release()
