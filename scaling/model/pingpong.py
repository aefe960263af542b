"""Network figures of a ping-pong for the model: read from a file, or measured between two ranks."""

from __future__ import annotations

import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

from mdapp.errors import InputError
from mdapp.parallel.bounded import run_bounded
from scaling.launch.local import environ_of, launcher_words
from scaling.model.machine import Allreduce, Machine, Network, Origin, Quantity
from scaling.studies.point import Point

HERE = "here"
SECONDS = 120.0


def read_pingpong(text: str) -> dict[str, Any]:
    """Read what `mdapp doctor --pingpong --json FILE` has written; `here`: measure now.

    Raises
    ------
    InputError
        No such file, not of this form, or two ranks cannot be started here.
    """
    return measured_here() if text == HERE else _read(Path(text))


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["pingpong"]
        _ = [found[key] for key in ("o_s", "L_s", "G_s_per_byte", "G_all_s_per_byte",
                                    "allreduce_s", "ranks", "same_node")]
    except FileNotFoundError:
        raise InputError(f"--pingpong {path}: no such file; make it by `mpirun -n 2 mdapp doctor "
                         f"--pingpong --json {path}`, or say --pingpong {HERE}") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"--pingpong {path}: is not what `mdapp doctor --pingpong --json` "
                         "writes") from None
    return found


def measured_here() -> dict[str, Any]:
    """Measure between two ranks of this machine.

    Raises
    ------
    InputError
        There is no mpirun, or it failed.
    """
    pair = Point(study="strong", name="ping-pong", input="-", atoms=1, ranks=2, steps=1)
    with tempfile.TemporaryDirectory(prefix="mdapp-") as folder:
        target = Path(folder, "doctor.json")
        command = [*launcher_words(pair), sys.executable, "-m", "mdapp", "doctor", "--pingpong",
                   "--json", str(target)]
        end = run_bounded(command, SECONDS, environ_of(pair))
        if not target.exists():
            last = (end.stderr or end.stdout).strip().splitlines()[-1:] or ["no message"]
            raise InputError(f"--pingpong {HERE}: two ranks cannot be started: {last[0]}")
        return _read(target)


def with_network(machine: Machine, found: dict[str, Any], ranks_wanted: int) -> Machine:
    """The machine with the measured network.

    What was measured inside a node is no measurement of messages between nodes: for a run on
    several of them it is a guess like any other, and goes by that name.
    """
    gap, gap_all, ranks = found["G_s_per_byte"], found["G_all_s_per_byte"], found["ranks"]
    pairs = max(ranks // 2, 1)
    steps = math.log2(max(ranks, 2))

    inside = found["same_node"] and ranks_wanted > machine.node.ranks_per_node
    origin: Origin = "assumed" if inside else "measured"

    def measured(value: float) -> Quantity:
        return Quantity(v=value, origin=origin)

    network = Network(
        o_us=measured(1e6 * found["o_s"]), L_us=measured(1e6 * found["L_s"]),
        link_GBps=measured(1e-9 / gap if gap else machine.network.link_GBps.v),
        node_GBps=measured(1e-9 * pairs / gap_all if gap_all else machine.network.node_GBps.v),
        allreduce_us=Allreduce(c0=0.0, c1=1e6 * found["allreduce_s"] / steps, origin=origin),
    )
    return machine.model_copy(update={"network": network})
