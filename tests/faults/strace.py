"""Faults that the kernel reports, injected with strace into the one thread that writes.

The process under test starts strace on itself, at the moment from which its calls are to count.
So the thousands of calls by which Python starts are not counted, the n-th call of a commit is
always the same one, and an injection costs milliseconds instead of the start of a process. Only
the calling thread is traced, unless all are asked for; each thread has counts of its own.

What strace can do to a call (strace 6.1): `error=EIO` fails it, `retval=n` says that it succeeded
and does nothing, `signal=KILL` ends the process at it, `delay_enter=us` makes it slow.
"""

import ctypes
import os
import re
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# "?" lets strace pass over calls that this machine does not have.
TRACED = (
    "openat", "mkdir", "mkdirat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir",
    "ftruncate", "pwrite64", "pwritev", "pwritev2", "write", "writev", "fsync", "fdatasync",
    "close", "pread64", "preadv", "preadv2", "read", "newfstatat", "statfs", "getdents64", "flock",
)  # fmt: skip
WRITING = frozenset(TRACED) - {
    "pread64", "preadv", "preadv2", "read", "newfstatat", "statfs", "getdents64", "flock"
}  # fmt: skip
READING = ("openat", "pread64", "preadv", "preadv2")
LINE = re.compile(
    r"(?:(?P<tid>\d+) +)?(?P<when>\d+\.\d+) (?P<kind>\w+)\((?P<arguments>.*)\) += "
    r"(?P<result>-?\d+)(?P<rest>.*)"
)
PR_SET_PTRACER, ANYONE = 0x59616D61, ctypes.c_ulong(-1)


@dataclass(frozen=True)
class Injection:
    """What is done to calls of a kind: `when` is "3", "3+" (from then on) or "1..2"."""

    kind: str
    when: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind} #{self.when}: {self.what}"


@dataclass(frozen=True)
class Call:
    """One system call from a log: number `n` (from 1) of its kind in its thread.

    Attributes
    ----------
    kind, n, tid, when : what, which, by whom and at what time in s
    paths : of its descriptor, or in its arguments
    fd : its descriptor, or the one that it opened; -1 if it has none
    result : what it returned
    text : the line
    """

    kind: str
    n: int
    tid: int
    when: float
    paths: tuple[str, ...]
    fd: int
    result: int
    text: str

    def inside(self, folder: Path) -> bool:
        """Whether it is about something in a folder, or the folder itself."""
        return any(Path(p) == folder or folder in Path(p).parents for p in self.paths)


@cache
def why_not() -> str:
    """Why strace cannot be used here; empty if it can."""
    if shutil.which("strace") is None:
        return "needs strace (Debian: apt install strace)"
    done = subprocess.run(
        ["strace", "-o", os.devnull, "-e", "inject=fsync:error=EIO", "true"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return "" if done.returncode == 0 else f"strace cannot trace here: {done.stderr.strip()}"


@contextmanager
def traced(log: Path, *injections: Injection, threads: bool = False) -> Iterator[None]:
    """Trace this thread, or all `threads` of this process, into a log while the block lasts."""
    with suppress(AttributeError):  # where the kernel lets only parents trace
        ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANYONE, 0, 0, 0)
    chosen = [f"--inject={i.kind}:{i.what}:when={i.when}" for i in injections]
    process = subprocess.Popen(
        ["strace", *(["-f"] if threads else []), "-p", str(threading.get_native_id()), "-y", "-ttt",
         "-s", "0", "-o", str(log), "-e", "trace=" + ",".join(f"?{k}" for k in TRACED), *chosen],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    _elsewhere(lambda: _wait_until_attached(process))
    try:
        yield
    finally:
        process.terminate()
        process.communicate()


def _wait_until_attached(process: subprocess.Popen) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if "attached" in line:
            return


def _elsewhere(function) -> None:
    """Let another thread do it, so that this one makes no system calls that count."""
    helper = threading.Thread(target=function)
    helper.start()
    helper.join()


def read_log(log: Path) -> list[Call]:
    """All calls of a log that returned, in the order in which they did."""
    counts: Counter[tuple[int, str]] = Counter()
    begun: dict[str, str] = {}
    calls = []
    for line in log.read_text(errors="replace").splitlines():
        tid = line.split()[0] if "." not in line.split()[0] else "0"
        if "<unfinished ...>" in line:
            begun[tid] = line.replace(" <unfinished ...>", "")
            continue
        resumed = re.search(r"<\.\.\. \w+ resumed>(.*)", line)
        if resumed:
            line = begun.pop(tid) + resumed[1]
        match = LINE.match(line)
        if match is None:
            continue
        kind = match["kind"]
        counts[int(tid), kind] += 1
        calls.append(_call(match, int(tid), counts[int(tid), kind], line))
    return calls


def _call(match: re.Match, tid: int, n: int, line: str) -> Call:
    arguments, result = match["arguments"], int(match["result"])
    descriptor = re.match(r"(\d+)<([^>]*)>", arguments)
    quoted = re.findall(r'"([^"]*)"', arguments)
    paths = (descriptor[2],) if descriptor else tuple(quoted)
    fd = int(descriptor[1]) if descriptor else result if match["kind"] == "openat" else -1
    return Call(match["kind"], n, tid, float(match["when"]), paths, fd, result, line)


def hits(log: Path) -> int:
    """How many calls of a log were tampered with."""
    return log.read_text(errors="replace").count("(INJECTED)")
