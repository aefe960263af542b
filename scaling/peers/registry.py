"""Peers and problems by name: a file in `codes` or in `problems` is all it takes to add one.

The file's name is the name on the command line. A code's file defines `PEER`, its class; a
problem's file defines `PROBLEM`.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType

from mdapp.errors import InputError
from scaling.peers import codes, problems
from scaling.peers.base import Peer, Problem


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


def check_name(what: str, name: str, known: Iterable[str]) -> None:
    """Raise InputError, with the nearest match and all names, unless `name` is known."""
    allowed = list(known)
    if name in allowed:
        return
    near = difflib.get_close_matches(name, allowed, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise InputError(f"{what} {name}: unknown{hint} (known: {', '.join(allowed)})")
