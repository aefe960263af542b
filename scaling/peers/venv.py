"""The virtual environment of a peer: made once, reused, and never anybody else's.

A peer's wheel may bring its own MPI and its own numpy; neither must get into the environment that
mdapp runs in. A marker file says that an environment was made here; without it nothing is
installed, so that `--venv` cannot change an environment of the user's. What is installed is asked
of the environment itself and not of the marker: an interrupted installation is seen and finished.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mdapp.errors import InputError

MARKER = "made-by-mdapp"
ELSEWHERE = ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER")
INSTALL_SECONDS = 900.0
_SHOW = "import sys, importlib.metadata as m; [print(n, m.version(n)) for n in sys.argv[1:]]"


def ensure_venv(folder: Path, requirements: Sequence[str], built: Sequence[str] = ()) -> Path:
    """Return a virtual environment that holds exactly these versions; make it if need be.

    Parameters
    ----------
    folder
        Where it is, or shall be.
    requirements
        Pinned: `name==version`.
    built
        Names of those that there are no wheels of; they need a compiler.

    Raises
    ------
    InputError
        It cannot be made (no network, no such wheel), or the folder is somebody else's.
    """
    folder = folder.absolute()
    if _holds(folder, requirements):
        return folder
    if not (folder / MARKER).exists() and folder.exists() and any(folder.iterdir()):
        raise InputError(
            f"--venv {folder}: it exists, has no {' '.join(requirements)}, and was not made by "
            "this command; nothing is installed there: name a new folder"
        )
    _create(folder)
    _install(folder, requirements, built)
    if not _holds(folder, requirements):
        raise InputError(f"{folder}: pip succeeded, but {' '.join(requirements)} is not there")
    return folder


def _holds(folder: Path, requirements: Sequence[str]) -> bool:
    python = folder / "bin" / "python"
    if not python.exists():
        return False
    wanted = dict(requirement.split("==") for requirement in requirements)
    end = _run([str(python), "-c", _SHOW, *wanted], 60.0)
    found = dict(line.split() for line in end.stdout.splitlines())
    return end.returncode == 0 and found == wanted


def _create(folder: Path) -> None:
    """Make the environment, or complete one that was interrupted: venv keeps what is there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARKER).touch()
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"--venv {folder}: {error.strerror}") from None
    end = _run([sys.executable, "-m", "venv", str(folder)], 300.0)
    if end.returncode != 0:
        raise InputError(
            f"{folder}: cannot make a virtual environment ({_reason(end)}); on Debian and Ubuntu "
            "install python3-venv"
        )


def _install(folder: Path, requirements: Sequence[str], built: Sequence[str]) -> None:
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install"]
    allowed = ["--only-binary=:all:", *(f"--no-binary={name}" for name in built)]
    end = _run([*pip, *allowed, "--quiet", *requirements], INSTALL_SECONDS)
    if end.returncode != 0:
        raise InputError(
            f"{folder}: pip cannot install {' '.join(requirements)} ({_reason(end)}); check the "
            "network and pip's index, or name an environment that has it with --venv DIR"
        )


def _run(command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if key not in ELSEWHERE}
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, env=env,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no end after {seconds:g} s")


def _reason(end: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in (end.stderr + end.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["no message"])[-1].strip()
