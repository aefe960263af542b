"""Models in JAX: a function of neighbour vectors to atoms' energies, and its weights.

    energy(params, r_ij, type_i, type_j, mask) -> (n,) energies

    params    a tree of arrays, in the precision of the run
    r_ij      (n, m, 3), vectors from n atoms to their neighbours within the cutoff, and padding
    type_i    (n,) int32, types of the atoms; type_j: (n, m), of the neighbours
    mask      (n, m), true where there is a neighbour

The energy of an atom may depend on anything in its row and on nothing else, ends smoothly at the
cutoff, and ignores what the mask excludes (which lies beyond the cutoff). Everything else follows:
forces and virial by reverse differentiation, ranks, threads, precisions, restarts. Alternatives
would be a function of all positions, which a decomposition cannot cut, or energies of bonds, from
which angles cannot be had without a list of the engine's.

Style `jax` runs the models of potentials.jax_models from a file of weights; functions of users are
`python:FILE.py:NAME`, or an entry point. This module does not import JAX: a table of styles, and
every run without such a model, starts without it.
"""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from potentials.files import FileError, find_file
from potentials.jax_model.weights import UNITS, Weights, load_weights
from potentials.own_file import told_with_lines

if TYPE_CHECKING:
    from potentials.jax_model.kernel import JaxKernel

MODELS = ("behler_parrinello", "ace_layer")       # modules of potentials.jax_models
PRECISIONS = ("double", "mixed", "single")
MISSING = "needs JAX, which is not installed; install mdapp[jax]"


@dataclass(frozen=True)
class JaxPotential:
    """A model for certain atom types; see potentials.base.Potential.

    Attributes
    ----------
    energy, params, cutoff : of the model
    kinds : the model's type of each atom type
    model_types : how many the model has
    files : of the function and the weights
    units : of its numbers, or None
    """

    energy: Callable[..., Any]
    params: Any
    cutoff: float
    kinds: tuple[int, ...]
    model_types: int
    files: tuple[str, ...] = ()
    units: str | None = None
    style: str = "jax"
    lists: str = "full"
    precisions: tuple[str, ...] = PRECISIONS
    known: Mapping[str, str] = field(default_factory=dict)

    @property
    def ntypes(self) -> int:
        """Number of atom types."""
        return len(self.kinds)

    @classmethod
    def from_options(cls, ntypes: int, *, file: str, species: Sequence[str] | str = ()
                     ) -> JaxPotential:
        """One of the models that come with mdapp, by a file of weights whose header names it.

        Raises
        ------
        ValueError : the file cannot be used, or species are not the model's, or JAX is missing
        """
        path = find_file(file)
        weights = load_weights(path)
        if weights.model not in MODELS:
            raise FileError(f"{path}: model = {weights.model!r}: must be {' or '.join(MODELS)}; "
                            "weights of a function of your own go with python:FILE.py:NAME")
        require_jax()
        module = importlib.import_module(f"potentials.jax_models.{weights.model}")
        return potential_of(module.energy, weights, ntypes, species, (str(path),), "jax",
                            Path(str(module.__file__)))

    def compiled(self, precision: str, deterministic: bool = False) -> JaxKernel:
        """The kernel for one of `precisions`."""
        from potentials.jax_model.kernel import JaxKernel
        from potentials.jax_model.program import Model

        if precision not in self.precisions:
            raise ValueError(f"precision {precision!r}: {self.style} has "
                             f"{', '.join(self.precisions)}")
        model = Model(self.style, self.energy, self.params, self.cutoff, self.model_types)
        return JaxKernel(model, np.array(self.kinds, np.int32), precision, deterministic)


