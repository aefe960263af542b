"""Runs described by LAMMPS input scripts: a subset of the language, turned into a deck.

A script is a program that changes a state; a deck is a description.  The subset is what has one
meaning in both: set-up commands, then `run`.  Whatever else a script holds is an error that names
the line and says what to do instead, since a command that is skipped in silence is a wrong result.

`lexer` turns text into words, as LAMMPS does (continuation, comments, quotes, variables);
`formula` evaluates; `table` lists the supported commands, each with the function that carries it
into the tables of a deck, and the hints for the common ones that are not.  The tables then pass
the very checks of a TOML deck, so that `--set` and the messages are the same for both.
"""

from mdapp.lammps.reader import load_script
from mdapp.lammps.table import supported_commands

__all__ = ["load_script", "supported_commands"]
