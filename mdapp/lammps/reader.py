"""From a LAMMPS script to a deck: each line in turn, through the table of commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mdapp.deck import Deck, build_deck
from mdapp.deck.loading import read_text
from mdapp.deck.messages import nearest
from mdapp.errors import InputError
from mdapp.lammps.command import Command
from mdapp.lammps.formula import FormulaError
from mdapp.lammps.lexer import logical_lines, words
from mdapp.lammps.script import Script
from mdapp.lammps.table import AFTER_RUN, COMMANDS, INSTEAD, When
from mdapp.lammps.variables import Variables


def load_script(path: str | Path, variables: Mapping[str, str] | None = None,
                overrides: Sequence[str] = ()) -> Deck:
    """Read a LAMMPS script of the supported subset.

    Parameters
    ----------
    path : the script; files that it names are found relative to its folder
    variables : what `-var name value` gave; they override index variables of the script
    overrides : texts `section.key=value`, applied to the deck that the script makes

    Returns
    -------
    The deck; its `notes` tell of commands that have no effect here.

    Raises
    ------
    InputError : names the line and, for what is not supported, what to do instead
    """
    path = Path(path)
    text = read_text(path, "script")
    try:
        script = Script(path, Variables.from_command_line(variables or {}))
    except FormulaError as error:
        raise InputError(str(error)) from None
    for line, raw in logical_lines(text):
        try:
            name, *args = words(raw, script.variables) or [""]
            if name:
                _take(script, name, args, line)
        except FormulaError as error:
            raise InputError(f"{path}:{line}: {error}") from None
    _check_variables_used(script, variables or {})
    if "run" not in script.seen and not any(o.startswith("run.steps=") for o in overrides):
        raise InputError(f"{path}: the script has no run; give 'run N', or --set run.steps=N")
    return build_deck(script.tables(), source=path, overrides=overrides, lines=script.lines,
                      notes=script.notes)


def _take(script: Script, name: str, args: Sequence[str], line: int) -> None:
    known = COMMANDS.get(name)
    command = Command(script.path, line, name, tuple(args), known.usage if known else "")
    if known is None:
        hint = nearest(name, COMMANDS)
        raise command.unsupported(name, INSTEAD.get(name) or (
            f"did you mean {hint}?" if hint else f"there are {', '.join(COMMANDS)}"))
    if "run" in script.seen and name not in AFTER_RUN:
        raise command.error("comes after a run, and mdapp runs one set-up a script; split the "
                            "script here, or move the command before the run")
    has_box = script.type_count is not None
    if ((known.when is When.BEFORE_BOX and has_box) or (known.when is When.WITH_BOX and not has_box)
            or (known.when is When.WITH_ATOMS and not script.has_atoms)):
        raise command.error(f"must come {known.when.value}")
    known.take(script, command)
    script.seen.add(name)


def _check_variables_used(script: Script, given: Mapping[str, str]) -> None:
    for name in given:
        if name not in script.variables.used:
            known = ", ".join(sorted(script.variables.used)) or "none"
            raise InputError(f"-var {name}: {script.path} does not use it; its variables: {known}")
