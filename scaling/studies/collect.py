"""All launches in a folder of a study, whoever started them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mdapp.errors import InputError
from scaling.studies.study import POINTS, read_answer
from scaling.studies.summary import OURS, Launch

TRIAL = "trial-"


def collect(folder: Path) -> list[Launch]:
    """Read every launch in a folder, trials left out.

    Raises
    ------
    InputError
        There is none, or a file is none.
    """
    inside = folder / POINTS
    files = sorted(path for path in inside.glob("*.json") if not path.name.startswith((TRIAL, ".")))
    if not files:
        what = "has no results of points" if folder.is_dir() else "is no folder"
        raise InputError(f"{folder}: {what}; name the --out folder of a study, in which "
                         f"{POINTS}/*.json are its launches")
    return [launch_of(read_answer(path)) for path in files]


def launch_of(answer: dict[str, Any]) -> Launch:
    """One launch from what it wrote."""
    point = answer["point"]
    return Launch(
        answer["study"], point["name"], answer.get("code", OURS), answer["round"],
        answer["place"], answer["row"], answer.get("environment", {}),
        bool(point.get("oversubscribed")) or bool(
            answer.get("environment", {}).get("oversubscribed")),
    )  # fmt: skip
