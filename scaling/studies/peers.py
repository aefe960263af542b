"""Another code in the same study: its points run in the same rounds and stand on the same page.

A LAMMPS script goes to LAMMPS as it is, with its last `run` cut into warm-up and window. A deck
goes there if it is one of the problems of `scaling.peers`: the same box, atoms, masses, start,
potential and time step. That problem's script is then given the deck's rules for lists, so that
both codes do the same work; both must have the same temperature and energy when the window begins.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mdapp.cli.inputs import is_lammps_script
from mdapp.cli.run import named
from mdapp.errors import InputError, RunError
from mdapp.initial import source_of
from mdapp.lammps_script import load_script
from mdapp.parallel.bounded import run_bounded
from mdapp.perf.environment import Environment
from mdapp.startup import affinity
from scaling.launch.local import pinned_to
from scaling.peers import problems
from scaling.peers.base import Job, Measured, Peer, Problem, Tolerance, Variant
from scaling.peers.registry import check_name, files_of, names, peer_named, problem_named
from scaling.peers.runner import OUTER
from scaling.peers.venv import ensure_venv
from scaling.studies.point import Point
from scaling.studies.point import files_of as files_of_deck
from scaling.studies.points import Case

if TYPE_CHECKING:
    from mdapp.deck import Deck

PREFERRED = "opt"
LAST_RUN = re.compile(r"^run\s+\S+.*\Z", re.M | re.S)


@dataclass(frozen=True)
class PeerPoint:
    """A point of another code: the same system, ranks, warm-up and steps as one of mdapp.

    Attributes
    ----------
    like : the point of mdapp
    files : parameter files beside its script
    """

    peer: Peer
    variant: Variant
    problem: Problem
    like: Point
    files: tuple[Path, ...] = ()
    key: str = ""

    @property
    def code(self) -> str:
        """Its name in tables."""
        return f"{self.peer.name}-{self.variant.name}"

    @property
    def name(self) -> str:
        """Its name in the study."""
        return f"{self.like.name}-{self.code}"

    @property
    def study(self) -> str:
        """The study it belongs to."""
        return self.like.study

    def keyed(self, environment: Environment, versions: Mapping[str, str]) -> PeerPoint:
        """Return the same point with its key."""
        text = repr((self.problem.script, self.code, sorted(versions.items()), self.like.ranks,
                     self.like.steps, self.like.warmup, environment.cpu))
        return replace(self, key=hashlib.sha256(text.encode()).hexdigest()[:16])

    def as_json(self) -> dict[str, Any]:
        """What its answer says of it."""
        return {"name": self.name, "ranks": self.like.ranks, "atoms": self.like.atoms}

    def run(self, place: tuple[int, int], limit_s: float) -> dict[str, Any]:
        """Run it once, in a folder that is removed; returns its answer.

        Raises
        ------
        RunError
            It failed, or ran into the time limit.
        """
        cut = replace(self.problem, script=in_two_windows(self.problem.script, self.like))
        with tempfile.TemporaryDirectory(prefix="mdapp-peer-") as folder:
            job = Job(cut, self.like.atoms, self.like.steps, self.like.ranks, Path(folder))
            job.script.write_text(cut.script, encoding="utf-8")
            for file in self.files:
                (job.folder / file.name).write_bytes(file.read_bytes())
            env = {k: v for k, v in os.environ.items() if not k.startswith(OUTER)}
            cores = affinity()[-1:] if self.like.ranks == 1 else affinity()
            with pinned_to(cores):
                end = run_bounded(self.peer.command(self.variant, job), limit_s,
                                  env | self.peer.environ(), job.folder)
            try:
                if end.code:
                    raise ValueError(f"exit code {end.code}")
                measured = self.peer.read(job)
            except (OSError, ValueError, KeyError) as error:
                tail = "\n".join((end.stdout + end.stderr).strip().splitlines()[-5:])
                raise RunError(f"{self.name}: {error}; its last lines:\n{tail}") from None
        return {"code": self.code, "row": self._row(measured)}

    def _row(self, m: Measured) -> dict[str, Any]:
        like, per_step = self.like, m.loop_s / self.like.steps
        return {
            "atoms": like.atoms, "ranks": like.ranks, "threads": 1, "steps": like.steps,
            "warmup_steps": like.warmup, "loop_s": m.loop_s, "s_per_step": per_step,
            "atom_steps_per_s": like.atoms / per_step, "neighbor_builds": m.builds,
            "bytes_per_atom": m.bytes_per_atom, "start_temp": m.thermo[0]["temp"],
            "start_etotal": m.thermo[0]["etotal"],
            **{f"{name.lower()}_avg": seconds / like.steps for name, seconds in m.phases.items()},
        }  # fmt: skip


def in_two_windows(script: str, like: Point) -> str:
    """Cut the last run of a script into warm-up and window."""
    return LAST_RUN.sub(f"run {like.warmup}\nrun {like.steps}\n", script)


def peer_points(words: str, case: Case, points: Sequence[Point], environment: Environment,
                folder: Path = Path(".venv-peers")) -> list[PeerPoint]:
    """Make the points of peers beside those of mdapp.

    Parameters
    ----------
    words : `lammps`, or one of its variants, `lammps-omp`; several with commas
    folder : of the peers' virtual environments

    Raises
    ------
    InputError
        There is no such peer, it cannot be installed, or the case is none that it can run.
    """
    if points[0].study != "strong" or any(p.threads > 1 for p in points):
        raise InputError(f"--peers {words}: of strong studies with one thread a rank")
    made = []
    for word in (w.strip() for w in words.split(",")):
        code, _, chosen = word.partition("-")
        peer = _installed(code, folder)
        problem, files = _problem(case, points[0], peer)
        offered = [v for v in peer.variants if problem.offers(peer.name, v.name)]
        if chosen:
            check_name("--peers", word, [f"{code}-{v.name}" for v in offered])
        wanted = chosen or (PREFERRED if PREFERRED in {v.name for v in offered}
                            else offered[0].name)
        variant = next(v for v in offered if v.name == wanted)
        versions = peer.versions()
        made += [PeerPoint(peer, variant, problem, p, files).keyed(environment, versions)
                 for p in points]
    return made


def _installed(code: str, folder: Path) -> Peer:
    peer = peer_named(code)((folder / code).absolute())
    ensure_venv((folder / code).absolute(), peer.requirements, peer.built)
    return peer


def _problem(case: Case, point: Point, peer: Peer) -> tuple[Problem, tuple[Path, ...]]:
    """The case as a problem of the peer, and the files that go with it."""
    deck = point.deck()
    if is_lammps_script(case.input):
        text = case.input.read_text(encoding="utf-8")
        if not LAST_RUN.search(text):
            raise InputError(f"--peers: {case.input} has no run command")
        if case.overrides or len(point.overrides) > len(case.overrides):
            raise InputError("--peers: a script goes to the peer as it is; change it by its "
                             "variables (--var), not by --set or --atoms")
        tolerance = Tolerance(0, 0.0, 0.0, {})
        return Problem(case.input.stem, str(case.input), text, point.atoms, point.steps,
                       lambda atoms, steps: named(case.variables), False, tolerance,
                       (deck.potential.style,)), tuple(files_of_deck(deck))
    tried = []
    for name in names(problems):
        problem = problem_named(name)
        if not peer.runs(problem):
            continue
        found = _as_problem(deck, point, problem, peer)
        if found is not None:
            return found
        tried.append(name)
    raise InputError(f"--peers {peer.name}: {case.input} is none of the problems "
                     f"{', '.join(tried)} in box, atoms, start, potential and time step; give a "
                     "LAMMPS script, which is run as it is")


def _as_problem(deck: Deck, point: Point, problem: Problem,
                peer: Peer) -> tuple[Problem, tuple[Path, ...]] | None:
    """A problem with the deck's rules for lists, if it is the deck's case; else None."""
    try:
        variables = problem.variables(point.atoms, point.steps)
        files = tuple(files_of(problem, [peer.potentials()]))
        with tempfile.TemporaryDirectory(prefix="mdapp-peer-") as folder:
            script = Path(folder, "in.problem")
            script.write_text(problem.script, encoding="utf-8")
            for file in files:
                (script.parent / file.name).write_bytes(file.read_bytes())
            other = load_script(script, variables, [])
            if not _same(deck, other):
                return None
    except InputError:
        return None
    n = deck.neighbors
    rules = (f"neigh_modify delay {n.delay} every {n.every} check {'yes' if n.check else 'no'}")
    text = re.sub(r"^neigh_modify.*$", rules, problem.script, flags=re.M)
    text = re.sub(r"^neighbor\s.*$", f"neighbor {n.skin} bin", text, flags=re.M)
    return replace(problem, script=text, variables=lambda atoms, steps: variables), files


def _same(a: Deck, b: Deck) -> bool:
    """Whether two decks are the same case, whatever their rules for lists and output."""
    if (a.units, a.potential.style, a.run.timestep) != (b.units, b.potential.style, b.run.timestep):
        return False
    start = ("temperature", "seed", "velocities", "distribution")
    if any(getattr(a.system, key) != getattr(b.system, key) for key in start):
        return False
    one, two = source_of(a), source_of(b)
    return (one.natoms == two.natoms and np.allclose(one.box.edges, two.box.edges, rtol=1e-12)
            and np.allclose(one.mass, two.mass) and _alike(a, b))


def _alike(a: Deck, b: Deck) -> bool:
    """Whether the numbers that both potentials give by the same key are the same."""
    one, two = a.potential.parameters, b.potential.parameters
    return all(one[key] == two[key] for key in one.keys() & two.keys() if key != "file")
