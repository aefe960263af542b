"""What `mdapp scale strong|weak|saturation` does: from words to a folder of results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mdapp.errors import InputError
from mdapp.perf.environment import read_environment
from mdapp.startup import affinity
from scaling.launch.local import check_machine
from scaling.peers.__main__ import integers
from scaling.studies.peers import peer_points
from scaling.studies.point import Point
from scaling.studies.points import Case, points_of
from scaling.studies.study import Plan, chosen_steps, make_folder, run_rounds
from scaling.studies.validated import check_potential


@dataclass(frozen=True)
class Request:
    """The words of the command, as they were given."""

    study: str
    input: Path
    overrides: tuple[str, ...]
    variables: tuple[str, ...]
    ranks: str
    threads: str
    atoms: int | None
    atoms_per_rank: str
    rounds: int
    more_rounds: int
    steps: str
    warmup: int | None
    seed: int
    oversubscribe: bool
    limit_s: float
    folder: Path
    peers: str = ""
    validate: bool = True

    @property
    def case(self) -> Case:
        """What is run."""
        return Case(self.input, self.overrides, self.variables, self.window, self.warmup,
                    self.oversubscribe)

    @property
    def window(self) -> int:
        """Steps of a window; 0: to be chosen.

        Raises
        ------
        InputError
            Neither a number nor auto.
        """
        if self.steps == "auto":
            return 0
        if not self.steps.isdecimal() or not int(self.steps):
            raise InputError(f"--steps {self.steps}: write a number of steps, or auto")
        return int(self.steps)


def points_for(request: Request, cores: int) -> list[Point]:
    """The points that the words ask for.

    Raises
    ------
    InputError
        They do not fit the study, or the deck.
    """
    if request.atoms is not None and request.study != "strong":
        raise InputError(f"--atoms: of a strong study; {request.study} takes --atoms-per-rank")
    if request.atoms_per_rank and request.study == "strong":
        raise InputError("--atoms-per-rank: of weak and saturation studies; strong takes --atoms")
    if request.ranks:
        ranks = integers("--ranks", request.ranks)
    elif request.study == "saturation":
        ranks = [1]
    else:
        ranks = [2**k for k in range(cores.bit_length()) if 2**k <= cores]
        if len(ranks) == 1:
            raise InputError(f"mdapp scale {request.study}: this process may use one core, on "
                             "which nothing scales; take saturation, write job scripts for a "
                             "larger machine with --emit, or give --ranks and --oversubscribe")
    threads = integers("--threads", request.threads) if request.threads else []
    if request.study == "strong":
        atoms = [request.atoms] if request.atoms else []
    else:
        atoms = (integers("--atoms-per-rank", request.atoms_per_rank)
                 if request.atoms_per_rank else [])
    return points_of(request.study, request.case, ranks, threads, atoms, cores)


def run_study(request: Request, tell: Callable[[str], None]) -> None:
    """Run a study on this machine.

    Raises
    ------
    InputError
        The words, the deck or the machine do not allow it.
    RunError
        A launch failed.
    KeyboardInterrupt
        The user stopped it; what was measured is kept.
    """
    points = points_for(request, len(affinity()))
    check_machine(points, request.oversubscribe)
    make_folder(request.folder)
    environment = read_environment()
    for line in environment.lines():
        tell(line)
    if request.validate:
        check_potential(request.case.deck(), request.folder,
                        f"mdapp {environment.mdapp} {environment.commit}", request.limit_s, tell)
    plan = Plan(points, request.rounds, request.more_rounds, request.seed, request.folder,
                request.limit_s, tell)
    chosen = chosen_steps(plan, request.window, request.warmup, environment)
    peers = (peer_points(request.peers, request.case, chosen, environment)
             if request.peers else [])
    tell(f"{request.study}: {len(chosen) + len(peers)} points, {request.rounds} rounds, results in "
         f"{request.folder}")
    run_rounds(replace(plan, points=chosen, peers=peers))
