"""`mdapp deck`: what a deck may hold, and what one holds once its defaults are filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdapp.cli.inputs import load_input
from mdapp.cli.options import Overrides
from mdapp.cli.output import write_json
from mdapp.deck import deck_schema
from mdapp.deck.toml import dumps_json, dumps_toml
from mdapp.errors import InputError


def deck(
    path: Annotated[
        Path | None, typer.Argument(metavar="DECK", help="A deck (TOML) or a LAMMPS script.")
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of decks.")
    ] = False,
    overrides: Overrides = None,
    json_target: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write the answer as JSON (- for stdout)."),
    ] = None,
) -> int:
    """Check a deck and show it with all defaults, or print the schema of decks.

    \b
    Examples:
      mdapp deck --schema > deck.schema.json
      mdapp deck examples/lj_melt/deck.toml
      mdapp deck in.lj --set run.threads=4 --json -
    """  # noqa: D301 - the parser looks for a backspace character
    if schema == (path is not None):
        raise InputError("give either a DECK or --schema (see `mdapp deck --help`)")
    if path is None:
        text, body = dumps_json(deck_schema()), {"json_schema": deck_schema()}
    else:
        loaded = load_input(path, overrides or ()).model_dump(
            mode="json", exclude_none=True, by_alias=True
        )
        text, body = dumps_toml(loaded), {"deck": loaded}
    if json_target is not None:
        write_json(json_target, "mdapp.deck", 1, body)
    if json_target != "-":
        print(text, end="")
    return 0
