"""What `mdapp plan` does: from the words of the command to a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mdapp.errors import InputError
from mdapp.perf.environment import read_environment
from mdapp.report.document import Report, Section
from potentials.base import Potential
from potentials.registry import PotentialError
from potentials.shorthand import PotentialSpec, read_potential
from scaling.model.costs import Exchange, built_in, exchange_of
from scaling.model.fit_page import fit_section
from scaling.model.layout_page import layout_section
from scaling.model.machine import Machine, Quantity, read_machine
from scaling.model.measured import (
    MeasuredPoint,
    costs_of,
    fit_points,
    fitted,
    full_node_factor,
    read_points,
)
from scaling.model.pingpong import read_pingpong, with_network
from scaling.model.plan import System, plan
from scaling.model.plan_page import measured_section, plan_report
from scaling.model.step_time import Inputs

UNITS = {"lj": (0.3, 0.005, 1.0, "tau"), "metal": (1.0, 0.001, 1e-3, "ns")}
LJ_DENSITY = 0.8442


@dataclass(frozen=True)
class Request:
    """The words of the command; None and empty where they were not given."""

    atoms: str
    potential: str
    ranks: Sequence[int]
    density: float | None
    skin: float | None
    timestep: float | None
    steps: int
    imbalance: float
    machine: Path | None
    sources: Sequence[Path]
    pingpong: str
    asynchronous: bool
    layout_check: bool
    folder: Path


@dataclass(frozen=True)
class Known:
    """What is known of the case: from a study, or from the words alone."""

    style: str
    lists: str
    exchange: Exchange
    cutoff: float
    skin: float
    density: float
    timestep: float
    units: str


def atoms_of(text: str) -> int:
    """Read a number of atoms, such as 32000 or 1e9.

    Raises
    ------
    InputError
        It is not a whole number of 1 to 2^62.
    """
    try:
        value = int(text) if text.isdecimal() else int(float(text))
        whole = text.isdecimal() or float(text) == value
    except (ValueError, OverflowError):
        value, whole = 0, False
    if not whole or not 1 <= value <= 2**62:
        raise InputError(f"--atoms {text}: write a whole number of 1 to 2^62, such as 1e9")
    return value


def make_plan(request: Request) -> Report:
    """Predict, and check the layout if that is asked for.

    Raises
    ------
    InputError
        Something cannot be read, does not fit together, or cannot be predicted.
    """
    natoms = atoms_of(request.atoms)
    points = [p for path in request.sources for p in read_points(path)]
    known = _known(request, points)
    machine = read_machine(request.machine)
    network_known = request.machine is None or "network" in machine.model_fields_set
    if request.pingpong:
        found_network = read_pingpong(request.pingpong)
        machine, network_known = with_network(machine, found_network, max(request.ranks)), True
    sections: list[Section] = []
    if request.sources:
        where = f"--from {', '.join(map(str, request.sources))}"
        found = fitted(points, where)
        costs, machine = costs_of(points, found), _with_factor(machine, points)
        sections.append(fit_section([p.sample for p in fit_points(points)], found))
    else:
        costs = built_in(known.style)
    inputs = Inputs(costs, machine, known.exchange, request.imbalance)
    beside = measured_section(points, _on_this_machine(inputs, points))
    if beside is not None:
        sections.append(beside)
    reach = known.cutoff + known.skin
    system = System(natoms, known.density, reach, known.lists, request.steps, request.asynchronous,
                    network_known)
    planned = plan(system, request.ranks, inputs)
    if request.layout_check:
        sections.append(layout_section(natoms, request.ranks[-1], known.density, reach,
                                       request.folder))
    _, _, scale, unit = UNITS[known.units]
    title = f"Plan: {natoms} atoms of {known.style}, {machine.name_of}"
    return plan_report(title, system, planned, inputs, (known.timestep * scale, unit),
                       read_environment().as_json(), sections)


def _known(request: Request, points: Sequence[MeasuredPoint]) -> Known:
    row = fit_points(points)[0].first if fit_points(points) else None
    if points and row is None:
        raise InputError(f"--from {', '.join(map(str, request.sources))}: has no saturation study "
                         "on one rank, to which the model is fitted")
    if row is None and not request.potential:
        raise InputError("mdapp plan: name --potential, such as lj/cut:epsilon=1,sigma=1,rc=2.5, "
                         "or a saturation study with --from")
    style = str(row["potential"]) if row is not None else ""
    potential: Potential | None = None
    spec: PotentialSpec | None = None
    if request.potential:
        spec = _spec(request.potential)
        potential = _made(spec)
        if style and potential.style != style:
            raise InputError(f"--potential {request.potential}: the studies of --from ran {style}; "
                             "leave --potential out, or measure this one")
    units = str(row["units"]) if row is not None else (
        spec.units or ("lj" if potential and potential.style.startswith("lj") else "metal")
        if spec else "lj")
    skin, timestep, _, _ = UNITS[units]
    if row is not None:
        density = row["atoms"] / (row["lx"] * row["ly"] * row["lz"])
        skin, timestep = row["skin"], row["timestep"]
        cutoff = row["cutoff"]
    else:
        assert potential is not None
        density, cutoff = LJ_DENSITY if units == "lj" else None, potential.cutoff
    density = request.density or density
    if density is None:
        raise InputError("--density: missing; give the number of atoms per volume (1/A^3)")
    return Known(
        style or (potential.style if potential else ""),
        potential.lists if potential else _lists_of(style),
        exchange_of(potential) if potential else _exchange_of(style),
        cutoff, skin if request.skin is None else request.skin, density,
        request.timestep or timestep, units,
    )  # fmt: skip


def _spec(text: str) -> PotentialSpec:
    try:
        return read_potential(text)
    except PotentialError as error:
        raise InputError(f"--potential {error}") from None


def _made(spec: PotentialSpec) -> Potential:
    try:
        return spec.make(max(len(spec.species), 1))
    except PotentialError as error:
        raise InputError(f"--potential: {error}") from None


class _Named:
    """As much of a potential as its name tells."""

    def __init__(self, style: str):
        self.style = style
        pairs = style.startswith(("lj", "morse", "buck", "born", "yukawa", "soft", "gauss", "zbl",
                                  "table", "coul", "eam"))
        self.lists = "clusters" if pairs else "full"


def _lists_of(style: str) -> str:
    return _Named(style).lists


def _exchange_of(style: str) -> Exchange:
    return exchange_of(_Named(style))  # type: ignore[arg-type]


def _with_factor(machine: Machine, points: Sequence[MeasuredPoint]) -> Machine:
    """Take the full-node factor from the studies, unless the user gave one that is no guess."""
    factor = full_node_factor(points)
    if factor is None or machine.compute.full_node_factor.origin != "assumed":
        return machine
    compute = machine.compute.model_copy(
        update={"full_node_factor": Quantity(v=factor, origin="measured")})
    return machine.model_copy(update={"compute": compute})


def _on_this_machine(inputs: Inputs, points: Sequence[MeasuredPoint]) -> Inputs:
    """The inputs for points that were measured: their ranks on one node, lambda as they had it."""
    most = max((p.ranks for p in points), default=1)
    node = inputs.machine.node.model_copy(
        update={"ranks_per_node": min(inputs.machine.node.ranks_per_node, most)})
    return replace(inputs, machine=inputs.machine.model_copy(update={"node": node}))

