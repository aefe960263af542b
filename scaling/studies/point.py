"""A point of a study, as a file: everything that one launch needs, and nothing of the study.

The file is what job scripts pass to `mdapp scale point`, so a study can be moved to another machine
or run by another tool. Its `key` says what is measured: the deck with all its values, the contents
of the files it names, ranks, threads, steps, and which mdapp. Results with the same key may stand
for each other; that is how an interrupted study goes on.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError

from mdapp.cli.inputs import load_input
from mdapp.cli.run import named
from mdapp.deck.fields import THREE, Count, Name, PositiveInt, Section
from mdapp.deck.loading import read_text
from mdapp.deck.messages import problem_lines
from mdapp.deck.toml import dumps_toml
from mdapp.errors import InputError
from mdapp.perf.environment import Environment

if TYPE_CHECKING:
    from mdapp.deck import Deck

Texts = Annotated[tuple[str, ...], Field(strict=False)]


class Point(Section):
    """One way to run a case: so many ranks, threads, atoms and steps."""

    study: Literal["strong", "weak", "saturation"]
    """The study it is a point of."""
    name: Name
    """Unique in the study; the name of its files."""
    input: Name
    """The deck or LAMMPS script, an absolute path or relative to this file."""
    overrides: Texts = ()
    """Changes of the deck, as --set takes them."""
    variables: Texts = ()
    """Variables of a LAMMPS script, as --var takes them."""
    atoms: PositiveInt
    """Atoms in the whole system."""
    ranks: PositiveInt
    threads: PositiveInt = 1
    """Threads of each rank."""
    grid: Annotated[tuple[PositiveInt, ...], THREE] | None = None
    """Ranks along x, y, z; default: the grid of least surface."""
    steps: PositiveInt
    """Steps of the timed window."""
    warmup: Count = 100
    """Steps before it, timed but not counted."""
    oversubscribed: bool = False
    """Whether ranks may share cores."""
    key: str = ""
    """What is measured, as a hash; results with equal keys may stand for each other."""

    @property
    def cores(self) -> int:
        """Cores that it takes."""
        return self.ranks * self.threads

    @property
    def settings(self) -> list[str]:
        """Overrides of the deck: those given, and the point's own."""
        own = [f"run.threads={self.threads}", f"run.steps={self.warmup + self.steps}"]
        if self.grid is not None:
            own.append(f"run.grid={list(self.grid)}")
        return [*self.overrides, *own]

    def deck(self, beside: Path = Path()) -> Deck:
        """Read its deck; a relative input is looked for `beside` the point's file."""
        return load_input(beside / self.input, self.settings, named(self.variables))

    def keyed(self, environment: Environment) -> Point:
        """Return the same point with its key."""
        deck = self.deck()
        facts = {
            "deck": deck.to_dict(),
            "files": [hashlib.sha256(path.read_bytes()).hexdigest() for path in files_of(deck)],
            "ranks": self.ranks, "grid": self.grid, "steps": self.steps, "warmup": self.warmup,
            "code": [environment.mdapp, environment.commit], "cpu": environment.cpu,
            "oversubscribed": self.oversubscribed,
        }  # fmt: skip
        text = json.dumps(facts, sort_keys=True, default=str)
        return self.model_copy(update={"key": hashlib.sha256(text.encode()).hexdigest()[:16]})


def files_of(deck: Deck) -> list[Path]:
    """Return the files that a deck names: its structure and those of its potential."""
    named_files = [deck.path(deck.system.file)] if deck.system.file else []
    return named_files + [Path(text) for text in _texts(deck.potential_table())
                          if Path(text).is_file()]


def _texts(value: Any) -> Iterator[str]:
    """All texts in nested tables and lists that could be paths."""
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, (str, Path)) and len(str(value)) < 4096:
        yield str(value)


def write_point(point: Point, folder: Path) -> Path:
    """Write a point's file; returns its path."""
    path = folder / f"{point.name}.toml"
    path.write_text(dumps_toml(point.model_dump(mode="json", exclude_none=True)), encoding="utf-8")
    return path


def read_point(path: Path) -> Point:
    """Read a point's file.

    Raises
    ------
    InputError
        No such file, not TOML, or not a point; one line for each problem.
    """
    text = read_text(path, "point of a study")
    try:
        return Point.model_validate(tomllib.loads(text))
    except ValidationError as error:
        lines = problem_lines(error, Point, lambda key: f"{path}: ")
        raise InputError("\n".join(lines)) from None
    except ValueError as error:
        raise InputError(f"{path}: not valid TOML: {error}") from None
