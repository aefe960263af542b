"""results.csv: one row a launch, every column there is."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from scaling.studies.summary import Launch
from scaling.studies.tables import launch_row


def write_results(launches: Sequence[Launch], folder: Path) -> Path:
    """Write the file into the folder of a study; returns its path."""
    rows = [launch_row(x) for x in launches]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path = folder / "results.csv"
    path.write_text(text.getvalue(), encoding="utf-8")
    return path
