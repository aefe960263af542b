"""What the sections of a deck are made of: a strict table, and the types of its values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

Problems = Iterator[tuple[str, str]]  # key within the section (may be empty), what is wrong with it

Positive = Annotated[float, Field(gt=0)]
PositiveInt = Annotated[int, Field(ge=1, le=2**31 - 1)]
Count = Annotated[int, Field(ge=0, le=2**62)]
Name = Annotated[str, Field(min_length=1)]

# A tuple is written as a TOML list; its items stay strict.
LIST = Field(strict=False, min_length=1)
THREE = Field(strict=False, min_length=3, max_length=3)
SIX = Field(strict=False, min_length=6, max_length=6)

ThermoColumn = Literal[
    "step", "elapsed", "time", "dt", "cpu", "atoms",
    "temp", "press", "pe", "ke", "etotal", "evdwl", "epair", "emol", "enthalpy",
    "vol", "density", "lx", "ly", "lz", "xlo", "xhi", "ylo", "yhi", "zlo", "zhi",
    "pxx", "pyy", "pzz", "pxy", "pxz", "pyz", "nbuild", "ndanger",
]
DumpColumn = Literal[
    "id", "type", "element", "mass", "q", "x", "y", "z", "xs", "ys", "zs", "xu", "yu", "zu",
    "ix", "iy", "iz", "vx", "vy", "vz", "fx", "fy", "fz",
]
H5mdField = Literal["position", "velocity", "force", "image"]
THERMO_ONE: tuple[ThermoColumn, ...] = ("step", "temp", "epair", "emol", "etotal", "press")


class Section(BaseModel):
    """A table of a deck: immutable, strict, and every key known."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False,
                              use_attribute_docstrings=True)

    def _problems(self) -> Problems:
        return iter(())

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        problems = list(self._problems())
        if problems:
            # One pydantic error that carries all of them; `messages` unpacks it into a line each.
            raise PydanticCustomError("together", "see problems", {"problems": problems})
        return self
