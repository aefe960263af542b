"""What older studies have measured, as the model takes it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mdapp.errors import InputError
from scaling.model.costs import Costs
from scaling.model.fit import Fit, Sample, fit
from scaling.model.geometry import Subdomain
from scaling.studies.summary import OURS, SCHEMA

Row = Mapping[str, Any]
ENOUGH = 50_000              # atoms of a rank, from where bytes an atom mean anything


@dataclass(frozen=True)
class MeasuredPoint:
    """A point of a study: rows of its launches by round."""

    rows: Sequence[Row]

    @property
    def first(self) -> Row:
        """What all launches share."""
        return self.rows[0]

    @property
    def ranks(self) -> int:
        """Ranks that it ran on."""
        return int(self.first["ranks"])

    @property
    def times(self) -> list[float]:
        """Seconds a step, by round."""
        return [row["s_per_step"] for row in self.rows]

    @property
    def time(self) -> float:
        """Median of the rounds."""
        return float(np.median(self.times))

    @property
    def k(self) -> float:
        """Steps between list builds."""
        builds = float(np.median([row["neighbor_builds"] for row in self.rows]))
        return self.first["steps"] / builds if builds else math.inf

    @property
    def sample(self) -> Sample:
        """The point for a fit; ghosts and atoms of the mean rank."""
        row = self.first
        return Sample(row["point"], row["atoms"] / self.ranks, row["ghosts_avg"], self.k,
                      self.times)

    @property
    def subdomain(self) -> Subdomain:
        """The part of one rank."""
        row = self.first
        grid = (row["px"], row["py"], row["pz"])
        lengths = (row["lx"], row["ly"], row["lz"])
        x, y, z = (length / p for length, p in zip(lengths, grid, strict=True))
        return Subdomain(row["atoms"] / self.ranks, (x, y, z), grid, row["cutoff"] + row["skin"],
                         row["atoms"] / math.prod(lengths))


def read_points(path: Path) -> list[MeasuredPoint]:
    """Read the points of mdapp from the report.json of a study.

    Raises
    ------
    InputError
        The file is no such report, or has no launches that count.
    """
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        if body["schema"] != SCHEMA:
            raise ValueError(f"its schema is {body['schema']!r}, not {SCHEMA!r}")
        groups: dict[str, list[Row]] = {}
        for row in body["tables"]["launches"]:
            if row["code"] == OURS and not row["compiles_in_window"]:
                groups.setdefault(row["point"], []).append(row)
    except FileNotFoundError:
        raise InputError(f"--from {path}: no such file; give the report.json of a saturation "
                         "study") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"--from {path}: is not the report.json of a study: {error}") from None
    if not groups:
        raise InputError(f"--from {path}: no launch in it counts")
    return [MeasuredPoint(sorted(rows, key=lambda row: int(row["round"])))
            for rows in groups.values()]


def fit_points(points: Sequence[MeasuredPoint]) -> list[MeasuredPoint]:
    """The points that a fit takes: of saturation studies, one rank of one thread."""
    return sorted((p for p in points if p.first["study"] == "saturation" and p.ranks == 1
                   and p.first["threads"] == 1), key=lambda p: float(p.first["atoms"]))


def costs_of(points: Sequence[MeasuredPoint], found: Fit) -> Costs:
    """Costs from a fit, with what the same points say about lists and memory."""
    used = fit_points(points)
    largest = used[-1]
    heavy = [p for p in used if p.first["atoms"] >= ENOUGH]
    memory = float(np.median([p.first["bytes_per_atom"] for p in heavy])) if heavy else None
    return Costs(
        found.costs, largest.k, "measured", memory,
        float(np.median([p.first["bytes_fixed_per_rank"] for p in used])), "measured",
        (used[0].first["atoms"], largest.first["atoms"], max(p.ranks for p in points)),
    )


def fitted(points: Sequence[MeasuredPoint], where: str) -> Fit:
    """Fit what was measured on one rank.

    Raises
    ------
    InputError
        There are too few sizes.
    """
    try:
        return fit([p.sample for p in fit_points(points)])
    except ValueError as error:
        raise InputError(f"{where}: {error}; run `mdapp scale saturation` with more "
                         "--atoms-per-rank on one rank") from None


def full_node_factor(points: Sequence[MeasuredPoint]) -> float | None:
    """Time of a rank among others over that of a rank alone, the same atoms each, if measured."""
    alone = {p.sample.atoms: p.time for p in fit_points(points)}
    most = max((p.ranks for p in points if p.first["study"] == "saturation"), default=1)
    ratios = [p.time / alone[p.sample.atoms] for p in points
              if p.first["study"] == "saturation" and p.ranks == most > 1
              and p.first["threads"] == 1 and p.sample.atoms in alone]
    return float(np.median(ratios)) if ratios else None
