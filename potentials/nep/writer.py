"""NEP files written: what potentials.nep.format reads back as the same bits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from potentials.nep.model import NEPModel, ZBLSection


def write_nep(path: Path, model: NEPModel) -> None:
    """Write a model; one of version 4 with biases of the elements gets the layout of MatPL."""
    numbers = [f"{value!r}" for array in _arrays(model) for value in array.ravel().tolist()]
    path.write_text("\n".join([*_head(model), *numbers, ""]), encoding="utf-8")


def _head(model: NEPModel) -> Iterator[str]:
    tag = f"nep{model.version}{'_zbl' if model.zbl else ''}"
    yield f"{tag} {len(model.elements)} {' '.join(model.elements)}"
    if model.zbl is not None:
        yield _zbl(model.zbl)
    pairs = np.column_stack([model.radial_cutoff, model.angular_cutoff])
    if (pairs == pairs[0]).all():
        pairs = pairs[:1]
    seen = () if model.seen is None and len(pairs) == 1 else model.seen or (0, 0)
    yield " ".join(["cutoff", *map(repr, pairs.ravel().tolist()), *map(str, seen)])
    yield f"n_max {model.n_max[0]} {model.n_max[1]}"
    yield f"basis_size {model.basis_size[0]} {model.basis_size[1]}"
    flags = [int(flag) for flag in model.flags]
    while len(flags) > 2 and not flags[-1]:
        flags.pop()
    yield " ".join(map(str, ["l_max", model.l_max, *flags]))
    yield f"ANN {model.neurons} 0"


def _zbl(zbl: ZBLSection) -> str:
    if zbl.rows is not None:
        return "zbl 0 0"
    radii = f"zbl {zbl.inner!r} {zbl.outer!r}"
    return radii if zbl.factor is None else f"{radii} {zbl.factor!r}"


def _arrays(model: NEPModel) -> Iterator[NDArray[np.float64]]:
    own = model.own_bias
    for k, network in enumerate(zip(model.w0, model.b0, model.w1, strict=True)):
        yield from network
        if model.version == 5 and own is not None:
            yield own[k]
    if model.version == 4 and own is not None and len(own) > 1:
        yield own
    else:
        yield np.array(model.bias if model.version == 5 or own is None else model.bias_of(0))
    yield from (model.c_radial, model.c_angular, model.scaler)
    if model.zbl is not None and model.zbl.rows is not None:
        yield model.zbl.rows
