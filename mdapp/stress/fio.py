"""The easy write beside fio's sequential write: is the storage slow, or is it mdapp?

Both write the same bytes in the same transfers by the same number of processes into new files of
the same folder, sync them and close, one after the other in rounds, in an order of each round's
own. fio's time is the one that it reports itself, without its start; mdapp's goes from the barrier
before the open to the last close, pattern included. fio may use the cores of all ranks.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

from mdapp.errors import InputError
from mdapp.perf.statistics import paired_ratio
from mdapp.storage.files import REAL
from mdapp.stress.bulk import TRANSFER, Easy, Write
from mdapp.stress.folder import WorkFolder
from mdapp.stress.meeting import Meeting
from mdapp.stress.phase import Phase, measure
from mdapp.stress.system import sync_file_system

LEAST = 0.85                    # of fio's rate
LIMIT_S = 900.0
ROUNDS = 5
OPTIONS = (
    "--name=easy", "--rw=write", "--ioengine=psync", "--end_fsync=1", "--fallocate=none",
    "--group_reporting", "--output-format=json", "--thread=0",
)  # fmt: skip


def check_fio(meeting: Meeting) -> None:
    """See whether there can be a comparison; collective.

    Raises
    ------
    InputError
        There is no fio, or there are several nodes.
    """
    def look() -> None:
        if shutil.which("fio") is None:
            raise InputError("--fio: there is no fio on the PATH; install it (Debian, Ubuntu: apt "
                             "install fio), or leave --fio out")
        if meeting.nodes > 1:
            raise InputError("--fio: compares on one node, and these ranks are on "
                             f"{meeting.nodes}; start the ranks of one node")

    meeting.on_root(look)


def fio_command(folder: Path, ranks: int, nbytes: int, cpus: list[int]) -> list[str]:
    """What is started."""
    return ["fio", *OPTIONS, f"--directory={folder}", f"--bs={TRANSFER}", f"--size={nbytes}",
            f"--numjobs={ranks}", f"--cpus_allowed={','.join(map(str, cpus))}"]


def fio_seconds(command: list[str]) -> float:
    """Run fio; the time of its slowest process, s.

    Raises
    ------
    OSError
        It failed.
    """
    end = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if end.returncode != 0:
        raise OSError(5, f"fio ended with {end.returncode}: {end.stderr.strip()[-300:]}")
    jobs = json.loads(end.stdout[end.stdout.index("{"):])["jobs"]
    return float(max(job["write"]["runtime"] for job in jobs)) / 1e3


def compare(meeting: Meeting, folder: WorkFolder, transfers: int, rounds: int = ROUNDS,
            seed: int = 1) -> dict[str, Any]:
    """Interleaved rounds; collective.

    Parameters
    ----------
    transfers : of each process
    """
    place, order = folder.path / "fio", random.Random(seed)
    cpus = sorted(set().union(*meeting.gather(os.sched_getaffinity(0))))
    command = fio_command(place, meeting.size, transfers * TRANSFER, cpus)
    ours: list[Phase] = []
    theirs: list[float] = []
    compare_one(meeting, folder, 1)         # the first writes of a process are slower
    for _ in range(rounds):
        kinds = ["mdapp", "fio"]
        order.shuffle(kinds)
        for kind in kinds:
            meeting.on_root(lambda: sync_file_system(folder.path))
            if kind == "mdapp":
                ours.append(compare_one(meeting, folder, transfers))
                continue
            meeting.on_root(lambda: REAL.mkdir(place))
            theirs.append(meeting.on_root(lambda: fio_seconds(command)))
            meeting.on_root(lambda: REAL.remove_tree(place))
    failed = [p for p in ours if p.errors]
    seconds = [p.seconds for p in ours]
    ratio = None if failed else paired_ratio(theirs, seconds).as_json()
    nbytes = meeting.size * transfers * TRANSFER
    return {"command": " ".join(command), "rounds": rounds, "bytes": nbytes, "least": LEAST,
            "fio_s": theirs, "mdapp_s": seconds, "ratio": ratio,
            "own_share": max(p.own_share for p in ours),
            "error": failed[0].first_error if failed else None}  # fmt: skip


def compare_one(meeting: Meeting, folder: WorkFolder, transfers: int) -> Phase:
    """mdapp's part of a round."""
    top = folder.path / "beside-fio"

    def make() -> None:
        REAL.mkdir(top)
        REAL.mkdir(top / "easy")

    meeting.on_root(make)
    layout = Easy(top, meeting.size, transfers)
    phase = measure(meeting, Write(layout, folder.run, meeting.rank), transfers, None)
    meeting.on_root(lambda: REAL.remove_tree(top))
    return phase
