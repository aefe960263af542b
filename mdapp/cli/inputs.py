"""Decks and LAMMPS scripts are the same to every command that takes an input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdapp.deck import Deck


def is_lammps_script(path: Path) -> bool:
    """Tell by the name, as LAMMPS users name their inputs: `in.lj`, `melt.in`, `melt.lmp`."""
    return path.name.startswith("in.") or path.suffix in (".in", ".lmp")


def load_input(
    path: Path, overrides: Sequence[str] = (), variables: Mapping[str, str] | None = None
) -> Deck:
    """Read a deck or a LAMMPS script.

    Parameters
    ----------
    path
        The input; its name decides what it is.
    overrides
        `key=value` of `--set`.
    variables
        `-var` of a LAMMPS script.

    Raises
    ------
    InputError
        The input cannot be used, or variables were given for a deck.
    """
    if is_lammps_script(path):
        from mdapp.lammps_script import load_script

        return load_script(path, variables or {}, overrides)

    from mdapp.deck import load_deck
    from mdapp.errors import InputError

    if variables:
        raise InputError(f"{path}: -var is for LAMMPS scripts; a deck takes --set key=value")
    return load_deck(path, overrides)