@dataclass(frozen=True)
class JaxFunction:
    """An energy function with what `jax_potential` says of it; calling it calls the function.

    `factory` makes its potentials: for a deck with `python:FILE.py:NAME`, and for an entry point
    of the group `mdapp.potentials`, as in `mine = "my_package:my_energy.factory"`.
    """

    energy: Callable[..., Any]
    cutoff: float | None
    species: tuple[str, ...] | None
    units: str | None
    params: Any

    def __call__(self, *args: Any) -> Any:
        """Energies (n,); see the head of potentials.jax_model.potential."""
        return self.energy(*args)

    @property
    def factory(self) -> Callable[..., JaxPotential]:
        """The function that makes a potential of a deck's keys."""
        return self.own_factory(self.energy.__name__, Path(inspect.getfile(self.energy)))

    def own_factory(self, style: str, path: Path) -> Callable[..., JaxPotential]:
        """The same for a style that names the function's file.

        Without parameters of its own the function needs a file of weights, the key `file`.
        """
        def with_file(ntypes: int, *, file: str, species: Sequence[str] | str = ()
                      ) -> JaxPotential:
            weights = find_file(file)
            return self._made(load_weights(weights), ntypes, species, style, path, str(weights))

        def alone(ntypes: int, *, species: Sequence[str] | str = ()) -> JaxPotential:
            return self._made(None, ntypes, species, style, path)

        return with_file if self.params is None else alone

    def _made(self, file: Weights | None, ntypes: int, species: Sequence[str] | str, style: str,
              path: Path, *files: str) -> JaxPotential:
        """A potential; what the decorator says goes before what the file says."""
        cutoff = self.cutoff or (file.cutoff if file else None)
        if cutoff is None:
            raise FileError(f"{path}: {self.energy.__name__}: @jax_potential needs a cutoff")
        known = self.species if self.species is not None else (file.species if file else ())
        require_jax()
        weights = Weights(file.params if file else self.params, float(cutoff), tuple(known),
                          self.units or (file.units if file else None))
        return potential_of(self.energy, weights, ntypes, species, (str(path), *files), style, path)


def jax_potential(*, cutoff: float | None = None, species: Sequence[str] | None = None,
                  units: str | None = None, params: Any = None
                  ) -> Callable[[Callable[..., Any]], JaxFunction]:
    """Decorator: this function is the energy of atoms; see this module's head.

    Parameters
    ----------
    cutoff : in length units; None: from the file of weights
    species : names of the types 0, 1, ... of the function; None: from the file of weights, and
        if that has none, or there is no file, types are those of the deck
    units : "lj" or "metal"; None: from the file of weights, or any
    params : weights, any tree of arrays; None: the deck names a file of weights

    Raises
    ------
    FileError : a value cannot be
    """
    if cutoff is not None and not (isinstance(cutoff, (int, float)) and math.isfinite(cutoff)
                                   and cutoff > 0):
        raise FileError(f"@jax_potential: cutoff = {cutoff!r}: must be a number greater than 0")
    if units not in UNITS:
        raise FileError(f'@jax_potential: units = {units!r}: must be "lj" or "metal"')
    names = None if species is None else tuple(species)

    def decorate(function: Callable[..., Any]) -> JaxFunction:
        return JaxFunction(function, cutoff, names, units, params)

    return decorate


def potential_of(energy: Callable[..., Any], weights: Weights, ntypes: int,
                 species: Sequence[str] | str, files: tuple[str, ...], style: str, source: Path
                 ) -> JaxPotential:
    """A potential of a function that has been seen to return what it must, untried so far.

    Raises
    ------
    ValueError : species are not the model's, or the function, in `source`, cannot be traced
    """
    from potentials.jax_model.program import Model, shape_error

    kinds = kinds_of(weights.species, species, ntypes)
    model_types = len(weights.species) or ntypes
    with told_with_lines(source):
        wrong = shape_error(Model(style, energy, weights.params, weights.cutoff, model_types),
                            np.float64)
    if wrong:
        raise FileError(f"{source}: {energy.__name__}: {wrong}")
    return JaxPotential(energy, weights.params, weights.cutoff, kinds, model_types, files,
                        weights.units, style)


def kinds_of(known: Sequence[str], species: Sequence[str] | str, ntypes: int) -> tuple[int, ...]:
    """The model's type of each atom type, by name; in their order where the model has no names.

    Raises
    ------
    ValueError : a type has no name, or one that the model does not know
    """
    if not known:
        return tuple(range(ntypes))
    names = [species] if isinstance(species, str) else list(species)
    if len(names) != ntypes:
        raise ValueError(f"species = {names}: {ntypes} atom types need a name each; the model has "
                         f"{', '.join(known)}")
    for name in names:
        if name not in known:
            raise ValueError(f"species = {names}: the model does not know {name!r}; it has "
                             f"{', '.join(known)}")
    return tuple(list(known).index(name) for name in names)


def require_jax() -> None:
    """Raise ValueError if there is no JAX."""
    try:
        importlib.import_module("jax")
    except ImportError:
        raise ValueError(MISSING) from None
