"""What a measurement was made on: the lines above every table, and the same in its JSON.

A number without its machine cannot be compared with anything. Versions are read from the metadata
of the installed packages, so that nothing heavy is imported; the state of the checkout comes from
git, because a version number says little about a tree that is being worked on.
"""

import contextlib
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import mdapp

PACKAGES = ("numpy", "numba", "llvmlite", "mpi4py")
BUSY_LOAD = 0.5


@dataclass(frozen=True)
class Environment:
    """Machine and software of a measurement.

    Attributes
    ----------
    cpu, governor
        Model of the processor, and its frequency governor ("unknown" where hidden, as in most
        virtual machines).
    cores
        Cpus that this process may run on.
    load
        Load average over the last minute when the command began.
    python, packages
        Versions.
    mdapp, commit
        Version and git commit, with "+changes" where the tree differs from it; empty without git.
    """

    cpu: str
    governor: str
    cores: tuple[int, ...]
    load: float
    system: str
    python: str
    packages: dict[str, str]
    mdapp: str
    commit: str

    @property
    def busy(self) -> bool:
        """Whether other programs were computing when the measurement began."""
        return self.load > BUSY_LOAD

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {**asdict(self), "cores": list(self.cores), "busy": self.busy}

    def lines(self) -> list[str]:
        """Return the text that stands above a table."""
        packages = ", ".join(f"{name} {number}" for name, number in self.packages.items())
        commit = f" ({self.commit})" if self.commit else ""
        return [
            f"cpu      {self.cpu}; {len(self.cores)} usable, governor {self.governor}, "
            f"load {self.load:.2f}",
            f"software {self.system}, python {self.python}, {packages}",
            f"mdapp    {self.mdapp}{commit}",
        ]


def read_environment(checkout: bool = True) -> Environment:
    """Describe the present process and the machine it is on.

    Parameters
    ----------
    checkout
        Ask git for the state of the checkout. A rank of a run does not: it starts no processes.
    """
    return Environment(
        cpu=cpu_name(_text("/proc/cpuinfo")) or platform.processor() or platform.machine(),
        governor=_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "unknown",
        cores=tuple(sorted(os.sched_getaffinity(0))),
        load=os.getloadavg()[0],
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        packages={name: _version(name) for name in PACKAGES},
        mdapp=mdapp.__version__,
        commit=commit_of(Path(mdapp.__file__).parents[1]) if checkout else "",
    )


def cpu_name(cpuinfo: str) -> str:
    """Return the model name in the text of /proc/cpuinfo; empty where it has none (Arm)."""
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return ""


def commit_of(root: Path) -> str:
    """Return the short hash of a checkout, with "+changes" where files differ from it."""
    if not (root / ".git").exists():
        return ""
    commit = _git(root, "rev-parse", "--short=12", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return commit + ("+changes" if commit and changed else "")


def _git(root: Path, *arguments: str) -> str:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        end = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20
        )
        return end.stdout.strip() if end.returncode == 0 else ""
    return ""


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
