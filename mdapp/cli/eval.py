"""`mdapp eval`: what a potential says about one structure.

The answer is the same from any number of processes, so under mpirun the first one gives it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from mdapp.analysis.deviation import COLUMNS, Deviation, deviation_of
from mdapp.charges import charges_of_types
from mdapp.cli.output import text_stream, write_json
from mdapp.derivatives import Derivatives, check_derivatives
from mdapp.errors import InputError
from mdapp.evaluate import SinglePoint, Structure, single_point
from mdapp.model.units import UNITS
from mdapp.parallel.launcher import read_launch
from mdapp.structures import LammpsDataSource, open_source
from mdapp.structures.results import write_results
from potentials.base import Potential, precisions_of
from potentials.committee import Committee
from potentials.registry import PotentialError, nearest
from potentials.shorthand import PotentialSpec, read_potential

SHOWN_ATOMS = 12              # a structure up to this size is listed atom by atom


def eval(
    path: Annotated[Path, typer.Argument(
        metavar="STRUCTURE", help="Extended XYZ, LAMMPS data, or what ASE reads (POSCAR, CIF).")],
    potential: Annotated[str, typer.Option(
        "--potential", metavar="P",
        help="STYLE:ARGUMENTS, or a TOML file with a [potential] table.")],
    json_target: Annotated[str | None, typer.Option(
        "--json", metavar="FILE", help="Write the answer as JSON (- for stdout).")] = None,
    out: Annotated[Path | None, typer.Option(
        "--out", metavar="FILE",
        help="Write an extended XYZ with energy, forces and stress.")] = None,
    precision: Annotated[str, typer.Option(
        "--precision", metavar="NAME", help="double, mixed, single or bf16.")] = "double",
    species: Annotated[str | None, typer.Option(
        "--species", metavar="A,B",
        help="Names of the types 1, 2, ...; symbols in the structure are mapped to them.")] = None,
    charges: Annotated[str | None, typer.Option(
        "--charges", metavar="Q,Q",
        help="Charges of the types, instead of those of the structure.")] = None,
    units: Annotated[str | None, typer.Option(
        "--units", metavar="NAME",
        help="lj or metal: of structure and potential; default: those of the potential.")] = None,
    index: Annotated[int | None, typer.Option(
        "--index", metavar="N", help="Frame of the file, from 0; default: the last.")] = None,
    boundary: Annotated[str | None, typer.Option(
        "--boundary", metavar='"p p f"',
        help="p periodic or f open for each edge, instead of what the file says.")] = None,
    check: Annotated[bool, typer.Option(
        "--check", help="Compare forces and virial with differences of the energy; exit 1 if they "
                        "are not its derivatives.")] = False,
) -> int:
    """Energy, per-atom energies, forces, virial and stress of one structure, in any cell.

    \b
    Examples:
      mdapp eval argon.extxyz --potential lj/cut:epsilon=1,sigma=1,rc=2.5
      mdapp eval POSCAR --potential lj.toml --json result.json --out result.extxyz
      mdapp eval two.data --potential lj/cut:1,2:1:2.5 --species Ar,Kr --precision mixed

    \b
    virial is W = -dE/dstrain, stress is -W/V with ASE's sign, both in the order xx yy zz yz xz xy.
    """  # noqa: D301 - the parser looks for a backspace character, where lines are kept as they are
    if read_launch().rank != 0:
        return 0
    spec = potential_named(potential)
    names = tuple(species.split(",")) if species is not None else spec.species
    structure = read_structure(path, index, names, open_or_periodic(boundary))
    if charges is not None:
        structure = replace(structure, q=charges_named(charges, structure))
    made = made_for(spec, structure.species)
    if precision not in made.precisions:
        raise InputError(f"--precision {precision}: {precisions_of(made, precision)}"
                         f"{nearest(precision, [*made.precisions])}")
    try:
        result = single_point(structure, made, precision, units=units_of(units, spec, made))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    print("\n".join(table(path, made, result)), file=text_stream(json_target))
    spread = disagreement(result, made)
    if spread is not None:
        print(spread_line(spread, result), file=text_stream(json_target))
    compared = check_derivatives(result, made) if check else None
    if compared is not None:
        print(verdict(compared, result), file=text_stream(json_target))
    if out is not None:
        write_results(out, structure.box, structure.elements, structure.id, structure.x,
                      result.energy, result.energies, result.forces, result.stress, structure.q)
    if json_target is not None:
        answer = as_json(path, potential, made, result)
        if spread is not None:
            answer["deviation"] = dict(zip(COLUMNS, spread.values(), strict=True))
        if compared is not None:
            answer["check"] = asdict(compared)
        write_json(json_target, "mdapp.eval", 1, answer)
    return 0 if compared is None or compared.good else 1


def potential_named(text: str) -> PotentialSpec:
    """Understand --potential.

    Raises
    ------
    InputError : says what of it cannot be used
    """
    try:
        return read_potential(text)
    except PotentialError as error:
        raise InputError(f"--potential {error}") from None


def made_for(spec: PotentialSpec, species: tuple[str, ...]) -> Potential:
    """Make the potential for the types of a structure.

    Raises
    ------
    InputError : its values do not suit them
    """
    try:
        return spec.make(len(species), species)
    except PotentialError as error:
        raise InputError(f"--potential: {error}") from None


def read_structure(path: Path, index: int | None, species: tuple[str, ...],
                   boundary: list[bool] | None) -> Structure:
    """Read one frame; masses do not matter, so that any name of a species will do.

    Raises
    ------
    InputError : the file cannot be used, or has no such frame or species
    """
    try:
        source = open_source(path, index=-1 if index is None else index, species=species or None,
                             units="lj", boundary=boundary)
        if index not in (None, 0, -1) and isinstance(source, LammpsDataSource):
            raise InputError(f"--index {index}: {path} is LAMMPS data, which has one frame")
        return Structure.of_source(source)
    except InputError as error:                   # the readers speak of a deck's keys
        raise InputError(str(error).replace("system.species", "--species")) from None


def open_or_periodic(boundary: str | None) -> list[bool] | None:
    """Understand --boundary."""
    if boundary is None:
        return None
    letters = boundary.split()
    if len(letters) != 3 or set(letters) - {"p", "f"}:
        raise InputError(f'--boundary {boundary!r}: must be three letters p (periodic) or f (open) '
                         'such as "p p f"')
    return [letter == "p" for letter in letters]


def charges_named(text: str, structure: Structure) -> NDArray[np.float64]:
    """(n,) charges of the atoms from those of their types, as --charges has them."""
    try:
        given = [float(word) for word in text.split(",")]
    except ValueError:
        raise InputError(f"--charges {text}: must be numbers with commas between them") from None
    return charges_of_types(given, len(structure.species), "--charges")[structure.type]


def units_of(given: str | None, spec: PotentialSpec, potential: Potential) -> str:
    """Units of the command line, else of the potential's file, else of its style, else lj.

    Raises
    ------
    InputError : unknown, or other units than those of the potential's numbers
    """
    if given is not None and given not in UNITS:
        raise InputError(f"--units {given}: unknown{nearest(given, list(UNITS))}; "
                         f"must be one of {', '.join(UNITS)}")
    fixed = spec.units or getattr(potential, "units", None)
    if given is not None and fixed is not None and given != fixed:
        raise InputError(f"--units {given}: the numbers of this potential are in {fixed} units")
    return given or fixed or "lj"


def disagreement(result: SinglePoint, potential: Potential) -> Deviation | None:
    """How much the models of a committee disagree on a structure; None of another potential."""
    if not isinstance(potential, Committee):
        return None
    answers = [single_point(result.structure, part, result.precision, units=result.units.name)
               for part in potential.parts]
    return deviation_of(np.stack([answer.forces for answer in answers]),
                        np.stack([answer.virial for answer in answers]))


def spread_line(spread: Deviation, result: SinglePoint) -> str:
    """The deviation of a committee, for people."""
    units = result.units
    rms = spread.values()[2]
    return (f"  deviation of the models: forces {spread.mean_force:.4g} on average, at most "
            f"{spread.max_force:.4g} {units.energy_label}/{units.length_label}; virial {rms:.4g} "
            f"{units.energy_label} per atom")


def verdict(compared: Derivatives, result: SinglePoint) -> str:
    """What --check found, for people."""
    units = result.units
    return (f"  check    {'good' if compared.good else 'BAD'}: differences of the energy are off "
            f"by {compared.forces:.2g} {units.energy_label}/{units.length_label} (largest of "
            f"{compared.components} force components) and {compared.virial:.2g} "
            f"{units.energy_label} (virial)")


def as_json(path: Path, text: str, potential: Potential, result: SinglePoint) -> dict[str, Any]:
    """Body of the JSON document; per-atom lists are in the order of ids."""
    units = result.units
    energy, length = units.energy_label, units.length_label
    return {
        "structure": str(path), "potential": text, "style": potential.style,
        "cutoff": potential.cutoff, "precision": result.precision,
        "units": {"system": units.name, "energy": energy, "length": length,
                  "force": f"{energy}/{length}", "virial": energy,
                  "stress": f"{energy}/{length}^3"},
        "natoms": len(result.energies), "ids": result.structure.id.tolist(),
        "elements": result.structure.elements,
        "cell": result.structure.box.edges.tolist(),
        "periodic": result.structure.box.periodic.tolist(), "volume": result.volume,
        "energy": result.energy, "energies": result.energies.tolist(),
        "forces": result.forces.tolist(), "virial": result.virial.tolist(),
        "stress": None if result.stress is None else result.stress.tolist(),
        "images": result.nimages,
    }


def table(path: Path, potential: Potential, result: SinglePoint) -> Iterator[str]:
    """Lines for people."""
    structure, units = result.structure, result.units
    n, e, length = len(structure.x), units.energy_label, units.length_label
    axes = "".join("abc"[k] for k in np.flatnonzero(structure.box.periodic))
    yield (f"mdapp: {path}: {n} atom{'s' * (n != 1)}, {potential.style}, "
           f"cutoff {potential.cutoff:g} {length}, "
           f"{result.precision} precision, {units.name} units")
    cell = f"periodic along {axes}" if axes else "open"
    volume = "" if result.volume is None else f", volume {result.volume:.10g} {length}^3"
    yield f"  cell     {cell}{volume}; {result.nimages} images in sight"
    per_atom = f"  ({result.energy / n:.12g} per atom)" if n else ""
    yield f"  energy   {result.energy:.15g} {e}{per_atom}"
    if n:
        size = np.linalg.norm(result.forces, axis=1)
        yield (f"  forces   largest {size.max():.6g} (atom {structure.id[size.argmax()]}), rms "
               f"{np.sqrt((size**2).mean()):.6g} {e}/{length}")
    yield f"  {'':8} {' '.join(f'{axis:>14}' for axis in ('xx', 'yy', 'zz', 'yz', 'xz', 'xy'))}"
    yield f"  virial   {' '.join(f'{w:14.8g}' for w in result.virial)} {e}"
    if result.stress is None:
        yield "  stress   none: it needs a volume, and the cell is not periodic along all its edges"
    else:
        yield f"  stress   {' '.join(f'{s:14.8g}' for s in result.stress)} {e}/{length}^3"
    if 0 < n <= SHOWN_ATOMS:
        yield f"  {'atom':>8} {'':8} {'energy':>14} {'fx':>14} {'fy':>14} {'fz':>14}"
        for k, name in enumerate(structure.elements):
            values = (result.energies[k], *result.forces[k])
            yield f"  {structure.id[k]:8} {name:8} {' '.join(f'{v:14.8g}' for v in values)}"
