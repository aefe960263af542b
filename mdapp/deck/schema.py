"""The sections of a deck and their keys.

Every key has a type, a range, a default and a sentence with its unit; unknown keys are errors.
Types are strict: a number may be written without a decimal point, but `true` is no number, `"3"`
is no 3 and `nan` is nothing at all. Checks that join several keys stand in the `_problems` method
of the section that holds them all, one `yield` a rule.

Units of the values are those of `units`: in lj everything is reduced, in metal lengths are A,
times ps, energies eV, temperatures K, masses g/mol and velocities A/ps.  A default that depends
on the units (time step, skin) is filled in when a deck is read, so that whoever uses a deck sees
a number, never "not given".
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from mdapp.deck.checkpoint import Checkpoint
from mdapp.deck.fields import (
    LIST,
    THERMO_ONE,
    THREE,
    Count,
    DumpColumn,
    H5mdField,
    Name,
    Positive,
    PositiveInt,
    Problems,
    Section,
    ThermoColumn,
)
from mdapp.deck.system import System
from mdapp.deck.toml import dumps_json, dumps_toml
from potentials.own_file import table_beside

TIMESTEP = {"lj": 0.005, "metal": 0.001}
SKIN = {"lj": 0.3, "metal": 1.0}


class Potential(BaseModel):
    """The forces: a style and its own keys, which the potential itself checks."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False,
                              use_attribute_docstrings=True)

    style: Name
    """Name of the potential, such as lj/cut; its further keys stand beside it."""

    @property
    def parameters(self) -> dict[str, Any]:
        """The keys beside style, as they were written."""
        return dict(self.model_extra or {})


class Neighbors(Section):
    """When neighbour lists are rebuilt, in the words and the sense of LAMMPS's neigh_modify."""

    skin: Annotated[float, Field(ge=0)] = 0.3
    """Length beyond the cutoff that lists reach; default 0.3 in lj, 1.0 in metal units."""
    every: PositiveInt = 1
    """Steps between two occasions to rebuild."""
    delay: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Steps after a rebuild in which there is no other."""
    check: bool = True
    """Whether an occasion is taken only when some atom has moved half the skin."""

    def _problems(self) -> Problems:
        if self.delay % self.every:
            yield "delay", f"must be 0 or a multiple of every = {self.every}"


class Run(Section):
    """How long, how and on what."""

    steps: Count
    """The step to reach; 0: energies and forces of the start only."""
    timestep: Positive = 0.005
    """Time step; default 0.005 in lj, 0.001 ps in metal units."""
    ensemble: Literal["nve"] = "nve"
    """Time integration: nve, constant energy."""
    precision: Literal["double", "mixed", "single", "bf16"] = "double"
    """Precision of the pair arithmetic."""
    deterministic: bool = False
    """Whether the trajectory is bitwise the same for any number of ranks and threads."""
    threads: Annotated[int, Field(ge=1, le=4096)] = 1
    """Threads of each rank."""
    grid: Annotated[tuple[PositiveInt, ...], THREE] | None = None
    """[px, py, pz]: ranks along x, y, z; default: the grid of least surface."""


class Thermo(Section):
    """The lines of energies and pressures."""

    every: Count = 100
    """Steps between two lines; 0: the first and the last step only."""
    columns: Annotated[tuple[ThermoColumn, ...], LIST] = THERMO_ONE
    """What a line shows, in LAMMPS's words."""


