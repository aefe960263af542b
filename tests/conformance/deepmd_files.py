"""Models of DeePMD-kit with its own answers, which are not here: where a machine may have them."""

import os
from pathlib import Path

import pytest

BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data"


def data_file(name: str) -> Path:
    """A file of the data; the test is skipped, naming it, if there is none."""
    named = os.environ.get("MDAPP_TEST_DATA")
    path = (Path(named) if named else BESIDE) / name
    if not path.is_file():
        pytest.skip(f"needs {name} in MDAPP_TEST_DATA or {BESIDE}")
    return path
