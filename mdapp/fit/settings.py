"""What can be said about a fit: shapes of models, and how they are trained.

Each setting is a field with its range, so that the command line, messages and the report need no
list of their own: `--set KEY=VALUE` takes all of them.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, get_args, get_origin, get_type_hints

from mdapp.errors import InputError
from mdapp.model.elements import nearest

STYLES = ("nep", "deep_potential")
OPTIMIZERS = ("adam", "kalman")
OF_OTHER = {"adam": ("forget", "groups", "block"),
            "kalman": ("rate", "energy_weight", "force_weight")}
STEPS = {"adam": 50000, "kalman": 2000}


def setting(default: Any, what: str, least: float = -math.inf, most: float = math.inf,
            of: tuple[str, ...] = ()) -> Any:
    """A field with its meaning and range, or the values that it may have."""
    return field(default=default,
                 metadata={"what": what, "least": least, "most": most, "of": of})


@dataclass(frozen=True)
class NEPShape:
    """Shape of a neuroevolution potential."""

    cutoff: tuple[float, float] = setting((5.5, 4.5), "radial, angular, in A", 1.0, 20.0)
    n_max: tuple[int, int] = setting((4, 4), "radial and angular functions, less one", 0, 20)
    basis_size: tuple[int, int] = setting((8, 8), "of which each is made, less one", 0, 20)
    l_max: int = setting(4, "degree of the harmonics", 0, 8)
    flags: str = setting("222", "products of degrees: 222, 1111, 112, 123, 233, 134, or none")
    neurons: int = setting(30, "of the hidden layer", 1, 1000)
    zbl: tuple[float, float] | None = setting(None, "inner and outer radius of ZBL in A, or none",
                                              0.0, 20.0)


@dataclass(frozen=True)
class DeepPotentialShape:
    """Shape of a Deep Potential, se_e2_a."""

    cutoff: float = setting(5.5, "in A", 1.0, 20.0)
    smooth: float = setting(2.0, "where the weight begins to fall, in A", 0.0, 20.0)
    sel: tuple[int, ...] | None = setting(None, "slots of each type; none: 1.2 times what is there",
                                          0, 10000)
    embedding: tuple[int, ...] = setting((8, 16), "widths of the embedding", 1, 1000)
    axis: int = setting(4, "columns of the descriptor", 1, 1000)
    fitting: tuple[int, ...] = setting((24, 24, 24), "widths of the fitting network", 1, 1000)


@dataclass(frozen=True)
class Training:
    """How a model is trained."""

    optimizer: str = setting("kalman", "adam or kalman", of=OPTIMIZERS)
    steps: int = setting(0, "updates by a batch; 0: 2000 of kalman, 50000 of adam", 0, 10**9)
    batch: int = setting(2, "frames of an update", 1, 10**6)
    precision: str = setting("single", "of the model while it is fitted", of=("single", "double"))
    seed: int = setting(1, "of weights and of the order of frames", 0, 2**31)
    rate: tuple[float, float] = setting((5e-3, 1e-6), "of Adam at the start and at the end", 0.0,
                                        1.0)
    energy_weight: tuple[float, float] = setting((0.02, 1.0), "p_E, start and end", 0.0, 1e9)
    force_weight: tuple[float, float] = setting((1000.0, 10.0), "p_F, start and end", 0.0, 1e9)
    virial_weight: tuple[float, float] = setting(
        (0.0, 0.0), "p_W, start and end; not 0: the Kalman filter takes virials too", 0.0, 1e9)
    forget: tuple[float, float] = setting((0.98, 0.9987), "of the Kalman filter: lambda at the "
                                          "start, and nu", 0.5, 1.0)
    groups: int = setting(4, "of atoms whose forces the Kalman filter takes together", 1, 1000)
    block: int = setting(2048, "weights of one block of its covariance, at most", 1, 20000)


def shape_class(style: str) -> type[NEPShape] | type[DeepPotentialShape]:
    """What a style's shape is made of.

    Raises
    ------
    InputError : no such style
    """
    if style not in STYLES:
        raise InputError(f"--style {style}: must be one of {', '.join(STYLES)}"
                         f"{nearest(style, STYLES)}")
    return NEPShape if style == "nep" else DeepPotentialShape


def settings_of(style: str, given: Mapping[str, str]
                ) -> tuple[NEPShape | DeepPotentialShape, Training]:
    """A shape and a training from texts of some settings.

    Raises
    ------
    InputError : a setting that there is not, or a value that it cannot have
    """
    shape = shape_class(style)
    known = {f.name: cls for cls in (shape, Training) for f in fields(cls)}
    values: dict[type, dict[str, Any]] = {shape: {}, Training: {}}
    for name, text in given.items():
        if name not in known:
            raise InputError(f"--set {name}: a {style} fit has no such setting"
                             f"{nearest(name, list(known))}; it has {', '.join(known)}")
        values[known[name]][name] = parsed(known[name], name, text)
    training = Training(**values[Training])
    if training.steps == 0:
        training = replace(training, steps=STEPS[training.optimizer])
    for name in given:
        if name in OF_OTHER[training.optimizer]:
            raise InputError(f"--set {name}: the {training.optimizer} optimizer has no use for it")
    made = shape(**values[shape])
    _refuse_what_cannot_be(made, training)
    return made, training


def parsed(cls: type, name: str, text: str) -> Any:
    """The value of a setting.

    Raises
    ------
    InputError : it is none, or out of range
    """
    kind = get_type_hints(cls)[name]
    about = next(f.metadata for f in fields(cls) if f.name == name)
    wrong = InputError(f"--set {name}={text[:60]}: must be {_wanted(kind, about)} "
                       f"({about['what']})")
    try:
        value = _value(kind, text.strip())
    except ValueError:
        raise wrong from None
    numbers = value if isinstance(value, tuple) else (value,)
    if about["of"] and value not in about["of"]:
        raise wrong
    if not all(about["least"] <= v <= about["most"] for v in numbers
               if isinstance(v, (int, float))):
        raise wrong
    return value


def table() -> list[str]:
    """All settings as rows of a table, for the README."""
    rows = []
    for cls, of in ((NEPShape, " (nep)"), (DeepPotentialShape, " (deep_potential)"),
                    (Training, "")):
        for f in fields(cls):
            values = f.default if isinstance(f.default, tuple) else (f.default,)
            shown = ",".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values)
            rows.append(f"| `{f.name}`{of} | {shown.lower()} | {f.metadata['what']} |")
    return rows


def _value(kind: Any, text: str) -> Any:
    """Read a text as a value of this type."""
    if isinstance(kind, types.UnionType):
        if text == "none":
            return None
        kind = next(k for k in get_args(kind) if k is not type(None))
    if get_origin(kind) is tuple:
        parts, kinds = text.replace(" ", ",").split(","), get_args(kind)
        if kinds[-1] is Ellipsis:
            kinds = (kinds[0],) * len(parts)
        elif len(parts) == 1:
            parts = parts * len(kinds)             # one number stands for both
        return tuple(_value(k, part) for k, part in zip(kinds, parts, strict=True))
    value = kind(text)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError
    return value


def _wanted(kind: Any, about: Mapping[str, Any]) -> str:
    """What a value must be, for messages."""
    if about["of"]:
        return " or ".join(about["of"])
    whole = "int" in str(kind)
    text = "text" if kind is str else "whole numbers" if whole else "numbers"
    if "tuple" not in str(kind):
        text = f"a {text.removesuffix('s')}"
    if about["least"] > -math.inf:
        text += f" from {about['least']:g} to {about['most']:g}"
    return text + (" or none" if isinstance(kind, types.UnionType) else "")


def _refuse_what_cannot_be(shape: NEPShape | DeepPotentialShape, training: Training) -> None:
    if isinstance(shape, NEPShape):
        radial, angular = shape.cutoff
        if angular > radial:
            raise InputError(f"--set cutoff={radial:g},{angular:g}: the angular cutoff must not be "
                             "greater than the radial one")
        if shape.zbl is not None and not shape.zbl[0] < shape.zbl[1] <= radial:
            raise InputError(f"--set zbl={shape.zbl[0]:g},{shape.zbl[1]:g}: must be two radii, the "
                             f"inner one less than the outer, and that at most the cutoff")
    else:
        if shape.smooth >= shape.cutoff:
            raise InputError(f"--set smooth={shape.smooth:g}: must be less than the cutoff, "
                             f"{shape.cutoff:g}")
        if shape.axis > shape.embedding[-1]:
            raise InputError(f"--set axis={shape.axis}: must be at most the last width of the "
                             f"embedding, {shape.embedding[-1]}")
    if 0 in training.rate:
        raise InputError("--set rate: must be greater than 0")
