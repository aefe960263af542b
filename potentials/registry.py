"""From the `[potential]` table of a deck, or a shorthand on a command line, to a potential.

A style is a name and a function that makes the potential from the keys of its table.  Third
parties add theirs by an entry point of the group `mdapp.potentials`.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any

from potentials.ase_oracle import ase_oracle
from potentials.base import Potential
from potentials.committee import Committee
from potentials.deep_potential.potential import DeepPotential
from potentials.eam.potential import EmbeddedAtom
from potentials.files import NOBODY, FileError
from potentials.hybrid import Hybrid
from potentials.jax_model.potential import JaxFunction, JaxPotential
from potentials.nep.potential import NEP
from potentials.own_file import KINDS, kind_of, load, parts_of
from potentials.pair.born import BornMayerHuggins
from potentials.pair.buck import Buckingham
from potentials.pair.coul_cut import Coulomb
from potentials.pair.coul_dsf import DampedShiftedForce
from potentials.pair.coul_wolf import Wolf
from potentials.pair.formula import PairPotential
from potentials.pair.gauss import Gaussian
from potentials.pair.lj import LennardJones
from potentials.pair.lj_linear import LJSmoothLinear
from potentials.pair.lj_smooth import LJSmooth
from potentials.pair.morse import Morse
from potentials.pair.own import own_pair
from potentials.pair.soft import Soft
from potentials.pair.tabulated import Tabulated
from potentials.pair.yukawa import Yukawa
from potentials.pair.zbl import ZBL
from potentials.snap.potential import SNAP
from potentials.threebody.sw import StillingerWeber
from potentials.threebody.tersoff import Tersoff
from potentials.threebody.tersoff_mod import TersoffMod
from potentials.threebody.tersoff_zbl import TersoffZBL

Factory = Callable[..., Potential]

PAIR_FORMULAS: tuple[type[PairPotential], ...] = (
    LennardJones, LJSmoothLinear, LJSmooth, Morse, Buckingham, BornMayerHuggins, Yukawa, Soft,
    Gaussian, ZBL, Tabulated, Coulomb, DampedShiftedForce, Wolf)


def hybrid(ntypes: int, *, part: Sequence[Mapping[str, Any]],
           species: Sequence[str] = ()) -> Potential:
    """Potentials of which each acts on pairs of types of its own."""
    return Hybrid.from_options(ntypes, part, species, "hybrid", make_potential)


def overlay(ntypes: int, *, part: Sequence[Mapping[str, Any]],
            species: Sequence[str] = ()) -> Potential:
    """The sum of potentials."""
    return Hybrid.from_options(ntypes, part, species, "hybrid/overlay", make_potential)


def committee(ntypes: int, *, part: Sequence[Mapping[str, Any]],
              species: Sequence[str] = ()) -> Potential:
    """Models of which the first drives."""
    return Committee.of_parts(ntypes, part, species, make_potential)


def own_potential(style: str) -> Factory:
    """What makes the potential of `python:FILE.py:NAME`.

    That is a pair formula, a JAX function, or a class with all that potentials.base asks of a
    potential; of a class `from_options(ntypes, **keys)`, or itself, called the same way.

    Raises
    ------
    FileError : the file cannot be run, or has none of this name
    """
    file, name = parts_of(style)
    path, module = load(file)
    found = getattr(module, name, None)
    if isinstance(found, JaxFunction):
        return found.own_factory(style, path)
    if inspect.isclass(found) and hasattr(found, "compiled"):
        factory: Any = found
        return getattr(factory, "from_options", factory)  # type: ignore[no-any-return]
    return own_pair(style)


hybrid.makes = overlay.makes = Hybrid  # type: ignore[attr-defined]
committee.makes = Committee  # type: ignore[attr-defined]

STYLES: dict[str, Factory] = {
    **{formula.style: formula.factory() for formula in PAIR_FORMULAS},
    "eam": EmbeddedAtom.eam,
    "eam/alloy": EmbeddedAtom.alloy,
    "eam/fs": EmbeddedAtom.finnis_sinclair,
    "sw": StillingerWeber.from_options,
    "tersoff": Tersoff.from_options,
    "tersoff/mod": TersoffMod.from_options,
    "tersoff/zbl": TersoffZBL.from_options,
    "snap": SNAP.from_options,
    "nep": NEP.from_options,
    "jax": JaxPotential.from_options,
    "deep_potential": DeepPotential.from_options,
    "hybrid": hybrid,
    "hybrid/overlay": overlay,
    "committee": committee,
}
FROM_FILES: dict[str, Callable[[str], Factory]] = {"python": own_potential, "ase": ase_oracle}
ENTRY_POINTS = "mdapp.potentials"


class PotentialError(ValueError):
    """A style or one of its keys cannot be used; the message names it and the fix."""


def make_potential(style: str, parameters: Mapping[str, Any], ntypes: int,
                   species: Sequence[str] = ()) -> Potential:
    """The potential of a style for `ntypes` atom types.

    Parameters
    ----------
    parameters : the keys of its table
    species : names of the types, for a style that has elements; `parameters` may name others

    Raises
    ------
    PotentialError : the style or a key is unknown, or a value cannot be used
    """
    factory = find_style(style)
    keys = {name: p for name, p in inspect.signature(factory).parameters.items()
            if p.kind is p.KEYWORD_ONLY}
    known = list(keys)
    for key in parameters:
        if key not in known:
            raise PotentialError(f"potential.{key}: unknown key of style {style}"
                                 f"{nearest(key, known)}; it takes {', '.join(known)}")
    refuse_words(style, parameters)
    for key, p in keys.items():
        if p.default is p.empty and key not in parameters and kind_of(style) is None:
            raise PotentialError(f"potential.{key}: missing: style {style} needs it")
    if species and "species" in known:
        parameters = {"species": list(species), **parameters}
    try:
        return factory(ntypes, **parameters)
    except (TypeError, ValueError) as error:
        raise PotentialError(f"potential ({style}): {error}") from None


def refuse_words(style: str, parameters: Mapping[str, Any]) -> None:
    """Raise PotentialError where `file` or `species` is neither a text nor a list of texts."""
    for key, what in (("file", "name of a file"), ("species", "name of an element")):
        words = parameters.get(key, "")
        listed = words if isinstance(words, (list, tuple)) else [words]
        if not all(isinstance(word, str) for word in listed):
            raise PotentialError(f"potential ({style}): {key} = {words!r}: must be the {what}, or "
                                 "a list of such")
        if NOBODY in listed:
            raise PotentialError(
                f"potential ({style}): {key} = {words!r}: {NOBODY}, a type that it does not see, "
                "is for the parts of hybrid and hybrid/overlay")


def find_style(style: str) -> Factory:
    """The factory of a style, built in or from an installed package.

    Raises
    ------
    PotentialError : nobody knows it
    """
    if style in STYLES:
        return STYLES[style]
    kind = kind_of(style)
    if kind is not None:
        try:
            return FROM_FILES[kind](style)
        except FileError as error:
            raise PotentialError(f"potential.style = {style!r}: {error}") from None
    offered = entry_points(group=ENTRY_POINTS)
    for entry in offered:
        if entry.name == style:
            return entry.load()  # type: ignore[no-any-return]
    known = [*STYLES, *(entry.name for entry in offered), *KINDS.values()]
    raise PotentialError(f"potential.style = {style!r}: unknown{nearest(style, known)}; "
                         f"there is {', '.join(known)}")


def nearest(word: str, known: list[str]) -> str:
    """A question after the known word that is most like `word`, or nothing."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
