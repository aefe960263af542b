"""Peers and problems by name: a file in `codes` or in `problems` is all it takes to add one.

The file's name is the name on the command line. A code's file defines `PEER`, its class; a
problem's file defines `PROBLEM`.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from mdapp.errors import InputError
from mdapp.lammps.pair import PairStyles
from scaling.peers import codes, problems
from scaling.peers.base import Peer, Problem

ALL = "all"


def names(room: ModuleType) -> list[str]:
    """List what lies in `codes` or in `problems`."""
    return sorted(module.name for module in pkgutil.iter_modules(room.__path__))


def peer_named(name: str) -> type[Peer]:
    """Return a peer's class.

    Raises
    ------
    InputError
        There is no such peer; names the nearest.
    """
    check_name("peer", name, names(codes))
    peer: type[Peer] = importlib.import_module(f"{codes.__name__}.{name}").PEER
    return peer


def problem_named(name: str) -> Problem:
    """Return a problem.

    Raises
    ------
    InputError
        There is no such problem; names the nearest.
    """
    check_name("--problem", name, names(problems))
    problem: Problem = importlib.import_module(f"{problems.__name__}.{name}").PROBLEM
    return problem


def problems_named(name: str) -> list[Problem]:
    """Return a problem, or all of them for the name `all`."""
    if name == ALL:
        return [problem_named(each) for each in names(problems)]
    check_name("--problem", name, [ALL, *names(problems)])
    return [problem_named(name)]


def missing_styles(problem: Problem) -> list[str]:
    """Pair styles of a problem that mdapp's scripts do not have."""
    return [style for style in problem.styles if style not in (*PairStyles.KNOWN, *PairStyles.SUMS)]


def runnable(tasks: Iterable[Problem], peer: Peer) -> tuple[list[Problem], list[str]]:
    """Return problems whose pair styles mdapp and the peer have, and a line about each other.

    Raises
    ------
    InputError
        None is left.
    """
    found, skipped = [], []
    for task in tasks:
        missing = missing_styles(task)
        if missing:
            skipped.append(f"{task.name}: mdapp has no pair_style {', '.join(missing)}")
        elif not peer.runs(task):
            skipped.append(f"{task.name}: {peer.name} does not run pair_style "
                           f"{', '.join(task.styles)}")
        else:
            found.append(task)
    if not found:
        raise InputError(f"--problem {'; '.join(skipped)}")
    return found, skipped


def files_of(problem: Problem, folders: Iterable[Path]) -> list[Path]:
    """Return the parameter files of a problem, all from one folder.

    Raises
    ------
    InputError
        No folder has them; names a file and the folders.
    """
    looked = list(folders)
    for folder in looked:
        paths = [folder / name for name in problem.files]
        if all(path.is_file() for path in paths):
            return paths
    raise InputError(
        f"--problem {problem.name}: needs {', '.join(problem.files)}, not found together in "
        f"{', '.join(map(str, looked))}; install the peer, or name a folder in LAMMPS_POTENTIALS"
    )


def check_name(what: str, name: str, known: Iterable[str]) -> None:
    """Raise InputError, with the nearest match and all names, unless `name` is known."""
    allowed = list(known)
    if name in allowed:
        return
    near = difflib.get_close_matches(name, allowed, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise InputError(f"{what} {name}: unknown{hint} (known: {', '.join(allowed)})")