class Output(Section):
    """A file of snapshots."""

    kind: Literal["atom", "custom", "extxyz", "h5md", "deviation"]
    """atom: LAMMPS dump of id type xs ys zs; custom: one of columns; extxyz: extended XYZ;
    h5md: H5MD 1.1, written by all ranks, read by MDAnalysis and VMD; deviation: how much the models
    of a committee disagree, a line a snapshot, as in DeePMD-kit's model_devi.out."""
    every: PositiveInt
    """Steps between two snapshots."""
    file: Name
    """Name of the file, relative to the folder of the run."""
    columns: Annotated[tuple[DumpColumn, ...], LIST] | None = None
    """What kind = custom writes of an atom, in LAMMPS's words."""
    fields: Annotated[tuple[H5mdField, ...], LIST] | None = None
    """What kind = h5md writes of each atom in each frame; default position, velocity."""
    dtype: Literal["float32", "float64"] | None = None
    """Numbers of kind = h5md; default float32."""
    profile: Literal["standard", "vmd"] | None = None
    """For whom kind = h5md writes: vmd leaves out ids, which its plugin cannot take; default
    standard."""
    limit: Positive | None = None
    """Of kind = deviation: say so where forces on an atom deviate by more than this."""
    frames_per_part: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Frames in each file of kind = h5md; default 1000, or fewer that fit into 4 GiB."""

    def _problems(self) -> Problems:
        if self.kind == "custom" and self.columns is None:
            yield "columns", "missing: kind = custom needs the list of columns to write"
        if self.kind != "custom" and self.columns is not None:
            yield "columns", f"only with kind = custom; {self.kind} has its own"
        if self.limit is not None and self.kind != "deviation":
            yield "limit", f"only with kind = deviation, not {self.kind}"
        if self.kind != "h5md":
            for key in ("fields", "dtype", "profile", "frames_per_part"):
                if getattr(self, key) is not None:
                    yield key, f"only with kind = h5md, not {self.kind}"
            return
        if not self.file.endswith(".h5md") or "*" in self.file:
            yield "file", "kind = h5md needs a name that ends in .h5md, without *"
        if self.fields is not None and "position" not in self.fields:
            yield "fields", "must have position, without which no reader takes the file"
        if self.fields is not None and len(set(self.fields)) < len(self.fields):
            yield "fields", "has the same field twice"
        if self.profile == "vmd" and "image" in (self.fields or ()):
            yield "fields", "VMD takes image wrongly: leave it out, or set profile = standard"


class Deck(Section):
    """Everything that decides a run."""

    units: Literal["lj", "metal"]
    """Unit system of all values: lj (reduced) or metal (A, ps, eV, K, g/mol, bar)."""
    system: System
    potential: Potential
    neighbors: Neighbors = Neighbors()
    run: Run
    thermo: Thermo = Thermo()
    output: Annotated[tuple[Output, ...], Field(strict=False)] = ()
    """Files of snapshots."""
    checkpoint: Checkpoint = Checkpoint()

    _source: str = PrivateAttr("")
    _notes: tuple[str, ...] = PrivateAttr(())

    @property
    def source(self) -> Path | None:
        """The file the deck was read from; None where it was made in memory."""
        return Path(self._source) if self._source else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a run should tell its user, such as commands of a script without an effect."""
        return self._notes

    def path(self, name: str) -> Path:
        """Locate an input file named in the deck, which is relative to the deck's folder."""
        return (self.source.parent if self.source else Path()) / name

    def potential_table(self) -> dict[str, Any]:
        """The [potential] table, with files as paths from here where they are in the folder."""
        table = {"style": self.potential.style, **self.potential.parameters}
        return table_beside(table, self.path(""))

    def to_dict(self) -> dict[str, Any]:
        """Every key with its value, defaults included; absent optional keys left out."""
        return self.model_dump(mode="json", exclude_none=True)

    def to_json(self) -> str:
        """Canonical JSON: equal decks give equal text."""
        return dumps_json(self.to_dict())

    def to_toml(self) -> str:
        """Canonical TOML: reading it gives an equal deck."""
        return dumps_toml(self.to_dict())

    @model_validator(mode="before")
    @classmethod
    def _fill_defaults_of_units(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("units") not in ("lj", "metal"):
            return data
        filled = {"neighbors": {}, **data}
        for section, key, values in (("run", "timestep", TIMESTEP), ("neighbors", "skin", SKIN)):
            table = filled.get(section)
            if isinstance(table, BaseModel):
                table = table.model_dump(exclude_unset=True)
            if isinstance(table, dict):
                filled[section] = {key: values[filled["units"]], **table}
        return filled

    def _problems(self) -> Problems:
        system = self.system
        if self.units != "lj" and system.density is not None:
            yield "system.density", "only in lj units; give constant, the lattice constant in A"
        if self.units == "metal" and system.lattice and not (system.species or system.masses):
            yield "system.species", 'missing: metal units need elements, such as species = ["Cu"]'
