"""Options that several commands have, with one wording."""

from pathlib import Path
from typing import Annotated

import typer

Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the deck; repeatable."),
]
Variables = Annotated[
    list[str] | None,
    typer.Option("--var", "-var", metavar="NAME=VALUE",
                 help="Set an index variable of a LAMMPS script; repeatable."),
]
PageCopy = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="A copy of the page.")]
JSONCopy = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="A copy of the JSON.")]
JUnitCopy = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="The verdicts as JUnit.")]
Pictures = Annotated[bool, typer.Option("--png", help="The pictures as files too.")]
