"""A study of a wrong code is worthless: the potential passes `mdapp validate --level gate` first.

What fails of the mandatory checks ends the study. Contradictions within a model, such as a file of
parameters whose energy jumps at the cutoff, are told: such a model is as fast as any. The answer
stays in the study's folder, so that a study that goes on does not ask again.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mdapp.deck.toml import dumps_toml
from mdapp.errors import InputError
from mdapp.parallel.bounded import run_bounded
from scaling.peers.runner import OUTER

if TYPE_CHECKING:
    from mdapp.deck import Deck

FOLDER = "validate"
PASSED = "passed.toml"


def check_potential(deck: Deck, folder: Path, code: str, limit_s: float,
                    tell: Callable[[str], None]) -> None:
    """Validate a deck's potential in the precision that it runs in.

    Parameters
    ----------
    folder : of the study
    code : what identifies this mdapp; another one is validated again

    Raises
    ------
    InputError
        It failed, or could not be validated.
    """
    place = (folder / FOLDER).absolute()
    text = potential_text(deck)
    stamp = f"# {code}, {deck.run.precision}\n{text}"
    passed = place / PASSED
    if passed.exists() and passed.read_text(encoding="utf-8") == stamp:
        return
    place.mkdir(parents=True, exist_ok=True)
    file = place / "potential.toml"
    file.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "mdapp", "validate", str(file), "--level", "gate", "--out",
               str(place), "--force", "--precision", deck.run.precision]
    env = {k: v for k, v in os.environ.items() if not k.startswith(OUTER)}
    tell("validating the potential first (--no-gate leaves it out)")
    end = run_bounded(command, limit_s, env)
    failed = failures(place / "report.json") if end.code == 1 else {}
    if "mandatory" in failed.values():
        raise InputError(f"the potential fails mdapp validate: see {place / 'report.html'}; mend "
                         "it before its speed is measured, or say --no-gate")
    if end.code == 0 or failed:
        passed.write_text(stamp, encoding="utf-8")
        if failed:
            tell(f"not mandatory, but failed: {', '.join(failed)}; see {place / 'report.html'}")
        return
    last = (end.stderr or end.stdout).strip().splitlines()[-1:] or [f"no end after {limit_s:g} s"]
    raise InputError(f"the potential cannot be validated: {last[0]}; --no-gate leaves it out")


def failures(report: Path) -> dict[str, str]:
    """Checks that failed, and their categories; nothing where the report cannot be read."""
    try:
        checks = json.loads(report.read_text(encoding="utf-8"))["checks"]
        return {c["name"]: c["category"] for c in checks if c["status"] == "FAIL" and c["fails"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def potential_text(deck: Deck) -> str:
    """The potential as a TOML file of its own, with the names of types where the deck has some."""
    tables: dict[str, object] = {"units": deck.units}
    if deck.system.species:
        tables["system"] = {"species": list(deck.system.species)}
    tables["potential"] = deck.potential_table()
    return dumps_toml(tables)
