"""13 variants: all ways to the same numbers agree.

What there is depends on the potential: forces alone, with totals, with atoms' shares; one thread
and two; exact lists; sums in integers of the deterministic mode; the ASE calculator of mdapp;
the formula in NumPy of a built-in pair potential; the model in JAX of a NEP or a Deep Potential.
The last two share no line with the compiled kernels. Sums differ by their order, so that bits
cannot be asked for; sums in integers differ by the unit of these, of which a kernel says how large
it is (`quantum`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mdapp.evaluate import Structure
from mdapp.validate.bench import Bench, Point
from mdapp.validate.measure import Finding, Worst, below, force_errors, force_norm, largest, shown
from potentials.base import Want
from potentials.pair.formula import PairPotential

ENERGY = {"double": 1e-10, "mixed": 1e-6, "single": 1e-5, "bf16": 1e-2}
FORCE = {"double": 1e-9, "mixed": 1e-5, "single": 1e-4, "bf16": 1e-1}
DISTANCES = 40
INTEGERS = "deterministic"
GRAINS = 30.0                    # units that the roundings of a few hundred pairs may add up to


def variants(bench: Bench, precision: str) -> Finding:
    """See the head of the module."""
    found = Finding()
    worst: dict[str, tuple[float, float]] = {}
    coarse = coarse_e = 0.0
    for kind in bench.kinds():
        s = bench.bulk(kind)
        found.natoms = max(found.natoms, len(s.x))
        reference = bench.evaluate(s, precision)
        for name, energy, forces in others(bench, s, precision):
            error_e = 0.0 if energy is None else abs(energy - reference.energy) / len(s.x)
            errors = force_errors(forces, reference.forces)
            before = worst.get(name, (0.0, 0.0))
            worst[name] = max(before[0], error_e), max(before[1], largest(errors))
            if name == INTEGERS:
                grain = getattr(bench.kernel(precision, True), "quantum", 0.0)
                coarse_e = max(coarse_e, GRAINS * grain)
                coarse = max(coarse, GRAINS * grain / force_norm(reference.forces))
            found.note_worst(largest(errors), Worst(
                s, int(errors.argmax()), f"{name}: force differs by {largest(errors):.2g}"))
    for name, (error_e, error_f) in worst.items():
        least, least_e = (coarse, coarse_e) if name == INTEGERS else (0.0, 0.0)
        found.measures += [
            below(f"{name}: energy per atom", error_e, max(ENERGY[precision], least_e),
                  bench.subject.units.energy_label),
            below(f"{name}: forces", error_f, max(FORCE[precision], least), "F_rms",
                  relative=True)]
    potential = bench.subject.potential
    if (isinstance(potential, PairPotential) and potential.shifts
            and bench.subject.charges is None):
        found.measures.append(below(
            "pair energies in NumPy", by_formula(bench, potential, precision),
            FORCE[precision], "of the largest", relative=True))
    found.measures.append(shown("ways", len(worst)))
    return found


def others(bench: Bench, s: Structure, precision: str
           ) -> Iterator[tuple[str, float | None, np.ndarray]]:
    """(name, energy or None, forces) of other ways."""
    def of(name: str, point: Point) -> tuple[str, float | None, np.ndarray]:
        return name, point.energy, point.forces

    yield "forces alone", None, bench.evaluate(s, precision, want=Want.FORCES).forces
    yield of("totals", bench.evaluate(s, precision, want=Want.TOTALS))
    potential = bench.subject.potential
    if not bench.subject.serial:
        yield of("two threads", bench.evaluate(s, precision, threads=2))
        yield of("exact lists", bench.evaluate(s, precision, exact=True))
    if "deterministic" not in potential.known:
        yield of(INTEGERS, bench.evaluate(s, precision, deterministic=True))
    twin = in_jax(potential) if precision == "double" else None
    if twin is not None:
        yield of("JAX", bench.evaluate(s, kernel=twin))
    if s.q is None and precision in ("double", "mixed", "single") and not bench.subject.serial:
        yield from by_ase(bench, s, precision)


def by_ase(bench: Bench, s: Structure, precision: str
           ) -> Iterator[tuple[str, float | None, np.ndarray]]:
    """The same through ASE, where it is installed."""
    try:
        from ase import Atoms

        from mdapp.ase import Calculator
    except ImportError:
        return
    if not bench.subject.named:
        return
    from mdapp.model.elements import SYMBOLS

    if set(bench.subject.species) - set(SYMBOLS):
        return
    atoms = Atoms(s.elements, s.x, cell=s.box.edges, pbc=s.box.periodic)
    atoms.calc = Calculator(bench.subject.potential, species=bench.subject.species,
                            precision=precision)
    yield "ASE calculator", float(atoms.get_potential_energy()), np.asarray(atoms.get_forces())


def in_jax(potential: Any) -> Any:
    """A kernel of the model in JAX, where there is one and JAX is installed."""
    try:
        from potentials.jax_model.potential import JaxPotential, require_jax

        require_jax()
    except ValueError:
        return None
    form: Any
    if potential.style == "nep":
        from potentials.nep.jax_form import NEPForm

        form, kinds = NEPForm(potential.model), potential.rows
        cutoff, count = form.cutoff, len(potential.model.elements)
    elif potential.style == "deep_potential":
        from potentials.deep_potential.jax_form import DeepPotentialForm

        form, kinds = DeepPotentialForm(potential.model), potential.kinds
        cutoff, count = potential.cutoff, len(potential.model.elements)
    else:
        return None
    twin = JaxPotential(form.energy, form.params(), cutoff, tuple(kinds), count, units="metal")
    return twin.compiled("double")


def by_formula(bench: Bench, potential: PairPotential, precision: str) -> float:
    """Largest difference of the compiled energies of two atoms from the formula in NumPy."""
    errors = [0.0]
    for a, b in zip(*np.triu_indices(potential.ntypes), strict=True):
        rc = potential.rc[a, b]
        if not rc > 0:
            continue
        last = potential.rin[a, b] / rc if hasattr(potential, "rin") else 1.0   # of a switch
        near = min(0.85 * bench.crystal.distance, 0.5 * last * rc)
        r = np.linspace(near, 0.999 * last * rc, DISTANCES)
        exact = np.array([potential.energy(np.full_like(potential.rc, d))[a, b] for d in r])
        exact = exact - potential.offset()[a, b]
        got = np.array([bench.evaluate(bench.free([[0, 0, 0], [d, 0, 0]], np.array([a, b])),
                                       precision).energy for d in r])
        errors.append(float(np.abs(got - exact).max() / np.abs(exact).max()))
    return max(errors)
