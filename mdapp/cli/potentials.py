"""`mdapp potentials`: the styles that a deck or --potential can name, and their keys."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from mdapp.cli.output import text_stream, write_json
from potentials.catalogue import catalogue, markdown, plain
from potentials.own_file import KINDS


def potentials(
    as_markdown: Annotated[bool, typer.Option(
        "--markdown", help="As the table of the project's README.")] = False,
    json_target: Annotated[str | None, typer.Option(
        "--json", metavar="FILE", help="Write the answer as JSON (- for stdout).")] = None,
) -> int:
    """List the potentials: what they are, and the keys of their tables.

    \b
    Examples:
      mdapp potentials
      mdapp potentials --json - | jq '.potentials[].style'
    """  # noqa: D301 - the parser looks for a backspace character, where lines are kept as they are
    entries = catalogue()
    if as_markdown:
        text = markdown(entries)
    else:
        text = (f"{plain(entries)}\n\nand from files of your own: {', '.join(KINDS.values())} "
                "(see potentials/README.md)")
    print(text, file=text_stream(json_target))
    if json_target is not None:
        write_json(json_target, "mdapp.potentials", 1,
                   {"potentials": [asdict(entry) for entry in entries]})
    return 0
