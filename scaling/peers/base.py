"""What a code and a problem have to say about themselves, and what comes out of one run.

The LAMMPS script is the common language: mdapp runs it unchanged, and so does every peer that reads
it; a peer with an input format of its own writes its files from the `Problem`. All that the
comparison knows about a code is how to start it and how to read what it left.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Tolerance:
    """How far two codes may be apart and still have computed the same thing.

    A trajectory is the same to the printed digits for a while; later the rounding of either code
    has grown to the size of the thermal motion, and only conserved quantities and averages agree.

    Attributes
    ----------
    exact_steps
        Up to this step, runs in double precision must agree in every digit that LAMMPS prints.
    reduced
        Up to the same step, the difference allowed in lower precision, relative to the value or
        to one, whichever is larger.
    conserved
        Beyond it, the relative difference allowed in the total energy.
    fluctuation
        Beyond it, the standard deviation of each quantity times sqrt(atoms). Two values
        may be 5 sigma of their difference apart.
    extensive
        Whether energies in the thermo rows are sums over all atoms; `fluctuation` is of the mean.
    """

    exact_steps: int
    reduced: float
    conserved: float
    fluctuation: Mapping[str, float]
    extensive: bool = False


@dataclass(frozen=True)
class Problem:
    """An input that all codes run.

    Attributes
    ----------
    name, title
        Name on the command line (set from the file's name), and one line for people.
    script
        LAMMPS input. It takes its size and its length from variables.
    atoms, steps
        Defaults.
    variables
        Index variables of the script for (atoms, steps); raises InputError for a number of atoms
        that cannot be had.
    fixed_builds
        Whether lists are rebuilt at fixed steps, so that all codes must count the same builds.
    tolerance
        What makes the physics of two runs the same.
    styles
        Pair styles of the script.
    files
        Parameter files that it names, as they are called in LAMMPS's folder of potentials; they
        are copied to where it runs.
    variants
        Of a code, the variants that differ for this problem; of a code not in it, all.
    goals, goals_mixed
        Speed of mdapp over the fastest peer, in double precision over those in double, in mixed
        precision over all: what it must reach, and the aim.
    settings
        What mdapp is told beside the script, as `--set` takes it.
    """

    name: str
    title: str
    script: str
    atoms: int
    steps: int
    variables: Callable[[int, int], Mapping[str, str]]
    fixed_builds: bool
    tolerance: Tolerance
    styles: tuple[str, ...]
    files: tuple[str, ...] = ()
    variants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    goals: tuple[float, float] | None = None
    goals_mixed: tuple[float, float] | None = None
    settings: tuple[str, ...] = ()

    def offers(self, code: str, variant: str) -> bool:
        """Whether a variant of a code runs this problem in a way of its own."""
        return code not in self.variants or variant in self.variants[code]


@dataclass(frozen=True)
class Job:
    """One run: `steps` steps of `problem` with `atoms` atoms on `ranks` ranks, in `folder`."""

    problem: Problem
    atoms: int
    steps: int
    ranks: int
    folder: Path

    @property
    def script(self) -> Path:
        """Where the script lies."""
        return self.folder / f"in.{self.problem.name}"

    @property
    def variables(self) -> Mapping[str, str]:
        """Index variables of the script."""
        return self.problem.variables(self.atoms, self.steps)


@dataclass(frozen=True)
class Measured:
    """What a run says about itself.

    Attributes
    ----------
    loop_s
        Wall time of the time-step loop, slowest rank; compile and set-up apart.
    phases
        Seconds of each phase of the loop, mean over ranks, by the code's own names.
    list_s, builds
        Seconds spent building neighbour lists (sort, migration and halo set-up apart), mean over
        ranks, and how often they were built.
    dangerous
        Builds that came too late; None where the input switches the check off.
    thermo
        Rows of `step, temp, epair, etotal, press`, in the units of the input.
    bytes_per_atom
        Memory over atoms, by the code's own count.
    start
        Seconds before the loop by part (compile_s, setup_s, start_to_first_step_s), where known.
    """

    loop_s: float
    phases: Mapping[str, float]
    list_s: float
    builds: int
    dangerous: int | None
    thermo: Sequence[Mapping[str, float]]
    bytes_per_atom: float | None = None
    start: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """A way to run a code: its name there, its arguments, and whether it computes in double."""

    name: str
    arguments: tuple[str, ...]
    double: bool


class Code(Protocol):
    """A program that can run a problem."""

    name: str
    variants: tuple[Variant, ...]

    def environ(self) -> dict[str, str]:
        """Return the environment its processes need."""

    def command(self, variant: Variant, job: Job) -> list[str]:
        """Return the command line that runs a job in its folder."""

    def read(self, job: Job) -> Measured:
        """Read what a finished job left in its folder; ValueError says what is missing."""

    def versions(self) -> dict[str, str]:
        """Return what identifies the program: version, build, libraries."""


class Peer(Code, Protocol):
    """A code to compare with, installed in a virtual environment of its own."""

    requirements: tuple[str, ...]
    built: tuple[str, ...]      # of these, those that have no wheels
    problem: str                # where the command line names none

    def __init__(self, venv: Path) -> None: ...

    def runs(self, problem: Problem) -> bool:
        """Whether it has the pair styles of a problem."""
        ...

    def potentials(self) -> Path:
        """Return the folder of the parameter files that come with it."""


@dataclass(frozen=True)
class Point:
    """What is measured in each round: one variant of one code at one size on some ranks."""

    code: Code
    variant: Variant
    atoms: int
    ranks: int

    @property
    def label(self) -> str:
        """Code and variant: `lammps-opt`."""
        return f"{self.code.name}-{self.variant.name}"

    @property
    def where(self) -> str:
        """Size and ranks: `32000 atoms, 1 rank`."""
        return f"{self.atoms} atoms, {self.ranks} rank{'s' if self.ranks > 1 else ''}"
