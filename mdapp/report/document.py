"""A report as data: sections of tables, plots, checks and notes, with no word on how they look.

A command fills a `Report` once; `write` and `text` turn it into every form, so that no number can
stand in the page and be missing from the JSON. Plots are functions that draw on a matplotlib axes:
they are called only where a picture is made, and each one names the table that holds its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Status = Literal["PASS", "WARN", "FAIL", "XFAIL", "XPASS", "SKIP", "NOT_RESOLVED", "NA"]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    key : the key of its values in the rows
    title : what stands above it; default the key
    unit : shown with the title; empty for plain numbers and text
    form : how a number is printed, a format specification such as ".3g"
    """

    key: str
    title: str = ""
    unit: str = ""
    form: str = ".4g"


@dataclass(frozen=True)
class Table:
    """Rows of plain values (text, numbers, bool, None); a missing or None value is shown as a dash.

    `name` is the table's key in the JSON and its file name as CSV.
    """

    name: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    caption: str = ""


@dataclass(frozen=True)
class Plot:
    """A picture.

    Attributes
    ----------
    name : unique in the report; the anchor in the page
    draw : draws on one matplotlib axes, with its labels and legend
    caption : what is to be seen, and the definitions that a reader needs
    table : name of the table that holds the same numbers; empty if none
    size : width and height in inches
    """

    name: str
    draw: Callable[[Axes], None]
    caption: str = ""
    table: str = ""
    size: tuple[float, float] = (6.4, 3.6)


@dataclass(frozen=True)
class Note:
    """A sentence that a reader must not miss; a warning weakens a conclusion."""

    text: str
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True)
class Check:
    """The verdict on one thing that was tested.

    Attributes
    ----------
    name : such as "02 forces_fd [double]"; unique in the report
    category : such as "mandatory"; checks are shown and counted by it
    fails : whether status FAIL counts as a failure of the whole (informational checks do not)
    value, threshold, unit : of the measure that decided; None where there is none
    grade : a letter or P/F; empty where none is given
    message : what was seen, in one sentence
    details : further lines: the other measures, the file of the worst structure
    """

    name: str
    status: Status
    category: str = ""
    fails: bool = True
    value: float | None = None
    threshold: float | None = None
    unit: str = ""
    grade: str = ""
    seconds: float = 0.0
    message: str = ""
    details: Sequence[str] = ()


Block = Table | Plot | Note | Check


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it, in the order in which it is read."""

    title: str
    blocks: Sequence[Block]
    text: str = ""


@dataclass(frozen=True)
class Report:
    """All that a command found out.

    Attributes
    ----------
    schema, version : of the JSON, such as "mdapp.scale", 1
    title : the heading of the page
    summary : the verdict, in a line or a few; they come first everywhere
    sections : what was found
    environment : machine, software, command line: plain values, nested at most twice
    data : the command's own JSON body (plain values), written beside the tables
    suite : name of the JUnit test suite; default the schema
    """

    schema: str
    version: int
    title: str
    summary: Sequence[str]
    sections: Sequence[Section]
    environment: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    suite: str = ""

    def tables(self) -> list[Table]:
        """Every table, in order."""
        return [b for s in self.sections for b in s.blocks if isinstance(b, Table)]

    def plots(self) -> list[Plot]:
        """Every plot, in order."""
        return [b for s in self.sections for b in s.blocks if isinstance(b, Plot)]

    def checks(self) -> list[Check]:
        """Every check, in order."""
        return [b for s in self.sections for b in s.blocks if isinstance(b, Check)]
